#include "atoll/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ostream>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "atoll/options.h"

#include "escape.h"

namespace libatoll {
namespace {

constexpr std::string_view kBytesPrefix = "0x:";

template <typename... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

std::string double_literal(double value) {
  if (std::isnan(value)) {
    return "nan";
  }
  std::array<char, 32> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  std::string literal(digits.data(), end);
  if (literal.find_first_of(".en") == literal.npos) {  // neither a point, an exponent nor "inf"
    literal += ".0";
  }
  return literal;
}

}  // namespace

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kNone:
      return "none";
    case Type::kBool:
      return "bool";
    case Type::kInt64:
      return "int64";
    case Type::kDouble:
      return "double";
    case Type::kText:
      return "text";
    case Type::kBytes:
      return "bytes";
  }
  return "unknown";
}

ValueView::Variant ValueView::view_of_value(const Value& value) {
  return std::visit(
      Overloaded{[](const std::string& text) -> Variant { return std::string_view(text); },
                 [](const Bytes& bytes) -> Variant { return BytesView(bytes); },
                 [](auto number) -> Variant { return number; }},
      value);
}

std::string_view ValueView::contents() const {
  if (const auto* text = std::get_if<std::string_view>(&variant_)) {
    return *text;
  }
  if (const auto* bytes = std::get_if<BytesView>(&variant_)) {
    return bytes->as_string_view();
  }
  return {};
}

Type type_of(const Value& value) { return static_cast<Type>(value.index()); }

Value to_value(const ValueView& view) {
  return std::visit(Overloaded{[](std::string_view text) -> Value { return std::string(text); },
                               [](BytesView bytes) -> Value { return Bytes(bytes); },
                               [](auto number) -> Value { return number; }},
                    view.variant());
}

std::string to_string(const ValueView& value) {
  return std::visit(
      Overloaded{[](std::monostate) -> std::string { return "none"; },
                 [](bool truth) -> std::string { return truth ? "true" : "false"; },
                 [](std::int64_t number) { return absl::StrCat(number); },
                 [](double number) { return double_literal(number); },
                 [](std::string_view text) {
                   return absl::StrCat("\"", detail::escaped(text, "\"\\"), "\"");
                 },
                 [](BytesView bytes) {
                   return absl::StrCat("0x:", absl::BytesToHexString({bytes.data(), bytes.size()}));
                 }},
      value.variant());
}

absl::StatusOr<Value> parse_value(std::string_view literal) {
  const auto bad = [literal](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrFormat("'%s' is not a value: %s", literal, why));
  };
  if (literal == "none") {
    return Value(std::monostate());
  }
  if (literal == "true" || literal == "false") {
    return Value(literal == "true");
  }
  if (literal.starts_with(kBytesPrefix)) {
    const std::string_view digits = literal.substr(kBytesPrefix.size());
    if (digits.size() % 2 != 0 ||
        !std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit)) {
      return bad("bytes are 0x: and pairs of hex digits");
    }
    return Value(Bytes(absl::HexStringToBytes({digits.data(), digits.size()})));
  }
  if (literal.starts_with('"')) {
    if (literal.size() < 2 || !literal.ends_with('"')) {
      return bad("its quote does not end");
    }
    const std::string_view escaped = literal.substr(1, literal.size() - 2);
    for (std::size_t i = 0; i < escaped.size(); ++i) {
      if (escaped[i] == '"') {
        return bad("a quote inside needs a backslash");
      }
      i += escaped[i] == '\\' ? 1 : 0;
    }
    std::string text;
    std::string error;
    if (!absl::CUnescape({escaped.data(), escaped.size()}, &text, &error)) {
      return bad(error);
    }
    return Value(std::move(text));
  }

  const char* const end = literal.data() + literal.size();
  std::int64_t integer = 0;
  if (const auto [rest, error] = std::from_chars(literal.data(), end, integer);
      !literal.empty() && rest == end) {
    if (error == std::errc::result_out_of_range) {
      return bad("it is beyond int64");
    }
    return Value(integer);
  }
  double number = 0;
  if (const auto [rest, error] = std::from_chars(literal.data(), end, number);
      !literal.empty() && rest == end) {
    if (error == std::errc::result_out_of_range) {
      return bad("it is beyond double");
    }
    return Value(number);
  }
  return Value(std::string(literal));
}

std::ostream& operator<<(std::ostream& out, const ValueView& value) {
  return out << to_string(value);
}
std::ostream& operator<<(std::ostream& out, const Value& value) {
  return out << to_string(ValueView(value));
}
std::ostream& operator<<(std::ostream& out, const Bytes& bytes) {
  return out << to_string(ValueView(bytes));
}
std::ostream& operator<<(std::ostream& out, Type type) { return out << type_name(type); }

Init with_capacity(Value initial, std::size_t capacity) {
  return Init(std::move(initial), capacity, false);
}

Init text(std::string_view initial, std::size_t capacity) {
  return with_capacity(std::string(initial), capacity);
}

Init bytes(BytesView initial, std::size_t capacity) {
  return with_capacity(Bytes(initial), capacity);
}

Init pinned_value(Value value) { return Init(std::move(value), std::nullopt, true); }

}  // namespace libatoll
