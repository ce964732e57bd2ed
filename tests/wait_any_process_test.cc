// wait_any by real processes: the first of several slots to change, over two lists, versioned and
// pinned; with writers that write at once; and on kernels without futex_waitv.

#include <functional>

#include "process.h"
#include "system_calls.h"
#include "testing.h"
#include "waiting.h"

namespace {

using libatoll::AwaitedSlot;
using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::wait_any;
using libatoll::test::Code;
using libatoll::test::fails;
using process::Child;
using process::must;
using process::Shared;
using process::WaitCounts;

constexpr std::size_t kSlotsMax = 128;

struct Board {
  WaitCounts counts;
  std::atomic<int> rounds;
  std::atomic<std::size_t> changed;
};

// Slots of two lists, one padded and one dense, taken from both in turn; every third one is pinned.
class WaitAny : public ::testing::Test {
 protected:
  static constexpr std::size_t kEach = (kSlotsMax + 2) / 2;

  static List create(Layout layout) {
    std::vector<Init> values;
    for (std::size_t i = 0; i < kEach; ++i) {
      values.push_back(i % 3 == 0   ? libatoll::pinned(0)
                       : i % 3 == 1 ? Init(0)
                                    : libatoll::text("start", 40));
    }
    return must(List::create_anonymous(values, {.layout = layout}));
  }

  Slot slot(std::size_t i) const { return (i % 2 == 0 ? padded_ : dense_)[i / 2]; }
  std::vector<AwaitedSlot> awaited(std::size_t count) const {
    std::vector<AwaitedSlot> all;
    for (std::size_t i = 0; i < count; ++i) {
      all.push_back({slot(i), slot(i).stamp()});
    }
    return all;
  }
  // Writes what was never there before; text of all lengths where the slot takes it.
  void write(std::size_t i) {
    ++written_;
    if (slot(i).is_pinned() || written_ % 2 == 0) {
      must(slot(i).store(written_));
    } else if (must(slot(i).capacity()) >= 40) {
      must(slot(i).store(std::string(9 + static_cast<std::size_t>(written_) % 30, 'x')));
    } else {
      must(slot(i).store(nullptr));
    }
  }

  // Waits on so many slots, again and again, and tells which have changed; ends with the last.
  int tell_changes(std::size_t count, std::size_t last) {
    process::count_waits_in(board_->counts);
    for (std::size_t which = count; which != last;) {
      const std::vector<AwaitedSlot> all = awaited(count);
      ++board_->rounds;
      which = must(wait_any(all, absl::InfiniteDuration()));
      ATOLL_CHECK(all[which].slot.stamp() != all[which].stamp) << which << " has not changed";
      board_->changed = which;
    }
    return 0;
  }

