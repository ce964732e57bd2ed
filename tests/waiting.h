// What the tests of waiting share: whether a process is asleep on a futex, and how often processes
// passed the seams of waiting.

#ifndef ATOLL_TESTS_WAITING_H_
#define ATOLL_TESTS_WAITING_H_

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>

#include "process.h"

namespace process {

// Whether the process is really asleep in futex or futex_waitv. The kernel names the system call of
// a task that is blocked only; what runs, or is about to, shows as "running".
inline bool is_asleep(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/syscall");
  ATOLL_CHECK(file) << "this kernel has no /proc/PID/syscall";
  long number = -1;
  file >> number;
#if defined(__aarch64__)
  // Under an emulator on x86-64 the kernel gives its own number, which here is accept's; nobody calls that.
  constexpr long kFutexOnX86 = 202;
  if (number == kFutexOnX86) {
    return true;
  }
#endif
  return number == SYS_futex || number == SYS_futex_waitv;
}

// Whether this kernel lets a process sleep on several words at once (Linux 5.16). Where it does not,
// `wait_any` looks from time to time, and nobody is found asleep in it.
inline bool has_futex_waitv() {
  return syscall(SYS_futex_waitv, nullptr, 0, 0, nullptr, 0) == -1 && errno == EINVAL;
}

inline ::testing::AssertionResult falls_asleep(pid_t pid) {
  return wait_until([pid] { return is_asleep(pid); })
             ? ::testing::AssertionSuccess()
             : ::testing::AssertionFailure() << "process " << pid << " never fell asleep";
}

// In a Shared page: what processes did, all together.
struct WaitCounts {
  std::atomic<std::int64_t> woke;       // writers that went to wake somebody
  std::atomic<std::int64_t> announced;  // waiters that were about to sleep
  std::atomic<std::int64_t> rescued;    // waiters that nobody had woken
};

inline WaitCounts* wait_counts = nullptr;

inline void count_waits(Seam seam) {
  switch (seam) {
    case Seam::kWaking:
      ++wait_counts->woke;
      break;
    case Seam::kAnnounced:
      ++wait_counts->announced;
      break;
    case Seam::kRescued:
      ++wait_counts->rescued;
      break;
    default:
      break;
  }
}

// From now on, this process counts there.
inline void count_waits_in(WaitCounts& counts) {
  wait_counts = &counts;
  libatoll::detail::seam_hook = count_waits;
}

// Before the page goes.
inline void stop_counting_waits() { libatoll::detail::seam_hook = nullptr; }

}  // namespace process

#endif  // ATOLL_TESTS_WAITING_H_
