// One waiter and one writer, in every order of their accesses to the slot: each runs under ptrace with
// hardware watchpoints on the header and the wait word, and is stopped right after its nth access,
// while the other goes on. However they meet, the waiter comes back with the new value, and is never
// rescued by its own second look.

#include <sys/ptrace.h>
#include <sys/user.h>

#include <functional>

#include "process.h"
#include "testing.h"
#include "waiting.h"

namespace {

using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;
using process::must;
using process::Shared;
using process::WaitCounts;

#if defined(__x86_64__)

// What is watched: at most four places, each 4 or 8 bytes, aligned.
struct Watched {
  const void* place;
  std::size_t bytes;
};

// A process that stops itself before `main`, and then after each access to a watched place.
class Traced {
 public:
  enum class State { kStopped, kAsleep, kEnded };

  template <typename Main>
  explicit Traced(Main main) {
    std::fflush(nullptr);
    pid_ = fork();
    ATOLL_CHECK(pid_ >= 0) << std::strerror(errno);
    if (pid_ == 0) {
      process::in_child = true;
      ATOLL_CHECK(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0) << std::strerror(errno);
      raise(SIGSTOP);
      _exit(main());
    }
    ATOLL_CHECK(process::wait_until([this] { return waitpid(pid_, &status_, WNOHANG) == pid_; }) &&
                WIFSTOPPED(status_));
    ATOLL_CHECK(ptrace(PTRACE_SETOPTIONS, pid_, nullptr, PTRACE_O_EXITKILL) == 0);
  }
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;
  ~Traced() {
    if (state_ != State::kEnded) {
      kill(pid_, SIGKILL);
      process::wait_until(
          [this] { return waitpid(pid_, &status_, WNOHANG) == pid_ && !WIFSTOPPED(status_); });
    }
  }

  // False where the processor's debug registers cannot be had.
  bool watch(std::initializer_list<Watched> places) {
    std::uint64_t control = 0;
    int index = 0;
    for (const Watched& each : places) {
      const std::uint64_t length = each.bytes == 8 ? 2 : 3;
      control |= std::uint64_t{1} << (2 * index) | std::uint64_t{3} << (16 + 4 * index) |
                 length << (18 + 4 * index);
      if (!poke(index++, reinterpret_cast<std::uint64_t>(each.place))) {
        return false;
      }
    }
    return poke(7, control);
  }

  // Lets it go on until it has made `accesses` more, or sleeps, or has ended.
  State run(int accesses) {
    State state = State::kStopped;
    for (int i = 0; i < accesses && state == State::kStopped; ++i) {
      resume();
      state = settle();
    }
    return state;
  }

  // Lets it go on, unwatched, until it sleeps or has ended.
  State run_freely() {
    if (state_ == State::kStopped) {
      ATOLL_CHECK(poke(7, 0)) << std::strerror(errno);
      resume();
    }
    return settle();
  }

  // The exit code; -1 if it has none.
  int finish() {
    ATOLL_CHECK(process::wait_until([&] { return run_freely() == State::kEnded; }));
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
  }

 private:
  bool poke(int number, std::uint64_t value) const {
    return ptrace(PTRACE_POKEUSER, pid_,
                  offsetof(struct user, u_debugreg) + static_cast<std::size_t>(number) * 8,
                  reinterpret_cast<void*>(value)) == 0;
  }

  void resume() {
    ATOLL_CHECK(ptrace(PTRACE_CONT, pid_, nullptr, nullptr) == 0) << std::strerror(errno);
    state_ = State::kAsleep;
  }

  // Waits until it has stopped, sleeps, or has ended.
  State settle() {
    if (state_ != State::kAsleep) {
      return state_;
    }
    const bool settled = process::wait_until([this] {
      // In this order: who was asleep, and has not stopped since, sleeps still.
      const bool asleep = process::is_asleep(pid_);
      if (waitpid(pid_, &status_, WNOHANG) == pid_) {
        if (WIFSTOPPED(status_)) {
          ATOLL_CHECK(WSTOPSIG(status_) == SIGTRAP) << "signal " << WSTOPSIG(status_);
          state_ = State::kStopped;
        } else {
          state_ = State::kEnded;
        }
        return true;
      }
      return asleep;
    });
    ATOLL_CHECK(settled) << "the process neither stops nor sleeps nor ends";
    return state_;
  }

  pid_t pid_ = -1;
  State state_ = State::kStopped;
  int status_ = 0;
};

enum class Kind { kVersioned, kPinned };
using Variant = std::tuple<Kind, Layout>;

class Interleaving : public ::testing::TestWithParam<Variant> {
 protected:
  static constexpr std::size_t kBytes = 4096;
  static Kind kind() { return std::get<0>(GetParam()); }

  static std::span<std::byte> shared_memory() {
    void* const memory =
        mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ATOLL_CHECK(memory != MAP_FAILED) << std::strerror(errno);
    return {static_cast<std::byte*>(memory), kBytes};
  }
  ~Interleaving() override { munmap(memory_.data(), kBytes); }

