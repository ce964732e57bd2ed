// Futex: sleeping on words of shared memory until somebody says that they changed. The waking half
// (`wake_waiters`) is declared where it is called from, in header_word.h.

#ifndef ATOLL_SRC_FUTEX_H_
#define ATOLL_SRC_FUTEX_H_

#include <cstdint>
#include <span>

#include "absl/time/time.h"

namespace libatoll::detail {

struct FutexWait {
  const void* word;
  std::uint32_t expected;
};

enum class FutexResult {
  kWoken,  // or the word had another value, or a signal came: look again
  kTimedOut,
  kUnsupported,  // this kernel cannot do that
};

// At most this many words at once.
inline constexpr std::size_t kFutexWaitsMax = 128;

// Sleeps while the word holds `expected`, at most `timeout`, until a wake.
FutexResult futex_wait(const FutexWait& wait, absl::Duration timeout);

// Sleeps while every word holds what is expected of it (futex_waitv, Linux 5.16).
FutexResult futex_wait_any(std::span<const FutexWait> waits, absl::Duration timeout);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_FUTEX_H_
