// Lists and operations drawn from an input; what holds of every slot, whatever its bytes; and every
// operation that takes a whole list. What a step should answer is for slot_model.h to say.

#ifndef ATOLL_FUZZ_OPERATIONS_H_
#define ATOLL_FUZZ_OPERATIONS_H_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"

#include "input.h"
#include "process.h"
#include "slot_model.h"

namespace fuzz {

using libatoll::Bytes;
using libatoll::BytesView;
using libatoll::CreateOptions;
using libatoll::Init;
using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;
using libatoll::Type;
using libatoll::Value;
using libatoll::ValueView;
using slot_model::Call;
using slot_model::Datum;
using slot_model::datum_of;
using slot_model::fetch_double;
using slot_model::fetch_int64;
using slot_model::Kind;
using slot_model::Mark;
using slot_model::mark_of;
using slot_model::Response;
using Code = absl::StatusCode;

inline const absl::Status& status_of(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& status_of(const absl::StatusOr<T>& result) {
  return result.status();
}

// ---- Values and lists ---------------------------------------------------------------------------

// One NaN, and no -0.0: of which NaN a sum is, and of which zero a minimum, C++ leaves open.
inline double draw_double(Input& input) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kEdges[] = {0.0, 0.5, -1.0, 1e308, 5e-324, kInfinity, -kInfinity, kNan};
  if (input.flip()) {
    return kEdges[input.below(std::size(kEdges))];
  }
  const auto number = input.draw<double>();
  return std::isnan(number) ? kNan : number == 0 ? 0.0 : number;
}

inline std::int64_t draw_int64(Input& input) {
  return input.flip() ? input.draw<std::int64_t>() : input.draw<std::int8_t>();
}

// Mostly short; up to 660 bytes, for what copies in blocks.
inline std::string draw_text(Input& input) {
  const auto size = input.draw<std::uint8_t>();
  return process::make_text(input.draw<std::uint8_t>(), 0,
                            size < 200 ? size % std::size_t{40} : (size - std::size_t{200}) * 12);
}

inline Value draw_value(Input& input) {
  switch (static_cast<Type>(input.below(6))) {
    case Type::kNone:
      return {};
    case Type::kBool:
      return input.flip();
    case Type::kInt64:
      return draw_int64(input);
    case Type::kDouble:
      return draw_double(input);
    case Type::kText:
      return draw_text(input);
    case Type::kBytes:
      break;
  }
  return Bytes(draw_text(input));
}

inline Init draw_init(Input& input) {
  switch (input.below(6)) {
    case 0:
      return libatoll::pinned(draw_int64(input));
    case 1:
      return libatoll::pinned(draw_double(input));
    case 2:
      return libatoll::text(input.draw<std::uint8_t>());
    case 3: {
      const std::string text = draw_text(input);
      return libatoll::text(text, text.size() + input.below(16));
    }
    case 4:
      return libatoll::bytes(input.below(1024));
    default:
      return draw_value(input);
  }
}

struct Plan {
  std::vector<Init> values;
  CreateOptions options;
};

inline Plan draw_plan(Input& input) {
  Plan plan;
  plan.options.layout = input.flip() ? libatoll::Layout::kDense : libatoll::Layout::kPadded;
  plan.options.buffers_per_slot = 2 + static_cast<int>(input.below(7));
  // In the caller's memory everybody counts as alive, so a forged owner is waited for.
  plan.options.claim_timeout = absl::ZeroDuration();
  for (std::size_t left = 1 + input.below(5); left > 0; --left) {
    plan.values.push_back(draw_init(input));
  }
  return plan;
}

// ---- Steps --------------------------------------------------------------------------------------

// An operation of one slot, and one of the ways to call it.
struct Step {
  Call call;
  Value desired;
  Value expected;
  std::optional<Stamp> stamp;
  bool other_way = false;  // a range of one, or a Counter or Gauge where the slot is pinned
};

// Draws steps and takes them. Remembers a value and a stamp of each slot, so that exchanges succeed.
class Player {
 public:
  Player(std::size_t slots, Input& input) : input_(input), known_(slots) {}