  bool watch(Traced& traced) {
    libatoll::detail::Header& header = raw_.header(0);
    return traced.watch({{&header.payload, 8}, {&header.meta, 8}, {&raw_.view().wait_word(0), 4}});
  }

  // Waits until the number is not `old` any more.
  Traced waiter(std::int64_t old) {
    return Traced([this, old] {
      process::count_waits_in(*counts_);
      const Stamp stamp = stamp_;
      ATOLL_CHECK(must(slot_.wait(stamp, absl::InfiniteDuration())) != stamp);
      ATOLL_CHECK(must(slot_.load<std::int64_t>()) == old + 1);
      return 0;
    });
  }

  const std::span<std::byte> memory_ = shared_memory();
  List list_ =
      must(List::create_in(memory_, {kind() == Kind::kVersioned ? Init(0) : libatoll::pinned(0)},
                           {.layout = std::get<1>(GetParam())}));
  Slot slot_ = list_[0];
  libatoll::test::Raw raw_{memory_};
  Stamp stamp_ = slot_.stamp();
  Shared<WaitCounts> counts_;
};

TEST_P(Interleaving, NoOrderLosesAWakeUp) {
  using State = Traced::State;
  std::vector<std::pair<const char*, std::function<void(std::int64_t)>>> writes = {
      {"store", [&](std::int64_t next) { must(slot_.store(next)); }},
      {"fetch_add", [&](std::int64_t) { must(slot_.fetch_add(1)); }},
      {"store_range",
       [&](std::int64_t next) {
         must(list_.store_range(0, std::span<const std::int64_t>(&next, 1)));
       }},
  };
  if (kind() == Kind::kPinned) {
    const libatoll::Counter counter = must(list_.counter(0));
    writes.emplace_back("Counter::fetch_add", [counter](std::int64_t) { counter.fetch_add(1); });
    writes.emplace_back("Counter::exchange",
                        [counter](std::int64_t next) { counter.exchange(next); });
  }
  std::int64_t value = 0;
  int orders = 0;
  int most_waiter = 0;
  int most_writer = 0;
  int slept_before = 0;
  for (const auto& [name, write] : writes) {
    for (const bool waiter_first : {true, false}) {
      // The waiter stops after its ith access, the writer after its jth; then each runs to its end.
      bool more_i = true;
      for (int i = 0; more_i; ++i) {
        more_i = false;
        bool more_j = true;
        for (int j = 0; more_j; ++j) {
          stamp_ = slot_.stamp();
          Traced waits = waiter(value);
          Traced writer([&, &write = write] {
            write(value + 1);
            return 0;
          });
          if (!watch(waits) || !watch(writer)) {
            GTEST_SKIP() << "no hardware watchpoints here: " << std::strerror(errno);
          }
          State waits_state = State::kStopped;
          State writer_state = State::kStopped;
          if (waiter_first) {
            waits_state = waits.run(i);
            writer_state = writer.run(j);
            slept_before += waits.run_freely() == State::kAsleep ? 1 : 0;
            writer.run_freely();
          } else {
            writer_state = writer.run(j);
            waits_state = waits.run(i);
            writer.run_freely();
            waits.run_freely();
          }
          ASSERT_EQ(writer.finish(), 0);
          ASSERT_EQ(waits.finish(), 0);
          ASSERT_EQ(counts_->rescued, 0)
              << "a wake-up was lost by " << name << ": " << (waiter_first ? "first " : "")
              << "the waiter to its access " << i << ", " << (waiter_first ? "" : "first ")
              << "the writer to its access " << j;
          ++value;
          ++orders;
          more_j = writer_state == State::kStopped;
          most_writer = std::max(most_writer, j);
          more_i |= waits_state == State::kStopped;
        }
        most_waiter = std::max(most_waiter, i);
      }
    }
  }
  EXPECT_GE(most_waiter, 4) << "the waiter was hardly ever stopped";
  EXPECT_GE(most_writer, 2) << "the writer was hardly ever stopped";
  EXPECT_GT(slept_before, 0);
  EXPECT_EQ(must(slot_.load<std::int64_t>()), value);
  ATOLL_SUMMARY(
      "%s, %s: %d orders of up to %d accesses by a waiter and %d by a writer; %d times it "
      "slept in the middle of the write",
      kind() == Kind::kVersioned ? "versioned" : "pinned",
      process::layout_name(std::get<1>(GetParam())), orders, most_waiter, most_writer,
      slept_before);
}

INSTANTIATE_TEST_SUITE_P(All, Interleaving,
                         ::testing::Combine(::testing::Values(Kind::kVersioned, Kind::kPinned),
                                            ::testing::Values(Layout::kPadded, Layout::kDense)),
                         [](const auto& param) {
                           return std::string(std::get<0>(param.param) == Kind::kVersioned
                                                  ? "versioned_"
                                                  : "pinned_") +
                                  process::layout_name(std::get<1>(param.param));
                         });

#else

TEST(Interleaving, NeedsDebugRegisters) { GTEST_SKIP() << "written for x86-64 alone"; }

#endif

}  // namespace
