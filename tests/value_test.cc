#include "atoll/value.h"

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <limits>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "absl/random/random.h"
#include "absl/strings/string_view.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "seed.h"
#include "testing.h"
#include "values.h"

namespace libatoll::test {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
std::string streamed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

// ---- What converts ------------------------------------------------------------------------------

template <typename T>
constexpr bool kStores = std::convertible_to<T, ValueView>;

static_assert(kStores<bool> && kStores<int> && kStores<unsigned> && kStores<long> &&
              kStores<long long> && kStores<signed char> && kStores<unsigned char>);
static_assert(kStores<float> && kStores<double> && kStores<std::nullptr_t> &&
              kStores<std::monostate>);
static_assert(kStores<const char*> && kStores<char*> && kStores<char (&)[5]> &&
              kStores<std::string> && kStores<std::string_view> && kStores<absl::string_view>);
static_assert(kStores<Bytes> && kStores<BytesView> && kStores<Value>);
static_assert(!kStores<unsigned long> && !kStores<unsigned long long>,
              "who casts to int64 answers for the range");
static_assert(!kStores<char> && !kStores<wchar_t> && !kStores<char8_t> && !kStores<char16_t>,
              "characters are not numbers");
static_assert(!kStores<void*> && !kStores<int*> && !kStores<long double> &&
                  !kStores<std::vector<char>>,
              "no pointer becomes a bool, nothing is rounded, no container is guessed at");
static_assert(!std::constructible_from<Init, unsigned long>);

TEST(ValueView, KnowsTheTypeOfWhatItViews) {
  EXPECT_EQ(ValueView().type(), Type::kNone);
  EXPECT_EQ(ValueView(nullptr).type(), Type::kNone);
  EXPECT_EQ(ValueView(true).type(), Type::kBool);
  EXPECT_EQ(ValueView(7).type(), Type::kInt64);
  EXPECT_EQ(ValueView(std::uint8_t{7}).type(), Type::kInt64);
  EXPECT_EQ(ValueView(0.5F).type(), Type::kDouble);
  EXPECT_EQ(ValueView("idle").type(), Type::kText);
  EXPECT_EQ(ValueView(absl::string_view("idle")).type(), Type::kText);
  EXPECT_EQ(ValueView(Bytes("\0", 1)).type(), Type::kBytes);
}

TEST(ValueView, KeepsIntegersOfEveryWidth) {
  constexpr auto kMin = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(to_value(ValueView(kMin)), Value(kMin));
  EXPECT_EQ(to_value(ValueView(std::int8_t{-1})), Value(std::int64_t{-1}));
  EXPECT_EQ(to_value(ValueView(std::uint32_t{0xffff'ffff})), Value(std::int64_t{0xffff'ffff}));
}

TEST(ValueView, KeepsEveryByteOfText) {
  const std::string text("a\0b\0", 4);
  EXPECT_EQ(ValueView(text).contents(), text);
  EXPECT_EQ(ValueView(absl::string_view(text)).contents(), text);
  EXPECT_EQ(ValueView(BytesView(text)).contents(), text);
}

TEST(ValueView, OfAnEmptyStringViewIsEmptyText) {
  EXPECT_EQ(to_value(ValueView(std::string_view())), Value(std::string()));
  EXPECT_EQ(to_value(ValueView(absl::string_view())), Value(std::string()));
  EXPECT_EQ(to_value(ValueView(BytesView())), Value(Bytes()));
}

TEST(ValueView, HasNoContentsUnlessItIsTextOrBytes) {
  EXPECT_EQ(ValueView(7).contents(), "");
  EXPECT_EQ(ValueView(nullptr).contents(), "");
}

TEST(ValueView, OfAValueViewsEveryAlternative) {
  for (const Value& value : {Value(), Value(true), Value(std::int64_t{-3}), Value(2.5),
                             Value("text"), Value(Bytes("\x00\xff", 2))}) {
    EXPECT_EQ(to_value(ValueView(value)), value);
    EXPECT_EQ(ValueView(value).type(), type_of(value));
  }
}

// ---- Equality -----------------------------------------------------------------------------------

TEST(Value, OfAnotherTypeIsNotEqual) {
  const std::vector<Value> values = {Value(),    Value(true), Value(std::int64_t{1}),
                                     Value(1.0), Value("1"),  Value(Bytes("1", 1))};
  for (std::size_t i = 0; i < values.size(); ++i) {
    for (std::size_t k = 0; k < values.size(); ++k) {
      EXPECT_EQ(values[i] == values[k], i == k) << values[i] << " and " << values[k];
      EXPECT_EQ(ValueView(values[i]) == ValueView(values[k]), i == k);
    }
  }
}

TEST(Value, ComparesDoublesAsNumbers) {
  EXPECT_EQ(ValueView(0.0), ValueView(-0.0));
  EXPECT_FALSE(ValueView(kNan) == ValueView(kNan));
}

// ---- Bytes --------------------------------------------------------------------------------------

TEST(Bytes, OwnWhatTheyWereMadeFrom) {
  std::string source("\x00\x01\x00", 3);
  const Bytes bytes{BytesView(source)};
  source.assign("gone");
  EXPECT_EQ(bytes.size(), 3U);
  EXPECT_EQ(bytes.as_string(), std::string("\x00\x01\x00", 3));
  EXPECT_EQ(bytes, Bytes("\x00\x01\x00", 3));
  EXPECT_FALSE(bytes.empty());
  EXPECT_TRUE(Bytes().empty());
}

TEST(Bytes, CanBeChanged) {
  Bytes bytes("abc", 3);
  bytes.data()[1] = 'X';
  EXPECT_EQ(bytes, Bytes("aXc", 3));
}

TEST(BytesView, ViewsASpanOfBytes) {
  const std::array<std::byte, 2> source = {std::byte{0}, std::byte{255}};
  const BytesView view = std::span<const std::byte>(source);
  EXPECT_EQ(view.as_string_view(), std::string_view("\x00\xff", 2));
  EXPECT_EQ(view, BytesView("\x00\xff", 2));
  EXPECT_EQ(view.size(), 2U);
  EXPECT_FALSE(view.empty());
}

// ---- For people ---------------------------------------------------------------------------------

TEST(ToString, WritesALiteralOfEachType) {
  EXPECT_EQ(to_string(nullptr), "none");
  EXPECT_EQ(to_string(true), "true");
  EXPECT_EQ(to_string(false), "false");
  EXPECT_EQ(to_string(-7), "-7");
  EXPECT_EQ(to_string(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
  EXPECT_EQ(to_string("idle"), "\"idle\"");
  EXPECT_EQ(to_string(""), "\"\"");
  EXPECT_EQ(to_string(BytesView("\x00\xff", 2)), "0x:00ff");
  EXPECT_EQ(to_string(BytesView()), "0x:");
}

TEST(ToString, ShowsThatADoubleIsOne) {
  EXPECT_EQ(to_string(1.0), "1.0");
  EXPECT_EQ(to_string(-0.0), "-0.0");
  EXPECT_EQ(to_string(0.1), "0.1");
  EXPECT_EQ(to_string(1e300), "1e+300");
  EXPECT_EQ(to_string(kInfinity), "inf");
  EXPECT_EQ(to_string(-kInfinity), "-inf");
  EXPECT_EQ(to_string(kNan), "nan");
  EXPECT_EQ(to_string(-kNan), "nan");
}

TEST(ToString, WritesDoublesThatReadBackToTheSameBits) {
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 123456789.125, 1e22}) {
    EXPECT_EQ(std::strtod(to_string(value).c_str(), nullptr), value);
  }
}

TEST(ToString, EscapesWhatDoesNotPrintAndKeepsUtf8) {
  EXPECT_EQ(to_string(std::string_view("a\0\n\"\\", 5)), R"("a\x00\n\"\\")");
  EXPECT_EQ(to_string("\xc3\xa9"), "\"\xc3\xa9\"");
}

::testing::AssertionResult comes_back(const Value& value) {
  const std::string literal = to_string(value);
  const absl::StatusOr<Value> back = parse_value(literal);
  if (!back.ok() || !reads_the_same(*back, value)) {
    return ::testing::AssertionFailure() << literal << ": " << back.status();
  }
  if (!prints(literal)) {
    return ::testing::AssertionFailure() << literal << " is not UTF-8, or has a control character";
  }
  return ::testing::AssertionSuccess();
}

TEST(ToString, EscapesWhatMovesTheCursorOrIsNotUtf8) {
  EXPECT_EQ(to_string("é 漢 🙂 it's"), "\"é 漢 🙂 it's\"");
  EXPECT_EQ(to_string("\n\t\r\x1b[2J"), R"("\n\t\r\x1b[2J")");
  EXPECT_EQ(to_string("\xc2\x9b"
                      "2J"),
            R"("\xc2\x9b\x32J")")
      << "a control character of two bytes";
  EXPECT_EQ(to_string("\xff"
                      "A\xc3"),
            R"("\xff\x41\xc3")");
  EXPECT_EQ(streamed(Value("\xc2\x80")), R"("\xc2\x80")");
}

TEST(ToString, ReadsBackToTheSameWhateverTheValue) {
  std::mt19937_64 random(process::seed_from("ATOLL_VALUE_SEED"));
  constexpr int kRounds = 100'000;
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  const std::string alphabet("\0\x01\n\"\\'x0a9f \x7f\x80\xc2\x9b\xe2\x80\xae\xf0\x9f\x99\x82\xff",
                             24);
  for (int round = 0; round < kRounds; ++round) {
    const auto bits = absl::Uniform<std::uint64_t>(random);
    ASSERT_TRUE(comes_back(static_cast<std::int64_t>(bits)));
    ASSERT_TRUE(comes_back(std::bit_cast<double>(bits)));
    std::string text(absl::Uniform(random, 0U, 12U), '\0');
    for (char& byte : text) {
      byte = absl::Bernoulli(random, 0.5)
                 ? alphabet[absl::Uniform<std::size_t>(random, 0, alphabet.size())]
                 : static_cast<char>(absl::Uniform(random, 0, 256));
    }
    ASSERT_TRUE(comes_back(text));
    ASSERT_TRUE(comes_back(Bytes(text)));
  }
  for (const double number : {0.0, -0.0, 1.0, 1e300, 5e-324, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
    EXPECT_TRUE(comes_back(number));
  }
  for (const Value& value : {Value(), Value(true), Value(false), Value(kLowest), Value("none"),
                             Value("1"), Value("0x:00"), Value("\"")}) {
    EXPECT_TRUE(comes_back(value));
  }
}

TEST(ToString, IsWhatStreamsShow) {
  EXPECT_EQ(streamed(ValueView(1.0)), "1.0");
  EXPECT_EQ(streamed(Value("x")), "\"x\"");
  EXPECT_EQ(streamed(Bytes("\x0f", 1)), "0x:0f");
  EXPECT_EQ(streamed(Type::kInt64), "int64");
}

TEST(TypeName, NamesEveryType) {
  EXPECT_EQ(type_name(Type::kNone), "none");
  EXPECT_EQ(type_name(Type::kBool), "bool");
  EXPECT_EQ(type_name(Type::kInt64), "int64");
  EXPECT_EQ(type_name(Type::kDouble), "double");
  EXPECT_EQ(type_name(Type::kText), "text");
  EXPECT_EQ(type_name(Type::kBytes), "bytes");
}

TEST(TypeName, OfWhatIsNoTypeIsUnknown) { EXPECT_EQ(type_name(Type{200}), "unknown"); }

// ---- Initial values -----------------------------------------------------------------------------

TEST(Init, OfAValueAsksForNoCapacity) {
  const Init init = "idle";
  EXPECT_EQ(init.value(), Value("idle"));
  EXPECT_EQ(init.capacity(), std::nullopt);
  EXPECT_FALSE(init.is_pinned());
}

TEST(Init, TakesNothingThatAStoreDoesNotTake) {
  EXPECT_FALSE((std::constructible_from<Init, char>));
  EXPECT_FALSE((std::constructible_from<Init, wchar_t>));
  EXPECT_FALSE((std::constructible_from<ValueView, char>));
}

TEST(Init, OfTextAndBytesKeepsTheCapacityAskedFor) {
  EXPECT_EQ(text(64).value(), Value(""));
  EXPECT_EQ(text(64).capacity(), 64U);
  EXPECT_EQ(text("idle", 65).value(), Value("idle"));
  EXPECT_EQ(text("idle", 65).capacity(), 65U);
  EXPECT_EQ(bytes(0).value(), Value(Bytes()));
  EXPECT_EQ(bytes(0).capacity(), 0U);
  EXPECT_EQ(bytes(BytesView("\0", 1), 3).value(), Value(Bytes("\0", 1)));
}

TEST(Init, OfAnyValueMayAskForCapacity) {
  EXPECT_EQ(with_capacity(7, 64).value(), Value(7));
  EXPECT_EQ(with_capacity(std::monostate(), 64).capacity(), 64U);
  EXPECT_FALSE(with_capacity(7, 64).is_pinned());
  const List list = must(List::create_anonymous({with_capacity(7, 64), with_capacity(true, 0)}));
  EXPECT_EQ(must(list[0].capacity()), 64U);
  EXPECT_EQ(must(list[1].capacity()), 8U);
  EXPECT_TRUE(succeeds(list[0].fetch_add(1)));
  EXPECT_TRUE(succeeds(list[0].store(std::string(64, 'x'))));
}

TEST(Init, IsPinnedToTheTypeOfTheNumber) {
  EXPECT_TRUE(pinned(0).is_pinned());
  EXPECT_EQ(type_of(pinned(0).value()), Type::kInt64);
  EXPECT_TRUE(pinned(0.0F).is_pinned());
  EXPECT_EQ(type_of(pinned(0.0F).value()), Type::kDouble);
}

TEST(Fill, KeepsOneInitForAllSlots) {
  const Fill many = fill(1'000'000, text("x", 9));
  EXPECT_EQ(many.count(), 1'000'000U);
  EXPECT_EQ(many.init().value(), Value("x"));
  EXPECT_EQ(many.init().capacity(), 9U);
}

// ---- The public spelling ------------------------------------------------------------------------

TEST(PublicNames, AreTheSameThings) {
  static_assert(std::same_as<::atoll::Value, Value> && std::same_as<::atoll::Slot, Slot> &&
                std::same_as<::atoll::List, List> && std::same_as<::atoll::Counter, Counter>);
  EXPECT_EQ(::atoll::to_string(::atoll::Bytes("\x01", 1)), "0x:01");
  EXPECT_EQ(::atoll::type_name(::atoll::Type::kNone), "none");
  EXPECT_EQ(::atoll::type_of(::atoll::to_value(1.5)), ::atoll::Type::kDouble);
  EXPECT_EQ(::atoll::fill(3, ::atoll::text("x", 8)).count(), 3U);
  EXPECT_EQ(::atoll::bytes(9).capacity(), 9U);
  EXPECT_EQ(::atoll::with_capacity(1, 9).capacity(), 9U);
  EXPECT_EQ(::atoll::bytes(BytesView("x", 1), 9).capacity(), 9U);
  EXPECT_TRUE(::atoll::pinned(1).is_pinned());
}

TEST(PublicNames, LeaveTheFunctionOfTheCLibraryAlone) { EXPECT_EQ(::atoll("42"), 42LL); }

}  // namespace
}  // namespace libatoll::test
