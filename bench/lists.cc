// Whole lists: attaching, creating, scanning, snapshots; and two processes that wait for each other.

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "works.h"

namespace bench {
namespace {

constexpr std::size_t kMillion = 1'000'000;

std::string unique_name() {
  static int count = 0;
  return "/atoll_bench_" + std::to_string(getpid()) + "_" + std::to_string(count++);
}

// A list with a name, which goes with this object.
class Named {
 public:
  Named(std::size_t slots, atoll::Layout layout)
      : list_(must(atoll::List::create(unique_name(), libatoll::fill(slots, 0),
                                       {.layout = layout, .unlink_on_close = true}))) {}
  const std::string& name() const { return list_.name(); }

 private:
  atoll::List list_;
};

// What attaching cannot do without: find the file, look at its size, map it, write to it once.
void open_and_map(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  struct stat status = {};
  must(fd >= 0 && fstat(fd, &status) == 0, "open");
  const auto bytes = static_cast<std::size_t>(status.st_size);
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(data != MAP_FAILED, "mmap");
  static_cast<std::atomic<char>*>(data)->fetch_or(0);
  munmap(data, bytes);
  close(fd);
}

std::vector<Contestant> attaching(const std::vector<std::size_t>& lengths) {
  std::vector<Contestant> contestants;
  for (const std::size_t length : lengths) {
    const auto named = std::make_shared<Named>(length, atoll::Layout::kDense);
    contestants.push_back(contestant("atoll, " + std::to_string(length) + " slots",
                                     [named] { check(atoll::List::attach(named->name())); }));
    contestants.push_back(contestant("open and mmap, " + std::to_string(length) + " slots",
                                     [named] { open_and_map("/dev/shm" + named->name()); }));
  }
  return contestants;
}

// Makes a file in shared memory and writes every byte of it once.
void write_once(std::size_t bytes) {
  const int fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  must(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0, "open");
  void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(data != MAP_FAILED, "mmap");
  std::memset(data, 1, bytes);
  munmap(data, bytes);
  close(fd);
}

std::vector<Contestant> creating(std::size_t length) {
  const auto create = [length](atoll::Layout layout) {
    return [length, layout] {
      check(atoll::List::create(unique_name(), libatoll::fill(length, 0),
                                {.layout = layout, .unlink_on_close = true}));
    };
  };
  const auto bytes = [length](atoll::Layout layout) {
    return must(atoll::List::bytes_needed(libatoll::fill(length, 0), {.layout = layout}));
  };
  const std::size_t padded_bytes = bytes(atoll::Layout::kPadded);
  const std::size_t dense_bytes = bytes(atoll::Layout::kDense);
  return {
      contestant("atoll", create(atoll::Layout::kPadded)),
      contestant("write once", [padded_bytes] { write_once(padded_bytes); }),
      contestant("atoll, dense", create(atoll::Layout::kDense)),
      contestant("write once, dense", [dense_bytes] { write_once(dense_bytes); }),
  };
}

// Counts, or looks for, a number that is not there.
std::vector<Contestant> scanning(atoll::Layout layout) {
  const atoll::List& list = *new atoll::List(
      must(atoll::List::create_anonymous(libatoll::fill(kMillion, 7), {.layout = layout})));
  const std::size_t stride = layout == atoll::Layout::kPadded ? 64 : 16;
  const auto* const memory = static_cast<const char*>(shared_memory(kMillion * stride));
  return {
      contestant("atoll count", [&list] { check(list.count(8)); }),
      contestant("atoll index", [&list] { check(list.index(8)); }),
      contestant("plain scan",
                 [memory, stride] {
                   std::size_t found = 0;
                   for (std::size_t i = 0; i < kMillion; ++i) {
                     found +=
                         *reinterpret_cast<const std::int64_t*>(memory + i * stride) == 8 ? 1 : 0;
                   }
                   keep(found);
                 }),
  };
}

constexpr std::size_t kSnapshotSlots = 1'000;

// The copies are what a program writes that knows that nobody writes meanwhile.
std::vector<Contestant> taking_snapshots() {
  const atoll::List& list =
      *new atoll::List(must(atoll::List::create_anonymous(libatoll::fill(kSnapshotSlots, 7), {})));
  struct alignas(64) Plain {
    std::int64_t value;
  };
  const auto* const memory =
      static_cast<const Plain*>(shared_memory(kSnapshotSlots * sizeof(Plain)));
  const auto copy = [memory](auto values) {
    return [memory, values] {
      auto out = values;
      out.resize(kSnapshotSlots);
      for (std::size_t i = 0; i < kSnapshotSlots; ++i) {
        out[i] = memory[i].value;
      }
      keep(out);
    };
  };
  return {
      contestant("atoll values", [&list] { check(list.snapshot()); }),
      contestant("copy of values", copy(std::vector<atoll::Value>())),
      contestant("atoll numbers", [&list] { check(list.snapshot<std::int64_t>()); }),
      contestant("copy of numbers", copy(std::vector<std::int64_t>())),
  };
}

// The ball goes to and fro between two processes that sleep while they wait for it.
std::vector<Contestant> playing_ping_pong() {
  struct Ball {
    alignas(64) std::atomic<std::uint32_t> there;
    alignas(64) std::atomic<std::uint32_t> back;
  };
  Ball& ball = make_shared_memory<Ball>();
  const auto futex_hit = [](std::atomic<std::uint32_t>& word) {
    word.fetch_add(1);
    syscall(SYS_futex, &word, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  };
  const auto futex_await = [](std::atomic<std::uint32_t>& word, std::uint32_t seen) {
    while (word.load() == seen) {
      syscall(SYS_futex, &word, FUTEX_WAIT, seen, nullptr, nullptr, 0);
    }
    return word.load();
  };
  const auto futex = [=, &ball](int process) {
    auto& mine = process == 0 ? ball.there : ball.back;
    auto& theirs = process == 0 ? ball.back : ball.there;
    const std::uint32_t seen_first = theirs.load();
    return Body([=, &mine, &theirs](std::uint64_t hits) {
      std::uint32_t seen = seen_first;
      for (; hits > 0; --hits) {
        if (process == 0) {
          futex_hit(mine);
        }
        seen = futex_await(theirs, seen);
        if (process != 0) {
          futex_hit(mine);
        }
      }
    });
  };

  const auto atoll = [](const atoll::List& list) {
    return [&list](int process) {
      const atoll::Slot mine = list[process == 0 ? 0 : 1];
      const atoll::Slot theirs = list[process == 0 ? 1 : 0];
      const atoll::Stamp seen_first = theirs.stamp();
      return Body([=](std::uint64_t hits) {
        atoll::Stamp seen = seen_first;
        for (; hits > 0; --hits) {
          if (process == 0) {
            check(mine.fetch_add(1));
          }
          seen = must(theirs.wait(seen, absl::InfiniteDuration()));
          if (process != 0) {
            check(mine.fetch_add(1));
          }
        }
      });
    };
  };
  return {
      {"futex", futex},
      {"atoll slot", atoll(make_list({0, 0}))},
      {"atoll pinned slot", atoll(make_list({libatoll::pinned(0), libatoll::pinned(0)}))},
  };
}

}  // namespace

std::vector<Work> list_works(const Extent& extent) {
  std::vector<Work> works;
  works.push_back({.name = "attach", .set_up = [] { return attaching({10, 10'000, 10'000'000}); }});
  for (const std::size_t length :
       {std::size_t{10}, std::size_t{1'000}, std::size_t{100'000}, kMillion, 10 * kMillion}) {
    if (length > kMillion && extent.quick) {
      break;
    }
    works.push_back({.name = "create",
                     .size = length,
                     .set_up = [length] { return creating(length); },
                     .operations = std::max<std::uint64_t>(1, 10'000 / length)});
  }
  works.push_back(
      {.name = "scan, padded", .set_up = [] { return scanning(atoll::Layout::kPadded); }});
  works.push_back(
      {.name = "scan, dense", .set_up = [] { return scanning(atoll::Layout::kDense); }});
  works.push_back({.name = "snapshot", .set_up = taking_snapshots});
  works.push_back(
      {.name = "ping-pong", .processes = 2, .set_up = playing_ping_pong, .operations = 500});
  return works;
}

}  // namespace bench
