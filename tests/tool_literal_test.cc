// How the `atoll` command cuts text.

#include "gtest/gtest.h"

#include "../tools/literal.h"

namespace {

using tool::cut;

TEST(Cut, CountsCharactersNotBytes) {
  EXPECT_EQ(cut("abc", 3), "abc");
  EXPECT_EQ(cut("abcd", 3), "ab…");
  EXPECT_EQ(cut("éééé", 3), "éé…");
  EXPECT_EQ(cut("éé", 2), "éé");
  EXPECT_EQ(cut("ab", 1), "…");
  EXPECT_EQ(cut("", 1), "");
}

}  // namespace
