#include "futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <ctime>

#include "atoll/detail/header_word.h"

#include "seam.h"

namespace libatoll::detail {
namespace {

void futex_wake_all(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

FutexResult result_of(long returned) {
  if (returned >= 0) {
    return FutexResult::kWoken;
  }
  switch (errno) {
    case ETIMEDOUT:
      return FutexResult::kTimedOut;
    case EAGAIN:
    case EINTR:
      return FutexResult::kWoken;
    default:  // ENOSYS, or whatever a filter of system calls says instead
      return FutexResult::kUnsupported;
  }
}

}  // namespace

FutexResult futex_wait(const FutexWait& wait, absl::Duration timeout) {
  const timespec relative = absl::ToTimespec(timeout);
  return result_of(syscall(SYS_futex, wait.word, FUTEX_WAIT, wait.expected, &relative, nullptr, 0));
}

FutexResult futex_wait_any(std::span<const FutexWait> waits, absl::Duration timeout) {
#if defined(SYS_futex_waitv)
  std::array<futex_waitv, kFutexWaitsMax> words = {};
  for (std::size_t i = 0; i < waits.size(); ++i) {
    words[i].val = waits[i].expected;
    words[i].uaddr = reinterpret_cast<std::uintptr_t>(waits[i].word);
    words[i].flags = FUTEX_32;
  }
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const timespec until = absl::ToTimespec(absl::DurationFromTimespec(now) + timeout);
  return result_of(
      syscall(SYS_futex_waitv, words.data(), waits.size(), 0, &until, CLOCK_MONOTONIC));
#else
  static_cast<void>(waits);
  static_cast<void>(timeout);
  return FutexResult::kUnsupported;
#endif
}

void wake_waiters(Header& header) {
  pass(Seam::kWaking);
  futex_wake_all(futex_word(header));
}

void wake_waiters(WaitWord& word) {
  if (clear_waited(word)) {
    pass(Seam::kWaking);
    futex_wake_all(&word);
  }
}

}  // namespace libatoll::detail
