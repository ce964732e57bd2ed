#include "escape.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_format.h"

namespace libatoll::detail {
namespace {

// Neither a control character nor one that reorders the line around it.
bool prints(char32_t code) {
  return code >= 0x20 && (code < 0x7f || code >= 0xa0) && code != 0x061c &&
         (code < 0x200e || code > 0x200f) && (code < 0x2028 || code > 0x202e) &&
         (code < 0x2066 || code > 0x2069);
}

void escape_byte(char byte, std::string& out) {
  switch (byte) {
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      absl::StrAppendFormat(&out, "\\x%02x", static_cast<unsigned char>(byte));
  }
}

}  // namespace

Character first_character(std::string_view text) {
  const auto byte = [text](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return {lead, 1};
  }
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x1'0000};
  char32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return {};
    }
    code = code << 6 | (byte(i) & 0x3f);
  }
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  if (lead < 0xc0 || lead > 0xf4 || code < kLeast[length] || code > 0x10'ffff || is_surrogate) {
    return {};
  }
  return {code, length};
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = first_character(text).length;
    if (length == 0) {
      return false;
    }
    text.remove_prefix(length);
  }
  return true;
}

std::string escaped(std::string_view text, std::string_view with_backslash) {
  std::string out;
  bool after_hex = false;  // there, a hex digit would be read as one more
  while (!text.empty()) {
    const auto [code, length] = first_character(text);
    const std::string_view bytes = text.substr(0, length == 0 ? 1 : length);
    text.remove_prefix(bytes.size());
    const bool is_digit =
        after_hex && absl::ascii_isxdigit(static_cast<unsigned char>(bytes.front()));
    if (length != 0 && prints(code) && !is_digit) {
      if (with_backslash.find(bytes) != with_backslash.npos) {
        out += '\\';
      }
      out += bytes;
      after_hex = false;
      continue;
    }
    for (const char byte : bytes) {
      escape_byte(byte, out);
    }
    after_hex = out[out.size() - 2] != '\\';
  }
  return out;
}

}  // namespace libatoll::detail