  const List padded_ = create(Layout::kPadded);
  const List dense_ = create(Layout::kDense);
  const Shared<Board> board_;
  std::int64_t written_ = 0;
};

TEST_F(WaitAny, TellsWhichOfUpTo128) {
  if (!process::has_futex_waitv()) {
    GTEST_SKIP() << "this kernel has no futex_waitv: nobody is found asleep";
  }
  int told = 0;
  for (const std::size_t count :
       {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, kSlotsMax}) {
    const int rounds_before = board_->rounds;
    Child waiter([&] { return tell_changes(count, count - 1); });
    for (std::size_t i = 0; i < count; ++i) {
      const int round = rounds_before + static_cast<int>(i) + 1;
      ASSERT_TRUE(process::wait_until([&] { return board_->rounds == round; }))
          << "stuck before slot " << i << " of " << count;
      ASSERT_TRUE(process::falls_asleep(waiter.pid()));
      board_->changed = kSlotsMax;
      write(i);
      ASSERT_TRUE(process::wait_until([&] { return board_->changed != kSlotsMax; }))
          << "nobody noticed slot " << i << " of " << count;
      ASSERT_EQ(board_->changed, i) << "of " << count;
      ++told;
    }
    EXPECT_EQ(waiter.wait(), 0);
  }
  EXPECT_EQ(board_->counts.rescued, 0);
  ATOLL_SUMMARY("%d changes of 1 to %zu slots, each told to a sleeper", told, kSlotsMax);
}

TEST_F(WaitAny, ManyWaitersOnSetsThatOverlap) {
  if (!process::has_futex_waitv()) {
    GTEST_SKIP() << "this kernel has no futex_waitv: nobody is found asleep";
  }
  constexpr std::size_t kWaiters = 8;
  std::vector<Child> waiters;
  for (std::size_t self = 0; self < kWaiters; ++self) {
    waiters.emplace_back([&, self] {
      process::count_waits_in(board_->counts);
      // All share slot 40, each at another place of its set.
      std::vector<AwaitedSlot> all;
      for (std::size_t i = 0; i < kWaiters; ++i) {
        const Slot each = slot(i == self ? 40 : i);
        all.push_back({each, each.stamp()});
      }
      ATOLL_CHECK(must(wait_any(all, absl::InfiniteDuration())) == self);
      return 0;
    });
  }
  for (const Child& each : waiters) {
    ASSERT_TRUE(process::falls_asleep(each.pid()));
  }
  write(40);
  EXPECT_TRUE(process::all_succeed(waiters));
  EXPECT_EQ(board_->counts.rescued, 0);
}

TEST_F(WaitAny, OneToSoManySlots) {
  EXPECT_TRUE(fails(wait_any({}, absl::InfiniteDuration()), Code::kInvalidArgument,
                    {"1 to 128", "not for 0"}));
  EXPECT_TRUE(fails(wait_any(awaited(kSlotsMax + 1), absl::InfiniteDuration()),
                    Code::kInvalidArgument, {"1 to 128", "not for 129"}));
  EXPECT_TRUE(fails(wait_any(awaited(kSlotsMax), absl::Milliseconds(1)), Code::kDeadlineExceeded,
                    {"slot 0", "127 others", "1ms"}));
}

TEST_F(WaitAny, WhatHasChangedIsToldAtOnce) {
  const std::vector<AwaitedSlot> all = awaited(9);
  write(7);
  write(5);
  write(8);
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Seconds(-1), absl::InfiniteDuration()}) {
    EXPECT_EQ(must(wait_any(all, timeout)), 5U) << "the first in order";
  }
  // The same slot twice is no harm.
  const AwaitedSlot twice[] = {{slot(1), slot(1).stamp()}, {slot(1), all[1].stamp}, all[8]};
  EXPECT_EQ(must(wait_any(twice, absl::InfiniteDuration())), 2U);
}

TEST_F(WaitAny, GivesUpWhenItsTimeIsOver) {
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Seconds(-1), absl::Milliseconds(2)}) {
    EXPECT_TRUE(fails(wait_any(awaited(1), timeout), Code::kDeadlineExceeded,
                      {"slot 0 of the unnamed list did not change"}));
    EXPECT_TRUE(fails(wait_any(awaited(5), timeout), Code::kDeadlineExceeded,
                      {"slot 0", "and 4 others", absl::FormatDuration(timeout)}));
  }
}

TEST_F(WaitAny, ARefusedSlotSpoilsThemAll) {
  const List reader = must(List::attach_fd(dense_.fd(), {.read_only = true}));
  std::vector<AwaitedSlot> all = awaited(3);
  all.push_back({reader[4], reader[4].stamp()});
  EXPECT_TRUE(fails(wait_any(all, absl::InfiniteDuration()), Code::kPermissionDenied,
                    {"slot 4", "attached read-only", "attach without read_only"}));
}

