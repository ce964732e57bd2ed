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
  bool opened = false;
  int error = 0;
  {
    // No fork from here to the end of the block: a child that got the description without the handler
    // knowing it would keep us alive.
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    opened = open_anew(fd);
    error = errno;
    if (opened) {
      numbers_ = &numbers;
      next_ = all.first;
      if (next_ != nullptr) {
        next_->previous_ = this;
      }
      all.first = this;
    }
  }
  if (!opened) {
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

// Async-signal-safe. False with errno 0 where the counter is impossible.
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
    struct flock lock = lock_of(F_WRLCK, kWriterBytes + static_cast<off_t>(number), 1);
    if (fcntl(fd_, F_OFD_SETLK, &lock) == 0) {
      // relaxed: see number_.
      number_.store(number, std::memory_order_relaxed);
      return true;
    }
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return false;
    }
  }
  errno = 0;
  return false;
}

// Async-signal-safe. Opens the file of `fd` as a description of its own, in the place of the one that
// we have, if any.
bool Participant::open_anew(int fd) {
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
  const int fresh = open(end, (writable_ ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (fresh < 0 || fd_ < 0) {
    fd_ = fresh < 0 ? fd_ : fresh;
    return fresh >= 0;
  }
  const bool replaced = dup3(fresh, fd_, O_CLOEXEC) >= 0;
  close(fresh);
  return replaced;
}

// Async-signal-safe, for it runs in the child of a process that may have had many threads.
void Participant::rejoin_in_child() {
  // relaxed: see number_. Until it has a number again, this process claims nothing.
  number_.store(0, std::memory_order_relaxed);
  if (fd_ < 0) {
    return;  // our parent was such a child as the next comment tells of
  }
  if (open_anew(fd_)) {
    take_number();
    return;
  }
  // Without a description of its own the child must not keep its parent's: the parent would seem to
  // live as long as the child. It goes on, but cannot claim buffers.
  close(fd_);
  fd_ = -1;
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

std::size_t Participant::count() const {
  if (fd_ < 0) {
    return 1;
  }
  std::size_t others = 0;
  // The kernel names one lock of a range, in no order that is promised; the pieces to both sides of
  // it are looked through in turn.
  struct Range {
    off_t start;
    off_t end;
  };
  std::vector<Range> ranges = {{kReaderBytes, kWriterBytes + static_cast<off_t>(kNumberMax) + 1}};
  while (!ranges.empty()) {
    const Range range = ranges.back();
    ranges.pop_back();
    struct flock found;
    bool failed = false;
    if (range.start >= range.end ||
        !find_lock(fd_, range.start, range.end - range.start, found, failed)) {
      continue;
    }
    // Locks of one description on neighbouring bytes are one lock; a participant has one byte.
    ++others;
    ranges.push_back({range.start, found.l_start});
    ranges.push_back({found.l_start + found.l_len, range.end});
  }
  return others + 1;
}

}  // namespace libatoll::detail
