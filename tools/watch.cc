// atoll watch

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <optional>
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
#include "terminal.h"

ABSL_FLAG(absl::Duration, interval, absl::Milliseconds(500), "between two looks (500ms)");
ABSL_FLAG(std::optional<std::uint64_t>, count, std::nullopt, "end after that many looks");

namespace tool {
namespace {

using libatoll::List;
using libatoll::Slot;
using libatoll::Stamp;

// How often a slot has changed between two looks. A pinned slot counts no writes: all that can be seen
// is that it changed.
struct Change {
  bool changed = false;
  std::optional<std::uint64_t> writes;
};
Change change_between(const Slot& slot, const Stamp& before, const Stamp& now) {
  if (slot.is_pinned()) {
    return {.changed = before != now, .writes = std::nullopt};
  }
  return {.changed = before != now, .writes = now.version() - before.version()};
}

std::string literal_of(const absl::StatusOr<libatoll::StampedValue>& stamped) {
  return stamped.ok() ? to_string(stamped->value) : printable(message_of(stamped.status()));
}

class Looks {
 public:
  // Whether there is another one to take; the last is not waited for.
  bool take() { return !most_.has_value() || taken_++ < *most_; }
  bool are_over() const { return most_.has_value() && taken_ >= *most_; }

 private:
  std::optional<std::uint64_t> most_ = absl::GetFlag(FLAGS_count);
  std::uint64_t taken_ = 0;
};

// ---- A line a change ----------------------------------------------------------------------------

void report(const List& list, Range::Bounds range) {
  std::optional<JsonArray> array;
  if (wants_json()) {
    array.emplace();
  }
  std::vector<Stamp> before;
  before.reserve(range.end - range.first);
  for (std::size_t i = range.first; i < range.end; ++i) {
    before.push_back(list[i].stamp());
  }
  const Signals signals;
  std::fflush(stdout);
  for (Looks looks; looks.take();) {
    if (Signals::wait(absl::GetFlag(FLAGS_interval), -1) == Event::kEnd) {
      break;
    }
    const absl::Time now = absl::Now();
    for (std::size_t i = range.first; i < range.end; ++i) {
      const Slot slot = list[i];
      Stamp& last = before[i - range.first];
      if (slot.stamp() == last) {
        continue;
      }
      const absl::StatusOr<libatoll::StampedValue> stamped = slot.load_stamped();
      const Stamp seen = stamped.ok() ? stamped->stamp : slot.stamp();
      const Change change = change_between(slot, last, seen);
      last = seen;
      if (array.has_value()) {
        array->add({{"time", absl::FormatTime(absl::RFC3339_full, now, absl::UTCTimeZone())},
                    {"index", i},
                    {"writes", change.writes.has_value() ? Json(*change.writes) : Json(nullptr)},
                    {stamped.ok() ? "value" : "error",
                     stamped.ok() ? to_json(stamped->value)
                                  : text_to_json(message_of(stamped.status()))}});
      } else {
        absl::PrintF("%s %d +%s %s\n", absl::FormatTime("%H:%M:%E3S", now, absl::LocalTimeZone()),
                     i, change.writes.has_value() ? absl::StrCat(*change.writes) : "?",
                     literal_of(stamped));
      }
    }
    std::fflush(stdout);
    if (std::ferror(stdout) != 0) {
      break;
    }
  }
}

// ---- A live page --------------------------------------------------------------------------------

// The slots that fit on the screen, and where among all they are.
class Page {
 public:
  Page(const List& list, Range::Bounds range) : list_(list), range_(range), first_(range.first) {}

  // Where the keys lead: n(ext), p(revious), g (first), G (last), and the keys with these names. False
  // for q.
  bool obey(std::string_view keys) {
    const std::size_t rows = rows_on_screen();
    const std::size_t last = range_.end - std::min(rows, range_.end - range_.first);
    const auto is = [&](std::initializer_list<std::string_view> names) {
      return std::find(names.begin(), names.end(), keys) != names.end();
    };
    if (is({"n", " ", "j", "\x1b[6~", "\x1b[B"})) {
      first_ = std::min(first_ + rows, last);
    } else if (is({"p", "b", "k", "\x1b[5~", "\x1b[A"})) {
      first_ -= std::min(rows, first_ - range_.first);
    } else if (is({"g", "\x1b[H"})) {
      first_ = range_.first;
    } else if (is({"G", "\x1b[F"})) {
      first_ = last;
    }
    return !is({"q", ""});
  }

