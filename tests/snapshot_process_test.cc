// Many slots at once: snapshots hold what was there at one instant, however much is written; ranges.
//
// The invariant: each writer process has a pair of slots of its own, and writes the same rising
// number first to a, then to b. So a is b or b + 1 at every instant. The readers look at all a before
// they look at any b, so whoever looks once sees a from before a write and b from after it.

#include <limits>
#include <numeric>
#include <thread>

#include "process.h"
#include "sanitizers.h"
#include "testing.h"

// ---- Counting allocations -----------------------------------------------------------------------

namespace {
thread_local std::int64_t allocations = 0;
}

#if ATOLL_OWN_NEW
// Not inlined: GCC would take malloc and delete, or new and free, for a pair that does not match.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++allocations;
  void* const memory = std::malloc(bytes == 0 ? 1 : bytes);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace {

using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::Value;
using libatoll::test::Code;
using libatoll::test::fails;
using process::Child;
using process::must;
using process::Seam;
using process::Shared;

// ---- The invariant ------------------------------------------------------------------------------

enum class Kind { kVersioned, kPinned };
using Variant = std::tuple<Kind, Layout>;

constexpr std::size_t kWriters = 2;
constexpr int kReaders = 2;
// What each reader takes at least, and must have met; it goes on until it has.
constexpr std::int64_t kTypedEach = 140'000;
constexpr std::int64_t kGeneralEach = 10'000;
constexpr std::int64_t kInBetweenMin = 500;
constexpr std::int64_t kDifferentMin = 20'000;

// Writers run on one processor and readers on another, where there are two: so they meet.
enum Side { kWriting, kReading };
void run_on(Side side) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  ATOLL_CHECK(sched_getaffinity(0, sizeof(allowed), &allowed) == 0);
  const int count = CPU_COUNT(&allowed);
  if (count < 2) {
    return;
  }
  int wanted = side;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &allowed) && wanted-- == 0) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(cpu, &one);
      ATOLL_CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
      return;
    }
  }
}
// For the test process itself.
class KeepProcessors {
 public:
  KeepProcessors() { sched_getaffinity(0, sizeof(allowed_), &allowed_); }
  KeepProcessors(const KeepProcessors&) = delete;
  KeepProcessors& operator=(const KeepProcessors&) = delete;
  ~KeepProcessors() { sched_setaffinity(0, sizeof(allowed_), &allowed_); }

 private:
  cpu_set_t allowed_ = {};
};

struct Board {
  process::StartLine start;
  std::atomic<int> readers_left;
  std::atomic<std::int64_t> writes;
  std::atomic<std::int64_t> snapshots;
  std::atomic<std::int64_t> in_between;  // snapshots that caught a writer between its two writes
  std::atomic<std::int64_t> different;   // snapshots unlike the one before
  std::atomic<std::int64_t> broken;
  std::atomic<std::int64_t> broken_single;
  std::atomic<std::int64_t> singles;
};

// `values` are those of all a, then those of all b.
bool holds(std::span<const std::int64_t> values, bool& in_between) {
  bool all = true;
  const std::size_t pairs = values.size() / 2;
  for (std::size_t i = 0; i < pairs; ++i) {
    const std::int64_t ahead = values[i] - values[pairs + i];
    all &= ahead == 0 || ahead == 1;
    in_between |= ahead == 1;
  }
  return all;
}

// What one reader has met.
class Met {
 public:
  explicit Met(Board& board) : board_(board) {}

  void account(std::span<const std::int64_t> values) {
    bool in_between = false;
    board_.broken += holds(values, in_between) ? 0 : 1;
    in_between_ += in_between ? 1 : 0;
    different_ += std::equal(values.begin(), values.end(), last_.begin(), last_.end()) ? 0 : 1;
    last_.assign(values.begin(), values.end());
    ++snapshots_;
  }
  bool enough(std::int64_t snapshots, std::int64_t in_between, std::int64_t different) const {
    return snapshots_ >= snapshots && in_between_ >= in_between && different_ >= different;
  }
  // Takes snapshots until it has met enough, or for too long.
  template <typename Take>
  bool meet(std::int64_t snapshots, std::int64_t in_between, std::int64_t different, Take take) {
    const bool met = process::wait_until([&] {
      for (int i = 0; i < 500; ++i) {
        take();
      }
      return board_.broken > 0 || enough(snapshots, in_between, different);
    });
    board_.snapshots += snapshots_;
    board_.in_between += in_between_;
    board_.different += different_;
    return met;
  }

