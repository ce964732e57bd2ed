// A tour: make a list, find it again by its name, read and write its slots, and let it go.
//
//   tour [NAME]        NAME is what the second list is called, /my_list if not given

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include "absl/cleanup/cleanup.h"
#include <atoll/atoll.h>

namespace {

absl::Status tour(const std::string& name) {
  // Five numbers. Without a name of yours the list makes up one.
  absl::StatusOr<atoll::List> zeros = atoll::List::create("", {0, 0, 0, 0, 0});
  if (!zeros.ok()) {
    return zeros.status();
  }
  std::cout << *zeros << '\n';
  // A list stays until somebody unlinks it, even when no process uses it any more.
  if (absl::Status unlinked = zeros->unlink(); !unlinked.ok()) {
    return unlinked;
  }

  // The values may be of different types: none, bool, int64, double, text and bytes. Text has the
  // room that it needs at first, or as much as you reserve: here 32 bytes.
  absl::StatusOr<atoll::List> list =
      atoll::List::create(name, {0, 1.0, atoll::text("test", 32), true, nullptr});
  if (!list.ok()) {
    return list.status();
  }
  const absl::Cleanup unlink = [&list] { list->unlink().IgnoreError(); };  // on every way out
  std::cout << *list << '\n';

  // Any process of this user attaches by the name. It gets the same list, not a copy.
  absl::StatusOr<atoll::List> same = atoll::List::attach(name);
  if (!same.ok()) {
    return same.status();
  }

  // What one of them writes, the other reads. The length of the list is fixed; types are not.
  absl::Status written = (*list)[1].store(1000);
  written.Update((*list)[2].store("a longer text than before"));
  written.Update((*list)[4].store("was none"));
  if (!written.ok()) {
    return written;
  }
  std::cout << *same << '\n';
  std::cout << "slot 2: " << (*same)[2] << '\n';

  // Load the type that you expect; any other is an error, and nothing is converted.
  absl::StatusOr<std::int64_t> number = (*same)[1].load<std::int64_t>();
  if (!number.ok()) {
    return number.status();
  }
  std::cout << "slot 1: " << *number << '\n';
  std::cout << "slot 2 as a number: " << (*same)[2].load<std::int64_t>().status() << '\n';

  // Read, add and write in one step, which no other process can come between.
  absl::StatusOr<std::int64_t> previous = (*same)[1].fetch_add(24);
  if (!previous.ok()) {
    return previous.status();
  }
  std::cout << "slot 1: " << *previous << " + 24 = " << (*list)[1] << '\n';

  // `at` takes an index that may be wrong, and one from the end.
  absl::StatusOr<atoll::Slot> last = list->at(-1);
  if (!last.ok()) {
    return last.status();
  }
  std::cout << "last slot: " << *last << '\n';
  std::cout << "no such slot: " << list->at(5).status() << '\n';

  // How many slots have a value, and which is the first?
  absl::StatusOr<std::size_t> count = list->count(1024);
  absl::StatusOr<std::optional<std::size_t>> index = list->index(1024);
  if (!count.ok() || !index.ok()) {
    return count.ok() ? index.status() : count.status();
  }
  std::cout << "1024 occurs " << *count << " time, first in slot " << index->value() << '\n';

  // Closing gives the memory of this process back. Unlinking takes the name away.
  same->close();
  list->close();
  if (absl::Status unlinked = list->unlink(); !unlinked.ok()) {
    return unlinked;
  }
  std::cout << "gone: " << atoll::List::attach(name).status() << '\n';
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = tour(argc > 1 ? argv[1] : "/my_list");
  if (!status.ok()) {
    std::cerr << status << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
