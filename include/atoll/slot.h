// Slot: one place of a list. Counter and Gauge: pinned places, without a check per call.
//
//   atoll::Slot slot = list[3];
//   slot.store("running");                          // absl::Status
//   slot.load();                                    // absl::StatusOr<atoll::Value>
//   slot.load<std::string>();                       // absl::StatusOr<std::string>
//   slot.fetch_add(1);                              // absl::StatusOr<std::int64_t>: previous value
//   slot.compare_exchange("running", "done");       // absl::StatusOr<bool>
//
//   auto [value, stamp] = *slot.load_stamped();
//   slot.compare_exchange(stamp, "mine");           // true only if nobody has written since
//   slot.wait(stamp, absl::Seconds(5));             // sleeps until somebody writes; the new stamp
//   slot.update([](const atoll::Value& seen) { return std::get<std::int64_t>(seen) * 2; });
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
//   update                     as the store that it ends with, once for each other write that comes
//                              between
//   wait, wait_any             sleep until another write; everything else never sleeps on purpose
//
// Errors, for every operation; the message names the list, the slot, what was found and expected:
//   PermissionDenied    a write through a read-only attachment
//   FailedPrecondition  the value has another type than the operation needs; a pinned slot would
//                       change its type; (after fork) this process could not register as a writer
//   ResourceExhausted   text longer than the slot's capacity, or than the buffer to load it into
//   DeadlineExceeded    `claim_timeout`, or the bound given to `wait` or `update`, ran out
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

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
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

// What a slot was at one moment: an opaque copy of its header. Two stamps of a versioned slot are
// equal only if nobody wrote in between. A pinned slot has no version: its stamps are equal if its
// value is, also if it went and came back.
//
// A stamp belongs to the slot that it was taken from; with another slot it means nothing.
class Stamp {
 public:
  // How many writes had succeeded since creation; 0 for a pinned slot.
  std::uint64_t version() const { return word_.version(); }
  friend bool operator==(const Stamp&, const Stamp&) = default;

 private:
  friend class Slot;
  friend class Waiter;  // src/wait.cc
  explicit Stamp(const detail::Word& seen)
      : word_{seen.payload, seen.meta & ~detail::kWaitersBit} {}

  detail::Word word_;
};

struct StampedValue {
  Value value;
  Stamp stamp;
};

class Slot {
 public:
  // The value, whatever its type.
  absl::StatusOr<Value> load() const;

  // The value as T: bool, std::int64_t, double, std::string or Bytes. FailedPrecondition if the
  // slot holds another type: nothing is converted.
  template <typename T>
  [[gnu::always_inline]] absl::StatusOr<T> load() const;

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

  // The stamp of the slot now, and the value that goes with it.
  Stamp stamp() const { return Stamp(detail::read(*header_)); }
  absl::StatusOr<StampedValue> load_stamped() const;

  // Replaces the value if nobody has written since `expected` was taken; tells whether it did. In
  // either case `expected` becomes the stamp of what the slot holds as the call takes effect, so that
  // a chain of exchanges needs no load. An equal value that was written in between makes it fail
  // (no ABA), except in a pinned slot, which compares by value.
  absl::StatusOr<bool> compare_exchange(Stamp& expected, const ValueView& desired) const;

  // Replaces the value v by fn(v): loads, computes, exchanges, and begins again if another write came
  // in between, at most `attempts_max` times (then DeadlineExceeded). `fn` may run several times, and
  // returns a Value, what converts to one, or a StatusOr; a status that is not OK is returned, and
  // nothing is changed. Returns the new value.
  absl::StatusOr<Value> update(absl::FunctionRef<absl::StatusOr<Value>(const Value&)> fn,
                               std::uint64_t attempts_max = kNoBound) const;
  static constexpr std::uint64_t kNoBound = ~std::uint64_t{0};

  // Sleeps until the slot differs from `stamp`, and returns its new stamp; at once, if it already
  // does. DeadlineExceeded after `timeout`; absl::InfiniteDuration() is allowed. A write with nobody
  // waiting costs no system call. A writer that is killed after its write and before it wakes
  // anybody delays the waiters by a second at most. PermissionDenied on a read-only attachment: a
  // waiter has to announce himself in the slot.
  // (Sleeping: futex(2). Announcing before looking again: an eventcount.)
  absl::StatusOr<Stamp> wait(const Stamp& stamp, absl::Duration timeout) const;

