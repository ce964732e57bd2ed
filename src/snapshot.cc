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
#include "header_cursor.h"

namespace libatoll {

using detail::Header;
using detail::HeaderCursor;
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

// `may_be_pinned` is false for most lists, and spares them a comparison a slot.
template <typename T>
bool holds(const Word& seen, bool may_be_pinned) {
  return seen.is(kVersionedTag<T>) || (may_be_pinned && seen.is(kPinnedTag<T>));
}

// The second look at slots that were read before, in halves. Versions only rise, so if their sum is still
// the same, so is each of them, and all slots were unchanged from the end of the first pass to the
// beginning of this one; which also shows that the halves belong together. Pinned slots have no version:
// their values are compared.
template <typename T>
bool are_still(const View& view, std::span<const T> values, std::uint64_t versions) {
  HeaderCursor headers(view);
  std::uint64_t versions_now = 0;
  if (!view.has_pinned_slots()) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      versions_now += detail::read_version(headers.next());
    }
    return versions_now == versions;
  }
  bool equal = true;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Word seen = detail::read_halves(headers.next());
    versions_now += seen.version();
    equal &= detail::to_bits(values[i]) == seen.payload;
  }
  return equal && versions_now == versions;
}

absl::Status never_quiet(const View& view, absl::Duration timeout) {
  return absl::DeadlineExceededError(
      absl::StrFormat("%s: snapshot found slots that had changed in each of its passes within %s",
                      view.label(), absl::FormatDuration(timeout)));
}

}  // namespace

absl::StatusOr<std::vector<Value>> List::snapshot(absl::Duration timeout) const {
  const detail::Deadline deadline(timeout);
  std::vector<Value> values(size());
  std::vector<Word> seen(size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (absl::Status status = (*this)[i].collect(values[i], seen[i]); !status.ok()) {
      return status;
    }
  }
  // A pass that finds every header as it was collected proves that all of them were so when it began:
  // a stamp never comes twice, so none changed between its collection and its second look.
  for (;;) {
    bool quiet = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Slot slot = (*this)[i];
      if (!slot.is_still(seen[i])) [[unlikely]] {
        quiet = false;
        if (absl::Status status = slot.collect(values[i], seen[i]); !status.ok()) {
          return status;
        }
      }
    }
    if (quiet) {
      return values;
    }
    if (deadline.is_over()) {
      return never_quiet(view(), timeout);
    }
  }
}

template <typename T>
absl::StatusOr<std::vector<T>> List::snapshot_numbers(absl::Duration timeout) const {
  const detail::Deadline deadline(timeout);
  std::vector<T> values(size());
  const std::span<T> out(values);
  const bool has_pinned = view().has_pinned_slots();
  for (;;) {
    HeaderCursor headers(view());
    std::uint64_t versions = 0;
    for (std::size_t i = 0; i < out.size(); ++i) {
      const Word seen = detail::read_halves(headers.next());
      if (!holds<T>(seen, has_pinned)) [[unlikely]] {
        return (*this)[i].wrong_type("snapshot", kTypeOf<T>, seen);
      }
      out[i] = detail::from_bits<T>(seen.payload);
      versions += seen.version();
    }
    if (are_still<T>(view(), values, versions)) {
      return values;
    }
    if (deadline.is_over()) {
      return never_quiet(view(), timeout);
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
  HeaderCursor headers(view(), first);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Word seen = detail::read(headers.next());
    if (!holds<T>(seen, true)) [[unlikely]] {
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
