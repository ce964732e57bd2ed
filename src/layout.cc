#include "layout.h"

#include <array>
#include <cstring>
#include <string>

#include "absl/strings/str_format.h"

#include "label.h"

namespace libatoll::detail {
namespace {

// FNV-1a over the numbers that two builds must share to read each other's segments.
constexpr std::uint64_t layout_fingerprint() {
  const std::array<std::uint64_t, 13> numbers = {sizeof(SegmentHeader),
                                                 sizeof(Header),
                                                 sizeof(Descriptor),
                                                 sizeof(PaddedSlot),
                                                 sizeof(BufferControl),
                                                 kCacheLine,
                                                 alignof(Header),
                                                 kTagMask,
                                                 kInlineLengthShift,
                                                 kWaitersBit,
                                                 kVersionShift,
                                                 kInlineTextMax,
                                                 static_cast<std::uint64_t>(Tag::kPinnedDouble)};
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const std::uint64_t number : numbers) {
    // Byte by byte as memory has it, so that byte order counts too.
    for (int byte = 0; byte < 8; ++byte) {
      const int shift = std::endian::native == std::endian::little ? 8 * byte : 56 - 8 * byte;
      hash = (hash ^ (number >> shift & 0xff)) * 0x100'0000'01b3;
    }
  }
  return hash;
}

}  // namespace

std::uint64_t round_capacity(std::uint64_t bytes) { return bytes <= 8 ? 8 : round_up(bytes, 8); }

std::uint64_t buffer_alignment(Layout layout) {
  return layout == Layout::kPadded ? kCacheLine : alignof(BufferControl);
}

void plan(const Shape& shape, SegmentHeader& header) {
  const bool padded = shape.layout == Layout::kPadded;
  header.magic = kMagic;
  header.layout_version = kLayoutVersion;
  header.header_bytes = sizeof(SegmentHeader);
  header.fingerprint = layout_fingerprint();
  header.slot_count = shape.slot_count;
  header.slot_stride = padded ? sizeof(PaddedSlot) : sizeof(Header);
  header.buffers_per_slot = shape.buffers_per_slot;
  header.slots_offset = sizeof(SegmentHeader);

  std::uint64_t end = header.slots_offset + shape.slot_count * header.slot_stride;
  if (padded) {
    header.descriptors_offset = header.slots_offset + offsetof(PaddedSlot, descriptor);
    header.descriptor_stride = sizeof(PaddedSlot);
  } else if (shape.has_buffers) {
    header.descriptors_offset = end;
    header.descriptor_stride = sizeof(Descriptor);
    end += shape.slot_count * sizeof(Descriptor);
  } else {
    header.descriptors_offset = 0;
    header.descriptor_stride = 0;
  }
  if (shape.has_pinned) {
    header.wait_words_offset = end;
    header.wait_word_stride = sizeof(std::uint32_t);
    end += shape.slot_count * sizeof(std::uint32_t);
  } else {
    header.wait_words_offset =
        offsetof(SegmentHeader, mutable_line) + offsetof(SegmentHeader::Mutable, wait_word);
    header.wait_word_stride = 0;
  }
  header.buffers_offset = round_up(end, kCacheLine);
  header.buffers_bytes = shape.buffers_bytes;
  header.reserved[0] = 0;
  header.total_bytes = header.buffers_offset + shape.buffers_bytes;
}

std::string View::label() const { return label_of(name); }

