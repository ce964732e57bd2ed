// A plain seqlock: the sequence is odd while a writer writes, readers and other writers wait for it to
// become even. A writer that is killed in between blocks all of them for ever.

#ifndef ATOLL_BENCH_PEERS_SEQLOCK_H_
#define ATOLL_BENCH_PEERS_SEQLOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "../harness.h"

namespace bench {

class Seqlock {
 public:
  static Seqlock& make(std::size_t capacity) {
    return *new (shared_memory(sizeof(Seqlock) + capacity + 8)) Seqlock;
  }

  void store(std::string_view text) {
    std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    while ((sequence & 1) != 0 ||
           !sequence_.compare_exchange_weak(sequence, sequence + 1, std::memory_order_acquire)) {
      asm volatile("" : : : "memory");
      sequence = sequence_.load(std::memory_order_relaxed);
    }
    std::atomic_thread_fence(std::memory_order_release);
    length_ = text.size();
    std::memcpy(room(), text.data(), text.size());
    sequence_.store(sequence + 2, std::memory_order_release);
  }

  std::size_t load_into(char* out) {
    for (;;) {
      const std::uint64_t before = sequence_.load(std::memory_order_acquire);
      if ((before & 1) != 0) {
        continue;
      }
      const std::size_t length = length_;
      std::memcpy(out, room(), length);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (sequence_.load(std::memory_order_relaxed) == before) {
        return length;
      }
    }
  }

  std::int64_t fetch_add(std::int64_t operand) {
    std::uint64_t sequence = sequence_.load(std::memory_order_relaxed);
    while ((sequence & 1) != 0 ||
           !sequence_.compare_exchange_weak(sequence, sequence + 1, std::memory_order_acquire)) {
      sequence = sequence_.load(std::memory_order_relaxed);
    }
    auto* const number = reinterpret_cast<std::atomic<std::int64_t>*>(room());
    const std::int64_t previous = number->load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    number->store(previous + operand, std::memory_order_relaxed);
    sequence_.store(sequence + 2, std::memory_order_release);
    return previous;
  }

  std::int64_t load() const {
    const auto* const number =
        reinterpret_cast<const std::atomic<std::int64_t>*>(reinterpret_cast<const char*>(this + 1));
    for (;;) {
      const std::uint64_t before = sequence_.load(std::memory_order_acquire);
      const std::int64_t value = number->load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if ((before & 1) == 0 && sequence_.load(std::memory_order_relaxed) == before) {
        return value;
      }
    }
  }

 private:
  char* room() { return reinterpret_cast<char*>(this + 1); }

  std::atomic<std::uint64_t> sequence_ = 0;
  std::size_t length_ = 0;
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_SEQLOCK_H_
