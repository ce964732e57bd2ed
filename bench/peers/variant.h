// What the peers with a lock protect: a variant as a slot is one, and room for its text behind it.

#ifndef ATOLL_BENCH_PEERS_VARIANT_H_
#define ATOLL_BENCH_PEERS_VARIANT_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <variant>

namespace bench {

// Text of that length lies in the room behind the variant.
struct TextLength {
  std::size_t bytes = 0;
};

using Variant = std::variant<std::monostate, bool, std::int64_t, double, TextLength>;

inline std::int64_t fetch_add(Variant& value, std::int64_t operand) {
  auto& number = std::get<std::int64_t>(value);
  const std::int64_t previous = number;
  number += operand;
  return previous;
}

inline void store_text(Variant& value, char* room, std::string_view text) {
  value = TextLength{text.size()};
  std::memcpy(room, text.data(), text.size());
}

inline std::size_t load_text(const Variant& value, const char* room, char* out) {
  const std::size_t bytes = std::get<TextLength>(value).bytes;
  std::memcpy(out, room, bytes);
  return bytes;
}

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_VARIANT_H_
