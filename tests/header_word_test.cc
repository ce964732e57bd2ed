#include "atoll/detail/header_word.h"

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <thread>

#include "gtest/gtest.h"

namespace libatoll::detail {
namespace {

constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kVersionMax = (std::uint64_t{1} << 55) - 1;

Word word(std::uint64_t payload, std::uint64_t version, Tag tag, std::uint32_t length = 0) {
  return {payload, make_meta(version, tag, length)};
}

// ---- The bits -----------------------------------------------------------------------------------

TEST(Word, TakesApartWhatMakeMetaPutTogether) {
  for (const std::uint64_t version : {std::uint64_t{0}, std::uint64_t{1}, kVersionMax}) {
    for (const Tag tag : {Tag::kNone, Tag::kInlineText, Tag::kPinnedDouble}) {
      for (const std::uint32_t length : {0U, 1U, 8U, 15U}) {
        const Word made = word(7, version, tag, length);
        EXPECT_EQ(made.version(), version);
        EXPECT_EQ(made.tag(), tag);
        EXPECT_EQ(made.inline_length(), length);
        EXPECT_FALSE(made.has_waiters());
      }
    }
  }
}

TEST(Word, KeepsTheWaitersBitApartFromTheOthers) {
  Word waited = word(0, 5, Tag::kInt64, 8);
  waited.meta |= kWaitersBit;
  EXPECT_TRUE(waited.has_waiters());
  EXPECT_EQ(waited.version(), 5U);
  EXPECT_EQ(waited.tag(), Tag::kInt64);
  EXPECT_EQ(waited.inline_length(), 8U);
}

TEST(Word, HoldsTheLengthAndBufferOfLongText) {
  const Word seen = word(long_payload(kLongLengthMax, 7), 0, Tag::kLongText);
  EXPECT_EQ(seen.long_length(), kLongLengthMax);
  EXPECT_EQ(seen.buffer(), 7U);
  EXPECT_TRUE(seen.names_buffer(7));
  EXPECT_FALSE(seen.names_buffer(6));
}

TEST(Word, NamesNoBufferUnlessItIsLongText) {
  EXPECT_FALSE(word(long_payload(9, 7), 0, Tag::kInlineText).names_buffer(7));
  EXPECT_TRUE(word(0, 0, Tag::kLongBytes).is_long());
  EXPECT_FALSE(word(0, 0, Tag::kInlineBytes).is_long());
}

TEST(Word, IsPinnedByItsTagAlone) {
  EXPECT_TRUE(word(0, 0, Tag::kPinnedInt64).is_pinned());
  EXPECT_TRUE(word(0, 0, Tag::kPinnedDouble).is_pinned());
  EXPECT_FALSE(word(0, 0, Tag::kInt64).is_pinned());
}

TEST(Word, OfZeroedMemoryHasNoTag) {
  for (const Tag tag :
       {Tag::kNone, Tag::kBool, Tag::kInt64, Tag::kDouble, Tag::kInlineText, Tag::kInlineBytes,
        Tag::kLongText, Tag::kLongBytes, Tag::kPinnedInt64, Tag::kPinnedDouble}) {
    EXPECT_NE(Word().tag(), tag);
  }
}

TEST(Successor, RaisesTheVersionByOneAndForgetsTheRest) {
  Word seen = word(1, 41, Tag::kInlineText, 8);
  seen.meta |= kWaitersBit;
  EXPECT_EQ(successor(seen, 2, Tag::kBool), word(2, 42, Tag::kBool));
  EXPECT_EQ(successor(seen, 3, Tag::kInlineBytes, 5), word(3, 42, Tag::kInlineBytes, 5));
}

TEST(Successor, OfTheLastVersionIsTheFirstAndSpillsNowhere) {
  EXPECT_EQ(successor(word(1, kVersionMax, Tag::kInt64), 2, Tag::kInt64), word(2, 0, Tag::kInt64));
}

// ---- The compare-and-swap -----------------------------------------------------------------------

TEST(CompareExchange, SwapsBothHalves) {
  Header header = {};
  initialize(header, word(1, 0, Tag::kInt64));
  Word expected = word(1, 0, Tag::kInt64);
  EXPECT_TRUE(compare_exchange(header, expected, word(~std::uint64_t{0}, 9, Tag::kDouble)));
  EXPECT_EQ(read(header), word(~std::uint64_t{0}, 9, Tag::kDouble));
}

TEST(CompareExchange, TellsWhatItFoundAndChangesNothing) {
  const Word held = word(1, 3, Tag::kInt64);
  Header header = {};
  initialize(header, held);
  for (const Word& wrong :
       {word(2, 3, Tag::kInt64), word(1, 4, Tag::kInt64), word(1, 3, Tag::kDouble)}) {
    Word expected = wrong;
    EXPECT_FALSE(compare_exchange(header, expected, word(5, 4, Tag::kInt64)));
    EXPECT_EQ(expected, held);
    EXPECT_EQ(read(header), held);
  }
}

TEST(CompareExchange, LeavesItsNeighboursAlone) {
  alignas(64) Header headers[3] = {};
  for (Header& header : headers) {
    initialize(header, word(7, 0, Tag::kInt64));
  }
  Word expected = word(7, 0, Tag::kInt64);
  EXPECT_TRUE(compare_exchange(headers[1], expected, word(8, 1, Tag::kInt64)));
  EXPECT_EQ(read(headers[0]), word(7, 0, Tag::kInt64));
  EXPECT_EQ(read(headers[2]), word(7, 0, Tag::kInt64));
}

TEST(CompareExchange, LosesNoIncrementOfTwoThreads) {
  constexpr int kIncrements = 20'000;
  Header header = {};
  initialize(header, word(0, 0, Tag::kInt64));
  const auto increment = [&header] {
    for (int i = 0; i < kIncrements; ++i) {
      Word seen = read(header);
      while (!compare_exchange(header, seen, successor(seen, seen.payload + 1, Tag::kInt64))) {
      }
    }
  };
  std::thread other(increment);
  increment();
  other.join();
  EXPECT_EQ(read(header), word(2 * kIncrements, 2 * kIncrements, Tag::kInt64));
}

// The payload that belongs to a version: no other pair is ever written.
std::uint64_t payload_of(std::uint64_t version) { return version * 0x9e37'79b9'7f4a'7c15; }

TEST(Read, NeverPairsAPayloadWithTheMetaOfAnother) {
  constexpr int kVersionsSeen = 1'000;
  Header header = {};
  initialize(header, word(payload_of(0), 0, Tag::kInt64));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    Word seen = read(header);
    while (!done) {
      if (compare_exchange(header, seen,
                           successor(seen, payload_of(seen.version() + 1), Tag::kInt64))) {
        seen = read(header);
      }
    }
  });
  // As many different versions read are as many reads between two of the writer's writes.
  int versions = 0;
  std::uint64_t last = 0;
  bool torn = false;
  while (versions < kVersionsSeen && !torn) {
    const Word seen = read(header);
    torn = seen.payload != payload_of(seen.version()) || seen.version() < last;
    versions += seen.version() != last ? 1 : 0;
    last = seen.version();
  }
  done = true;
  writer.join();
  EXPECT_FALSE(torn);
}

// Where it fails, it has seen both halves at one instant, as a read does. (With a pair of exclusives
// they are two loads.)
TEST(CompareExchange, NeverTellsAPayloadWithTheMetaOfAnother) {
  constexpr int kVersionsSeen = 1'000;
  Header header = {};
  initialize(header, word(payload_of(0), 0, Tag::kInt64));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    Word seen = read(header);
    while (!done) {
      const Word next = successor(seen, payload_of(seen.version() + 1), Tag::kInt64);
      if (compare_exchange(header, seen, next)) {
        seen = next;
      }
    }
  });
  int versions = 0;
  std::uint64_t last = 0;
  bool torn = false;
  bool swapped = false;
  while (versions < kVersionsSeen && !torn && !swapped) {
    Word seen = word(0, kVersionMax, Tag::kBool);  // never there
    swapped = compare_exchange(header, seen, word(0, 0, Tag::kBool));
    torn = seen.payload != payload_of(seen.version());
    versions += seen.version() != last ? 1 : 0;
    last = seen.version();
  }
  done = true;
  writer.join();
  EXPECT_FALSE(torn);
  EXPECT_FALSE(swapped);
}

