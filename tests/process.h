// What the tests with real processes share: children that are always reaped, a page that processes
// share, start lines, values that carry their own check, a look at a segment from outside, and
// parking a process at a seam.
//
// Nothing here sleeps and hopes: who waits, waits for something that is really there, and gives up
// with a message after kPatience. Only processes that a test itself started are ever signalled, and
// none outlives it: children die with their parent.

#ifndef ATOLL_TESTS_PROCESS_H_
#define ATOLL_TESTS_PROCESS_H_

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"
#include <gtest/gtest.h>

#include "layout.h"
#include "names.h"
#include "seam.h"

namespace process {

// How long anything may take before a test calls it a hang. Far longer than it takes.
inline constexpr std::chrono::seconds kPatience{60};

// Goes round until `done()` is true; false when patience is at an end.
template <typename Done>
bool wait_until(Done done, std::chrono::steady_clock::duration patience = kPatience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (int round = 0;; ++round) {
    if (done()) {
      return true;
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return done();
    }
    if (round < 50) {
      sched_yield();
    } else {
      const timespec pause = {.tv_sec = 0, .tv_nsec = 50'000};
      nanosleep(&pause, nullptr);
    }
  }
}

// ---- Failing ------------------------------------------------------------------------------------

inline constexpr int kChildFailed = 97;
inline bool in_child = false;

// Says what is wrong and ends the process: a child by its exit code, the test by SIGABRT.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition) {
    text_ << file << ':' << line << ": process " << getpid() << ": " << condition << " is false. ";
  }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  [[noreturn]] ~Failure() {
    text_ << '\n';
    const std::string text = text_.str();
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
    if (in_child) {
      _exit(kChildFailed);
    }
    std::abort();
  }
  template <typename T>
  Failure& operator<<(const T& value) {
    text_ << value;
    return *this;
  }

 private:
  std::ostringstream text_;
};