 private:
  Board& board_;
  std::int64_t snapshots_ = 0;
  std::int64_t in_between_ = 0;
  std::int64_t different_ = 0;
  std::vector<std::int64_t> last_;
};

template <typename Write>
void write_pairs(Board& board, std::uint64_t pause_max, Write write) {
  std::int64_t number = 0;
  while (board.readers_left > 0) {
    ++number;
    write(number);
    // Time for a reader's quiet pass, a little more or less of it each time.
    for (std::uint64_t i = process::mix(static_cast<std::uint64_t>(number)) % pause_max; i > 0;
         --i) {
      asm volatile("");
    }
    if (number % 1024 == 0) {
      sched_yield();
    }
  }
  board.writes += number;
}

class Snapshot : public ::testing::TestWithParam<Variant> {
 protected:
  static Kind kind() { return std::get<0>(GetParam()); }
  static Layout layout() { return std::get<1>(GetParam()); }
  static Init number(auto value) {
    return kind() == Kind::kPinned ? libatoll::pinned(value) : Init(value);
  }
};

TEST_P(Snapshot, NeverBreaksTheInvariant) {
  constexpr std::uint64_t kPauseMax = 1000;
  const List list =
      must(List::create_anonymous(libatoll::fill(2 * kWriters, number(0)), {.layout = layout()}));
  const Shared<Board> board;
  constexpr int kProcesses = static_cast<int>(kWriters) + kReaders;
  board->readers_left = kReaders;
  std::vector<Child> children;
  for (std::size_t self = 0; self < kWriters; ++self) {
    children.emplace_back([&, self] {
      run_on(kWriting);
      board->start.wait(kProcesses);
      const Slot a = list[self];
      const Slot b = list[kWriters + self];
      write_pairs(*board, kPauseMax, [&](std::int64_t value) {
        must(a.store(value));
        must(b.store(value));
      });
      return 0;
    });
  }
  for (int self = 0; self < kReaders; ++self) {
    children.emplace_back([&] {
      // Reading alone does.
      const List mine = must(List::attach_fd(list.fd(), {.read_only = true}));
      run_on(kReading);
      board->start.wait(kProcesses);
      Met typed(*board);
      const bool met_typed = typed.meet(kTypedEach, kInBetweenMin, kDifferentMin, [&] {
        typed.account(must(mine.snapshot<std::int64_t>(absl::InfiniteDuration())));
      });
      Met general(*board);
      std::vector<std::int64_t> numbers;
      const bool met_general = general.meet(kGeneralEach, kInBetweenMin, kDifferentMin, [&] {
        numbers.clear();
        for (const Value& value : must(mine.snapshot(absl::InfiniteDuration()))) {
          numbers.push_back(std::get<std::int64_t>(value));
        }
        general.account(numbers);
      });
      // And now the same with one look at each.
      numbers.resize(mine.size());
      const bool broke = process::wait_until([&] {
        for (int i = 0; i < 1000; ++i) {
          for (std::size_t slot = 0; slot < mine.size(); ++slot) {
            numbers[slot] = must(mine[slot].load<std::int64_t>());
            if (i % 64 == 0) {
              sched_yield();
            }
          }
          bool in_between = false;
          ++board->singles;
          board->broken_single += holds(numbers, in_between) ? 0 : 1;
        }
        return board->broken_single > 0;
      });
      --board->readers_left;
      return broke && met_typed && met_general ? 0 : 1;
    });
  }
  EXPECT_TRUE(process::all_succeed(children)) << "or met too little";
  EXPECT_EQ(board->broken, 0) << "of " << board->snapshots;
  EXPECT_GE(board->snapshots, kReaders * (kTypedEach + kGeneralEach));
  EXPECT_GT(board->broken_single, 0) << "a single look never broke it: this test shows nothing";
  EXPECT_GE(board->in_between, 2 * kReaders * kInBetweenMin);
  EXPECT_GE(board->different, 2 * kReaders * kDifferentMin);
  ATOLL_SUMMARY(
      "%s, %s: %lld snapshots (%lld unlike the one before, %lld in the middle of a pair) "
      "and %lld pairs written: 0 broken; of %lld single looks, %lld broken",
      kind() == Kind::kPinned ? "pinned" : "versioned", process::layout_name(layout()),
      static_cast<long long>(board->snapshots), static_cast<long long>(board->different),
      static_cast<long long>(board->in_between), static_cast<long long>(board->writes),
      static_cast<long long>(board->singles), static_cast<long long>(board->broken_single));
}