// Two writers, each of which goes on only when its last write has been noticed.
TEST_F(WaitAny, WithWritersAtOnce) {
  constexpr std::size_t kWriters = 2;
  constexpr std::size_t kSlotsEach = 4;
  constexpr std::int64_t kWrites = 20'000;
  const List acknowledged = must(List::create_anonymous(libatoll::fill(kWriters, 0)));
  // As they were before any write.
  std::vector<AwaitedSlot> all = awaited(kWriters * kSlotsEach);
  std::vector<Child> writers;
  for (std::size_t self = 0; self < kWriters; ++self) {
    writers.emplace_back([&, self] {
      process::count_waits_in(board_->counts);
      for (std::int64_t i = 0; i < kWrites; ++i) {
        const std::size_t which = self + kWriters * (static_cast<std::size_t>(i) % kSlotsEach);
        must(slot(which).store(i + 1));
        for (;;) {
          const libatoll::Stamp stamp = acknowledged[self].stamp();
          if (must(acknowledged[self].load<std::int64_t>()) == i + 1) {
            break;
          }
          must(acknowledged[self].wait(stamp, absl::InfiniteDuration()));
          ATOLL_CHECK(board_->counts.rescued == 0) << "a wake-up was lost";
        }
      }
      return 0;
    });
  }
  Child waiter([&] {
    process::count_waits_in(board_->counts);
    for (std::int64_t i = 0; i < kWrites * static_cast<std::int64_t>(kWriters); ++i) {
      const std::size_t which = must(wait_any(all, absl::InfiniteDuration()));
      ATOLL_CHECK(board_->counts.rescued == 0) << "a wake-up was lost";
      all[which].stamp = all[which].slot.stamp();
      must(acknowledged[which % kWriters].fetch_add(1));
    }
    return 0;
  });
  EXPECT_TRUE(process::all_succeed(writers));
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_EQ(board_->counts.rescued, 0);
  EXPECT_GT(board_->counts.announced, 1000);
  ATOLL_SUMMARY(
      "%lld writes by %zu writers, each noticed by one waiter on %zu slots; %lld sleeps "
      "announced, 0 rescues",
      static_cast<long long>(kWriters) * static_cast<long long>(kWrites), kWriters,
      kWriters * kSlotsEach, static_cast<long long>(board_->counts.announced));
}

// ---- Without futex_waitv ------------------------------------------------------------------------

// ENOSYS: an old kernel. EPERM: what some containers answer to system calls that they do not know.
class WithoutFutexWaitv : public WaitAny, public ::testing::WithParamInterface<int> {};

TEST_P(WithoutFutexWaitv, LooksFromTimeToTime) {
  constexpr std::size_t kCount = 5;
  Child waiter([&] {
    process::refuse(SYS_futex_waitv, GetParam());
    return tell_changes(kCount, kCount - 1);
  });
  for (std::size_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(process::wait_until([&] { return board_->rounds == static_cast<int>(i) + 1; }));
    const std::int64_t announced = board_->counts.announced;
    ASSERT_TRUE(process::wait_until([&] { return board_->counts.announced >= announced + 3; }))
        << "it does not look again";
    board_->changed = kSlotsMax;
    write(i);
    ASSERT_TRUE(process::wait_until([&] { return board_->changed == i; }))
        << "it never noticed slot " << i;
  }
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_EQ(board_->counts.rescued, 0);
}

TEST_P(WithoutFutexWaitv, SleepsInBetween) {
  constexpr std::int64_t kTimeoutMs = 50;
  Child waiter([&] {
    process::count_waits_in(board_->counts);
    process::refuse(SYS_futex_waitv, GetParam());
    return fails(wait_any(awaited(3), absl::Milliseconds(kTimeoutMs)), Code::kDeadlineExceeded,
                 {"slot 0", "2 others"})
               ? 0
               : 1;
  });
  EXPECT_EQ(waiter.wait(), 0);
  // A look a millisecond; a pause may be longer than asked, but never shorter.
  EXPECT_GT(board_->counts.announced, 0);
  EXPECT_LE(board_->counts.announced, kTimeoutMs + 1) << "it spins";
}

// The answer for one slot does not need futex_waitv.
TEST_P(WithoutFutexWaitv, OneSlotSleepsAsEver) {
  Child waiter([&] {
    process::refuse(SYS_futex_waitv, GetParam());
    return tell_changes(1, 0);
  });
  ASSERT_TRUE(process::falls_asleep(waiter.pid()));
  write(0);
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_EQ(board_->counts.announced, 1);
}

INSTANTIATE_TEST_SUITE_P(All, WithoutFutexWaitv, ::testing::Values(ENOSYS, EPERM),
                         [](const auto& param) {
                           return std::string(param.param == ENOSYS ? "ENOSYS" : "EPERM");
                         });

}  // namespace
