// What a slot does when one operation comes after the other: the model that histories of concurrent
// operations are held against. Written from the public headers, not from the code.
//
// Longer text stands for itself by a hash of 64 bits: values that differ by accident and hash alike do
// not occur in the lifetime of a test. Everything here is plain data, so that it can be recorded in
// memory that processes share.

#ifndef ATOLL_TESTS_SLOT_MODEL_H_
#define ATOLL_TESTS_SLOT_MODEL_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ios>
#include <ostream>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atoll/atoll.h"
#include "atoll/detail/header_word.h"

#include "process.h"

namespace slot_model {

using libatoll::Type;
using libatoll::Value;
using libatoll::ValueView;
using Code = absl::StatusCode;

// ---- Values -------------------------------------------------------------------------------------

inline constexpr std::size_t kShort = 8;  // text of up to so many bytes fits every versioned slot

struct Datum {
  Type type = Type::kNone;
  std::uint32_t length = 0;  // of text and bytes
  std::uint64_t bits = 0;    // the number's, or the short text's, or a hash

  bool is_long() const { return length > kShort; }
  std::int64_t int64() const { return static_cast<std::int64_t>(bits); }
  double real() const { return std::bit_cast<double>(bits); }
  friend bool operator==(const Datum&, const Datum&) = default;
};

inline Datum datum_of(std::int64_t number) {
  return {.type = Type::kInt64, .bits = static_cast<std::uint64_t>(number)};
}
inline Datum datum_of(double number) {
  return {.type = Type::kDouble, .bits = std::bit_cast<std::uint64_t>(number)};
}
inline Datum datum_of(const ValueView& value) {
  switch (value.type()) {
    case Type::kNone:
      return {};
    case Type::kBool:
      return {.type = Type::kBool, .bits = std::get<bool>(value.variant()) ? 1U : 0U};
    case Type::kInt64:
      return datum_of(std::get<std::int64_t>(value.variant()));
    case Type::kDouble:
      return datum_of(std::get<double>(value.variant()));
    case Type::kText:
    case Type::kBytes:
      break;
  }
  const std::string_view text = value.contents();
  Datum datum = {.type = value.type(), .length = static_cast<std::uint32_t>(text.size())};
  std::uint64_t hash = text.size();
  for (std::size_t done = 0; done < text.size(); done += sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + done, std::min(sizeof(word), text.size() - done));
    datum.bits = word;
    hash = process::mix(hash * 0x9e37'79b9'7f4a'7c15 ^ word);
  }
  if (datum.is_long()) {
    datum.bits = hash;
  }
  return datum;
}

inline std::ostream& operator<<(std::ostream& out, const Datum& datum) {
  switch (datum.type) {
    case Type::kNone:
      return out << "none";
    case Type::kBool:
      return out << (datum.bits == 1 ? "true" : "false");
    case Type::kInt64:
      return out << datum.int64();
    case Type::kDouble:
      return out << ValueView(datum.real());
    case Type::kText:
    case Type::kBytes:
      break;
  }
  return out << datum.type << '[' << datum.length << "]#" << std::hex << datum.bits << std::dec;
}

// What a stamp tells of the slot: all, but for the contents of longer text.
struct Mark {
  std::uint64_t version = 0;
  Datum value = {};
  friend bool operator==(const Mark&, const Mark&) = default;
};

inline Mark mark_of(std::uint64_t version, Datum value) {
  if (value.is_long()) {
    value.bits = 0;
  }
  return {version, value};
}

inline Mark mark_of(const libatoll::Stamp& stamp) {
  using libatoll::detail::Tag;
  using libatoll::detail::Word;
  static_assert(std::is_trivially_copyable_v<libatoll::Stamp>);
  const auto word = std::bit_cast<Word>(stamp);
  Datum value = {.bits = word.payload};
  switch (word.tag()) {
    case Tag::kNone:
      break;
    case Tag::kBool:
      value.type = Type::kBool;
      break;
    case Tag::kInt64:
    case Tag::kPinnedInt64:
      value.type = Type::kInt64;
      break;
    case Tag::kDouble:
    case Tag::kPinnedDouble:
      value.type = Type::kDouble;
      break;
    case Tag::kInlineText:
    case Tag::kInlineBytes:
      value.type = word.tag() == Tag::kInlineText ? Type::kText : Type::kBytes;
      value.length = word.inline_length();
      break;
    case Tag::kLongText:
    case Tag::kLongBytes:
      value = {.type = word.tag() == Tag::kLongText ? Type::kText : Type::kBytes,
               .length = static_cast<std::uint32_t>(word.long_length())};
      break;
  }
  return {word.version(), value};
}

inline std::ostream& operator<<(std::ostream& out, const Mark& mark) {
  return out << mark.value << " (version " << mark.version << ')';
}

// ---- Operations ---------------------------------------------------------------------------------

enum class Kind : std::uint8_t {
  kLoad,
  kLoadAs,    // load<T>, or load_range; `type` is T
  kLoadInto,  // `room` bytes
  kLoadStamped,
  kStamp,
  kType,
  kVersion,
  kWait,  // until the slot differs from `mark`, for a moment
  kStore,
  kExchange,
  kCompareExchange,
  kCompareExchangeStamp,
  kFetchAdd,  // this and the next ones: of the type of `desired`
  kFetchSub,
  kFetchAnd,
  kFetchOr,
  kFetchXor,
  kFetchMin,
  kFetchMax,
  kUpdate,    // by `updated`
  kSnapshot,  // of several slots
};
inline constexpr std::size_t kKinds = static_cast<std::size_t>(Kind::kSnapshot) + 1;

inline const char* name_of(Kind kind) {
  constexpr std::array<const char*, kKinds> kNames = {
      "load",      "load<T>",   "load_into", "load_stamped", "stamp",     "type",
      "version",   "wait",      "store",     "exchange",     "cmpxchg",   "cmpxchg/stamp",
      "fetch_add", "fetch_sub", "fetch_and", "fetch_or",     "fetch_xor", "fetch_min",
      "fetch_max", "update",    "snapshot"};
  return kNames[static_cast<std::size_t>(kind)];
}

// The call itself, which is one of kFetchAdd to kFetchMax, by a Slot, a Counter or a Gauge.
template <typename Target>
absl::StatusOr<std::int64_t> fetch_int64(const Target& target, Kind kind, std::int64_t operand) {
  switch (kind) {
    case Kind::kFetchAdd:
      return target.fetch_add(operand);
    case Kind::kFetchSub:
      return target.fetch_sub(operand);
    case Kind::kFetchAnd:
      return target.fetch_and(operand);
    case Kind::kFetchOr:
      return target.fetch_or(operand);
    case Kind::kFetchXor:
      return target.fetch_xor(operand);
    case Kind::kFetchMin:
      return target.fetch_min(operand);
    default:
      return target.fetch_max(operand);
  }
}
template <typename Target>
absl::StatusOr<double> fetch_double(const Target& target, Kind kind, double operand) {
  switch (kind) {
    case Kind::kFetchAdd:
      return target.fetch_add(operand);
    case Kind::kFetchSub:
      return target.fetch_sub(operand);
    case Kind::kFetchMin:
      return target.fetch_min(operand);
    default:
      return target.fetch_max(operand);
  }
}

inline constexpr std::size_t kSlotsMax = 3;  // of a history

struct Call {
  Kind kind = Kind::kLoad;
  std::uint8_t slot = 0;
  Type type = Type::kNone;
  std::uint32_t room = 0;
  Datum desired = {};  // or the operand
  Datum expected = {};
  Mark mark = {};
};

inline std::ostream& operator<<(std::ostream& out, const Call& call) {
  out << "slot " << int{call.slot} << ": " << name_of(call.kind);
  switch (call.kind) {
    case Kind::kLoad:
    case Kind::kLoadStamped:
    case Kind::kStamp:
    case Kind::kType:
    case Kind::kVersion:
    case Kind::kUpdate:
    case Kind::kSnapshot:
      return out << "()";
    case Kind::kLoadAs:
      return out << '(' << call.type << ')';
    case Kind::kLoadInto:
      return out << "(room for " << call.room << ')';
    case Kind::kWait:
      return out << '(' << call.mark << ')';
    case Kind::kCompareExchange:
      return out << '(' << call.expected << ", " << call.desired << ')';
    case Kind::kCompareExchangeStamp:
      return out << '(' << call.mark << ", " << call.desired << ')';
    default:
      return out << '(' << call.desired << ')';
  }
}

struct Response {
  Code code = Code::kOk;
  bool swapped = false;
  Datum value = {};  // of a wrong type: its type alone
  Mark mark = {};
  std::array<Datum, kSlotsMax> all = {};  // of a snapshot
  friend bool operator==(const Response&, const Response&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const Response& response) {
  if (response.code != Code::kOk) {
    out << absl::StatusCodeToString(response.code);
    if (response.value != Datum()) {
      out << " (found " << response.value.type << ')';
    }
    return out;
  }
  if (response.swapped) {
    out << "swapped ";
  }
  out << response.value;
  if (response.mark != Mark()) {
    out << ", " << response.mark;
  }
  if (response.all != decltype(response.all)()) {
    out << " of";
    for (const Datum& datum : response.all) {
      out << ' ' << datum;
    }
  }
  return out;
}

// What the library answered.
inline Response failed(const absl::Status& status) {
  Response response = {.code = status.code()};
  // "slot 0 of ...: fetch_add needs int64, found text"
  const std::string_view message(status.message().data(), status.message().size());
  constexpr std::string_view kFound = ", found ";
  if (const std::size_t found = message.rfind(kFound); found != message.npos) {
    for (int type = 0; type <= static_cast<int>(Type::kBytes); ++type) {
      if (message.substr(found + kFound.size()) == type_name(static_cast<Type>(type))) {
        response.value.type = static_cast<Type>(type);
      }
    }
  }
  return response;
}
template <typename T>
Response response_of(const absl::StatusOr<T>& result) {
  return result.ok() ? Response{.value = datum_of(libatoll::ValueView(*result))}
                     : failed(result.status());
}
inline Response response_of(const absl::Status& status) {
  return status.ok() ? Response() : failed(status);
}
inline Response response_of(const absl::StatusOr<bool>& swapped) {
  return swapped.ok() ? Response{.swapped = *swapped} : failed(swapped.status());
}

// What `update` is given in these tests: a value of another type or length now and then, an error for
// `true`, and the same answer for the same value always.
inline absl::StatusOr<Value> updated(const Datum& seen) {
  switch (seen.type) {
    case Type::kNone:
      return Value(std::int64_t{1});
    case Type::kBool:
      if (seen.bits == 1) {
        return absl::CancelledError("true stays");
      }
      return Value(0.5);
    case Type::kInt64:
      return Value(static_cast<std::int64_t>(seen.bits * 3 + 1));
    case Type::kDouble:
      return Value(seen.real() + 0.25);
    case Type::kText:
    case Type::kBytes:
      break;
  }
  const std::uint64_t random = process::mix(seen.bits + seen.length);
  std::string text = process::make_text(0xff, static_cast<std::uint32_t>(random) & 0xff'ffff,
                                        (seen.length + random % 8) % 40);
  return seen.type == Type::kText ? Value(std::move(text))
                                  : Value(libatoll::Bytes(std::move(text)));
}

// ---- One slot -----------------------------------------------------------------------------------

struct SlotState {
  Datum value = {};
  std::uint64_t version = 0;

