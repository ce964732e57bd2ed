#include "atoll/slot.h"

#include <algorithm>
#include <cstring>
#include <ostream>
#include <utility>

#include "absl/strings/str_format.h"

#include "layout.h"
#include "shared_copy.h"
#include "text_buffers.h"

namespace libatoll {

using detail::find_buffers;
using detail::Header;
using detail::SlotBuffers;
using detail::StagedText;
using detail::Tag;
using detail::View;
using detail::Word;

namespace {

std::string label_of(const View& view, const Header* header) {
  return absl::StrFormat("slot %d of %s", view.index_of(header), view.label());
}

// ---- Errors: each builds its message only when it happens ---------------------------------------

absl::Status impossible(const View& view, const Header* header, const Word& seen) {
  return absl::DataLossError(
      absl::StrFormat("%s has impossible bytes: payload %#018x, meta %#018x; something other than "
                      "atoll has written "
                      "to the segment",
                      label_of(view, header), seen.payload, seen.meta));
}

absl::Status impossible_descriptor(const View& view, const Header* header) {
  return absl::DataLossError(
      absl::StrFormat("%s has an impossible capacity or buffers outside the segment; something "
                      "other than atoll has written to it",
                      label_of(view, header)));
}

absl::Status too_long(const View& view, const Header* header, std::size_t length,
                      std::uint64_t capacity) {
  return absl::ResourceExhaustedError(absl::StrFormat("%s holds up to %d bytes, the value has %d",
                                                      label_of(view, header), capacity, length));
}

absl::Status pinned_to(const View& view, const Header* header, Tag tag, Type found) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s is pinned to %s, the value is %s", label_of(view, header),
      type_name(tag == Tag::kPinnedInt64 ? Type::kInt64 : Type::kDouble), type_name(found)));
}

absl::Status not_staged(const View& view, const Header* header, detail::StageResult result) {
  if (result == detail::StageResult::kDeadline) {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s: other live writers held all of its buffers for %s",
                        label_of(view, header), absl::FormatDuration(view.claim_timeout)));
  }
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s: after fork, this process could not open the list's file anew through /proc/self/fd, so "
      "it cannot store text longer than 8 bytes; attach again",
      label_of(view, header)));
}

// ---- Headers and values -------------------------------------------------------------------------

// False for a tag that is none.
bool type_of_tag(Tag tag, Type& type) {
  switch (tag) {
    case Tag::kNone:
      type = Type::kNone;
      return true;
    case Tag::kBool:
      type = Type::kBool;
      return true;
    case Tag::kInt64:
    case Tag::kPinnedInt64:
      type = Type::kInt64;
      return true;
    case Tag::kDouble:
    case Tag::kPinnedDouble:
      type = Type::kDouble;
      return true;
    case Tag::kInlineText:
    case Tag::kLongText:
      type = Type::kText;
      return true;
    case Tag::kInlineBytes:
    case Tag::kLongBytes:
      type = Type::kBytes;
      return true;
  }
  return false;
}

// Whether a write could have left that header; longer text apart, which `buffers_of` judges. Every
// value has one form: the bits that its type has no use for are 0. So values are compared as headers.
bool is_possible(const Word& seen) {
  const std::uint32_t length = seen.inline_length();
  switch (seen.tag()) {
    case Tag::kNone:
      return length == 0 && seen.payload == 0;
    case Tag::kBool:
      return length == 0 && seen.payload <= 1;
    case Tag::kInt64:
    case Tag::kPinnedInt64:
    case Tag::kDouble:
    case Tag::kPinnedDouble:
      return length == 0;
    case Tag::kInlineText:
    case Tag::kInlineBytes:
      return length == detail::kInlineTextMax ||
             (length < detail::kInlineTextMax && seen.payload >> 8 * length == 0);
    case Tag::kLongText:
    case Tag::kLongBytes:
      break;
  }
  return false;
}

bool is_pinned_tag(Tag tag) { return tag == Tag::kPinnedInt64 || tag == Tag::kPinnedDouble; }