// For children, and for the setting up of a test.
#define ATOLL_CHECK(condition) \
  if (condition) {             \
  } else /* NOLINT */          \
    process::Failure(__FILE__, __LINE__, #condition)

template <typename T>
T must(absl::StatusOr<T> result) {
  ATOLL_CHECK(result.ok()) << result.status();
  return *std::move(result);
}
inline void must(const absl::Status& status) { ATOLL_CHECK(status.ok()) << status; }

// ---- Names --------------------------------------------------------------------------------------

inline std::string path_of(const std::string& name) { return "/dev/shm" + name; }

inline bool name_exists(const std::string& name) {
  struct stat found = {};
  return lstat(path_of(name).c_str(), &found) == 0;
}

// A name that no other process uses, and that is unlinked in the end, also if the test is ended by a
// signal.
class UniqueName {
 public:
  const std::string& string() const { return name_; }
  const char* c_str() const { return name_.c_str(); }

 private:
  static std::string next() {
    static int count = 0;
    return "/atoll_process_test_" + std::to_string(getpid()) + "_" + std::to_string(count++);
  }

  std::string name_ = next();
  RemovedInTheEnd file_{path_of(name_)};
};

// ---- Shared pages -------------------------------------------------------------------------------

// A T of zeros that children of fork share, and, through `fd()`, programs they execute. T has atomics
// and no destructor.
template <typename T>
class Shared {
 public:
  Shared() : fd_(memfd_create("process_test", 0)) {
    ATOLL_CHECK(fd_ >= 0 && ftruncate(fd_, sizeof(T)) == 0) << std::strerror(errno);
    map();
    new (data_) T{};
  }
  explicit Shared(int fd) : fd_(fd) { map(); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  ~Shared() {
    munmap(data_, sizeof(T));
    close(fd_);
  }
  T* operator->() const { return static_cast<T*>(data_); }
  T& operator*() const { return *static_cast<T*>(data_); }
  int fd() const { return fd_; }

 private:
  void map() {
    data_ = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    ATOLL_CHECK(data_ != MAP_FAILED) << std::strerror(errno);
  }
  int fd_;
  void* data_ = nullptr;
};

// Where `count` processes wait until all are there. May be used again and again.
struct StartLine {
  std::atomic<int> arrived;
  std::atomic<int> round;

  void wait(int count) {
    const int now = round.load();
    if (arrived.fetch_add(1) + 1 == count) {
      arrived = 0;
      round = now + 1;
      return;
    }
    ATOLL_CHECK(wait_until([&] { return round.load() != now; })) << "the others never came";
  }
};

// ---- Processes ----------------------------------------------------------------------------------

// Orphaned grandchildren become ours, so that they can be waited for.
inline void adopt_orphans() { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

// A process that we started, or adopted. Killed and reaped at the latest in the destructor.
class Child {
 public:
  // Forks a process that runs `main` and ends with its result as exit code.
  template <typename Main>
  explicit Child(Main main) : Child(main, true) {}
  // The same, but it outlives us if we are killed (not for long: whatever it waits for has an end).
  template <typename Main>
  static Child that_survives(Main main) {
    return Child(main, false);
  }
  // Forks and executes this very program with `arguments`.
  static Child executing(const std::vector<std::string>& arguments) {
    return Child([&arguments]() -> int {
      std::vector<std::string> copies = arguments;
      std::vector<char*> argv = {program_invocation_name};
      for (std::string& each : copies) {
        argv.push_back(each.data());
      }
      argv.push_back(nullptr);
      execv("/proc/self/exe", argv.data());
      return kChildFailed;
    });
  }
  // A process that somebody whom we started has started.
  static Child adopted(pid_t pid) { return Child(pid); }

  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      int status = 0;
      wait_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    }
  }

  pid_t pid() const { return pid_; }

  // The exit code; -1, and a failure, if it does not end by itself or ends by a signal.
  int wait() {
    int status = 0;
    if (!reap(status)) {
      return -1;
    }
    if (!WIFEXITED(status)) {
      ADD_FAILURE() << "process ended by signal " << WTERMSIG(status);
      return -1;
    }
    return WEXITSTATUS(status);
  }

  // The signal that ended it; -1, and a failure, if none did.
  int wait_for_signal() {
    int status = 0;
    if (!reap(status)) {
      return -1;
    }
    if (!WIFSIGNALED(status)) {
      ADD_FAILURE() << "process ended by itself with code " << WEXITSTATUS(status);
      return -1;
    }
    return WTERMSIG(status);
  }

  // Kills it and waits until it is gone. False, and a failure, if it had ended before.
  bool kill() {
    ::kill(pid_, SIGKILL);
    return wait_for_signal() == SIGKILL;
  }

  // Waits until it has stopped itself. False, and a failure, if it ends instead.
  bool wait_stopped() {
    int status = 0;
    if (!wait_until([&] { return waitpid(pid_, &status, WUNTRACED | WNOHANG) == pid_; })) {
      ADD_FAILURE() << "process " << pid_ << " never stopped";
      return false;
    }
    if (!WIFSTOPPED(status)) {
      pid_ = -1;
      ADD_FAILURE() << "process ended, status " << status << ", instead of stopping";
      return false;
    }
    return true;
  }

  // Lets it go on.
  void resume() const { ::kill(pid_, SIGCONT); }

 private:
  template <typename Main>
  Child(Main main, bool dies_with_us) {
    std::fflush(nullptr);
    const pid_t parent = getpid();
    pid_ = fork();
    ATOLL_CHECK(pid_ >= 0) << "fork: " << std::strerror(errno);
    if (pid_ == 0) {
      in_child = true;
      if (dies_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
          _exit(kChildFailed);
        }
      }
      _exit(main());
    }
  }
  explicit Child(pid_t pid) : pid_(pid) {}

  bool reap(int& status) {
    if (pid_ < 0) {
      ADD_FAILURE() << "the process is gone already";
      return false;
    }
    if (!wait_until([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
      ADD_FAILURE() << "process " << pid_ << " did not end";
      return false;
    }
    pid_ = -1;
    return true;
  }

  pid_t pid_ = -1;
};

// Whether all of them end with 0.
inline ::testing::AssertionResult all_succeed(std::vector<Child>& children) {
  int failed = 0;
  for (Child& each : children) {
    failed += each.wait() == 0 ? 0 : 1;
  }
  if (failed == 0) {
    return ::testing::AssertionSuccess();
  }
  return ::testing::AssertionFailure() << failed << " of " << children.size() << " children failed";
}

// ---- Parking ------------------------------------------------------------------------------------

#if defined(ATOLL_TEST_SEAMS)

using libatoll::detail::Seam;
inline constexpr int kSeams = static_cast<int>(Seam::kNameLost) + 1;

// How many more passes of each seam until the process stops itself; 0: it does not.
inline std::array<std::atomic<int>, kSeams> passes_until_stop;
inline std::array<std::atomic<int>, kSeams> passes;

inline void stop_if_due(Seam seam) {
  const auto index = static_cast<std::size_t>(seam);
  ++passes[index];
  if (passes_until_stop[index] > 0 && --passes_until_stop[index] == 0) {
    raise(SIGSTOP);
  }
}

// From now on, this process counts its passes, from 0.
inline void count_passes() {
  for (std::atomic<int>& count : passes) {
    count = 0;
  }
  libatoll::detail::seam_hook = stop_if_due;
}

// This process stops itself at the `nth` pass of `seam` from now.
inline void park_at(Seam seam, int nth = 1) {
  count_passes();
  passes_until_stop[static_cast<std::size_t>(seam)] = nth;
}

inline int passes_of(Seam seam) { return passes[static_cast<std::size_t>(seam)]; }

inline const char* seam_name(Seam seam) {
  constexpr std::array<const char*, kSeams> kNames = {
      "Claimed", "Overwriting", "Copied",    "Published", "TakingOver", "Reading", "NumberTaken",
      "Built",   "Waking",      "Announced", "Rescued",   "LockedOut",  "NameLost"};
  return kNames[static_cast<std::size_t>(seam)];
}

#endif

// ---- Values that carry their own check ----------------------------------------------------------

inline constexpr std::size_t kTextMin = 8;

inline std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ x >> 27) * 0x94d0'49bb'1331'11eb;
  return x ^ x >> 31;
}

