#include "list_argument.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "command_line.h"
#include "literal.h"

ABSL_FLAG(bool, other_owner, false, "trust a list that another user owns");
ABSL_FLAG(tool::Range, range, {}, "these slots only, as in Python: 0:10, -5:, 100:");

namespace tool {

Range::Bounds Range::within(std::size_t size) const {
  const auto count = static_cast<std::ptrdiff_t>(size);
  const auto place = [count](std::ptrdiff_t at) {
    return std::clamp<std::ptrdiff_t>(at < 0 ? std::max(at, -count) + count : at, 0, count);
  };
  const std::ptrdiff_t from = place(first.value_or(0));
  const std::ptrdiff_t to = std::max(from, place(end.value_or(count)));
  return {static_cast<std::size_t>(from), static_cast<std::size_t>(to)};
}

bool AbslParseFlag(absl::string_view text, Range* range, std::string* error) {
  const std::size_t colon = text.find(':');
  const auto parse = [](absl::string_view digits, std::optional<std::ptrdiff_t>& number) {
    return digits.empty() || absl::SimpleAtoi(digits, &number.emplace());
  };
  if (colon != text.npos && parse(text.substr(0, colon), range->first) &&
      parse(text.substr(colon + 1), range->end)) {
    return true;
  }
  *error = "it is A:B, the numbers of the first slot and of the one behind the last";
  return false;
}

std::string AbslUnparseFlag(const Range& range) {
  const auto show = [](const std::optional<std::ptrdiff_t>& number) {
    return number.has_value() ? absl::StrCat(*number) : "";
  };
  return absl::StrCat(show(range.first), ":", show(range.end));
}

absl::StatusOr<libatoll::Value> parse_literal(const std::string& word) {
  absl::StatusOr<libatoll::Value> value = libatoll::parse_value(word);
  return value.ok() ? value : usage_error(message_of(value.status()));
}

bool is_path(std::string_view name) { return name.find('/', 1) != name.npos; }

absl::Status advised(const absl::Status& status, std::string_view advice) {
  return {status.code(), absl::StrCat(status.message(), "; ", std::string(advice))};
}

absl::StatusOr<libatoll::List> open_list(std::string_view name, Access access) {
  const libatoll::AttachOptions options = {.read_only = access == Access::kRead,
                                           .allow_other_owner = absl::GetFlag(FLAGS_other_owner)};
  absl::StatusOr<libatoll::List> list = is_path(name) ? libatoll::List::attach_file(name, options)
                                                      : libatoll::List::attach(name, options);
  if (absl::IsNotFound(list.status())) {
    return advised(list.status(), "`atoll ls` shows what there is, `atoll create` makes one");
  }
  if (absl::IsPermissionDenied(list.status()) && !options.allow_other_owner) {
    return advised(list.status(), "with atoll: --other-owner");
  }
  return list;
}

absl::StatusOr<OpenSlot> open_slot(std::string_view name, std::string_view index, Access access) {
  std::ptrdiff_t number = 0;
  if (!absl::SimpleAtoi({index.data(), index.size()}, &number)) {
    return usage_error(absl::StrFormat("'%s' is no index", index));
  }
  absl::StatusOr<libatoll::List> list = open_list(name, access);
  if (!list.ok()) {
    return list.status();
  }
  const absl::StatusOr<libatoll::Slot> slot = list->at(number);
  if (!slot.ok()) {
    return slot.status();
  }
  // The slot refers to what the list holds on to, which stays where it is when the list is moved.
  return OpenSlot{*std::move(list), *slot};
}

}  // namespace tool
