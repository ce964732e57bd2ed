// atoll create

#include <sys/types.h>

#include <charconv>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "atoll/atoll.h"

#include "command.h"
#include "command_line.h"
#include "json.h"
#include "list_argument.h"
#include "literal.h"

namespace tool {

// Permission bits, in octal.
struct Mode {
  mode_t bits = 0600;
};

bool AbslParseFlag(absl::string_view text, Mode* mode, std::string* error) {  // NOLINT: Abseil's
  const char* const end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, mode->bits, 8);
  if (failure == std::errc() && rest == end && mode->bits <= 0777) {
    return true;
  }
  *error = "it is octal, 0777 at most";
  return false;
}
std::string AbslUnparseFlag(const Mode& mode) {  // NOLINT: names
  return absl::StrFormat("%#o", mode.bits);
}

}  // namespace tool

ABSL_FLAG(tool::Mode, mode, {}, "permission bits of the name, in octal (0600)");
ABSL_FLAG(std::optional<std::uint64_t>, capacity, std::nullopt,
          "room in each slot for that many bytes of text");
ABSL_FLAG(bool, pinned, false, "numbers are pinned: the type for ever, the fastest fetch_add");
ABSL_FLAG(std::optional<std::uint64_t>, fill, std::nullopt, "that many slots of the one VALUE");
ABSL_FLAG(bool, dense, false, "16 bytes a slot instead of 64: for long lists");

namespace tool {
namespace {

using libatoll::Init;
using libatoll::List;
using libatoll::Type;
using libatoll::Value;

absl::StatusOr<Init> init_of(const std::string& literal) {
  const absl::StatusOr<Value> value = parse_literal(literal);
  if (!value.ok()) {
    return value.status();
  }
  const std::optional<std::uint64_t> capacity = absl::GetFlag(FLAGS_capacity);
  const Type type = libatoll::type_of(*value);
  if (absl::GetFlag(FLAGS_pinned)) {
    if (type != Type::kInt64 && type != Type::kDouble) {
      return usage_error(absl::StrFormat("%s cannot be pinned: it is no number", literal));
    }
    return libatoll::pinned_value(*value);
  }
  return capacity.has_value() ? libatoll::with_capacity(*value, *capacity) : Init(*value);
}

template <typename Values>
absl::StatusOr<List> create(const std::string& name, const Values& values) {
  const libatoll::CreateOptions options = {
      .mode = absl::GetFlag(FLAGS_mode).bits,
      .layout = absl::GetFlag(FLAGS_dense) ? libatoll::Layout::kDense : libatoll::Layout::kPadded,
      .report_leak = false};
  return is_path(name) ? List::create_file(name, values, options)
                       : List::create(name, values, options);
}

absl::Status run(const Words& words) {
  const std::string& name = words[0];
  const std::optional<std::uint64_t> fill = absl::GetFlag(FLAGS_fill);
  if (fill.has_value() && words.size() != 2) {
    return usage_error("--fill takes one value");
  }
  if (absl::GetFlag(FLAGS_pinned) && absl::GetFlag(FLAGS_capacity).has_value()) {
    return usage_error("a pinned slot has no capacity: --pinned or --capacity");
  }
  std::vector<Init> values;
  for (std::size_t i = 1; i < words.size(); ++i) {
    absl::StatusOr<Init> init = init_of(words[i]);
    if (!init.ok()) {
      return init.status();
    }
    values.push_back(*std::move(init));
  }
  const absl::StatusOr<List> list = fill.has_value()
                                        ? create(name, libatoll::fill(*fill, values.front()))
                                        : create(name, std::span<const Init>(values));
  if (!list.ok()) {
    return list.status();
  }
  if (wants_json()) {
    print(
        {{"name", text_to_json(list->name())}, {"slots", list->size()}, {"bytes", list->bytes()}});
  } else {
    absl::PrintF("%s\n", printable(list->name()));
  }
  return absl::OkStatus();
}

}  // namespace

const Command kCreate = {
    .name = "create",
    .arguments = "NAME [VALUE]...",
    .summary = "make a list, one slot for each value",
    .description =
        R"(Makes a list with a slot for each value, and prints its name. An empty NAME makes one up.
The list stays until it is removed, also when nobody uses it: see `atoll rm`, `atoll gc`.)",
    .example = R"(  $ atoll create jobs 0 0.5 true none idle --capacity=64
  /jobs
  $ atoll create hits 0 --fill=1000000 --pinned --dense
  /hits)",
    .flags = {"--mode=OCTAL", "--capacity=BYTES", "--pinned", "--fill=COUNT", "--dense", "--json"},
    .run = run,
};

}  // namespace tool