  std::string draw() {
    const Size size = terminal_size();
    const std::size_t end = first_ + std::min(rows_on_screen(), range_.end - first_);
    const absl::Time now = absl::Now();
    const std::size_t others = list_.participants() - 1;
    std::string lines = absl::StrCat(
        styled(
            cut(absl::StrFormat("%s  %d slots, %d live, %s", printable(list_.name()), list_.size(),
                                others, absl::FormatTime("%H:%M:%S", now, absl::LocalTimeZone())),
                size.columns),
            Style::kStrong),
        "\n", styled(cut("   INDEX  CHANGES/S  VALUE", size.columns), Style::kFaint), "\n");
    std::vector<std::optional<Stamp>> seen;
    for (std::size_t i = first_; i < end; ++i) {
      const absl::StatusOr<libatoll::StampedValue> stamped = list_[i].load_stamped();
      const Stamp stamp = stamped.ok() ? stamped->stamp : list_[i].stamp();
      absl::StrAppend(&lines, row(i, stamp, now, literal_of(stamped), size.columns), "\n");
      seen.emplace_back(stamp);
    }
    absl::StrAppend(
        &lines,
        styled(cut(absl::StrFormat("%d to %d of %d   n next, p previous, g first, G last, q quit",
                                   first_, end, list_.size()),
                   size.columns),
               Style::kFaint));
    before_ = {.first = first_, .time = now, .stamps = std::move(seen)};
    return lines;
  }

 private:
  static std::size_t rows_on_screen() {
    constexpr std::size_t kAround = 3;  // two lines above, one below
    const std::size_t rows = terminal_size().rows;
    return rows > kAround ? rows - kAround : 1;
  }

  std::string row(std::size_t index, const Stamp& stamp, absl::Time now, const std::string& literal,
                  std::size_t columns) const {
    std::string rate;
    if (index >= before_.first && index - before_.first < before_.stamps.size()) {
      const Change change =
          change_between(list_[index], *before_.stamps[index - before_.first], stamp);
      const double seconds = std::max(absl::ToDoubleSeconds(now - before_.time), 1e-3);
      if (change.changed && change.writes.has_value()) {
        rate = absl::StrFormat("%.1f", static_cast<double>(*change.writes) / seconds);
      } else if (change.changed) {
        rate = "some";
      }
    }
    const std::string line = cut(absl::StrFormat("%8d %10s  %s", index, rate, literal), columns);
    return rate.empty() ? line : styled(line, Style::kNews);
  }

  // What was on the screen before.
  struct Before {
    std::size_t first = 0;
    absl::Time time;
    std::vector<std::optional<Stamp>> stamps;
  };

  const List& list_;
  Range::Bounds range_;
  std::size_t first_;
  Before before_;
};

void show_live(const List& list, Range::Bounds range) {
  Page page(list, range);
  const Signals signals;
  const Screen screen;
  const bool has_keys = isatty(STDIN_FILENO) == 1;
  for (Looks looks; looks.take();) {
    Screen::show(page.draw());
    if (looks.are_over()) {
      break;
    }
    const Event event = Signals::wait(absl::GetFlag(FLAGS_interval), has_keys ? STDIN_FILENO : -1);
    if (event == Event::kEnd || (event == Event::kKey && !page.obey(Screen::keys()))) {
      break;
    }
  }
}

absl::Status run(const Words& words) {
  if (absl::GetFlag(FLAGS_interval) <= absl::ZeroDuration() ||
      absl::GetFlag(FLAGS_interval) > absl::Hours(24)) {
    return usage_error("--interval is more than 0, a day at most");
  }
  const absl::StatusOr<List> list = open_list(words[0], Access::kRead);
  if (!list.ok()) {
    return list.status();
  }
  const Range::Bounds range = absl::GetFlag(FLAGS_range).within(list->size());
  if (is_terminal() && !wants_json()) {
    show_live(*list, range);
  } else {
    report(*list, range);
  }
  return absl::OkStatus();
}

}  // namespace

const Command kWatch = {
    .name = "watch",
    .arguments = "NAME",
    .summary = "show a list live, and what changes",
    .description =
        R"(On a terminal: a page of slots with their values and how often a second each of them is written.
Of a pinned slot, which counts no writes, it says only that it changed ("some"). Keys: n next page,
p previous, g first, G last, q or Ctrl-C quit.
Elsewhere, and with --json: a line for each slot that has changed since the look before: the time, the
index, the number of writes (+? of a pinned slot), and the value. SIGINT ends it well.)",
    .example = R"(  $ atoll watch jobs --interval=1s --count=2 | cat
  12:00:07.125 0 +31 4711
  12:00:08.126 0 +29 4740)",
    .flags = {"--interval=DURATION", "--count=LOOKS", "--range=A:B", "--other-owner", "--json"},
    .run = run,
};

}  // namespace tool
