// What messages call a list.

#ifndef ATOLL_SRC_LABEL_H_
#define ATOLL_SRC_LABEL_H_

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace libatoll::detail {

// "list '/jobs'", or "the unnamed list" for an empty name.
inline std::string label_of(const std::string& name) {
  return name.empty() ? "the unnamed list" : absl::StrCat("list '", name, "'");
}

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_LABEL_H_