// The value of a header, but for longer text. False for bytes that are impossible.
bool decode(const Word& seen, Value& value) {
  if (!is_possible(seen)) {
    return false;
  }
  switch (seen.tag()) {
    case Tag::kNone:
      value = std::monostate();
      return true;
    case Tag::kBool:
      value = seen.payload != 0;
      return true;
    case Tag::kInt64:
    case Tag::kPinnedInt64:
      value = detail::from_bits<std::int64_t>(seen.payload);
      return true;
    case Tag::kDouble:
    case Tag::kPinnedDouble:
      value = detail::from_bits<double>(seen.payload);
      return true;
    case Tag::kInlineText:
    case Tag::kInlineBytes: {
      std::string text(reinterpret_cast<const char*>(&seen.payload), seen.inline_length());
      if (seen.tag() == Tag::kInlineText) {
        value = std::move(text);
      } else {
        value = Bytes(std::move(text));
      }
      return true;
    }
    case Tag::kLongText:
    case Tag::kLongBytes:
      break;
  }
  return false;
}

// What a write puts into the header, and the text that goes into a buffer first, if it is longer.
struct Encoded {
  std::uint64_t payload = 0;
  Tag tag = Tag::kNone;
  std::uint32_t inline_length = 0;
  std::string_view text = {};

  bool is_long() const { return tag == Tag::kLongText || tag == Tag::kLongBytes; }
};

inline Encoded encode(const ValueView& value) {
  switch (value.type()) {
    case Type::kNone:
      break;
    case Type::kBool:
      return {.payload = std::get<bool>(value.variant()) ? 1U : 0U, .tag = Tag::kBool};
    case Type::kInt64:
      return {.payload = detail::to_bits(std::get<std::int64_t>(value.variant())),
              .tag = Tag::kInt64};
    case Type::kDouble:
      return {.payload = detail::to_bits(std::get<double>(value.variant())), .tag = Tag::kDouble};
    case Type::kText:
    case Type::kBytes: {
      const bool is_text = value.type() == Type::kText;
      const std::string_view text = value.contents();
      if (text.size() > detail::kInlineTextMax) {
        return {.tag = is_text ? Tag::kLongText : Tag::kLongBytes, .text = text};
      }
      Encoded encoded = {.tag = is_text ? Tag::kInlineText : Tag::kInlineBytes,
                         .inline_length = static_cast<std::uint32_t>(text.size())};
      if (!text.empty()) {
        std::memcpy(&encoded.payload, text.data(), text.size());
      }
      return encoded;
    }
  }
  return {.tag = Tag::kNone};
}

// Whether the header alone shows that the slot holds `expected`; longer text apart. Doubles are
// compared in their bits.
bool same_header(const Word& seen, const Encoded& expected) {
  Tag tag = seen.tag();
  if (tag == Tag::kPinnedInt64) {
    tag = Tag::kInt64;
  } else if (tag == Tag::kPinnedDouble) {
    tag = Tag::kDouble;
  }
  return tag == expected.tag && seen.payload == expected.payload &&
         seen.inline_length() == expected.inline_length;
}

// ---- Longer text --------------------------------------------------------------------------------

// The buffers that `seen`, which names longer text, is about; DataLoss if they cannot be.
absl::Status buffers_of(const View& view, const Header* header, const Word& seen,
                        SlotBuffers& buffers) {
  if (!find_buffers(view, view.index_of(header), buffers)) {
    return impossible_descriptor(view, header);
  }
  if (!detail::is_possible(seen, buffers)) {
    return impossible(view, header, seen);
  }
  return absl::OkStatus();
}

// Reads the longer text that `seen` names; false: the header has changed, look again.
absl::StatusOr<bool> read_long(const View& view, const Header* header, const Word& seen,
                               std::string& text) {
  SlotBuffers buffers;
  if (absl::Status status = buffers_of(view, header, seen, buffers); !status.ok()) {
    return status;
  }
  if (text.size() < seen.long_length()) {
    // Making room takes time, in which the text may change: a new look comes after it, so that
    // nothing but the copy lies between the look and its check.
    text.resize(seen.long_length());
    return false;
  }
  const auto copy = [&text](const std::byte* shared, std::size_t length) {
    detail::copy_from_shared(text.data(), shared, length);
  };
  if (!detail::read_text(*header, seen, buffers, copy)) {
    return false;
  }
  text.resize(seen.long_length());
  return true;
}

