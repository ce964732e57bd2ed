// Numbers: counting together, and reading.

#include <algorithm>
#include <array>
#include <cstddef>

#include "peers/atomic.h"
#include "peers/cas16.h"
#include "peers/interprocess.h"
#include "peers/pthread_mutex.h"
#include "peers/seqlock.h"
#include "peers/sequence_lock.h"
#include "works.h"

namespace bench {
namespace {

using libatoll::pinned;

constexpr std::int64_t kZero = 0;

// Everybody adds one to one number.
std::vector<Contestant> adding() {
  const atoll::List& list = make_list({0, pinned(0)});
  const atoll::Counter counter = must(list.counter(1));
  auto& atomic = make_shared_memory<Atomic>();
  auto& cas16 = make_shared_memory<Cas16>();
  PthreadMutex& mutex = PthreadMutex::make(PthreadMutex::kPlain, kZero);
  PthreadMutex& robust = PthreadMutex::make(PthreadMutex::kRobust, kZero);
  auto& interprocess = *new InterprocessMutex(kZero);
  Seqlock& seqlock = Seqlock::make(sizeof(std::int64_t));
  return {
      contestant("std::atomic", [&atomic] { keep(atomic.fetch_add(1)); }),
      contestant("atoll Counter", [counter] { keep(counter.fetch_add(1)); }),
      contestant("atoll pinned slot", [&list] { check(list[1].fetch_add(1)); }),
      contestant("cmpxchg16b", [&cas16] { keep(cas16.fetch_add(1)); }),
      contestant("atoll slot", [&list] { check(list[0].fetch_add(1)); }),
      contestant("pthread mutex", [&mutex] { keep(mutex.fetch_add(1)); }),
      contestant("robust mutex", [&robust] { keep(robust.fetch_add(1)); }),
      contestant("Boost mutex", [&interprocess] { keep(interprocess.fetch_add(1)); }),
      contestant("seqlock", [&seqlock] { keep(seqlock.fetch_add(1)); }),
  };
}

// The first `writers` processes write one number without a pause, the others read it.
std::vector<Contestant> loading(int writers) {
  const atoll::List& list = make_list({0, pinned(0)});
  const atoll::Counter counter = must(list.counter(1));
  const atoll::Slot slot = list[0];
  const atoll::Slot pinned_slot = list[1];
  auto& atomic = make_shared_memory<Atomic>();
  PthreadMutex& mutex = PthreadMutex::make(PthreadMutex::kPlain, kZero);
  PthreadMutex& robust = PthreadMutex::make(PthreadMutex::kRobust, kZero);
  auto& sharable = *new InterprocessSharableMutex(kZero);
  SequenceLock& sequence_lock = SequenceLock::make(sizeof(std::int64_t));
  Seqlock& seqlock = Seqlock::make(sizeof(std::int64_t));

  const auto either = [writers](std::string name, auto write, auto read) {
    return Contestant{std::move(name), [=](int process) {
                        return process < writers ? repeat(write) : repeat(read);
                      }};
  };
  return {
      either(
          "std::atomic", [&] { atomic.store(1); }, [&] { keep(atomic.load()); }),
      either(
          "atoll Counter", [counter] { counter.store(1); }, [counter] { keep(counter.load()); }),
      either(
          "atoll pinned slot", [pinned_slot] { check(pinned_slot.store(1)); },
          [pinned_slot] { check(pinned_slot.load<std::int64_t>()); }),
      either(
          "atoll slot", [slot] { check(slot.store(1)); },
          [slot] { check(slot.load<std::int64_t>()); }),
      either(
          "pthread mutex", [&] { mutex.fetch_add(1); }, [&] { keep(mutex.load()); }),
      either(
          "robust mutex", [&] { robust.fetch_add(1); }, [&] { keep(robust.load()); }),
      either(
          "Boost sharable mutex", [&] { sharable.fetch_add(1); }, [&] { keep(sharable.load()); }),
      either(
          "Abseil SequenceLock",
          [&] { sequence_lock.store(std::string_view("\1\0\0\0\0\0\0\0", 8)); },
          [&] { keep(sequence_lock.load()); }),
      either(
          "seqlock", [&] { seqlock.fetch_add(1); }, [&] { keep(seqlock.load()); }),
  };
}

// Each load waits for the one before, which says where it looks: the time until a value is there.
std::vector<Contestant> chained_loading() {
  const atoll::List& list = make_list({0, pinned(0)});
  auto& atomic = make_shared_memory<Atomic>();
  const auto chain = [](std::string name, auto load) {
    return Contestant{std::move(name), [load](int) {
                        return Body([load](std::uint64_t operations) {
                          std::size_t value = 0;
                          for (; operations > 0; --operations) {
                            value = load(value);
                          }
                          keep(value);
                        });
                      }};
  };
  const auto load_slot = [&list](std::size_t index) {
    const auto value = list[index].load<std::int64_t>();
    check(value);
    return static_cast<std::size_t>(*value);
  };
  return {
      chain("std::atomic",
            [&atomic](std::size_t index) {
              return static_cast<std::size_t>((&atomic)[index].load());
            }),
      chain("atoll pinned slot", [load_slot](std::size_t index) { return load_slot(index + 1); }),
      chain("atoll slot", load_slot),
  };
}

// As the increments of the README: everybody adds in five places, one after another.
std::vector<Contestant> incrementing() {
  constexpr std::size_t kSlots = 5;
  const atoll::List& list = make_list({0, 0, 0, 0, 0});
  auto& robust = *new std::array<PthreadMutex*, kSlots>;
  for (PthreadMutex*& each : robust) {
    each = &PthreadMutex::make(PthreadMutex::kRobust, kZero);
  }
  const auto rotate = [](std::string name, auto increment) {
    return Contestant{std::move(name), [increment](int) {
                        return Body([increment](std::uint64_t operations) {
                          for (std::uint64_t i = 0; i < operations; ++i) {
                            increment(i % kSlots);
                          }
                        });
                      }};
  };
  return {
      rotate("atoll slot", [&list](std::size_t i) { check(list[i].fetch_add(1)); }),
      rotate("robust mutex", [&robust](std::size_t i) { keep(robust[i]->fetch_add(1)); }),
  };
}

}  // namespace

std::vector<Work> number_works(const Extent& extent) {
  std::vector<Work> works;
  for (const int processes : {1, 2, 4, 8, 16}) {
    if (processes > 2 && extent.quick) {
      break;
    }
    works.push_back({.name = "fetch_add", .processes = processes, .set_up = adding});
    works.push_back({.name = "load", .processes = processes, .set_up = [] { return loading(0); }});
    if (processes > 1) {
      works.push_back({.name = "load beside a writer",
                       .processes = processes,
                       .set_up = [] { return loading(1); },
                       .first_counted = 1});
    }
  }
  works.push_back({.name = "load, chained", .set_up = chained_loading});
  works.push_back(
      {.name = "increments", .processes = 10, .set_up = incrementing, .operations = 20'000});
  return works;
}

}  // namespace bench
