// Stamps: load_stamped and compare_exchange(stamp) for every type, in every layout and place. A write
// in between is always noticed, also if it brought an equal value back; what fails changes nothing.

#include <cmath>
#include <limits>

#include "testing.h"
#include "values.h"

namespace libatoll {
namespace {

using test::Code;
using test::fails;
using test::must;
using test::same;
using test::state_of;
using test::succeeds;

constexpr std::size_t kCapacity = 48;

class StampTest : public test::PlacedTest {};

// Values of every type, short and long, no two alike.
const std::vector<Value>& values() {
  static const std::vector<Value>& all = *new std::vector<Value>{
      std::monostate(),
      true,
      false,
      std::int64_t{0},
      std::numeric_limits<std::int64_t>::min(),
      0.0,
      -0.0,
      std::numeric_limits<double>::infinity(),
      std::string(),
      std::string("idle"),
      std::string("12345678"),
      std::string("123456789"),
      std::string(kCapacity, 'x'),
      std::string("with\0NUL\0", 9),
      Bytes(std::string("\0\1", 2)),
      Bytes(std::string(kCapacity - 1, '\xff')),
  };
  return all;
}

TEST_P(StampTest, LoadsTheValueWithItsStamp) {
  const List list = create({text(kCapacity)});
  const Slot slot = list[0];
  std::uint64_t version = 0;
  for (const Value& value : values()) {
    ASSERT_TRUE(succeeds(slot.store(value)));
    const StampedValue stamped = must(slot.load_stamped());
    EXPECT_TRUE(same(stamped.value, value)) << stamped.value << ", expected " << value;
    EXPECT_EQ(stamped.stamp.version(), ++version);
    EXPECT_EQ(stamped.stamp, slot.stamp());
  }
}

TEST_P(StampTest, EveryTypeGivesWayToEveryType) {
  const List list = create({text(kCapacity)});
  const Slot slot = list[0];
  std::size_t exchanges = 0;
  for (const Value& from : values()) {
    for (const Value& to : values()) {
      ASSERT_TRUE(succeeds(slot.store(from)));
      Stamp stamp = slot.stamp();
      const std::uint64_t version = slot.version();
      ASSERT_TRUE(must(slot.compare_exchange(stamp, to))) << from << " to " << to;
      EXPECT_TRUE(same(must(slot.load()), to)) << from << " to " << to;
      EXPECT_EQ(slot.version(), version + 1);
      EXPECT_EQ(stamp, slot.stamp()) << "the stamp is not that of the value just written";
      ++exchanges;
    }
  }
  EXPECT_EQ(exchanges, values().size() * values().size());
}

// ABA: the slot holds the very same value again, and nobody is fooled.
TEST_P(StampTest, AnEqualValueWrittenInBetweenIsNoticed) {
  const List list = create({text(kCapacity)});
  const Slot slot = list[0];
  for (const Value& value : values()) {
    for (const bool by_another_way : {false, true}) {
      ASSERT_TRUE(succeeds(slot.store(value)));
      Stamp stamp = slot.stamp();
      const Stamp old = stamp;
      if (by_another_way) {
        ASSERT_TRUE(succeeds(slot.store("other")));
      }
      ASSERT_TRUE(succeeds(slot.store(value)));

      const test::State before = state_of(slot);
      EXPECT_FALSE(must(slot.compare_exchange(stamp, "mine, and too long for a header")))
          << value << " came back unnoticed";
      EXPECT_EQ(state_of(slot), before) << "a failed exchange changed the slot";
      EXPECT_NE(stamp, old);
      EXPECT_EQ(stamp, slot.stamp());

      EXPECT_TRUE(must(slot.compare_exchange(stamp, "mine, and too long for a header")));
      EXPECT_EQ(must(slot.load<std::string>()), "mine, and too long for a header");
      EXPECT_EQ(stamp, slot.stamp());
    }
  }
}

// The value that comes back lies in the same buffer as before: the header's payload is the same, too,
// and only the version tells.
TEST_P(StampTest, LongTextThatCameBackInTheSameBufferIsNoticed) {
  const std::string text(kCapacity, 't');
  const List list = create({libatoll::text(text, kCapacity)});
  const Slot slot = list[0];
  test::Raw raw = home().raw(list);
  const detail::Word old = raw.word(0);
  ASSERT_TRUE(old.is_long());
  Stamp stamp = slot.stamp();
  int writes = 0;
  do {
    ASSERT_LT(++writes, 100) << "the first buffer never comes round";
    ASSERT_TRUE(succeeds(slot.store(text)));
  } while (raw.word(0).payload != old.payload);
  EXPECT_FALSE(must(slot.compare_exchange(stamp, 1)));
  EXPECT_EQ(stamp.version(), static_cast<std::uint64_t>(writes));
  EXPECT_EQ(must(slot.load<std::string>()), text);
}

TEST_P(StampTest, AChainOfExchangesNeedsNoLoad) {
  const List list = create({text(kCapacity), 0});
  for (const Slot slot : list) {
    Stamp stamp = slot.stamp();
    for (int i = 1; i <= 1000; ++i) {
      const std::string text(slot.index() == 0 ? 9 + static_cast<std::size_t>(i) % 40 : 5, 'c');
      ASSERT_TRUE(
          must(i % 3 == 0 ? slot.compare_exchange(stamp, i) : slot.compare_exchange(stamp, text)))
          << "link " << i;
      ASSERT_EQ(stamp.version(), static_cast<std::uint64_t>(i));
    }
    EXPECT_EQ(slot.version(), 1000U);
    // And a foreign write breaks it.
    ASSERT_TRUE(succeeds(slot.store(0)));
    EXPECT_FALSE(must(slot.compare_exchange(stamp, 1)));
    EXPECT_EQ(must(slot.load<std::int64_t>()), 0);
  }
}

// A waiter's mark is no write: it neither shows in a stamp nor makes an exchange fail.
TEST_P(StampTest, AWaitersMarkIsNoWrite) {
  const List list = create({text(kCapacity)});
  const Slot slot = list[0];
  test::Raw raw = home().raw(list);
  Stamp stamp = slot.stamp();
  // A wait whose time runs out before it has begun announces nobody.
  for (int attempt = 0; attempt < 1000 && !raw.word(0).has_waiters(); ++attempt) {
    EXPECT_TRUE(
        fails(slot.wait(stamp, absl::Milliseconds(1)), Code::kDeadlineExceeded, {"slot 0"}));
  }
  ASSERT_TRUE(raw.word(0).has_waiters()) << "the wait left no mark to be tested";
  EXPECT_EQ(slot.stamp(), stamp);
  EXPECT_EQ(slot.version(), 0U);
  EXPECT_EQ(must(slot.load_stamped()).stamp, stamp);
  EXPECT_TRUE(must(slot.compare_exchange(stamp, "longer than a header")));
  EXPECT_FALSE(raw.word(0).has_waiters());
  EXPECT_EQ(slot.version(), 1U);
}

TEST_P(StampTest, PinnedSlotsCompareByValue) {
  const List list = create({pinned(7), pinned(0.5)});
  {
    const Slot slot = list[0];
    Stamp stamp = must(slot.load_stamped()).stamp;
    EXPECT_EQ(must(slot.load_stamped()).value, Value(7));
    ASSERT_TRUE(succeeds(slot.store(8)));
    const Stamp eight = slot.stamp();
    EXPECT_NE(stamp, eight);
    EXPECT_FALSE(must(slot.compare_exchange(stamp, 9)));
    EXPECT_EQ(stamp, eight) << "the current stamp was not told";
    EXPECT_EQ(must(slot.load<std::int64_t>()), 8);
    // Went and came back: not noticed, as the manual says.
    ASSERT_TRUE(succeeds(slot.store(100)));
    ASSERT_TRUE(succeeds(slot.store(8)));
    EXPECT_TRUE(must(slot.compare_exchange(stamp, 9)));
    EXPECT_EQ(must(slot.load<std::int64_t>()), 9);
    EXPECT_EQ(stamp, slot.stamp());
    EXPECT_TRUE(must(slot.compare_exchange(stamp, 10))) << "the chain broke";
    EXPECT_EQ(slot.version(), 0U);
  }
  {
    // In their bits: the zeros differ, NaN equals itself.
    const Slot slot = list[1];
    const double nan = std::numeric_limits<double>::quiet_NaN();
    ASSERT_TRUE(succeeds(slot.store(0.0)));
    Stamp stamp = slot.stamp();
    ASSERT_TRUE(succeeds(slot.store(-0.0)));
    EXPECT_FALSE(must(slot.compare_exchange(stamp, nan)));
    EXPECT_TRUE(must(slot.compare_exchange(stamp, nan)));
    EXPECT_TRUE(std::isnan(must(slot.load<double>())));
    EXPECT_TRUE(must(slot.compare_exchange(stamp, 1.5)));
    EXPECT_EQ(must(slot.load<double>()), 1.5);
  }
}

TEST_P(StampTest, WhatIsRefusedChangesNothing) {
  const List list = create({text("first", kCapacity), pinned(1), pinned(1.0), 5});
  const auto refused = [&](const List& through, std::size_t index, const ValueView& desired,
                           Code code, std::initializer_list<std::string_view> parts) {
    const test::State before = state_of(list[index]);
    Stamp stamp = through[index].stamp();
    const Stamp old = stamp;
    EXPECT_TRUE(fails(through[index].compare_exchange(stamp, desired), code, parts));
    EXPECT_EQ(state_of(list[index]), before);
    EXPECT_EQ(stamp, old) << "an error changed the caller's stamp";
  };
  refused(list, 0, std::string(kCapacity + 1, 'x'), Code::kResourceExhausted,
          {"slot 0", home().label(), "48", "49"});
  refused(list, 3, "longer than eight", Code::kResourceExhausted, {"slot 3", "8", "17"});
  refused(list, 1, "text", Code::kFailedPrecondition, {"slot 1", "int64", "text"});
  refused(list, 1, 1.0, Code::kFailedPrecondition, {"slot 1", "int64", "double"});
  refused(list, 2, 1, Code::kFailedPrecondition, {"slot 2", "double", "int64"});
  refused(list, 2, nullptr, Code::kFailedPrecondition, {"slot 2", "double", "none"});

  const List reader = must(home().attach(list, {.read_only = true}));
  for (std::size_t i = 0; i < list.size(); ++i) {
    refused(reader, i, 1, Code::kPermissionDenied, {"read-only", home().label()});
    EXPECT_EQ(must(reader[i].load_stamped()).stamp, list[i].stamp());
  }
}

// An error of the value counts, whether or not the stamp still holds.
TEST_P(StampTest, AStaleStampDoesNotHideAnError) {
  const List list = create({0});
  Stamp stamp = list[0].stamp();
  ASSERT_TRUE(succeeds(list[0].store(0)));
  EXPECT_TRUE(fails(list[0].compare_exchange(stamp, "longer than eight"), Code::kResourceExhausted,
                    {"slot 0"}));
  EXPECT_EQ(stamp.version(), 0U);
}

INSTANTIATE_TEST_SUITE_P(All, StampTest, test::everywhere(), test::name_of_place);

}  // namespace
}  // namespace libatoll