// All types at once, and longer text, whose readers give way to writers in the middle of a copy.
TEST_P(Snapshot, OfTextNeverBreaksTheInvariant) {
  constexpr std::int64_t kEach = 2000;
  constexpr std::int64_t kMet = 100;
  constexpr std::uint64_t kPauseMax = 20'000;
  const std::vector<Init> half = {number(0), number(0.0), libatoll::text("0", 40),
                                  libatoll::bytes(libatoll::BytesView("0", 1), 3000)};
  std::vector<Init> values = half;
  values.insert(values.end(), half.begin(), half.end());
  const List list = must(List::create_anonymous(values, {.layout = layout()}));
  const auto as_text = [](std::int64_t value, std::size_t length) {
    const std::string digits = std::to_string(value);
    return std::string(length - digits.size(), '0') + digits;
  };
  const auto as_number = [](const Value& value) -> std::int64_t {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) {
      return *integer;
    }
    if (const auto* real = std::get_if<double>(&value)) {
      return static_cast<std::int64_t>(*real);
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
      return std::stoll(*text);
    }
    return std::stoll(std::get<libatoll::Bytes>(value).as_string());
  };
  const Shared<Board> board;
  board->readers_left = kReaders;
  std::vector<Child> children;
  children.emplace_back([&] {
    run_on(kWriting);
    board->start.wait(1 + kReaders);
    write_pairs(*board, kPauseMax, [&](std::int64_t value) {
      for (const std::size_t at : {std::size_t{0}, half.size()}) {
        must(list[at].store(value));
        must(list[at + 1].store(static_cast<double>(value)));
        must(list[at + 2].store(as_text(value, 9 + static_cast<std::size_t>(value) % 30)));
        must(list[at + 3].store(libatoll::Bytes(as_text(value, 3000))));
      }
      if (value % 4 == 0) {
        sched_yield();
      }
    });
    return 0;
  });
  for (int self = 0; self < kReaders; ++self) {
    children.emplace_back([&] {
      libatoll::detail::seam_hook = [](Seam seam) {
        static int passed = 0;
        if (seam == Seam::kReading && ++passed % 4 == 0) {
          sched_yield();
        }
      };
      run_on(kReading);
      board->start.wait(1 + kReaders);
      Met met(*board);
      std::vector<std::int64_t> numbers;
      const bool enough = met.meet(kEach, kMet, kMet, [&] {
        numbers.clear();
        for (const Value& value : must(list.snapshot(absl::InfiniteDuration()))) {
          numbers.push_back(as_number(value));
        }
        met.account(numbers);
      });
      --board->readers_left;
      return enough ? 0 : 1;
    });
  }
  EXPECT_TRUE(process::all_succeed(children)) << "or met too little";
  EXPECT_EQ(board->broken, 0) << "of " << board->snapshots;
  EXPECT_GE(board->snapshots, kReaders * kEach);
  EXPECT_GE(board->in_between, kReaders * kMet);
  EXPECT_GE(board->different, kReaders * kMet);
  ATOLL_SUMMARY(
      "%s, %s: %lld snapshots of numbers, text and bytes (%lld unlike the one before, "
      "%lld in the middle of a write), 0 broken",
      kind() == Kind::kPinned ? "pinned" : "versioned", process::layout_name(layout()),
      static_cast<long long>(board->snapshots), static_cast<long long>(board->different),
      static_cast<long long>(board->in_between));
}