absl::Status open_view(std::byte* base, std::size_t available, std::string_view label, View& view) {
  const auto data_loss = [label](std::string_view field, std::uint64_t found,
                                 std::string_view expected) {
    return absl::DataLossError(
        absl::StrFormat("%s is not a list: %s is %d, expected %s", label, field, found, expected));
  };
  const auto other_layout = [label](std::string_view field, std::uint64_t found,
                                    std::uint64_t expected) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s has another layout: %s is %#x, this library has %#x; use the same "
                        "version of atoll in every process",
                        label, field, found, expected));
  };

  if (available < sizeof(SegmentHeader)) {
    return data_loss("size", available,
                     absl::StrFormat("%d bytes at least", sizeof(SegmentHeader)));
  }
  // [edge:whole] acquire: in the caller's memory, where a list has no name to appear under, the
  // magic is written last.
  const std::uint64_t magic = magic_of(base).load(std::memory_order_acquire);
  if (magic != kMagic) {
    return absl::DataLossError(absl::StrFormat("%s is not a list: magic is %#018x, expected %#018x",
                                               label, magic, kMagic));
  }
  // A private copy first: what is checked below cannot change any more.
  SegmentHeader header;
  std::memcpy(static_cast<void*>(&header), base, offsetof(SegmentHeader, mutable_line));
  if (header.layout_version != kLayoutVersion) {
    return other_layout("layout_version", header.layout_version, kLayoutVersion);
  }
  if (header.fingerprint != layout_fingerprint()) {
    return other_layout("fingerprint", header.fingerprint, layout_fingerprint());
  }

  // The numbers that the rest follows from.
  if (header.slot_stride != sizeof(PaddedSlot) && header.slot_stride != sizeof(Header)) {
    return data_loss("slot_stride", header.slot_stride,
                     absl::StrFormat("%d or %d", sizeof(PaddedSlot), sizeof(Header)));
  }
  if (header.buffers_per_slot < kBuffersMin || header.buffers_per_slot > kBuffersMax) {
    return data_loss("buffers_per_slot", header.buffers_per_slot,
                     absl::StrFormat("%d to %d", kBuffersMin, kBuffersMax));
  }
  if (header.slot_count > kSlotsMax) {
    return data_loss("slot_count", header.slot_count, absl::StrFormat("%d at most", kSlotsMax));
  }
  if (header.buffers_bytes > kBuffersBytesMax) {
    return data_loss("buffers_bytes", header.buffers_bytes,
                     absl::StrFormat("%d at most", kBuffersBytesMax));
  }
  const bool padded = header.slot_stride == sizeof(PaddedSlot);
  const Shape shape = {.layout = padded ? Layout::kPadded : Layout::kDense,
                       .buffers_per_slot = header.buffers_per_slot,
                       .slot_count = header.slot_count,
                       .has_buffers = header.descriptors_offset != 0,
                       .has_pinned = header.wait_word_stride != 0,
                       .buffers_bytes = header.buffers_bytes};
  SegmentHeader expected;
  plan(shape, expected);

  struct Field {
    std::string_view name;
    std::uint64_t found;
    std::uint64_t expected;
  };
  const Field fields[] = {
      {"header_bytes", header.header_bytes, expected.header_bytes},
      {"slots_offset", header.slots_offset, expected.slots_offset},
      {"descriptors_offset", header.descriptors_offset, expected.descriptors_offset},
      {"descriptor_stride", header.descriptor_stride, expected.descriptor_stride},
      {"wait_words_offset", header.wait_words_offset, expected.wait_words_offset},
      {"wait_word_stride", header.wait_word_stride, expected.wait_word_stride},
      {"buffers_offset", header.buffers_offset, expected.buffers_offset},
      {"reserved", header.reserved[0], expected.reserved[0]},
      {"total_bytes", header.total_bytes, expected.total_bytes},
  };
  for (const Field& field : fields) {
    if (field.found != field.expected) {
      return data_loss(field.name, field.found, absl::StrFormat("%d", field.expected));
    }
  }
  if (header.total_bytes > available) {
    return absl::DataLossError(
        absl::StrFormat("%s is cut short: total_bytes is %d, but there are %d bytes", label,
                        header.total_bytes, available));
  }

  view.base = base;
  view.bytes = header.total_bytes;
  view.slot_count = header.slot_count;
  view.slots = base + header.slots_offset;
  view.slot_shift = static_cast<unsigned>(std::countr_zero(header.slot_stride));
  view.descriptors = header.descriptors_offset == 0 ? nullptr : base + header.descriptors_offset;
  view.descriptor_stride = header.descriptor_stride;
  view.buffers_offset = header.buffers_offset;
  view.buffers_per_slot = header.buffers_per_slot;
  view.buffer_alignment = buffer_alignment(shape.layout);
  view.wait_words = base + header.wait_words_offset;
  view.wait_word_stride = header.wait_word_stride;
  return absl::OkStatus();
}

}  // namespace libatoll::detail
