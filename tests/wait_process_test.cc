// Waiting by real processes: no wake-up is lost, whoever is killed wherever; and a write that nobody
// waits for makes no system call. tests/wait_interleaving_process_test.cc has each interleaving of
// one waiter and one writer.

#include <limits>

#include "process.h"
#include "sanitizers.h"
#include "system_calls.h"
#include "testing.h"
#include "waiting.h"

namespace {

using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;
using libatoll::Value;
using libatoll::test::Code;
using libatoll::test::fails;
using process::Child;
using process::must;
using process::Seam;
using process::Shared;
using process::WaitCounts;

enum class Kind { kVersioned, kPinned };
using Variant = std::tuple<Kind, Layout>;

std::string name_of(const Variant& variant) {
  return std::string(std::get<0>(variant) == Kind::kVersioned ? "versioned" : "pinned") + "_" +
         process::layout_name(std::get<1>(variant));
}

class Wait : public ::testing::TestWithParam<Variant> {
 protected:
  ~Wait() override { process::stop_counting_waits(); }

  static Kind kind() { return std::get<0>(GetParam()); }
  static Layout layout() { return std::get<1>(GetParam()); }

  // Slot 0 is the one under test; slot 1 never changes.
  List list_ = must(List::create_anonymous(
      {kind() == Kind::kVersioned ? Init(0) : libatoll::pinned(0), libatoll::text(64)},
      {.layout = layout()}));
  Slot slot_ = list_[0];
  libatoll::test::Raw raw_{list_.fd()};
  Shared<WaitCounts> counts_;

  // Whether the slot shows that somebody may be asleep.
  bool is_marked() {
    return kind() == Kind::kVersioned ? raw_.word(0).has_waiters()
                                      : libatoll::detail::is_waited(raw_.view().wait_word(0));
  }

