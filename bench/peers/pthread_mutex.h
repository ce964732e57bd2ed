// A process-shared pthread mutex around a variant. The robust kind survives the death of its holder, as
// atoll does; the plain one then blocks everybody for ever.

#ifndef ATOLL_BENCH_PEERS_PTHREAD_MUTEX_H_
#define ATOLL_BENCH_PEERS_PTHREAD_MUTEX_H_

#include <pthread.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>

#include "../harness.h"
#include "variant.h"

namespace bench {

class PthreadMutex {
 public:
  enum Kind { kPlain, kRobust };

  // In shared memory, with room for so many bytes of text.
  static PthreadMutex& make(Kind kind, Variant initial, std::size_t capacity = 0) {
    return *new (shared_memory(sizeof(PthreadMutex) + capacity)) PthreadMutex(kind, initial);
  }

  std::int64_t fetch_add(std::int64_t operand) {
    const Lock lock(*this);
    return bench::fetch_add(value_, operand);
  }
  std::int64_t load() {
    const Lock lock(*this);
    return std::get<std::int64_t>(value_);
  }
  void store(std::string_view text) {
    const Lock lock(*this);
    store_text(value_, room(), text);
  }
  std::size_t load_into(char* out) {
    const Lock lock(*this);
    return load_text(value_, room(), out);
  }

 private:
  PthreadMutex(Kind kind, Variant initial) : value_(initial) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (kind == kRobust) {
      pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    }
    must(pthread_mutex_init(&mutex_, &attributes) == 0, "pthread_mutex_init");
  }

  class Lock {
   public:
    explicit Lock(PthreadMutex& owner) : mutex_(owner.mutex_) {
      if (pthread_mutex_lock(&mutex_) == EOWNERDEAD) [[unlikely]] {
        pthread_mutex_consistent(&mutex_);
      }
    }
    ~Lock() { pthread_mutex_unlock(&mutex_); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    pthread_mutex_t& mutex_;
  };

  char* room() { return reinterpret_cast<char*>(this + 1); }

  // The lock and what it protects share a line, as far as they fit.
  alignas(64) pthread_mutex_t mutex_;
  Variant value_;
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_PTHREAD_MUTEX_H_
