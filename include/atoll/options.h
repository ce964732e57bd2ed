// How a list is made and opened: initial values, reserved capacities, and options.
//
//   using libatoll::text, libatoll::bytes, libatoll::pinned;
//   atoll::List::create("/jobs", {0, text(64), text("idle", 64), bytes(1 << 20), pinned(0)});
//   atoll::List::create("/long", atoll::fill(1'000'000, 0), {.layout = atoll::Layout::kDense});
//
// Capacity is counted in bytes and fixed at creation; it is rounded up to 8 * max(1, ceil(n / 8)).
// Text and bytes of up to 8 bytes fit every slot that is not pinned.

#ifndef ATOLL_OPTIONS_H_
#define ATOLL_OPTIONS_H_

#include <sys/types.h>

#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "atoll/value.h"

namespace libatoll {

class Init;

template <typename T>
concept InitialValue = !std::same_as<T, Init> && std::constructible_from<ValueView, const T&>;

// The initial value of a slot, and what the slot is made for.
class Init {
 public:
  // Any value; the capacity is what the value needs.
  template <InitialValue T>
  Init(const T& value) : value_(to_value(ValueView(value))) {}

  const Value& value() const { return value_; }
  // As it was asked for, in bytes; nothing: what the value needs.
  std::optional<std::size_t> capacity() const { return capacity_; }
  bool is_pinned() const { return pinned_; }

 private:
  Init(Value value, std::optional<std::size_t> capacity, bool pinned)
      : value_(std::move(value)), capacity_(capacity), pinned_(pinned) {}
  friend Init with_capacity(Value initial, std::size_t capacity);
  friend Init pinned_value(Value value);

  Value value_;
  std::optional<std::size_t> capacity_;
  bool pinned_ = false;
};

// A slot with room for `capacity` bytes of text or of bytes, whatever it holds first.
Init with_capacity(Value initial, std::size_t capacity);

// The same, first empty or `initial`.
Init text(std::string_view initial, std::size_t capacity);
Init bytes(BytesView initial, std::size_t capacity);
inline Init text(std::size_t capacity) { return text(std::string_view(), capacity); }
inline Init bytes(std::size_t capacity) { return bytes(BytesView(), capacity); }

// A slot that holds an int64 (or a double) for ever: one locked instruction an operation, and the
// slots that `List::counter` and `List::gauge` hand out.
Init pinned_value(Value value);
template <Int64Compatible T>
Init pinned(T value) {
  return pinned_value(static_cast<std::int64_t>(value));
}
template <DoubleCompatible T>
Init pinned(T value) {
  return pinned_value(static_cast<double>(value));
}

// `count` slots alike, without a vector of that many initial values.
class Fill {
 public:
  std::size_t count() const { return count_; }
  const Init& init() const { return init_; }

 private:
  Fill(std::size_t count, Init init) : count_(count), init_(std::move(init)) {}
  friend Fill fill(std::size_t count, Init init);

  std::size_t count_;
  Init init_;
};
inline Fill fill(std::size_t count, Init init) { return Fill(count, std::move(init)); }

// Where the slots lie.
enum class Layout : unsigned char {
  kPadded,  // a cache line a slot: writers of neighbouring slots do not slow each other down
  kDense,   // 16 bytes a slot: a quarter of the memory, for long lists that are mostly scanned
};

struct CreateOptions {
  // Permission bits of the name, exactly (the umask is not applied).
  mode_t mode = 0600;
  Layout layout = Layout::kPadded;
  // Buffers that a slot with more than 8 bytes of capacity has: 2 to 8. One holds the current text;
  // each of the others lets one writer work, and gives a slow reader the time of one more store.
  int buffers_per_slot = 3;
  // The longest that a store of text longer than 8 bytes waits while other live writers hold every
  // buffer of its slot; then DeadlineExceeded. absl::InfiniteDuration() is allowed.
  absl::Duration claim_timeout = absl::Seconds(10);
  // Removes the name when the List that created it is closed or destroyed (in the process that
  // created it, not in its children). Whoever else has the list open keeps it.
  bool unlink_on_close = false;
  // A process that created a named list and ends normally while the name still stands says so in a
  // line on stderr. The environment variable ATOLL_LEAK_REPORT=0 turns all such lines off.
  bool report_leak = true;
};

struct AttachOptions {
  // Maps the list for reading alone: every write is PermissionDenied, read permission is enough.
  bool read_only = false;
  // Accepts a list that another user owns. Its owner can truncate it, which kills readers by SIGBUS.
  bool allow_other_owner = false;
  absl::Duration claim_timeout = absl::Seconds(10);  // as in CreateOptions
};

}  // namespace libatoll

#endif  // ATOLL_OPTIONS_H_
