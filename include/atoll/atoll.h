// atoll: a fixed-length list of typed slots in shared memory that any number of processes read and
// write at once, with no lock around it and nothing to clean up when one of them is killed.
//
//   auto list = atoll::List::create("/jobs", {0, 0.5, true, nullptr, "idle"});
//   if (!list.ok()) return report(list.status());
//   (*list)[0].fetch_add(1);                     // previous value, or an error by code
//   (*list)[4].store("running");
//
//   auto same = atoll::List::attach("/jobs");    // any other process
//   auto text = (*same)[4].load<std::string>();
//
// This header is all of it; each of the ones below opens as the manual of its own part.
//
// About the name: <stdlib.h> has a function `atoll`, so no namespace can be called that; a class can.
// `atoll` is a class that holds the public names and nothing else, and `atoll::` in front of them
// works everywhere (the function is hidden from nobody). Where the language insists on a namespace,
// say the real one: `using libatoll::List;`, `namespace slots = libatoll;`.

#ifndef ATOLL_ATOLL_H_
#define ATOLL_ATOLL_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "atoll/list.h"     // IWYU pragma: export
#include "atoll/options.h"  // IWYU pragma: export
#include "atoll/slot.h"     // IWYU pragma: export
#include "atoll/value.h"    // IWYU pragma: export

struct atoll final {  // NOLINT(readability-identifier-naming)
  atoll() = delete;

  // value.h
  using Bytes = libatoll::Bytes;
  using BytesView = libatoll::BytesView;
  using Type = libatoll::Type;
  using Value = libatoll::Value;
  using ValueView = libatoll::ValueView;
  static std::string_view type_name(Type type) { return libatoll::type_name(type); }
  static Type type_of(const Value& value) { return libatoll::type_of(value); }
  static std::string to_string(const ValueView& value) { return libatoll::to_string(value); }
  static absl::StatusOr<Value> parse_value(std::string_view literal) {
    return libatoll::parse_value(literal);
  }
  static Value to_value(const ValueView& view) { return libatoll::to_value(view); }

  // options.h
  using AttachOptions = libatoll::AttachOptions;
  using CreateOptions = libatoll::CreateOptions;
  using Fill = libatoll::Fill;
  using Init = libatoll::Init;
  using Layout = libatoll::Layout;
  static Init text(std::size_t capacity) { return libatoll::text(capacity); }
  static Init text(std::string_view initial, std::size_t capacity) {
    return libatoll::text(initial, capacity);
  }
  static Init bytes(std::size_t capacity) { return libatoll::bytes(capacity); }
  static Init bytes(BytesView initial, std::size_t capacity) {
    return libatoll::bytes(initial, capacity);
  }
  static Init with_capacity(Value initial, std::size_t capacity) {
    return libatoll::with_capacity(std::move(initial), capacity);
  }
  template <typename T>
  static Init pinned(T value) {
    return libatoll::pinned(value);
  }
  static Fill fill(std::size_t count, Init init) { return libatoll::fill(count, std::move(init)); }

  // slot.h
  using AwaitedSlot = libatoll::AwaitedSlot;
  using Counter = libatoll::Counter;
  using Gauge = libatoll::Gauge;
  using Slot = libatoll::Slot;
  using Stamp = libatoll::Stamp;
  using StampedValue = libatoll::StampedValue;
  static absl::StatusOr<std::size_t> wait_any(std::span<const AwaitedSlot> slots,
                                              absl::Duration timeout) {
    return libatoll::wait_any(slots, timeout);
  }

  // list.h
  using List = libatoll::List;
};

#endif  // ATOLL_ATOLL_H_
