#include "escape.h"

#include <string_view>

#include "gtest/gtest.h"

namespace libatoll::detail {
namespace {

std::string printable(std::string_view text) { return escaped(text, ""); }

TEST(Escaped, HasNothingThatMovesTheCursorOrIsNotUtf8) {
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

TEST(Escaped, LeavesAsItIsWhatPrints) {
  EXPECT_EQ(printable("it's \"\\\" é 漢 🙂 \xc2\xa0"), "it's \"\\\" é 漢 🙂 \xc2\xa0");
  EXPECT_EQ(escaped("a\"b\\c", "\"\\"), R"(a\"b\\c)");
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

}  // namespace
}  // namespace libatoll::detail
