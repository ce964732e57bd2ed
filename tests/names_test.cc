// What a test that a signal ends leaves in shared memory: nothing.

#include "names.h"

#include <csignal>
#include <string>

#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "process.h"
#include "sanitizers.h"
#include "testing.h"

namespace {

using libatoll::List;
using libatoll::test::Name;
using process::Child;
using process::must;
using process::UniqueName;

struct Report {
  char names[2][64];
};

volatile std::sig_atomic_t heard = 0;

// The first test, so that the handlers are not there yet.
TEST(Names, LeaveTheLastWordToTheHandlerThatWasThereBefore) {
  Child child([] {
    std::signal(SIGTERM, [](int) { heard = 1; });
    const UniqueName name;
    must(List::create(name.string(), {0}, {.report_leak = false}));
    raise(SIGTERM);
    return heard == 1 && !process::name_exists(name.string()) ? 0 : 1;
  });
  EXPECT_EQ(child.wait(), 0);
}

TEST(Names, AreGoneAlsoWhenASignalEndsTheTest) {
  const Name parents;
  const List stays = must(List::create(parents, {0}));
  for (const int signal : {SIGABRT, SIGSEGV, SIGTERM, SIGINT, SIGALRM}) {
    if (signal == SIGSEGV && !ATOLL_CRASHES_BY_SIGNAL) {
      continue;
    }
    const process::Shared<Report> report;
    Child child([&] {
      const Name one;
      const UniqueName other;
      must(List::create(one, {0}, {.report_leak = false}));
      must(List::create(other.string(), {0}, {.report_leak = false}));
      one.str().copy(report->names[0], sizeof(report->names[0]) - 1);
      other.string().copy(report->names[1], sizeof(report->names[1]) - 1);
      return raise(signal);
    });
    EXPECT_EQ(child.wait_for_signal(), signal);
    for (const char* const name : report->names) {
      EXPECT_TRUE(std::string(name).starts_with("/atoll")) << name;
      const Name adopted(name);
      EXPECT_FALSE(adopted.exists()) << name << " after signal " << signal;
    }
    EXPECT_TRUE(parents.exists()) << "a child leaves its parent's names alone";
  }
}

}  // namespace