  // Read-modify-write of an int64; returns the previous value. Arithmetic wraps round.
  template <Int64Compatible T>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_add(T operand) const;
  template <Int64Compatible T>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_sub(T operand) const;
  template <Int64Compatible T>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_and(T operand) const;
  template <Int64Compatible T>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_or(T operand) const;
  template <Int64Compatible T>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_xor(T operand) const;
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
  friend class Waiter;  // src/wait.cc
  Slot(const detail::View* view, detail::Header* header) : view_(view), header_(header) {}

  absl::Status check_writable() const;
  // Whether a value of that type of number may be stored here.
  absl::Status check_storable(Type type) const;
  // The value, and in `seen` the header that it belongs to, both into places that are there already.
  absl::Status collect(Value& value, detail::Word& seen) const {
    seen = detail::read(*header_);
    if (!seen.is_int64()) {
      return collect_any(value, seen);
    }
    // Without a call: long lists consist of these.
    value = detail::from_bits<std::int64_t>(seen.payload);
    return absl::OkStatus();
  }
  absl::Status collect_any(Value& value, detail::Word& seen) const;
  // Whether the slot still has the stamp of the header `seen`. If meta is that header's, it was there
  // when meta was read.
  bool is_still(const detail::Word& seen) const {
    return Stamp(detail::read_halves(*header_)) == Stamp(seen);
  }
  // As `List::count` compares: doubles by ==.
  absl::StatusOr<bool> equals(const ValueView& value) const;
  absl::StatusOr<std::string> load_text(Type type) const;
  // `load_into` of a header that names no longer text which fits: short text, or an error.
  absl::StatusOr<std::size_t> load_short_into(std::span<char> out, detail::Word seen) const;
  // The error of `operation`, which needs `expected` and found the header `seen`.
  absl::Status wrong_type(const char* operation, Type expected, detail::Word seen) const;
  // The same for operations that inline: out of line down to the StatusOr and with all by value, so
  // that nothing of an error burdens their successful path.
  template <typename T>
  [[gnu::cold, gnu::noinline]] static absl::StatusOr<T> refuse_type(Slot slot,
                                                                    const char* operation,
                                                                    detail::Word seen) {
    constexpr Type kExpected = std::same_as<T, bool>     ? Type::kBool
                               : std::same_as<T, double> ? Type::kDouble
                                                         : Type::kInt64;
    return slot.wrong_type(operation, kExpected, seen);
  }
  template <typename T>
  [[gnu::cold, gnu::noinline]] static absl::StatusOr<T> refuse_write(Slot slot) {
    return slot.check_writable();
  }

  // Replaces a number v by next(v); where the slot is pinned, `pinned(header)` does so. `kVersioned`
  // and `kPinned` are the tags of T.
  template <typename T, detail::Tag kVersioned, detail::Tag kPinned, typename Next, typename Pinned>
  [[gnu::always_inline]] absl::StatusOr<T> fetch_update(const char* operation, Next next,
                                                        Pinned pinned) const;
  template <typename Next, typename Pinned>
  [[gnu::always_inline]] absl::StatusOr<std::int64_t> fetch_int64(const char* operation, Next next,
                                                                  Pinned pinned) const;
  template <typename Next>
  absl::StatusOr<std::int64_t> fetch_int64(const char* operation, Next next) const;
  template <typename Next>
  absl::StatusOr<double> fetch_double(const char* operation, Next next) const;
  // After each write of a pinned payload; returns `previous`.
  template <typename T>
  T woken(T previous) const {
    detail::wake_if_waited(view_->wait_word(index()));
    return previous;
  }
  template <typename T>
  bool pinned_compare_exchange(T& expected, T desired) const {
    return detail::pinned_compare_exchange(*header_, expected, desired) && woken(true);
  }

  const detail::View* view_;
  detail::Header* header_;
};
static_assert(sizeof(Slot) == 2 * sizeof(void*) && std::is_trivially_copyable_v<Slot>,
              "a slot is a reference, passed in two registers");

