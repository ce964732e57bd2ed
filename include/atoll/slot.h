// Slot: one place of a list. Counter and Gauge: pinned places, without a check per call.
//
//   atoll::Slot slot = list[3];
//   slot.store("running");                          // absl::Status
//   slot.load();                                    // absl::StatusOr<atoll::Value>
//   slot.load<std::string>();                       // absl::StatusOr<std::string>
//   slot.fetch_add(1);                              // absl::StatusOr<std::int64_t>: previous value
//   slot.compare_exchange("running", "done");       // absl::StatusOr<bool>
//
// A slot is versioned or pinned. A versioned slot holds any value and may change its type with every
// store; each successful write raises its version. A pinned slot holds an int64 (or a double) for
// ever; its version does not move.
//
// Safety: every operation may be called at any moment by any thread of any process that has the list
// open, on the same slot too. Operations on one slot are linearizable. A failed operation changes
// nothing: the slot keeps its value, type and version. No operation allocates on its successful
// path, except to return a std::string or Bytes.
//
// Progress:
//   load, load_into            lock-free, on every type: goes round again only because another write
//                              completed in between; blocked by nobody, whoever dies wherever
//   pinned: store, exchange, fetch_add, sub, and, or, xor on int64      wait-free, one locked
//                              instruction; min, max and all on double lock-free
//   versioned: everything that stores a number, a bool, none, or up to 8 bytes of text   lock-free,
//                              one 16-byte compare-and-swap an attempt
//   store, exchange, compare_exchange of longer text   lock-free while fewer writers than
//                              `buffers_per_slot` are inside the same slot; past that it waits, at
//                              most `claim_timeout`; a dead writer's buffer is taken over
//
// Errors, for every operation; the message names the list, the slot, what was found and expected:
//   PermissionDenied    a write through a read-only attachment
//   FailedPrecondition  the value has another type than the operation needs; a pinned slot would
//                       change its type; (after fork) this process could not register as a writer
//   ResourceExhausted   text longer than the slot's capacity, or than the buffer to load it into
//   DeadlineExceeded    `claim_timeout` ran out
//   DataLoss            the slot's bytes are impossible: something else has written to the segment
//
// Lifetime: a Slot, Counter or Gauge is a reference, valid while its List is open.

#ifndef ATOLL_SLOT_H_
#define ATOLL_SLOT_H_

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atoll/detail/header_word.h"
#include "atoll/detail/view.h"
#include "atoll/value.h"

namespace libatoll {

namespace detail {

inline std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
inline std::int64_t wrapping_negate(std::int64_t a) {
  return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a));
}

}  // namespace detail

class Slot {
 public:
  // The value, whatever its type.
  absl::StatusOr<Value> load() const;

  // The value as T: bool, std::int64_t, double, std::string or Bytes. FailedPrecondition if the
  // slot holds another type: nothing is converted.
  template <typename T>
  absl::StatusOr<T> load() const;

  // Copies the text or bytes into `out` and returns how many bytes there are. Allocates nothing.
  // ResourceExhausted if `out` is too small; its contents are then unspecified.
  absl::StatusOr<std::size_t> load_into(std::span<char> out) const;

  // Replaces the value, and in a versioned slot the type with it.
  absl::Status store(const ValueView& desired) const;

  // Replaces the value and returns the one that it replaced.
  absl::StatusOr<Value> exchange(const ValueView& desired) const;

  // Replaces the value if it equals `expected` in type and contents (doubles: in their bits, as
  // std::atomic compares them); tells whether it did. An equal value that was replaced and came back
  // in between is still equal.
  absl::StatusOr<bool> compare_exchange(const ValueView& expected, const ValueView& desired) const;