  std::uint64_t hash() const {
    return process::mix(value.bits + version * 0x9e37'79b9'7f4a'7c15 +
                        static_cast<std::uint64_t>(value.type) * 0x1'0000 + value.length);
  }
  friend bool operator==(const SlotState&, const SlotState&) = default;
};

inline std::ostream& operator<<(std::ostream& out, const SlotState& state) {
  return out << mark_of(state.version, state.value);
}

struct SlotModel {
  using State = SlotState;
  using Call = slot_model::Call;
  using Response = slot_model::Response;

  bool pinned = false;
  Type pinned_type = Type::kNone;
  std::size_t capacity = kShort;

  Response apply(State& state, const Call& call) const {
    Response response;
    switch (call.kind) {
      case Kind::kLoad:
        response.value = state.value;
        break;
      case Kind::kLoadAs:
        response =
            state.value.type == call.type ? Response{.value = state.value} : wrong_type(state);
        break;
      case Kind::kLoadInto:
        if (state.value.type != Type::kText && state.value.type != Type::kBytes) {
          response = wrong_type(state);
        } else if (state.value.length > call.room) {
          response.code = Code::kResourceExhausted;
        } else {
          response.value = state.value;
          response.value.type = Type::kText;  // the bytes come without it
        }
        break;
      case Kind::kLoadStamped:
        response.value = state.value;
        response.mark = mark(state);
        break;
      case Kind::kStamp:
        response.mark = mark(state);
        break;
      case Kind::kType:
        response.value.type = state.value.type;
        break;
      case Kind::kVersion:
        response.mark.version = state.version;
        break;
      case Kind::kWait:
        if (mark(state) == call.mark) {
          response.code = Code::kDeadlineExceeded;
        } else {
          response.mark = mark(state);
        }
        break;
      case Kind::kStore:
        response.code = write(state, call.desired);
        break;
      case Kind::kExchange: {
        const Datum previous = state.value;
        response.code = write(state, call.desired);
        if (response.code == Code::kOk) {
          response.value = previous;
        }
        break;
      }
      case Kind::kCompareExchange:
        response.code = storable(call.desired);
        if (response.code == Code::kOk && state.value == call.expected) {
          write(state, call.desired);
          response.swapped = true;
        }
        break;
      case Kind::kCompareExchangeStamp:
        response.code = storable(call.desired);
        if (response.code == Code::kOk) {
          if (mark(state) == call.mark) {
            write(state, call.desired);
            response.swapped = true;
          }
          response.mark = mark(state);
        }
        break;
      case Kind::kUpdate: {
        const absl::StatusOr<Value> desired = updated(state.value);
        response.code = desired.ok() ? write(state, datum_of(*desired)) : desired.status().code();
        if (response.code == Code::kOk) {
          response.value = state.value;
        }
        break;
      }
      case Kind::kSnapshot:
        break;
      default:
        if (state.value.type != call.desired.type) {
          response = wrong_type(state);
        } else {
          response.value = state.value;
          write(state, fetched(call.kind, state.value, call.desired));
        }
        break;
    }
    return response;
  }