  Step draw() {
    Step step;
    Call& call = step.call;
    call.kind = static_cast<Kind>(input_.below(slot_model::kKinds - 1));  // but for the snapshot
    call.slot = static_cast<std::uint8_t>(input_.below(known_.size()));
    const Known& known = known_[call.slot];
    step.other_way = input_.flip();
    switch (call.kind) {
      case Kind::kLoadAs:
        call.type = static_cast<Type>(1 + input_.below(5));
        break;
      case Kind::kLoadInto:
        call.room = static_cast<std::uint32_t>(input_.below(kRoom));
        break;
      case Kind::kWait:
        step.stamp = known.stamp;
        break;
      case Kind::kCompareExchange:
        step.expected = input_.flip() ? known.value : draw_value(input_);
        step.desired = draw_value(input_);
        break;
      case Kind::kCompareExchangeStamp:
        step.stamp = known.stamp;
        step.desired = draw_value(input_);
        break;
      case Kind::kStore:
      case Kind::kExchange:
        step.desired = draw_value(input_);
        break;
      case Kind::kFetchAdd:
      case Kind::kFetchSub:
      case Kind::kFetchMin:
      case Kind::kFetchMax:
        step.desired = input_.flip() ? Value(draw_double(input_)) : Value(draw_int64(input_));
        break;
      case Kind::kFetchAnd:
      case Kind::kFetchOr:
      case Kind::kFetchXor:
        step.desired = draw_int64(input_);
        break;
      default:
        break;
    }
    if ((call.kind == Kind::kWait || call.kind == Kind::kCompareExchangeStamp) && !step.stamp) {
      call.kind = Kind::kLoadStamped;
    }
    call.desired = datum_of(step.desired);
    call.expected = datum_of(step.expected);
    if (step.stamp) {
      call.mark = mark_of(*step.stamp);
    }
    return step;
  }

  Response take(const List& list, const Step& step) {
    const Slot slot = list[step.call.slot];
    Known& known = known_[step.call.slot];
    switch (step.call.kind) {
      case Kind::kLoad:
        return load(list, slot, step, known);
      case Kind::kLoadAs:
        return load_as(list, slot, step);
      case Kind::kLoadInto: {
        const Block room(step.call.room);
        const std::span<char> out(reinterpret_cast<char*>(room.span().data()), step.call.room);
        const absl::StatusOr<std::size_t> size = slot.load_into(out);
        if (!size.ok()) {
          return failed(size.status());
        }
        ATOLL_CHECK(*size <= out.size());
        return {.value = datum_of(ValueView(std::string_view(out.data(), *size)))};
      }
      case Kind::kLoadStamped: {
        const absl::StatusOr<libatoll::StampedValue> seen = slot.load_stamped();
        if (!seen.ok()) {
          return failed(seen.status());
        }
        known = {seen->value, seen->stamp};
        return {.value = datum_of(seen->value), .mark = mark_of(seen->stamp)};
      }
      case Kind::kStamp:
        known.stamp = slot.stamp();
        return {.mark = mark_of(*known.stamp)};
      case Kind::kType: {
        const absl::StatusOr<Type> type = slot.type();
        return type.ok() ? Response{.value = {.type = *type}} : failed(type.status());
      }
      case Kind::kVersion:
        return {.mark = {.version = slot.version()}};
      case Kind::kWait:
        return wait(slot, step, known);
      case Kind::kStore:
        return store(list, slot, step);
      case Kind::kExchange:
        return remember(known, exchange(list, slot, step));
      case Kind::kCompareExchange:
        return compare_exchange(list, slot, step);
      case Kind::kCompareExchangeStamp: {
        Stamp stamp = *step.stamp;
        const absl::StatusOr<bool> swapped = slot.compare_exchange(stamp, step.desired);
        if (!swapped.ok()) {
          return failed(swapped.status());
        }
        known.stamp = stamp;
        return {.swapped = *swapped, .mark = mark_of(stamp)};
      }
      case Kind::kUpdate:
        return remember(known, slot.update([](const Value& seen) {
          return slot_model::updated(datum_of(seen));
        }));
      default:
        return fetch(list, slot, step);
    }
  }

 private:
  static constexpr std::size_t kRoom = 64;

  struct Known {
    Value value;
    std::optional<Stamp> stamp;
  };