// Values that come back: a token goes from one slot to the other and returns, and is never in both.
// Whoever compares values instead of versions finds a pass quiet that was not. (Pinned slots have no
// version; there this may happen, as the manual says.)
TEST(SnapshotOfVersioned, IsNotFooledByValuesThatComeBack) {
  constexpr std::int64_t kEach = 200'000;
  constexpr std::int64_t kPlaceMin = 1000;
  for (const Layout layout : {Layout::kPadded, Layout::kDense}) {
    const List list = must(List::create_anonymous({1, 0}, {.layout = layout}));
    const Shared<Board> board;
    board->readers_left = 1;
    const KeepProcessors keep;
    Child writer([&] {
      run_on(kWriting);
      board->start.wait(2);
      write_pairs(*board, 32, [&](std::int64_t number) {
        const Slot from = list[number % 2 == 0 ? 0 : 1];
        const Slot to = list[number % 2 == 0 ? 1 : 0];
        must(from.store(0));
        must(to.store(1));
      });
      return 0;
    });
    run_on(kReading);
    board->start.wait(2);
    std::array<std::int64_t, 4> places = {};  // nowhere, in the first, in the second, in both
    std::int64_t snapshots = 0;
    const bool met = process::wait_until([&] {
      for (int i = 0; i < 500; ++i, ++snapshots) {
        const std::vector<std::int64_t> now =
            must(list.snapshot<std::int64_t>(absl::InfiniteDuration()));
        ++places[static_cast<std::size_t>(now[0] + 2 * now[1])];
      }
      return places[3] > 0 || (snapshots >= kEach &&
                               *std::min_element(places.begin(), places.begin() + 3) >= kPlaceMin);
    });
    --board->readers_left;
    EXPECT_EQ(writer.wait(), 0);
    EXPECT_TRUE(met) << "the token was not seen everywhere";
    EXPECT_EQ(places[3], 0) << "the token was in both slots, in " << snapshots << " snapshots";
    ATOLL_SUMMARY("%s: %lld snapshots of a token: %lld nowhere, %lld here, %lld there, 0 in both",
                  process::layout_name(layout), static_cast<long long>(snapshots),
                  static_cast<long long>(places[0]), static_cast<long long>(places[1]),
                  static_cast<long long>(places[2]));
  }
}

// ---- What a snapshot is -------------------------------------------------------------------------

TEST_P(Snapshot, HoldsWhatTheSlotsHold) {
  constexpr std::size_t kSlots = 100;
  const List integers =
      must(List::create_anonymous(libatoll::fill(kSlots, number(0)), {.layout = layout()}));
  const List reals =
      must(List::create_anonymous(libatoll::fill(kSlots, number(0.0)), {.layout = layout()}));
  for (std::size_t i = 0; i < kSlots; ++i) {
    must(integers[i].store(static_cast<std::int64_t>(process::mix(i))));
    must(reals[i].store(i == 7 ? std::numeric_limits<double>::quiet_NaN()
                               : -1.0 / static_cast<double>(i + 1)));
  }
  const std::vector<std::int64_t> integers_now = must(integers.snapshot<std::int64_t>());
  const std::vector<double> reals_now = must(reals.snapshot<double>());
  const std::vector<Value> values_now = must(integers.snapshot());
  ASSERT_EQ(integers_now.size(), kSlots);
  ASSERT_EQ(reals_now.size(), kSlots);
  ASSERT_EQ(values_now.size(), kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) {
    EXPECT_EQ(integers_now[i], must(integers[i].load<std::int64_t>()));
    EXPECT_EQ(values_now[i], Value(integers_now[i]));
    EXPECT_EQ(libatoll::detail::to_bits(reals_now[i]),
              libatoll::detail::to_bits(must(reals[i].load<double>())));
  }
  // With no time at all, where nobody writes.
  EXPECT_EQ(must(integers.snapshot<std::int64_t>(absl::ZeroDuration())), integers_now);
  EXPECT_EQ(must(integers.snapshot(absl::ZeroDuration())), values_now);
}

