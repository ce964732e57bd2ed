// A list across processes: a child that knows nothing but the name changes the list in place.

#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "absl/cleanup/cleanup.h"
#include <atoll/atoll.h>

namespace {

// What the child does.
absl::Status multiply(const std::string& name) {
  absl::StatusOr<atoll::List> list = atoll::List::attach(name);
  if (!list.ok()) {
    return list.status();
  }
  std::cout << *list << std::endl;
  for (const atoll::Slot slot : *list) {
    // Nobody else writes now. Where somebody may, `compare_exchange` stores only if the number is
    // still the one that was multiplied.
    absl::StatusOr<std::int64_t> number = slot.load<std::int64_t>();
    if (!number.ok()) {
      return number.status();
    }
    if (absl::Status stored = slot.store(*number * 10); !stored.ok()) {
      return stored;
    }
  }
  return absl::OkStatus();
}

// Runs this very program once more, with the name as its argument, until it ends.
absl::Status run_child(const std::string& name) {
  const pid_t child = fork();
  if (child < 0) {
    return absl::ErrnoToStatus(errno, "fork");
  }
  if (child == 0) {
    execl("/proc/self/exe", "child", name.c_str(), nullptr);
    _exit(127);
  }
  int how = 0;
  if (waitpid(child, &how, 0) < 0) {
    return absl::ErrnoToStatus(errno, "waitpid");
  }
  return how == 0 ? absl::OkStatus() : absl::AbortedError("the child has failed");
}

absl::Status parent() {
  absl::StatusOr<atoll::List> list = atoll::List::create("", {1, 2, 3, 4, 5});
  if (!list.ok()) {
    return list.status();
  }
  const absl::Cleanup unlink = [&list] { list->unlink().IgnoreError(); };
  std::cout << *list << std::endl;
  if (absl::Status done = run_child(list->name()); !done.ok()) {
    return done;
  }
  std::cout << *list << std::endl;
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = argc > 1 ? multiply(argv[1]) : parent();
  if (!status.ok()) {
    std::cerr << status << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
