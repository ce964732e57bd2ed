#include "atoll/slot.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "sanitizers.h"
#include "testing.h"
#include "values.h"

// ---- Counting allocations -----------------------------------------------------------------------

namespace {
std::atomic<std::size_t> allocations = 0;
}  // namespace

#if ATOLL_OWN_NEW
namespace {
void* allocate(std::size_t size, std::size_t alignment = alignof(std::max_align_t)) {
  ++allocations;
  const std::size_t rounded = (std::max<std::size_t>(size, 1) + alignment - 1) & ~(alignment - 1);
  if (void* const memory = std::aligned_alloc(alignment, rounded)) {
    return memory;
  }
  std::abort();
}
}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace libatoll::test {
namespace {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One of everything, and the edges between the ways to keep text.
std::vector<Value> all_values() {
  std::vector<Value> values = {Value(),     Value(true), Value(false),     Value(std::int64_t{0}),
                               Value(1),    Value(kMin), Value(kMax),      Value(0.0),
                               Value(-0.0), Value(1.0),  Value(kInfinity), Value(5e-324)};
  for (const std::size_t length : {0U, 1U, 7U, 8U, 9U, 16U, 63U, 64U}) {
    values.emplace_back(std::string(length, 't'));
    values.emplace_back(Bytes(std::string(length, 't')));
  }
  return values;
}

std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) {
    text[i] = static_cast<char>(i * 131 + i / 256 + size);
  }
  return text;
}

class SlotTest : public PlacedTest {
 protected:
  // The only slot of a list of its own.
  Slot make(const Init& init) {
    lists_.push_back(create({init}));
    return lists_.back()[0];
  }
  List create(std::initializer_list<Init> values) {
    homes_.push_back(std::make_unique<Home>(place()));
    return must(homes_.back()->create(std::span<const Init>(values.begin(), values.size()),
                                      {.layout = layout()}));
  }

 private:
  std::vector<std::unique_ptr<Home>> homes_;
  std::vector<List> lists_;
};

INSTANTIATE_TEST_SUITE_P(Everywhere, SlotTest, everywhere(), name_of_place);

// ---- Initial values -----------------------------------------------------------------------------

TEST_P(SlotTest, EveryFormOfInitGivesItsValue) {
  const struct {
    Init init;
    Value value;
    std::size_t capacity;
  } forms[] = {
      {nullptr, Value(), 8},
      {std::monostate(), Value(), 8},
      {true, Value(true), 8},
      {false, Value(false), 8},
      {7, Value(7), 8},
      {-7L, Value(-7), 8},
      {7U, Value(7), 8},
      {kMin, Value(kMin), 8},
      {0.5, Value(0.5), 8},
      {0.5F, Value(0.5), 8},
      {"idle", Value("idle"), 8},
      {"", Value(""), 8},
      {"nine byte", Value("nine byte"), 16},
      {std::string("idle"), Value("idle"), 8},
      {std::string_view("idle"), Value("idle"), 8},
      {absl::string_view("idle"), Value("idle"), 8},
      {Bytes("\0\1", 2), Value(Bytes("\0\1", 2)), 8},
      {BytesView("\0\1", 2), Value(Bytes("\0\1", 2)), 8},
      {Value("seventeen letters"), Value("seventeen letters"), 24},
      {Value(2.5), Value(2.5), 8},
      {::atoll::text(64), Value(""), 64},
      {::atoll::text(0), Value(""), 8},
      {::atoll::text("idle", 64), Value("idle"), 64},
      {::atoll::text("idle", 4), Value("idle"), 8},
      {::atoll::text("sixteen letters.", 65), Value("sixteen letters."), 72},
      {::atoll::bytes(100), Value(Bytes()), 104},
      {::atoll::bytes(BytesView("\0\0", 2), 9), Value(Bytes("\0\0", 2)), 16},
      {::atoll::pinned(7), Value(7), 0},
      {::atoll::pinned(2.5), Value(2.5), 0},
      {::atoll::pinned(2.5F), Value(2.5), 0},
  };
  std::vector<Init> inits;
  for (const auto& form : forms) {
    inits.push_back(form.init);
  }
  const List list = PlacedTest::create(inits);
  ASSERT_EQ(list.size(), std::size(forms));
  for (std::size_t i = 0; i < list.size(); ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(must(list[i].load()), forms[i].value);
    EXPECT_EQ(must(list[i].type()), type_of(forms[i].value));
    EXPECT_EQ(must(list[i].capacity()), forms[i].capacity);
    EXPECT_EQ(list[i].is_pinned(), forms[i].init.is_pinned());
    EXPECT_EQ(list[i].version(), 0U);
    EXPECT_EQ(list[i].index(), i);
  }
}