TEST(RereadMeta, IsTheMetaThatReadSaw) {
  Header header = {};
  initialize(header, word(4, 2, Tag::kBool));
  EXPECT_EQ(reread_meta(header), read(header).meta);
  EXPECT_EQ(peek_tag(header), Tag::kBool);
}

// ---- Pinned payloads ----------------------------------------------------------------------------

class Pinned : public testing::Test {
 protected:
  void hold(std::int64_t value) { initialize(header_, word(to_bits(value), 0, Tag::kPinnedInt64)); }
  void hold(double value) { initialize(header_, word(to_bits(value), 0, Tag::kPinnedDouble)); }
  std::int64_t number() const { return pinned_load<std::int64_t>(header_); }

  Header header_ = {};
};

TEST_F(Pinned, EveryOperationReturnsThePreviousValue) {
  hold(std::int64_t{12});
  EXPECT_EQ(pinned_exchange<std::int64_t>(header_, 10), 12);
  EXPECT_EQ(pinned_fetch_add(header_, 5), 10);
  EXPECT_EQ(pinned_fetch_and(header_, 12), 15);
  EXPECT_EQ(pinned_fetch_or(header_, 3), 12);
  EXPECT_EQ(pinned_fetch_xor(header_, -1), 15);
  EXPECT_EQ(number(), ~std::int64_t{15});
}