// The value, and in `seen` the header that it belongs to.
absl::StatusOr<Value> load_value(const View& view, const Header* header, Word& seen) {
  std::string text;
  for (;;) {
    seen = detail::read(*header);
    if (!seen.is_long()) {
      Value value;
      if (!decode(seen, value)) {
        return impossible(view, header, seen);
      }
      return value;
    }
    const absl::StatusOr<bool> whole = read_long(view, header, seen, text);
    if (!whole.ok()) {
      return whole.status();
    }
    if (*whole) {
      return seen.tag() == Tag::kLongText ? Value(std::move(text)) : Value(Bytes(std::move(text)));
    }
  }
}

enum class Match { kEqual, kDifferent, kChanged };

// Whether the slot, whose header was just `seen`, holds `expected`.
absl::StatusOr<Match> match(const View& view, const Header* header, const Word& seen,
                            const Encoded& expected) {
  if (!seen.is_long()) {
    if (same_header(seen, expected)) {
      return Match::kEqual;
    }
    if (!is_possible(seen)) {
      return impossible(view, header, seen);
    }
    return Match::kDifferent;
  }
  SlotBuffers buffers;
  if (absl::Status status = buffers_of(view, header, seen, buffers); !status.ok()) {
    return status;
  }
  if (seen.tag() != expected.tag || seen.long_length() != expected.text.size()) {
    return Match::kDifferent;
  }
  bool equal = false;
  const auto compare = [&](const std::byte* shared, std::size_t) {
    equal = detail::equals_shared(shared, expected.text);
  };
  if (!detail::read_text(*header, seen, buffers, compare)) {
    return Match::kChanged;
  }
  return equal ? Match::kEqual : Match::kDifferent;
}

// A write to a versioned slot: checks that the value fits, copies longer text once, and swaps the
// header as often as it takes.
class Write {
 public:
  Write(const View& view, Header* header, const ValueView& desired)
      : view_(view), header_(header), encoded_(encode(desired)) {}

  // Nothing has happened yet: the value fits, and the slot, whose header was just `seen`, is a versioned
  // one. What it holds does not matter: a store mends it.
  absl::Status check(const Word& seen) {
    Type type;
    if (!type_of_tag(seen.tag(), type) || is_pinned_tag(seen.tag())) {
      return impossible(view_, header_, seen);
    }
    if (!encoded_.is_long()) {
      return absl::OkStatus();
    }
    if (!find_buffers(view_, view_.index_of(header_), buffers_)) {
      return impossible_descriptor(view_, header_);
    }
    if (encoded_.text.size() > buffers_.capacity) {
      return too_long(view_, header_, encoded_.text.size(), buffers_.capacity);
    }
    return absl::OkStatus();
  }

  // Puts longer text into a buffer, if that has not happened.
  absl::Status stage() {
    if (!encoded_.is_long() || staged_.is_staged()) {
      return absl::OkStatus();
    }
    const detail::StageResult result =
        staged_.stage(*header_, buffers_, encoded_.text, *view_.participant, view_.claim_timeout);
    if (result != detail::StageResult::kStaged) {
      return not_staged(view_, header_, result);
    }
    encoded_.payload = staged_.payload();
    return absl::OkStatus();
  }

  // Makes the value current, whatever the header is by now; `seen` is what it was before.
  void swap(Word seen) {
    if (staged_.is_staged()) {
      seen = staged_.seen();
    }
    if (try_swap(seen)) [[likely]] {
      return;
    }
    while (!try_swap(seen)) {
    }
    // Somebody else writes here as fast as we do, and each of us waits for the lines that the other
    // one has. With nothing held, we leave him a turn; only one of us does, who else would take it?
    // Writers that take turns write odd and even versions.
    if (encoded_.is_long() && written_.version() % 2 != 0) {
      staged_.release();
      detail::leave_turn(encoded_.text.size());
    }
  }

  // Makes the value current where the header is `seen`; otherwise tells there what it is.
  bool try_swap(Word& seen) {
    written_ = detail::successor(seen, encoded_.payload, encoded_.tag, encoded_.inline_length);
    return detail::swap_in(*header_, seen, written_);
  }

  // The header that the last `try_swap` wrote, if it did.
  const Word& written() const { return written_; }