  // A process that waits until slot 0 is no more what it is now, then checks that it holds `expected`,
  // and that the stamp it was given is that value's.
  Child waiter_for(std::int64_t expected) {
    const Stamp stamp = slot_.stamp();
    return Child([this, stamp, expected] {
      process::count_waits_in(*counts_);
      Stamp now = must(slot_.wait(stamp, absl::InfiniteDuration()));
      ATOLL_CHECK(must(slot_.load<std::int64_t>()) == expected);
      ATOLL_CHECK(now != stamp && now == slot_.stamp());
      return 0;
    });
  }
};

// ---- Strict alternation ---------------------------------------------------------------------------

constexpr std::size_t kBystanders = 2;
constexpr std::int64_t kKills = 240;
// So far the players may be ahead of the killer.
constexpr std::int64_t kKillsAhead = 3;

struct AlternationBoard {
  WaitCounts players;
  WaitCounts bystanders;
  std::atomic<std::int64_t> written;
  std::atomic<int> pauses_wanted;
  std::atomic<int> pauses_begun;
  std::atomic<int> pauses_over;
  std::atomic<std::int64_t> kills;
  std::array<std::atomic<bool>, kBystanders> inside_wait;
};

// Adds one to the number in `slot`, each time by another way to write.
void add_one(const List& list, const Slot& slot, std::int64_t value, bool pinned) {
  const std::int64_t next = value + 1;
  switch (value % 8) {
    case 0:
      return must(slot.store(next));
    case 1:
      ATOLL_CHECK(must(slot.fetch_add(1)) == value);
      return;
    case 2:
      ATOLL_CHECK(must(slot.compare_exchange(value, next)));
      return;
    case 3: {
      Stamp stamp = slot.stamp();
      ATOLL_CHECK(must(slot.compare_exchange(stamp, next)));
      return;
    }
    case 4:
      ATOLL_CHECK(must(slot.exchange(next)) == Value(value));
      return;
    case 5:
      must(slot.update([&](const Value&) { return next; }));
      return;
    case 6:
      return must(list.store_range(slot.index(), std::span<const std::int64_t>(&next, 1)));
    default:
      if (pinned) {
        ATOLL_CHECK(must(list.counter(static_cast<std::ptrdiff_t>(slot.index()))).fetch_add(1) ==
                    value);
      } else {
        ATOLL_CHECK(must(slot.fetch_max(next)) == value);
      }
      return;
  }
}

// Writes each number of one parity, up to `last`, as soon as the other player has written the one
// before it.
int play(const List& list, AlternationBoard& board, std::int64_t first, std::int64_t last,
         bool pinned) {
  process::count_waits_in(board.players);
  const Slot slot = list[0];
  const auto pause_if_wanted = [&board] {
    if (board.pauses_wanted != board.pauses_begun) {
      const int pause = board.pauses_wanted;
      board.pauses_begun = pause;
      ATOLL_CHECK(process::wait_until([&] { return board.pauses_over == pause; }));
    }
  };
  for (std::int64_t mine = first; mine <= last; mine += 2) {
    for (;;) {
      const Stamp stamp = slot.stamp();
      const std::int64_t seen = must(slot.load<std::int64_t>());
      if (seen == mine - 1) {
        break;
      }
      ATOLL_CHECK(seen == mine - 2) << "found " << seen << " instead of " << mine - 1;
      must(slot.wait(stamp, absl::InfiniteDuration()));
      ATOLL_CHECK(board.players.rescued == 0) << "a wake-up was lost before " << mine;
    }
    if (first == 1) {
      // The killing goes on from the first value to the last.
      const std::int64_t due = mine + 2 > last ? kKills : mine * kKills / last - kKillsAhead;
      ATOLL_CHECK(process::wait_until([&] {
        pause_if_wanted();
        return board.kills >= due;
      })) << "nobody is killed any more";
    }
    add_one(list, slot, mine - 1, pinned);
    board.written.store(mine, std::memory_order_relaxed);
  }
  return 0;
}

int stand_by(const List& list, AlternationBoard& board, std::size_t self, bool park) {
  static std::atomic<bool>* inside = nullptr;
  static bool parks = false;
  inside = &board.inside_wait[self];
  parks = park;
  process::count_waits_in(board.bystanders);
  libatoll::detail::seam_hook = [](Seam seam) {
    process::count_waits(seam);
    if (seam == Seam::kAnnounced) {
      *inside = true;
      if (parks) {
        raise(SIGSTOP);
      }
    }
  };
  const bool sleeps_on_two = process::has_futex_waitv();
  for (;;) {
    // On two slots at once, where one can sleep on two, or on the one alone.
    const Slot slot = list[0];
    if (self % 2 == 0 || !sleeps_on_two) {
      must(slot.wait(slot.stamp(), absl::InfiniteDuration()));
    } else {
      const libatoll::AwaitedSlot both[] = {{list[1], list[1].stamp()}, {slot, slot.stamp()}};
      ATOLL_CHECK(must(libatoll::wait_any(both, absl::InfiniteDuration())) == 1);
    }
    *inside = false;
  }
}

TEST_P(Wait, StrictAlternationWhileBystandersAreKilled) {
  const std::int64_t values = layout() == Layout::kPadded ? 1'000'000 : 250'000;
  const Shared<AlternationBoard> board;
  const bool pinned = kind() == Kind::kPinned;
  Child producer([&] { return play(list_, *board, 1, values, pinned); });
  Child consumer([&] { return play(list_, *board, 2, values, pinned); });

  // The three states in which bystanders are killed, in turn.
  enum How : std::size_t { kAnywhere, kAnnounced, kAsleep, kHows };
  std::array<std::int64_t, kHows> killed = {};
  std::int64_t killed_inside = 0;
  std::vector<Child> bystanders;
  const auto start = [&](std::size_t self, bool park) {
    board->inside_wait[self] = false;
    return Child([&, self, park] { return stand_by(list_, *board, self, park); });
  };
  for (std::size_t i = 0; i < kBystanders; ++i) {
    bystanders.push_back(start(i, false));
  }
  const auto failed = [&] { return board->players.rescued != 0; };
  for (std::int64_t kill = 0; kill < kKills && !failed(); ++kill) {
    const auto turn = static_cast<std::size_t>(kill);
    const std::size_t victim = turn / kHows % kBystanders;
    const auto how = static_cast<How>(turn % kHows);
    ASSERT_TRUE(process::wait_until([&] {
      return failed() || board->written >= values * kill / (kKills + 1);
    })) << "the players are stuck at "
        << board->written;
    if (failed()) {
      break;
    }
    switch (how) {
      case kAnywhere:
        ASSERT_TRUE(bystanders[victim].kill());
        killed_inside += board->inside_wait[victim] ? 1 : 0;
        break;
      case kAnnounced:
        // Between its announcement and its sleep.
        ASSERT_TRUE(bystanders[victim].kill());
        bystanders[victim] = start(victim, true);
        ASSERT_TRUE(bystanders[victim].wait_stopped());
        ASSERT_TRUE(bystanders[victim].kill());
        break;
      case kAsleep: {
        // The producer, whose turn it is, waits until everybody else is really asleep.
        const int pause = ++board->pauses_wanted;
        ASSERT_TRUE(process::wait_until([&] { return failed() || board->pauses_begun == pause; }));
        if (failed()) {
          break;
        }
        ASSERT_TRUE(process::falls_asleep(consumer.pid()));
        ASSERT_TRUE(process::falls_asleep(bystanders[victim].pid()));
        ASSERT_TRUE(bystanders[victim].kill());
        EXPECT_TRUE(process::is_asleep(consumer.pid()));
        board->pauses_over = pause;
        break;
      }
      case kHows:
        break;
    }
    ++killed[how];
    bystanders[victim] = start(victim, false);
    ++board->kills;
  }
  EXPECT_EQ(producer.wait(), 0) << "at " << board->written;
  EXPECT_EQ(consumer.wait(), 0) << "at " << board->written;
  bystanders.clear();

  EXPECT_EQ(must(slot_.load<std::int64_t>()), values);
  EXPECT_EQ(board->players.rescued, 0) << "a wake-up was lost";
  EXPECT_EQ(board->bystanders.rescued, 0) << "a bystander's wake-up was lost";
  for (const std::int64_t each : killed) {
    EXPECT_EQ(each, kKills / kHows);
  }
  EXPECT_GT(killed_inside, 0) << "no bystander was waiting when it was killed";
  EXPECT_GT(board->players.woke, values / 100);
  EXPECT_GT(board->players.announced, values / 100);
  if (kind() == Kind::kVersioned) {
    EXPECT_EQ(slot_.version(), static_cast<std::uint64_t>(values));
  }
  ATOLL_SUMMARY(
      "%s: %lld values, %lld sleeps announced, %lld wake-ups, 0 rescues; bystanders announced %lld "
      "times; killed: %lld asleep, %lld announced, %lld anywhere (%lld of these waiting)",
      name_of(GetParam()).c_str(), static_cast<long long>(values),
      static_cast<long long>(board->players.announced), static_cast<long long>(board->players.woke),
      static_cast<long long>(board->bystanders.announced), static_cast<long long>(killed[kAsleep]),
      static_cast<long long>(killed[kAnnounced]), static_cast<long long>(killed[kAnywhere]),
      static_cast<long long>(killed_inside));
}

// ---- Deaths -------------------------------------------------------------------------------------

TEST_P(Wait, AKilledWaiterCostsOneWakeUp) {
  process::count_waits_in(*counts_);
  for (const bool asleep : {false, true}) {
    const Stamp stamp = slot_.stamp();
    const std::int64_t woke = counts_->woke;
    Child waiter([&] {
      if (!asleep) {
        process::park_at(Seam::kAnnounced);
      }
      must(slot_.wait(stamp, absl::InfiniteDuration()));
      return 0;
    });
    ASSERT_TRUE(asleep ? bool(process::falls_asleep(waiter.pid())) : waiter.wait_stopped());
    ASSERT_TRUE(waiter.kill());
    ASSERT_TRUE(is_marked()) << "the dead waiter left no mark";
    EXPECT_EQ(slot_.stamp(), stamp) << "a mark is no write";
    must(slot_.fetch_add(1));
    EXPECT_FALSE(is_marked()) << "the mark of the dead stayed";
    EXPECT_EQ(counts_->woke, woke + 1);
    must(slot_.fetch_add(1));
    EXPECT_EQ(counts_->woke, woke + 1) << "a write with no waiter made a wake-up";
  }
}

TEST_P(Wait, AWriterKilledBeforeItsWakeUpDelaysOnly) {
  constexpr int kWaiters = 3;
  const Shared<WaitCounts> before;
  {
    std::vector<Child> waiters;
    for (int i = 0; i < kWaiters; ++i) {
      waiters.push_back(waiter_for(7));
    }
    for (const Child& each : waiters) {
      ASSERT_TRUE(process::falls_asleep(each.pid()));
    }
    Child writer([&] {
      process::park_at(Seam::kWaking);
      must(slot_.store(7));
      return 0;
    });
    ASSERT_TRUE(writer.wait_stopped());
    EXPECT_EQ(must(slot_.load<std::int64_t>()), 7) << "its write is not done";
    EXPECT_FALSE(is_marked());
    ASSERT_TRUE(writer.kill());
    // Nobody wakes them any more.
    EXPECT_TRUE(process::all_succeed(waiters));
  }
  EXPECT_EQ(counts_->rescued, kWaiters);
  // And the slot is as good as new.
  std::vector<Child> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.push_back(waiter_for(8));
  }
  for (const Child& each : waiters) {
    ASSERT_TRUE(process::falls_asleep(each.pid()));
  }
  must(slot_.store(8));
  EXPECT_TRUE(process::all_succeed(waiters));
  EXPECT_EQ(counts_->rescued, kWaiters) << "a later wake-up was lost";
  ATOLL_SUMMARY("%s: %d waiters came back by themselves, %d were woken afterwards",
                name_of(GetParam()).c_str(), kWaiters, kWaiters);
}

