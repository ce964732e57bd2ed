// What every operation on a mapped list needs: where things lie, and who we are. Private memory,
// filled from a validated header, and never read from the segment again. Not part of the public
// interface; installed because the hot paths inline.

#ifndef ATOLL_DETAIL_VIEW_H_
#define ATOLL_DETAIL_VIEW_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "atoll/detail/header_word.h"

namespace libatoll::detail {

class Participant;  // src/participants.h

// Slots that were seen to be pinned, which they are for ever. Whoever adds to a pinned slot while others
// do had better not look at its tag first: the line comes for the look, and is gone again before the
// addition. Slots whose indices differ by a multiple of kPlaces share a place.
class KnownPinned {
 public:
  KnownPinned() = default;
  // A copy begins with nothing.
  KnownPinned(const KnownPinned& /*other*/) {}
  KnownPinned& operator=(const KnownPinned& /*other*/) {
    for (std::atomic<std::uint64_t>& place : places_) {
      place.store(0, std::memory_order_relaxed);  // relaxed: nobody uses the view now
    }
    return *this;
  }

  bool has(std::size_t index, Tag tag) const {
    // relaxed: no entry is ever untrue, and whoever finds an old one looks at the tag himself.
    return places_[index % kPlaces].load(std::memory_order_relaxed) == entry(index, tag);
  }
  void add(std::size_t index, Tag tag) {
    // relaxed: as above.
    places_[index % kPlaces].store(entry(index, tag), std::memory_order_relaxed);
  }

 private:
  static constexpr std::size_t kPlaces = 64;

  static std::uint64_t entry(std::size_t index, Tag tag) {
    return index * (kTagMask + 1) + static_cast<std::uint64_t>(tag);  // never 0
  }

  std::array<std::atomic<std::uint64_t>, kPlaces> places_ = {};
};

struct View {
  std::byte* base = nullptr;
  std::size_t bytes = 0;
  bool writable = false;

  std::size_t slot_count = 0;
  std::byte* slots = nullptr;
  unsigned slot_shift = 6;  // a slot every 1 << slot_shift bytes

  // A slot's Descriptor lies at descriptors + index * descriptor_stride; nullptr where no slot has
  // buffers.
  const std::byte* descriptors = nullptr;
  std::size_t descriptor_stride = 0;
  std::size_t buffers_offset = 0;
  std::uint32_t buffers_per_slot = 0;
  std::size_t buffer_alignment = 0;
  // The word on which those sleep who wait for a pinned slot.
  std::byte* wait_words = nullptr;
  std::size_t wait_word_stride = 0;  // 0 where none is pinned: they have one word together

  mutable KnownPinned known_pinned = {};

  std::string name;  // empty: the list has none
  absl::Duration claim_timeout = absl::ZeroDuration();
  // Our identity among those who claim buffers.
  const Participant* participant = nullptr;

  Header* header(std::size_t index) const {
    return reinterpret_cast<Header*>(slots + (index << slot_shift));
  }
  std::size_t index_of(const Header* header) const {
    return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(header) - slots) >>
           slot_shift;
  }
  bool has_pinned_slots() const { return wait_word_stride != 0; }
  WaitWord& wait_word(std::size_t index) const {
    return *reinterpret_cast<WaitWord*>(wait_words + index * wait_word_stride);
  }
  // "list '/jobs'", or "the unnamed list".
  std::string label() const;
};

}  // namespace libatoll::detail

#endif  // ATOLL_DETAIL_VIEW_H_
