// atoll ls

#include <pwd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"

#include "command.h"
#include "json.h"
#include "literal.h"
#include "shared_memory.h"
#include "terminal.h"

ABSL_FLAG(bool, names, false, "print nothing but the names of whole lists");

namespace tool {
namespace {

using libatoll::List;

std::string name_of_user(uid_t user) {
  const passwd* const entry = getpwuid(user);
  return entry == nullptr ? absl::StrCat(user) : printable(entry->pw_name);
}

std::string size_of(std::size_t bytes) {
  constexpr std::string_view kUnits = "KMGTPE";
  if (bytes < 1024) {
    return absl::StrCat(bytes, "B");
  }
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (amount /= 1024; amount >= 1024; amount /= 1024) {
    ++unit;
  }
  return absl::StrFormat("%.1f%c", amount, kUnits[unit]);
}

std::string age_of(absl::Time created) {
  const absl::Duration age = std::max(absl::Now() - created, absl::ZeroDuration());
  if (age < absl::Minutes(1)) {
    return absl::StrFormat("%ds", absl::ToInt64Seconds(age));
  }
  if (age < absl::Hours(1)) {
    return absl::StrFormat("%dm", absl::ToInt64Minutes(age));
  }
  const std::int64_t hours = absl::ToInt64Hours(age);
  return hours < 48 ? absl::StrFormat("%dh", hours) : absl::StrFormat("%dd", hours / 24);
}

Json json_of(const FileInSharedMemory& file) {
  if (!file.info.ok()) {
    return {{"name", text_to_json(file.name)},
            {"error", text_to_json(message_of(file.info.status()))}};
  }
  const List::Info& info = *file.info;
  return {{"name", text_to_json(info.name)},
          {"slots", info.size},
          {"bytes", info.bytes},
          {"layout", info.layout == libatoll::Layout::kDense ? "dense" : "padded"},
          {"buffers_per_slot", info.buffers_per_slot},
          {"owner", info.owner},
          {"mode", info.mode},
          {"participants", info.participants},
          {"created", absl::FormatTime(info.created, absl::UTCTimeZone())}};
}

absl::Status run(const Words&) {
  absl::StatusOr<std::vector<FileInSharedMemory>> files = files_in_shared_memory();
  if (!files.ok()) {
    return files.status();
  }
  if (wants_json()) {
    JsonArray array;
    for (const FileInSharedMemory& file : *files) {
      array.add(json_of(file));
    }
    return absl::OkStatus();
  }
  if (absl::GetFlag(FLAGS_names)) {
    for (const FileInSharedMemory& file : *files) {
      if (file.info.ok()) {
        absl::PrintF("%s\n", printable(file.name));
      }
    }
    return absl::OkStatus();
  }
  std::size_t width = 4;
  for (const FileInSharedMemory& file : *files) {
    width = std::max(width, printable(file.name).size());
  }
  const int columns = static_cast<int>(std::min<std::size_t>(width, 40));
  absl::PrintF("%s\n", styled(absl::StrFormat("%-*s %10s %8s %-10s %-5s %5s %5s", columns, "NAME",
                                              "SLOTS", "SIZE", "OWNER", "MODE", "LIVE", "AGE"),
                              Style::kFaint));
  for (const FileInSharedMemory& file : *files) {
    const std::string name = absl::StrFormat("%-*s", columns, printable(file.name));
    if (!file.info.ok()) {
      absl::PrintF("%s  %s\n", name,
                   styled(printable(message_of(file.info.status())), Style::kBad));
      continue;
    }
    const List::Info& info = *file.info;
    absl::PrintF("%s %10d %8s %-10s %04o  %5d %5s\n",
                 styled(name, info.participants > 0 ? Style::kStrong : Style::kFaint), info.size,
                 size_of(info.bytes), name_of_user(info.owner), info.mode, info.participants,
                 age_of(info.created));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<FileInSharedMemory>> files_in_shared_memory() {
  std::error_code error;
  std::vector<FileInSharedMemory> files;
  for (std::filesystem::directory_iterator entry("/dev/shm", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = absl::StrCat("/", entry->path().filename().string());
    absl::StatusOr<List::Info> info = List::inspect(name);
    if (!absl::IsNotFound(info.status())) {  // gone since
      files.push_back({name, std::move(info)});
    }
  }
  if (error) {
    return absl::ErrnoToStatus(error.value(), "cannot look into /dev/shm");
  }
  std::sort(files.begin(), files.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return files;
}

const Command kLs = {
    .name = "ls",
    .arguments = "",
    .summary = "show the lists in shared memory",
    .description =
        R"(Shows every list in shared memory: its slots, its size, its owner and mode, how many live
handles have it open in whatever process (LIVE), and its age. What is not a list, or a broken one, is
shown with the reason. Attaches to nothing, so it disturbs nobody.)",
    .example = R"(  $ atoll ls
  NAME       SLOTS     SIZE OWNER      MODE   LIVE   AGE
  /jobs          5     1.1K alice      0600      3    2m)",
    .flags = {"--names", "--json"},
    .run = run,
};

}  // namespace tool
