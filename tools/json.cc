#include "json.h"

#include <cmath>
#include <cstdio>
#include <variant>

#include "absl/flags/flag.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_format.h"

#include "escape.h"

ABSL_FLAG(bool, json, false, "print one JSON document");

namespace tool {
namespace {

Json in_hex(const char* type, std::string_view bytes) {
  return {{type, absl::BytesToHexString({bytes.data(), bytes.size()})}};
}

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool truth) const { return truth; }
  Json operator()(std::int64_t number) const { return number; }
  Json operator()(double number) const {
    if (std::isfinite(number)) {
      return number;
    }
    return {{"double", libatoll::to_string(number)}};
  }
  Json operator()(const std::string& text) const { return text_to_json(text); }
  Json operator()(const libatoll::Bytes& bytes) const { return in_hex("bytes", bytes.as_string()); }
};

}  // namespace

bool wants_json() { return absl::GetFlag(FLAGS_json); }

absl::Status check_json() {
  if (wants_json() && ATOLL_TOOL_JSON == 0) {
    return absl::FailedPreconditionError(
        "this atoll was built without JSON; build it where nlohmann-json is installed");
  }
  return absl::OkStatus();
}

Json to_json(const libatoll::Value& value) { return std::visit(ToJson(), value); }

Json text_to_json(std::string_view text) {
  return libatoll::detail::is_utf8(text) ? Json(std::string(text)) : in_hex("text", text);
}

void print(const Json& document) { absl::PrintF("%s\n", document.dump()); }

JsonArray::JsonArray() { absl::PrintF("["); }
JsonArray::~JsonArray() { absl::PrintF("%s]\n", empty_ ? "" : "\n"); }

void JsonArray::add(const Json& element) {
  absl::PrintF("%s%s", empty_ ? "\n" : ",\n", element.dump());
  empty_ = false;
}

}  // namespace tool
