// What a user's first program does, built by installed_consumer.sh from an installation.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include <atoll/atoll.h>

namespace {

int fail(const absl::Status& status) {
  std::cerr << status << '\n';
  return EXIT_FAILURE;
}

}  // namespace

int main() {
  auto list = libatoll::List::create_anonymous({0, libatoll::text("idle", 64)});
  if (!list.ok()) return fail(list.status());

  if (auto previous = (*list)[0].fetch_add(41); !previous.ok()) return fail(previous.status());
  if (auto stored = (*list)[1].store("running, for the moment"); !stored.ok()) return fail(stored);

  auto number = (*list)[0].load<std::int64_t>();
  if (!number.ok()) return fail(number.status());
  auto text = (*list)[1].load<std::string>();
  if (!text.ok()) return fail(text.status());
  return *number == 41 && *text == "running, for the moment" ? EXIT_SUCCESS : EXIT_FAILURE;
}
