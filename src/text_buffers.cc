#include "text_buffers.h"

#include <algorithm>
#include <optional>

#include "absl/time/clock.h"

#include "deadline.h"
#include "shared_copy.h"

namespace libatoll::detail {
namespace {

// Waits between attempts to find a buffer: first on the processor, as long as a short store takes;
// then asleep, longer each time.
class Backoff {
 public:
  explicit Backoff(absl::Duration timeout) : timeout_(timeout) {}

  // True once it has waited so long that an owner may be dead.
  bool suspects_death() const { return deadline_.has_value(); }

  // False once the time is over.
  bool wait() {
    if (spins_left_ > 0) {
      --spins_left_;
      relax_processor();
      return true;
    }
    if (!deadline_.has_value()) {
      deadline_.emplace(timeout_);
      return true;
    }
    const absl::Duration remaining = deadline_->remaining();
    if (remaining <= absl::ZeroDuration()) {
      return false;
    }
    absl::SleepFor(std::min(pause_, remaining));
    pause_ = std::min(2 * pause_, kPauseMax);
    return true;
  }

 private:
  static constexpr int kSpins = 100;
  static constexpr absl::Duration kPauseMax = absl::Milliseconds(1);

  absl::Duration timeout_;
  std::optional<Deadline> deadline_;
  absl::Duration pause_ = absl::Microseconds(1);
  int spins_left_ = kSpins;
};

}  // namespace

// Tries each buffer once, the one after the current one first.
inline bool StagedText::try_claim_one(const Header& header, const SlotBuffers& buffers,
                                      const Participant& self, bool ask_for_the_dead,
                                      std::uint32_t& index) {
  seen_ = read(header);
  // In rotation, so that a buffer is left alone as long as possible once it is no longer current. The
  // version goes on where other values came between.
  index = seen_.is_long() ? seen_.buffer()
                          : static_cast<std::uint32_t>(seen_.version() % buffers.count);
  for (std::uint32_t i = 0; i < buffers.count; ++i) {
    index = index + 1 < buffers.count ? index + 1 : 0;
    if (seen_.names_buffer(index)) {
      continue;
    }
    BufferControl& control = buffers.control(index);
    std::uint64_t from = peek_owner(control);
    if (from != kNoOwner) {
      if (!ask_for_the_dead || self.may_live(from)) {
        continue;
      }
      pass(Seam::kTakingOver);
    }
    if (!try_claim(control, from, self.number())) {
      continue;
    }
    pass(Seam::kClaimed);
    // The second look: whoever had the buffer before us may have made it current.
    seen_ = read(header);
    if (!seen_.names_buffer(index)) {
      control_ = &control;
      return true;
    }
    release_claim(control);
  }
  return false;
}

StageResult StagedText::stage(const Header& header, const SlotBuffers& buffers,
                              std::string_view text, const Participant& self,
                              absl::Duration timeout) {
  if (self.number() == kNoOwner) {
    return StageResult::kUnregistered;
  }
  std::uint32_t index = 0;
  if (!try_claim_one(header, buffers, self, false, index) &&
      !wait_for_one(header, buffers, self, timeout, index)) {
    return StageResult::kDeadline;
  }
  begin_overwrite(*control_);
#if defined(ATOLL_TEST_SEAMS)
  const std::size_t half = text.size() / 16 * 8;
  copy_to_shared(buffers.text(index), text.substr(0, half));
  pass(Seam::kOverwriting);
  copy_to_shared(buffers.text(index) + half, text.substr(half));
#else
  copy_to_shared(buffers.text(index), text);
#endif
  payload_ = long_payload(text.size(), index);
  pass(Seam::kCopied);
  return StageResult::kStaged;
}

// The rare case: other writers have every buffer that is not current.
bool StagedText::wait_for_one(const Header& header, const SlotBuffers& buffers,
                              const Participant& self, absl::Duration timeout,
                              std::uint32_t& index) {
  Backoff backoff(timeout);
  do {
    if (!backoff.wait()) {
      return false;
    }
  } while (!try_claim_one(header, buffers, self, backoff.suspects_death(), index));
  return true;
}

void leave_turn(std::size_t size) {
  constexpr absl::Duration kShort = absl::Microseconds(20);
  const absl::Duration turn =
      std::min(absl::Microseconds(3) + absl::Nanoseconds(static_cast<std::int64_t>(size)) * 0.7,
               absl::Microseconds(100));
  if (turn > kShort) {
    absl::SleepFor(turn);
    return;
  }
  for (const Deadline end(turn); !end.is_over();) {
    relax_processor();
  }
}

}  // namespace libatoll::detail