// The write falls between the announcement and the sleep.
TEST_P(Wait, AWriteBeforeTheSleepIsNotSleptThrough) {
  for (int round = 1; round <= 20; ++round) {
    const Stamp stamp = slot_.stamp();
    Child waiter([&, round] {
      process::count_waits_in(*counts_);
      libatoll::detail::seam_hook = [](Seam seam) {
        process::count_waits(seam);
        if (seam == Seam::kAnnounced) {
          raise(SIGSTOP);
        }
      };
      must(slot_.wait(stamp, absl::InfiniteDuration()));
      ATOLL_CHECK(must(slot_.load<std::int64_t>()) == round);
      return 0;
    });
    ASSERT_TRUE(waiter.wait_stopped());
    ASSERT_TRUE(is_marked());
    must(slot_.store(round));
    waiter.resume();
    ASSERT_EQ(waiter.wait(), 0);
  }
  EXPECT_EQ(counts_->announced, 20) << "it went to sleep more than once";
  EXPECT_EQ(counts_->rescued, 0);
}

// ---- Who is woken, and by what ------------------------------------------------------------------

TEST_P(Wait, AllWaitersWake) {
  constexpr int kWaiters = 24;
  std::vector<Child> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.push_back(waiter_for(1));
  }
  for (const Child& each : waiters) {
    ASSERT_TRUE(process::falls_asleep(each.pid()));
  }
  const std::int64_t announced = counts_->announced;
  process::count_waits_in(*counts_);
  must(slot_.store(1));
  EXPECT_TRUE(process::all_succeed(waiters));
  EXPECT_EQ(counts_->woke, 1) << "one wake-up should do for all";
  EXPECT_EQ(counts_->rescued, 0);
  // Nobody slept twice, nor went round and round instead of sleeping. One that marks a slot may find
  // another's mark there; none has to be woken for that.
  EXPECT_GE(announced, kWaiters);
  EXPECT_LE(announced, 2 * kWaiters);
  ATOLL_SUMMARY("%s: %d waiters woke by one wake-up", name_of(GetParam()).c_str(), kWaiters);
}

