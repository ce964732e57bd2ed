// Waiting: sleeping until a slot changes. The two ways to announce a waiter, and why no wake-up is
// lost, are in header_word.h and docs/algorithm.md.

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atoll/detail/header_word.h"
#include "atoll/slot.h"

#include "deadline.h"
#include "futex.h"
#include "seam.h"

namespace libatoll {
namespace {

// How long a sleeper trusts that he will be woken: a writer killed between its write and its wake
// wakes nobody.
constexpr absl::Duration kSliceMax = absl::Seconds(1);
// How often the slots are looked at where the kernel cannot sleep on several words.
constexpr absl::Duration kPollInterval = absl::Milliseconds(1);

}  // namespace

class Waiter {
 public:
  explicit Waiter(std::span<const AwaitedSlot> slots) : slots_(slots) {}

  struct Changed {
    std::size_t which;
    Stamp stamp;
  };

  absl::StatusOr<Changed> wait(absl::Duration timeout) {
    for (const AwaitedSlot& each : slots_) {
      if (!each.slot.view_->writable) {
        return absl::PermissionDeniedError(absl::StrFormat(
            "%s is attached read-only, and a waiter announces himself in the slot; attach without "
            "read_only to wait, or look at its version from time to time",
            label_of(each)));
      }
    }
    const detail::Deadline deadline(timeout);
    bool woken = true;
    for (;;) {
      std::optional<Changed> changed = find_changed(&Waiter::look);
      const absl::Duration remaining = deadline.remaining();
      if (!changed.has_value() && remaining > absl::ZeroDuration()) {
        changed = find_changed(&Waiter::announce);
      }
      if (changed.has_value()) {
        if (!woken) {
          detail::pass(detail::Seam::kRescued);
        }
        return *changed;
      }
      if (remaining <= absl::ZeroDuration()) {
        return out_of_time(timeout);
      }
      detail::pass(detail::Seam::kAnnounced);
      woken = sleep(std::min(remaining, kSliceMax));
    }
  }

 private:
  using Look = std::optional<Stamp> (Waiter::*)(std::size_t);

  // The first slot that differs from its stamp, and what it is instead.
  std::optional<Changed> find_changed(Look how) {
    for (std::size_t i = 0; i < slots_.size(); ++i) {
      if (const std::optional<Stamp> stamp = (this->*how)(i); stamp.has_value()) {
        return Changed{i, *stamp};
      }
    }
    return std::nullopt;
  }

  std::optional<Stamp> look(std::size_t which) {
    const Stamp now = slots_[which].slot.stamp();
    return now == slots_[which].stamp ? std::nullopt : std::optional(now);
  }

  // Announces us, and notes what the futex word holds while nobody writes.
  std::optional<Stamp> announce(std::size_t which) {
    const Slot& slot = slots_[which].slot;
    if (slot.is_pinned()) {
      detail::WaitWord& word = slot.view_->wait_word(slot.index());
      waits_[which] = {&word, detail::mark_waited(word)};
      return look(which);  // once more, now that writers will see the mark
    }
    detail::Word seen = detail::read(*slot.header_);
    do {
      if (Stamp(seen) != slots_[which].stamp) {
        return Stamp(seen);
      }
    } while (!seen.has_waiters() && !detail::mark_waited(*slot.header_, seen));
    waits_[which] = {detail::futex_word(*slot.header_), detail::futex_value(seen)};
    return std::nullopt;
  }

  // False if nobody woke us.
  bool sleep(absl::Duration timeout) const {
    const std::span<const detail::FutexWait> waits(waits_.data(), slots_.size());
    const detail::FutexResult result = waits.size() == 1 ? detail::futex_wait(waits[0], timeout)
                                                         : detail::futex_wait_any(waits, timeout);
    if (result == detail::FutexResult::kUnsupported) {
      absl::SleepFor(std::min(timeout, kPollInterval));
    }
    return result != detail::FutexResult::kTimedOut;
  }

  absl::Status out_of_time(absl::Duration timeout) const {
    return absl::DeadlineExceededError(absl::StrFormat(
        "%s%s did not change within %s", label_of(slots_[0]),
        slots_.size() == 1 ? "" : absl::StrFormat(" and %d others", slots_.size() - 1),
        absl::FormatDuration(timeout)));
  }

  static std::string label_of(const AwaitedSlot& awaited) {
    return absl::StrFormat("slot %d of %s", awaited.slot.index(), awaited.slot.view_->label());
  }

  std::span<const AwaitedSlot> slots_;
  std::array<detail::FutexWait, detail::kFutexWaitsMax> waits_;
};

absl::StatusOr<Stamp> Slot::wait(const Stamp& stamp, absl::Duration timeout) const {
  const AwaitedSlot self = {*this, stamp};
  const absl::StatusOr<Waiter::Changed> changed = Waiter({&self, 1}).wait(timeout);
  if (!changed.ok()) {
    return changed.status();
  }
  return changed->stamp;
}

absl::StatusOr<std::size_t> wait_any(std::span<const AwaitedSlot> slots, absl::Duration timeout) {
  if (slots.empty() || slots.size() > detail::kFutexWaitsMax) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "wait_any waits for 1 to %d slots, not for %d", detail::kFutexWaitsMax, slots.size()));
  }
  const absl::StatusOr<Waiter::Changed> changed = Waiter(slots).wait(timeout);
  if (!changed.ok()) {
    return changed.status();
  }
  return changed->which;
}

}  // namespace libatoll
