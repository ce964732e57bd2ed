// One process, many threads, one list: what the processes of the other tests do, where
// ThreadSanitizer can see it. First the plain data of a program that hands it from thread to thread
// through a slot, then every operation against every other.

#include <atomic>
#include <cstdint>
#include <latch>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "process.h"
#include "sanitizers.h"

namespace libatoll {
namespace {

using process::must;

// ---- Handing over -------------------------------------------------------------------------------

constexpr char kLongText[] = "text that does not fit into a header";

// One thread writes a plain number and calls `send`; this one calls `receive`, which returns once
// that has come, and reads it.
template <typename Send, typename Receive>
void expect_handed_over(Send send, Receive receive) {
  std::uint64_t number = 0;
  std::thread sender([&] {
    number = 42;
    send();
  });
  const bool received = receive();
  EXPECT_TRUE(received);
  EXPECT_EQ(received ? number : 0, 42U);
  sender.join();
}

class HandingOver : public testing::Test {
 protected:
  List list_ = must(List::create_anonymous({0, ::atoll::text(64), ::atoll::pinned(0)}));
};

TEST_F(HandingOver, ByANumber) {
  expect_handed_over(
      [&] { must(list_[0].store(1)); },
      [&] {
        return process::wait_until([&] { return must(list_[0].load<std::int64_t>()) == 1; });
      });
}

TEST_F(HandingOver, ByLongText) {
  expect_handed_over(
      [&] { must(list_[1].store(kLongText)); },
      [&] {
        return process::wait_until([&] { return must(list_[1].load<std::string>()) == kLongText; });
      });
}

TEST_F(HandingOver, ByACompareExchangeOnEitherSide) {
  expect_handed_over(
      [&] { must(list_[1].compare_exchange("", kLongText)); },
      [&] {
        return process::wait_until([&] { return must(list_[1].compare_exchange(kLongText, "")); });
      });
}

TEST_F(HandingOver, ByACounter) {
  const Counter counter = must(list_.counter(2));
  expect_handed_over([&] { counter.fetch_add(1); },
                     [&] { return process::wait_until([&] { return counter.load() == 1; }); });
}

TEST_F(HandingOver, ByWaiting) {
  for (const Slot slot : list_) {
    const Stamp before = slot.stamp();
    expect_handed_over([&] { must(slot.store(1)); },
                       [&] { return slot.wait(before, absl::Seconds(60)).ok(); });
  }
}

TEST_F(HandingOver, ByWaitingForAny) {
  for (std::size_t slot = 0; slot < list_.size(); ++slot) {
    std::vector<AwaitedSlot> awaited;
    for (const Slot each : list_) {
      awaited.push_back({each, each.stamp()});
    }
    expect_handed_over([&] { must(list_[slot].store(1)); },
                       [&] { return must(wait_any(awaited, absl::Seconds(60))) == slot; });
  }
}

TEST_F(HandingOver, ByASnapshot) {
  expect_handed_over(
      [&] { must(list_[1].store(kLongText)); },
      [&] {
        return process::wait_until([&] { return must(list_.snapshot())[1] == Value(kLongText); });
      });
}

// ---- Everything at once -------------------------------------------------------------------------

constexpr int kThreads = 4;
constexpr int kRounds = 200;
constexpr std::size_t kLengths[] = {8, 9, 100, 3000};  // in the header, and by each kind of copy

struct Counts {
  std::atomic<int> texts_read;
  std::atomic<int> written_by_others;  // of these
  std::atomic<int> woken;
  std::atomic<int> snapshots;
  std::atomic<int> exchanged;
};

void check_text(const std::string& text, std::uint32_t reader, Counts& counts) {
  process::TextOrigin origin;
  ATOLL_CHECK(process::is_whole(text, origin)) << "torn, of " << text.size() << " bytes";
  ++counts.texts_read;
  counts.written_by_others += origin.writer != reader && origin.writer != 0 ? 1 : 0;
}

enum Slots : std::size_t { kCounted, kPinned, kMeasured, kText, kStamped, kSlots };

void work(const List& list, std::uint32_t self, Counts& counts) {
  std::string text;
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    must(list[kCounted].fetch_add(1));
    must(list[kPinned].fetch_add(1));
    must(list[kMeasured].fetch_add(0.5));

    process::make_text(self, round, kLengths[round % std::size(kLengths)], text);
    must(list[kText].store(text));

    // Longer text and numbers by turns, so that the type changes under the others' hands.
    StampedValue seen = must(list[kStamped].load_stamped());
    counts.exchanged += must(round % 2 == 0 ? list[kStamped].compare_exchange(seen.stamp, text)
                                            : list[kStamped].compare_exchange(seen.stamp, round));
    counts.woken += list[kStamped].wait(seen.stamp, absl::Microseconds(100)).ok() ? 1 : 0;

    check_text(must(list[kText].load<std::string>()), self, counts);
    check_text(std::get<std::string>(must(list[kText].exchange(text))), self, counts);
    counts.snapshots += list.snapshot(absl::Milliseconds(1)).ok() ? 1 : 0;
  }
}

class TogetherTest : public testing::TestWithParam<Layout> {};

TEST_P(TogetherTest, EveryOperationOfEveryThread) {
  const process::UniqueName name;
  const List list =
      must(List::create(name.string(),
                        {0, ::atoll::pinned(0), 0.0,
                         ::atoll::text(process::make_text(0, 0, 8), 3000), ::atoll::text(3000)},
                        {.layout = GetParam()}));
  ASSERT_EQ(list.size(), kSlots);
  Counts counts = {};
  // No thread ends before the last child does: to ThreadSanitizer, one that ended without being joined
  // is leaked by the child, where nobody can join it.
  std::latch children_ended(1);
  std::vector<std::thread> threads;
  for (std::uint32_t self = 1; self <= kThreads; ++self) {
    threads.emplace_back([&, self] {
      // Half of them through the same List, half through one of their own, which comes and goes.
      if (self % 2 == 0) {
        work(list, self, counts);
      } else {
        const List own = must(List::attach(name.string()));
        ATOLL_CHECK(own.participants() >= 2);
        work(own, self, counts);
      }
      children_ended.wait();
    });
  }
  // Children of fork, meanwhile, whose handlers see all those participants come and go.
  for (std::uint32_t i = 0; ATOLL_FORK_BESIDE_THREADS && i < 5; ++i) {
    process::Child child([&] {
      must(list[kText].store(process::make_text(kThreads + 1, i, 3000)));
      return 0;
    });
    EXPECT_EQ(child.wait(), 0);
  }
  children_ended.count_down();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(must(list[kCounted].load<std::int64_t>()), kThreads * kRounds);
  EXPECT_EQ(must(list[kPinned].load<std::int64_t>()), kThreads * kRounds);
  EXPECT_EQ(must(list[kMeasured].load<double>()), 0.5 * kThreads * kRounds);
  EXPECT_EQ(list.participants(), 1U);
  EXPECT_EQ(counts.texts_read, 2 * kThreads * kRounds);
  EXPECT_GT(counts.written_by_others, 0);
  EXPECT_GT(counts.exchanged, 0);
  EXPECT_GT(counts.woken, 0);
  ATOLL_SUMMARY("%d texts read, %d of another thread; %d exchanges, %d wake-ups, %d snapshots",
                counts.texts_read.load(), counts.written_by_others.load(), counts.exchanged.load(),
                counts.woken.load(), counts.snapshots.load());
}

INSTANTIATE_TEST_SUITE_P(Layouts, TogetherTest, testing::Values(Layout::kPadded, Layout::kDense),
                         [](const auto& param) {
                           return param.param == Layout::kPadded ? "Padded" : "Dense";
                         });

}  // namespace
}  // namespace libatoll