// Text of `length` bytes: the writer, its counter (24 bits), and bytes that follow from these and the
// length.
inline void make_text(std::uint32_t writer, std::uint32_t counter, std::size_t length,
                      std::string& text) {
  text.resize(length);
  const std::uint64_t head = (counter & 0xff'ffff) << 8 | (writer & 0xff);
  const std::uint64_t seed = mix(head << 32 ^ length);
  std::uint64_t word = (seed & 0xffff'ffff'0000'0000) | head;
  std::size_t done = 0;
  for (std::uint64_t i = 1; done < length; ++i) {
    const std::size_t size = std::min(sizeof(word), length - done);
    std::memcpy(text.data() + done, &word, size);
    done += size;
    word = mix(seed + i * 0x9e37'79b9'7f4a'7c15);
  }
}
inline std::string make_text(std::uint32_t writer, std::uint32_t counter, std::size_t length) {
  std::string text;
  make_text(writer, counter, length, text);
  return text;
}

struct TextOrigin {
  std::uint32_t writer = 0;
  std::uint32_t counter = 0;
};

// Whether `text` is one whole value, every byte of it, and whose.
inline bool is_whole(std::string_view text, TextOrigin& origin) {
  if (text.size() < kTextMin) {
    return false;
  }
  std::uint32_t head = 0;
  std::memcpy(&head, text.data(), sizeof(head));
  origin = {.writer = head & 0xff, .counter = head >> 8};
  thread_local std::string expected;
  make_text(origin.writer, origin.counter, text.size(), expected);
  return text == expected;
}

// ---- A look at a segment from outside -----------------------------------------------------------

// Maps a list a second time, for reading, without being a participant of it.
class Inspector {
 public:
  explicit Inspector(const libatoll::List& list) {
    const std::string path =
        list.name().empty() ? "/proc/self/fd/" + std::to_string(list.fd()) : path_of(list.name());
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ATOLL_CHECK(fd_ >= 0) << path << ": " << std::strerror(errno);
    size_ = list.bytes();
    data_ = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
    ATOLL_CHECK(data_ != MAP_FAILED) << std::strerror(errno);
    must(libatoll::detail::open_view(static_cast<std::byte*>(data_), size_, "inspected", view_));
  }
  Inspector(const Inspector&) = delete;
  Inspector& operator=(const Inspector&) = delete;
  ~Inspector() {
    munmap(data_, size_);
    close(fd_);
  }

  libatoll::detail::Word word(std::size_t slot) const {
    return libatoll::detail::read(*view_.header(slot));
  }
  std::uint64_t owner(std::size_t slot, std::uint32_t buffer) const {
    return libatoll::detail::peek_owner(control(slot, buffer));
  }
  std::uint64_t sequence(std::size_t slot, std::uint32_t buffer) const {
    return control(slot, buffer).sequence.load();
  }
  std::uint32_t buffers() const { return view_.buffers_per_slot; }
  // How many buffers of the slot are claimed.
  std::uint32_t claims(std::size_t slot) const {
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < buffers(); ++i) {
      found += owner(slot, i) == libatoll::detail::kNoOwner ? 0 : 1;
    }
    return found;
  }
  // The buffer that `participant` claims; -1 if none.
  int claimed_by(std::size_t slot, std::uint64_t participant) const {
    for (std::uint32_t i = 0; i < buffers(); ++i) {
      if (owner(slot, i) == participant) {
        return static_cast<int>(i);
      }
    }
    return -1;
  }
  // The numbers given out so far.
  std::uint64_t numbers() const {
    return reinterpret_cast<const libatoll::detail::SegmentHeader*>(data_)
        ->mutable_line.participants.load();
  }

  // Whether anybody holds the lock of that number.
  bool lives(std::uint64_t number) const {
    struct flock found = {};
    return find(kWriters + static_cast<off_t>(number), 1, found);
  }
  // The numbers of all writers that live, and how many readers do.
  std::vector<std::uint64_t> live_numbers() const {
    std::vector<std::uint64_t> numbers;
    for (const off_t byte : locks(kWriters, kEnd)) {
      numbers.push_back(static_cast<std::uint64_t>(byte - kWriters));
    }
    std::sort(numbers.begin(), numbers.end());
    return numbers;
  }
  std::size_t live_readers() const { return locks(kReaders, kWriters).size(); }

 private:
  // docs/layout.md: a writer locks the byte at 2^62 + its number, a reader one from 2^61.
  static constexpr off_t kWriters = off_t{1} << 62;
  static constexpr off_t kReaders = off_t{1} << 61;
  static constexpr off_t kEnd = kWriters + (off_t{1} << 61);

  const libatoll::detail::BufferControl& control(std::size_t slot, std::uint32_t buffer) const {
    libatoll::detail::SlotBuffers buffers;
    ATOLL_CHECK(libatoll::detail::find_buffers(view_, slot, buffers) && buffer < buffers.count);
    return buffers.control(buffer);
  }
  bool find(off_t start, off_t length, struct flock& found) const {
    found = {};
    found.l_type = F_WRLCK;
    found.l_whence = SEEK_SET;
    found.l_start = start;
    found.l_len = length;
    ATOLL_CHECK(fcntl(fd_, F_OFD_GETLK, &found) == 0) << std::strerror(errno);
    return found.l_type != F_UNLCK;
  }
  std::vector<off_t> locks(off_t start, off_t end) const {
    std::vector<off_t> bytes;
    std::vector<std::pair<off_t, off_t>> ranges = {{start, end}};
    while (!ranges.empty()) {
      const auto [from, to] = ranges.back();
      ranges.pop_back();
      struct flock found = {};
      if (from < to && find(from, to - from, found)) {
        // Two descriptions on neighbouring bytes are two locks; each participant has one byte.
        for (off_t byte = found.l_start; byte < found.l_start + found.l_len; ++byte) {
          bytes.push_back(byte);
        }
        ranges.emplace_back(from, found.l_start);
        ranges.emplace_back(found.l_start + found.l_len, to);
      }
    }
    return bytes;
  }

  int fd_ = -1;
  void* data_ = nullptr;
  std::size_t size_ = 0;
  libatoll::detail::View view_;
};

#if defined(ATOLL_TEST_SEAMS)

// The number with which this process claims buffers of `list`: stores `text` (long), and looks at the
// owner words meanwhile. Nobody else may write to the slot.
inline std::uint64_t number_of(const libatoll::List& list, const Inspector& look,
                               const std::string& text, std::size_t slot = 0) {
  static const Inspector* inspector;
  static std::size_t inspected;
  static std::uint64_t number;
  inspector = &look;
  inspected = slot;
  number = 0;
  auto* const hook = std::exchange(libatoll::detail::seam_hook, [](Seam seam) {
    for (std::uint32_t i = 0; seam == Seam::kCopied && i < inspector->buffers(); ++i) {
      number = std::max(number, inspector->owner(inspected, i));
    }
  });
  must(list[slot].store(text));
  libatoll::detail::seam_hook = hook;
  ATOLL_CHECK(number != 0) << "the text is too short to need a buffer";
  return number;
}

#endif

// ---- Lists for tests ----------------------------------------------------------------------------

inline const char* layout_name(libatoll::Layout layout) {
  return layout == libatoll::Layout::kPadded ? "padded" : "dense";
}

// One line that says what a test has really exercised.
#define ATOLL_SUMMARY(...)                    \
  do {                                        \
    std::printf("[ exercised] " __VA_ARGS__); \
    std::printf("\n");                        \
    std::fflush(stdout);                      \
  } while (false)

}  // namespace process

#endif  // ATOLL_TESTS_PROCESS_H_
