// Values as people read and write them: whatever is printed reads back the same, and whatever is read,
// arbitrary text, prints as something that reads back the same.

#include <algorithm>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "atoll/value.h"

#include "input.h"
#include "process.h"
#include "values.h"

namespace {

using libatoll::Bytes;
using libatoll::Type;
using libatoll::Value;
using libatoll::ValueView;

// A way to write values and to read them. Another one is a line in kNotations.
struct Notation {
  std::string (*print)(const ValueView& value);
  absl::StatusOr<Value> (*parse)(std::string_view literal);
};
constexpr Notation kNotations[] = {
    {libatoll::to_string, libatoll::parse_value},
};

fuzz::Tally printed("values printed and read back");
fuzz::Tally read("texts read as a value that is not text");
fuzz::Tally read_as_text("texts read as text");
fuzz::Tally refused("texts refused");

void print_and_read_back(const Notation& notation, const Value& value) {
  const std::string literal = notation.print(value);
  ATOLL_CHECK(libatoll::test::prints(literal)) << "does not print: " << absl::CHexEscape(literal);
  const absl::StatusOr<Value> again = notation.parse(literal);
  ATOLL_CHECK(again.ok()) << again.status();
  ATOLL_CHECK(libatoll::test::reads_the_same(*again, value)) << literal << " reads as " << *again;
  printed.add();
}

// "-7" for "-007", "0" for "-0".
std::string without_leading_zeros(std::string_view digits) {
  const std::string_view sign = digits.substr(0, digits.starts_with('-') ? 1 : 0);
  digits.remove_prefix(std::min(digits.find_first_not_of("-0"), digits.size()));
  return digits.empty() ? "0" : std::string(sign) + std::string(digits);
}

void parse(const Notation& notation, std::string_view text) {
  const absl::StatusOr<Value> value = notation.parse(text);
  if (!value.ok()) {
    ATOLL_CHECK(absl::IsInvalidArgument(value.status())) << value.status();
    ATOLL_CHECK(!value.status().message().empty());
    refused.add();
    return;
  }
  (type_of(*value) == Type::kText ? read_as_text : read).add();
  if (type_of(*value) == Type::kText && !text.starts_with('"')) {
    ATOLL_CHECK(std::get<std::string>(*value) == text) << "text without quotes stands for itself";
  }
  if (type_of(*value) == Type::kInt64) {
    ATOLL_CHECK(notation.print(*value) == without_leading_zeros(text)) << *value;
  }
  if (type_of(*value) == Type::kNone || type_of(*value) == Type::kBool ||
      type_of(*value) == Type::kBytes) {
    ATOLL_CHECK(notation.print(*value) == absl::AsciiStrToLower({text.data(), text.size()}))
        << "there is one way to write it, but for capital hex digits";
  }
  print_and_read_back(notation, *value);
}

Value draw_value(fuzz::Input& input) {
  switch (static_cast<Type>(input.below(6))) {
    case Type::kNone:
      return {};
    case Type::kBool:
      return input.flip();
    case Type::kInt64:
      return input.draw<std::int64_t>();
    case Type::kDouble:
      return input.draw<double>();
    case Type::kText:
      return std::string(input.rest());
    case Type::kBytes:
      break;
  }
  return Bytes(std::string(input.rest()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool is_literal = input.flip();
  const Value value = is_literal ? Value() : draw_value(input);
  const std::string_view literal = input.rest();
  for (const Notation& notation : kNotations) {
    is_literal ? parse(notation, literal) : print_and_read_back(notation, value);
  }
  return 0;
}
