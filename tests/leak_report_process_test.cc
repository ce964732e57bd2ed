// The leak report and unlink_on_close, in programs that are really executed and really end: who
// leaves a named list behind is told so in one line, nobody else is; and nobody's end ever takes away
// what others use.

#include <algorithm>
#include <functional>
#include <map>
#include <thread>

#include "process.h"
#include "sanitizers.h"
#include "testing.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::test::Code;
using libatoll::test::fails;
using process::Child;
using process::must;
using process::name_exists;
using process::UniqueName;

// ---- What the executed programs do --------------------------------------------------------------

using Names = std::vector<std::string>;
using Program = std::function<void(const Names& names)>;

// Stops itself, so that the test can look round and do something meanwhile.
void pause_here() { raise(SIGSTOP); }

// Nobody closes it. It stays reachable, so that no leak checker takes it for lost.
void keep_open(List list) {
  static std::vector<List>& kept = *new std::vector<List>;
  kept.push_back(std::move(list));
}

const std::map<std::string, Program>& programs() {
  static const std::map<std::string, Program>& all = *new std::map<std::string, Program>{
      {"create",
       [](const Names& names) {
         for (const std::string& name : names) {
           must(List::create(name, {1}));
         }
       }},
      {"create_and_keep_open",
       [](const Names& names) { keep_open(must(List::create(names[0], {1}))); }},
      {"create_as_static",
       [](const Names& names) { static const List kList = must(List::create(names[0], {1})); }},
      {"create_closed",
       [](const Names& names) {
         List list = must(List::create(names[0], {1}));
         list.close();
       }},
      {"create_dense",
       [](const Names& names) {
         must(List::create(names[0], {1, "some longer text"}, {.layout = Layout::kDense}));
       }},
      {"open_or_create", [](const Names& names) { must(List::open_or_create(names[0], {1})); }},
      {"create_automatic",
       [](const Names&) {
         const List list = must(List::create("", {1}));
         std::printf("%s\n", list.name().c_str());
       }},
      {"create_unreported",
       [](const Names& names) { must(List::create(names[0], {1}, {.report_leak = false})); }},
      {"create_pause",
       [](const Names& names) {
         const List list = must(List::create(names[0], {1}));
         pause_here();
       }},
      {"create_unlink",
       [](const Names& names) {
         const List list = must(List::create(names[0], {1}));
         must(list.unlink());
       }},
      {"create_unlink_by_name",
       [](const Names& names) {
         must(List::create(names[0], {1}));
         must(List::unlink(names[0]));
       }},
      {"create_twice_under_one_name",
       [](const Names& names) {
         must(List::create(names[0], {1}));
         must(List::unlink(names[0]));
         must(List::create(names[0], {2}));
       }},
      {"create_many_leave_two",
       [](const Names& names) {
         must(List::create(names[0], {1}));
         for (int i = 0; i < 500; ++i) {
           must(must(List::create("", {1})).unlink());
         }
         must(List::create(names[1], {1}));
       }},
      {"fail_to_create",
       [](const Names& names) {
         ATOLL_CHECK(absl::IsAlreadyExists(List::create(names[0], {1}).status()));
       }},
      {"create_quick_exit",
       [](const Names& names) {
         must(List::create(names[0], {1}));
         _exit(0);
       }},
      {"create_abort",
       [](const Names& names) {
         must(List::create(names[0], {1}));
         raise(SIGKILL);
       }},
      {"create_fork_child_exits",
       [](const Names& names) {
         const List list = must(List::create(names[0], {1}));
         Child child([]() -> int { std::exit(0); });
         ATOLL_CHECK(child.wait() == 0);
         ATOLL_CHECK(name_exists(names[0]));
       }},
      {"child_of_fork_creates",
       [](const Names& names) {
         const List list = must(List::create(names[0], {1}));
         Child child([&]() -> int {
           must(List::create(names[1], {1}));
           std::exit(0);
         });
         ATOLL_CHECK(child.wait() == 0);
         must(list.unlink());
       }},
      {"file",
       [](const Names& names) { must(List::create_file(process::path_of(names[0]), {1})); }},
      {"no_name",
       [](const Names&) {
         keep_open(must(List::create_anonymous({1})));
         static auto* const kMemory = new libatoll::test::Memory(4096);
         keep_open(must(List::create_in(kMemory->span(), {1})));
       }},
      {"attach",
       [](const Names& names) {
         keep_open(must(List::attach(names[0])));
         keep_open(must(List::attach(names[0], {.read_only = true})));
         const List list = must(List::attach(names[0]));
         must(list[0].fetch_add(1));
       }},
      {"attach_pause",
       [](const Names& names) {
         const List list = must(List::attach(names[0]));
         must(list[0].fetch_add(1));
         pause_here();
       }},
      {"unlink_on_close",
       [](const Names& names) {
         {
           const List list = must(List::create(names[0], {1}, {.unlink_on_close = true}));
           ATOLL_CHECK(name_exists(names[0]));
           pause_here();
         }
         ATOLL_CHECK(!name_exists(names[0]));
       }},
      {"unlink_on_close_as_static",
       [](const Names& names) {
         static const List kList = must(List::create(names[0], {1}, {.unlink_on_close = true}));
       }},
      {"unlink_on_close_never_closed",
       [](const Names& names) {
         keep_open(must(List::create(names[0], {1}, {.unlink_on_close = true})));
       }},
      {"unlink_on_close_fork",
       [](const Names& names) {
         List list = must(List::create(names[0], {1}, {.unlink_on_close = true}));
         Child closing([&]() -> int {
           list.close();
           std::exit(0);
         });
         ATOLL_CHECK(closing.wait() == 0);
         ATOLL_CHECK(name_exists(names[0])) << "a child's close took the name";
         Child destroying([&]() -> int {
           { const List mine = std::move(list); }
           std::exit(0);
         });
         ATOLL_CHECK(destroying.wait() == 0);
         ATOLL_CHECK(name_exists(names[0])) << "a child's destruction took the name";
         must(list[0].store(3));
       }},
  };
  return all;
}

