// Runs the programs of examples/ as a user would: what they print, how they end, and that they leave
// neither a name in shared memory nor a process, also when they are interrupted.

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/random/random.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include <atoll/atoll.h>

namespace {

// Far more than anything here takes; only a hang gets that far.
constexpr absl::Duration kPatience = absl::Seconds(20);

// The name of a list that made up its own.
const std::string kName = "'/atoll_[0-9a-f]{16}'";  // NOLINT(cert-err58-cpp)

template <typename Condition>
bool eventually(Condition condition) {
  const absl::Time end = absl::Now() + kPatience;
  while (!condition()) {
    if (absl::Now() > end) {
      return false;
    }
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

std::set<std::string> entries(const std::string& directory) {
  std::set<std::string> names;
  DIR* const open = opendir(directory.c_str());
  if (open == nullptr) {
    return names;
  }
  while (const dirent* entry = readdir(open)) {
    names.insert(entry->d_name);
  }
  closedir(open);
  return names;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<pid_t> processes() {
  std::vector<pid_t> pids;
  for (const std::string& name : entries("/proc")) {
    int pid = 0;
    if (absl::SimpleAtoi(name, &pid)) {
      pids.push_back(pid);
    }
  }
  return pids;
}

// Whether a process has the file mapped.
bool is_mapped(ino_t inode) {
  const std::string field = absl::StrCat(" ", inode, " ");
  for (const pid_t pid : processes()) {
    for (const std::string& line : lines_of(absl::StrCat("/proc/", pid, "/maps"))) {
      if (line.find(field) != line.npos && line.find("/dev/shm/") != line.npos) {
        return true;
      }
    }
  }
  return false;
}

// The names in shared memory that are not in `before` and that no process uses: a program left them.
// (What other programs do there at the same time is not our concern.)
std::vector<std::string> left_since(const std::set<std::string>& before) {
  std::vector<std::string> left;
  for (const std::string& name : entries("/dev/shm")) {
    struct stat status = {};
    if (!before.contains(name) && stat(absl::StrCat("/dev/shm/", name).c_str(), &status) == 0 &&
        !is_mapped(status.st_ino)) {
      left.push_back(name);
    }
  }
  return left;
}

int count_children(pid_t parent) {
  int count = 0;
  for (const pid_t pid : processes()) {
    for (const std::string& line : lines_of(absl::StrCat("/proc/", pid, "/status"))) {
      count += line == absl::StrCat("PPid:\t", parent) ? 1 : 0;
    }
  }
  return count;
}

// An example that runs. What it and its children write, to standard error too, comes to us.
class Program {
 public:
  explicit Program(std::vector<std::string> arguments) {
    const std::string path = absl::StrCat(getenv("ATOLL_EXAMPLES_DIR"), "/", arguments[0]);
    std::vector<char*> argv;
    argv.reserve(arguments.size() + 1);
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
      ADD_FAILURE() << "pipe2";
      return;
    }
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], STDOUT_FILENO);
      dup2(ends[1], STDERR_FILENO);
      execv(path.c_str(), argv.data());
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    if (running()) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(output_);
  }

  pid_t pid() const { return pid_; }
  bool running() const { return pid_ > 0 && !ended_; }

  // Waits until it has printed so many lines.
  void read_lines(std::size_t count) {
    while (lines().size() < count && read_some()) {
    }
  }

  // Waits until it and its children have closed their output and it has ended; its wait status.
  int finish() {
    while (read_some()) {
    }
    int status = -1;
    ended_ = eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    EXPECT_TRUE(ended_) << "it does not end";
    return status;
  }

  // The whole lines so far.
  std::vector<std::string> lines() const {
    std::vector<std::string> lines = absl::StrSplit(text_, '\n');
    lines.pop_back();
    return lines;
  }

 private:
  // False at the end of the output.
  bool read_some() {
    pollfd ready = {.fd = output_, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience))) != 1) {
      ADD_FAILURE() << "no output, and no end of it, after " << kPatience;
      return false;
    }
    char bytes[4096];
    const ssize_t count = read(output_, bytes, sizeof(bytes));
    text_.append(bytes, count > 0 ? static_cast<std::size_t>(count) : 0);
    return count > 0;
  }

  pid_t pid_ = -1;
  int output_ = -1;
  bool ended_ = false;
  std::string text_;
};

class ExamplesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(getenv("ATOLL_EXAMPLES_DIR"), nullptr) << "the tests run it: script/test";
    // Orphans become our children, so that none can get away.
    ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  }

  void TearDown() override { expect_nothing_left(); }

  void expect_nothing_left() {
    std::vector<std::string> left;
    EXPECT_TRUE(eventually([&] {
      left = left_since(before_);
      return left.empty();
    })) << "left in shared memory: "
        << absl::StrJoin(left, " ");
    EXPECT_TRUE(eventually([] {
      while (waitpid(-1, nullptr, WNOHANG) > 0) {
      }
      return errno == ECHILD;
    })) << "a process was left";
  }

  std::set<std::string> before_ = entries("/dev/shm");
};

// Every line matches the regular expression of its place.
void expect_lines(const std::vector<std::string>& lines, const std::vector<std::string>& patterns) {
  EXPECT_EQ(lines.size(), patterns.size()) << absl::StrJoin(lines, "\n");
  for (std::size_t i = 0; i < std::min(lines.size(), patterns.size()); ++i) {
    EXPECT_TRUE(std::regex_match(lines[i], std::regex(patterns[i])))
        << "line " << i << ": " << lines[i] << "\nexpected: " << patterns[i];
  }
}

// The name='...' of a printed list.
std::string name_in(const std::string& line) {
  const std::vector<std::string> parts = absl::StrSplit(line, '\'');
  return parts.size() == 3 ? parts[1] : "";
}

// The numbers in a line.
std::vector<std::int64_t> numbers_in(std::string line) {
  for (char& c : line) {
    c = std::isdigit(static_cast<unsigned char>(c)) != 0 ? c : ' ';
  }
  std::vector<std::int64_t> numbers;
  for (const absl::string_view part : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
    numbers.push_back(-1);
    EXPECT_TRUE(absl::SimpleAtoi(part, &numbers.back()));
  }
  return numbers;
}

std::string unique_name() { return absl::StrCat("/examples_test_", getpid()); }

TEST_F(ExamplesTest, Tour) {
  const std::string name = unique_name();
  Program tour({"tour", name});
  EXPECT_EQ(tour.finish(), 0);
  const std::string list = absl::StrCat("list '", name, "'");
  expect_lines(
      tour.lines(),
      {
          absl::StrCat(R"(List\(\[0, 0, 0, 0, 0\], name=)", kName, R"(\))"),
          absl::StrCat(R"(List\(\[0, 1\.0, "test", true, none\], name=')", name, R"('\))"),
          absl::StrCat(
              R"(List\(\[0, 1000, "a longer text than before", true, "was none"\], name=')", name,
              R"('\))"),
          R"(slot 2: "a longer text than before")",
          "slot 1: 1000",
          absl::StrCat("slot 2 as a number: FAILED_PRECONDITION: slot 2 of ", list, ".*found text"),
          R"(slot 1: 1000 \+ 24 = 1024)",
          R"(last slot: "was none")",
          absl::StrCat("no such slot: OUT_OF_RANGE: index 5 .*", list, ".* 5 slots"),
          "1024 occurs 1 time, first in slot 1",
          absl::StrCat("gone: NOT_FOUND: ", list, " does not exist"),
      });
}

TEST_F(ExamplesTest, TourLeavesAListThatIsNotItsOwn) {
  const std::string name = unique_name();
  auto list = atoll::List::create(name, {"not yours"});
  ASSERT_TRUE(list.ok()) << list.status();
  const absl::Cleanup unlink = [&] { list->unlink().IgnoreError(); };
  Program tour({"tour", name});
  const int status = tour.finish();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE) << status;
  EXPECT_TRUE(tour.lines().back().starts_with("ALREADY_EXISTS: ")) << tour.lines().back();
  auto same = atoll::List::attach(name);
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->count("not yours").value(), 1U);
}

TEST_F(ExamplesTest, Child) {
  Program child({"child"});
  EXPECT_EQ(child.finish(), 0);
  const std::vector<std::string> lines = child.lines();
  const std::string once = absl::StrCat(R"(List\(\[1, 2, 3, 4, 5\], name=)", kName, R"(\))");
  expect_lines(
      lines, {once, once, absl::StrCat(R"(List\(\[10, 20, 30, 40, 50\], name=)", kName, R"(\))")});
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], lines[1]);
  EXPECT_EQ(name_in(lines[0]), name_in(lines[2]));
}

TEST_F(ExamplesTest, ChildOfNobody) {
  Program child({"child", unique_name()});
  const int status = child.finish();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE) << status;
  expect_lines(child.lines(), {"NOT_FOUND: .*"});
}

