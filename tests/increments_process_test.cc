// Increments by many processes add up: on versioned and pinned numbers, through Slot, Counter and
// Gauge, after fork and after exec, in both layouts; and the processes really ran at the same time.

#include <tuple>

#include "process.h"

namespace {

using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using process::Child;
using process::Shared;

constexpr int kProcessesMax = 16;
constexpr std::int64_t kIncrementsMin = 4000;
// A process goes on until it has seen others' increments so often between two of its own...
constexpr std::int64_t kForeignMin = 20;
// ... but not for ever.
constexpr std::int64_t kIncrementsMax = 20'000'000;

enum Index : std::size_t {
  kVersioned,
  kPinned,
  kCounter,
  kVersionedDouble,
  kPinnedDouble,
  kGauge,
  kSwapped,  // by load and compare_exchange
  kKinds,
};

struct Board {
  process::StartLine start;
  std::atomic<int> satisfied;
  std::array<std::atomic<std::int64_t>, kProcessesMax> increments;
  std::array<std::array<std::atomic<std::int64_t>, kKinds>, kProcessesMax> foreign;
};

template <typename T>
void account(std::atomic<std::int64_t>& foreign, T& last, T previous) {
  if (previous != last + 1) {
    ATOLL_CHECK(previous > last) << "an increment was lost: " << previous << " after " << last;
    ++foreign;
  }
  last = previous;
}

int increment(const List& list, Board& board, int self, int processes) {
  const auto me = static_cast<std::size_t>(self);
  auto& foreign = board.foreign[me];
  const libatoll::Counter counter = process::must(list.counter(kCounter));
  const libatoll::Gauge gauge = process::must(list.gauge(kGauge));
  std::int64_t versioned = -1;
  std::int64_t pinned = -1;
  std::int64_t counted = -1;
  std::int64_t swapped = -1;
  double versioned_double = -1;
  double pinned_double = -1;
  double gauged = -1;
  bool satisfied = false;
  std::int64_t done = 0;
  board.start.wait(processes);
  while (done < kIncrementsMin || board.satisfied < processes) {
    ATOLL_CHECK(done < kIncrementsMax) << "the others' increments are never seen";
    account(foreign[kVersioned], versioned, process::must(list[kVersioned].fetch_add(1)));
    account(foreign[kPinned], pinned, process::must(list[kPinned].fetch_add(1)));
    account(foreign[kCounter], counted, counter.fetch_add(1));
    account(foreign[kVersionedDouble], versioned_double,
            process::must(list[kVersionedDouble].fetch_add(1.0)));
    account(foreign[kPinnedDouble], pinned_double,
            process::must(list[kPinnedDouble].fetch_add(1.0)));
    account(foreign[kGauge], gauged, gauge.fetch_add(1.0));
    std::int64_t seen;
    do {
      seen = process::must(list[kSwapped].load<std::int64_t>());
    } while (!process::must(list[kSwapped].compare_exchange(seen, seen + 1)));
    account(foreign[kSwapped], swapped, seen);
    ++done;
    if (done % 64 == 0) {
      sched_yield();
    }
    if (!satisfied && done >= kIncrementsMin &&
        std::all_of(foreign.begin(), foreign.end(),
                    [](const auto& seen_often) { return seen_often >= kForeignMin; })) {
      satisfied = true;
      ++board.satisfied;
    }
  }
  board.increments[me] = done;
  return 0;
}

// What this program does when it is executed by one of its own tests.
int increment_attached(char** arguments) {
  process::in_child = true;
  const Shared<Board> board(std::atoi(arguments[1]));
  const List list = process::must(List::attach(arguments[0]));
  return increment(list, *board, std::atoi(arguments[2]), std::atoi(arguments[3]));
}

class Increments : public ::testing::TestWithParam<std::tuple<int, bool, Layout>> {};

TEST_P(Increments, AddUp) {
  const int processes = std::get<0>(GetParam());
  const bool execute = std::get<1>(GetParam());
  const Layout layout = std::get<2>(GetParam());
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(),
                                               {0, libatoll::pinned(0), libatoll::pinned(0), 0.0,
                                                libatoll::pinned(0.0), libatoll::pinned(0.0), 0},
                                               {.layout = layout}));
  const Shared<Board> board;
  std::vector<Child> children;
  for (int i = 0; i < processes; ++i) {
    if (execute) {
      children.push_back(Child::executing({"increment", name.string(), std::to_string(board.fd()),
                                           std::to_string(i), std::to_string(processes)}));
    } else {
      children.emplace_back([&, i] { return increment(list, *board, i, processes); });
    }
  }
  ASSERT_TRUE(process::all_succeed(children));

  std::int64_t expected = 0;
  std::int64_t foreign = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(processes); ++i) {
    EXPECT_GE(board->increments[i], kIncrementsMin);
    expected += board->increments[i];
    for (const auto& seen : board->foreign[i]) {
      EXPECT_GE(seen, kForeignMin);
      foreign += seen;
    }
  }
  for (const std::size_t slot : {kVersioned, kPinned, kCounter, kSwapped}) {
    EXPECT_EQ(process::must(list[slot].load<std::int64_t>()), expected) << "slot " << slot;
  }
  for (const std::size_t slot : {kVersionedDouble, kPinnedDouble, kGauge}) {
    EXPECT_EQ(process::must(list[slot].load<double>()), static_cast<double>(expected))
        << "slot " << slot;
  }
  // Every successful write, and nothing else, raises the version of a versioned slot.
  for (const std::size_t slot : {kVersioned, kVersionedDouble, kSwapped}) {
    EXPECT_EQ(list[slot].version(), static_cast<std::uint64_t>(expected)) << "slot " << slot;
  }
  for (const std::size_t slot : {kPinned, kCounter, kPinnedDouble, kGauge}) {
    EXPECT_EQ(list[slot].version(), 0U) << "slot " << slot;
  }
  ATOLL_SUMMARY("%d %s processes, %s: %lld increments of each of %d slots, others seen %lld times",
                processes, execute ? "executed" : "forked", process::layout_name(layout),
                static_cast<long long>(expected), static_cast<int>(kKinds),
                static_cast<long long>(foreign));
}

INSTANTIATE_TEST_SUITE_P(All, Increments,
                         ::testing::Combine(::testing::Values(2, 4, 8, 16), ::testing::Bool(),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) {
                           return std::string(std::get<1>(param.param) ? "Executed" : "Forked") +
                                  std::to_string(std::get<0>(param.param)) +
                                  process::layout_name(std::get<2>(param.param));
                         });

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "increment") {
    return increment_attached(argv + 2);
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
