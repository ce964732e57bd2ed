// Runs an operation of a real process one machine instruction at a time, by ptrace, and stops it
// before whichever instruction the test likes.
//
// The process marks its operation (`stepped`). Its parent first records a trace: the address of each
// instruction, one PTRACE_SINGLESTEP after the other. Later it reaches the k-th of them by a
// breakpoint at its address, so that stopping at each of n instructions takes time in proportion to
// n, not to its square. This needs the operation to take the same path each time; where it does not
// (memory allocation, clocks), the place may never come, which `run_to` tells.
//
// A tracee dies with its tracer (PTRACE_O_EXITKILL), and is reaped by it at the latest in its
// destructor. x86-64 alone: on AArch64 a load-exclusive / store-exclusive pair that is stepped
// through never succeeds.

#ifndef ATOLL_TESTS_SINGLE_STEP_H_
#define ATOLL_TESTS_SINGLE_STEP_H_

#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "process.h"
#include "sanitizers.h"

namespace single_step {

// ---- Marks --------------------------------------------------------------------------------------

// Each is a breakpoint of the process itself, at which its tracer sees it stop.
#if defined(__x86_64__)
asm(R"(
  .pushsection .text
  single_step_ready: int3
    ret
  single_step_begin: int3
    ret
  single_step_end: int3
    ret
  .popsection
)");
extern "C" {
void single_step_ready();  // between two operations
void single_step_begin();
void single_step_end();
}
#else
// Elsewhere this compiles, and `refusal` says why nothing of it is run.
inline void single_step_ready() {}
inline void single_step_begin() {}
inline void single_step_end() {}
#endif

// Runs `operation` as the one that the tracer steps through.
template <typename Operation>
auto stepped(Operation operation) {
  single_step_begin();
  auto result = operation();
  single_step_end();
  return result;
}

// ---- Instructions -------------------------------------------------------------------------------

// Before the `nth` execution (from 1) of the instruction at `address` in an operation.
struct Place {
  std::uintptr_t address = 0;
  std::uint32_t nth = 0;
  // The way there, when it is not the first: the newest instruction that was executed for the first
  // time before, and how many executions of `address` are after that.
  std::uintptr_t after = 0;
  std::uint32_t nth_after = 0;

  friend bool operator==(const Place&, const Place&) = default;
};
using Trace = std::vector<Place>;

inline std::uintptr_t address_of(void (*function)()) {
  return reinterpret_cast<std::uintptr_t>(function);
}

// The code of children of fork is ours, so it can be looked at here.
inline bool has_bytes(std::uintptr_t address, std::initializer_list<std::uint8_t> bytes) {
  const auto* code = reinterpret_cast<const void*>(address);  // NOLINT: an instruction's
  return std::memcmp(code, bytes.begin(), bytes.size()) == 0;
}
inline bool is_system_call(std::uintptr_t address) { return has_bytes(address, {0x0f, 0x05}); }
// lock cmpxchg16b, whatever its registers.
inline bool is_swap(std::uintptr_t address) {
  return has_bytes(address, {0xf0, 0x48, 0x0f, 0xc7}) ||
         has_bytes(address, {0xf0, 0x49, 0x0f, 0xc7});
}

extern "C" const char __executable_start;  // NOLINT: the linker's name
extern "C" const char etext;               // NOLINT

// Whether the instruction is in this program: the library, which is linked statically, and the test;
// not Abseil or the C library.
inline bool is_ours(std::uintptr_t address) {
  return address >= reinterpret_cast<std::uintptr_t>(&__executable_start) &&
         address < reinterpret_cast<std::uintptr_t>(&etext);
}

// ---- Processes ----------------------------------------------------------------------------------

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Tracee {
 public:
  // Forks a process that runs `main`; it stands before its first instruction.
  template <typename Main>
  explicit Tracee(Main main)
      : child_([&main]() -> int {
          if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) {
            return process::kChildFailed;
          }
          raise(SIGSTOP);
          return main();
        }) {
    // An alarm ends a wait that is without hope.
    [[maybe_unused]] static const bool kInstalled = [] {
      struct sigaction action = {};
      action.sa_handler = [](int) {};
      return sigaction(SIGALRM, &action, nullptr) == 0;
    }();
    wait_for(SIGSTOP);
    request(PTRACE_SETOPTIONS, 0, PTRACE_O_EXITKILL);
  }

