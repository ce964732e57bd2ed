#include "literal.h"

#include "escape.h"

namespace tool {

std::string printable(std::string_view text) { return libatoll::detail::escaped(text, ""); }

std::string message_of(const absl::Status& status) { return std::string(status.message()); }

std::string cut(const std::string& text, std::size_t columns) {
  std::size_t shown = 0;
  std::size_t end = 0;
  for (std::size_t at = 0; at < text.size(); ++shown) {
    if (shown == columns) {
      return text.substr(0, end) + "…";
    }
    const std::size_t length =
        libatoll::detail::first_character(std::string_view(text).substr(at)).length;
    end = shown + 1 < columns ? at + length : end;
    at += length == 0 ? 1 : length;
  }
  return text;
}

}  // namespace tool