// Each way to write: somebody who sleeps on the slot comes back, and not by himself.
TEST_P(Wait, EveryWriteWakes) {
  const bool pinned = kind() == Kind::kPinned;
  std::vector<std::function<void()>> writes = {
      [&] { must(slot_.store(-5)); },
      [&] { must(slot_.exchange(100)); },
      [&] { ATOLL_CHECK(must(slot_.compare_exchange(100, 6))); },
      [&] {
        Stamp stamp = slot_.stamp();
        ATOLL_CHECK(must(slot_.compare_exchange(stamp, 12)));
      },
      [&] { must(slot_.update([](const Value&) { return 1; })); },
      [&] { must(slot_.fetch_add(1)); },
      [&] { must(slot_.fetch_sub(5)); },
      [&] { must(slot_.fetch_and(0xf)); },
      [&] { must(slot_.fetch_or(0x100)); },
      [&] { must(slot_.fetch_xor(0x1000)); },
      [&] { must(slot_.fetch_max(1 << 20)); },
      [&] { must(slot_.fetch_min(-9)); },
      [&] {
        const std::int64_t value = 77;
        must(list_.store_range(0, std::span<const std::int64_t>(&value, 1)));
      },
  };
  if (pinned) {
    const libatoll::Counter counter = must(list_.counter(0));
    const std::vector<std::function<void()>> more = {
        [=] { counter.store(1000); },
        [=] { counter.exchange(1001); },
        [=] {
          std::int64_t seen = 1001;
          ATOLL_CHECK(counter.compare_exchange(seen, 6));
        },
        [=] { counter.fetch_add(1); },
        [=] { counter.fetch_sub(5); },
        [=] { counter.fetch_and(1); },
        [=] { counter.fetch_or(0x100); },
        [=] { counter.fetch_xor(0x1000); },
        [=] { counter.fetch_max(1 << 20); },
        [=] { counter.fetch_min(-9); },
    };
    writes.insert(writes.end(), more.begin(), more.end());
  }
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const Stamp stamp = slot_.stamp();
    Child waiter([&] {
      process::count_waits_in(*counts_);
      must(slot_.wait(stamp, absl::InfiniteDuration()));
      ATOLL_CHECK(slot_.stamp() != stamp);
      return 0;
    });
    ASSERT_TRUE(process::falls_asleep(waiter.pid()));
    writes[i]();
    ASSERT_NE(slot_.stamp(), stamp) << "write " << i << " changes nothing";
    ASSERT_EQ(waiter.wait(), 0);
    ASSERT_EQ(counts_->rescued, 0) << "write " << i << " woke nobody";
  }
  ATOLL_SUMMARY("%s: %zu ways to write, each woke a sleeper", name_of(GetParam()).c_str(),
                writes.size());
}

