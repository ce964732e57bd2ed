// atoll rm, gc

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"

#include "command.h"
#include "command_line.h"
#include "json.h"
#include "list_argument.h"
#include "literal.h"
#include "shared_memory.h"

ABSL_FLAG(bool, force, false, "also a file in shared memory that is no list, or a broken one");
ABSL_FLAG(bool, yes, false, "do not ask");
ABSL_FLAG(bool, dry_run, false, "show what would go, and remove nothing");
ABSL_FLAG(absl::Duration, older, absl::ZeroDuration(),
          "only lists made longer ago than that, as 90s, 1h30m");

namespace tool {
namespace {

using libatoll::List;

absl::Status remove(const std::string& name) {
  const absl::StatusOr<List> list = open_list(name, Access::kRead);
  if (list.ok()) {
    return list->unlink();
  }
  if (absl::IsNotFound(list.status()) || absl::IsInvalidArgument(list.status()) || is_path(name)) {
    return list.status();
  }
  // Not to be deleted by a slip: a semaphore, say, has its name in the same place.
  return absl::GetFlag(FLAGS_force) ? List::unlink(name)
                                    : advised(list.status(), "--force removes it all the same");
}

absl::Status rm(const Words& words) {
  Json removed = Json::array();
  absl::Status failed;
  for (const std::string& name : words) {
    if (absl::Status status = remove(name); status.ok()) {
      removed.push_back(text_to_json(name));
    } else if (failed.ok()) {
      failed = status;
    } else {
      failed = {failed.code(), absl::StrCat(failed.message(), "\n", status.message())};
    }
  }
  if (wants_json()) {
    print(removed);
  }
  return failed;
}

// ---- gc -----------------------------------------------------------------------------------------

bool agrees() {
  absl::FPrintF(stderr, "remove them? [y/N] ");
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

absl::Status gc(const Words& words) {
  const auto is_wanted = [&](const std::string& name) {
    return words.empty() || std::any_of(words.begin(), words.end(), [&](const std::string& word) {
             return name == word || name == absl::StrCat("/", word);
           });
  };
  const absl::StatusOr<std::vector<FileInSharedMemory>> files = files_in_shared_memory();
  if (!files.ok()) {
    return files.status();
  }
  const absl::Time born_before = absl::Now() - absl::GetFlag(FLAGS_older);
  std::vector<std::string> unused;
  for (const FileInSharedMemory& file : *files) {
    if (file.info.ok() && is_wanted(file.name) && file.info->participants == 0 &&
        file.info->owner == geteuid() && file.info->created <= born_before) {
      unused.push_back(file.name);
      if (!wants_json()) {
        absl::PrintF("%s\n", printable(file.name));
      }
    }
  }
  std::fflush(stdout);
  const bool go =
      !unused.empty() && !absl::GetFlag(FLAGS_dry_run) && (absl::GetFlag(FLAGS_yes) || agrees());
  Json rows = Json::array();
  std::size_t removed = 0;
  absl::Status failed;
  for (const std::string& name : unused) {
    // Whatever has happened since we looked: it goes only if nobody has it now.
    const absl::Status status = go ? List::unlink_unused(name) : absl::CancelledError();
    rows.push_back(Json{{"name", text_to_json(name)}, {"removed", status.ok()}});
    removed += status.ok() ? 1 : 0;
    const bool is_expected = status.ok() || absl::IsCancelled(status) ||
                             absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
    failed = is_expected ? failed : status;
  }
  if (wants_json()) {
    print(rows);
  } else {
    absl::PrintF("%d of %d unused lists removed\n", removed, unused.size());
  }
  return failed;
}

}  // namespace

const Command kRm = {
    .name = "rm",
    .arguments = "NAME [NAME]...",
    .summary = "remove lists",
    .description =
        R"(Removes the names of lists. Who has a list open keeps it; its memory goes with the last of them.
What is no list is left alone, unless it is in shared memory and --force is given.)",
    .example = R"(  $ atoll rm jobs hits)",
    .flags = {"--force", "--other-owner", "--json"},
    .run = rm,
};

const Command kGc = {
    .name = "gc",
    .arguments = "[NAME]...",
    .summary = "remove the lists that no process has open",
    .description =
        R"(Finds your lists in shared memory that no live process has open (or those of the names given that none
has), shows them, asks, and removes them.
That is safe while others attach: a list goes only if at that very moment nobody has it and nobody can
attach; who comes first keeps it, and who comes later finds the name gone. But mind that a list
which nobody has open may still be wanted: one just made by `atoll create`, say, before its workers
come. --older leaves young lists alone.)",
    .example = R"(  $ atoll gc --older=1h
  /jobs
  remove them? [y/N] y
  1 of 1 unused lists removed)",
    .flags = {"--older=DURATION", "--yes", "--dry-run", "--json"},
    .run = gc,
};

}  // namespace tool
