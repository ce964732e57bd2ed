// Participants without processes: numbers, locks, counts, and counters that something else has
// written.

#include "participants.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include <gtest/gtest.h>

namespace {

using libatoll::detail::Participant;

constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 61) - 1;
constexpr std::uint64_t kHuge = std::numeric_limits<std::uint64_t>::max();

// A file to lock, and its counter, here in private memory.
class Participants : public ::testing::Test {
 protected:
  Participants() : file_(memfd_create("participants_test", MFD_CLOEXEC)) { EXPECT_GE(file_, 0); }
  ~Participants() override { close(file_); }

  absl::Status join(Participant& participant) {
    return participant.join(file_, numbers_, true, "the list");
  }
  absl::Status join_reader(Participant& participant) {
    return participant.join(file_, numbers_, false, "the list");
  }

  int file_;
  std::atomic<std::uint64_t> numbers_ = 0;
};

TEST_F(Participants, HaveNumbersInOrder) {
  Participant first;
  EXPECT_EQ(first.number(), 0U);
  ASSERT_TRUE(join(first).ok());
  Participant second;
  ASSERT_TRUE(join(second).ok());
  EXPECT_EQ(first.number(), 1U);
  EXPECT_EQ(second.number(), 2U);
  EXPECT_EQ(numbers_, 2U);
  EXPECT_NE(first.fd(), second.fd());
  first.leave();
  EXPECT_EQ(first.number(), 0U);
  EXPECT_EQ(first.fd(), -1);
  Participant third;
  ASSERT_TRUE(join(third).ok());
  EXPECT_EQ(third.number(), 3U) << "numbers never come again";
}

TEST_F(Participants, LiveUntilTheyLeave) {
  Participant first;
  ASSERT_TRUE(join(first).ok());
  auto second = std::make_unique<Participant>();
  ASSERT_TRUE(join(*second).ok());
  EXPECT_TRUE(first.may_live(1)) << "itself";
  EXPECT_TRUE(second->may_live(2));
  EXPECT_TRUE(first.may_live(2));
  EXPECT_TRUE(second->may_live(1));
  second.reset();
  EXPECT_TRUE(first.may_live(1));
  EXPECT_FALSE(first.may_live(2));
  first.leave();
  first.leave();
}

TEST_F(Participants, ThatNeverWereDoNotLive) {
  Participant participant;
  ASSERT_TRUE(join(participant).ok());
  for (const std::uint64_t number :
       {std::uint64_t{0}, std::uint64_t{2}, std::uint64_t{65'536}, std::uint64_t{1} << 32,
        kNumberMax - 1, kNumberMax, kNumberMax + 1, std::uint64_t{1} << 62, std::uint64_t{1} << 63,
        kHuge}) {
    EXPECT_FALSE(participant.may_live(number)) << number;
  }
  EXPECT_TRUE(participant.may_live(1));
}

// Who cannot tell answers yes: a live owner must never be robbed.
TEST_F(Participants, WhoCannotTellSayYes) {
  Participant nobody;
  EXPECT_TRUE(nobody.may_live(1));
  EXPECT_EQ(nobody.count(), 1U);

  Participant without_file;
  ASSERT_TRUE(without_file.join_without_file(numbers_, "the list").ok());
  EXPECT_EQ(without_file.number(), 1U);
  EXPECT_EQ(without_file.fd(), -1);
  for (const std::uint64_t number : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{99}}) {
    EXPECT_TRUE(without_file.may_live(number)) << number;
  }
  EXPECT_EQ(without_file.count(), 1U);
  without_file.leave();
  EXPECT_EQ(without_file.number(), 0U);
}