  static Response failed(const absl::Status& status) {
    ATOLL_CHECK(status.message().find("list") != absl::string_view::npos ||
                absl::IsCancelled(status))
        << "an error that does not say where: " << status;
    return {.code = status.code()};
  }
  template <typename T>
  static Response response_of(const absl::StatusOr<T>& result) {
    return result.ok() ? Response{.value = datum_of(ValueView(*result))} : failed(result.status());
  }
  static Response remember(Known& known, const absl::StatusOr<Value>& value) {
    if (value.ok()) {
      known.value = *value;
    }
    return response_of(value);
  }

  static std::ptrdiff_t index_of(const Slot& slot) {
    return static_cast<std::ptrdiff_t>(slot.index());
  }

  static Response load(const List& list, const Slot& slot, const Step& step, Known& known) {
    if (const auto counter = list.counter(index_of(slot)); step.other_way && counter.ok()) {
      return remember(known, counter->load());
    }
    if (const auto gauge = list.gauge(index_of(slot)); step.other_way && gauge.ok()) {
      return remember(known, gauge->load());
    }
    return remember(known, slot.load());
  }

  template <typename T>
  static Response load_number(const List& list, const Slot& slot, const Step& step) {
    if (!step.other_way) {
      return response_of(slot.load<T>());
    }
    T number = {};
    const absl::Status status = list.load_range(slot.index(), std::span<T>(&number, 1));
    return status.ok() ? Response{.value = datum_of(number)} : failed(status);
  }

  static Response load_as(const List& list, const Slot& slot, const Step& step) {
    switch (step.call.type) {
      case Type::kBool:
        return response_of(slot.load<bool>());
      case Type::kInt64:
        return load_number<std::int64_t>(list, slot, step);
      case Type::kDouble:
        return load_number<double>(list, slot, step);
      case Type::kText:
        return response_of(slot.load<std::string>());
      default:
        return response_of(slot.load<Bytes>());
    }
  }

  static Response wait(const Slot& slot, const Step& step, Known& known) {
    absl::StatusOr<Stamp> stamp = *step.stamp;
    if (step.other_way) {
      const libatoll::AwaitedSlot awaited[] = {{slot, *step.stamp}, {slot, *step.stamp}};
      const auto changed = libatoll::wait_any(awaited, absl::ZeroDuration());
      ATOLL_CHECK(!changed.ok() || *changed == 0);
      stamp = changed.ok() ? absl::StatusOr<Stamp>(slot.stamp()) : changed.status();
    } else {
      stamp = slot.wait(*step.stamp, absl::ZeroDuration());
    }
    if (!stamp.ok()) {
      return failed(stamp.status());
    }
    known.stamp = *stamp;
    return {.mark = mark_of(*stamp)};
  }

  static Response store(const List& list, const Slot& slot, const Step& step) {
    absl::Status status;
    const auto* integer = std::get_if<std::int64_t>(&step.desired);
    const auto* number = std::get_if<double>(&step.desired);
    if (step.other_way && integer != nullptr) {
      status = list.store_range(slot.index(), std::span<const std::int64_t>(integer, 1));
    } else if (step.other_way && number != nullptr) {
      status = list.store_range(slot.index(), std::span<const double>(number, 1));
    } else {
      status = slot.store(step.desired);
    }
    return status.ok() ? Response() : failed(status);
  }

  static absl::StatusOr<Value> exchange(const List& list, const Slot& slot, const Step& step) {
    const auto* integer = std::get_if<std::int64_t>(&step.desired);
    if (const auto counter = list.counter(index_of(slot));
        step.other_way && integer != nullptr && counter.ok()) {
      return Value(counter->exchange(*integer));
    }
    const auto* number = std::get_if<double>(&step.desired);
    if (const auto gauge = list.gauge(index_of(slot));
        step.other_way && number != nullptr && gauge.ok()) {
      return Value(gauge->exchange(*number));
    }
    return slot.exchange(step.desired);
  }

