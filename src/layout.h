// Layout: where everything lies in a segment, and whether a segment's header may be believed.
//
//   [ SegmentHeader | slots | descriptors (dense layout) | wait words (where a slot is pinned) | buffers ]
//
// All offsets are from the start; nothing is a pointer. docs/layout.md has the page in prose.
//
// Every offset follows from a few numbers (the Shape), so validation works each offset out again and
// compares: a header that passes is one that `plan` could have made for a file of that size.

#ifndef ATOLL_SRC_LAYOUT_H_
#define ATOLL_SRC_LAYOUT_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atoll/detail/header_word.h"
#include "atoll/detail/view.h"
#include "atoll/options.h"

namespace libatoll::detail {

inline constexpr std::uint64_t kMagic = 0x0a1a'0d74'736c'7461;  // "atlst", CR, ^Z, LF
inline constexpr std::uint32_t kLayoutVersion = 1;

// A segment's magic number, on which who creates it and who attaches to it meet ([edge:whole]).
inline std::atomic_ref<std::uint64_t> magic_of(std::byte* base) {
  return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(base));
}

inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::uint32_t kBuffersMin = 2;
inline constexpr std::uint32_t kBuffersMax = 8;
// Bounds that keep every sum below 2^63.
inline constexpr std::uint64_t kSlotsMax = std::uint64_t{1} << 40;
inline constexpr std::uint64_t kCapacityMax = std::uint64_t{1} << 46;
inline constexpr std::uint64_t kBuffersBytesMax = std::uint64_t{1} << 60;

// The first bytes of a segment. Everything but the mutable line is written before the segment is
// published and never again.
struct SegmentHeader {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t header_bytes;
  std::uint64_t fingerprint;  // of the sizes, alignments and byte order compiled in
  std::uint64_t total_bytes;
  std::uint64_t slot_count;
  std::uint32_t slot_stride;
  std::uint32_t buffers_per_slot;
  std::uint64_t slots_offset;
  std::uint64_t descriptors_offset;  // 0: no slot has buffers
  std::uint64_t descriptor_stride;
  std::uint64_t wait_words_offset;
  std::uint64_t wait_word_stride;
  std::uint64_t buffers_offset;
  std::uint64_t buffers_bytes;
  std::uint64_t reserved[1];

  struct alignas(kCacheLine) Mutable {
    std::atomic<std::uint64_t> participants;  // numbers given out so far
    std::atomic<std::uint32_t> wait_word;     // of the slots, in lists where none is pinned
  } mutable_line;
};
static_assert(sizeof(SegmentHeader) == 192, "part of the layout: raise kLayoutVersion with it");

// What a slot was made for; never changes.
struct Descriptor {
  std::uint64_t buffers_offset;  // from the start of the segment; 0: no buffers
  std::uint64_t capacity;        // bytes of text; 0 for a pinned slot
};
static_assert(sizeof(Descriptor) == 16, "part of the layout: raise kLayoutVersion with it");

// In the padded layout, what a slot was made for shares the slot's cache line. Its wait word does not:
// writers look at that after each write, when another writer may have taken the line away.
struct alignas(kCacheLine) PaddedSlot {
  Header header;
  Descriptor descriptor;
};
static_assert(sizeof(PaddedSlot) == kCacheLine, "one cache line a slot");

// The numbers that everything else follows from.
struct Shape {
  Layout layout = Layout::kPadded;
  std::uint32_t buffers_per_slot = 0;
  std::uint64_t slot_count = 0;
  bool has_buffers = false;  // matters to the dense layout alone
  bool has_pinned = false;
  std::uint64_t buffers_bytes = 0;
};

// `to` is a power of two.
constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t to) {
  return (value + to - 1) & ~(to - 1);
}
// 8 * max(1, ceil(bytes / 8)).
std::uint64_t round_capacity(std::uint64_t bytes);
// The bytes that one buffer of that capacity takes, its BufferControl included.
inline std::uint64_t buffer_stride(std::uint64_t capacity, std::uint64_t alignment) {
  return round_up(capacity + sizeof(BufferControl), alignment);
}
std::uint64_t buffer_alignment(Layout layout);

// The header of a segment of that shape, its mutable line zero.
void plan(const Shape& shape, SegmentHeader& header);

// Copies the header of a segment of `available` bytes into a View, if it can be believed. `label`
// names the list in messages. DataLoss; FailedPrecondition for another version or fingerprint.
absl::Status open_view(std::byte* base, std::size_t available, std::string_view label, View& view);

// The number of `slot`'s buffers' bytes, and where they are, checked against the segment's bounds.
struct SlotBuffers {
  std::byte* first = nullptr;
  std::uint64_t capacity = 0;  // at most 8 where there are no buffers
  std::uint64_t stride = 0;
  std::uint32_t count = 0;  // 0: no buffers

  std::byte* text(std::uint32_t index) const { return first + index * stride; }
  BufferControl& control(std::uint32_t index) const {
    return *reinterpret_cast<BufferControl*>(text(index) + capacity);
  }
};
// False if the descriptor is impossible. Inline: every load and store of longer text begins here.
inline bool find_buffers(const View& view, std::size_t index, SlotBuffers& buffers) {
  if (view.descriptors == nullptr) {
    buffers = {.capacity = kInlineTextMax};
    return true;
  }
  Descriptor descriptor;
  std::memcpy(&descriptor, view.descriptors + index * view.descriptor_stride, sizeof(descriptor));
  if (descriptor.buffers_offset == 0) {
    buffers = {.capacity = descriptor.capacity};
    return descriptor.capacity <= kInlineTextMax;
  }
  const std::uint64_t capacity = descriptor.capacity;
  const std::uint64_t offset = descriptor.buffers_offset;
  if (capacity <= kInlineTextMax || capacity > kCapacityMax || capacity % 8 != 0 ||
      offset % 8 != 0 || offset < view.buffers_offset || offset > view.bytes) {
    return false;
  }
  const std::uint64_t stride = buffer_stride(capacity, view.buffer_alignment);
  if (stride * view.buffers_per_slot > view.bytes - offset) {
    return false;
  }
  buffers = {.first = view.base + offset,
             .capacity = capacity,
             .stride = stride,
             .count = view.buffers_per_slot};
  return true;
}

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_LAYOUT_H_
