// Running the `atoll` command as a user would: the real program, its output, its exit code.

#ifndef ATOLL_TESTS_TOOL_H_
#define ATOLL_TESTS_TOOL_H_

#include <pty.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <termios.h>
#include <utmp.h>

#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "process.h"

namespace tool_test {

using process::Child;

inline std::string program() {
  const char* const path = std::getenv("ATOLL_TOOL");
  ATOLL_CHECK(path != nullptr) << "set ATOLL_TOOL to the program";
  return path;
}

using Words = std::vector<std::string>;

[[noreturn]] inline void execute(Words words) {
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  _exit(process::kChildFailed);
}

inline Words atoll(Words words) {
  words.insert(words.begin(), program());
  return words;
}

// A file in memory that a program reads from or writes to.
class Stream {
 public:
  explicit Stream(std::string_view contents = "") : fd_(memfd_create("stream", MFD_CLOEXEC)) {
    ATOLL_CHECK(fd_ >= 0 && pwrite(fd_, contents.data(), contents.size(), 0) ==
                                static_cast<ssize_t>(contents.size()));
  }
  Stream(Stream&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Stream& operator=(Stream&&) = delete;
  ~Stream() {
    if (fd_ >= 0) {
      close(fd_);
    }
  }
  int fd() const { return fd_; }
  // What is in it by now.
  std::string contents() const {
    struct stat status = {};
    ATOLL_CHECK(fstat(fd_, &status) == 0);
    std::string all(static_cast<std::size_t>(status.st_size), '\0');
    ATOLL_CHECK(pread(fd_, all.data(), all.size(), 0) == static_cast<ssize_t>(all.size()));
    return all;
  }

 private:
  int fd_;
};

// A program that runs, and what it has printed by now.
class Running {
 public:
  explicit Running(const Words& words, std::string_view input = "")
      : in_(input), child_([&]() -> int {
          dup2(in_.fd(), STDIN_FILENO);
          dup2(out_.fd(), STDOUT_FILENO);
          dup2(err_.fd(), STDERR_FILENO);
          execute(words);
        }) {}

  std::string out() const { return out_.contents(); }
  std::string err() const { return err_.contents(); }
  Child& child() { return child_; }

 private:
  Stream in_, out_, err_;
  Child child_;
};

struct Result {
  int code = -1;
  std::string out;
  std::string err;

