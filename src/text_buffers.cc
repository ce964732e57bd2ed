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

  static void relax_processor() {
#if defined(__x86_64__)
    asm volatile("pause");
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  absl::Duration timeout_;
  std::optional<Deadline> deadline_;
  absl::Duration pause_ = absl::Microseconds(1);
  int spins_left_ = kSpins;
};

}  // namespace

StageResult StagedText::stage(const Header& header, const SlotBuffers& buffers,
                              std::string_view text, const Participant& self,
                              absl::Duration timeout) {
  if (self.number() == kNoOwner) {
    return StageResult::kUnregistered;
  }
  std::uint32_t index = 0;
  Backoff backoff(timeout);
  while (!try_claim_one(header, buffers, self, backoff.suspects_death(), index)) {
    if (!backoff.wait()) {
      return StageResult::kDeadline;
    }
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

// Tries each buffer once, the one after the current one first.
bool StagedText::try_claim_one(const Header& header, const SlotBuffers& buffers,
                               const Participant& self, bool ask_for_the_dead,
                               std::uint32_t& index) {
  Word seen = read(header);
  // Versions rise by one a write, so they take the buffers in rotation, and whoever reads the same
  // header begins at the same place only until one of them has the buffer.
  const auto first = static_cast<std::uint32_t>((seen.version() + 1) % buffers.count);
  for (std::uint32_t i = 0; i < buffers.count; ++i) {
    index = (first + i) % buffers.count;
    if (seen.names_buffer(index)) {
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
    seen = read(header);
    if (!seen.names_buffer(index)) {
      control_ = &control;
      return true;
    }
    release_claim(control);
  }
  return false;
}

void StagedText::release() {
  if (control_ != nullptr) {
    pass(Seam::kPublished);
    release_claim(*control_);
    control_ = nullptr;
  }
}

}  // namespace libatoll::detail