TEST_P(SlotTest, AllSlotsOfAFillHoldItsValue) {
  Home home(place());
  const List list = must(
      home.create(::atoll::fill(1'000, ::atoll::text("initial text", 20)), {.layout = layout()}));
  for (const Slot slot : list) {
    ASSERT_EQ(must(slot.load<std::string>()), "initial text");
    ASSERT_EQ(must(slot.capacity()), 24U);
  }
  must(list[500].store("only this one changes"));
  EXPECT_EQ(must(list.count("initial text")), 999U);
}

TEST_P(SlotTest, ARepeatedAttachmentSeesTheSameSlots) {
  const List list = PlacedTest::create({1, "text of some length", ::atoll::pinned(2)});
  const List same_list = must(home().attach(list));
  must(list[0].store("changed"));
  must(same_list[1].store("text of another length"));
  must(same_list[2].fetch_add(3));
  EXPECT_EQ(states_of(list), states_of(same_list));
  EXPECT_EQ(must(same_list[0].load<std::string>()), "changed");
  EXPECT_EQ(must(list[1].load<std::string>()), "text of another length");
  EXPECT_EQ(must(list[2].load<std::int64_t>()), 5);
}

// ---- Store and load -----------------------------------------------------------------------------

TEST_P(SlotTest, AnyTypeReplacesAnyOther) {
  const Slot slot = make(::atoll::text(64));
  std::uint64_t version = 0;
  for (const Value& first : all_values()) {
    for (const Value& second : all_values()) {
      ASSERT_TRUE(succeeds(slot.store(first)));
      ASSERT_TRUE(succeeds(slot.store(second)));
      ASSERT_TRUE(same(must(slot.load()), second)) << first << " then " << second;
      ASSERT_EQ(must(slot.type()), type_of(second));
      ASSERT_EQ(slot.version(), version += 2);
    }
  }
  EXPECT_EQ(must(slot.capacity()), 64U);
}

TEST_P(SlotTest, TextOfEveryLengthKeepsEveryByte) {
  std::vector<std::size_t> lengths;
  for (std::size_t length = 0; length <= 70; ++length) {
    lengths.push_back(length);
  }
  lengths.insert(lengths.end(), {127, 128, 129, 1'023, 2'047, 2'048, 2'049, 4'999, 5'000});
  const Slot slot = make(::atoll::text(5'000));
  std::vector<char> room(5'000);
  for (const std::size_t length : lengths) {
    const std::string text = pattern(length);
    ASSERT_TRUE(succeeds(slot.store(text)));
    ASSERT_EQ(must(slot.load<std::string>()), text) << length;
    ASSERT_EQ(must(slot.load()), Value(text)) << length;
    ASSERT_EQ(must(slot.load_into(room)), length);
    ASSERT_EQ(std::string(room.data(), length), text);

    ASSERT_TRUE(succeeds(slot.store(BytesView(text))));
    ASSERT_EQ(must(slot.load<Bytes>()), Bytes(text)) << length;
    ASSERT_EQ(must(slot.load_into(room)), length);
    ASSERT_EQ(std::string(room.data(), length), text);
  }
}

TEST_P(SlotTest, LongAndShortTextFollowEachOtherWithoutAResidue) {
  const Slot slot = make(::atoll::text(64));
  for (std::size_t length = 64; length-- > 0;) {
    ASSERT_TRUE(succeeds(slot.store(std::string(64, 'x'))));
    const std::string text = pattern(length);
    ASSERT_TRUE(succeeds(slot.store(text)));
    ASSERT_EQ(must(slot.load<std::string>()), text);
  }
}

TEST_P(SlotTest, TextFitsUpToTheCapacityAndNotAByteFurther) {
  for (const std::size_t asked :
       {0U, 1U, 8U, 9U, 15U, 16U, 17U, 63U, 64U, 65U, 2'047U, 2'048U, 2'049U}) {
    const Slot slot = make(::atoll::text(asked));
    const std::size_t capacity = 8 * std::max<std::size_t>(1, (asked + 7) / 8);
    ASSERT_EQ(must(slot.capacity()), capacity) << asked;
    for (const std::size_t length : {capacity - 1, capacity}) {
      ASSERT_TRUE(succeeds(slot.store(pattern(length))));
      ASSERT_EQ(must(slot.load<std::string>()), pattern(length));
    }
    const State before = state_of(slot);
    for (const std::size_t length : {capacity + 1, capacity + 8, 10 * capacity}) {
      ASSERT_TRUE(fails(slot.store(pattern(length)), Code::kResourceExhausted,
                        {"slot 0", absl::StrFormat("up to %d bytes", capacity),
                         absl::StrFormat("has %d", length)}));
      ASSERT_TRUE(fails(slot.store(BytesView(pattern(length))), Code::kResourceExhausted, {""}));
    }
    ASSERT_EQ(state_of(slot), before);
  }
}

TEST_P(SlotTest, ANumbersSlotHoldsExactlyEightBytesOfText) {
  const Slot slot = make(0);
  EXPECT_EQ(must(slot.capacity()), 8U);
  EXPECT_TRUE(succeeds(slot.store("8 bytes.")));
  EXPECT_EQ(must(slot.load<std::string>()), "8 bytes.");
  EXPECT_TRUE(fails(slot.store("9 bytes, "), Code::kResourceExhausted, {"8 bytes", "has 9"}));
  EXPECT_EQ(must(slot.load<std::string>()), "8 bytes.");
  EXPECT_EQ(slot.version(), 1U);
}

TEST_P(SlotTest, TenMegabytesComeBackWhole) {
  constexpr std::size_t kSize = 10'000'000;
  const Slot slot = make(::atoll::text(kSize));
  const std::string text = pattern(kSize);
  ASSERT_TRUE(succeeds(slot.store(text)));
  EXPECT_TRUE(must(slot.load<std::string>()) == text);
  ASSERT_TRUE(succeeds(slot.store(BytesView(text))));
  EXPECT_TRUE(must(slot.compare_exchange(BytesView(text), "gone")));
  EXPECT_EQ(must(slot.load<std::string>()), "gone");
}

TEST_P(SlotTest, NulBytesAreKeptInsideAndAtTheEnd) {
  const Slot slot = make(::atoll::text(64));
  for (const std::size_t length : {1U, 3U, 8U, 9U, 64U}) {
    std::string text(length, '\0');
    ASSERT_TRUE(succeeds(slot.store(text)));
    ASSERT_EQ(must(slot.load<std::string>()), text);
    text.front() = 'a';
    ASSERT_TRUE(succeeds(slot.store(text)));
    ASSERT_EQ(must(slot.load<std::string>()), text);
    ASSERT_TRUE(succeeds(slot.store(BytesView(text))));
    ASSERT_EQ(must(slot.load<Bytes>()), Bytes(text));
  }
}

TEST_P(SlotTest, CapacityCountsBytesNotCharacters) {
  const Slot slot = make(0);
  const std::string e = "\xc3\xa9";  // one character, two bytes
  EXPECT_TRUE(succeeds(slot.store(e + e + e + e)));
  EXPECT_EQ(must(slot.load<std::string>()), e + e + e + e);
  EXPECT_TRUE(fails(slot.store(e + e + e + e + e), Code::kResourceExhausted, {"has 10"}));
}

TEST_P(SlotTest, LoadConvertsNothing) {
  const Slot slot = make(::atoll::text(64));
  for (const Value& value : all_values()) {
    must(slot.store(value));
    const std::string found = "found " + std::string(::atoll::type_name(type_of(value)));
    const auto check = [&](const auto& result, Type type, std::string_view operation) {
      if (type_of(value) == type) {
        return succeeds(result);
      }
      return fails(result, Code::kFailedPrecondition,
                   {"slot 0", operation, std::string(::atoll::type_name(type)), found});
    };
    ASSERT_TRUE(check(slot.load<bool>(), Type::kBool, "load<bool>"));
    ASSERT_TRUE(check(slot.load<std::int64_t>(), Type::kInt64, "load<int64>"));
    ASSERT_TRUE(check(slot.load<double>(), Type::kDouble, "load<double>"));
    ASSERT_TRUE(check(slot.load<std::string>(), Type::kText, "load<string>"));
    ASSERT_TRUE(check(slot.load<Bytes>(), Type::kBytes, "load<Bytes>"));
  }
}

TEST_P(SlotTest, LoadIntoTakesARoomOfExactlyTheLength) {
  const Slot slot = make(::atoll::text(64));
  for (const std::size_t length : {0U, 1U, 8U, 9U, 63U, 64U}) {
    const std::string text = pattern(length);
    must(slot.store(text));
    std::string room(length + 8, '#');
    ASSERT_EQ(must(slot.load_into(std::span(room).first(length))), length);
    ASSERT_EQ(room, text + "########");
    ASSERT_EQ(must(slot.load_into(room)), length);
    ASSERT_EQ(room.substr(0, length), text);
  }
}

TEST_P(SlotTest, LoadIntoRefusesARoomThatIsTooSmall) {
  const Slot slot = make(::atoll::text(64));
  for (const std::size_t length : {1U, 8U, 9U, 64U}) {
    must(slot.store(pattern(length)));
    std::string room(length, '#');
    for (const std::size_t size : {std::size_t{0}, length - 1}) {
      ASSERT_TRUE(fails(
          slot.load_into(std::span(room).first(size)), Code::kResourceExhausted,
          {"slot 0", absl::StrFormat("holds %d bytes", length), absl::StrFormat("has %d", size)}));
    }
    ASSERT_EQ(room.back(), '#');
  }
}

TEST_P(SlotTest, LoadIntoOfANumberIsRefused) {
  const Slot slot = make(7);
  std::string room(64, '#');
  EXPECT_TRUE(fails(slot.load_into(room), Code::kFailedPrecondition, {"load_into", "found int64"}));
  EXPECT_EQ(room, std::string(64, '#'));
}

TEST_P(SlotTest, TheBitsOfANanAreKept) {
  const Slot slot = make(0.0);
  for (const std::uint64_t bits : {0x7ff8'0000'0000'0001U, 0xfff8'dead'beef'0000U}) {
    must(slot.store(std::bit_cast<double>(bits)));
    EXPECT_EQ(std::bit_cast<std::uint64_t>(must(slot.load<double>())), bits);
  }
}

// ---- Exchange -----------------------------------------------------------------------------------

TEST_P(SlotTest, ExchangeReturnsWhatItReplaced) {
  const Slot slot = make(::atoll::text(64));
  Value previous = must(slot.load());
  std::uint64_t version = 0;
  for (const Value& first : all_values()) {
    for (const Value& second : {first, Value("some text in between")}) {
      ASSERT_TRUE(same(must(slot.exchange(second)), previous)) << previous << " by " << second;
      ASSERT_EQ(slot.version(), ++version);
      previous = second;
    }
  }
}

TEST_P(SlotTest, ExchangeForTextThatDoesNotFitChangesNothing) {
  const Slot slot = make("idle");
  EXPECT_TRUE(fails(slot.exchange("nine byte"), Code::kResourceExhausted, {"slot 0"}));
  EXPECT_EQ(must(slot.load<std::string>()), "idle");
  EXPECT_EQ(slot.version(), 0U);
}

TEST_P(SlotTest, CompareExchangeComparesTypeAndContents) {
  const Slot slot = make(::atoll::text(64));
  const std::vector<Value> values = all_values();
  for (const Value& value : values) {
    for (const Value& expected : values) {
      must(slot.store(value));
      const std::uint64_t version = slot.version();
      const bool equal = same(value, expected);
      ASSERT_EQ(must(slot.compare_exchange(expected, "the new text")), equal)
          << value << " and " << expected;
      ASSERT_EQ(slot.version(), version + (equal ? 1 : 0));
      ASSERT_TRUE(same(must(slot.load()), equal ? Value("the new text") : value));
    }
  }
}

TEST_P(SlotTest, CompareExchangeNoticesADifferenceInAnyByte) {
  const Slot slot = make(::atoll::text(600));
  for (const std::size_t length : {3U, 8U, 9U, 200U, 600U}) {
    const std::string text = pattern(length);
    must(slot.store(text));
    for (std::size_t at = 0; at < length; ++at) {
      std::string other = text;
      other[at] = static_cast<char>(other[at] ^ 1);
      ASSERT_FALSE(must(slot.compare_exchange(other, 1)));
    }
    ASSERT_TRUE(must(slot.compare_exchange(text, 1)));
  }
}

TEST_P(SlotTest, CompareExchangeComparesTheBitsOfDoubles) {
  for (const Init& init : {Init(0.0), ::atoll::pinned(0.0)}) {
    const Slot slot = make(init);
    EXPECT_FALSE(must(slot.compare_exchange(-0.0, 1.0)));
    EXPECT_TRUE(must(slot.compare_exchange(0.0, kNan)));
    EXPECT_FALSE(must(
        slot.compare_exchange(std::bit_cast<double>(std::bit_cast<std::uint64_t>(kNan) ^ 1), 1.0)));
    EXPECT_TRUE(must(slot.compare_exchange(kNan, 1.0)));
  }
}

TEST_P(SlotTest, CompareExchangeOfOneTrueAndOnePointZeroTellsThemApart) {
  const Slot slot = make(1);
  EXPECT_FALSE(must(slot.compare_exchange(true, 2)));
  EXPECT_FALSE(must(slot.compare_exchange(1.0, 2)));
  EXPECT_FALSE(must(slot.compare_exchange("1", 2)));
  EXPECT_TRUE(must(slot.compare_exchange(1, 2)));
}

TEST_P(SlotTest, CompareExchangeForTextThatDoesNotFitChangesNothing) {
  const Slot slot = make("idle");
  EXPECT_TRUE(
      fails(slot.compare_exchange("idle", "nine byte"), Code::kResourceExhausted, {"has 9"}));
  EXPECT_EQ(must(slot.load<std::string>()), "idle");
  EXPECT_EQ(slot.version(), 0U);
}

// ---- Arithmetic ---------------------------------------------------------------------------------

TEST_P(SlotTest, IntegerOperationsReturnThePreviousValue) {
  for (const Init& init : {Init(12), ::atoll::pinned(12)}) {
    const Slot slot = make(init);
    EXPECT_EQ(must(slot.fetch_add(3)), 12);
    EXPECT_EQ(must(slot.fetch_sub(1)), 15);
    EXPECT_EQ(must(slot.fetch_and(12)), 14);
    EXPECT_EQ(must(slot.fetch_or(3)), 12);
    EXPECT_EQ(must(slot.fetch_xor(5)), 15);
    EXPECT_EQ(must(slot.fetch_min(3)), 10);
    EXPECT_EQ(must(slot.fetch_max(-1)), 3);
    EXPECT_EQ(must(slot.fetch_max(99)), 3);
    EXPECT_EQ(must(slot.load<std::int64_t>()), 99);
  }
}

TEST_P(SlotTest, IntegerOperationsTakeEveryWidth) {
  for (const Init& init : {Init(0), ::atoll::pinned(0)}) {
    const Slot slot = make(init);
    must(slot.fetch_add(std::int8_t{-1}));
    must(slot.fetch_add(std::uint32_t{0xffff'ffff}));
    EXPECT_EQ(must(slot.fetch_sub(std::uint32_t{1})), 0xffff'fffe);
    EXPECT_EQ(must(slot.fetch_sub(std::uint8_t{255})), 0xffff'fffd);
    EXPECT_EQ(must(slot.fetch_xor(std::int64_t{-1})), 0xffff'fefe);
    EXPECT_EQ(must(slot.load<std::int64_t>()), ~std::int64_t{0xffff'fefe});
  }
}

TEST_P(SlotTest, IntegersWrapRound) {
  for (const Init& init : {Init(kMax), ::atoll::pinned(kMax)}) {
    const Slot slot = make(init);
    EXPECT_EQ(must(slot.fetch_add(1)), kMax);
    EXPECT_EQ(must(slot.fetch_sub(1)), kMin);
    EXPECT_EQ(must(slot.fetch_sub(kMin)), kMax);
    EXPECT_EQ(must(slot.fetch_add(kMin)), -1);
    EXPECT_EQ(must(slot.load<std::int64_t>()), kMax);
  }
}

TEST_P(SlotTest, MinAndMaxKnowTheEndsOfTheRange) {
  for (const Init& init : {Init(0), ::atoll::pinned(0)}) {
    const Slot slot = make(init);
    EXPECT_EQ(must(slot.fetch_min(kMin)), 0);
    EXPECT_EQ(must(slot.fetch_min(kMax)), kMin);
    EXPECT_EQ(must(slot.fetch_max(kMax)), kMin);
    EXPECT_EQ(must(slot.fetch_max(kMin)), kMax);
  }
}

TEST_P(SlotTest, DoubleOperationsReturnThePreviousValue) {
  for (const Init& init : {Init(1.5), ::atoll::pinned(1.5)}) {
    const Slot slot = make(init);
    EXPECT_EQ(must(slot.fetch_add(2.0)), 1.5);
    EXPECT_EQ(must(slot.fetch_sub(0.5F)), 3.5);
    EXPECT_EQ(must(slot.fetch_min(1.0)), 3.0);
    EXPECT_EQ(must(slot.fetch_max(9.0)), 1.0);
    EXPECT_EQ(must(slot.fetch_add(kInfinity)), 9.0);
    EXPECT_EQ(must(slot.load<double>()), kInfinity);
  }
}

TEST_P(SlotTest, MinAndMaxPreferANumberToNan) {
  for (const Init& init : {Init(kNan), ::atoll::pinned(kNan)}) {
    const Slot slot = make(init);
    EXPECT_TRUE(std::isnan(must(slot.fetch_min(2.0))));
    EXPECT_EQ(must(slot.fetch_min(kNan)), 2.0);
    EXPECT_EQ(must(slot.fetch_max(kNan)), 2.0);
    EXPECT_EQ(must(slot.fetch_add(kNan)), 2.0);
    EXPECT_TRUE(std::isnan(must(slot.fetch_max(3.0))));
    EXPECT_EQ(must(slot.load<double>()), 3.0);
  }
}

TEST_P(SlotTest, ArithmeticOnAnotherTypeIsRefusedByItsName) {
  const Code expected = Code::kFailedPrecondition;
  for (const Init& init : {Init("text"), Init("longer text"), Init(true), Init(nullptr),
                           Init(Bytes("b", 1)), Init(0.5), ::atoll::pinned(0.5)}) {
    const Slot slot = make(init);
    const State before = state_of(slot);
    const std::string found = "found " + before.type;
    EXPECT_TRUE(fails(slot.fetch_add(1), expected, {"slot 0", "fetch_add needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_sub(1), expected, {"fetch_sub needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_and(1), expected, {"fetch_and needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_or(1), expected, {"fetch_or needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_xor(1), expected, {"fetch_xor needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_min(1), expected, {"fetch_min needs int64", found}));
    EXPECT_TRUE(fails(slot.fetch_max(1), expected, {"fetch_max needs int64", found}));
    EXPECT_EQ(state_of(slot), before);
  }
  for (const Init& init : {Init("text"), Init(1), ::atoll::pinned(1)}) {
    const Slot slot = make(init);
    const State before = state_of(slot);
    const std::string found = "found " + before.type;
    EXPECT_TRUE(fails(slot.fetch_add(0.5), expected, {"slot 0", "fetch_add needs double", found}));
    EXPECT_TRUE(fails(slot.fetch_sub(0.5), expected, {"fetch_sub needs double", found}));
    EXPECT_TRUE(fails(slot.fetch_min(0.5), expected, {"fetch_min needs double", found}));
    EXPECT_TRUE(fails(slot.fetch_max(0.5), expected, {"fetch_max needs double", found}));
    EXPECT_EQ(state_of(slot), before);
  }
}

// ---- Versions -----------------------------------------------------------------------------------

TEST_P(SlotTest, EachSuccessfulWriteRaisesTheVersionByOne) {
  const Slot slot = make(::atoll::text(64));
  std::uint64_t version = 0;
  const auto rose = [&] { return slot.version() == ++version; };
  must(slot.store("long text, in a buffer"));
  EXPECT_TRUE(rose());
  must(slot.store("long text, in a buffer"));
  EXPECT_TRUE(rose()) << "the same value again is a write too";
  must(slot.exchange(1));
  EXPECT_TRUE(rose());
  must(slot.compare_exchange(1, 2));
  EXPECT_TRUE(rose());
  must(slot.fetch_add(0));
  EXPECT_TRUE(rose());
  must(slot.fetch_max(kMin));
  EXPECT_TRUE(rose());
  must(slot.exchange(0.5));
  EXPECT_TRUE(rose());
  must(slot.fetch_sub(0.5));
  EXPECT_TRUE(rose());
}

TEST_P(SlotTest, NoFailedWriteRaisesTheVersion) {
  const Slot slot = make(::atoll::text("text", 16));
  const std::string too_long(17, 'x');
  const State before = state_of(slot);
  EXPECT_FALSE(slot.store(too_long).ok());
  EXPECT_FALSE(slot.exchange(too_long).ok());
  EXPECT_FALSE(slot.compare_exchange("text", too_long).ok());
  EXPECT_FALSE(must(slot.compare_exchange("other", "takes a buffer")));
  EXPECT_FALSE(slot.fetch_add(1).ok());
  EXPECT_FALSE(slot.fetch_add(0.5).ok());
  EXPECT_FALSE(slot.load<bool>().ok());
  EXPECT_EQ(state_of(slot), before);
}

TEST_P(SlotTest, AWriteLeavesTheNeighboursAlone) {
  const List list = PlacedTest::create({1, ::atoll::text("a text of 18 bytes", 24), 3});
  const std::vector<State> before = states_of(list);
  must(list[1].store(std::string(24, 'x')));
  must(list[1].store(std::string(24, 'y')));
  EXPECT_EQ(state_of(list[0]), before[0]);
  EXPECT_EQ(state_of(list[2]), before[2]);
}

TEST_P(SlotTest, NoWriteOfTwoThreadsIsLost) {
  constexpr int kRounds = 2'000;
  const List list = PlacedTest::create({0, ::atoll::pinned(0), ::atoll::text("0", 32)});
  const auto work = [&list] {
    for (int i = 0; i < kRounds; ++i) {
      must(list[0].fetch_add(1));
      must(list[1].fetch_add(1));
      for (;;) {
        const std::string seen = must(list[2].load<std::string>());
        const std::string next = std::to_string(std::stoi(seen) + 1) + " and some more bytes";
        if (must(list[2].compare_exchange(seen, next))) {
          break;
        }
      }
    }
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(must(list[0].load<std::int64_t>()), 2 * kRounds);
  EXPECT_EQ(must(list[1].load<std::int64_t>()), 2 * kRounds);
  EXPECT_EQ(std::stoi(must(list[2].load<std::string>())), 2 * kRounds);
  EXPECT_EQ(list[0].version(), 2U * kRounds);
  EXPECT_EQ(list[2].version(), 2U * kRounds);
}

// ---- Pinned slots -------------------------------------------------------------------------------

TEST_P(SlotTest, APinnedIntegerTakesEveryOperationAndKeepsItsVersion) {
  const Slot slot = make(::atoll::pinned(1));
  EXPECT_TRUE(slot.is_pinned());
  EXPECT_TRUE(succeeds(slot.store(2)));
  EXPECT_EQ(must(slot.exchange(3)), Value(2));
  EXPECT_FALSE(must(slot.compare_exchange(2, 4)));
  EXPECT_TRUE(must(slot.compare_exchange(3, 4)));
  EXPECT_FALSE(must(slot.compare_exchange("4", 5))) << "no pinned integer equals text";
  EXPECT_EQ(must(slot.load<std::int64_t>()), 4);
  EXPECT_EQ(must(slot.load()), Value(4));
  EXPECT_EQ(must(slot.type()), Type::kInt64);
  EXPECT_EQ(must(slot.capacity()), 0U);
  EXPECT_EQ(slot.version(), 0U);
}

TEST_P(SlotTest, APinnedDoubleTakesEveryOperationAndKeepsItsVersion) {
  const Slot slot = make(::atoll::pinned(1.0));
  EXPECT_TRUE(slot.is_pinned());
  EXPECT_TRUE(succeeds(slot.store(2.0)));
  EXPECT_EQ(must(slot.exchange(3.0)), Value(2.0));
  EXPECT_FALSE(must(slot.compare_exchange(2.0, 4.0)));
  EXPECT_TRUE(must(slot.compare_exchange(3.0, 4.0)));
  EXPECT_EQ(must(slot.load<double>()), 4.0);
  EXPECT_EQ(must(slot.type()), Type::kDouble);
  EXPECT_EQ(slot.version(), 0U);
}

// What a handle keeps in mind of pinned slots is of that slot and that type, however far apart slots are.
TEST_P(SlotTest, OnePinnedSlotIsNotTakenForAnother) {
  std::vector<Init> values;
  for (int i = 0; i < 300; ++i) {
    values.push_back(i % 3 == 0 ? Init(0) : i % 3 == 1 ? ::atoll::pinned(0) : ::atoll::pinned(0.0));
  }
  const List list = PlacedTest::create(values);
  for (int round = 1; round <= 3; ++round) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      SCOPED_TRACE(i);
      if (i % 3 == 2) {
        EXPECT_EQ(must(list[i].fetch_add(0.5)), 0.5 * (round - 1));
        EXPECT_TRUE(fails(list[i].fetch_add(1), Code::kFailedPrecondition, {"double"}));
      } else {
        EXPECT_EQ(must(list[i].fetch_add(1)), round - 1);
        EXPECT_TRUE(fails(list[i].fetch_add(0.5), Code::kFailedPrecondition, {"int64"}));
      }
      EXPECT_EQ(list[i].version(), i % 3 == 0 ? static_cast<std::uint64_t>(round) : 0);
    }
  }
}

TEST_P(SlotTest, APinnedSlotRefusesEveryOtherType) {
  const Code expected = Code::kFailedPrecondition;
  for (const Init& init : {::atoll::pinned(1), ::atoll::pinned(1.0)}) {
    const Slot slot = make(init);
    const State before = state_of(slot);
    const std::string pinned_to = "pinned to " + before.type;
    for (const Value& value : all_values()) {
      if (type_of(value) == type_of(init.value())) {
        continue;
      }
      const std::string found = "value is " + std::string(type_name(type_of(value)));
      ASSERT_TRUE(fails(slot.store(value), expected, {"slot 0", pinned_to, found}));
      ASSERT_TRUE(fails(slot.exchange(value), expected, {"slot 0", pinned_to, found}));
      ASSERT_TRUE(fails(slot.compare_exchange(init.value(), value), expected,
                        {"slot 0", pinned_to, found}));
    }
    EXPECT_EQ(state_of(slot), before);
  }
}

TEST_P(SlotTest, ACounterIsAnAtomicInteger) {
  const List list = PlacedTest::create({0, ::atoll::pinned(12)});
  const Counter counter = must(list.counter(1));
  EXPECT_EQ(counter.load(), 12);
  EXPECT_EQ(counter.exchange(10), 12);
  EXPECT_EQ(counter.fetch_add(5), 10);
  EXPECT_EQ(counter.fetch_sub(1), 15);
  EXPECT_EQ(counter.fetch_and(6), 14);
  EXPECT_EQ(counter.fetch_or(1), 6);
  EXPECT_EQ(counter.fetch_xor(-1), 7);
  EXPECT_EQ(counter.fetch_max(3), -8);
  EXPECT_EQ(counter.fetch_min(2), 3);
  std::int64_t expected = 3;
  EXPECT_FALSE(counter.compare_exchange(expected, 4));
  EXPECT_EQ(expected, 2);
  EXPECT_TRUE(counter.compare_exchange(expected, 4));
  counter.store(kMin);
  EXPECT_EQ(counter.fetch_sub(1), kMin);
  EXPECT_EQ(counter.fetch_add(1), kMax);
  EXPECT_EQ(counter.fetch_sub(kMin), kMin);
  EXPECT_EQ(must(list[1].load<std::int64_t>()), 0) << "the slot and the counter are one";
}

TEST_P(SlotTest, AGaugeIsAnAtomicDouble) {
  const List list = PlacedTest::create({::atoll::pinned(1.5)});
  const Gauge gauge = must(list.gauge(0));
  EXPECT_EQ(gauge.load(), 1.5);
  EXPECT_EQ(gauge.exchange(1.0), 1.5);
  EXPECT_EQ(gauge.fetch_add(0.5), 1.0);
  EXPECT_EQ(gauge.fetch_sub(1.0), 1.5);
  EXPECT_EQ(gauge.fetch_max(8.0), 0.5);
  EXPECT_EQ(gauge.fetch_min(-0.0), 8.0);
  double expected = 0.0;
  EXPECT_FALSE(gauge.compare_exchange(expected, 1.0)) << "bits are compared";
  EXPECT_TRUE(std::signbit(expected));
  EXPECT_TRUE(gauge.compare_exchange(expected, kNan));
  EXPECT_TRUE(std::isnan(gauge.fetch_min(2.0)));
  EXPECT_EQ(gauge.load(), 2.0);
  gauge.store(7.0);
  EXPECT_EQ(must(list[0].load<double>()), 7.0);
}

// ---- The reference ------------------------------------------------------------------------------

TEST_P(SlotTest, CopiesOfASlotAreTheSameSlot) {
  const List list = PlacedTest::create({1, 2});
  const Slot slot = list[1];
  Slot copy = list[0];
  copy = slot;
  must(copy.store(3));
  EXPECT_EQ(must(slot.load<std::int64_t>()), 3);
  EXPECT_EQ(must(list[0].load<std::int64_t>()), 1);
  EXPECT_EQ(copy.index(), 1U);
}

TEST_P(SlotTest, AStreamShowsTheValue) {
  const Slot slot = make("idle");
  std::ostringstream out;
  out << slot;
  EXPECT_EQ(out.str(), "\"idle\"");
}

// ---- Allocations --------------------------------------------------------------------------------

// How many times `operation` allocates.
template <typename Operation>
std::size_t allocations_of(Operation operation) {
  const std::size_t before = allocations;
  operation();
  return allocations - before;
}

TEST(Allocations, AreCounted) {
  ATOLL_NEEDS_OWN_NEW();
  EXPECT_EQ(allocations_of([] { std::vector<int>(100).front() = 1; }), 1U);
}

TEST_P(SlotTest, NoSuccessfulOperationAllocates) {
  ATOLL_NEEDS_OWN_NEW();
  const List list =
      PlacedTest::create({::atoll::text(5'000), 0, 0.5, ::atoll::pinned(0), ::atoll::pinned(0.5)});
  const std::string text = pattern(5'000);
  const std::string other = pattern(4'999);
  std::vector<char> room(5'000);
  bool all = true;
  const auto done = [&all](const auto& result) { all = all && result.ok(); };
  const auto swapped = [&all](const auto& result) { all = all && result.ok() && *result; };
  const std::size_t count = allocations_of([&] {
    for (const std::string_view each : {std::string_view(text), std::string_view("short")}) {
      done(list[0].store(each));
      done(list[0].load_into(room));
      done(list[0].store(BytesView(each)));
      swapped(list[0].compare_exchange(BytesView(each), other));
      swapped(list[0].compare_exchange(other, each));
      done(list[0].type());
      done(list[0].capacity());
    }
    done(list[0].store(1));
    done(list[0].exchange(true));
    swapped(list[0].compare_exchange(true, nullptr));
    for (const std::size_t i : {1U, 3U}) {
      done(list[i].store(5));
      done(list[i].load());
      done(list[i].load<std::int64_t>());
      done(list[i].exchange(6));
      swapped(list[i].compare_exchange(6, 7));
      done(list[i].fetch_add(1));
      done(list[i].fetch_sub(1));
      done(list[i].fetch_and(1));
      done(list[i].fetch_or(1));
      done(list[i].fetch_xor(1));
      done(list[i].fetch_min(1));
      done(list[i].fetch_max(1));
    }
    for (const std::size_t i : {2U, 4U}) {
      done(list[i].store(1.5));
      done(list[i].load<double>());
      done(list[i].exchange(2.5));
      swapped(list[i].compare_exchange(2.5, 3.5));
      done(list[i].fetch_add(1.0));
      done(list[i].fetch_min(1.0));
    }
    done(list.at(-1));
    done(list.counter(3));
    done(list.gauge(4));
    done(list.count(text));
    done(list.index("nothing like it"));
  });
  EXPECT_EQ(count, 0U);
  EXPECT_TRUE(all);
}

}  // namespace
}  // namespace libatoll::test
