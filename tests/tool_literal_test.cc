// What the `atoll` command prints of values: it reads back to the same value, and moves no cursor.

#include <bit>
#include <cmath>
#include <limits>
#include <string>

#include "absl/random/random.h"
#include "gtest/gtest.h"

#include "../tools/literal.h"

namespace {

using libatoll::Bytes;
using libatoll::Value;
using tool::cut;
using tool::is_utf8;
using tool::printable;
using tool::to_literal;

bool same(const Value& a, const Value& b) {
  const auto* const x = std::get_if<double>(&a);
  const auto* const y = std::get_if<double>(&b);
  if (x != nullptr && y != nullptr) {
    return std::isnan(*x) ? std::isnan(*y)
                          : std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y);
  }
  return a == b;
}

::testing::AssertionResult comes_back(const Value& value) {
  const std::string literal = to_literal(value);
  const absl::StatusOr<Value> back = libatoll::parse_value(literal);
  if (!back.ok() || !same(*back, value)) {
    return ::testing::AssertionFailure() << literal << ": " << back.status();
  }
  if (!is_utf8(literal)) {
    return ::testing::AssertionFailure() << literal << " is not UTF-8";
  }
  for (const char byte : literal) {
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) {
      return ::testing::AssertionFailure() << literal << " has a control character";
    }
  }
  return ::testing::AssertionSuccess();
}

TEST(Literal, ShowsTextAsItIsWhereItPrints) {
  EXPECT_EQ(to_literal(Value("idle")), "\"idle\"");
  EXPECT_EQ(to_literal(Value("é 漢 🙂")), "\"é 漢 🙂\"");
  EXPECT_EQ(to_literal(Value("a\"b\\c")), R"("a\"b\\c")");
  EXPECT_EQ(to_literal(Value("a\n\t\r")), R"("a\n\t\r")");
}

TEST(Literal, EscapesWhatMovesTheCursorOrIsNotUtf8) {
  EXPECT_EQ(printable("\x1b[2J"), "\\x1b[2J");
  EXPECT_EQ(printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b\\x32J")
      << "CSI as one character";
  EXPECT_EQ(printable("\xe2\x80\xae"
                      "x"),
            "\\xe2\\x80\\xaex")
      << "right-to-left override";
  EXPECT_EQ(printable("\xff\xfe"), "\\xff\\xfe");
  EXPECT_EQ(printable(std::string_view("\0"
                                       "7",
                                       2)),
            "\\x00\\x37")
      << "7 is no third digit";
  EXPECT_EQ(printable("\n7"), "\\n7");
  EXPECT_EQ(printable("\xc3"), "\\xc3") << "cut short";
}

TEST(Utf8, IsWhatUnicodeSaysItIs) {
  for (const std::string_view good : {"", "a", "é", "漢", "🙂", "\xf4\x8f\xbf\xbf",
                                      "\xed\x9f\xbf", "\xee\x80\x80", "\xc2\x80", "\xe0\xa0\x80"}) {
    EXPECT_TRUE(is_utf8(good)) << printable(good);
  }
  for (const std::string_view bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff", "\xc3(", "\xfe"}) {
    EXPECT_FALSE(is_utf8(bad)) << printable(bad);
  }
}

TEST(Cut, CountsCharactersNotBytes) {
  EXPECT_EQ(cut("abc", 3), "abc");
  EXPECT_EQ(cut("abcd", 3), "ab…");
  EXPECT_EQ(cut("éééé", 3), "éé…");
  EXPECT_EQ(cut("éé", 2), "éé");
  EXPECT_EQ(cut("ab", 1), "…");
  EXPECT_EQ(cut("", 1), "");
}

TEST(Literal, ComesBackWhateverTheValue) {
  absl::BitGen random;
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

}  // namespace