TEST_P(Wait, EveryWriteOfADoubleWakes) {
  const List list = must(List::create_anonymous(
      {kind() == Kind::kVersioned ? Init(0.5) : libatoll::pinned(0.5)}, {.layout = layout()}));
  const Slot slot = list[0];
  std::vector<std::function<void()>> writes = {
      [&] { must(slot.store(1.0)); },
      [&] { must(slot.fetch_add(1.0)); },
      [&] { must(slot.fetch_sub(0.5)); },
      [&] { must(slot.fetch_max(100.0)); },
      [&] { must(slot.fetch_min(-1.0)); },
      [&] {
        const double value = 77;
        must(list.store_range(0, std::span<const double>(&value, 1)));
      },
  };
  if (kind() == Kind::kPinned) {
    const libatoll::Gauge gauge = must(list.gauge(0));
    const std::vector<std::function<void()>> more = {
        [=] { gauge.store(1); },         [=] { gauge.exchange(2); },
        [=] { gauge.fetch_add(1); },     [=] { gauge.fetch_sub(0.5); },
        [=] { gauge.fetch_max(1e300); }, [=] { gauge.fetch_min(-1e300); },
    };
    writes.insert(writes.end(), more.begin(), more.end());
  }
  for (std::size_t i = 0; i < writes.size(); ++i) {
    const Stamp stamp = slot.stamp();
    Child waiter([&] {
      process::count_waits_in(*counts_);
      must(slot.wait(stamp, absl::InfiniteDuration()));
      return 0;
    });
    ASSERT_TRUE(process::falls_asleep(waiter.pid()));
    writes[i]();
    ASSERT_NE(slot.stamp(), stamp) << "write " << i << " changes nothing";
    ASSERT_EQ(waiter.wait(), 0);
    ASSERT_EQ(counts_->rescued, 0) << "write " << i << " woke nobody";
  }
}