  friend std::ostream& operator<<(std::ostream& stream, const Result& result) {
    return stream << "exit code " << result.code << "\nstdout: " << result.out
                  << "\nstderr: " << result.err;
  }
};

inline Result run(const Words& words, std::string_view input = "") {
  Running running(words, input);
  const int code = running.child().wait();
  return {code, running.out(), running.err()};
}

inline Result run_atoll(const Words& words, std::string_view input = "") {
  return run(atoll(words), input);
}

// EXPECT_TRUE(prints({"get", name, "0"}, "42\n"));
inline ::testing::AssertionResult prints(const Words& words, std::string_view expected,
                                         std::string_view input = "") {
  const Result result = run_atoll(words, input);
  if (result.code == 0 && result.out == expected && (result.err.empty() || !input.empty())) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << result;
}

// With that exit code, nothing on stdout, and one message on stderr in which all the parts are.
inline ::testing::AssertionResult fails_with(int code, const Words& words,
                                             std::initializer_list<std::string_view> parts) {
  const Result result = run_atoll(words);
  bool as_expected = result.code == code && result.out.empty() &&
                     result.err.starts_with("atoll: ") && result.err.ends_with('\n');
  for (const std::string_view part : parts) {
    as_expected = as_expected && result.err.find(part) != result.err.npos;
  }
  return as_expected ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << result;
}

// What python3 makes of a JSON document: the same values written its way, keys in order; or of the
// part of it that `expression` picks from `d`.
inline std::string read_json(const std::string& document, const std::string& expression = "d") {
  const Result result =
      run({"python3", "-c",
           absl::StrCat("import json, sys\nd = json.load(sys.stdin)\nprint(json.dumps(", expression,
                        ", sort_keys=True))")},
          document);
  if (result.code != 0) {
    ADD_FAILURE() << "not JSON: " << document << '\n' << result.err;
    return "";
  }
  return result.out.substr(0, result.out.size() - 1);
}

inline std::string json(const Words& words, const std::string& expression = "d") {
  Words with_json = words;
  with_json.emplace_back("--json");
  return read_json(run_atoll(with_json).out, expression);
}

// A program on a terminal of its own.
class Terminal {
 public:
  Terminal(const Words& words, unsigned short rows, unsigned short columns,
           std::initializer_list<std::pair<const char*, const char*>> environment = {}) {
    winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    // Kept open here, so that the terminal and its settings outlive the program.
    ATOLL_CHECK(openpty(&master_, &slave_, nullptr, nullptr, &size) == 0) << std::strerror(errno);
    fcntl(master_, F_SETFD, FD_CLOEXEC);
    fcntl(master_, F_SETFL, O_NONBLOCK);
    before_ = settings();
    child_.emplace([&]() -> int {
      unsetenv("NO_COLOR");
      setenv("TERM", "xterm", 1);
      for (const auto& [name, value] : environment) {
        setenv(name, value, 1);
      }
      login_tty(slave_);
      execute(words);
    });
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal() {
    child_.reset();
    close(master_);
    close(slave_);
  }

  // All that was printed by now.
  const std::string& output() {
    char bytes[4096];
    for (ssize_t count; (count = read(master_, bytes, sizeof(bytes))) > 0;) {
      output_.append(bytes, static_cast<std::size_t>(count));
    }
    return output_;
  }
  // Whether `part` comes after what `forget` has dropped.
  bool shows(std::string_view part) {
    return process::wait_until([&] { return output().find(part) != output_.npos; });
  }
  void forget() {
    output();
    output_.clear();
  }
  void type(std::string_view keys) const {
    ATOLL_CHECK(write(master_, keys.data(), keys.size()) == static_cast<ssize_t>(keys.size()));
  }
  void resize(unsigned short rows, unsigned short columns) const {
    const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ATOLL_CHECK(ioctl(master_, TIOCSWINSZ, &size) == 0);
  }
  Child& child() { return *child_; }

  termios settings() const {
    termios now = {};
    ATOLL_CHECK(tcgetattr(slave_, &now) == 0);
    return now;
  }
  bool is_as_it_was() const {
    const termios now = settings();
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag && now.c_cflag == before_.c_cflag;
  }

 private:
  int master_ = -1;
  int slave_ = -1;
  termios before_ = {};
  std::string output_;
  std::optional<Child> child_;
};

// Halts a child of ours where it enters a system call.
class AtSystemCalls {
 public:
  explicit AtSystemCalls(pid_t pid) : pid_(pid) {
    ATOLL_CHECK(ptrace(PTRACE_SEIZE, pid_, nullptr, PTRACE_O_TRACESYSGOOD) == 0 &&
                ptrace(PTRACE_INTERRUPT, pid_, nullptr, nullptr) == 0)
        << std::strerror(errno);
    ATOLL_CHECK(halts());
  }
  AtSystemCalls(const AtSystemCalls&) = delete;
  AtSystemCalls& operator=(const AtSystemCalls&) = delete;
  // Lets it go on by itself.
  ~AtSystemCalls() { ptrace(PTRACE_DETACH, pid_, nullptr, signal_); }

  // Until it enters that one. What is signalled meanwhile, it gets.
  void run_to(std::uint64_t number) {
    for (;;) {
      ATOLL_CHECK(ptrace(PTRACE_SYSCALL, pid_, nullptr, signal_) == 0) << std::strerror(errno);
      ATOLL_CHECK(halts()) << "it ended before it came to system call " << number;
      __ptrace_syscall_info info = {};
      ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof(info), &info);
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == number) {
        return;
      }
    }
  }

 private:
  bool halts() {
    int status = 0;
    ATOLL_CHECK(
        process::wait_until([&] { return waitpid(pid_, &status, WNOHANG | __WALL) == pid_; }));
    const bool is_signal = WIFSTOPPED(status) && status >> 16 == 0 && WSTOPSIG(status) < 0x80;
    signal_ = is_signal ? static_cast<std::uintptr_t>(WSTOPSIG(status)) : 0;
    return WIFSTOPPED(status);
  }

  pid_t pid_;
  std::uintptr_t signal_ = 0;  // what it gets when it goes on
};

}  // namespace tool_test

#endif  // ATOLL_TESTS_TOOL_H_
