// Boost.Interprocess: its mutex, or its sharable (readers-writer) mutex, around a variant in a managed
// segment.

#ifndef ATOLL_BENCH_PEERS_INTERPROCESS_H_
#define ATOLL_BENCH_PEERS_INTERPROCESS_H_

#include <unistd.h>

#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/interprocess_sharable_mutex.hpp>
#include <boost/interprocess/sync/sharable_lock.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>

#include "variant.h"

namespace bench {

template <typename Mutex>
class Interprocess {
 public:
  explicit Interprocess(Variant initial, std::size_t capacity = 0) {
    const std::string name = "atoll_bench_" + std::to_string(getpid());
    namespace bip = boost::interprocess;
    segment_ = bip::managed_shared_memory(bip::create_only, name.c_str(), capacity + 65536);
    bip::shared_memory_object::remove(name.c_str());  // the mapping stays, also in children
    place_ = segment_.template construct<Place>(bip::unique_instance)();
    place_->value = initial;
    place_->room = static_cast<char*>(segment_.allocate(capacity + 1));
  }

  std::int64_t fetch_add(std::int64_t operand) {
    const std::scoped_lock lock(place_->mutex);
    return bench::fetch_add(place_->value, operand);
  }
  std::int64_t load() {
    const ReadLock lock(place_->mutex);
    return std::get<std::int64_t>(place_->value);
  }
  void store(std::string_view text) {
    const std::scoped_lock lock(place_->mutex);
    store_text(place_->value, place_->room.get(), text);
  }
  std::size_t load_into(char* out) {
    const ReadLock lock(place_->mutex);
    return load_text(place_->value, place_->room.get(), out);
  }

 private:
  using ReadLock =
      std::conditional_t<std::is_same_v<Mutex, boost::interprocess::interprocess_sharable_mutex>,
                         boost::interprocess::sharable_lock<Mutex>, std::unique_lock<Mutex>>;

  struct Place {
    Mutex mutex;
    Variant value;
    boost::interprocess::offset_ptr<char> room;
  };

  boost::interprocess::managed_shared_memory segment_;
  Place* place_;
};

using InterprocessMutex = Interprocess<boost::interprocess::interprocess_mutex>;
using InterprocessSharableMutex = Interprocess<boost::interprocess::interprocess_sharable_mutex>;

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_INTERPROCESS_H_
