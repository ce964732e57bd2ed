// A bare loop around the 16-byte compare-and-swap: {number, version}, and nothing checked.

#ifndef ATOLL_BENCH_PEERS_CAS16_H_
#define ATOLL_BENCH_PEERS_CAS16_H_

#include <atomic>
#include <cstdint>

#include "atoll/detail/header_word.h"

namespace bench {

struct alignas(64) Cas16 {
  libatoll::detail::Header header;

  std::int64_t fetch_add(std::int64_t operand) {
    libatoll::detail::Word seen = {header.payload.load(std::memory_order_relaxed),
                                   header.meta.load(std::memory_order_relaxed)};
    while (!libatoll::detail::compare_exchange(
        header, seen, {seen.payload + static_cast<std::uint64_t>(operand), seen.meta + 1})) {
    }
    return static_cast<std::int64_t>(seen.payload);
  }
};

}  // namespace bench

#endif  // ATOLL_BENCH_PEERS_CAS16_H_
