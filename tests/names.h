// Files of a test that are removed in the end, also when a signal ends the test: where it aborts or
// crashes, and where whoever waits for it loses patience (SIGTERM).

#ifndef ATOLL_TESTS_NAMES_H_
#define ATOLL_TESTS_NAMES_H_

#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace process {

// Removes the file or empty directory of that path, if there is one, when it is destroyed, or when a
// signal ends the process that made it. Children of fork leave their parent's files alone.
class RemovedInTheEnd {
 public:
  explicit RemovedInTheEnd(const std::string& path) {
    for (Place& place : places()) {
      if (place.owner == 0) {
        std::snprintf(place.path.data(), place.path.size(), "%s", path.c_str());
        place.owner = getpid();
        place_ = &place;
        break;
      }
    }
    if (place_ == nullptr || path.size() >= place_->path.size()) {
      std::fprintf(stderr, "too many names, or too long a one: %s\n", path.c_str());
      std::abort();
    }
    [[maybe_unused]] static const bool kInstalled = [] {
      for (std::size_t i = 0; i < kSignals.size(); ++i) {
        struct sigaction action = {};
        action.sa_handler = on_signal;
        sigaction(kSignals[i], &action, &actions_before()[i]);
      }
      return true;
    }();
  }
  RemovedInTheEnd(const RemovedInTheEnd&) = delete;
  RemovedInTheEnd& operator=(const RemovedInTheEnd&) = delete;
  ~RemovedInTheEnd() {
    remove(*place_);
    place_->owner = 0;
  }

  // Removes what this process still has; async-signal-safe. For handlers that a test puts before ours.
  static void remove_all() {
    for (const Place& place : places()) {
      if (place.owner == getpid()) {
        remove(place);
      }
    }
  }

 private:
  struct Place {
    pid_t owner = 0;
    std::array<char, 320> path = {};
  };
  // A file, or an empty directory.
  static void remove(const Place& place) {
    if (::unlink(place.path.data()) != 0) {
      ::rmdir(place.path.data());
    }
  }
  static std::array<Place, 128>& places() {
    static std::array<Place, 128> all;
    return all;
  }

  static constexpr std::array kSignals = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
                                          SIGTERM, SIGINT,  SIGHUP, SIGALRM};
  static std::array<struct sigaction, kSignals.size()>& actions_before() {
    static std::array<struct sigaction, kSignals.size()> all;
    return all;
  }
  static void on_signal(int signal) {
    remove_all();
    // Back to what was there before us: once this handler returns it is its turn.
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      if (kSignals[i] == signal) {
        sigaction(signal, &actions_before()[i], nullptr);
      }
    }
    raise(signal);
  }

  Place* place_ = nullptr;
};

}  // namespace process

#endif  // ATOLL_TESTS_NAMES_H_
