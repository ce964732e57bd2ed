// The seed of a test that draws at random: what an environment variable says, or else a new one.

#ifndef ATOLL_TESTS_SEED_H_
#define ATOLL_TESTS_SEED_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "process.h"

namespace process {

// Prints the seed as what to set the variable to for the same run again.
inline std::uint64_t seed_from(const char* variable) {
  const char* const given = std::getenv(variable);
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10)
                       : mix(static_cast<std::uint64_t>(
                             std::chrono::steady_clock::now().time_since_epoch().count())) %
                             1'000'000'000;
  std::printf("%s=%llu\n", variable, static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace process

#endif  // ATOLL_TESTS_SEED_H_
