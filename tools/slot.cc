// atoll get, set, add, cas, wait: one slot.

#include <cstdint>
#include <optional>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"

#include "command.h"
#include "command_line.h"
#include "json.h"
#include "list_argument.h"
#include "literal.h"

ABSL_FLAG(absl::Duration, timeout, absl::InfiniteDuration(),
          "how long at most, as 500ms, 5s, 1m30s");
ABSL_FLAG(std::optional<std::string>, from, std::nullopt,
          "wait while the slot holds that, instead of what it holds now");

namespace tool {
namespace {

using libatoll::Type;
using libatoll::Value;

void print_value(const Value& value) {
  if (wants_json()) {
    print(to_json(value));
  } else {
    absl::PrintF("%s\n", to_string(value));
  }
}

absl::Status advised_on_capacity(const absl::Status& status) {
  return absl::IsResourceExhausted(status)
             ? advised(status, "room is made by `atoll create --capacity`")
             : status;
}

absl::Status get(const Words& words) {
  const absl::StatusOr<OpenSlot> open = open_slot(words[0], words[1], Access::kRead);
  if (!open.ok()) {
    return open.status();
  }
  const absl::StatusOr<Value> value = open->slot.load();
  if (value.ok()) {
    print_value(*value);
  }
  return value.status();
}

absl::Status set(const Words& words) {
  const absl::StatusOr<Value> value = parse_literal(words[2]);
  if (!value.ok()) {
    return value.status();
  }
  const absl::StatusOr<OpenSlot> open = open_slot(words[0], words[1], Access::kWrite);
  return open.ok() ? advised_on_capacity(open->slot.store(*value)) : open.status();
}

absl::Status add(const Words& words) {
  const absl::StatusOr<Value> delta = parse_literal(words[2]);
  if (!delta.ok()) {
    return delta.status();
  }
  const auto* const integer = std::get_if<std::int64_t>(&*delta);
  const auto* const number = std::get_if<double>(&*delta);
  if (integer == nullptr && number == nullptr) {
    return usage_error(absl::StrFormat("'%s' is no number", words[2]));
  }
  const absl::StatusOr<OpenSlot> open = open_slot(words[0], words[1], Access::kWrite);
  if (!open.ok()) {
    return open.status();
  }
  // Adding gives the value before; what it became is computed as the slot did.
  if (integer != nullptr) {
    const absl::StatusOr<std::int64_t> previous = open->slot.fetch_add(*integer);
    if (previous.ok()) {
      print_value(libatoll::detail::wrapping_add(*previous, *integer));
    }
    const absl::StatusOr<Type> type = open->slot.type();
    return absl::IsFailedPrecondition(previous.status()) && type.ok() && *type == Type::kDouble
               ? advised(previous.status(), absl::StrFormat("write %d.0", *integer))
               : previous.status();
  }
  const absl::StatusOr<double> previous = open->slot.fetch_add(*number);
  if (previous.ok()) {
    print_value(*previous + *number);
  }
  return previous.status();
}

absl::Status cas(const Words& words) {
  const absl::StatusOr<Value> expected = parse_literal(words[2]);
  if (!expected.ok()) {
    return expected.status();
  }
  const absl::StatusOr<Value> desired = parse_literal(words[3]);
  if (!desired.ok()) {
    return desired.status();
  }
  const absl::StatusOr<OpenSlot> open = open_slot(words[0], words[1], Access::kWrite);
  if (!open.ok()) {
    return open.status();
  }
  const absl::StatusOr<bool> exchanged = open->slot.compare_exchange(*expected, *desired);
  if (!exchanged.ok()) {
    return advised_on_capacity(exchanged.status());
  }
  if (wants_json()) {
    print({{"exchanged", *exchanged}});
  }
  if (!*exchanged) {
    return absl::AbortedError(
        absl::StrFormat("slot %d of list '%s' did not hold %s; `atoll get` shows what it holds",
                        open->slot.index(), open->list.name(), cut(to_string(*expected), 60)));
  }
  return absl::OkStatus();
}

absl::Status wait(const Words& words) {
  const absl::Duration timeout = absl::GetFlag(FLAGS_timeout);
  if (timeout < absl::ZeroDuration()) {
    return usage_error("--timeout is negative");
  }
  const std::optional<std::string> from = absl::GetFlag(FLAGS_from);
  const absl::StatusOr<Value> awaited = parse_literal(from.value_or("none"));
  if (!awaited.ok()) {
    return awaited.status();
  }
  // A waiter has to announce himself in the slot, so he needs to write.
  const absl::StatusOr<OpenSlot> open = open_slot(words[0], words[1], Access::kWrite);
  if (!open.ok()) {
    return open.status();
  }
  const absl::Time end = absl::Now() + timeout;
  absl::StatusOr<libatoll::StampedValue> seen = open->slot.load_stamped();
  // With --from a write of the same value is nothing to report.
  for (bool first = true; seen.ok() && (from.has_value() ? seen->value == *awaited : first);
       first = false) {
    const absl::StatusOr<libatoll::Stamp> changed =
        open->slot.wait(seen->stamp, first ? timeout : end - absl::Now());
    if (!changed.ok()) {
      return changed.status();
    }
    seen = open->slot.load_stamped();
  }
  if (seen.ok()) {
    print_value(seen->value);
  }
  return seen.status();
}

}  // namespace

const Command kGet = {
    .name = "get",
    .arguments = "NAME INDEX",
    .summary = "print the value of a slot",
    .description = "Prints the value as `atoll set` would accept it.",
    .example = R"(  $ atoll get jobs -1
  "idle")",
    .flags = {"--other-owner", "--json"},
    .run = get,
};

