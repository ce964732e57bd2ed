// Many slots at once: at one instant (snapshot), or one after the other at memory speed (ranges).

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "atoll/list.h"

#include "deadline.h"

namespace libatoll {

using detail::Header;
using detail::Tag;
using detail::View;
using detail::Word;

namespace {

template <typename T>
inline constexpr Tag kVersionedTag = std::is_same_v<T, double> ? Tag::kDouble : Tag::kInt64;
template <typename T>
inline constexpr Tag kPinnedTag =
    std::is_same_v<T, double> ? Tag::kPinnedDouble : Tag::kPinnedInt64;
template <typename T>
inline constexpr Type kTypeOf = std::is_same_v<T, double> ? Type::kDouble : Type::kInt64;

template <typename T>
bool holds(const Word& seen) {
  return seen.is(kVersionedTag<T>) || seen.is(kPinnedTag<T>);
}

absl::Status never_quiet(const View& view, std::size_t passes, absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrFormat("%s: snapshot found slots that had changed in each of %d passes within %s",
                      view.label(), passes, absl::FormatDuration(timeout)));
}

}  // namespace

absl::StatusOr<std::vector<Value>> List::snapshot(absl::Duration timeout) const {
  const detail::Deadline deadline(timeout);
  std::vector<Value> values(size());
  std::vector<Stamp> stamps;
  stamps.reserve(size());
  for (const Slot slot : *this) {
    const std::size_t i = stamps.size();
    stamps.push_back(slot.stamp());
    if (absl::Status status = slot.collect(values[i], stamps[i]); !status.ok()) {
      return status;
    }
  }
  // A pass that finds every header as it was collected proves that all of them were so when it began:
  // a stamp never comes twice, so none changed between its collection and its second look.
  for (std::size_t passes = 1;; ++passes) {
    bool quiet = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Slot slot = (*this)[i];
      if (slot.stamp() != stamps[i]) [[unlikely]] {
        quiet = false;
        if (absl::Status status = slot.collect(values[i], stamps[i]); !status.ok()) {
          return status;
        }
      }
    }
    if (quiet) {
      return values;
    }
    if (deadline.is_over()) {
      return never_quiet(view(), passes, timeout);
    }
  }
}

template <typename T>
absl::StatusOr<std::vector<T>> List::snapshot_numbers(absl::Duration timeout) const {
  const detail::Deadline deadline(timeout);
  std::vector<T> values(size());
  // Versions only rise, so if their sum is the same in two passes, so is each of them, and all slots
  // were unchanged from the end of the first pass to the beginning of the second. Pinned slots have
  // no version; their values are compared.
  std::uint64_t versions_before = 0;
  for (std::size_t passes = 0;; ++passes) {
    std::uint64_t versions = 0;
    bool quiet = passes > 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Word seen = detail::read(*view().header(i));
      if (!holds<T>(seen)) {
        return (*this)[i].wrong_type("snapshot", kTypeOf<T>, seen);
      }
      versions += seen.version();
      quiet &= detail::to_bits(values[i]) == seen.payload;
      values[i] = detail::from_bits<T>(seen.payload);
    }
    if (quiet && versions == versions_before) {
      return values;
    }
    versions_before = versions;
    if (passes > 0 && deadline.is_over()) {
      return never_quiet(view(), passes, timeout);
    }
  }
}

template <>
absl::StatusOr<std::vector<std::int64_t>> List::snapshot<std::int64_t>(
    absl::Duration timeout) const {
  return snapshot_numbers<std::int64_t>(timeout);
}
template <>
absl::StatusOr<std::vector<double>> List::snapshot<double>(absl::Duration timeout) const {
  return snapshot_numbers<double>(timeout);
}

absl::Status List::check_range(std::size_t first, std::size_t count) const {
  if (first > size() || count > size() - first) {
    return absl::OutOfRangeError(
        absl::StrFormat("the range of %d slots from %d is outside %s, which "
                        "has %d slots",
                        count, first, view().label(), size()));
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status List::load_numbers(std::size_t first, std::span<T> out) const {
  if (absl::Status status = check_range(first, out.size()); !status.ok()) {
    return status;
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Word seen = detail::read(*view().header(first + i));
    if (!holds<T>(seen)) [[unlikely]] {
      return (*this)[first + i].wrong_type("load_range", kTypeOf<T>, seen);
    }
    out[i] = detail::from_bits<T>(seen.payload);
  }
  return absl::OkStatus();
}

template <typename T>
absl::Status List::store_numbers(std::size_t first, std::span<const T> values) const {
  if (absl::Status status = check_range(first, values.size()); !status.ok()) {
    return status;
  }
  // What could fail is settled first: whether a slot is pinned, and to what, never changes.
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Slot slot = (*this)[first + i];
    if (absl::Status status = slot.check_storable(kTypeOf<T>); !status.ok()) {
      return status;
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Slot slot = (*this)[first + i];
    Header& header = *slot.header_;
    const std::uint64_t payload = detail::to_bits(values[i]);
    Word seen = detail::read(header);
    if (seen.is_pinned()) {
      slot.woken(detail::pinned_exchange(header, values[i]));
      continue;
    }
    while (!detail::swap_in(header, seen, detail::successor(seen, payload, kVersionedTag<T>))) {
    }
  }
  return absl::OkStatus();
}

absl::Status List::load_range(std::size_t first, std::span<std::int64_t> out) const {
  return load_numbers(first, out);
}
absl::Status List::load_range(std::size_t first, std::span<double> out) const {
  return load_numbers(first, out);
}
absl::Status List::store_range(std::size_t first, std::span<const std::int64_t> values) const {
  return store_numbers(first, values);
}
absl::Status List::store_range(std::size_t first, std::span<const double> values) const {
  return store_numbers(first, values);
}

}  // namespace libatoll