// ---- Times --------------------------------------------------------------------------------------

TEST_P(Wait, GivesUpWhenItsTimeIsOver) {
  const Stamp stamp = slot_.stamp();
  for (const absl::Duration timeout :
       {absl::ZeroDuration(), absl::Seconds(-1), -absl::InfiniteDuration()}) {
    EXPECT_TRUE(fails(slot_.wait(stamp, timeout), Code::kDeadlineExceeded,
                      {"slot 0", "the unnamed list", absl::FormatDuration(timeout)}));
    EXPECT_FALSE(is_marked()) << "who does not sleep need not announce himself";
  }
  for (const absl::Duration timeout : {absl::Nanoseconds(1), absl::Milliseconds(2)}) {
    EXPECT_TRUE(fails(slot_.wait(stamp, timeout), Code::kDeadlineExceeded, {"slot 0"}));
  }
  EXPECT_EQ(slot_.stamp(), stamp);
}

TEST_P(Wait, ReturnsAtOnceWhatHasChanged) {
  const Stamp old = slot_.stamp();
  must(slot_.store(1));
  // No time at all is enough, and so is all of it.
  for (const absl::Duration timeout : {absl::ZeroDuration(), absl::InfiniteDuration()}) {
    process::count_waits_in(*counts_);
    EXPECT_EQ(must(slot_.wait(old, timeout)), slot_.stamp());
  }
  EXPECT_EQ(counts_->announced, 0);
  EXPECT_FALSE(is_marked());
}

// A sleeper looks again by himself, about every second, and sleeps on: he does not go round and round.
TEST_P(Wait, SleepsOnThroughItsOwnLooks) {
  const Stamp stamp = slot_.stamp();
  Child waiter([&] {
    process::count_waits_in(*counts_);
    libatoll::detail::seam_hook = [](Seam seam) {
      process::count_waits(seam);
      static std::chrono::steady_clock::time_point last;
      if (seam == Seam::kAnnounced) {
        const auto now = std::chrono::steady_clock::now();
        ATOLL_CHECK(last == std::chrono::steady_clock::time_point() ||
                    now - last > std::chrono::milliseconds(500))
            << "it did not sleep between two looks";
        last = now;
      }
    };
    must(slot_.wait(stamp, absl::InfiniteDuration()));
    return 0;
  });
  ASSERT_TRUE(process::wait_until([&] { return counts_->announced >= 2; }));
  ASSERT_TRUE(process::falls_asleep(waiter.pid()));
  must(slot_.store(1));
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_EQ(counts_->rescued, 0);
}

TEST_P(Wait, AReaderIsToldWhatToDo) {
  const List reader = must(List::attach_fd(list_.fd(), {.read_only = true}));
  must(slot_.store(3));
  const Stamp stamp = reader[0].stamp();
  EXPECT_EQ(stamp, slot_.stamp());
  for (const absl::Duration timeout : {absl::ZeroDuration(), absl::InfiniteDuration()}) {
    EXPECT_TRUE(fails(reader[0].wait(stamp, timeout), Code::kPermissionDenied,
                      {"slot 0 of the unnamed list", "attached read-only",
                       "attach without read_only to wait", "look at its version"}));
  }
}

// ---- System calls -------------------------------------------------------------------------------