TEST_F(Participants, AreCountedWritersAndReaders) {
  constexpr std::size_t kMany = 200;
  std::vector<std::unique_ptr<Participant>> all;
  for (std::size_t i = 0; i < kMany; ++i) {
    all.push_back(std::make_unique<Participant>());
    ASSERT_TRUE((i % 3 == 0 ? join_reader(*all.back()) : join(*all.back())).ok());
  }
  EXPECT_EQ(all[0]->number(), 0U) << "a reader claims nothing";
  // Readers draw bytes at random; that two of 67 share one of 2^60 will not happen.
  for (const std::size_t who : {std::size_t{0}, std::size_t{1}, kMany - 1}) {
    EXPECT_EQ(all[who]->count(), kMany) << who;
  }
  // Every second one leaves; the locks left are in pieces.
  for (std::size_t i = 0; i < kMany; i += 2) {
    all[i].reset();
  }
  EXPECT_EQ(all[1]->count(), kMany / 2);
  // A reader knows who lives, too.
  Participant reader;
  ASSERT_TRUE(join_reader(reader).ok());
  EXPECT_EQ(reader.count(), kMany / 2 + 1);
  EXPECT_TRUE(reader.may_live(all[1]->number()));
  EXPECT_FALSE(reader.may_live(2));
  for (std::size_t i = 1; i < kMany; i += 2) {
    all[i].reset();
  }
  EXPECT_EQ(reader.count(), 1U);
}

// One description is one participant, and one lock of it does not hide another's.
TEST_F(Participants, NextToEachOtherAreTwo) {
  Participant first;
  Participant second;
  Participant third;
  ASSERT_TRUE(join(first).ok());
  ASSERT_TRUE(join(second).ok());
  ASSERT_TRUE(join(third).ok());
  EXPECT_EQ(first.count(), 3U);
  EXPECT_EQ(second.count(), 3U);
  second.leave();
  EXPECT_EQ(first.count(), 2U);
  EXPECT_TRUE(first.may_live(3));
  EXPECT_FALSE(first.may_live(2));
}

TEST_F(Participants, RefuseAnImpossibleCounter) {
  for (const std::uint64_t counter : {kNumberMax, kNumberMax + 1, kHuge - 1, kHuge}) {
    numbers_ = counter;
    Participant participant;
    EXPECT_TRUE(absl::IsDataLoss(join(participant))) << counter;
    EXPECT_EQ(participant.number(), 0U);
    EXPECT_EQ(participant.fd(), -1);
    if (counter != kHuge) {
      numbers_ = counter;
      EXPECT_TRUE(absl::IsDataLoss(participant.join_without_file(numbers_, "the list"))) << counter;
    }
  }
  numbers_ = kNumberMax - 1;
  Participant last;
  ASSERT_TRUE(join(last).ok());
  EXPECT_EQ(last.number(), kNumberMax);
  EXPECT_TRUE(last.may_live(kNumberMax));
  Participant reader;
  ASSERT_TRUE(join_reader(reader).ok()) << "readers need no number";
  EXPECT_EQ(reader.count(), 2U);
}

// 0 is nobody: it must not be given out even if the counter comes round.
TEST_F(Participants, AreNeverNumberZero) {
  numbers_ = kHuge;
  Participant without_file;
  const absl::Status joined = without_file.join_without_file(numbers_, "the list");
  EXPECT_TRUE(absl::IsDataLoss(joined)) << joined;
  EXPECT_EQ(without_file.number(), 0U);
}

// Somebody set the counter back: those who live keep their numbers to themselves.
TEST_F(Participants, SkipNumbersThatLive) {
  constexpr std::size_t kMany = 10;
  std::vector<std::unique_ptr<Participant>> all;
  for (std::size_t i = 0; i < kMany; ++i) {
    all.push_back(std::make_unique<Participant>());
    ASSERT_TRUE(join(*all.back()).ok());
  }
  numbers_ = 0;
  Participant late;
  ASSERT_TRUE(join(late).ok());
  EXPECT_EQ(late.number(), kMany + 1);
  EXPECT_EQ(late.count(), kMany + 1);
}

TEST_F(Participants, SayWhyTheyCannotJoin) {
  Participant participant;
  // A directory cannot be locked for writing.
  const int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const absl::Status joined = participant.join(directory, numbers_, true, "list '/p'");
  close(directory);
  EXPECT_FALSE(joined.ok());
  EXPECT_NE(std::string(joined.message()).find("list '/p'"), std::string::npos) << joined;
  EXPECT_EQ(participant.fd(), -1);
  EXPECT_EQ(participant.number(), 0U);
  EXPECT_TRUE(join(participant).ok()) << "it can join elsewhere";
}

}  // namespace
