// 65,535 participants come and go in one list, thousands of them at once; some close, some end, some
// are killed, a few of them in the middle of a store.

#include <set>

#include "participants.h"
#include "process.h"

namespace {

using libatoll::List;
using libatoll::detail::Participant;
using process::Child;
using process::Inspector;
using process::park_at;
using process::Seam;
using process::Shared;

constexpr std::size_t kParticipants = 65'535;
constexpr int kProcesses = 4;
// At once in the first batch, and in each of the others: the kernel's work on locks is quadratic.
constexpr std::size_t kAtOnceMax = 4'096;
constexpr std::size_t kAtOnce = 512;

std::string text_of(std::uint32_t counter) {
  return process::make_text(1, counter, 60 + counter % 60);
}

// How many handles a process can hold: of descriptors it needs one each, and some for itself.
std::size_t handles_per_process() {
  rlimit limit = {};
  ATOLL_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  ATOLL_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  ATOLL_CHECK(limit.rlim_cur >= 128) << "too few descriptors for this test";
  return std::min<std::size_t>(kAtOnceMax / kProcesses, limit.rlim_cur - 64);
}

struct Board {
  std::atomic<int> all_here;
};

// A participant that does nothing but look: how many are there?
class Counter {
 public:
  explicit Counter(const std::string& name) {
    const int fd = open(process::path_of(name).c_str(), O_RDONLY | O_CLOEXEC);
    ATOLL_CHECK(fd >= 0);
    process::must(participant_.join(fd, unused_, false, "counted"));
    close(fd);
  }
  // But for itself.
  std::size_t count() const { return participant_.count() - 1; }

 private:
  std::atomic<std::uint64_t> unused_ = 0;
  Participant participant_;
};

TEST(ParticipantsProcess, ComeAndGo) {
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), {libatoll::text(text_of(0), 128)},
                                               {.claim_timeout = absl::Seconds(20)}));
  const Inspector look(list);
  const Counter counter(name.string());
  const std::size_t largest_share = handles_per_process();
  const std::vector<std::uint64_t> mine = look.live_numbers();
  ASSERT_EQ(mine.size(), 1U);
  ASSERT_EQ(counter.count(), 1U);

  std::set<std::uint64_t> seen(mine.begin(), mine.end());
  std::size_t most_at_once = 0;
  int killed = 0;
  int claims_left = 0;
  int taken_over = 0;
  std::uint32_t stores = 0;
  int batches = 0;
  while (seen.size() < kParticipants) {
    ++batches;
    const std::size_t share =
        batches == 1 ? largest_share : std::min(largest_share, kAtOnce / kProcesses);
    std::vector<Child> children;
    for (int i = 0; i < kProcesses; ++i) {
      children.emplace_back([&, i] {
        // As fork made it, this process has one already, for the list that it inherited.
        std::vector<List> handles;
        for (std::size_t n = 1; n < share; ++n) {
          handles.push_back(
              process::must(List::attach(name.string(), {.claim_timeout = absl::Seconds(20)})));
        }
        raise(SIGSTOP);
        // The first writes with the last of its handles, and is killed with a claim in hand.
        if (i == 0) {
          park_at(Seam::kCopied);
          process::must(handles.back()[0].store(text_of(stores + 1)));
          return process::kChildFailed;
        }
        // Of the others, one closes all, one half, and one just ends.
        const std::size_t keep = i == 1 ? 0 : i == 2 ? handles.size() / 2 : handles.size();
        handles.erase(handles.begin() + static_cast<std::ptrdiff_t>(keep), handles.end());
        raise(SIGSTOP);
        return 0;
      });
    }
    for (Child& child : children) {
      ASSERT_TRUE(child.wait_stopped());
    }
    const std::vector<std::uint64_t> live = look.live_numbers();
    const std::size_t expected = 1 + kProcesses * share;
    ASSERT_EQ(live.size(), expected);
    if (batches == 1) {  // it takes a while
      // The children have the counter from us, too.
      ASSERT_EQ(counter.count(), expected + kProcesses);
    }
    most_at_once = std::max(most_at_once, live.size());
    for (const std::uint64_t number : live) {
      ASSERT_TRUE(number == mine[0] || seen.insert(number).second)
          << "number " << number << " was given out twice";
    }
    for (const Child& child : children) {
      child.resume();
    }
    for (Child& child : children) {
      ASSERT_TRUE(child.wait_stopped());
    }
    // Whoever closed is gone, and nobody else.
    const std::size_t half = (share - 1) / 2;
    EXPECT_EQ(look.live_numbers().size(), 1 + share + 1 + (half + 1) + share);
    ASSERT_TRUE(children[0].kill());
    ASSERT_TRUE(children[3].kill());
    killed += 2;
    ++claims_left;
    for (const int i : {1, 2}) {
      children[static_cast<std::size_t>(i)].resume();
      ASSERT_EQ(children[static_cast<std::size_t>(i)].wait(), 0);
    }
    ASSERT_EQ(look.live_numbers(), mine);
    ASSERT_EQ(counter.count(), 1U);

    // The claims of the dead never keep the living from storing, however many died before.
    for (int i = 0; i < 3; ++i) {
      process::count_passes();
      ASSERT_TRUE(list[0].store(text_of(++stores)).ok());
      taken_over += process::passes_of(Seam::kTakingOver);
      libatoll::detail::seam_hook = nullptr;
      ASSERT_EQ(process::must(list[0].load<std::string>()), text_of(stores));
    }
  }
  EXPECT_GE(seen.size(), kParticipants);
  EXPECT_GE(*seen.rbegin(), kParticipants)
      << "beyond 16 bits, if these had been numbers of 16 bits";
  EXPECT_EQ(look.numbers(), *seen.rbegin());
  // At most one claim of the dead is still waiting for somebody who needs it.
  EXPECT_LE(look.claims(0), 1U);
  EXPECT_EQ(taken_over + static_cast<int>(look.claims(0)), claims_left);
  EXPECT_GT(taken_over, 0);
  ATOLL_SUMMARY(
      "%zu participants in %d batches, %zu at once, %d processes killed, %d claims left, %d taken "
      "over",
      seen.size(), batches, most_at_once, killed, claims_left, taken_over);
}