const Command kSet = {
    .name = "set",
    .arguments = "NAME INDEX VALUE",
    .summary = "store a value in a slot",
    .description =
        R"(Stores a value: 1, -2.5, 1e9, true, none, text, '"1"' (text), 0x:00ff (bytes). A slot may change
its type with each store, unless it is pinned.)",
    .example = R"(  $ atoll set jobs 4 'running since noon')",
    .flags = {"--other-owner"},
    .run = set,
};

const Command kAdd = {
    .name = "add",
    .arguments = "NAME INDEX DELTA",
    .summary = "add to a number, and print what it became",
    .description =
        R"(Adds DELTA, which may be negative, to an int64 or a double, in one step that no other write
comes between, and prints the new value. DELTA is of the type of the slot: 1, or 1.0 for a double.
An int64 wraps round.)",
    .example = R"(  $ atoll add jobs 0 -1
  41)",
    .flags = {"--other-owner", "--json"},
    .run = add,
};

const Command kCas = {
    .name = "cas",
    .arguments = "NAME INDEX EXPECTED NEW",
    .summary = "replace a value, if it is the one expected",
    .description =
        R"(Stores NEW if the slot holds EXPECTED, in one step. Otherwise it changes nothing, says so, and
ends with 1.)",
    .example = R"(  $ atoll cas jobs 4 idle running && echo mine
  mine)",
    .flags = {"--other-owner", "--json"},
    .run = cas,
};

const Command kWait = {
    .name = "wait",
    .arguments = "NAME INDEX",
    .summary = "sleep until a slot changes, and print its value",
    .description =
        R"(Sleeps until somebody writes to the slot, and prints the value that it has then. With --from, it
ends as soon as the slot holds anything else than that, also if it does already: so no change is
missed between a look and the wait. Ends with 1 when --timeout is over.)",
    .example = R"(  $ atoll wait jobs 4 --from=idle --timeout=1m
  "running since noon")",
    .flags = {"--from=VALUE", "--timeout=DURATION", "--other-owner", "--json"},
    .run = wait,
};

}  // namespace tool
