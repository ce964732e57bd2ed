// The C++ side of interchange_test.py: interchange create|check|add NAME.

#include <algorithm>
#include <cstdint>
#include <iostream>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/atoll.h>

namespace {

constexpr int kAdditions = 20000;

int report(const absl::Status& status) {
  std::cerr << status << '\n';
  return 1;
}

int create(const std::string& name) {
  const auto list = atoll::List::create(
      name, {std::numeric_limits<std::int64_t>::min(), 2.5, true, nullptr,
             atoll::text(std::string_view("h\xc3\xa9llo\0", 7), 16),
             atoll::bytes(atoll::BytesView("\0\xff", 2), 8), atoll::pinned(7), atoll::pinned(0.5),
             atoll::text(std::string(100000, 'x'), 100000)});
  return list.ok() ? 0 : report(list.status());
}

int check(const std::string& name) {
  const auto list = atoll::List::attach(name, {.read_only = true});
  if (!list.ok()) {
    return report(list.status());
  }
  const std::vector<atoll::Value> expected = {std::numeric_limits<std::int64_t>::max(),
                                              -0.5,
                                              false,
                                              std::monostate(),
                                              std::string("\xe2\x82\xac\0", 4),
                                              atoll::Bytes("\x01\0", 2),
                                              std::int64_t{8},
                                              1.5,
                                              std::string(100000, 'y')};
  const auto found = list->snapshot();
  if (!found.ok()) {
    return report(found.status());
  }
  const auto same = [](const atoll::Value& a, const atoll::Value& b) {
    return atoll::to_string(a) == atoll::to_string(b);
  };
  if (!std::ranges::equal(*found, expected, same)) {
    std::cerr << "found " << list->to_string().substr(0, 200) << '\n';
    return 1;
  }
  return 0;
}

int add(const std::string& name) {
  const auto list = atoll::List::attach(name);
  if (!list.ok()) {
    return report(list.status());
  }
  for (int i = 0; i < kAdditions; ++i) {
    for (const int slot : {0, 1}) {
      if (const auto previous = (*list)[static_cast<std::size_t>(slot)].fetch_add(1);
          !previous.ok()) {
        return report(previous.status());
      }
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    return 2;
  }
  const std::string_view mode = argv[1];
  const std::string name = argv[2];
  return mode == "create"  ? create(name)
         : mode == "check" ? check(name)
         : mode == "add"   ? add(name)
                           : 2;
}