 private:
  const View& view_;
  Header* header_;
  Encoded encoded_;
  SlotBuffers buffers_;
  StagedText staged_;
  Word written_;
};

// ---- Pinned slots -------------------------------------------------------------------------------

// Calls `operation(value)` with the int64 or double that a slot pinned to that type may hold.
template <typename Operation>
absl::Status with_pinned(const View& view, const Header* header, Tag tag, const ValueView& desired,
                         Operation operation) {
  if (tag == Tag::kPinnedInt64 && desired.type() == Type::kInt64) {
    operation(std::get<std::int64_t>(desired.variant()));
    return absl::OkStatus();
  }
  if (tag == Tag::kPinnedDouble && desired.type() == Type::kDouble) {
    operation(std::get<double>(desired.variant()));
    return absl::OkStatus();
  }
  return pinned_to(view, header, tag, desired.type());
}

}  // namespace

// ---- Slot ---------------------------------------------------------------------------------------

absl::Status Slot::check_writable() const {
  if (view_->writable) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(absl::StrFormat(
      "%s is attached read-only; attach without read_only to write", label_of(*view_, header_)));
}

absl::Status Slot::check_storable(Type type) const {
  if (absl::Status status = check_writable(); !status.ok()) {
    return status;
  }
  const Word seen = detail::read(*header_);
  Type found;
  if (!type_of_tag(seen.tag(), found) || (is_pinned_tag(seen.tag()) && !is_possible(seen))) {
    return impossible(*view_, header_, seen);
  }
  if (seen.is_pinned() && found != type) {
    return pinned_to(*view_, header_, seen.tag(), type);
  }
  return absl::OkStatus();
}

absl::Status Slot::wrong_type(const char* operation, Type expected, Word seen) const {
  Type found;
  if (!type_of_tag(seen.tag(), found) || found == expected) {
    return impossible(*view_, header_, seen);
  }
  return absl::FailedPreconditionError(absl::StrFormat("%s: %s needs %s, found %s",
                                                       label_of(*view_, header_), operation,
                                                       type_name(expected), type_name(found)));
}

absl::StatusOr<Value> Slot::load() const {
  Word seen;
  return load_value(*view_, header_, seen);
}

absl::StatusOr<std::string> Slot::load_text(Type type) const {
  const Tag inline_tag = type == Type::kText ? Tag::kInlineText : Tag::kInlineBytes;
  const Tag long_tag = type == Type::kText ? Tag::kLongText : Tag::kLongBytes;
  std::string text;
  for (;;) {
    const Word seen = detail::read(*header_);
    if (seen.tag() == inline_tag && is_possible(seen)) {
      text.assign(reinterpret_cast<const char*>(&seen.payload), seen.inline_length());
      return text;
    }
    if (seen.tag() != long_tag) {
      return wrong_type(type == Type::kText ? "load<string>" : "load<Bytes>", type, seen);
    }
    const absl::StatusOr<bool> whole = read_long(*view_, header_, seen, text);
    if (!whole.ok()) {
      return whole.status();
    }
    if (*whole) {
      return text;
    }
  }
}

template <>
absl::StatusOr<std::string> Slot::load<std::string>() const {
  return load_text(Type::kText);
}

template <>
absl::StatusOr<Bytes> Slot::load<Bytes>() const {
  absl::StatusOr<std::string> bytes = load_text(Type::kBytes);
  if (!bytes.ok()) {
    return bytes.status();
  }
  return Bytes(*std::move(bytes));
}

absl::StatusOr<std::size_t> Slot::load_into(std::span<char> out) const {
  const auto copy = [&out](const std::byte* shared, std::size_t length) {
    detail::copy_from_shared(out.data(), shared, length);
  };
  for (;;) {
    const Word seen = detail::read(*header_);
    SlotBuffers buffers;
    if (!seen.is_long() || !find_buffers(*view_, index(), buffers) ||
        !detail::is_possible(seen, buffers) || seen.long_length() > out.size()) [[unlikely]] {
      return load_short_into(out, seen);
    }
    if (detail::read_text(*header_, seen, buffers, copy)) [[likely]] {
      return static_cast<std::size_t>(seen.long_length());
    }
  }
}