// The first of several slots to change.
//
//   const atoll::AwaitedSlot awaited[] = {{first, first.stamp()}, {second, second.stamp()}};
//   absl::StatusOr<std::size_t> changed = atoll::wait_any(awaited, absl::Seconds(5));
struct AwaitedSlot {
  Slot slot;
  Stamp stamp;
};

// Sleeps until one of the slots, which may be of different lists, differs from its stamp, and returns
// which: the first in order that does. Errors as Slot::wait; InvalidArgument for no slot, or for more
// than 128. Uses futex_waitv (Linux 5.16); older kernels look at the slots every millisecond.
absl::StatusOr<std::size_t> wait_any(std::span<const AwaitedSlot> slots, absl::Duration timeout);

namespace detail {

// What Counter and Gauge share: the operations of a pinned slot, each followed by a look at its wait
// word.
template <typename T>
class PinnedSlot {
 public:
  T load() const { return pinned_load<T>(*header_); }
  void store(T value) const { exchange(value); }
  T exchange(T value) const { return woken(pinned_exchange(*header_, value)); }
  // Compares bits. Tells in `expected` what was found.
  bool compare_exchange(T& expected, T desired) const {
    if (!pinned_compare_exchange(*header_, expected, desired)) {
      return false;
    }
    wake_if_waited(*wait_word_);
    return true;
  }

 protected:
  PinnedSlot(Header* header, WaitWord* wait_word) : header_(header), wait_word_(wait_word) {}

  T woken(T previous) const {
    wake_if_waited(*wait_word_);
    return previous;
  }
  template <typename Next>
  T update(Next next) const {
    return woken(pinned_update<T>(*header_, next));
  }

  Header* header_;
  WaitWord* wait_word_;
};

}  // namespace detail

// A pinned int64: std::atomic's operations, with nothing to check and nothing that can fail. All are
// wait-free, except fetch_min, fetch_max and compare_exchange, which are lock-free. Arithmetic wraps
// round. (A write that somebody waits for also makes the system call that wakes him.)
class Counter : public detail::PinnedSlot<std::int64_t> {
 public:
  std::int64_t fetch_add(std::int64_t operand) const {
    return woken(detail::pinned_fetch_add(*header_, operand));
  }
  std::int64_t fetch_sub(std::int64_t operand) const {
    return fetch_add(detail::wrapping_negate(operand));
  }
  std::int64_t fetch_and(std::int64_t operand) const {
    return woken(detail::pinned_fetch_and(*header_, operand));
  }
  std::int64_t fetch_or(std::int64_t operand) const {
    return woken(detail::pinned_fetch_or(*header_, operand));
  }
  std::int64_t fetch_xor(std::int64_t operand) const {
    return woken(detail::pinned_fetch_xor(*header_, operand));
  }
  std::int64_t fetch_min(std::int64_t operand) const {
    return update([operand](std::int64_t seen) { return std::min(seen, operand); });
  }
  std::int64_t fetch_max(std::int64_t operand) const {
    return update([operand](std::int64_t seen) { return std::max(seen, operand); });
  }

 private:
  friend class List;
  using PinnedSlot::PinnedSlot;
};

// A pinned double. `load`, `store` and `exchange` are wait-free, the others lock-free.
class Gauge : public detail::PinnedSlot<double> {
 public:
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
  using PinnedSlot::PinnedSlot;
};

// The value, as `List::to_string` shows it.
std::ostream& operator<<(std::ostream& out, const Slot& slot);

// ---- What inlines -------------------------------------------------------------------------------

template <>
absl::StatusOr<std::string> Slot::load<std::string>() const;
template <>
absl::StatusOr<Bytes> Slot::load<Bytes>() const;

template <typename T>
inline absl::StatusOr<T> Slot::load() const {
  static_assert(std::same_as<T, bool> || std::same_as<T, std::int64_t> || std::same_as<T, double>,
                "load<T> takes bool, std::int64_t, double, std::string or atoll::Bytes");
  const detail::Word seen = detail::read(*header_);
  if constexpr (std::same_as<T, bool>) {
    if (seen.is(detail::Tag::kBool) && seen.payload <= 1) [[likely]] {
      return seen.payload == 1;
    }
    return refuse_type<T>(*this, "load<bool>", seen);
  } else if constexpr (std::same_as<T, std::int64_t>) {
    if (seen.is_int64()) [[likely]] {
      return detail::from_bits<std::int64_t>(seen.payload);
    }
    return refuse_type<T>(*this, "load<int64>", seen);
  } else {
    if (seen.is_double()) [[likely]] {
      return detail::from_bits<double>(seen.payload);
    }
    return refuse_type<T>(*this, "load<double>", seen);
  }
}