TEST_P(Snapshot, OfNumbersAllocatesOnce) {
  ATOLL_NEEDS_OWN_NEW();
  const List list =
      must(List::create_anonymous(libatoll::fill(1000, number(7)), {.layout = layout()}));
  const std::int64_t before = allocations;
  const absl::StatusOr<std::vector<std::int64_t>> snapshot = list.snapshot<std::int64_t>();
  EXPECT_EQ(allocations - before, 1);
  ASSERT_TRUE(snapshot.ok());
  EXPECT_EQ(*snapshot, std::vector<std::int64_t>(1000, 7));

  std::vector<std::int64_t> range(1000, 5);
  const std::int64_t before_ranges = allocations;
  const bool ok = list.store_range(0, range).ok() && list.load_range(0, range).ok();
  EXPECT_EQ(allocations, before_ranges);
  EXPECT_TRUE(ok);
}

TEST_P(Snapshot, OfNoSlots) {
  const List list = must(List::create_anonymous(std::span<const Init>(), {.layout = layout()}));
  EXPECT_TRUE(must(list.snapshot()).empty());
  EXPECT_TRUE(must(list.snapshot<std::int64_t>()).empty());
  EXPECT_TRUE(must(list.snapshot<double>(absl::ZeroDuration())).empty());
  EXPECT_TRUE(list.load_range(0, std::span<double>()).ok());
}

TEST_P(Snapshot, OfAnotherTypeNamesTheSlot) {
  const List list = must(
      List::create_anonymous({number(0), number(1), 2, "text", number(0.5)}, {.layout = layout()}));
  EXPECT_TRUE(fails(list.snapshot<std::int64_t>(), Code::kFailedPrecondition,
                    {"slot 3 of the unnamed list", "snapshot needs int64", "found text"}));
  EXPECT_TRUE(fails(list.snapshot<double>(), Code::kFailedPrecondition,
                    {"slot 0", "snapshot needs double", "found int64"}));
  must(list[3].store(3));
  EXPECT_TRUE(
      fails(list.snapshot<std::int64_t>(), Code::kFailedPrecondition, {"slot 4", "found double"}));
  EXPECT_EQ(must(list.snapshot()), (std::vector<Value>{0, 1, 2, 3, 0.5}));
}

TEST_P(Snapshot, OfImpossibleBytes) {
  const List list = must(List::create_anonymous({1, 2}, {.layout = layout()}));
  libatoll::test::Raw raw(list.fd());
  raw.forge(1, {0, 0});
  EXPECT_TRUE(fails(list.snapshot(), Code::kDataLoss, {"slot 1", "impossible"}));
  EXPECT_TRUE(fails(list.snapshot<std::int64_t>(), Code::kDataLoss, {"slot 1", "impossible"}));
}

// ---- Writers that leave no quiet pass -----------------------------------------------------------

// Each time the reader copies the text, both slots are written, as often as it is told to.
const List* stormy = nullptr;
int storms_left = 0;
int storms = 0;

void storm(Seam seam) {
  if (seam == Seam::kReading && storms_left > 0) {
    --storms_left;
    ++storms;
    libatoll::detail::seam_hook = nullptr;  // a store reads nothing, but let that be its own affair
    must((*stormy)[0].store(storms));
    must((*stormy)[1].store(std::string(20, static_cast<char>('a' + storms % 26))));
    libatoll::detail::seam_hook = storm;
  }
}

TEST_P(Snapshot, SaysWhenThereWasNoQuietPass) {
  const List list =
      must(List::create_anonymous({number(0), std::string(20, '0')}, {.layout = layout()}));
  stormy = &list;
  storms = 0;
  libatoll::detail::seam_hook = storm;

  // No time: one pass that is not quiet, and it is over.
  storms_left = 1'000'000;
  EXPECT_TRUE(fails(list.snapshot(absl::ZeroDuration()), Code::kDeadlineExceeded,
                    {"the unnamed list", "changed in each of its passes", "within 0"}));
  EXPECT_EQ(storms, 2) << "one in the first collection, one as that was repeated";
  EXPECT_TRUE(
      fails(list.snapshot(absl::Milliseconds(2)), Code::kDeadlineExceeded, {"passes within 2ms"}));
  EXPECT_GT(storms_left, 0);

  // It goes on until there is one.
  storms_left = 1000;
  storms = 0;
  const std::vector<Value> after = must(list.snapshot(absl::InfiniteDuration()));
  libatoll::detail::seam_hook = nullptr;
  EXPECT_EQ(storms, 1000);
  EXPECT_EQ(after, (std::vector<Value>{1000, std::string(20, 'a' + 1000 % 26)}));
}

