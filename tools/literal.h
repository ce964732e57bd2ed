// Text as people see it. What is printed is UTF-8 and moves no cursor: text in
// shared memory may come from anybody.

#ifndef ATOLL_TOOLS_LITERAL_H_
#define ATOLL_TOOLS_LITERAL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace tool {

// `text` with a C escape for whatever does not print.
std::string printable(std::string_view text);

// What a status says; Abseil's view of a string need not be the standard's.
std::string message_of(const absl::Status& status);

// The first `columns` characters, of which the last is "…" where more were cut.
std::string cut(const std::string& text, std::size_t columns);

}  // namespace tool

#endif  // ATOLL_TOOLS_LITERAL_H_
