// The works, and what they have in common.

#ifndef ATOLL_BENCH_WORKS_H_
#define ATOLL_BENCH_WORKS_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <atoll/atoll.h>

#include "harness.h"

namespace bench {

// How much of everything.
struct Extent {
  bool quick = false;
  int cpus = 0;
};

std::vector<Work> number_works(const Extent& extent);
std::vector<Work> text_works(const Extent& extent);
std::vector<Work> list_works(const Extent& extent);

// Does `operation()` over and over. The copy is local to the loop, so that what it refers to stays in
// registers.
template <typename Operation>
Body repeat(Operation operation) {
  return [operation](std::uint64_t operations) {
    const Operation local = operation;  // NOLINT(performance-unnecessary-copy-initialization)
    for (; operations > 0; --operations) {
      local();
    }
  };
}

template <typename Operation>
Contestant contestant(std::string name, Operation operation) {
  return {std::move(name), [operation](int) { return repeat(operation); }};
}

// An unnamed list that lives as long as the program, and that children of fork use.
inline const atoll::List& make_list(const std::vector<libatoll::Init>& values,
                                    const atoll::CreateOptions& options = {}) {
  return *new atoll::List(must(atoll::List::create_anonymous(values, options)));
}

// For the operations that are measured: nothing is moved, nothing destroyed twice.
template <typename Result>
inline void check(const Result& result) {
  if (!result.ok()) [[unlikely]] {
    if constexpr (std::is_same_v<Result, absl::Status>) {
      die(result.ToString());
    } else {
      die(result.status().ToString());
    }
  }
}

}  // namespace bench

#endif  // ATOLL_BENCH_WORKS_H_
