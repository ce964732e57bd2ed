// What the words and flags of a command mean: the list, a slot of it, a range of slots, a value.

#ifndef ATOLL_TOOLS_LIST_ARGUMENT_H_
#define ATOLL_TOOLS_LIST_ARGUMENT_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "atoll/atoll.h"

namespace tool {

// A:B as in Python: from A on, up to but not including B; either may be missing, a negative one counts
// from the end, and what lies outside is left out.
struct Range {
  std::optional<std::ptrdiff_t> first;
  std::optional<std::ptrdiff_t> end;

  struct Bounds {
    std::size_t first;
    std::size_t end;  // not less than first
  };
  Bounds within(std::size_t size) const;
};
bool AbslParseFlag(absl::string_view text, Range* range, std::string* error);  // NOLINT: Abseil's
std::string AbslUnparseFlag(const Range& range);                               // NOLINT: names

}  // namespace tool

ABSL_DECLARE_FLAG(tool::Range, range);

namespace tool {

// Whether a list of that name lies in the file system rather than in shared memory.
bool is_path(std::string_view name);

enum class Access { kRead, kWrite };
absl::StatusOr<libatoll::List> open_list(std::string_view name, Access access);

// A slot and the list that it belongs to.
struct OpenSlot {
  libatoll::List list;
  libatoll::Slot slot;
};
absl::StatusOr<OpenSlot> open_slot(std::string_view name, std::string_view index, Access access);

// A usage error for what is no literal.
absl::StatusOr<libatoll::Value> parse_literal(const std::string& word);

// The status, and what to do about it.
absl::Status advised(const absl::Status& status, std::string_view advice);

}  // namespace tool

#endif  // ATOLL_TOOLS_LIST_ARGUMENT_H_