int run(const std::string& program, const Names& names) {
  process::in_child = true;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  programs().at(program)(names);
  return 0;  // from main: a normal end
}

// ---- Executing them -----------------------------------------------------------------------------

// A file in memory, read when whoever writes to it has ended.
class Output {
 public:
  Output() : fd_(memfd_create("output", MFD_CLOEXEC)) { ATOLL_CHECK(fd_ >= 0); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() { close(fd_); }
  int fd() const { return fd_; }
  std::vector<std::string> lines() const {
    std::string text(static_cast<std::size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    ATOLL_CHECK(pread(fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
      lines.push_back(line);
    }
    return lines;
  }

 private:
  int fd_;
};

class Executed {
 public:
  explicit Executed(const std::string& program, const Names& names = {},
                    const char* leak_report = nullptr)
      : child_([&]() -> int {
          dup2(output_.fd(), STDOUT_FILENO);
          dup2(errors_.fd(), STDERR_FILENO);
          unsetenv("ATOLL_LEAK_REPORT");
          if (leak_report != nullptr) {
            setenv("ATOLL_LEAK_REPORT", leak_report, 1);
          }
          std::vector<std::string> words = {"leak_report_process_test", "run", program};
          words.insert(words.end(), names.begin(), names.end());
          std::vector<char*> argv;
          for (std::string& each : words) {
            argv.push_back(each.data());
          }
          argv.push_back(nullptr);
          execv("/proc/self/exe", argv.data());
          return process::kChildFailed;
        }) {}

  Child& child() { return child_; }
  // What it has said on stderr, once it has ended well.
  std::vector<std::string> finish() {
    EXPECT_EQ(child_.wait(), 0) << absl::StrCat(errors_.lines().empty() ? "" : errors_.lines()[0]);
    return errors_.lines();
  }
  std::vector<std::string> errors() const { return errors_.lines(); }
  std::vector<std::string> output() const { return output_.lines(); }

 private:
  Output output_;
  Output errors_;
  Child child_;
};

// One line that names the list.
::testing::AssertionResult is_report_of(const std::vector<std::string>& lines, const Names& names) {
  if (lines.size() == names.size()) {
    std::size_t found = 0;
    for (const std::string& name : names) {
      found += static_cast<std::size_t>(
          std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
            return line.starts_with("atoll: ") && line.find("'" + name + "'") != line.npos &&
                   line.find("never unlinked") != line.npos;
          }));
    }
    if (found == names.size()) {
      return ::testing::AssertionSuccess();
    }
  }
  auto failure = ::testing::AssertionFailure() << "expected " << names.size() << " lines, got:";
  for (const std::string& line : lines) {
    failure << "\n  " << line;
  }
  return failure;
}

const Names kNothing;

// ---- Who is told --------------------------------------------------------------------------------

TEST(LeakReport, OneLineForEachListLeftBehind) {
  int reports = 0;
  for (const char* program : {"create", "create_and_keep_open", "create_as_static", "create_closed",
                              "create_dense", "open_or_create"}) {
    const UniqueName name;
    EXPECT_TRUE(is_report_of(Executed(program, {name.string()}).finish(), {name.string()}))
        << program;
    // It only says so.
    EXPECT_EQ(must(must(List::attach(name.string()))[0].load<std::int64_t>()), 1) << program;
    ++reports;
  }
  const UniqueName first;
  const UniqueName second;
  const UniqueName third;
  const Names all = {first.string(), second.string(), third.string()};
  EXPECT_TRUE(is_report_of(Executed("create", all).finish(), all));
  ATOLL_SUMMARY("%d programs left a list behind and were told so, one left three", reports);
}

TEST(LeakReport, NamesAListThatWasNamedAutomatically) {
  Executed program("create_automatic");
  const std::vector<std::string> lines = program.finish();
  ASSERT_EQ(program.output().size(), 1U);
  const std::string name = program.output()[0];
  EXPECT_TRUE(name.starts_with("/atoll_")) << name;
  EXPECT_TRUE(is_report_of(lines, {name}));
  EXPECT_TRUE(List::unlink(name).ok());
}

TEST(LeakReport, OnlyWhatIsStillThere) {
  const UniqueName first;
  const UniqueName second;
  EXPECT_TRUE(
      is_report_of(Executed("create_many_leave_two", {first.string(), second.string()}).finish(),
                   {first.string(), second.string()}));
  const UniqueName twice;
  EXPECT_TRUE(is_report_of(Executed("create_twice_under_one_name", {twice.string()}).finish(),
                           {twice.string()}));
}

TEST(LeakReport, NobodyElse) {
  int silent = 0;
  const auto says_nothing = [&](const char* program, const Names& names,
                                const char* variable = nullptr) {
    EXPECT_TRUE(is_report_of(Executed(program, names, variable).finish(), kNothing)) << program;
    ++silent;
  };
  {
    const UniqueName name;
    says_nothing("create_unlink", {name.string()});
    says_nothing("create_unlink_by_name", {name.string()});
    EXPECT_FALSE(name_exists(name.string()));
    says_nothing("create_unreported", {name.string()});
    EXPECT_TRUE(name_exists(name.string()));
    // It exists by now, and belongs to somebody else.
    says_nothing("fail_to_create", {name.string()});
    says_nothing("open_or_create", {name.string()});
    says_nothing("attach", {name.string()});
    EXPECT_TRUE(name_exists(name.string()));
  }
  {
    const UniqueName name;
    says_nothing("create", {name.string()}, "0");
    EXPECT_TRUE(name_exists(name.string()));
  }
  {
    const UniqueName name;
    says_nothing("create_quick_exit", {name.string()});
    EXPECT_TRUE(name_exists(name.string()));
  }
  {
    const UniqueName name;  // of a file in the same directory, which is meant to stay
    says_nothing("file", {name.string()});
    EXPECT_TRUE(name_exists(name.string()));
  }
  says_nothing("no_name", {});
  ATOLL_SUMMARY("%d programs had nothing to be told", silent);
}

TEST(LeakReport, TheVariableTurnsItOffWith0Alone) {
  for (const char* value : {"", "1", "00"}) {
    const UniqueName name;
    EXPECT_TRUE(is_report_of(Executed("create", {name.string()}, value).finish(), {name.string()}))
        << "ATOLL_LEAK_REPORT=" << value;
  }
}

TEST(LeakReport, NotFromTheGrave) {
  const UniqueName name;
  Executed program("create_abort", {name.string()});
  EXPECT_EQ(program.child().wait_for_signal(), SIGKILL);
  EXPECT_TRUE(is_report_of(program.errors(), kNothing));
  EXPECT_TRUE(name_exists(name.string()));
}

// Somebody else unlinks it while its creator still runs.
TEST(LeakReport, UnlinkedByAnotherProcess) {
  const UniqueName name;
  Executed program("create_pause", {name.string()});
  ASSERT_TRUE(program.child().wait_stopped());
  must(must(List::attach(name.string())).unlink());
  program.child().resume();
  EXPECT_TRUE(is_report_of(program.finish(), kNothing));
}

// The name is there, but is that of another list.
TEST(LeakReport, ReplacedByAnotherProcess) {
  const UniqueName name;
  Executed program("create_pause", {name.string()});
  ASSERT_TRUE(program.child().wait_stopped());
  must(List::unlink(name.string()));
  const List other = must(List::create(name.string(), {2}, {.report_leak = false}));
  program.child().resume();
  EXPECT_TRUE(is_report_of(program.finish(), kNothing));
  EXPECT_EQ(must(must(List::attach(name.string()))[0].load<std::int64_t>()), 2);
}

// Forked children have all that their parent has, but did not create it.
TEST(LeakReport, NotByChildrenOfFork) {
  {
    const UniqueName name;
    EXPECT_TRUE(is_report_of(Executed("create_fork_child_exits", {name.string()}).finish(),
                             {name.string()}))
        << "the parent once, the child never";
  }
  const UniqueName parents;
  const UniqueName childs;
  EXPECT_TRUE(
      is_report_of(Executed("child_of_fork_creates", {parents.string(), childs.string()}).finish(),
                   {childs.string()}))
      << "what the child created, it answers for itself";
}

// A thread creates and unlinks without end while the process forks children that end normally: none
// of them may hang in the report.
TEST(LeakReport, ForkWhileAThreadCreates) {
  ATOLL_NEEDS_FORK_BESIDE_THREADS();
  constexpr int kForks = 150;
  std::atomic<bool> stop = false;
  std::atomic<std::int64_t> created = 0;
  std::thread creator([&] {
    while (!stop) {
      must(must(List::create("", {1})).unlink());
      ++created;
    }
  });
  int hung = 0;
  int forks = 0;
  for (; forks < kForks && hung == 0; ++forks) {
    Child child([]() -> int { std::exit(0); });
    int status = 0;
    const pid_t pid = child.pid();
    siginfo_t info = {};
    const bool ended = process::wait_until(
        [&] {
          return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                 info.si_pid == pid;
        },
        std::chrono::seconds(20));
    static_cast<void>(status);
    if (ended) {
      EXPECT_EQ(child.wait(), 0);
    } else {
      ++hung;  // ~Child kills it
    }
  }
  stop = true;
  creator.join();
  EXPECT_EQ(hung, 0) << "a child hung at its exit, after " << forks << " forks";
  EXPECT_GT(created, 0);
  ATOLL_SUMMARY("%d children ended while a thread created %lld lists", forks,
                static_cast<long long>(created.load()));
}

// ---- unlink_on_close ----------------------------------------------------------------------------

TEST(UnlinkOnClose, TakesTheNameAndLeavesTheList) {
  const UniqueName name;
  Executed program("unlink_on_close", {name.string()});
  ASSERT_TRUE(program.child().wait_stopped());
  const List user = must(List::attach(name.string()));
  program.child().resume();
  EXPECT_TRUE(is_report_of(program.finish(), kNothing));
  EXPECT_FALSE(name_exists(name.string()));
  must(user[0].store(5));
  EXPECT_EQ(must(user[0].load<std::int64_t>()), 5) << "whoever has it open keeps it";
  EXPECT_EQ(user.participants(), 1U);
}

TEST(UnlinkOnClose, AtTheEndOfTheProgram) {
  {
    const UniqueName name;
    EXPECT_TRUE(
        is_report_of(Executed("unlink_on_close_as_static", {name.string()}).finish(), kNothing));
    EXPECT_FALSE(name_exists(name.string()));
  }
  const UniqueName name;
  EXPECT_TRUE(is_report_of(Executed("unlink_on_close_never_closed", {name.string()}).finish(),
                           {name.string()}))
      << "nobody closed it";
  EXPECT_TRUE(name_exists(name.string()));
}

TEST(UnlinkOnClose, NotInChildrenOfFork) {
  const UniqueName name;
  EXPECT_TRUE(is_report_of(Executed("unlink_on_close_fork", {name.string()}).finish(), kNothing));
  EXPECT_FALSE(name_exists(name.string())) << "its creator did";
}

TEST(UnlinkOnClose, NotTheNameOfAnotherList) {
  const UniqueName name;
  Executed program("unlink_on_close", {name.string()});
  ASSERT_TRUE(program.child().wait_stopped());
  must(List::unlink(name.string()));
  must(List::create(name.string(), {2}, {.report_leak = false}));
  program.child().resume();
  // It wonders that a name is there, which shows that its list was closed.
  EXPECT_EQ(program.child().wait(), process::kChildFailed);
  EXPECT_EQ(must(must(List::attach(name.string()))[0].load<std::int64_t>()), 2);
}

TEST(UnlinkOnClose, OnceHoweverOftenItIsMoved) {
  const UniqueName name;
  List first = must(List::create(name.string(), {1}, {.unlink_on_close = true}));
  List second = std::move(first);
  EXPECT_TRUE(name_exists(name.string()));
  {
    const UniqueName other;
    second = must(List::create(other.string(), {2}, {.unlink_on_close = true}));
    EXPECT_FALSE(name_exists(name.string())) << "assigning closes";
    EXPECT_TRUE(name_exists(other.string()));
    second.close();
    EXPECT_FALSE(name_exists(other.string()));
    // Nor does it come back to a list that takes the name later.
    must(List::create(other.string(), {3}, {.report_leak = false}));
    second.close();
    EXPECT_TRUE(name_exists(other.string()));
  }
}

// ---- Attachers ----------------------------------------------------------------------------------

// CPython's gh-82300: there, the end of any process that had attached destroys the memory of all.
TEST(Attachers, TakeNothingWithThem) {
  const UniqueName name;
  const List list = must(List::create(name.string(), {0}, {.report_leak = false}));
  constexpr int kRounds = 5;
  for (int i = 0; i < kRounds; ++i) {
    EXPECT_TRUE(is_report_of(Executed("attach", {name.string()}).finish(), kNothing));
    Executed killed("attach_pause", {name.string()});
    ASSERT_TRUE(killed.child().wait_stopped());
    EXPECT_EQ(list.participants(), 2U);
    ASSERT_TRUE(killed.child().kill());
    EXPECT_EQ(list.participants(), 1U);
    ASSERT_TRUE(name_exists(name.string()));
  }
  EXPECT_EQ(must(list[0].load<std::int64_t>()), 2 * kRounds);
  EXPECT_EQ(must(must(List::attach(name.string()))[0].load<std::int64_t>()), 2 * kRounds);
  must(list.unlink());
}

TEST(Attachers, OutliveTheCreatorHoweverItEnds) {
  for (const bool killed : {false, true}) {
    const UniqueName name;
    Executed creator("create_pause", {name.string()});
    ASSERT_TRUE(creator.child().wait_stopped());
    const List user = must(List::attach(name.string()));
    if (killed) {
      ASSERT_TRUE(creator.child().kill());
    } else {
      creator.child().resume();
      EXPECT_TRUE(is_report_of(creator.finish(), {name.string()}));
    }
    EXPECT_EQ(must(user[0].fetch_add(1)), 1);
    EXPECT_EQ(must(must(List::attach(name.string()))[0].load<std::int64_t>()), 2);
    must(user.unlink());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "run") {
    return run(argv[2], Names(argv + 3, argv + argc));
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
