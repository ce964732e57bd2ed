#include "leak_report.h"

#include <pthread.h>

#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"

#include "label.h"

namespace libatoll::detail {
namespace {

struct Created {
  Place place;
  FileId id;
};

// Never destroyed: lists of static lifetime may be created and closed until the very end.
struct Registry {
  explicit Registry(const Registry* inherited) : parents(inherited) {}

  // Kept in a child of fork, so that it is no leak to who looks for leaks.
  const Registry* const parents;
  std::mutex mutex;
  std::vector<Created> created;
};

Registry* current = new Registry(nullptr);

// What its parent created is not the child's to report; and the mutex may have been taken, by a thread
// that the child does not have.
void begin_anew_in_child() { current = new Registry(current); }

void report() {
  const char* const wanted = std::getenv("ATOLL_LEAK_REPORT");
  if (wanted != nullptr && std::string_view(wanted) == "0") {
    return;
  }
  Registry& all = *current;
  const std::lock_guard lock(all.mutex);
  for (const Created& each : all.created) {
    // Whoever unlinked it, wherever: what counts is whether it is still there.
    if (is_there(each.place, each.id)) {
      absl::FPrintF(stderr,
                    "atoll: %s was created by this process and never unlinked; it stays in shared "
                    "memory (ATOLL_LEAK_REPORT=0 turns this line off)\n",
                    label_of(each.place.name));
    }
  }
}

}  // namespace

void report_leak_at_exit(const Place& place, const FileId& id) {
  static std::once_flag once;
  std::call_once(once, [] {
    pthread_atfork(nullptr, nullptr, begin_anew_in_child);
    std::atexit(report);
  });
  Registry& all = *current;
  const std::lock_guard lock(all.mutex);
  // What is gone need not be remembered: a process may create and unlink lists without end.
  std::erase_if(all.created, [](const Created& each) { return !is_there(each.place, each.id); });
  all.created.push_back({place, id});
}

}  // namespace libatoll::detail
