// The command line. Flags are Abseil's, typed and with their help; what is a flag and what is a word is
// decided here, because absl::ParseCommandLine takes -2.5 for a flag, knows no commands, and ends the
// program with 1 where it was called wrongly.
//
// A flag is `--name`, `--name=value`, `--name value` or, of a bool, `--noname`, before or behind the
// words; `--` ends the flags. What begins with a dash and looks like a number is a word.

#ifndef ATOLL_TOOLS_COMMAND_LINE_H_
#define ATOLL_TOOLS_COMMAND_LINE_H_

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "command.h"

ABSL_DECLARE_FLAG(bool, help);

namespace tool {

// An error of the caller's: the program ends with 2.
absl::Status usage_error(std::string_view message);
bool is_usage_error(const absl::Status& status);

// Sets the flags of `command`, and returns the words.
absl::StatusOr<Words> parse(const Command& command, std::span<char* const> arguments);

std::string help_of(const Command& command);
std::string help_of_all();

}  // namespace tool

#endif  // ATOLL_TOOLS_COMMAND_LINE_H_