  pid_t pid() const { return child_.pid(); }

  // Called when the process, running, has fallen asleep; it must wake it, or throw.
  void on_sleep(std::function<void()> wake) { wake_ = std::move(wake); }

  // Runs to the next mark of that kind, past others.
  void run_to_ready() { run_to_mark(single_step_ready); }
  void run_to_begin() { run_to_mark(single_step_begin); }
  void run_to_end() {
    if (!is_at_end()) {
      run_to_mark(single_step_end);
    }
  }

  // From the beginning of an operation to its end.
  Trace record() {
    Trace trace;
    std::unordered_map<std::uintptr_t, std::uint32_t> executed;
    std::unordered_map<std::uintptr_t, std::uint32_t> executed_after;
    std::uintptr_t newest = 0;
    for (std::uintptr_t at = position(); at != address_of(single_step_end); at = position()) {
      if (++executed[at] == 1) {
        newest = at;
        executed_after.clear();
      }
      trace.push_back({at, executed[at], newest, ++executed_after[at]});
      step();
    }
    return trace;
  }

  // From the beginning of an operation to `place`; false if the end came first.
  bool run_to(const Place& place) {
    return place.nth == 1 ? run_to(place.address, 1)
                          : run_to(place.after, 1) && run_to(place.address, place.nth_after);
  }

  // From anywhere in an operation to its end; how many instructions that takes.
  std::size_t step_to_end() {
    std::size_t steps = 0;
    for (; position() != address_of(single_step_end); ++steps) {
      step();
    }
    return steps;
  }

  // Lets it run while we do something else; `arrive_at_end` waits until its operation is over.
  void start() { request(PTRACE_CONT, 0, 0); }
  void arrive_at_end() {
    wait_for(SIGTRAP);
    if (!is_at_end()) {
      throw Error("stopped elsewhere than at the end of its operation");
    }
  }

  // Kills it where it stands, and waits until it is gone.
  void kill() {
    if (!child_.kill()) {
      throw Error("it had ended before it was killed");
    }
  }

  // The address of its next instruction.
  std::uintptr_t position() const {
#if defined(__x86_64__)
    errno = 0;
    const long at = ptrace(PTRACE_PEEKUSER, pid(), offsetof(user_regs_struct, rip), nullptr);
    check(errno == 0, "PTRACE_PEEKUSER");
    return static_cast<std::uintptr_t>(at);
#else
    throw Error("not on this processor");
#endif
  }

 private:
  static constexpr std::uint8_t kBreakpoint = 0xcc;

  static void check(bool ok, const char* what) {
    if (!ok) {
      throw Error(std::string(what) + ": " + std::strerror(errno));
    }
  }
  void request(__ptrace_request what, std::uintptr_t address, std::uintptr_t data) const {
    check(ptrace(what, pid(), address, data) == 0, "ptrace");
  }

  void run_to_mark(void (*mark)()) {
    do {
      request(PTRACE_CONT, 0, 0);
      wait_for(SIGTRAP);
    } while (position() != address_of(mark) + 1);
  }

  bool run_to(std::uintptr_t address, std::uint32_t nth) {
    std::uint32_t executed = position() == address ? 1 : 0;
    while (executed < nth) {
      if (position() == address) {
        step();  // past it, or, in a string instruction, to its next round
        if (position() == address) {
          ++executed;
          continue;
        }
      }
      if (!run_to_breakpoint(address)) {
        return false;
      }
      ++executed;
    }
    return true;
  }