absl::StatusOr<std::size_t> Slot::load_short_into(std::span<char> out, Word seen) const {
  const auto too_small = [&](std::size_t length) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("%s holds %d bytes, the buffer to load them into has %d",
                        label_of(*view_, header_), length, out.size()));
  };
  if (seen.is_long()) {
    SlotBuffers buffers;
    if (absl::Status status = buffers_of(*view_, header_, seen, buffers); !status.ok()) {
      return status;
    }
    if (seen.long_length() > out.size()) {
      return too_small(seen.long_length());
    }
    return impossible_descriptor(*view_, header_);  // it was so a moment ago, and never changes
  }
  if (seen.tag() != Tag::kInlineText && seen.tag() != Tag::kInlineBytes) {
    return wrong_type("load_into", Type::kText, seen);
  }
  if (!is_possible(seen)) {
    return impossible(*view_, header_, seen);
  }
  const std::size_t length = seen.inline_length();
  if (length > out.size()) {
    return too_small(length);
  }
  std::copy_n(reinterpret_cast<const char*>(&seen.payload), length, out.data());
  return length;
}

absl::Status Slot::store(const ValueView& desired) const {
  if (!view_->writable) [[unlikely]] {
    return check_writable();
  }
  Word seen = detail::read(*header_);
  if (seen.is_pinned()) {
    return with_pinned(*view_, header_, seen.tag(), desired,
                       [this](auto value) { woken(detail::pinned_exchange(*header_, value)); });
  }
  Write write(*view_, header_, desired);
  if (absl::Status status = write.check(seen); !status.ok()) {
    return status;
  }
  if (absl::Status status = write.stage(); !status.ok()) {
    return status;
  }
  write.swap(seen);
  return absl::OkStatus();
}

absl::StatusOr<Value> Slot::exchange(const ValueView& desired) const {
  if (absl::Status status = check_writable(); !status.ok()) {
    return status;
  }
  if (const Tag tag = detail::peek_tag(*header_); is_pinned_tag(tag)) {
    Value previous;
    absl::Status status = with_pinned(*view_, header_, tag, desired, [&](auto value) {
      previous = woken(detail::pinned_exchange(*header_, value));
    });
    if (!status.ok()) {
      return status;
    }
    return previous;
  }
  Word seen = detail::read(*header_);
  Write write(*view_, header_, desired);
  if (absl::Status status = write.check(seen); !status.ok()) {
    return status;
  }
  if (absl::Status status = write.stage(); !status.ok()) {
    return status;
  }
  for (;;) {
    absl::StatusOr<Value> previous = load_value(*view_, header_, seen);
    if (!previous.ok() || write.try_swap(seen)) {
      return previous;
    }
  }
}

absl::StatusOr<bool> Slot::compare_exchange(const ValueView& expected,
                                            const ValueView& desired) const {
  if (absl::Status status = check_writable(); !status.ok()) {
    return status;
  }
  if (const Tag tag = detail::peek_tag(*header_); is_pinned_tag(tag)) {
    bool swapped = false;
    absl::Status status = with_pinned(*view_, header_, tag, desired, [&](auto value) {
      if (const auto* number = std::get_if<decltype(value)>(&expected.variant())) {
        auto seen = *number;
        swapped = pinned_compare_exchange(seen, value);
      }
    });
    if (!status.ok()) {
      return status;
    }
    return swapped;
  }
  Write write(*view_, header_, desired);
  if (absl::Status status = write.check(detail::read(*header_)); !status.ok()) {
    return status;
  }
  const Encoded wanted = encode(expected);
  for (;;) {
    Word seen = detail::read(*header_);
    const absl::StatusOr<Match> found = match(*view_, header_, seen, wanted);
    if (!found.ok()) {
      return found.status();
    }
    if (*found == Match::kDifferent) {
      return false;
    }
    if (*found == Match::kChanged) {
      continue;
    }
    if (absl::Status status = write.stage(); !status.ok()) {
      return status;
    }
    if (write.try_swap(seen)) {
      return true;
    }
  }
}

absl::StatusOr<StampedValue> Slot::load_stamped() const {
  Word seen;
  absl::StatusOr<Value> value = load_value(*view_, header_, seen);
  if (!value.ok()) {
    return value.status();
  }
  return StampedValue{*std::move(value), Stamp(seen)};
}