TEST_P(Snapshot, OfNumbersSaysWhenThereWasNoQuietPass) {
  constexpr std::size_t kSlots = 20'000;
  const List list =
      must(List::create_anonymous(libatoll::fill(kSlots, number(0)), {.layout = layout()}));
  const Shared<std::atomic<bool>> stop;
  Child writer([&] {
    for (std::int64_t i = 1; !*stop; ++i) {
      must(list[static_cast<std::size_t>(i) % kSlots].store(i));
    }
    return 0;
  });
  int attempts = 0;
  absl::StatusOr<std::vector<std::int64_t>> snapshot;
  EXPECT_TRUE(process::wait_until([&] {
    ++attempts;
    snapshot = list.snapshot<std::int64_t>(absl::ZeroDuration());
    return !snapshot.ok();
  })) << "every one of "
      << attempts << " snapshots found a quiet pass";
  EXPECT_TRUE(fails(snapshot, Code::kDeadlineExceeded,
                    {"the unnamed list", "changed in each of its passes"}));
  *stop = true;
  EXPECT_EQ(writer.wait(), 0);
  EXPECT_TRUE(list.snapshot<std::int64_t>(absl::ZeroDuration()).ok());
}

// ---- Ranges -------------------------------------------------------------------------------------

TEST_P(Snapshot, RangesEqualElementByElement) {
  constexpr std::size_t kSlots = 50;
  const List list =
      must(List::create_anonymous(libatoll::fill(kSlots, number(-1)), {.layout = layout()}));
  std::int64_t next = 0;
  for (const std::size_t first : {0U, 1U, 17U, 49U, 50U}) {
    for (const std::size_t count : {0U, 1U, 2U, 30U, 50U}) {
      if (first + count > kSlots) {
        continue;
      }
      const std::vector<std::int64_t> before = must(list.snapshot<std::int64_t>());
      std::vector<std::int64_t> values(count);
      std::iota(values.begin(), values.end(), next);
      next += static_cast<std::int64_t>(count);
      ASSERT_TRUE(list.store_range(first, values).ok());
      std::vector<std::int64_t> loaded(count, -7);
      ASSERT_TRUE(list.load_range(first, std::span<std::int64_t>(loaded)).ok());
      EXPECT_EQ(loaded, values);
      for (std::size_t i = 0; i < kSlots; ++i) {
        const bool inside = i >= first && i < first + count;
        EXPECT_EQ(must(list[i].load<std::int64_t>()), inside ? values[i - first] : before[i])
            << "slot " << i << " after " << count << " from " << first;
      }
    }
  }
  EXPECT_GT(next, 100);
}

TEST_P(Snapshot, RangesOfDoubles) {
  const List list =
      must(List::create_anonymous(libatoll::fill(20, number(0.0)), {.layout = layout()}));
  const std::vector<double> values = {0.5, -0.0, std::numeric_limits<double>::infinity(), 1e300};
  ASSERT_TRUE(list.store_range(3, values).ok());
  std::vector<double> loaded(20);
  ASSERT_TRUE(list.load_range(0, std::span<double>(loaded)).ok());
  for (std::size_t i = 0; i < loaded.size(); ++i) {
    const double expected = i >= 3 && i < 7 ? values[i - 3] : 0.0;
    EXPECT_EQ(libatoll::detail::to_bits(loaded[i]), libatoll::detail::to_bits(expected));
    EXPECT_EQ(libatoll::detail::to_bits(must(list[i].load<double>())),
              libatoll::detail::to_bits(expected));
  }
}

TEST_P(Snapshot, ARangeReplacesWhateverWasThere) {
  const List list = must(List::create_anonymous(
      {nullptr, "text", libatoll::text("longer than eight", 40), 0.5, true, number(5)},
      {.layout = layout()}));
  const std::vector<std::int64_t> values = {1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(list.store_range(0, values).ok());
  EXPECT_EQ(must(list.snapshot<std::int64_t>()), values);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(list[i].version(), 1U);
  }
}

