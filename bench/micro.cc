// One thread, with Google Benchmark: what each operation costs when nobody else is there. For work on
// the code, and for `perf stat` and callgrind; the comparison with the peers is in the other files.
//
//   build/bench/bench/micro --benchmark_filter=text

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include <atoll/atoll.h>

#include "peers/atomic.h"
#include "peers/cas16.h"

namespace {

using libatoll::pinned;

const atoll::List& list_of(const libatoll::Init& init) {
  return *new atoll::List(*atoll::List::create_anonymous({init}));
}

template <typename Operation>
void measure(benchmark::State& state, Operation operation) {
  for (auto _ : state) {
    auto result = operation();
    if constexpr (requires { result.ok(); }) {
      if (!result.ok()) {
        state.SkipWithError("failed");
        break;
      }
    }
    benchmark::DoNotOptimize(result);
  }
}

void atomic_fetch_add(benchmark::State& state) {
  static bench::Atomic atomic;
  measure(state, [] { return atomic.fetch_add(1); });
}
BENCHMARK(atomic_fetch_add);

void bare_cas16_fetch_add(benchmark::State& state) {
  static bench::Cas16 cas16;
  measure(state, [] { return cas16.fetch_add(1); });
}
BENCHMARK(bare_cas16_fetch_add);

void counter_fetch_add(benchmark::State& state) {
  const atoll::Counter counter = *list_of(pinned(0)).counter(0);
  measure(state, [&] { return counter.fetch_add(1); });
}
BENCHMARK(counter_fetch_add);

void pinned_slot_fetch_add(benchmark::State& state) {
  const atoll::List& list = list_of(pinned(0));
  measure(state, [&] { return list[0].fetch_add(1); });
}
BENCHMARK(pinned_slot_fetch_add);

void slot_fetch_add(benchmark::State& state) {
  const atoll::List& list = list_of(0);
  measure(state, [&] { return list[0].fetch_add(1); });
}
BENCHMARK(slot_fetch_add);

void slot_load(benchmark::State& state) {
  const atoll::List& list = list_of(0);
  measure(state, [&] { return list[0].load<std::int64_t>(); });
}
BENCHMARK(slot_load);

void slot_store(benchmark::State& state) {
  const atoll::List& list = list_of(0);
  measure(state, [&] { return list[0].store(1); });
}
BENCHMARK(slot_store);

void copy_with_memcpy(benchmark::State& state) {
  const std::string from(static_cast<std::size_t>(state.range()), 'x');
  std::string to = from;
  measure(state, [&] {
    std::memcpy(to.data(), from.data(), from.size());
    benchmark::ClobberMemory();
    return to.data();
  });
}
BENCHMARK(copy_with_memcpy)->RangeMultiplier(4)->Range(16, 1 << 20);

void text_load(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range()), 'x');
  const atoll::List& list = list_of(text);
  std::string room = text;
  measure(state, [&] { return list[0].load_into(room); });
}
BENCHMARK(text_load)->RangeMultiplier(4)->Range(16, 1 << 20);

void text_store(benchmark::State& state) {
  const std::string text(static_cast<std::size_t>(state.range()), 'x');
  const atoll::List& list = list_of(text);
  measure(state, [&] { return list[0].store(text); });
}
BENCHMARK(text_store)->RangeMultiplier(4)->Range(16, 1 << 20);

}  // namespace

BENCHMARK_MAIN();