TEST_F(Pinned, AdditionWrapsRound) {
  hold(kMax);
  EXPECT_EQ(pinned_fetch_add(header_, 1), kMax);
  EXPECT_EQ(pinned_fetch_add(header_, -1), kMin);
  EXPECT_EQ(number(), kMax);
}

TEST_F(Pinned, CompareExchangeTellsWhatItFound) {
  hold(std::int64_t{1});
  std::int64_t expected = 2;
  EXPECT_FALSE(pinned_compare_exchange<std::int64_t>(header_, expected, 3));
  EXPECT_EQ(expected, 1);
  EXPECT_TRUE(pinned_compare_exchange<std::int64_t>(header_, expected, 3));
  EXPECT_EQ(number(), 3);
}

TEST_F(Pinned, CompareExchangeOfDoublesComparesBits) {
  hold(-0.0);
  double expected = 0.0;
  EXPECT_FALSE(pinned_compare_exchange(header_, expected, 1.0));
  EXPECT_TRUE(std::signbit(expected));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  hold(nan);
  expected = nan;
  EXPECT_TRUE(pinned_compare_exchange(header_, expected, 1.0));
}

TEST_F(Pinned, NothingMovesTheMeta) {
  hold(std::int64_t{1});
  const std::uint64_t meta = read(header_).meta;
  pinned_fetch_add(header_, kMax);
  pinned_fetch_xor(header_, -1);
  pinned_exchange<std::int64_t>(header_, kMin);
  pinned_update<std::int64_t>(header_, [](std::int64_t seen) { return seen / 2; });
  EXPECT_EQ(read(header_).meta, meta);
  EXPECT_EQ(number(), kMin / 2);
}

TEST_F(Pinned, UpdateReturnsThePreviousValue) {
  hold(1.5);
  EXPECT_EQ(pinned_update<double>(header_, [](double seen) { return seen * 2; }), 1.5);
  EXPECT_EQ(pinned_load<double>(header_), 3.0);
}

// ---- Claims and sequences -----------------------------------------------------------------------

TEST(Claim, IsTakenOnceAndLetGo) {
  BufferControl control = {};
  EXPECT_EQ(peek_owner(control), kNoOwner);
  EXPECT_TRUE(try_claim(control, kNoOwner, 5));
  EXPECT_EQ(peek_owner(control), 5U);
  EXPECT_FALSE(try_claim(control, kNoOwner, 6));
  release_claim(control);
  EXPECT_TRUE(try_claim(control, kNoOwner, 6));
}

TEST(Claim, IsTakenOverOnlyFromTheOwnerAskedAbout) {
  BufferControl control = {};
  ASSERT_TRUE(try_claim(control, kNoOwner, 5));
  EXPECT_FALSE(try_claim(control, 4, 6)) << "somebody else took it over meanwhile";
  EXPECT_EQ(peek_owner(control), 5U);
  EXPECT_TRUE(try_claim(control, 5, 6));
  EXPECT_EQ(peek_owner(control), 6U);
}

TEST(Copy, IsWholeUnlessSomebodyBeganToOverwrite) {
  BufferControl control = {};
  const std::uint64_t sequence = begin_copy(control);
  EXPECT_TRUE(end_copy(control, sequence));
  begin_overwrite(control);
  EXPECT_FALSE(end_copy(control, sequence));
  EXPECT_TRUE(end_copy(control, begin_copy(control)));
}

TEST(Copy, SequencesOfManyOverwritesAllDiffer) {
  BufferControl control = {};
  std::set<std::uint64_t> seen = {begin_copy(control)};
  for (int i = 0; i < 1'000; ++i) {
    begin_overwrite(control);
    seen.insert(begin_copy(control));
  }
  EXPECT_EQ(seen.size(), 1'001U);
}

TEST(Copy, LeavesTheOwnerAlone) {
  BufferControl control = {};
  ASSERT_TRUE(try_claim(control, kNoOwner, 5));
  begin_overwrite(control);
  EXPECT_EQ(peek_owner(control), 5U);
}

}  // namespace
}  // namespace libatoll::detail
