#include "atoll/value.h"

#include <array>
#include <charconv>
#include <cmath>
#include <ostream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "atoll/options.h"

namespace libatoll {
namespace {

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

ValueView::ValueView(const Value& value)
    : variant_(std::visit(
          Overloaded{[](const std::string& text) -> Variant { return std::string_view(text); },
                     [](const Bytes& bytes) -> Variant { return BytesView(bytes); },
                     [](auto number) -> Variant { return number; }},
          value)) {}

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
      Overloaded{
          [](std::monostate) -> std::string { return "none"; },
          [](bool truth) -> std::string { return truth ? "true" : "false"; },
          [](std::int64_t number) { return absl::StrCat(number); },
          [](double number) { return double_literal(number); },
          [](std::string_view text) {
            return absl::StrCat("\"", absl::Utf8SafeCHexEscape({text.data(), text.size()}), "\"");
          },
          [](BytesView bytes) {
            return absl::StrCat("0x:", absl::BytesToHexString({bytes.data(), bytes.size()}));
          }},
      value.variant());
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

Init text(std::string_view initial, std::size_t capacity) {
  return Init(Value(std::string(initial)), capacity, false);
}

Init bytes(BytesView initial, std::size_t capacity) {
  return Init(Value(Bytes(initial)), capacity, false);
}

Init pinned_value(Value value) { return Init(std::move(value), std::nullopt, true); }

}  // namespace libatoll
