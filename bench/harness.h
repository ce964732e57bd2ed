// The harness: the same work done by several contestants, in real processes, in turns.
//
// One sample: fork the processes of the work, pin each to a CPU of its own where there are enough, let
// each attach and warm up, line them up, and count what they do in a window of some milliseconds. In
// each round every contestant is sampled once, in an order that changes with the round, so that what
// the machine does meanwhile hits all alike; ratios are taken within a round. A sample during which the
// kernel took a CPU away from a process is taken again, for it shows the scheduler and not the work.
//
// Each sample becomes a line of JSON on stdout; progress goes to stderr.

#ifndef ATOLL_BENCH_HARNESS_H_
#define ATOLL_BENCH_HARNESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace bench {

// What a process does: so many operations, in one loop of its own.
using Body = std::function<void(std::uint64_t operations)>;

struct Contestant {
  std::string name;
  // Called in each process, pinned and before the start line. `process` counts from 0.
  std::function<Body(int process)> enter;
};

struct Work {
  std::string name;
  int processes = 1;
  std::uint64_t size = 0;  // bytes of text, or slots; where the work has a size
  // Called once, when the work is due: makes what the contestants share.
  std::function<std::vector<Contestant>()> set_up;
  // Processes before this one only disturb: what they do is not counted.
  int first_counted = 0;
  // How many operations each process does; 0: as many as fit in the window. For operations that
  // answer each other, or take long.
  std::uint64_t operations = 0;
  // How many windows a sample takes: more where one operation is long.
  int windows = 1;
};

struct Plan {
  std::chrono::nanoseconds window{};
  int rounds = 0;
};

// Samples the works, `rounds` times each contestant. False if the program was interrupted (SIGINT,
// SIGTERM, SIGHUP): what the works made, such as files in shared memory, is gone then, too.
bool run(const std::vector<Work>& works, const Plan& plan);

// Keeps the compiler from leaving out what nobody looks at.
template <typename T>
inline void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

// Ends the process with a message if the operation failed: what fails is not measured.
[[noreturn]] void die(const std::string& what);
inline void must(const absl::Status& status) {
  if (!status.ok()) [[unlikely]] {
    die(status.ToString());
  }
}
template <typename T>
inline T must(absl::StatusOr<T> result) {
  if (!result.ok()) [[unlikely]] {
    die(result.status().ToString());
  }
  return *std::move(result);
}
inline void must(bool holds, const char* what) {
  if (!holds) [[unlikely]] {
    die(what);
  }
}

// A T in memory that the children of fork share; for the rest of the program.
void* shared_memory(std::size_t bytes);
template <typename T>
T& make_shared_memory() {
  return *new (shared_memory(sizeof(T))) T();
}

}  // namespace bench

#endif  // ATOLL_BENCH_HARNESS_H_
