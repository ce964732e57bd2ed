// A command of the program: what it is called, what it says about itself, what it does.

#ifndef ATOLL_TOOLS_COMMAND_H_
#define ATOLL_TOOLS_COMMAND_H_

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace tool {

using Words = std::vector<std::string>;

struct Command {
  std::string_view name;
  // "NAME INDEX [VALUE...]": how many words it takes is read off this.
  std::string_view arguments;
  std::string_view summary;
  std::string_view description;
  std::string_view example;
  // As the help shows them: "--json", "--timeout=DURATION". Each is an ABSL_FLAG of that name.
  std::vector<std::string_view> flags;
  absl::Status (*run)(const Words& words);
};

// In the order of the help.
std::span<const Command* const> commands();

extern const Command kCreate, kLs, kShow, kGet, kSet, kAdd, kCas, kWait, kWatch, kCheck, kRm, kGc;

}  // namespace tool

#endif  // ATOLL_TOOLS_COMMAND_H_
