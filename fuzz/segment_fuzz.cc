// Attaches to arbitrary bytes as a segment, in memory and through a descriptor, and uses whatever
// attaches: reads agree with each other and write nothing, writes change their own slot or nothing,
// errors are named. Every write meets the bytes as they were given.
//
// An input is a byte of flags, and the segment. Where it says so, the header, or what in it tells one
// version of the layout from another, is put right first: so that most inputs attach, and go on doing so
// when the layout changes.

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "atoll/atoll.h"

#include "input.h"
#include "layout.h"
#include "operations.h"
#include "segment.h"

namespace {

using namespace fuzz;  // NOLINT: the harness is written in its words
using libatoll::detail::File;
using libatoll::detail::Mapping;
using libatoll::detail::SegmentHeader;
using libatoll::detail::Shape;

constexpr std::size_t kSlotsUsed = 4;

Tally attached("segments that attached");
Tally attached_fd("segments that attached through a descriptor");
Tally refused_data("segments refused as DataLoss");
Tally refused_version("segments refused as of another layout");
Tally held("slots that held a value");
Tally lost("slots that were impossible");
Tally written("writes that succeeded");
Tally not_written("writes that were refused");

enum Flags : std::uint8_t {
  kByDescriptor = 1,
  kReadOnly = 2,
  kThisVersion = 4,  // magic, version and fingerprint are put right
  kPlanned = 8,      // the whole header is made, for a shape drawn from the input
};

// ---- Segments -----------------------------------------------------------------------------------

std::string plan_segment(Input& input) {
  const auto draw = [&input](std::size_t bound) { return input.below(bound); };
  const Shape shape = {
      .layout = input.flip() ? libatoll::Layout::kDense : libatoll::Layout::kPadded,
      .buffers_per_slot = static_cast<std::uint32_t>(2 + draw(7)),
      .slot_count = draw(16),
      .has_buffers = input.flip(),
      .has_pinned = input.flip(),
      .buffers_bytes = draw(4096)};
  SegmentHeader header = {};
  libatoll::detail::plan(shape, header);
  header.mutable_line.participants = input.draw<std::uint64_t>();
  std::string segment(header.total_bytes, '\0');
  std::memcpy(segment.data(), static_cast<const void*>(&header), sizeof(header));
  const std::string_view rest = input.take(segment.size() - sizeof(header));
  std::copy(rest.begin(), rest.end(), segment.begin() + sizeof(header));
  return segment;
}

std::string draw_segment(Input& input, std::uint8_t flags) {
  if ((flags & kPlanned) != 0) {
    return plan_segment(input);
  }
  std::string segment(input.rest());
  if ((flags & kThisVersion) != 0 && segment.size() >= sizeof(SegmentHeader)) {
    SegmentHeader header = {};
    libatoll::detail::plan({.buffers_per_slot = 2}, header);
    std::memcpy(segment.data(), static_cast<const void*>(&header),
                offsetof(SegmentHeader, total_bytes));
  }
  return segment;
}

// ---- Writes -------------------------------------------------------------------------------------

using Write = absl::Status (*)(const List& list, const Slot& slot);

constexpr std::string_view kLong = "text of more than eight bytes";
const std::string kVeryLong(200, 'x');

// Exchanges the value that is there, if there is one, for `desired`: that succeeds wherever a store does.
template <typename Desired>
absl::Status exchange_for(const Slot& slot, const Desired& desired) {
  const absl::StatusOr<Value> seen = slot.load();
  const absl::StatusOr<bool> swapped =
      slot.compare_exchange(seen.ok() ? ValueView(*seen) : ValueView("something"), desired);
  ATOLL_CHECK(!seen.ok() || !swapped.ok() || *swapped) << *seen << " does not equal itself";
  ATOLL_CHECK(seen.ok() || !swapped.ok()) << "an impossible value was compared";
  return swapped.status();
}

template <typename Desired>
absl::Status exchange_stamp_for(const Slot& slot, const Desired& desired) {
  Stamp stamp = slot.stamp();
  const absl::StatusOr<bool> swapped = slot.compare_exchange(stamp, desired);
  ATOLL_CHECK(!swapped.ok() || (*swapped && stamp == slot.stamp()));
  return swapped.status();
}

template <typename T>
absl::Status store_range(const List& list, const Slot& slot, T value) {
  return list.store_range(slot.index(), std::span<const T>(&value, 1));
}

const Write kWrites[] = {
    [](const List&, const Slot& slot) { return slot.store(nullptr); },
    [](const List&, const Slot& slot) { return slot.store(true); },
    [](const List&, const Slot& slot) { return slot.store(7); },
    [](const List&, const Slot& slot) { return slot.store(0.5); },
    [](const List&, const Slot& slot) { return slot.store("short"); },
    [](const List&, const Slot& slot) { return slot.store(kLong); },
    [](const List&, const Slot& slot) { return slot.store(kVeryLong); },
    [](const List&, const Slot& slot) { return slot.store(BytesView(kLong)); },
    [](const List&, const Slot& slot) { return slot.exchange(7).status(); },
    [](const List&, const Slot& slot) { return slot.exchange(kLong).status(); },
    [](const List&, const Slot& slot) { return exchange_for(slot, 7); },
    [](const List&, const Slot& slot) { return exchange_for(slot, 0.5); },
    [](const List&, const Slot& slot) { return exchange_for(slot, kLong); },
    [](const List&, const Slot& slot) { return exchange_stamp_for(slot, 7); },
    [](const List&, const Slot& slot) { return exchange_stamp_for(slot, kLong); },
    [](const List&, const Slot& slot) {
      return slot.update([](const Value& seen) { return seen; }, 2).status();
    },
    [](const List&, const Slot& slot) { return slot.fetch_add(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_sub(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_and(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_or(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_xor(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_min(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_max(7).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_add(0.5).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_sub(0.5).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_min(0.5).status(); },
    [](const List&, const Slot& slot) { return slot.fetch_max(0.5).status(); },
    [](const List& list, const Slot& slot) { return store_range(list, slot, std::int64_t{7}); },
    [](const List& list, const Slot& slot) { return store_range(list, slot, 0.5); },
    [](const List& list, const Slot& slot) {
      const auto counter = list.counter(static_cast<std::ptrdiff_t>(slot.index()));
      return counter.ok() ? (counter->fetch_max(7), absl::OkStatus()) : counter.status();
    },
    [](const List& list, const Slot& slot) {
      const auto gauge = list.gauge(static_cast<std::ptrdiff_t>(slot.index()));
      return gauge.ok() ? (gauge->fetch_max(0.5), absl::OkStatus()) : gauge.status();
    },
};

// ---- Using a segment that attached --------------------------------------------------------------

std::vector<Stamp> stamps_of(const List& list) {
  std::vector<Stamp> stamps;
  for (const Slot slot : list) {
    stamps.push_back(slot.stamp());
  }
  return stamps;
}

void use(const List& list, std::span<std::byte> segment, bool is_read_only) {
  const std::vector<std::byte> before(segment.begin(), segment.end());
  const auto is_as_before = [&] {
    return std::equal(before.begin(), before.end(), segment.begin(), segment.end());
  };
  for (const Slot slot : list) {
    (check_reads(slot) ? held : lost).add();
  }
  read_whole(list);
  ATOLL_CHECK(is_as_before()) << "a read has written";

  const std::vector<Stamp> stamps = stamps_of(list);
  for (std::size_t i = 0; i < std::min(list.size(), kSlotsUsed); ++i) {
    for (const Write& write : kWrites) {
      const absl::Status status = named(write(list, list[i]));
      (status.ok() ? written : not_written).add();
      ATOLL_CHECK(!is_read_only || absl::IsPermissionDenied(status) || absl::IsDataLoss(status) ||
                  absl::IsFailedPrecondition(status))
          << status;
      ATOLL_CHECK(!is_read_only || is_as_before());
      const std::vector<Stamp> now = stamps_of(list);
      for (std::size_t k = 0; k < stamps.size(); ++k) {
        ATOLL_CHECK((k == i && status.ok()) || now[k] == stamps[k])
            << "slot " << k << " has changed with a write to slot " << i << ": " << status;
      }
      // What was there is there for the next one.
      if (!is_read_only) {
        std::copy(before.begin(), before.end(), segment.begin());
      }
    }
  }
}

void try_attached(const absl::StatusOr<List>& list, std::span<std::byte> segment,
                  bool is_read_only) {
  if (named(list).ok()) {
    attached.add();
    use(*list, segment, is_read_only);
  } else {
    refused_data.add(absl::IsDataLoss(list.status()));
    refused_version.add(absl::IsFailedPrecondition(list.status()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto flags = input.draw<std::uint8_t>();
  const bool is_read_only = (flags & kReadOnly) != 0;
  const libatoll::AttachOptions options = {.read_only = is_read_only,
                                           .claim_timeout = absl::ZeroDuration()};
  const std::string segment = draw_segment(input, flags);
  if ((flags & kByDescriptor) == 0) {
    const Block memory(segment.size());
    std::memcpy(memory.span().data(), segment.data(), segment.size());
    try_attached(List::attach_in(memory.span(), options), memory.span(), is_read_only);
    return 0;
  }
  const File file(memfd_create("segment_fuzz", MFD_CLOEXEC));
  ATOLL_CHECK(file.fd() >= 0 && write(file.fd(), segment.data(), segment.size()) ==
                                    static_cast<ssize_t>(segment.size()));
  const absl::StatusOr<List> list = List::attach_fd(file.fd(), options);
  Mapping mapping;
  if (list.ok()) {
    mapping = process::must(libatoll::detail::map(file, segment.size(), true, ""));
    attached_fd.add();
  }
  try_attached(list, {mapping.data(), mapping.size()}, is_read_only);
  return 0;
}
