// Text: storing and loading it by size.

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>

#include "peers/interprocess.h"
#include "peers/lmdb.h"
#include "peers/pthread_mutex.h"
#include "peers/seqlock.h"
#include "peers/sequence_lock.h"
#include "works.h"

namespace bench {
namespace {

constexpr std::size_t kLmdbMin = 64;
constexpr std::size_t kLmdbMax = 1 << 20;

// Stores before the first that counts: every buffer's pages are then mapped in this process.
constexpr int kPagesTouched = 4;

// What each process has of its own: text to store, and room to load into.
struct Desk {
  Desk(std::size_t size, int process)
      : text(size, static_cast<char>('a' + process % 26)), room(size, '\0') {}
  std::string text;
  std::string room;
};

// A contestant that stores in the processes before `first_reader` and loads in the others.
// `operations(desk)` gives both operations in one process.
template <typename Store, typename Load>
Contestant storing_or_loading(std::string name, std::size_t size, int first_reader, Store store,
                              Load load) {
  return {std::move(name), [=](int process) {
            const auto desk = std::make_shared<Desk>(size, process);
            for (int i = 0; i < kPagesTouched; ++i) {
              store(desk->text);
            }
            if (process < first_reader) {
              return repeat([store, text = std::string_view(desk->text), desk] { store(text); });
            }
            return repeat([load, out = desk->room.data(), desk] { load(out); });
          }};
}

template <typename Peer>
Contestant storing_or_loading(std::string name, std::size_t size, int first_reader, Peer& peer) {
  return storing_or_loading(
      std::move(name), size, first_reader, [&peer](std::string_view text) { peer.store(text); },
      [&peer](char* out) { keep(peer.load_into(out)); });
}

// The first `writers` processes store, the others load.
std::vector<Contestant> storing_and_loading(std::size_t size, int writers) {
  const atoll::List& list = make_list({libatoll::text(size)});
  const TextLength none;
  PthreadMutex& mutex = PthreadMutex::make(PthreadMutex::kPlain, none, size);
  PthreadMutex& robust = PthreadMutex::make(PthreadMutex::kRobust, none, size);
  auto& interprocess = *new InterprocessMutex(none, size);
  auto& sharable = *new InterprocessSharableMutex(none, size);
  Seqlock& seqlock = Seqlock::make(size);

  std::vector<Contestant> contestants;
  contestants.push_back(storing_or_loading(
      "atoll", size, writers, [&list](std::string_view text) { check(list[0].store(text)); },
      [&list, size](char* out) {
        check(list[0].load_into({out, size}));
      }));
  contestants.push_back(storing_or_loading("pthread mutex", size, writers, mutex));
  contestants.push_back(storing_or_loading("robust mutex", size, writers, robust));
  contestants.push_back(storing_or_loading("Boost mutex", size, writers, interprocess));
  contestants.push_back(storing_or_loading("Boost sharable mutex", size, writers, sharable));
  contestants.push_back(storing_or_loading("seqlock", size, writers, seqlock));
  if (writers == 0) {
    auto* const shared = static_cast<char*>(shared_memory(size));
    contestants.push_back(storing_or_loading(
        "memcpy", size, writers,
        [=](std::string_view text) { std::memcpy(shared, text.data(), text.size()); },
        [=](char* out) {
          std::memcpy(out, shared, size);
          keep(*out);
        }));
  }
  if (writers <= 1) {
    SequenceLock& sequence_lock = SequenceLock::make(size);
    // Who only reads does not store first: there may be one writer at a time.
    contestants.push_back({"Abseil SequenceLock", [&sequence_lock, size, writers](int process) {
                             const auto desk = std::make_shared<Desk>(size, process);
                             if (process < writers) {
                               return repeat([&, desk] { sequence_lock.store(desk->text); });
                             }
                             return repeat(
                                 [&, desk] { keep(sequence_lock.load_into(desk->room.data())); });
                           }});
  }
  if (size >= kLmdbMin && size <= kLmdbMax) {
    const auto files = std::make_shared<LmdbFiles>(size);
    contestants.push_back({"LMDB", [files, size, writers](int process) {
                             const auto desk = std::make_shared<Desk>(size, process);
                             const auto lmdb = std::make_shared<Lmdb>(*files);
                             lmdb->store(desk->text);
                             if (process < writers) {
                               return repeat([lmdb, desk] { lmdb->store(desk->text); });
                             }
                             return repeat(
                                 [lmdb, desk] { keep(lmdb->load_into(desk->room.data())); });
                           }});
  }
  return contestants;
}

}  // namespace

std::vector<Work> text_works(const Extent& extent) {
  std::vector<Work> works;
  const auto add = [&works](const char* name, std::size_t size, int processes, int writers) {
    works.push_back({.name = name,
                     .processes = processes,
                     .size = size,
                     .set_up = [=] { return storing_and_loading(size, writers); },
                     .first_counted = writers < processes ? writers : 0,
                     .windows = size > 1 << 16 ? 10 : 1});
  };
  const int processes_max = extent.quick ? 2 : 4;
  for (const std::size_t size :
       {16U, 64U, 256U, 1024U, 4096U, 16384U, 65536U, 1U << 20, 10U << 20}) {
    add("text load", size, 1, 0);
    if (size > 1U << 20) {
      continue;
    }
    for (int processes = 1; processes <= processes_max; processes *= 2) {
      add("text store", size, processes, processes);
      if (processes > 1) {
        add("text load beside a writer", size, processes, 1);
      }
    }
  }
  return works;
}

}  // namespace bench
