// What looks at all slots of a list, one by one.

#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "atoll/list.h"

#include "header_cursor.h"

namespace libatoll {

// Calls `found(index)` for each slot that holds `value`, until it returns false.
template <typename Found>
absl::Status List::find(const ValueView& value, Found found) const {
  const auto* const number = std::get_if<std::int64_t>(&value.variant());
  const std::size_t slots = size();
  detail::HeaderCursor headers(view());
  for (std::size_t i = 0; i < slots; ++i) {
    bool equal;
    const detail::Word seen = detail::read(headers.next());
    if (number != nullptr && seen.is_int64()) {
      // What long lists are made of, at the speed of memory.
      equal = detail::from_bits<std::int64_t>(seen.payload) == *number;
    } else {
      const absl::StatusOr<bool> result = (*this)[i].equals(value);
      if (!result.ok()) {
        return result.status();
      }
      equal = *result;
    }
    if (equal && !found(i)) {
      break;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::size_t> List::count(const ValueView& value) const {
  std::size_t found = 0;
  absl::Status status = find(value, [&found](std::size_t) {
    ++found;
    return true;
  });
  if (!status.ok()) {
    return status;
  }
  return found;
}

absl::StatusOr<std::optional<std::size_t>> List::index(const ValueView& value) const {
  std::optional<std::size_t> first;
  absl::Status status = find(value, [&first](std::size_t index) {
    first = index;
    return false;
  });
  if (!status.ok()) {
    return status;
  }
  return first;
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
