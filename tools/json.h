// The JSON that commands print with --json: one document a run. Text that is not UTF-8, bytes, and
// doubles that are not finite have a form of their own, see to_json.
//
// nlohmann-json is optional: without it a Json takes everything in and says nothing, for `check_json`
// has refused --json by then.

#ifndef ATOLL_TOOLS_JSON_H_
#define ATOLL_TOOLS_JSON_H_

#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "atoll/atoll.h"

#if ATOLL_TOOL_JSON
#include <nlohmann/json.hpp>
#endif

ABSL_DECLARE_FLAG(bool, json);

namespace tool {

#if ATOLL_TOOL_JSON
using Json = nlohmann::ordered_json;
#else
struct Json {
  Json() = default;
  template <typename T>
  Json(const T&) {}
  Json(std::initializer_list<Json>) {}
  static Json array() { return {}; }
  void push_back(const Json&) {}
  std::string dump() const { return {}; }
};
#endif

// Whether the output is to be JSON.
bool wants_json();
// FailedPrecondition if it is, and this program cannot.
absl::Status check_json();

// null, true, 1, 0.5, "text"; {"double": "nan"}, {"text": "ff41"} (hex), {"bytes": "00ff"} (hex).
Json to_json(const libatoll::Value& value);
Json text_to_json(std::string_view text);

void print(const Json& document);

// An array that is printed while it grows, an element a line.
class JsonArray {
 public:
  JsonArray();
  JsonArray(const JsonArray&) = delete;
  JsonArray& operator=(const JsonArray&) = delete;
  ~JsonArray();
  void add(const Json& element);

 private:
  bool empty_ = true;
};

}  // namespace tool

#endif  // ATOLL_TOOLS_JSON_H_
