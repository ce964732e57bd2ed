// Values: what a slot can hold.
//
//   atoll::Value v = 42;                           // owns what it holds
//   v = "idle";
//   if (const auto* n = std::get_if<std::int64_t>(&v)) use(*n);
//
// `Value` owns; `ValueView` is the argument type of every operation that writes: it borrows text and
// bytes for the length of the call, so that no store allocates. Values are equal when they have the
// same type and the same contents: 1, 1.0 and true are three different values.
//
// Thread safety: as for any ordinary C++ object (none of these live in shared memory).

#ifndef ATOLL_VALUE_H_
#define ATOLL_VALUE_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include "absl/status/statusor.h"

namespace libatoll {

// The type of the value that a slot holds now.
enum class Type : std::uint8_t { kNone, kBool, kInt64, kDouble, kText, kBytes };

// "none", "bool", "int64", "double", "text" or "bytes".
std::string_view type_name(Type type);

// Bytes that somebody else owns.
class BytesView {
 public:
  constexpr BytesView() = default;
  BytesView(const void* data, std::size_t size) : view_(static_cast<const char*>(data), size) {}
  explicit BytesView(std::string_view data) : view_(data) {}
  BytesView(std::span<const std::byte> data) : BytesView(data.data(), data.size()) {}

  const char* data() const { return view_.data(); }
  std::size_t size() const { return view_.size(); }
  bool empty() const { return view_.empty(); }
  std::string_view as_string_view() const { return view_; }

  friend bool operator==(BytesView, BytesView) = default;

 private:
  std::string_view view_;
};

// A string of bytes that is not text.
class Bytes {
 public:
  Bytes() = default;
  Bytes(const void* data, std::size_t size) : data_(static_cast<const char*>(data), size) {}
  explicit Bytes(std::string data) : data_(std::move(data)) {}
  explicit Bytes(BytesView view) : data_(view.as_string_view()) {}

  const char* data() const { return data_.data(); }
  char* data() { return data_.data(); }
  std::size_t size() const { return data_.size(); }
  bool empty() const { return data_.empty(); }
  const std::string& as_string() const { return data_; }
  operator BytesView() const { return BytesView(data_.data(), data_.size()); }

  friend bool operator==(const Bytes&, const Bytes&) = default;

 private:
  std::string data_;
};

using Value = std::variant<std::monostate, bool, std::int64_t, double, std::string, Bytes>;

// Integers that int64 holds without loss. `unsigned long` is not one of them: cast it, so that the
// reader of your code sees who answers for the range. Characters are not numbers here.
template <typename T>
concept Int64Compatible =
    std::integral<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
    !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> && !std::same_as<T, char16_t> &&
    !std::same_as<T, char32_t> && (std::signed_integral<T> || sizeof(T) < sizeof(std::int64_t)) &&
    sizeof(T) <= sizeof(std::int64_t);

template <typename T>
concept DoubleCompatible = std::same_as<T, double> || std::same_as<T, float>;

// Anything viewable as a string: literals, std::string, std::string_view, absl::string_view.
template <typename T>
concept TextCompatible =
    !std::same_as<std::remove_cvref_t<T>, std::nullptr_t> &&
    (std::convertible_to<const T&, std::string_view> || requires(const T& text) {
      typename T::traits_type;
      { text.data() } -> std::same_as<const char*>;
      { text.size() } -> std::same_as<std::size_t>;
    });

// A value that somebody else owns: the argument of every operation that writes.
class ValueView {
 public:
  using Variant =
      std::variant<std::monostate, bool, std::int64_t, double, std::string_view, BytesView>;

  ValueView() = default;
  ValueView(std::nullptr_t) {}
  ValueView(std::monostate) {}
  template <std::same_as<bool> T>
  ValueView(T value) : variant_(value) {}
  template <Int64Compatible T>
  ValueView(T value) : variant_(static_cast<std::int64_t>(value)) {}
  template <DoubleCompatible T>
  ValueView(T value) : variant_(static_cast<double>(value)) {}
  template <TextCompatible T>
  ValueView(const T& text) : variant_(view_of(text)) {}
  ValueView(BytesView bytes) : variant_(bytes) {}
  ValueView(const Bytes& bytes) : variant_(BytesView(bytes)) {}
  // A template, so that nothing is converted to a Value on the way here.
  template <std::same_as<Value> T>
  ValueView(const T& value) : variant_(view_of_value(value)) {}

  Type type() const { return static_cast<Type>(variant_.index()); }
  const Variant& variant() const { return variant_; }

  // The bytes of text or bytes; nothing for the other types.
  std::string_view contents() const;

  friend bool operator==(const ValueView&, const ValueView&) = default;

 private:
  static Variant view_of_value(const Value& value);
  template <typename T>
  static std::string_view view_of(const T& text) {
    if constexpr (std::convertible_to<const T&, std::string_view>) {
      return text;
    } else {
      return std::string_view(text.data(), text.size());
    }
  }

  Variant variant_;
};

Type type_of(const Value& value);
Value to_value(const ValueView& view);

// A literal for people: 1, -2.5, true, none, "text" with C escapes, 0x:00ff for bytes. Numbers read
// back to the same value; a double always shows a point, an exponent, `inf` or `nan`. It is UTF-8 on one
// line, and moves no cursor, whatever the text: what does not print is escaped.
std::string to_string(const ValueView& value);

// The value of a literal; the inverse of `to_string`, and a little more: what is none of the above is
// text without quotes. InvalidArgument for an integer beyond int64, a quote that does not end, an
// unknown escape, or an odd or wrong hex digit.
absl::StatusOr<Value> parse_value(std::string_view literal);

std::ostream& operator<<(std::ostream& out, const ValueView& value);
std::ostream& operator<<(std::ostream& out, const Value& value);
std::ostream& operator<<(std::ostream& out, const Bytes& bytes);
std::ostream& operator<<(std::ostream& out, Type type);

}  // namespace libatoll

#endif  // ATOLL_VALUE_H_