absl::Status Slot::collect_any(Value& value, Word& seen) const {
  absl::StatusOr<Value> loaded = load_value(*view_, header_, seen);
  if (!loaded.ok()) {
    return loaded.status();
  }
  value = *std::move(loaded);
  return absl::OkStatus();
}

absl::StatusOr<bool> Slot::compare_exchange(Stamp& expected, const ValueView& desired) const {
  if (absl::Status status = check_writable(); !status.ok()) {
    return status;
  }
  if (const Tag tag = detail::peek_tag(*header_); is_pinned_tag(tag)) {
    bool swapped = false;
    absl::Status status = with_pinned(*view_, header_, tag, desired, [&](auto value) {
      auto seen = detail::from_bits<decltype(value)>(expected.word_.payload);
      swapped = pinned_compare_exchange(seen, value);
      expected.word_.payload = detail::to_bits(swapped ? value : seen);
    });
    if (!status.ok()) {
      return status;
    }
    return swapped;
  }
  Write write(*view_, header_, desired);
  if (absl::Status status = write.check(detail::read(*header_)); !status.ok()) {
    return status;
  }
  for (;;) {
    Word seen = detail::read(*header_);
    if (Stamp(seen) != expected) {
      expected = Stamp(seen);
      return false;
    }
    if (absl::Status status = write.stage(); !status.ok()) {
      return status;
    }
    // Lost to a waiter that sets his bit, or to a write: the next look tells which.
    if (write.try_swap(seen)) {
      expected = Stamp(write.written());
      return true;
    }
  }
}

absl::StatusOr<Value> Slot::update(absl::FunctionRef<absl::StatusOr<Value>(const Value&)> fn,
                                   std::uint64_t attempts_max) const {
  if (absl::Status status = check_writable(); !status.ok()) {
    return status;
  }
  for (std::uint64_t attempt = 0; attempt < attempts_max; ++attempt) {
    absl::StatusOr<StampedValue> seen = load_stamped();
    if (!seen.ok()) {
      return seen.status();
    }
    absl::StatusOr<Value> desired = fn(seen->value);
    if (!desired.ok()) {
      return desired.status();
    }
    const absl::StatusOr<bool> swapped = compare_exchange(seen->stamp, *desired);
    if (!swapped.ok()) {
      return swapped.status();
    }
    if (*swapped) {
      return desired;
    }
  }
  return absl::DeadlineExceededError(
      absl::StrFormat("%s: other writes came first in each of %d attempts to update it",
                      label_of(*view_, header_), attempts_max));
}

absl::StatusOr<bool> Slot::equals(const ValueView& value) const {
  const Encoded wanted = encode(value);
  for (;;) {
    const Word seen = detail::read(*header_);
    if (wanted.tag == Tag::kDouble && seen.is_double()) {
      return detail::from_bits<double>(seen.payload) == std::get<double>(value.variant());
    }
    const absl::StatusOr<Match> found = match(*view_, header_, seen, wanted);
    if (!found.ok()) {
      return found.status();
    }
    if (*found != Match::kChanged) {
      return *found == Match::kEqual;
    }
  }
}

absl::StatusOr<Type> Slot::type() const {
  const Word seen = detail::read(*header_);
  Type type;
  if (!type_of_tag(seen.tag(), type)) {
    return impossible(*view_, header_, seen);
  }
  return type;
}

bool Slot::is_pinned() const { return is_pinned_tag(detail::peek_tag(*header_)); }

absl::StatusOr<std::size_t> Slot::capacity() const {
  if (is_pinned()) {
    return std::size_t{0};
  }
  SlotBuffers buffers;
  if (!find_buffers(*view_, index(), buffers)) {
    return impossible_descriptor(*view_, header_);
  }
  return static_cast<std::size_t>(buffers.capacity);
}

std::uint64_t Slot::version() const { return detail::read(*header_).version(); }

std::ostream& operator<<(std::ostream& out, const Slot& slot) {
  const absl::StatusOr<Value> value = slot.load();
  return value.ok() ? out << *value : out << "<DataLoss>";
}

}  // namespace libatoll
