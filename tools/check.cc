// atoll check

#include <algorithm>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "atoll/atoll.h"

#include "command.h"
#include "json.h"
#include "list_argument.h"
#include "literal.h"
#include "terminal.h"

ABSL_FLAG(bool, repair, false, "take back what dead writers claim");

namespace tool {
namespace {

using libatoll::List;

constexpr std::size_t kLinesMax = 20;  // of one kind

void print_faults(const std::vector<absl::Status>& faults) {
  for (std::size_t i = 0; i < std::min(faults.size(), kLinesMax); ++i) {
    absl::PrintF("%s\n", styled(printable(message_of(faults[i])), Style::kBad));
  }
  if (faults.size() > kLinesMax) {
    absl::PrintF("... %d faults in all; --json shows them\n", faults.size());
  }
}

void print_claims(const std::vector<List::Claim>& claims) {
  for (std::size_t i = 0; i < std::min(claims.size(), kLinesMax); ++i) {
    const List::Claim& claim = claims[i];
    absl::PrintF("slot %d: buffer %d is claimed by participant %d, %s\n", claim.slot, claim.buffer,
                 claim.owner,
                 claim.owner_may_live ? "who is writing" : styled("who is dead", Style::kBad));
  }
  if (claims.size() > kLinesMax) {
    absl::PrintF("... %d claims in all; --json shows them\n", claims.size());
  }
}

Json json_of(const List& list, std::size_t participants, const std::vector<absl::Status>& faults,
             const std::vector<List::Claim>& claims, std::size_t repaired) {
  Json texts = Json::array();
  for (const absl::Status& fault : faults) {
    texts.push_back(text_to_json(message_of(fault)));
  }
  Json rows = Json::array();
  for (const List::Claim& claim : claims) {
    rows.push_back(Json{{"slot", claim.slot},
                        {"buffer", claim.buffer},
                        {"participant", claim.owner},
                        {"alive", claim.owner_may_live}});
  }
  return {{"name", text_to_json(list.name())},
          {"slots", list.size()},
          {"participants", participants},
          {"faults", texts},
          {"claims", rows},
          {"repaired", repaired}};
}

absl::Status run(const Words& words) {
  const bool repair = absl::GetFlag(FLAGS_repair);
  const absl::StatusOr<List> list = open_list(words[0], repair ? Access::kWrite : Access::kRead);
  if (!list.ok()) {
    return list.status();
  }
  const std::size_t others = list->participants() - 1;
  const std::vector<absl::Status> faults = list->faults();
  const std::vector<List::Claim> claims = list->claims();
  const auto dead = static_cast<std::size_t>(
      std::count_if(claims.begin(), claims.end(),
                    [](const List::Claim& claim) { return !claim.owner_may_live; }));
  std::size_t repaired = 0;
  if (repair) {
    const absl::StatusOr<std::size_t> done = list->repair();
    if (!done.ok()) {
      return done.status();
    }
    repaired = *done;
  }
  if (wants_json()) {
    print(json_of(*list, others, faults, claims, repaired));
  } else {
    print_faults(faults);
    print_claims(claims);
    absl::PrintF("%s: %d slots, %d live participants, %s\n", printable(list->name()), list->size(),
                 others,
                 faults.empty() ? styled("sound", Style::kGood)
                                : styled(absl::StrFormat("%d faults", faults.size()), Style::kBad));
    if (repair) {
      absl::PrintF("%d claims of dead writers taken back\n", repaired);
    }
  }
  if (!faults.empty()) {
    return absl::DataLossError(absl::StrFormat(
        "something other than atoll has written to list '%s', or its file is damaged; save what "
        "`atoll show` can read, and create it anew",
        list->name()));
  }
  if (dead > 0 && !repair) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "list '%s' has %d claims of dead writers, which do no harm; `atoll check --repair` takes "
        "them back",
        list->name(), dead));
  }
  return absl::OkStatus();
}

}  // namespace

const Command kCheck = {
    .name = "check",
    .arguments = "NAME",
    .summary = "check a list, and clean up behind dead writers",
    .description =
        R"(Checks the segment and every slot, and lists who claims buffers for longer text: writers in the
middle of a store, and writers who died in one. Nobody is blocked by these: the next writer who needs
the buffer takes it back, or --repair does so now. Safe at any moment, whoever writes meanwhile.
Ends with 1 if the list has faults, or, without --repair, claims of the dead.)",
    .example = R"(  $ atoll check jobs --repair
  slot 4: buffer 1 is claimed by participant 7, who is dead
  /jobs: 5 slots, 2 live participants, sound
  1 claims of dead writers taken back)",
    .flags = {"--repair", "--other-owner", "--json"},
    .run = run,
};

}  // namespace tool
