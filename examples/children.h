// Child processes for the examples: started by fork, and never left behind.

#ifndef ATOLL_EXAMPLES_CHILDREN_H_
#define ATOLL_EXAMPLES_CHILDREN_H_

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iostream>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Processes that end at the latest with this object, or with the process that has it.
class Children {
 public:
  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children() {
    while (!running_.empty()) {
      kill(running_.back()).IgnoreError();
    }
  }

  // Forks a process that does `work`, which returns an absl::Status, and ends.
  template <typename Work>
  absl::StatusOr<pid_t> start(Work work) {
    std::cout.flush();  // or the child would print it once more
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0) {
      return absl::ErrnoToStatus(errno, "fork");
    }
    if (child == 0) {
      // Whatever ends the parent ends the child too; even if that has happened already.
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != parent) {
        _exit(1);
      }
      const absl::Status done = work();
      if (!done.ok()) {
        std::cerr << done << '\n';
      }
      _exit(done.ok() ? 0 : 1);
    }
    running_.push_back(child);
    return child;
  }

  // Waits until all have ended; an error as soon as one has failed.
  absl::Status wait() {
    while (!running_.empty()) {
      int how = 0;
      const pid_t child = waitpid(-1, &how, 0);
      if (child < 0) {
        return absl::ErrnoToStatus(errno, "waitpid");
      }
      std::erase(running_, child);
      if (how != 0) {
        return absl::AbortedError("a child process has failed");
      }
    }
    return absl::OkStatus();
  }

  // Ends one of them by SIGKILL, which no process can catch or put off. An error if it had ended
  // by itself.
  absl::Status kill(pid_t child) {
    ::kill(child, SIGKILL);
    int how = 0;
    waitpid(child, &how, 0);
    std::erase(running_, child);
    return WIFSIGNALED(how) ? absl::OkStatus() : absl::AbortedError("a child process has failed");
  }

 private:
  std::vector<pid_t> running_;
};

#endif  // ATOLL_EXAMPLES_CHILDREN_H_