TEST_P(Snapshot, RangesThatFailChangeNothing) {
  const List list = must(List::create_anonymous(
      {1, 2, "text", libatoll::pinned(0.5), libatoll::pinned(4), 6}, {.layout = layout()}));
  const std::vector<libatoll::test::State> before = libatoll::test::states_of(list);
  std::vector<std::int64_t> values = {10, 20, 30, 40, 50, 60};
  const std::span<std::int64_t> all(values);

  // Outside the list, also where the sum overflows.
  struct Range {
    std::size_t first;
    std::size_t count;
  };
  constexpr std::size_t kHuge = std::numeric_limits<std::size_t>::max();
  for (const auto [first, count] :
       {Range{6, 1}, Range{5, 2}, Range{7, 0}, Range{kHuge, 2}, Range{kHuge - 1, 3}}) {
    const std::initializer_list<std::string_view> parts = {"outside the unnamed list", "6 slots"};
    EXPECT_TRUE(fails(list.load_range(first, all.first(count)), Code::kOutOfRange, parts));
    EXPECT_TRUE(fails(list.store_range(first, all.first(count)), Code::kOutOfRange, parts));
  }
  EXPECT_EQ(values, (std::vector<std::int64_t>{10, 20, 30, 40, 50, 60}));

  // A slot in the middle that is pinned to something else: not even those before it are stored.
  EXPECT_TRUE(fails(list.store_range(0, all), Code::kFailedPrecondition,
                    {"slot 3", "pinned to double", "int64"}));
  const std::vector<double> reals(6, 0.25);
  EXPECT_TRUE(fails(list.store_range(0, reals), Code::kFailedPrecondition,
                    {"slot 4", "pinned to int64", "double"}));

  // Of another type: filled up to it.
  EXPECT_TRUE(fails(list.load_range(0, all), Code::kFailedPrecondition,
                    {"slot 2", "load_range needs int64", "found text"}));
  EXPECT_EQ(values, (std::vector<std::int64_t>{1, 2, 30, 40, 50, 60}));

  const List reader = must(List::attach_fd(list.fd(), {.read_only = true}));
  EXPECT_TRUE(fails(reader.store_range(0, all.first(2)), Code::kPermissionDenied, {"read-only"}));
  ASSERT_TRUE(reader.load_range(4, all.first(2)).ok());
  EXPECT_EQ(values[0], 4);
  EXPECT_EQ(values[1], 6);

  EXPECT_EQ(libatoll::test::states_of(list), before);
}

// Each item is atomic: no number is ever half of one and half of another.
TEST_P(Snapshot, ItemsOfARangeAreWhole) {
  constexpr std::size_t kSlots = 64;
  constexpr int kRounds = 3000;
  const List list =
      must(List::create_anonymous(libatoll::fill(kSlots, number(0)), {.layout = layout()}));
  const Shared<std::atomic<bool>> stop;
  Child writer([&] {
    std::vector<std::int64_t> values(kSlots);
    for (std::int64_t i = 1; !*stop; ++i) {
      const std::int64_t whole = (i & 0xffff'ffff) << 32 | (i & 0xffff'ffff);
      std::fill(values.begin(), values.end(), whole);
      must(list.store_range(0, values));
    }
    return 0;
  });
  std::vector<std::int64_t> seen(kSlots);
  std::int64_t last = 0;
  int different = 0;
  EXPECT_TRUE(process::wait_until([&] {
    for (int i = 0; i < kRounds; ++i) {
      must(list.load_range(0, std::span<std::int64_t>(seen)));
      for (const std::int64_t each : seen) {
        ATOLL_CHECK((each >> 32 & 0xffff'ffff) == (each & 0xffff'ffff)) << each << " is torn";
      }
      different += seen[0] == last ? 0 : 1;
      last = seen[0];
    }
    return different >= 100;
  })) << "only "
      << different << " ranges differed";
  *stop = true;
  EXPECT_EQ(writer.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, Snapshot,
                         ::testing::Combine(::testing::Values(Kind::kVersioned, Kind::kPinned),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param) == Kind::kPinned
                                                  ? "pinned_"
                                                  : "versioned_") +
                                  process::layout_name(std::get<1>(param.param));
                         });

}  // namespace
