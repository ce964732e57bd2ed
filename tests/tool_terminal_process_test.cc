// The `atoll` command on a terminal, `atoll watch`, and the whole of it as a new user meets it.

#include <sys/syscall.h>

#include <regex>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

#include "process.h"
#include "testing.h"
#include "tool.h"

namespace {

using libatoll::List;
using libatoll::test::Name;
using process::Child;
using process::must;
using process::wait_until;
using tool_test::atoll;
using tool_test::AtSystemCalls;
using tool_test::read_json;
using tool_test::Result;
using tool_test::run_atoll;
using tool_test::Running;
using tool_test::Terminal;

constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l";
constexpr std::string_view kLeave = "\x1b[?25h\x1b[?1049l";
constexpr std::string_view kNews = "\x1b[33m";  // the colour of a slot that has changed

struct Held {
  explicit Held(const libatoll::Fill& values)
      : list(must(List::create(name, values, {.layout = libatoll::Layout::kDense}))) {}
  Name name;
  List list;
};

// ---- Colour -------------------------------------------------------------------------------------

TEST(ToolColour, IsForTerminalsThatWantIt) {
  const Held held(libatoll::fill(3, 7));
  const auto shown = [&](std::initializer_list<std::pair<const char*, const char*>> environment) {
    Terminal terminal(atoll({"show", held.name.str()}), 24, 80, environment);
    EXPECT_EQ(terminal.child().wait(), 0);
    return terminal.output();
  };
  EXPECT_NE(shown({}).find("\x1b[2m"), std::string::npos);
  EXPECT_NE(shown({{"NO_COLOR", ""}}).find("\x1b[2m"), std::string::npos) << "empty is not set";
  EXPECT_EQ(shown({{"NO_COLOR", "1"}}).find('\x1b'), std::string::npos);
  EXPECT_EQ(shown({{"TERM", "dumb"}}).find('\x1b'), std::string::npos);
  EXPECT_EQ(run_atoll({"show", held.name.str()}).out.find('\x1b'), std::string::npos);
}

TEST(ToolColour, ValuesFromSharedMemoryMoveNoCursor) {
  const Name name;
  const List list = must(List::create(name, {"\x1b[2J",
                                             "\xc2\x9b"
                                             "2J"}));
  Terminal terminal(atoll({"show", name.str()}), 24, 80, {{"NO_COLOR", "1"}});
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_NE(terminal.output().find("\"\\x1b[2J\""), std::string::npos);
  EXPECT_EQ(terminal.output().find('\x1b'), std::string::npos);
  EXPECT_EQ(terminal.output().find("\xc2\x9b"), std::string::npos);
}

// ---- watch on a terminal ------------------------------------------------------------------------

class ToolWatch : public ::testing::Test {
 protected:
  Terminal& watch(const Held& held, unsigned short rows = 10,
                  const std::string& interval = "20ms") {
    terminal_ = std::make_unique<Terminal>(
        atoll({"watch", held.name.str(), "--interval=" + interval}), rows, 60);
    EXPECT_TRUE(terminal_->shows(kEnter));
    EXPECT_TRUE(terminal_->shows(held.name.str())) << terminal_->output();
    EXPECT_FALSE(terminal_->is_as_it_was()) << "keys come at once and are not echoed";
    return *terminal_;
  }
  ::testing::AssertionResult is_left() {
    const std::string& output = terminal_->output();
    if (!output.ends_with(kLeave)) {
      return ::testing::AssertionFailure() << "the screen is not left";
    }
    return terminal_->is_as_it_was()
               ? ::testing::AssertionSuccess()
               : ::testing::AssertionFailure() << "the keys are not as before";
  }
  std::unique_ptr<Terminal> terminal_;
};

TEST_F(ToolWatch, ShowsWhatChangesAndHowOften) {
  const Held held(libatoll::fill(3, 0));
  Terminal& terminal = watch(held);
  EXPECT_TRUE(terminal.shows("3 slots, 1 live"));
  EXPECT_TRUE(terminal.shows("0 to 3 of 3"));
  must(held.list[1].store(4711));
  EXPECT_TRUE(terminal.shows("  4711"));
  const std::regex row("\x1b\\[33m       1 +[0-9]+\\.[0-9]  47[0-9]+\x1b\\[0m");
  EXPECT_TRUE(wait_until([&] {
    must(held.list[1].fetch_add(1));
    return std::regex_search(terminal.output(), row);
  }));
  terminal.type("\x03");
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

TEST_F(ToolWatch, SaysOfAPinnedSlotThatItChanged) {
  const Held held(libatoll::fill(2, libatoll::pinned(0)));
  Terminal& terminal = watch(held);
  const std::regex row("       0       some  [0-9]+\x1b");
  EXPECT_TRUE(wait_until([&] {
    must(held.list[0].fetch_add(1));
    return std::regex_search(terminal.output(), row);
  }));
  terminal.type("q");
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

TEST_F(ToolWatch, PagesThroughAMillionSlots) {
  const Held held(libatoll::fill(1'000'000, 7));
  Terminal& terminal = watch(held);
  EXPECT_TRUE(terminal.shows("0 to 7 of 1000000"));
  const auto leads_to = [&](std::string_view key, std::string_view page) {
    terminal.forget();
    terminal.type(key);
    return terminal.shows(page);
  };
  EXPECT_TRUE(leads_to("n", "7 to 14 of 1000000"));
  EXPECT_TRUE(leads_to(" ", "14 to 21 of"));
  EXPECT_TRUE(leads_to("\x1b[5~", "7 to 14 of"));
  EXPECT_TRUE(leads_to("p", "0 to 7 of"));
  EXPECT_TRUE(leads_to("p", "0 to 7 of"));
  EXPECT_TRUE(leads_to("G", "999993 to 1000000 of"));
  EXPECT_TRUE(leads_to("n", "999993 to 1000000 of"));
  EXPECT_TRUE(leads_to("x", "999993 to 1000000 of")) << "means nothing";
  must(held.list[999'999].store(4711));
  EXPECT_TRUE(terminal.shows("  4711"));
  EXPECT_TRUE(leads_to("g", "0 to 7 of"));
  terminal.resize(23, 60);
  EXPECT_TRUE(terminal.shows("0 to 20 of 1000000"));
  terminal.type("q");
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

TEST_F(ToolWatch, LeavesTheTerminalAsItWasHoweverItEnds) {
  const Held held(libatoll::fill(3, 0));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Terminal& terminal = watch(held);
    kill(terminal.child().pid(), signal);
    EXPECT_EQ(terminal.child().wait(), 0) << signal;
    EXPECT_TRUE(is_left()) << signal;
  }
  const Result counted = run_atoll({"watch", held.name.str(), "--interval=1ms", "--count=2"});
  EXPECT_EQ(counted.code, 0);
}

// Whether the process sleeps in a system call of that number.
bool is_in_system_call(pid_t pid, int number) {
  const std::string now = libatoll::test::read_file(absl::StrCat("/proc/", pid, "/syscall"));
  return now.starts_with(absl::StrCat(number, " "));
}

TEST_F(ToolWatch, HearsSignalsWhileTheTerminalTakesNothing) {
  const Held held(libatoll::fill(100, 0));
  Terminal& terminal = watch(held, 60);
  // Nobody reads. It stays in the write for ever now, and not, as before, in ppoll.
  ASSERT_TRUE(wait_until([&] {
    for (int i = 0; i < 100; ++i) {
      if (!is_in_system_call(terminal.child().pid(), SYS_write)) {
        return false;
      }
      const timespec pause = {.tv_sec = 0, .tv_nsec = 1'000'000};
      nanosleep(&pause, nullptr);
    }
    return true;
  }));
  // The first one ends the frame, the second one the leaving of the screen, which waits, too.
  ASSERT_TRUE(wait_until([&, pid = terminal.child().pid()] {
    if (is_in_system_call(pid, SYS_write)) {
      kill(pid, SIGINT);  // not later, on its way out, where a signal is what it is for any program
    }
    siginfo_t info = {};
    return waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == pid;
  }));
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(terminal.is_as_it_was());
}

// A signal that comes while it draws, when it looks at nothing but its frame, is not slept over.
TEST_F(ToolWatch, EndsAtOnceAlsoIfItIsInterruptedWhileItDraws) {
  const Held held(libatoll::fill(100, 0));
  Terminal& terminal = watch(held, 10, "1h");
  EXPECT_TRUE(terminal.shows("q quit"));
  {
    AtSystemCalls tracer(terminal.child().pid());
    terminal.type("n");
    tracer.run_to(SYS_write);
    kill(terminal.child().pid(), SIGINT);
  }
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

// Nor is one that comes just before it goes to sleep: there it is blocked, until it sleeps.
TEST_F(ToolWatch, IsDeafUntilItSleeps) {
  const Held held(libatoll::fill(3, 0));
  Terminal& terminal = watch(held);
  std::uint64_t blocked = 0;
  {
    AtSystemCalls tracer(terminal.child().pid());
    tracer.run_to(SYS_ppoll);
    const std::string status =
        libatoll::test::read_file(absl::StrCat("/proc/", terminal.child().pid(), "/status"));
    std::smatch match;
    ASSERT_TRUE(std::regex_search(status, match, std::regex("SigBlk:\t([0-9a-f]+)")));
    blocked = std::stoull(match[1], nullptr, 16);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH}) {
    EXPECT_EQ(blocked >> (signal - 1) & 1, 1U) << signal;
  }
}

TEST_F(ToolWatch, LeavesTheScreenAlsoIfItIsInterruptedWhileItDoes) {
  const Held held(libatoll::fill(3, 0));
  Terminal& terminal = watch(held, 10, "1h");
  EXPECT_TRUE(terminal.shows("q quit"));
  {
    AtSystemCalls tracer(terminal.child().pid());
    kill(terminal.child().pid(), SIGINT);
    tracer.run_to(SYS_write);
    kill(terminal.child().pid(), SIGINT);
  }
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

TEST_F(ToolWatch, GivesTheTerminalBackWhileItIsStopped) {
  const Held held(libatoll::fill(3, 0));
  Terminal& terminal = watch(held);
  terminal.type("\x1a");
  ASSERT_TRUE(terminal.child().wait_stopped());
  EXPECT_TRUE(is_left());
  terminal.forget();
  must(held.list[0].store(4711));
  terminal.child().resume();
  EXPECT_TRUE(terminal.shows(kEnter));
  EXPECT_TRUE(terminal.shows("  4711"));
  EXPECT_FALSE(terminal.is_as_it_was());
  terminal.type("\x03");
  EXPECT_EQ(terminal.child().wait(), 0);
  EXPECT_TRUE(is_left());
}

TEST_F(ToolWatch, GivesTheTerminalBackWhenTheListIsTruncated) {
  const Held held(libatoll::fill(3, 0));
  Terminal& terminal = watch(held);
  ASSERT_EQ(truncate(held.name.path().c_str(), 0), 0);
  EXPECT_EQ(terminal.child().wait_for_signal(), SIGBUS);
  EXPECT_TRUE(is_left());
}

// ---- watch elsewhere ----------------------------------------------------------------------------

// Writes until `running` has printed something; how often it wrote.
int write_until_printed(const List& list, const Running& running, std::size_t enough = 3) {
  int writes = 0;
  EXPECT_TRUE(wait_until([&] {
    must(list[1].fetch_add(1));
    ++writes;
    return running.out().size() > enough;
  }));
  return writes;
}

TEST(ToolWatchPlain, PrintsALineForEachSlotThatChanged) {
  const Held held(libatoll::fill(3, 0));
  Running running(atoll({"watch", held.name.str(), "--interval=5ms", "--range=1:"}));
  write_until_printed(held.list, running, 100);
  kill(running.child().pid(), SIGINT);
  EXPECT_EQ(running.child().wait(), 0);
  std::int64_t total = 0;
  std::int64_t last = 0;
  int lines = 0;
  const std::string out = running.out();
  const std::regex line("[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} 1 \\+([0-9]+) ([0-9]+)");
  for (const absl::string_view each : absl::StrSplit(out, '\n', absl::SkipEmpty())) {
    std::cmatch match;
    ASSERT_TRUE(std::regex_match(each.data(), each.data() + each.size(), match, line)) << each;
    std::int64_t value = 0;
    std::int64_t writes = 0;
    ASSERT_TRUE(absl::SimpleAtoi(match[2].str(), &value) &&
                absl::SimpleAtoi(match[1].str(), &writes));
    EXPECT_EQ(lines == 0 || value - last == writes, true) << "each write raises the value by one";
    last = value;
    total += writes;
    ++lines;
  }
  EXPECT_GE(lines, 3);
  EXPECT_GE(total, lines);
  ATOLL_SUMMARY("%d lines about %lld writes", lines, static_cast<long long>(total));
}

TEST(ToolWatchPlain, PrintsOneJsonDocumentAlsoWhenInterrupted) {
  const Held held(libatoll::fill(3, 0));
  Running running(atoll({"watch", held.name.str(), "--interval=5ms", "--json"}));
  write_until_printed(held.list, running);
  kill(running.child().pid(), SIGTERM);
  EXPECT_EQ(running.child().wait(), 0);
  EXPECT_EQ(read_json(running.out(),
                      "[sorted(d[0]), len(d) > 0, all(e['index'] == 1 and e['writes'] > 0 and "
                      "e['value'] > 0 for e in d)]"),
            R"([["index", "time", "value", "writes"], true, true])");
}

TEST(ToolWatchPlain, EndsByItself) {
  const Held held(libatoll::fill(3, libatoll::pinned(0)));
  const Result quiet =
      run_atoll({"watch", held.name.str(), "--interval=1ms", "--count=3", "--json"});
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(read_json(quiet.out), "[]");
  Running running(atoll({"watch", held.name.str(), "--interval=2ms"}));
  write_until_printed(held.list, running);
  kill(running.child().pid(), SIGINT);
  EXPECT_EQ(running.child().wait(), 0);
  EXPECT_NE(running.out().find(" 1 +? "), std::string::npos) << running.out();
}

// ---- What the README promises -------------------------------------------------------------------

TEST(ToolStory, CreateWorkWatchKillCheckCleanUp) {
  constexpr int kWorkers = 10;
  constexpr int kAdds = 15;
  process::adopt_orphans();
  const Name name;
  const std::string& jobs = name.str();

  // In one terminal.
  EXPECT_TRUE(tool_test::prints({"create", jobs, "0", "idle", "--capacity=64"}, jobs + "\n"));
  // Ten workers, of which one never ends by itself.
  const auto worker = [&](const std::string& loop) {
    return std::make_unique<Running>(
        tool_test::Words{"sh", "-c",
                         absl::StrCat("trap 'exit 1' PIPE; ", loop, "; do \"$ATOLL_TOOL\" add ",
                                      jobs, " 0 1 >/dev/null || exit 1; done")});
  };
  std::vector<std::unique_ptr<Running>> workers;
  for (int i = 1; i < kWorkers; ++i) {
    workers.push_back(worker(absl::StrCat("for i in $(seq ", kAdds, ")")));
  }
  const std::unique_ptr<Running> endless = worker("while :");

  // In another terminal: the counter goes up.
  Terminal watch(atoll({"watch", jobs, "--interval=20ms"}), 10, 60);
  EXPECT_TRUE(watch.shows("       1             \"idle\"")) << watch.output();
  EXPECT_TRUE(watch.shows(kNews)) << watch.output();

  EXPECT_EQ(run_atoll({"set", jobs, "1", "running since noon"}).code, 0);
  EXPECT_TRUE(watch.shows("\"running since noon\""));
  for (const std::unique_ptr<Running>& each : workers) {
    EXPECT_EQ(each->child().wait(), 0) << each->err();
  }
  // Killed wherever it is just now; an `atoll add` that it has started ends by itself.
  ASSERT_TRUE(endless->child().kill());
  ASSERT_TRUE(wait_until([&] { return waitpid(-1, nullptr, WNOHANG) <= 0; }));

  std::int64_t total = 0;
  EXPECT_TRUE(absl::SimpleAtoi(run_atoll({"get", jobs, "0"}).out, &total));
  EXPECT_GE(total, (kWorkers - 1) * kAdds) << "no increment is lost";
  watch.forget();  // it may wait for somebody to read
  watch.type("\x03");
  EXPECT_EQ(watch.child().wait(), 0);
  EXPECT_TRUE(watch.is_as_it_was());

  // Nobody has it now, and it is sound.
  EXPECT_TRUE(wait_until([&] { return must(List::inspect(name)).participants == 0; }));
  EXPECT_TRUE(tool_test::prints({"check", jobs}, jobs + ": 2 slots, 0 live participants, sound\n"));
  EXPECT_TRUE(tool_test::prints({"gc", jobs, "--yes"}, jobs + "\n1 of 1 unused lists removed\n"));
  EXPECT_FALSE(name.exists());
  ATOLL_SUMMARY("%d workers, one of them killed, counted to %lld", kWorkers,
                static_cast<long long>(total));
}

// The very lines of the README, but for the name, an end of the watching, an answer to wait for, and an
// answer to gc, which is told the name: the lists of others are not ours to remove.
TEST(ToolStory, TheLinesOfTheReadmeDoWhatItSays) {
  const Name name;
  const std::string& jobs = name.str();
  std::string section = libatoll::test::read_file(std::getenv("ATOLL_README"));
  section = section.substr(section.find("\n## The command\n") + 1);
  section = section.substr(0, section.find("\n## "));
  const std::string kill_one = "kill -9 %1";  // stands in a sentence
  EXPECT_NE(section.find("`" + kill_one + "`"), section.npos);
  std::string script = "set -m; PATH=$(dirname \"$ATOLL_TOOL\"):$PATH\n";
  int commands = 0;
  for (const absl::string_view line :
       absl::StrSplit(section.substr(section.find("    atoll create ")), '\n')) {
    if (!absl::StartsWith(line, "    ")) {
      continue;
    }
    ++commands;
    std::string command(line.substr(4));
    command = std::regex_replace(command, std::regex("\\bjobs\\b"), jobs);
    if (command.starts_with("atoll watch")) {
      command += " --count=3 --interval=20ms";
    } else if (command.starts_with("atoll set")) {
      command = absl::StrCat(kill_one, " && ", command);
    } else if (command.starts_with("atoll wait")) {
      command = absl::StrCat("atoll set ", jobs, " 1 answer & ", command);
    } else if (command == "atoll gc") {
      command = absl::StrCat("wait; atoll gc ", jobs, " <<< y");
    }
    absl::StrAppend(&script, command, command.ends_with('&') ? "\n" : " || exit 1\n");
  }
  EXPECT_GE(commands, 9);
  const Result result = tool_test::run({"bash", "-c", script});
  EXPECT_EQ(result.code, 0) << script << result;
  for (const std::string& part :
       {jobs + "\n", std::string("\n\"answer\"\n"), std::string(" live participants, sound\n"),
        jobs + "\n1 of 1 unused lists removed\n"}) {
    EXPECT_NE(result.out.find(part), result.out.npos) << part << " is not in\n" << result;
  }
  EXPECT_FALSE(name.exists());
}

}  // namespace
