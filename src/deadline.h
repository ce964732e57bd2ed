// Deadline: a bound on a wait, on the clock that nobody sets.

#ifndef ATOLL_SRC_DEADLINE_H_
#define ATOLL_SRC_DEADLINE_H_

#include <chrono>

#include "absl/time/time.h"

namespace libatoll::detail {

class Deadline {
 public:
  // Begins now. absl::InfiniteDuration() never ends.
  explicit Deadline(absl::Duration timeout) : end_(now() + timeout) {}

  absl::Duration remaining() const { return end_ - now(); }
  bool is_over() const { return remaining() <= absl::ZeroDuration(); }

 private:
  static absl::Duration now() {
    return absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
  }

  absl::Duration end_;
};

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_DEADLINE_H_
