#include "command_line.h"

#include <algorithm>
#include <limits>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

ABSL_FLAG(bool, help, false, "show this text");

namespace tool {
namespace {

constexpr std::string_view kUsageError = "atoll/usage-error";

struct Bounds {
  std::size_t min = 0;
  std::size_t max = 0;
};

Bounds word_count(const Command& command) {
  Bounds bounds;
  for (const absl::string_view word :
       absl::StrSplit(std::string(command.arguments), ' ', absl::SkipEmpty())) {
    const bool optional = word[0] == '[';
    const bool repeated = word.find("...") != word.npos;
    bounds.min += optional ? 0 : 1;
    bounds.max = repeated ? std::numeric_limits<std::size_t>::max() : bounds.max + 1;
  }
  return bounds;
}

bool is_flag(std::string_view word) {
  if (!word.starts_with('-') || word.size() == 1) {
    return false;
  }
  const std::string_view rest = word.substr(1);
  return !absl::ascii_isdigit(static_cast<unsigned char>(rest[0])) && rest[0] != '.' &&
         rest != "inf" && rest != "nan";
}

// The flag that the help spells like that: "--dry-run", "--timeout=DURATION".
absl::CommandLineFlag& flag_of(std::string_view spelling) {
  const std::string_view name = spelling.substr(2, spelling.find('=') - 2);
  return *absl::FindCommandLineFlag(absl::StrReplaceAll({name.data(), name.size()}, {{"-", "_"}}));
}

struct Match {
  absl::CommandLineFlag* flag = nullptr;
  bool is_negated = false;
};

Match find_flag(const Command& command, std::string_view name) {
  const auto find = [&](std::string_view wanted) -> absl::CommandLineFlag* {
    for (const std::string_view spelling : command.flags) {
      if (spelling.substr(0, spelling.find('=')) == wanted) {
        return &flag_of(spelling);
      }
    }
    return wanted == "--help" || wanted == "-h" ? &flag_of("--help") : nullptr;
  };
  if (absl::CommandLineFlag* const flag = find(name)) {
    return {flag, false};
  }
  if (name.starts_with("--no")) {
    absl::CommandLineFlag* const flag = find(absl::StrCat("--", std::string(name.substr(4))));
    if (flag != nullptr && flag->IsOfType<bool>()) {
      return {flag, true};
    }
  }
  return {};
}

// Sets the flag of `arguments[at]`; advances `at` where its value is the next word.
absl::Status set_flag(const Command& command, std::span<char* const> arguments, std::size_t& at) {
  const std::string_view word = arguments[at];
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(0, equals);
  const auto [flag, is_negated] = find_flag(command, name);
  if (flag == nullptr) {
    return usage_error(absl::StrFormat(
        "%s has no flag %s; a text that begins with a dash goes behind --", command.name, name));
  }
  std::string value = is_negated ? "false" : "true";
  if (equals != word.npos) {
    if (is_negated) {
      return usage_error(absl::StrFormat("%s takes no value", name));
    }
    value = word.substr(equals + 1);
  } else if (!flag->IsOfType<bool>()) {
    if (at + 1 == arguments.size()) {
      return usage_error(absl::StrFormat("%s needs a value", name));
    }
    value = arguments[++at];
  }
  if (std::string error; !flag->ParseFrom(value, &error)) {
    // Abseil's own words say no more than that, but for what the flag's type has added to them.
    const std::string::size_type reason = error.find("'; ");
    return usage_error(
        absl::StrFormat("'%s' is no value for %s: %s", value, name,
                        reason == error.npos ? flag->Help() : error.substr(reason + 3)));
  }
  return absl::OkStatus();
}

std::string usage_of(const Command& command) {
  return absl::StrFormat("usage: atoll %s %s%s\n", command.name, command.arguments,
                         command.arguments.empty() ? "[FLAG]..." : " [FLAG]...");
}

}  // namespace

absl::Status usage_error(std::string_view message) {
  absl::Status status = absl::InvalidArgumentError({message.data(), message.size()});
  status.SetPayload({kUsageError.data(), kUsageError.size()}, absl::Cord());
  return status;
}

bool is_usage_error(const absl::Status& status) {
  return status.GetPayload({kUsageError.data(), kUsageError.size()}).has_value();
}

absl::StatusOr<Words> parse(const Command& command, std::span<char* const> arguments) {
  Words words;
  bool flags_end = false;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string_view word = arguments[i];
    if (flags_end || !is_flag(word)) {
      words.emplace_back(word);
    } else if (word == "--") {
      flags_end = true;
    } else if (absl::Status status = set_flag(command, arguments, i); !status.ok()) {
      return status;
    }
  }
  const Bounds bounds = word_count(command);
  if (!absl::GetFlag(FLAGS_help) && (words.size() < bounds.min || words.size() > bounds.max)) {
    return usage_error(absl::StrFormat("%s takes %s, found %d word%s", command.name,
                                       command.arguments.empty() ? "no words" : command.arguments,
                                       words.size(), words.size() == 1 ? "" : "s"));
  }
  return words;
}

std::string help_of(const Command& command) {
  std::string help =
      absl::StrCat(usage_of(command), "\n", std::string(command.description), "\n\n");
  std::vector<std::string_view> flags = command.flags;
  flags.emplace_back("--help");
  for (const std::string_view spelling : flags) {
    absl::StrAppendFormat(&help, "  %-20s %s\n", spelling, flag_of(spelling).Help());
  }
  absl::StrAppend(&help, "\nexample:\n", std::string(command.example), "\n");
  return help;
}

std::string help_of_all() {
  std::string help =
      "usage: atoll COMMAND [WORD]... [FLAG]...\n"
      "\n"
      "Looks at, changes and cleans up lists of slots in shared memory.\n"
      "\n";
  for (const Command* command : commands()) {
    absl::StrAppendFormat(&help, "  %-8s %s\n", command->name, command->summary);
  }
  absl::StrAppend(&help, R"(
`atoll COMMAND --help` tells more, with an example. `atoll --version` tells the version.

A NAME is that of a list in shared memory, with its slash or without, or the path of a list in a
file, which has another slash: ./jobs.list. An INDEX counts from 0, or with a minus from the end.
A VALUE is
  1  -7                 an int64
  0.5  -2.5  1e9  inf   a double
  true  false  none
  "1"  "two\nlines"     text, in quotes of its own (the shell needs more: '"1"')
  0x:00ff               bytes, in hex
  anything else         text
and `atoll get` prints values so. With --json, text that is not UTF-8 is {"text": "ff41"} (its bytes
in hex), bytes are {"bytes": "00ff"}, a double that is not finite is {"double": "nan"}.

Exit code: 0; 1 if it did not work out, and stderr says why; 2 if it was called wrongly.
Colour: on a terminal only, and not if NO_COLOR is set.
)");
  return help;
}

}  // namespace tool