template <typename T, detail::Tag kVersioned, detail::Tag kPinned, typename Next, typename Pinned>
inline absl::StatusOr<T> Slot::fetch_update(const char* operation, Next next, Pinned pinned) const {
  if (!view_->writable) [[unlikely]] {
    return refuse_write<T>(*this);
  }
  if (view_->known_pinned.has(index(), kPinned)) {
    return woken(pinned(*header_));
  }
  if (detail::peek_tag(*header_) == kPinned) {
    view_->known_pinned.add(index(), kPinned);
    return woken(pinned(*header_));
  }
  detail::Contention contention;
  for (detail::Word seen = detail::read(*header_);; seen = detail::read(*header_)) {
    if (!seen.is(kVersioned)) [[unlikely]] {
      return refuse_type<T>(*this, operation, seen);
    }
    const T value = detail::from_bits<T>(seen.payload);
    const detail::Word desired =
        detail::successor(seen, detail::to_bits<T>(next(value)), kVersioned);
    if (detail::swap_in(*header_, seen, desired)) [[likely]] {
      return value;
    }
    contention.step_aside();
  }
}

template <typename Next, typename Pinned>
inline absl::StatusOr<std::int64_t> Slot::fetch_int64(const char* operation, Next next,
                                                      Pinned pinned) const {
  return fetch_update<std::int64_t, detail::Tag::kInt64, detail::Tag::kPinnedInt64>(operation, next,
                                                                                    pinned);
}
template <typename Next>
absl::StatusOr<std::int64_t> Slot::fetch_int64(const char* operation, Next next) const {
  return fetch_int64(operation, next, [next](detail::Header& header) {
    return detail::pinned_update<std::int64_t>(header, next);
  });
}
template <typename Next>
absl::StatusOr<double> Slot::fetch_double(const char* operation, Next next) const {
  return fetch_update<double, detail::Tag::kDouble, detail::Tag::kPinnedDouble>(
      operation, next,
      [next](detail::Header& header) { return detail::pinned_update<double>(header, next); });
}

template <Int64Compatible T>
inline absl::StatusOr<std::int64_t> Slot::fetch_add(T operand) const {
  return fetch_int64(
      "fetch_add", [operand](std::int64_t seen) { return detail::wrapping_add(seen, operand); },
      [operand](detail::Header& header) { return detail::pinned_fetch_add(header, operand); });
}

template <Int64Compatible T>
inline absl::StatusOr<std::int64_t> Slot::fetch_sub(T operand) const {
  const std::int64_t addend = detail::wrapping_negate(operand);
  return fetch_int64(
      "fetch_sub", [addend](std::int64_t seen) { return detail::wrapping_add(seen, addend); },
      [addend](detail::Header& header) { return detail::pinned_fetch_add(header, addend); });
}

template <Int64Compatible T>
inline absl::StatusOr<std::int64_t> Slot::fetch_and(T operand) const {
  return fetch_int64(
      "fetch_and", [operand](std::int64_t seen) { return seen & operand; },
      [operand](detail::Header& header) { return detail::pinned_fetch_and(header, operand); });
}

template <Int64Compatible T>
inline absl::StatusOr<std::int64_t> Slot::fetch_or(T operand) const {
  return fetch_int64(
      "fetch_or", [operand](std::int64_t seen) { return seen | operand; },
      [operand](detail::Header& header) { return detail::pinned_fetch_or(header, operand); });
}

template <Int64Compatible T>
inline absl::StatusOr<std::int64_t> Slot::fetch_xor(T operand) const {
  return fetch_int64(
      "fetch_xor", [operand](std::int64_t seen) { return seen ^ operand; },
      [operand](detail::Header& header) { return detail::pinned_fetch_xor(header, operand); });
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