// Every kind of write, with nobody waiting. Allocates nothing.
int write_much(const List& list, const Slot& slot, bool pinned) {
  for (std::int64_t i = 0; i < 2000; ++i) {
    add_one(list, slot, i, pinned);
  }
  if (!must(slot.load<std::int64_t>())) {
    return 1;
  }
  char text[64];
  std::memset(text, 'x', sizeof(text));
  for (std::size_t length = 0; length <= sizeof(text); ++length) {
    must(list[1].store(std::string_view(text, length)));
  }
  return 0;
}

TEST_P(Wait, AWriteThatNobodyWaitsForMakesNoSystemCall) {
  ATOLL_NEEDS_NO_OTHER_SYSTEM_CALLS();
  const bool pinned = kind() == Kind::kPinned;
  Child quiet([&] {
    write_much(list_, slot_, pinned);  // what is made once is made now
    must(slot_.store(0));
    process::allow_only({SYS_exit_group, SYS_write});
    return write_much(list_, slot_, pinned);
  });
  EXPECT_EQ(quiet.wait(), 0);
  EXPECT_EQ(must(slot_.load<std::int64_t>()), 2000);

  // The filter sees what it should: with a waiter, the same write makes one.
  Child waiter = waiter_for(2001);
  ASSERT_TRUE(process::falls_asleep(waiter.pid()));
  Child loud([&] {
    process::allow_only({SYS_exit_group, SYS_write});
    must(slot_.store(2001));
    return 0;
  });
  EXPECT_EQ(loud.wait_for_signal(), SIGSYS);
  EXPECT_TRUE(waiter.kill());  // it would come back by itself
}

INSTANTIATE_TEST_SUITE_P(All, Wait,
                         ::testing::Combine(::testing::Values(Kind::kVersioned, Kind::kPinned),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) { return name_of(param.param); });

// ---- Text, and changes of type ------------------------------------------------------------------

class WaitForText : public ::testing::TestWithParam<Layout> {};

TEST_P(WaitForText, AnyValueThatComesIsAChange) {
  const List list =
      must(List::create_anonymous({libatoll::text("idle", 100)}, {.layout = GetParam()}));
  const Slot slot = list[0];
  const std::vector<Value> chain = {
      std::string(100, 'a'),
      std::string(100, 'a'),  // an equal value is a change
      std::string("short"),
      std::string("short"),
      std::int64_t{1},
      std::int64_t{1},
      std::monostate(),
      std::monostate(),
      true,
      1.0,
      libatoll::Bytes(std::string(50, '\0')),
      std::string(),
      std::numeric_limits<std::int64_t>::max(),
  };
  const Shared<WaitCounts> counts;
  const Shared<std::atomic<std::size_t>> seen;
  Child waiter([&] {
    process::count_waits_in(*counts);
    Stamp stamp = slot.stamp();
    for (const Value& expected : chain) {
      stamp = must(slot.wait(stamp, absl::InfiniteDuration()));
      const libatoll::StampedValue now = must(slot.load_stamped());
      ATOLL_CHECK(now.value == expected) << now.value << " instead of " << expected;
      ATOLL_CHECK(now.stamp == stamp);
      ++*seen;
    }
    return 0;
  });
  for (std::size_t i = 0; i < chain.size(); ++i) {
    ASSERT_TRUE(process::wait_until([&] { return *seen == i; })) << "stuck before value " << i;
    ASSERT_TRUE(process::falls_asleep(waiter.pid()));
    must(slot.store(chain[i]));
  }
  EXPECT_EQ(waiter.wait(), 0);
  EXPECT_EQ(counts->rescued, 0);
  ATOLL_SUMMARY("%s: a waiter was woken by %zu values of all types",
                process::layout_name(GetParam()), chain.size());
}

INSTANTIATE_TEST_SUITE_P(All, WaitForText, ::testing::Values(Layout::kPadded, Layout::kDense),
                         [](const auto& param) { return process::layout_name(param.param); });

}  // namespace