  // Read-modify-write of an int64; returns the previous value. Arithmetic wraps round.
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_add(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_sub(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_and(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_or(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_xor(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_min(T operand) const;
  template <Int64Compatible T>
  absl::StatusOr<std::int64_t> fetch_max(T operand) const;

  // Read-modify-write of a double; returns the previous value. min and max are std::fmin and
  // std::fmax: a NaN gives way to a number.
  template <DoubleCompatible T>
  absl::StatusOr<double> fetch_add(T operand) const;
  template <DoubleCompatible T>
  absl::StatusOr<double> fetch_sub(T operand) const;
  template <DoubleCompatible T>
  absl::StatusOr<double> fetch_min(T operand) const;
  template <DoubleCompatible T>
  absl::StatusOr<double> fetch_max(T operand) const;

  // The type of the value now.
  absl::StatusOr<Type> type() const;
  // Whether the slot holds one type of number for ever.
  bool is_pinned() const;
  // How many bytes of text fit; 8 or more, and 0 in a pinned slot.
  absl::StatusOr<std::size_t> capacity() const;
  // How many writes have succeeded since creation; 0 for ever in a pinned slot.
  std::uint64_t version() const;
  // Where in the list the slot is.
  std::size_t index() const { return view_->index_of(header_); }

 private:
  friend class List;
  friend class SlotIterator;
  Slot(const detail::View* view, detail::Header* header) : view_(view), header_(header) {}

  absl::Status check_writable() const;
  // As `List::count` compares: doubles by ==.
  absl::StatusOr<bool> equals(const ValueView& value) const;
  absl::StatusOr<std::string> load_text(Type type) const;
  // The error of `operation`, which needs `expected` and found the header `seen`.
  absl::Status wrong_type(const char* operation, Type expected, const detail::Word& seen) const;

  // Replaces a number v by next(v); `kVersioned` and `kPinned` are the tags of T.
  template <typename T, detail::Tag kVersioned, detail::Tag kPinned, typename Next>
  absl::StatusOr<T> fetch_update(const char* operation, Next next) const;
  template <typename Next>
  absl::StatusOr<std::int64_t> fetch_int64(const char* operation, Next next) const {
    return fetch_update<std::int64_t, detail::Tag::kInt64, detail::Tag::kPinnedInt64>(operation,
                                                                                      next);
  }
  template <typename Next>
  absl::StatusOr<double> fetch_double(const char* operation, Next next) const {
    return fetch_update<double, detail::Tag::kDouble, detail::Tag::kPinnedDouble>(operation, next);
  }
  bool is_writable_pinned_int64() const {
    return view_->writable && detail::peek_tag(*header_) == detail::Tag::kPinnedInt64;
  }

  const detail::View* view_;
  detail::Header* header_;
};
static_assert(sizeof(Slot) == 2 * sizeof(void*) && std::is_trivially_copyable_v<Slot>,
              "a slot is a reference, passed in two registers");

// A pinned int64: std::atomic's operations, with nothing to check and nothing that can fail. All are
// wait-free, except fetch_min, fetch_max and compare_exchange, which are lock-free.
class Counter {
 public:
  std::int64_t load() const { return detail::pinned_load<std::int64_t>(*header_); }
  void store(std::int64_t value) const { exchange(value); }
  std::int64_t exchange(std::int64_t value) const {
    return detail::pinned_exchange(*header_, value);
  }
  // Tells in `expected` what was found.
  bool compare_exchange(std::int64_t& expected, std::int64_t desired) const {
    return detail::pinned_compare_exchange(*header_, expected, desired);
  }
  std::int64_t fetch_add(std::int64_t operand) const {
    return detail::pinned_fetch_add(*header_, operand);
  }
  std::int64_t fetch_sub(std::int64_t operand) const {
    return detail::pinned_fetch_add(*header_, detail::wrapping_negate(operand));
  }
  std::int64_t fetch_and(std::int64_t operand) const {
    return detail::pinned_fetch_and(*header_, operand);
  }
  std::int64_t fetch_or(std::int64_t operand) const {
    return detail::pinned_fetch_or(*header_, operand);
  }
  std::int64_t fetch_xor(std::int64_t operand) const {
    return detail::pinned_fetch_xor(*header_, operand);
  }
  std::int64_t fetch_min(std::int64_t operand) const {
    return detail::pinned_update<std::int64_t>(
        *header_, [operand](std::int64_t seen) { return std::min(seen, operand); });
  }
  std::int64_t fetch_max(std::int64_t operand) const {
    return detail::pinned_update<std::int64_t>(
        *header_, [operand](std::int64_t seen) { return std::max(seen, operand); });
  }

 private:
  friend class List;
  explicit Counter(detail::Header* header) : header_(header) {}

  detail::Header* header_;
};

// A pinned double. `load`, `store` and `exchange` are wait-free, the others lock-free.
class Gauge {
 public:
  double load() const { return detail::pinned_load<double>(*header_); }
  void store(double value) const { exchange(value); }
  double exchange(double value) const { return detail::pinned_exchange(*header_, value); }
  // Compares bits. Tells in `expected` what was found.
  bool compare_exchange(double& expected, double desired) const {
    return detail::pinned_compare_exchange(*header_, expected, desired);
  }
  double fetch_add(double operand) const {
    return update([operand](double seen) { return seen + operand; });
  }
  double fetch_sub(double operand) const {
    return update([operand](double seen) { return seen - operand; });
  }
  double fetch_min(double operand) const {
    return update([operand](double seen) { return std::fmin(seen, operand); });
  }
  double fetch_max(double operand) const {
    return update([operand](double seen) { return std::fmax(seen, operand); });
  }

 private:
  friend class List;
  explicit Gauge(detail::Header* header) : header_(header) {}

  template <typename Next>
  double update(Next next) const {
    return detail::pinned_update<double>(*header_, next);
  }

  detail::Header* header_;
};

// The value, as `List::to_string` shows it.
std::ostream& operator<<(std::ostream& out, const Slot& slot);

// ---- What inlines -------------------------------------------------------------------------------

template <>
absl::StatusOr<std::string> Slot::load<std::string>() const;
template <>
absl::StatusOr<Bytes> Slot::load<Bytes>() const;

template <typename T>
absl::StatusOr<T> Slot::load() const {
  static_assert(std::same_as<T, bool> || std::same_as<T, std::int64_t> || std::same_as<T, double>,
                "load<T> takes bool, std::int64_t, double, std::string or atoll::Bytes");
  const detail::Word seen = detail::read(*header_);
  if constexpr (std::same_as<T, bool>) {
    if (seen.tag() == detail::Tag::kBool && seen.payload <= 1) [[likely]] {
      return seen.payload == 1;
    }
    return wrong_type("load<bool>", Type::kBool, seen);
  } else if constexpr (std::same_as<T, std::int64_t>) {
    if (seen.tag() == detail::Tag::kInt64 || seen.tag() == detail::Tag::kPinnedInt64) [[likely]] {
      return detail::from_bits<std::int64_t>(seen.payload);
    }
    return wrong_type("load<int64>", Type::kInt64, seen);
  } else {
    if (seen.tag() == detail::Tag::kDouble || seen.tag() == detail::Tag::kPinnedDouble) [[likely]] {
      return detail::from_bits<double>(seen.payload);
    }
    return wrong_type("load<double>", Type::kDouble, seen);
  }
}

template <typename T, detail::Tag kVersioned, detail::Tag kPinned, typename Next>
absl::StatusOr<T> Slot::fetch_update(const char* operation, Next next) const {
  if (!view_->writable) [[unlikely]] {
    return check_writable();
  }
  detail::Word seen = detail::read(*header_);
  while (seen.tag() == kVersioned) {
    const T value = detail::from_bits<T>(seen.payload);
    const detail::Word desired =
        detail::successor(seen, detail::to_bits<T>(next(value)), kVersioned);
    if (detail::compare_exchange(*header_, seen, desired)) [[likely]] {
      return value;
    }
  }
  if (seen.tag() == kPinned) {
    return detail::pinned_update<T>(*header_, next);
  }
  return wrong_type(operation, std::same_as<T, double> ? Type::kDouble : Type::kInt64, seen);
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_add(T operand) const {
  if (is_writable_pinned_int64()) {
    return detail::pinned_fetch_add(*header_, operand);
  }
  return fetch_int64("fetch_add",
                     [operand](std::int64_t seen) { return detail::wrapping_add(seen, operand); });
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_sub(T operand) const {
  return fetch_add(detail::wrapping_negate(operand));
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_and(T operand) const {
  if (is_writable_pinned_int64()) {
    return detail::pinned_fetch_and(*header_, operand);
  }
  return fetch_int64("fetch_and", [operand](std::int64_t seen) { return seen & operand; });
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_or(T operand) const {
  if (is_writable_pinned_int64()) {
    return detail::pinned_fetch_or(*header_, operand);
  }
  return fetch_int64("fetch_or", [operand](std::int64_t seen) { return seen | operand; });
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_xor(T operand) const {
  if (is_writable_pinned_int64()) {
    return detail::pinned_fetch_xor(*header_, operand);
  }
  return fetch_int64("fetch_xor", [operand](std::int64_t seen) { return seen ^ operand; });
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_min(T operand) const {
  return fetch_int64(
      "fetch_min", [operand](std::int64_t seen) { return std::min<std::int64_t>(seen, operand); });
}

template <Int64Compatible T>
absl::StatusOr<std::int64_t> Slot::fetch_max(T operand) const {
  return fetch_int64(
      "fetch_max", [operand](std::int64_t seen) { return std::max<std::int64_t>(seen, operand); });
}

template <DoubleCompatible T>
absl::StatusOr<double> Slot::fetch_add(T operand) const {
  return fetch_double("fetch_add", [operand](double seen) { return seen + operand; });
}

template <DoubleCompatible T>
absl::StatusOr<double> Slot::fetch_sub(T operand) const {
  return fetch_double("fetch_sub", [operand](double seen) { return seen - operand; });
}

template <DoubleCompatible T>
absl::StatusOr<double> Slot::fetch_min(T operand) const {
  return fetch_double("fetch_min", [operand](double seen) { return std::fmin(seen, operand); });
}

template <DoubleCompatible T>
absl::StatusOr<double> Slot::fetch_max(T operand) const {
  return fetch_double("fetch_max", [operand](double seen) { return std::fmax(seen, operand); });
}

}  // namespace libatoll

#endif  // ATOLL_SLOT_H_
