// A list of 1,000,000 slots, shared by processes that update slots of their own and slots of all.

#include "process.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using process::Child;
using process::Shared;

constexpr std::size_t kSlots = 1'000'000;
constexpr int kProcesses = 4;
constexpr std::int64_t kRounds = 4;
// Slots that everybody increments.
constexpr std::size_t kCommonEvery = 100;

class Million : public ::testing::TestWithParam<std::tuple<Layout, bool>> {};

TEST_P(Million, SumIsExact) {
  const auto [layout, pinned] = GetParam();
  const process::UniqueName name;
  const libatoll::CreateOptions options = {.layout = layout};
  const libatoll::Fill fill =
      libatoll::fill(kSlots, pinned ? libatoll::pinned(3) : libatoll::Init(3));
  struct Board {
    process::StartLine start;
    std::array<std::atomic<std::size_t>, kProcesses> progress;
    std::atomic<int> overlaps;
  };
  const Shared<Board> board;
  std::size_t bytes = 0;
  {
    const List list = process::must(List::create(name.string(), fill, options));
    bytes = list.bytes();
    EXPECT_EQ(list.size(), kSlots);
    EXPECT_EQ(bytes, process::must(List::bytes_needed(fill, options)));
    EXPECT_EQ(process::must(list.count(3)), kSlots);
    EXPECT_EQ(process::must(list.at(-1)).index(), kSlots - 1);
  }
  // Nobody has it open now; each finds it by its name.
  std::vector<Child> children;
  for (std::size_t self = 0; self < kProcesses; ++self) {
    children.emplace_back([&, self] {
      const List list = process::must(List::attach(name.string()));
      ATOLL_CHECK(list.size() == kSlots);
      board->start.wait(kProcesses);
      for (std::int64_t round = 0; round < kRounds; ++round) {
        // Slots of our own, in one stretch and interleaved with the others'.
        for (std::size_t i = self; i < kSlots / 2; i += kProcesses) {
          ATOLL_CHECK(process::must(list[i].fetch_add(1)) == 3 + round);
        }
        constexpr std::size_t kStretch = kSlots / 2 / kProcesses;
        for (std::size_t i = 0; i < kStretch; ++i) {
          const Slot slot = list[kSlots / 2 + self * kStretch + i];
          ATOLL_CHECK(process::must(slot.load<std::int64_t>()) == 3 + round) << slot.index();
          process::must(slot.store(3 + round + 1));
        }
        board->start.wait(kProcesses);
        for (std::size_t i = 0; i < kSlots; i += kCommonEvery) {
          process::must(list[i].fetch_add(1));
          board->progress[self] = i;
          if (i % (64 * kCommonEvery) == 0) {
            for (std::size_t other = 0; other < kProcesses; ++other) {
              const std::size_t there = board->progress[other];
              board->overlaps +=
                  other != self && there > 0 && there < kSlots - kCommonEvery ? 1 : 0;
            }
            sched_yield();
          }
        }
        board->progress[self] = 0;
        board->start.wait(kProcesses);
        // Gives back what was common, so that each round's own slots are as the last left them.
        for (std::size_t i = 0; i < kSlots; i += kCommonEvery) {
          process::must(list[i].fetch_sub(1));
        }
        board->start.wait(kProcesses);
      }
      for (std::size_t i = 0; i < kSlots; i += kCommonEvery) {
        process::must(list[i].fetch_add(1));
      }
      return 0;
    });
  }
  ASSERT_TRUE(process::all_succeed(children));
  EXPECT_GT(board->overlaps, 0);

  // Another process that was never there.
  Child reader([&, pinned = pinned] {
    const List list = process::must(List::attach(name.string(), {.read_only = true}));
    std::int64_t sum = 0;
    std::uint64_t versions = 0;
    for (const Slot slot : list) {
      sum += process::must(slot.load<std::int64_t>());
      versions += slot.version();
    }
    constexpr auto kCount = static_cast<std::int64_t>(kSlots);
    constexpr auto kCommon = static_cast<std::int64_t>(kSlots / kCommonEvery);
    ATOLL_CHECK(sum == kCount * (3 + kRounds) + kCommon * kProcesses) << sum;
    constexpr std::int64_t kWrites = kCount * kRounds + kCommon * kProcesses * (2 * kRounds + 1);
    ATOLL_CHECK(versions == (pinned ? 0 : static_cast<std::uint64_t>(kWrites))) << versions;
    ATOLL_CHECK(process::must(list.count(3 + kRounds)) == kSlots - kSlots / kCommonEvery);
    ATOLL_CHECK(process::must(list.index(3 + kRounds + kProcesses)) == std::size_t{0});
    ATOLL_CHECK(process::must(process::must(list.at(-1)).load<std::int64_t>()) == 3 + kRounds);
    return 0;
  });
  ASSERT_EQ(reader.wait(), 0);
  ATOLL_SUMMARY(
      "%s, %s: %zu bytes, %d processes, %lld rounds, others seen at the common slots %d times",
      process::layout_name(layout), pinned ? "pinned" : "versioned", bytes, kProcesses,
      static_cast<long long>(kRounds), board->overlaps.load());
}

INSTANTIATE_TEST_SUITE_P(All, Million,
                         ::testing::Combine(::testing::Values(Layout::kPadded, Layout::kDense),
                                            ::testing::Bool()),
                         [](const auto& param) {
                           return std::string(std::get<1>(param.param) ? "Pinned" : "Versioned") +
                                  process::layout_name(std::get<0>(param.param));
                         });

// Long text in each of a million slots would take gigabytes; short text fits the headers of any.
TEST(MillionText, FitsTheHeaders) {
  const process::UniqueName name;
  const List list = process::must(
      List::create(name.string(), libatoll::fill(kSlots, "12345678"), {.layout = Layout::kDense}));
  Child writer([&] {
    const List same = process::must(List::attach(name.string()));
    for (std::size_t i = 0; i < kSlots; i += 2) {
      process::must(same[i].store("even"));
    }
    return 0;
  });
  ASSERT_EQ(writer.wait(), 0);
  EXPECT_EQ(process::must(list.count("even")), kSlots / 2);
  EXPECT_EQ(process::must(list.count("12345678")), kSlots / 2);
}

}  // namespace