TEST(ParticipantsProcess, KilledBeforeTheyHaveALock) {
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), {libatoll::text(text_of(0), 128)}));
  const Inspector look(list);
  const Counter counter(name.string());
  const std::uint64_t own = process::number_of(list, look, text_of(1));
  Child victim([&] {
    park_at(Seam::kNumberTaken);
    process::must(List::attach(name.string()));
    return 0;
  });
  ASSERT_TRUE(victim.wait_stopped());
  const std::uint64_t number = look.numbers();
  EXPECT_GT(number, own);
  EXPECT_FALSE(look.lives(number));
  ASSERT_TRUE(victim.kill());
  EXPECT_EQ(look.live_numbers(), std::vector<std::uint64_t>{own});
  EXPECT_EQ(counter.count(), 1U);
  // The number is lost, that is all.
  const List next = process::must(List::attach(name.string()));
  EXPECT_EQ(process::number_of(next, look, text_of(2)), number + 1);
  EXPECT_EQ(look.live_numbers(), (std::vector<std::uint64_t>{own, number + 1}));
  EXPECT_EQ(look.claims(0), 0U);
}

TEST(ParticipantsProcess, TwoHandlesOfOneProcessAreTwo) {
  const process::UniqueName name;
  const List first = process::must(List::create(name.string(), {libatoll::text(text_of(0), 128)}));
  const Inspector look(first);
  const Counter counter(name.string());
  const std::uint64_t first_number = process::number_of(first, look, text_of(1));
  std::uint64_t second_number = 0;
  {
    const List second = process::must(List::attach(name.string()));
    second_number = process::number_of(second, look, text_of(2));
    EXPECT_NE(first_number, second_number);
    EXPECT_EQ(counter.count(), 2U);
    EXPECT_TRUE(look.lives(second_number));
  }
  // POSIX locks of old would all be gone with any descriptor of the file.
  EXPECT_FALSE(look.lives(second_number));
  EXPECT_TRUE(look.lives(first_number));
  EXPECT_EQ(counter.count(), 1U);
  EXPECT_EQ(process::number_of(first, look, text_of(3)), first_number);
  // A move is not a new participant.
  List moved = process::must(List::attach(name.string()));
  const std::uint64_t number = process::number_of(moved, look, text_of(4));
  const List again = std::move(moved);
  EXPECT_EQ(process::number_of(again, look, text_of(5)), number);
  EXPECT_EQ(counter.count(), 2U);
}

TEST(ParticipantsProcess, ReadersCountToo) {
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), {libatoll::text(text_of(0), 128)}));
  const Inspector look(list);
  const Counter counter(name.string());
  std::vector<Child> readers;
  for (int i = 0; i < 5; ++i) {
    readers.emplace_back([&] {
      const List reader = process::must(List::attach(name.string(), {.read_only = true}));
      raise(SIGSTOP);
      return 0;
    });
  }
  for (Child& reader : readers) {
    ASSERT_TRUE(reader.wait_stopped());
  }
  // Each reader's process has inherited the list and the counter, too.
  EXPECT_EQ(look.live_numbers().size(), 1U + readers.size());
  EXPECT_EQ(look.live_readers(), 1 + 2 * readers.size());
  EXPECT_EQ(counter.count(), 1 + 3 * readers.size());
  ASSERT_TRUE(readers.back().kill());
  readers.pop_back();
  EXPECT_EQ(counter.count(), 1 + 3 * readers.size());
  for (const Child& reader : readers) {
    reader.resume();
  }
  ASSERT_TRUE(process::all_succeed(readers));
  EXPECT_EQ(counter.count(), 1U);
  EXPECT_EQ(look.live_readers(), 1U);
}

}  // namespace
