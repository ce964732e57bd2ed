// Text buffers: how text longer than a header gets into a slot, and out of it whole.
//
// A slot has K buffers of its capacity. The header names at most one of them, the current one, which
// no writer may touch; so readers have something whole to read at every moment. A writer
//   1. claims a buffer that is not current, then reads the header again, and lets the buffer go if it
//      has become current meanwhile;
//   2. raises the buffer's sequence and copies its text there;
//   3. swaps the header, which makes the buffer current; if another write came first, it tries again
//      with the same copy;
//   4. lets the buffer go.
// A writer that dies leaves one claim at most. Who finds no free buffer asks the kernel whether the
// owners live, and takes over a dead one's claim (then step 1's second look, as always).
//
// A reader notes the sequence of the buffer that the header names, makes sure that the header still
// names it, copies, and accepts the copy if the sequence has not moved: the text was current at a
// moment within the read, whatever was written since. Buffers are taken in rotation, so a reader has
// the time of K - 2 to K - 1 whole stores for its copy.
//
// Invariants: B1 to B3 and the edges [edge:claim], [edge:reuse], [edge:publish] of header_word.h.

#ifndef ATOLL_SRC_TEXT_BUFFERS_H_
#define ATOLL_SRC_TEXT_BUFFERS_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/time/time.h"
#include "atoll/detail/header_word.h"

#include "layout.h"
#include "participants.h"
#include "seam.h"

namespace libatoll::detail {

enum class StageResult {
  kStaged,
  kDeadline,      // other live participants held every buffer for too long
  kUnregistered,  // this process could not register after a fork
};

// Text of one write, in a buffer that we claim until it is destroyed: steps 1, 2 and 4.
class StagedText {
 public:
  StagedText() = default;
  ~StagedText() { release(); }
  StagedText(const StagedText&) = delete;
  StagedText& operator=(const StagedText&) = delete;

  // Claims one of `buffers`, which are those of `header`'s slot, and copies `text` into it; `text`
  // fits. Waits at most `timeout` for a buffer.
  StageResult stage(const Header& header, const SlotBuffers& buffers, std::string_view text,
                    const Participant& self, absl::Duration timeout);

  bool is_staged() const { return control_ != nullptr; }
  // What the header was at the second look.
  const Word& seen() const { return seen_; }
  // The payload that makes the text current.
  std::uint64_t payload() const { return payload_; }
  void release() {
    if (control_ != nullptr) {
      pass(Seam::kPublished);
      release_claim(*control_);
      control_ = nullptr;
    }
  }

 private:
  bool try_claim_one(const Header& header, const SlotBuffers& buffers, const Participant& self,
                     bool ask_for_the_dead, std::uint32_t& index);

  bool wait_for_one(const Header& header, const SlotBuffers& buffers, const Participant& self,
                    absl::Duration timeout, std::uint32_t& index);

  BufferControl* control_ = nullptr;
  Word seen_;
  std::uint64_t payload_ = 0;
};

// After a store of `size` bytes that met another writer, with nothing held: leaves him a turn, which
// is worth a hundred stores. Lines move between caches once a turn then, instead of once a store,
// which is what writers that queue at a mutex gain from its unfairness.
void leave_turn(std::size_t size);

// Whether a header that names long text can be believed: one that a write could have left.
inline bool is_possible(const Word& seen, const SlotBuffers& buffers) {
  return seen.inline_length() == 0 && seen.long_length() > kInlineTextMax &&
         seen.long_length() <= buffers.capacity && seen.buffer() < buffers.count;
}

// Calls `copy(shared, length)` with the text that `seen`, just read from `header` and possible,
// names. True if what it copied is whole; otherwise another write came, and the header must be read
// again. Lock-free.
template <typename Copy>
bool read_text(const Header& header, const Word& seen, const SlotBuffers& buffers, Copy&& copy) {
  const BufferControl& control = buffers.control(seen.buffer());
  const std::uint64_t sequence = begin_copy(control);
  if (reread_meta(header) != seen.meta) {
    return false;
  }
  pass(Seam::kReading);
  copy(buffers.text(seen.buffer()), static_cast<std::size_t>(seen.long_length()));
  return end_copy(control, sequence);
}

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_TEXT_BUFFERS_H_