  template <typename T, typename Pinned>
  static bool compare_exchange_pinned(const Pinned& pinned, const Step& step, Response& response) {
    const auto* expected = std::get_if<T>(&step.expected);
    const auto* desired = std::get_if<T>(&step.desired);
    if (expected == nullptr || desired == nullptr || !pinned.ok() || !step.other_way) {
      return false;
    }
    T seen = *expected;
    response.swapped = pinned->compare_exchange(seen, *desired);
    ATOLL_CHECK(datum_of(seen) == datum_of(response.swapped ? *expected : pinned->load()));
    return true;
  }

  static Response compare_exchange(const List& list, const Slot& slot, const Step& step) {
    Response response;
    if (compare_exchange_pinned<std::int64_t>(list.counter(index_of(slot)), step, response) ||
        compare_exchange_pinned<double>(list.gauge(index_of(slot)), step, response)) {
      return response;
    }
    const absl::StatusOr<bool> swapped = slot.compare_exchange(step.expected, step.desired);
    return swapped.ok() ? Response{.swapped = *swapped} : failed(swapped.status());
  }

  static Response fetch(const List& list, const Slot& slot, const Step& step) {
    if (const auto* integer = std::get_if<std::int64_t>(&step.desired)) {
      const auto counter = list.counter(index_of(slot));
      return response_of(step.other_way && counter.ok()
                             ? fetch_int64(*counter, step.call.kind, *integer)
                             : fetch_int64(slot, step.call.kind, *integer));
    }
    const auto number = std::get<double>(step.desired);
    const auto gauge = list.gauge(index_of(slot));
    return response_of(step.other_way && gauge.ok() ? fetch_double(*gauge, step.call.kind, number)
                                                    : fetch_double(slot, step.call.kind, number));
  }