  void step() {
    request(PTRACE_SINGLESTEP, 0, 0);
    wait_for(SIGTRAP);
  }

  bool run_to_breakpoint(std::uintptr_t address) {
    errno = 0;
    const long code = ptrace(PTRACE_PEEKTEXT, pid(), address, nullptr);
    check(errno == 0, "PTRACE_PEEKTEXT");
    request(PTRACE_POKETEXT, address,
            (static_cast<std::uintptr_t>(code) & ~std::uintptr_t{0xff}) | kBreakpoint);
    request(PTRACE_CONT, 0, 0);
    wait_for(SIGTRAP);
    request(PTRACE_POKETEXT, address, static_cast<std::uintptr_t>(code));
    const std::uintptr_t at = position();
    if (is_at_end()) {
      return false;
    }
    if (at != address + 1) {
      throw Error("stopped at a place where nothing stops it");
    }
#if defined(__x86_64__)
    request(PTRACE_POKEUSER, offsetof(user_regs_struct, rip), address);
#endif
    return true;
  }

  bool is_at_end() const { return position() == address_of(single_step_end) + 1; }

  bool is_asleep() const {
    std::array<char, 64> path;
    std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid());
    const int fd = open(path.data(), O_RDONLY | O_CLOEXEC);
    std::array<char, 256> text = {};
    const ssize_t size = read(fd, text.data(), text.size() - 1);
    close(fd);
    const char* const name_end = size > 0 ? std::strrchr(text.data(), ')') : nullptr;
    return name_end != nullptr && name_end[1] == ' ' && name_end[2] == 'S';
  }

  // Waits until it has stopped by `signal`. Leaves what it sees to be waited for again (WNOWAIT): the
  // end of the process is for the Child to reap, and a stop is over once the process is resumed.
  void wait_for(int signal) {
    siginfo_t info = {};
    const auto look = [&](int flags) {
      return waitid(P_PID, static_cast<id_t>(pid()), &info, WEXITED | WSTOPPED | WNOWAIT | flags) ==
                 0 &&
             info.si_pid == pid();
    };
    bool came = false;
    if (wake_) {
      came = process::wait_until([&] {
        if (look(WNOHANG)) {
          return true;
        }
        if (is_asleep()) {
          wake_();
        }
        return false;
      });
    } else {
      alarm(static_cast<unsigned>(process::kPatience.count()));
      came = look(0);
    }
    if (!came) {
      throw Error("the process neither stopped nor ended");
    }
    if ((info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) || info.si_status != signal) {
      throw Error("instead of stopping, the process " +
                  std::string(info.si_code == CLD_EXITED    ? "ended with "
                              : info.si_code == CLD_TRAPPED ? "got signal "
                                                            : "died of signal ") +
                  std::to_string(info.si_status));
    }
  }

  process::Child child_;
  std::function<void()> wake_;
};

// Why this process cannot step through its children; empty if it can.
inline std::string refusal() {
#if !defined(__x86_64__)
  return "stepping through load-exclusive / store-exclusive pairs never ends on this processor";
#elif defined(ATOLL_ADDRESS_SANITIZER) || defined(ATOLL_THREAD_SANITIZER)
  return "a sanitizer's instructions are not the library's";
#else
  process::Child asking(
      [] { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : errno; });
  if (const int error = asking.wait(); error != 0) {
    return std::string("PTRACE_TRACEME: ") + std::strerror(error);
  }
  try {
    Tracee tracee([] {
      stepped([] { return 0; });
      return 0;
    });
    tracee.run_to_begin();
    const Trace trace = tracee.record();
    return trace.empty() ? "PTRACE_SINGLESTEP does not step" : "";
  } catch (const Error& error) {
    return error.what();
  }
#endif
}

}  // namespace single_step

#endif  // ATOLL_TESTS_SINGLE_STEP_H_
