// Abseil's SequenceLock, which its flags use inside: any number of readers, one writer at a time.

#ifndef ATOLL_BENCH_PEERS_SEQUENCE_LOCK_H_
#define ATOLL_BENCH_PEERS_SEQUENCE_LOCK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

#include "absl/flags/internal/sequence_lock.h"

#include "../harness.h"

namespace bench {

class SequenceLock {
 public:
  // All texts have `bytes` bytes.
  static SequenceLock& make(std::size_t bytes) {
    return *new (shared_memory(sizeof(SequenceLock) + bytes + 8)) SequenceLock(bytes);
  }

  std::size_t load_into(char* out) {
    while (!lock_.TryRead(out, words(), bytes_)) {
    }
    return bytes_;
  }
  // By one process only.
  void store(std::string_view text) { lock_.Write(words(), text.data(), text.size()); }

  std::int64_t load() {
    std::int64_t value;
    load_into(reinterpret_cast<char*>(&value));
    return value;
  }

 private:
  explicit SequenceLock(std::size_t bytes) : bytes_(bytes) { lock_.MarkInitialized(); }

  std::atomic<std::uint64_t>* words() {
    return reinterpret_cast<std::atomic<std::uint64_t>*>(this + 1);
  }

  alignas(64) absl::flags_internal::SequenceLock lock_;
  std::size_t bytes_;
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_SEQUENCE_LOCK_H_
