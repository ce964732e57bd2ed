// How values compare, and what their literals have to be.

#ifndef ATOLL_TESTS_VALUES_H_
#define ATOLL_TESTS_VALUES_H_

#include <bit>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "atoll/value.h"

#include "escape.h"

namespace libatoll::test {

// The same type and contents; doubles in their bits, since some compare equal that are not the same.
inline bool same(const Value& a, const Value& b) {
  const auto* const x = std::get_if<double>(&a);
  const auto* const y = std::get_if<double>(&b);
  return x != nullptr && y != nullptr
             ? std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(*y)
             : a == b;
}

// The same as far as a literal tells: one NaN is as good as another.
inline bool reads_the_same(const Value& a, const Value& b) {
  const auto* const x = std::get_if<double>(&a);
  const auto* const y = std::get_if<double>(&b);
  return (x != nullptr && y != nullptr && std::isnan(*x) && std::isnan(*y)) || same(a, b);
}

// Whether it is UTF-8 without control characters, of one byte or of two.
inline bool prints(std::string_view literal) {
  while (!literal.empty()) {
    const auto [code, length] = detail::first_character(literal);
    if (length == 0 || code < 0x20 || (code >= 0x7f && code <= 0x9f)) {
      return false;
    }
    literal.remove_prefix(length);
  }
  return true;
}

}  // namespace libatoll::test

#endif  // ATOLL_TESTS_VALUES_H_