 private:
  static Response wrong_type(const State& state) {
    return {.code = Code::kFailedPrecondition, .value = {.type = state.value.type}};
  }
  static Mark mark(const State& state) { return mark_of(state.version, state.value); }

  Code storable(const Datum& desired) const {
    if (pinned) {
      return desired.type == pinned_type ? Code::kOk : Code::kFailedPrecondition;
    }
    return desired.length > std::max(capacity, kShort) ? Code::kResourceExhausted : Code::kOk;
  }
  Code write(State& state, const Datum& desired) const {
    const Code code = storable(desired);
    if (code == Code::kOk) {
      state.value = desired;
      state.version += pinned ? 0 : 1;
    }
    return code;
  }

  static Datum fetched(Kind kind, const Datum& seen, const Datum& operand) {
    if (seen.type == Type::kDouble) {
      const double a = seen.real();
      const double b = operand.real();
      return datum_of(kind == Kind::kFetchAdd   ? a + b
                      : kind == Kind::kFetchSub ? a - b
                      : kind == Kind::kFetchMin ? std::fmin(a, b)
                                                : std::fmax(a, b));
    }
    switch (kind) {
      case Kind::kFetchAdd:
        return {.type = Type::kInt64, .bits = seen.bits + operand.bits};
      case Kind::kFetchSub:
        return {.type = Type::kInt64, .bits = seen.bits - operand.bits};
      case Kind::kFetchAnd:
        return {.type = Type::kInt64, .bits = seen.bits & operand.bits};
      case Kind::kFetchOr:
        return {.type = Type::kInt64, .bits = seen.bits | operand.bits};
      case Kind::kFetchXor:
        return {.type = Type::kInt64, .bits = seen.bits ^ operand.bits};
      case Kind::kFetchMin:
        return datum_of(std::min(seen.int64(), operand.int64()));
      default:
        return datum_of(std::max(seen.int64(), operand.int64()));
    }
  }
};

// ---- Several slots ------------------------------------------------------------------------------

// For histories with snapshots, which are not the business of one slot.
struct ListModel {
  struct State {
    std::array<SlotState, kSlotsMax> slots = {};

    std::uint64_t hash() const {
      std::uint64_t hash = 0;
      for (const SlotState& slot : slots) {
        hash = process::mix(hash + slot.hash());
      }
      return hash;
    }
    friend bool operator==(const State&, const State&) = default;
    friend std::ostream& operator<<(std::ostream& out, const State& state) {
      for (const SlotState& slot : state.slots) {
        out << '[' << slot << ']';
      }
      return out;
    }
  };
  using Call = slot_model::Call;
  using Response = slot_model::Response;

  std::array<SlotModel, kSlotsMax> slots = {};

  Response apply(State& state, const Call& call) const {
    if (call.kind != Kind::kSnapshot) {
      return slots[call.slot].apply(state.slots[call.slot], call);
    }
    Response response;
    for (std::size_t i = 0; i < kSlotsMax; ++i) {
      response.all[i] = state.slots[i].value;
    }
    return response;
  }
};

}  // namespace slot_model

#endif  // ATOLL_TESTS_SLOT_MODEL_H_