TEST_F(ExamplesTest, Increments) {
  Program increments({"increments"});
  EXPECT_EQ(increments.finish(), 0);
  const std::vector<std::string> lines = increments.lines();
  const std::string whole =
      absl::StrCat(R"(List\(\[1000, 1000, 1000, 1000, 1000\], name=)", kName, R"(\))");
  expect_lines(lines, {
                          "Ten processes .*",
                          "",
                          "Load, add, store:",
                          "[0-9]+ of 5000 increments lost, [0-9]+\\.[0-9]+ ms",
                          absl::StrCat(R"(List\(\[[0-9]+(, [0-9]+){4}\], name=)", kName, R"(\))"),
                          "",
                          "The same under a mutex:",
                          "0 of 5000 increments lost, [0-9]+\\.[0-9]+ ms",
                          whole,
                          "",
                          "fetch_add:",
                          "0 of 5000 increments lost, [0-9]+\\.[0-9]+ ms",
                          whole,
                      });
  ASSERT_EQ(lines.size(), 13U);
  // What was lost and what was not make the whole.
  std::vector<std::int64_t> kept = numbers_in(lines[4].substr(0, lines[4].find(']')));
  std::int64_t sum = numbers_in(lines[3])[0];
  for (const std::int64_t slot : kept) {
    EXPECT_LE(slot, 1000);
    sum += slot;
  }
  EXPECT_EQ(sum, 5000);
}

class InterruptedTest : public ExamplesTest, public testing::WithParamInterface<int> {
 protected:
  // Starts the program, lets it run for a random part of `length` after its first `lines` lines,
  // sends it the signal, and sees that nothing is left. True if the signal came in time to end it
  // while it had children.
  bool interrupt(const std::string& name, std::size_t lines, absl::Duration length) {
    Program program({name});
    program.read_lines(lines);
    absl::SleepFor(absl::Uniform(random_, 0.0, 1.0) * length);
    // It stands still while its children are counted, or else has ended.
    int status = 0;
    kill(program.pid(), SIGSTOP);
    siginfo_t state = {};
    waitid(P_PID, static_cast<id_t>(program.pid()), &state, WSTOPPED | WEXITED | WNOWAIT);
    const int children = count_children(program.pid());
    kill(program.pid(), GetParam());
    kill(program.pid(), SIGCONT);
    status = program.finish();
    EXPECT_TRUE(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == GetParam())) << status;
    expect_nothing_left();
    return WIFSIGNALED(status) && children > 0;
  }

  absl::BitGen random_;
};

TEST_P(InterruptedTest, Increments) {
  const absl::Time start = absl::Now();
  EXPECT_EQ(Program({"increments"}).finish(), 0);
  const absl::Duration length = absl::Now() - start;
  int in_time = 0;
  for (int attempt = 0; attempt < 200 && in_time < 5; ++attempt) {
    in_time += interrupt("increments", 1, length) ? 1 : 0;
  }
  EXPECT_EQ(in_time, 5);
}

TEST_P(InterruptedTest, Crash) {
  int in_time = 0;
  for (int attempt = 0; attempt < 20 && in_time < 2; ++attempt) {
    in_time += interrupt("crash", 0, absl::Milliseconds(500)) ? 1 : 0;
  }
  EXPECT_EQ(in_time, 2);
}

std::string signal_name(const testing::TestParamInfo<int>& parameter) {
  return parameter.param == SIGINT ? "SIGINT" : "SIGTERM";
}
INSTANTIATE_TEST_SUITE_P(Signals, InterruptedTest, testing::Values(SIGINT, SIGTERM), signal_name);

TEST_F(ExamplesTest, Crash) {
  Program crash({"crash"});
  EXPECT_EQ(crash.finish(), 0);
  const std::vector<std::string> lines = crash.lines();
  expect_lines(lines, {
                          "[0-9]+ writers killed, [0-9]+ of them in the middle of a store",
                          "[0-9]+ stores by other writers meanwhile",
                          "[0-9]+ texts read whole, 0 torn",
                          "and 8 more stores, each read back: .*",
                      });
  ASSERT_EQ(lines.size(), 4U);
  // It happened: kills in mid-store, and writers and readers that went on.
  EXPECT_GT(numbers_in(lines[0])[0], 0);
  EXPECT_GT(numbers_in(lines[0])[1], 0);
  EXPECT_GT(numbers_in(lines[1])[0], 0);
  EXPECT_GT(numbers_in(lines[2])[0], 0);
}

}  // namespace
