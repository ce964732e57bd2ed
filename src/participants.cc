#include "participants.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <mutex>
#include <vector>

#include "absl/strings/str_format.h"
#include "atoll/detail/header_word.h"

#include "seam.h"

namespace libatoll::detail {
namespace {

// Bytes of the file that are locked; no data ever reaches there.
constexpr off_t kWriterBytes = off_t{1} << 62;
constexpr off_t kReaderBytes = off_t{1} << 61;
constexpr std::uint64_t kReaderBytesMask = (std::uint64_t{1} << 60) - 1;
constexpr std::uint64_t kNumberMax = (std::uint64_t{1} << 61) - 1;
constexpr off_t kBytesEnd = kWriterBytes + static_cast<off_t>(kNumberMax) + 1;

struct flock lock_of(short type, off_t start, off_t length) {
  struct flock lock = {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

// The first lock that somebody else's description holds in [start, start + length); false if none,
// or if the kernel does not tell (`failed`).
bool find_lock(int fd, off_t start, off_t length, struct flock& found, bool& failed) {
  found = lock_of(F_WRLCK, start, length);
  failed = fcntl(fd, F_OFD_GETLK, &found) != 0;
  return !failed && found.l_type != F_UNLCK;
}

bool is_refusal(int error) { return error == EAGAIN || error == EACCES; }

// Whether it is `lock_out_participants` that keeps us from that byte: a participant locks one.
bool is_locked_out(int fd, off_t byte) {
  struct flock found;
  bool failed = false;
  return find_lock(fd, byte, 1, found, failed) && found.l_len > 1;
}

absl::Status impossible_count(std::string_view label) {
  return absl::DataLossError(absl::StrFormat("%s has an impossible count of participants", label));
}

// All participants of this process, guarded by a mutex that fork holds. Never destroyed: a List of
// static lifetime may close after it would have been.
struct Registry {
  std::mutex mutex;
  Participant* first = nullptr;
};

Registry& registry() {
  static Registry& instance = *new Registry;
  return instance;
}

}  // namespace

struct ForkHandlers {
  static void install() {
    static std::once_flag once;
    std::call_once(once, [] { pthread_atfork(prepare, in_parent, in_child); });
  }
  static void prepare() { registry().mutex.lock(); }
  static void in_parent() { registry().mutex.unlock(); }
  static void in_child() {
    for (Participant* each = registry().first; each != nullptr; each = each->next_) {
      each->rejoin_in_child();
    }
    registry().mutex.unlock();
  }
};

absl::Status Participant::join(int fd, std::atomic<std::uint64_t>& numbers, bool writable,
                               std::string_view label) {
  ForkHandlers::install();
  writable_ = writable;
  int error = 0;
  {
    // No fork from here to the end of the block: a child that got the description without the handler
    // knowing it would keep us alive.
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    fd_ = open_anew(fd);
    error = errno;
    if (fd_ >= 0) {
      numbers_ = &numbers;
      next_ = all.first;
      if (next_ != nullptr) {
        next_->previous_ = this;
      }
      all.first = this;
    }
  }
  if (fd_ < 0) {
    if (error == EBADF || (error == ENOENT && fcntl(fd, F_GETFD) < 0)) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: %d is not an open descriptor", label, fd));
    }
    return absl::ErrnoToStatus(
        error,
        absl::StrFormat("%s: cannot open its file anew through /proc/self/fd to register", label));
  }
  if (!take_number()) {
    error = errno;
    leave();
    if (error == 0) {
      return impossible_count(label);
    }
    if (is_refusal(error)) {
      return absl::UnavailableError(
          absl::StrFormat("%s is being removed by another process", label));
    }
    return absl::ErrnoToStatus(
        error, absl::StrFormat("%s: cannot lock a byte of its file to register", label));
  }
  return absl::OkStatus();
}

absl::Status Participant::join_without_file(std::atomic<std::uint64_t>& numbers,
                                            std::string_view label) {
  // relaxed: a number must be unique, nothing else; it orders nothing.
  const std::uint64_t number = numbers.fetch_add(1, std::memory_order_relaxed) + 1;
  if (number == kNoOwner || number > kNumberMax) {
    return impossible_count(label);
  }
  // relaxed: see number_.
  number_.store(number, std::memory_order_relaxed);
  return absl::OkStatus();
}

void Participant::leave() {
  if (numbers_ != nullptr) {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    (previous_ != nullptr ? previous_->next_ : all.first) = next_;
    if (next_ != nullptr) {
      next_->previous_ = previous_;
    }
    next_ = previous_ = nullptr;
    numbers_ = nullptr;
    // Under the mutex too: no child of fork may find the descriptor open and unregistered.
    if (fd_ >= 0) {
      close(fd_);
      fd_ = -1;
    }
  }
  // relaxed: see number_.
  number_.store(0, std::memory_order_relaxed);
}

// Async-signal-safe. False with errno 0 where the counter is impossible, with EAGAIN or EACCES where
// participants are locked out.
bool Participant::take_number() {
  if (!writable_) {
    // The counter cannot be written. A byte at random: two readers that share one are one in the
    // count, and that is all.
    std::uint64_t random = 0;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
      return false;
    }
    struct flock lock =
        lock_of(F_RDLCK, kReaderBytes + static_cast<off_t>(random & kReaderBytesMask), 1);
    return fcntl(fd_, F_OFD_SETLK, &lock) == 0;
  }
  // A number is taken by somebody else only if the counter was set back, by something that is not
  // atoll; a few attempts get past what lives, and the error says the rest.
  for (int attempt = 0; attempt < 1000; ++attempt) {
    // relaxed: a number must be unique, nothing else; it orders nothing.
    const std::uint64_t number = numbers_->fetch_add(1, std::memory_order_relaxed) + 1;
    if (number == 0 || number > kNumberMax) {
      break;
    }
    pass(Seam::kNumberTaken);
    const off_t byte = kWriterBytes + static_cast<off_t>(number);
    struct flock lock = lock_of(F_WRLCK, byte, 1);
    if (fcntl(fd_, F_OFD_SETLK, &lock) == 0) {
      // relaxed: see number_.
      number_.store(number, std::memory_order_relaxed);
      return true;
    }
    if (!is_refusal(errno) && errno != EINTR) {
      return false;
    }
    if (is_locked_out(fd_, byte)) {
      errno = EAGAIN;
      return false;
    }
  }
  errno = 0;
  return false;
}

// Async-signal-safe. A description of its own for the file of `fd`; -1 if it cannot be had.
int Participant::open_anew(int fd) const {
  std::array<char, 32> path;
  char* end = path.data() + path.size();
  *--end = '\0';
  do {
    *--end = static_cast<char>('0' + fd % 10);
    fd /= 10;
  } while (fd != 0);
  constexpr std::string_view kPrefix = "/proc/self/fd/";
  for (std::size_t i = kPrefix.size(); i-- > 0;) {
    *--end = kPrefix[i];
  }
  return open(end, (writable_ ? O_RDWR : O_RDONLY) | O_CLOEXEC);
}

// Async-signal-safe, for it runs in the child of a process that may have had many threads.
void Participant::rejoin_in_child() {
  // relaxed: see number_. Until it has a number again, this process claims nothing.
  number_.store(0, std::memory_order_relaxed);
  if (fd_ < 0) {
    return;  // our parent was such a child as the next comment tells of
  }
  const int parents = fd_;
  fd_ = open_anew(parents);
  if (fd_ < 0) {
    // Without a description of its own the child must not keep its parent's: the parent would seem to
    // live as long as the child. It goes on, but cannot claim buffers.
    close(parents);
    return;
  }
  // The child's lock comes before its parent's can go: at no moment does the list seem unused.
  take_number();
  close(parents);
}

bool Participant::may_live(std::uint64_t number) const {
  if (numbers_ == nullptr || fd_ < 0) {
    return true;
  }
  if (number > kNumberMax) {
    return false;  // nobody was ever given such a number
  }
  // relaxed: see number_.
  if (number == number_.load(std::memory_order_relaxed)) {
    return true;  // another thread of ours
  }
  struct flock found;
  bool failed = false;
  return find_lock(fd_, kWriterBytes + static_cast<off_t>(number), 1, found, failed) || failed;
}

std::size_t Participant::count() const { return fd_ < 0 ? 1 : count_participants(fd_) + 1; }

std::size_t count_participants(int fd) {
  std::size_t count = 0;
  // The kernel names one lock of a range, in no order that is promised; the pieces to both sides of
  // it are looked through in turn.
  struct Range {
    off_t start;
    off_t end;
  };
  std::vector<Range> ranges = {{kReaderBytes, kBytesEnd}};
  while (!ranges.empty()) {
    const Range range = ranges.back();
    ranges.pop_back();
    struct flock found;
    bool failed = false;
    if (range.start >= range.end ||
        !find_lock(fd, range.start, range.end - range.start, found, failed)) {
      continue;
    }
    // Locks of one description on neighbouring bytes are one lock; a participant has one byte.
    ++count;
    ranges.push_back({range.start, found.l_start});
    ranges.push_back({found.l_start + found.l_len, range.end});
  }
  return count;
}

bool lock_out_participants(int fd) {
  struct flock lock = lock_of(F_WRLCK, kReaderBytes, kBytesEnd - kReaderBytes);
  return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

bool is_possible_count(std::uint64_t numbers) { return numbers <= kNumberMax; }

}  // namespace libatoll::detail