  Input& input_;
  std::vector<Known> known_;
};

// ---- Whatever the bytes -------------------------------------------------------------------------

// A result that may come of bytes which something else has written: success, or an error of the table
// in slot.h, which says where.
template <typename Result>
const Result& named(const Result& result) {
  const absl::Status& status = status_of(result);
  switch (status.code()) {
    case Code::kOk:
      return result;
    case Code::kDataLoss:
    case Code::kFailedPrecondition:
    case Code::kResourceExhausted:
    case Code::kDeadlineExceeded:
    case Code::kPermissionDenied:
    case Code::kOutOfRange:
      break;
    default:
      ATOLL_CHECK(false) << "an error that nobody expects: " << status;
  }
  ATOLL_CHECK(status.message().find("list") != absl::string_view::npos) << status;
  return result;
}

template <typename T>
void check_load_as(const Slot& slot, Type type, const absl::StatusOr<Value>& value) {
  const absl::StatusOr<T> typed = slot.load<T>();
  if (value.ok() && type_of(*value) == type) {
    ATOLL_CHECK(typed.ok()) << typed.status();
    ATOLL_CHECK(datum_of(ValueView(*typed)) == datum_of(*value)) << *value;
    return;
  }
  const absl::StatusOr<Type> found = slot.type();
  const Code expected = !found.ok() || *found == type ? Code::kDataLoss : Code::kFailedPrecondition;
  ATOLL_CHECK(typed.status().code() == expected) << typed.status();
}

// Everything that reads one slot, while nobody writes: all of it agrees. True if it has a value.
inline bool check_reads(const Slot& slot) {
  const absl::StatusOr<Value> value = slot.load();
  check_load_as<bool>(slot, Type::kBool, value);
  check_load_as<std::int64_t>(slot, Type::kInt64, value);
  check_load_as<double>(slot, Type::kDouble, value);
  check_load_as<std::string>(slot, Type::kText, value);
  check_load_as<Bytes>(slot, Type::kBytes, value);

  const Stamp stamp = slot.stamp();
  ATOLL_CHECK(stamp.version() == slot.version());
  const absl::StatusOr<Stamp> waited = slot.wait(stamp, absl::ZeroDuration());
  ATOLL_CHECK(absl::IsDeadlineExceeded(waited.status()) ||
              absl::IsPermissionDenied(waited.status()))
      << waited.status();
  const absl::StatusOr<libatoll::StampedValue> stamped = slot.load_stamped();
  const absl::StatusOr<std::size_t> capacity = named(slot.capacity());
  std::vector<char> room(8);
  if (!value.ok()) {
    ATOLL_CHECK(absl::IsDataLoss(value.status())) << value.status();
    ATOLL_CHECK(absl::IsDataLoss(stamped.status())) << stamped.status();
    ATOLL_CHECK(!slot.load_into(room).ok());
    return false;
  }
  ATOLL_CHECK(stamped.ok()) << stamped.status();
  ATOLL_CHECK(datum_of(stamped->value) == datum_of(*value));
  ATOLL_CHECK(stamped->stamp == stamp);

  const bool is_text = type_of(*value) == Type::kText || type_of(*value) == Type::kBytes;
  const std::string_view contents = ValueView(*value).contents();
  ATOLL_CHECK(contents.size() <= slot_model::kShort ||
              (capacity.ok() && contents.size() <= *capacity))
      << contents.size();
  room.resize(contents.size());
  const absl::StatusOr<std::size_t> size = slot.load_into(room);
  if (!is_text) {
    ATOLL_CHECK(size.status().code() == Code::kFailedPrecondition) << size.status();
  } else {
    ATOLL_CHECK(size.ok()) << size.status();
    ATOLL_CHECK(std::string_view(room.data(), *size) == contents);
    if (!room.empty()) {
      room.pop_back();
      ATOLL_CHECK(absl::IsResourceExhausted(slot.load_into(room).status()));
    }
  }
  return true;
}

template <typename T>
void read_ranges(const List& list) {
  named(list.template snapshot<T>(absl::ZeroDuration()));
  std::vector<T> numbers(list.size() + 1);
  for (std::size_t first = 0; first <= list.size(); ++first) {
    const std::span<T> all = std::span(numbers).first(list.size() - first);
    named(list.load_range(first, all));
    ATOLL_CHECK(
        absl::IsOutOfRange(list.load_range(first, std::span(numbers).first(all.size() + 1))));
  }
  ATOLL_CHECK(absl::IsOutOfRange(list.load_range(~std::size_t{0}, std::span(numbers).first(1))));
}

// Everything that reads a whole list.
inline void read_whole(const List& list) {
  std::size_t lost = 0;
  std::optional<Value> last;
  for (const Slot slot : list) {
    const absl::StatusOr<Value> value = named(slot.load());
    lost += value.ok() ? 0 : 1;
    if (value.ok()) {
      last = *value;
    }
  }
  for (const Value& value :
       {Value(), Value(true), Value(std::int64_t{0}), Value(0.5), Value("text"),
        Value("text of more than eight bytes"), Value(Bytes("\0", 1))}) {
    const absl::StatusOr<std::size_t> count = named(list.count(value));
    const absl::StatusOr<std::optional<std::size_t>> index = named(list.index(value));
    ATOLL_CHECK(count.ok() == (lost == 0)) << count.status();
    ATOLL_CHECK(!count.ok() || !index.ok() || (*count > 0) == index->has_value());
  }
  if (last.has_value() && lost == 0 && *last == *last) {  // no NaN
    const absl::StatusOr<std::size_t> count = list.count(*last);
    ATOLL_CHECK(count.ok() && *count > 0) << *last;
  }
  const absl::StatusOr<std::vector<Value>> values = named(list.snapshot(absl::ZeroDuration()));
  ATOLL_CHECK(values.ok() == (lost == 0)) << values.status();
  ATOLL_CHECK(!values.ok() || values->size() == list.size());
  read_ranges<std::int64_t>(list);
  read_ranges<double>(list);
  named(list.format());
  ATOLL_CHECK(list.to_string().starts_with("List(["));
  const auto size = static_cast<std::ptrdiff_t>(list.size());
  for (const std::ptrdiff_t index : {std::ptrdiff_t{-1}, std::ptrdiff_t{0}, size - 1}) {
    named(list.counter(index));
    named(list.gauge(index));
    ATOLL_CHECK(list.at(index).ok() == (size > 0 && index < size)) << index;
  }
  ATOLL_CHECK(absl::IsOutOfRange(list.at(size).status()));
  ATOLL_CHECK(absl::IsOutOfRange(list.at(-size - 1).status()));
}

}  // namespace fuzz

#endif  // ATOLL_FUZZ_OPERATIONS_H_
