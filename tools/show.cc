// atoll show

#include <algorithm>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "atoll/atoll.h"

#include "command.h"
#include "json.h"
#include "list_argument.h"
#include "literal.h"
#include "terminal.h"

ABSL_FLAG(bool, full, false, "whole values, however long");

namespace tool {
namespace {

using libatoll::List;
using libatoll::Slot;

// A slot as it is at one moment.
struct Row {
  std::size_t index;
  std::string type;  // "int64", "pinned double"
  std::uint64_t version;
  std::size_t capacity;
  libatoll::Value value;
};

absl::StatusOr<Row> row_of(const Slot& slot) {
  const absl::StatusOr<libatoll::StampedValue> stamped = slot.load_stamped();
  if (!stamped.ok()) {
    return stamped.status();
  }
  const absl::StatusOr<std::size_t> capacity = slot.capacity();
  if (!capacity.ok()) {
    return capacity.status();
  }
  return Row{.index = slot.index(),
             .type = absl::StrCat(slot.is_pinned() ? "pinned " : "",
                                  std::string(type_name(libatoll::type_of(stamped->value)))),
             .version = stamped->stamp.version(),
             .capacity = *capacity,
             .value = stamped->value};
}

absl::Status run(const Words& words) {
  const absl::StatusOr<List> list = open_list(words[0], Access::kRead);
  if (!list.ok()) {
    return list.status();
  }
  const Range::Bounds range = absl::GetFlag(FLAGS_range).within(list->size());
  // Slots are read one by one while others write; whoever needs one instant uses List::snapshot.
  std::size_t broken = 0;
  if (wants_json()) {
    JsonArray array;
    for (std::size_t i = range.first; i < range.end; ++i) {
      const absl::StatusOr<Row> row = row_of((*list)[i]);
      if (!row.ok()) {
        ++broken;
        array.add({{"index", i}, {"error", text_to_json(message_of(row.status()))}});
        continue;
      }
      array.add({{"index", i},
                 {"type", row->type},
                 {"version", row->version},
                 {"capacity", row->capacity},
                 {"value", to_json(row->value)}});
    }
  } else {
    constexpr std::size_t kBeforeValue = 49;
    const std::size_t columns = std::max<std::size_t>(terminal_size().columns, kBeforeValue + 10);
    absl::PrintF("%s\n", styled(absl::StrFormat("%8s %-13s %12s %12s  %s", "INDEX", "TYPE",
                                                "VERSION", "CAPACITY", "VALUE"),
                                Style::kFaint));
    for (std::size_t i = range.first; i < range.end; ++i) {
      const absl::StatusOr<Row> row = row_of((*list)[i]);
      if (!row.ok()) {
        ++broken;
        absl::PrintF("%8d %s\n", i, styled(printable(message_of(row.status())), Style::kBad));
        continue;
      }
      const std::string literal = to_string(row->value);
      absl::PrintF("%8d %-13s %12d %12d  %s\n", i, row->type, row->version, row->capacity,
                   absl::GetFlag(FLAGS_full) ? literal : cut(literal, columns - kBeforeValue - 1));
    }
  }
  if (broken > 0) {
    return absl::DataLossError(
        absl::StrFormat("list '%s' has %d broken slots; see `atoll check`", list->name(), broken));
  }
  return absl::OkStatus();
}

}  // namespace

const Command kShow = {
    .name = "show",
    .arguments = "NAME",
    .summary = "show the slots of a list",
    .description =
        R"(Shows each slot: its type, how many writes it has seen (VERSION; a pinned slot counts none),
how many bytes of text it has room for (CAPACITY), and its value. Long text is cut to the width of the
terminal. The slots are read one after another, while others may write.)",
    .example = R"(  $ atoll show jobs --range=-1:
     INDEX TYPE               VERSION     CAPACITY  VALUE
         4 text                     1           64  "running since noon")",
    .flags = {"--range=A:B", "--full", "--other-owner", "--json"},
    .run = run,
};

}  // namespace tool
