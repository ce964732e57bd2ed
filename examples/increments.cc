// Ten processes add one to each of five slots a hundred times, three ways: by load, add and store,
// which loses increments; the same under a mutex that the processes share; and by fetch_add. Prints
// the list and the time of each.

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <new>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include <atoll/atoll.h>

#include "children.h"

namespace {

constexpr int kProcesses = 10;
constexpr int kRounds = 100;

// Gives the processor to somebody else, as the kernel may do at any instruction. It happens once an
// increment in each of the three ways; without it, processes that run for microseconds seldom meet.
void step_aside() { sched_yield(); }

// What other processes write between the load and the store, the store undoes.
template <typename Between>
absl::Status load_add_store(const atoll::Slot& slot, Between between) {
  absl::StatusOr<std::int64_t> value = slot.load<std::int64_t>();
  if (!value.ok()) {
    return value.status();
  }
  between();
  return slot.store(*value + 1);
}

// A mutex in memory that child processes share. If its holder is killed, the others wait for ever.
class SharedMutex {
 public:
  static absl::StatusOr<SharedMutex> create() {
    void* const memory = mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
      return absl::ErrnoToStatus(errno, "mmap");
    }
    auto* const mutex = new (memory) pthread_mutex_t;
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(mutex, &shared);
    return SharedMutex(mutex);
  }
  void lock() { pthread_mutex_lock(mutex_); }
  void unlock() { pthread_mutex_unlock(mutex_); }

 private:
  explicit SharedMutex(pthread_mutex_t* mutex) : mutex_(mutex) {}
  pthread_mutex_t* mutex_;
};

// A list whose name is taken away at once. Who has the list open keeps it; so nothing is left in
// shared memory, however this program ends.
absl::StatusOr<atoll::List> create_list() {
  sigset_t every;
  sigset_t before;
  sigfillset(&every);
  sigprocmask(SIG_SETMASK, &every, &before);  // an interruption waits until the name is gone
  absl::StatusOr<atoll::List> list = atoll::List::create("", {0, 0, 0, 0, 0});
  const absl::Status unlinked = list.ok() ? list->unlink() : absl::OkStatus();
  sigprocmask(SIG_SETMASK, &before, nullptr);
  if (!unlinked.ok()) {
    return unlinked;
  }
  return list;
}

// Lets `increment` loose on a new list in ten processes at once. Prints the list, and the time from
// the first increment to the last; with fewer processors than processes, most of that is the time
// that they take turns in.
template <typename Increment>
absl::Status run(const char* heading, Increment increment) {
  std::cout << '\n' << heading << std::endl;
  absl::StatusOr<atoll::List> list = create_list();
  if (!list.ok()) {
    return list.status();
  }

  // How many stand at the start line, when the first left it, and when the last was done. Another
  // list, for the processes of this program alone: it has no name.
  absl::StatusOr<atoll::List> clock =
      atoll::List::create_anonymous({atoll::pinned(0), atoll::pinned(INT64_MAX), atoll::pinned(0)});
  if (!clock.ok()) {
    return clock.status();
  }
  const atoll::Counter ready = clock->counter(0).value();
  const atoll::Counter first = clock->counter(1).value();
  const atoll::Counter last = clock->counter(2).value();

  Children children;
  for (int i = 0; i < kProcesses; ++i) {
    absl::StatusOr<pid_t> child = children.start([&] {
      ready.fetch_add(1);
      while (ready.load() < kProcesses) {
        sched_yield();
      }
      first.fetch_min(absl::GetCurrentTimeNanos());
      for (int round = 0; round < kRounds; ++round) {
        for (const atoll::Slot slot : *list) {
          if (absl::Status done = increment(slot); !done.ok()) {
            return done;
          }
        }
      }
      last.fetch_max(absl::GetCurrentTimeNanos());
      return absl::OkStatus();
    });
    if (!child.ok()) {
      return child.status();
    }
  }
  if (absl::Status done = children.wait(); !done.ok()) {
    return done;
  }
  std::int64_t found = 0;
  for (const atoll::Slot slot : *list) {
    found += slot.load<std::int64_t>().value_or(0);
  }
  const auto made = std::int64_t{kProcesses} * kRounds * (list->end() - list->begin());
  const absl::Duration time = absl::Nanoseconds(last.load() - first.load());
  std::cout << absl::StreamFormat("%d of %d increments lost, %.2f ms\n", made - found, made,
                                  absl::ToDoubleMilliseconds(time))
            << *list << std::endl;
  return absl::OkStatus();
}

absl::Status increments() {
  absl::StatusOr<SharedMutex> mutex = SharedMutex::create();
  if (!mutex.ok()) {
    return mutex.status();
  }
  const auto unprotected = [](const atoll::Slot& slot) { return load_add_store(slot, step_aside); };
  const auto under_mutex = [&mutex](const atoll::Slot& slot) {
    step_aside();
    mutex->lock();
    absl::Status done = load_add_store(slot, [] {});
    mutex->unlock();
    return done;
  };
  const auto fetch_add = [](const atoll::Slot& slot) {
    step_aside();
    return slot.fetch_add(1).status();
  };

  std::cout << "Ten processes add one to each of five slots, a hundred times.\n";
  absl::Status status = run("Load, add, store:", unprotected);
  if (status.ok()) {
    status = run("The same under a mutex:", under_mutex);
  }
  if (status.ok()) {
    status = run("fetch_add:", fetch_add);
  }
  return status;
}

}  // namespace

int main() {
  if (absl::Status status = increments(); !status.ok()) {
    std::cerr << status << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
