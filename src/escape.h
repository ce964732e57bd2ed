// Text that anybody may have written, as it can be shown: UTF-8, on one line, and moving no cursor.

#ifndef ATOLL_SRC_ESCAPE_H_
#define ATOLL_SRC_ESCAPE_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace libatoll::detail {

// The character that `text` begins with, and how many bytes it takes; 0 where it is not UTF-8
// (Unicode 15, table 3-7: no surrogates, nothing longer than need be).
struct Character {
  char32_t code = 0;
  std::size_t length = 0;
};

Character first_character(std::string_view text);

bool is_utf8(std::string_view text);

// `text` with a C escape for whatever does not print: control characters, those that reorder the line
// around them, and what is not UTF-8. The characters of `with_backslash`, of one byte each, get a
// backslash; with "\"\\" the result stands between quotes, and absl::CUnescape gives the text back.
std::string escaped(std::string_view text, std::string_view with_backslash);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_ESCAPE_H_
