// What looks at all slots of a list, one by one.

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "atoll/list.h"

namespace libatoll {

absl::StatusOr<std::size_t> List::count(const ValueView& value) const {
  std::size_t found = 0;
  for (const Slot slot : *this) {
    const absl::StatusOr<bool> equal = slot.equals(value);
    if (!equal.ok()) {
      return equal.status();
    }
    found += *equal ? 1 : 0;
  }
  return found;
}

absl::StatusOr<std::optional<std::size_t>> List::index(const ValueView& value) const {
  for (const Slot slot : *this) {
    const absl::StatusOr<bool> equal = slot.equals(value);
    if (!equal.ok()) {
      return equal.status();
    }
    if (*equal) {
      return slot.index();
    }
  }
  return std::nullopt;
}

absl::StatusOr<std::string> List::format() const {
  std::string codes;
  for (const Slot slot : *this) {
    const absl::StatusOr<Type> type = slot.type();
    if (!type.ok()) {
      return type.status();
    }
    switch (*type) {
      case Type::kNone:
        codes += "xxxxxx?x";
        break;
      case Type::kBool:
        codes += "xxxxxxx?";
        break;
      case Type::kInt64:
        codes += "q";
        break;
      case Type::kDouble:
        codes += "d";
        break;
      case Type::kText:
      case Type::kBytes: {
        const absl::StatusOr<std::size_t> capacity = slot.capacity();
        if (!capacity.ok()) {
          return capacity.status();
        }
        absl::StrAppend(&codes, *capacity, "s");
        break;
      }
    }
  }
  return codes;
}

std::string List::to_string() const {
  std::string text = "List([";
  for (const Slot slot : *this) {
    const absl::StatusOr<Value> value = slot.load();
    absl::StrAppend(&text, slot.index() == 0 ? "" : ", ",
                    value.ok() ? libatoll::to_string(*value) : "<DataLoss>");
  }
  text += "]";
  if (!name().empty()) {
    absl::StrAppend(&text, ", name='", name(), "'");
  }
  return text + ")";
}

std::ostream& operator<<(std::ostream& out, const List& list) { return out << list.to_string(); }

}  // namespace libatoll
