// atoll: looks at, changes and cleans up lists. Finds the command, runs it, and tells how it went.

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"

#include "command.h"
#include "command_line.h"
#include "json.h"
#include "literal.h"

namespace tool {
namespace {

constexpr std::array kCommands = {&kCreate, &kLs,   &kShow,  &kGet,   &kSet, &kAdd,
                                  &kCas,    &kWait, &kWatch, &kCheck, &kRm,  &kGc};

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

const Command* find_command(std::string_view name) {
  for (const Command* const command : kCommands) {
    if (command->name == name) {
      return command;
    }
  }
  return nullptr;
}

int complain(std::string_view message, std::string_view more, int code) {
  absl::FPrintF(stderr, "atoll: %s%s\n", printable(message), more);
  return code;
}

absl::Status run(const Command& command, std::span<char* const> arguments) {
  const absl::StatusOr<Words> words = parse(command, arguments);
  if (!words.ok()) {
    return words.status();
  }
  if (absl::GetFlag(FLAGS_help)) {
    absl::PrintF("%s", help_of(command));
    return absl::OkStatus();
  }
  if (absl::Status status = check_json(); !status.ok()) {
    return status;
  }
  return command.run(*words);
}

int main(std::span<char* const> arguments) {
  const std::string_view name = arguments.empty() ? "" : arguments[0];
  if (name == "--help" || name == "-h" || (name == "help" && arguments.size() == 1)) {
    absl::PrintF("%s", help_of_all());
    return 0;
  }
  if (name == "--version") {
    absl::PrintF("atoll %s\n", ATOLL_VERSION);
    return 0;
  }
  if (name == "help") {
    if (const Command* const command = find_command(arguments[1])) {
      absl::PrintF("%s", help_of(*command));
      return 0;
    }
    return complain(absl::StrFormat("there is no command '%s'", arguments[1]),
                    "; try 'atoll --help'", kWrongUsage);
  }
  const Command* const command = find_command(name);
  if (command == nullptr) {
    return complain(name.empty() ? "which command?" : absl::StrFormat("no command '%s'", name),
                    "; try 'atoll --help'", kWrongUsage);
  }
  const absl::Status status = run(*command, arguments.subspan(1));
  if (is_usage_error(status)) {
    return complain(message_of(status), absl::StrFormat("; try 'atoll %s --help'", name),
                    kWrongUsage);
  }
  if (!status.ok()) {
    std::fflush(stdout);
    return complain(message_of(status), "", kFailed);
  }
  return 0;
}

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

}  // namespace tool

int main(int argc, char** argv) {
  const int code = tool::main({argv + 1, static_cast<std::size_t>(argc > 0 ? argc - 1 : 0)});
  // What did not get out was not printed.
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) {
    return tool::complain(absl::StrFormat("cannot write the output: %s", std::strerror(errno)), "",
                          tool::kFailed);
  }
  return code;
}
