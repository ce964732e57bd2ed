// std::atomic<int64_t> in a shared mapping: what the machine can do, and no more.

#ifndef ATOLL_BENCH_PEERS_ATOMIC_H_
#define ATOLL_BENCH_PEERS_ATOMIC_H_

#include <atomic>
#include <cstdint>

namespace bench {

struct alignas(64) Atomic {
  std::atomic<std::int64_t> value;

  std::int64_t fetch_add(std::int64_t operand) { return value.fetch_add(operand); }
  std::int64_t load() const { return value.load(); }
  void store(std::int64_t desired) { value.store(desired); }
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_ATOMIC_H_
