// fork and exec: a child is a participant of its own from its first instruction, neither it nor its
// parent keeps the other's claims alive, and nothing leaks into what it executes.

#include <dirent.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <thread>

#include "process.h"
#include "sanitizers.h"

// Lets a test fork at any allocation inside the library.
namespace {
std::atomic<int> allocations_until_fork = 0;
std::atomic<pid_t> forked_in_allocation = -1;
}  // namespace

#if ATOLL_OWN_NEW
namespace {

void fork_if_due() {
  if (allocations_until_fork > 0 && --allocations_until_fork == 0) {
    forked_in_allocation = fork();
    if (forked_in_allocation == 0) {
      // A worker that lives on and does nothing; its grandparent ends it, or this.
      alarm(static_cast<unsigned>(2 * process::kPatience.count()));
      for (;;) {
        pause();
      }
    }
  }
}
}  // namespace

// Not inlined: GCC would see malloc beside delete, and warn.
[[gnu::noinline]] void* operator new(std::size_t size) {
  fork_if_due();
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) {
    std::abort();
  }
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace {

using libatoll::Layout;
using libatoll::List;
using process::Child;
using process::Inspector;
using process::park_at;
using process::Seam;
using process::Shared;

constexpr std::size_t kCapacity = 256;
constexpr std::array<Seam, 4> kWriterSeams = {Seam::kClaimed, Seam::kOverwriting, Seam::kCopied,
                                              Seam::kPublished};

std::string text_of(std::uint32_t writer, std::uint32_t counter = 0) {
  return process::make_text(writer, counter, 100 + (writer * 7 + counter * 13) % 100);
}

List create(int buffers) {
  return process::must(
      List::create_anonymous({libatoll::text(text_of(0), kCapacity), 0, "short"},
                             {.buffers_per_slot = buffers, .claim_timeout = absl::Seconds(20)}));
}

List attach(const List& list) {
  return process::must(List::attach_fd(list.fd(), {.claim_timeout = absl::Seconds(20)}));
}

bool is_whole(const List& list) {
  process::TextOrigin origin;
  return process::is_whole(process::must(list[0].load<std::string>()), origin);
}

// Where relatives tell each other how far they are, and who they are.
struct Board {
  std::atomic<int> step;
  std::array<std::atomic<pid_t>, 4> pids;
  std::array<std::atomic<std::uint64_t>, 4> numbers;
  std::atomic<int> taken_over;
  std::atomic<std::int64_t> stores;

  void wait_for(int wanted) const {
    ATOLL_CHECK(process::wait_until([&] { return step >= wanted; }))
        << "step " << wanted << " never came";
  }
};

TEST(Fork, GivesTheChildANumberOfItsOwn) {
  const List list = create(3);
  const Inspector look(list);
  const std::uint64_t own = process::number_of(list, look, text_of(1));
  ASSERT_EQ(look.live_numbers(), std::vector<std::uint64_t>{own});
  const Shared<Board> board;
  Child child([&] {
    board->numbers[0] = process::number_of(list, look, text_of(2));
    ATOLL_CHECK(is_whole(list));
    ATOLL_CHECK(process::must(list[1].fetch_add(1)) == 0);
    raise(SIGSTOP);
    // What the child does with its handles is its own affair.
    List& mine = const_cast<List&>(list);
    mine.close();
    raise(SIGSTOP);
    return 0;
  });
  ASSERT_TRUE(child.wait_stopped());
  const std::uint64_t childs = board->numbers[0];
  EXPECT_NE(childs, own);
  EXPECT_EQ(look.live_numbers(), (std::vector<std::uint64_t>{own, childs}));
  child.resume();
  ASSERT_TRUE(child.wait_stopped());
  EXPECT_EQ(look.live_numbers(), std::vector<std::uint64_t>{own});
  child.resume();
  ASSERT_EQ(child.wait(), 0);
  EXPECT_TRUE(look.lives(own));
  EXPECT_EQ(process::number_of(list, look, text_of(3)), own) << "the parent's never changes";
  EXPECT_EQ(look.claims(0), 0U);
  EXPECT_EQ(process::must(list[1].load<std::int64_t>()), 1);
  ATOLL_SUMMARY("parent was participant %llu, child %llu", static_cast<unsigned long long>(own),
                static_cast<unsigned long long>(childs));
}

TEST(Fork, AChildThatIsKilledIsNotKeptAliveByItsParent) {
  int taken_over = 0;
  for (const Seam seam : kWriterSeams) {
    SCOPED_TRACE(process::seam_name(seam));
    const List list = create(2);
    const Inspector look(list);
    const std::uint64_t own = process::number_of(list, look, text_of(1));
    Child child([&] {
      park_at(seam);
      process::must(list[0].store(text_of(2)));
      return 0;
    });
    ASSERT_TRUE(child.wait_stopped());
    ASSERT_EQ(look.claims(0), 1U);
    ASSERT_EQ(look.claimed_by(0, own), -1) << "the child claims with its parent's number";
    ASSERT_TRUE(child.kill());
    ASSERT_EQ(look.claims(0), 1U);
    process::count_passes();
    for (std::uint32_t i = 0; i < 2; ++i) {
      ASSERT_TRUE(list[0].store(text_of(3, i)).ok());
      EXPECT_TRUE(is_whole(list));
    }
    libatoll::detail::seam_hook = nullptr;
    EXPECT_EQ(process::passes_of(Seam::kTakingOver), 1);
    taken_over += process::passes_of(Seam::kTakingOver);
    EXPECT_EQ(look.claims(0), 0U);
  }
  ATOLL_SUMMARY("%d children killed, their parent took over %d claims", 4, taken_over);
}

TEST(Fork, AParentThatIsKilledIsNotKeptAliveByItsChildren) {
  process::adopt_orphans();
  int taken_over = 0;
  for (const Seam seam : kWriterSeams) {
    for (const bool child_wrote_before : {false, true}) {
      SCOPED_TRACE(process::seam_name(seam));
      const List shared = create(2);
      const Inspector look(shared);
      const Shared<Board> board;
      Child parent([&] {
        const List list = attach(shared);
        board->numbers[0] = process::number_of(list, look, text_of(1));
        Child child = Child::that_survives([&] {
          if (child_wrote_before) {
            board->numbers[1] = process::number_of(list, look, text_of(2));
          }
          board->step = 1;
          board->wait_for(2);
          // Two stores in two buffers: one of them needs the dead parent's.
          process::count_passes();
          for (std::uint32_t i = 0; i < 2; ++i) {
            process::must(list[0].store(text_of(3, i)));
            ATOLL_CHECK(is_whole(list));
          }
          board->taken_over = process::passes_of(Seam::kTakingOver);
          return 0;
        });
        board->pids[0] = child.pid();
        board->wait_for(1);
        park_at(seam);
        process::must(list[0].store(text_of(4)));
        return 0;
      });
      ASSERT_TRUE(parent.wait_stopped());
      Child child = Child::adopted(board->pids[0]);
      ASSERT_EQ(look.claims(0), 1U);
      ASSERT_GE(look.claimed_by(0, board->numbers[0]), 0);
      ASSERT_TRUE(parent.kill());
      EXPECT_FALSE(look.lives(board->numbers[0]));
      ASSERT_GE(look.claimed_by(0, board->numbers[0]), 0) << "the claim is left";
      EXPECT_TRUE(is_whole(shared));
      board->step = 2;
      ASSERT_EQ(child.wait(), 0);
      EXPECT_EQ(board->taken_over, 1);
      taken_over += board->taken_over;
      EXPECT_EQ(look.claims(0), 0U);
    }
  }
  ATOLL_SUMMARY("%d parents killed, their children took over %d claims", 8, taken_over);
}

TEST(Fork, GrandchildrenOutliveBoth) {
  process::adopt_orphans();
  const List shared = create(3);
  const Inspector look(shared);
  const Shared<Board> board;
  Child parent([&] {
    const List list = attach(shared);
    board->numbers[0] = process::number_of(list, look, text_of(1));
    Child child = Child::that_survives([&] {
      board->numbers[1] = process::number_of(list, look, text_of(2));
      Child grandchild = Child::that_survives([&] {
        board->numbers[2] = process::number_of(list, look, text_of(3));
        board->step = 1;
        board->wait_for(3);
        process::count_passes();
        for (std::uint32_t i = 0; i < 8; ++i) {
          process::must(list[0].store(text_of(4, i)));
          ATOLL_CHECK(is_whole(list));
        }
        board->taken_over = process::passes_of(Seam::kTakingOver);
        return 0;
      });
      board->pids[1] = grandchild.pid();
      board->wait_for(2);
      park_at(Seam::kCopied);
      process::must(list[0].store(text_of(5)));
      return 0;
    });
    board->pids[0] = child.pid();
    board->wait_for(1);
    park_at(Seam::kOverwriting);
    process::must(list[0].store(text_of(6)));
    return 0;
  });
  ASSERT_TRUE(parent.wait_stopped());
  // The grandchild may be ahead of the child that tells its number.
  ASSERT_TRUE(process::wait_until([&] { return board->pids[1] != 0; }));
  Child child = Child::adopted(board->pids[0]);
  Child grandchild = Child::adopted(board->pids[1]);
  EXPECT_NE(board->numbers[0], board->numbers[1]);
  EXPECT_NE(board->numbers[1], board->numbers[2]);
  board->step = 2;
  ASSERT_TRUE(process::wait_until([&] { return look.claimed_by(0, board->numbers[1]) >= 0; }));
  ASSERT_TRUE(parent.kill());
  EXPECT_FALSE(look.lives(board->numbers[0]));
  EXPECT_TRUE(look.lives(board->numbers[1]));
  EXPECT_TRUE(look.lives(board->numbers[2]));
  // Ours by now, and parked.
  ASSERT_TRUE(child.wait_stopped());
  ASSERT_TRUE(child.kill());
  EXPECT_FALSE(look.lives(board->numbers[1]));
  EXPECT_TRUE(look.lives(board->numbers[2]));
  ASSERT_EQ(look.claims(0), 2U);
  board->step = 3;
  ASSERT_EQ(grandchild.wait(), 0);
  // Once it has one buffer again it needs no other.
  EXPECT_EQ(board->taken_over, 1);
  EXPECT_EQ(look.claims(0), 1U);
  // The other claim is recovered when somebody needs it.
  Child holder([&] {
    park_at(Seam::kCopied);
    process::must(shared[0].store(text_of(7)));
    return 0;
  });
  ASSERT_TRUE(holder.wait_stopped());
  ASSERT_TRUE(shared[0].store(text_of(8)).ok());
  EXPECT_EQ(look.claims(0), 1U);
  holder.resume();
  ASSERT_EQ(holder.wait(), 0);
  EXPECT_EQ(look.claims(0), 0U);
  ATOLL_SUMMARY("parent and child killed, the grandchild took over %d claim",
                board->taken_over.load());
}

// Other threads of the parent are in the middle of their stores when it forks.
TEST(Fork, WhileThreadsStore) {
  ATOLL_NEEDS_FORK_BESIDE_THREADS();
  constexpr int kThreads = 3;
  constexpr int kChildren = 20;
  constexpr std::uint32_t kStores = 10;
  const List list = create(4);
  const Inspector look(list);
  const Shared<Board> board;
  Child parent([&] {
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (std::uint32_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (std::uint32_t i = 0; !stop; ++i) {
          process::must(list[0].store(text_of(10 + t, i)));
          ++board->stores;
          ATOLL_CHECK(is_whole(list));
        }
      });
    }
    for (std::uint32_t c = 0; c < kChildren; ++c) {
      const std::int64_t before = board->stores;
      ATOLL_CHECK(process::wait_until([&] { return board->stores > before + 5; }));
      Child child([&] {
        for (std::uint32_t i = 0; i < kStores; ++i) {
          process::must(list[0].store(text_of(20 + c, i)));
          ATOLL_CHECK(is_whole(list));
        }
        return 0;
      });
      ATOLL_CHECK(child.wait() == 0);
    }
    stop = true;
    for (std::thread& thread : threads) {
      thread.join();
    }
    return 0;
  });
  ASSERT_EQ(parent.wait(), 0);
  EXPECT_EQ(look.word(0).version(),
            static_cast<std::uint64_t>(board->stores) + kChildren * kStores);
  EXPECT_EQ(look.claims(0), 0U);
  EXPECT_TRUE(is_whole(list));
  ATOLL_SUMMARY("%d threads stored %lld times, %d children forked meanwhile", kThreads,
                static_cast<long long>(board->stores), kChildren);
}

// Forks at each allocation within `open`, as another thread might: the child, which lives on, must not
// keep the participant alive that its parent was about to become.
void expect_no_share(const char* how, const List* existing,
                     const std::function<List(const std::string& name)>& open_list) {
  process::adopt_orphans();
  int forks = 0;
  int shared = 0;
  for (int n = 1;; ++n) {
    const process::UniqueName name;
    const Shared<Board> board;
    Child parent([&] {
      allocations_until_fork = n;
      const List list = open_list(name.string());
      const bool forked = allocations_until_fork == 0;
      allocations_until_fork = 0;
      if (!forked) {
        return 0;
      }
      const Inspector look(list);
      board->pids[0] = forked_in_allocation.load();
      board->numbers[0] = process::number_of(list, look, text_of(1));
      ATOLL_CHECK(look.lives(board->numbers[0]));
      board->step = 1;
      raise(SIGSTOP);
      return 0;
    });
    // It stops, or ends without having come so far.
    ASSERT_TRUE(process::wait_until([&] {
      siginfo_t info = {};
      waitid(P_PID, static_cast<id_t>(parent.pid()), &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
      return info.si_pid != 0;
    }));
    if (board->step == 0) {
      ASSERT_EQ(parent.wait(), 0);
      break;
    }
    ASSERT_TRUE(parent.wait_stopped());
    Child child = Child::adopted(board->pids[0]);
    ++forks;
    ASSERT_TRUE(parent.kill());
    ASSERT_EQ(::kill(child.pid(), 0), 0) << "the child lives";
    std::optional<List> created;
    if (existing == nullptr) {
      created = process::must(List::attach(name.string()));
    }
    const Inspector look(existing == nullptr ? *created : *existing);
    // The child may still be in the handler that gives it a description of its own.
    const bool keeps = !process::wait_until([&] { return !look.lives(board->numbers[0]); });
    EXPECT_FALSE(keeps) << how << ": a child forked at allocation " << n
                        << " keeps its parent's lock";
    shared += keeps ? 1 : 0;
    child.kill();
  }
  EXPECT_GT(forks, 0);
  ATOLL_SUMMARY("%s: forked at %d places, %d children share their parent's lock", how, forks,
                shared);
}

TEST(Fork, InTheMiddleOfAttach) {
  ATOLL_NEEDS_OWN_NEW();
  const process::UniqueName name;
  const List list =
      process::must(List::create(name.string(), {libatoll::text(text_of(0), kCapacity)}));
  expect_no_share("attach", &list,
                  [&](const auto&) { return process::must(List::attach(name.string())); });
}

TEST(Fork, InTheMiddleOfAttachFd) {
  ATOLL_NEEDS_OWN_NEW();
  const List list = create(3);
  expect_no_share("attach_fd", &list, [&](const auto&) { return attach(list); });
}

TEST(Fork, InTheMiddleOfCreate) {
  ATOLL_NEEDS_OWN_NEW();
  expect_no_share("create", nullptr, [](const std::string& name) {
    return process::must(List::create(name, {libatoll::text(text_of(0), kCapacity)}));
  });
}

TEST(Fork, CountsReadersToo) {
  const List list = create(2);
  const Inspector look(list);
  const List reader = process::must(List::attach_fd(list.fd(), {.read_only = true}));
  ASSERT_EQ(look.live_readers(), 1U);
  Child child([&] {
    ATOLL_CHECK(process::must(reader[0].load<std::string>()) == text_of(0));
    raise(SIGSTOP);
    return 0;
  });
  ASSERT_TRUE(child.wait_stopped());
  EXPECT_EQ(look.live_readers(), 2U);
  EXPECT_EQ(look.live_numbers().size(), 2U);
  child.resume();
  ASSERT_EQ(child.wait(), 0);
  EXPECT_EQ(look.live_readers(), 1U);
  EXPECT_EQ(look.live_numbers().size(), 1U);
}

// Where the child cannot open the file anew, it cannot claim buffers, and nothing else is amiss; above
// all it does not keep its parent's description.
TEST(Fork, WithoutADescriptorLeft) {
  process::adopt_orphans();
  const List shared = create(2);
  const Inspector look(shared);
  const Shared<Board> board;
  Child parent([&] {
    const List list = attach(shared);
    board->numbers[0] = process::number_of(list, look, text_of(1));
    // All descriptors below the lowest free one are in use.
    const int lowest = open("/dev/null", O_RDONLY);
    ATOLL_CHECK(lowest > 0);
    close(lowest);
    rlimit limit = {};
    ATOLL_CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const rlim_t before = std::exchange(limit.rlim_cur, static_cast<rlim_t>(lowest));
    ATOLL_CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    Child child = Child::that_survives([&, before] {
      process::count_passes();
      const std::string longer = text_of(2);
      const std::string here = process::must(list[0].load<std::string>());
      const std::uint64_t version = list[0].version();
      ATOLL_CHECK(absl::IsFailedPrecondition(list[0].store(longer)));
      ATOLL_CHECK(absl::IsFailedPrecondition(list[0].exchange(longer).status()));
      ATOLL_CHECK(absl::IsFailedPrecondition(list[0].compare_exchange(here, longer).status()));
      ATOLL_CHECK(process::passes_of(Seam::kClaimed) == 0);
      ATOLL_CHECK(list[0].version() == version);
      ATOLL_CHECK(process::must(list[0].load<std::string>()) == here);
      // Numbers and short text need nobody's leave.
      ATOLL_CHECK(process::must(list[1].fetch_add(5)) == 0);
      process::must(list[2].store("brief"));
      process::must(list[2].store(2.5));
      // With room for a descriptor, attaching again is enough.
      rlimit higher = {};
      ATOLL_CHECK(getrlimit(RLIMIT_NOFILE, &higher) == 0);
      higher.rlim_cur = before;
      ATOLL_CHECK(setrlimit(RLIMIT_NOFILE, &higher) == 0);
      {
        const List again = attach(shared);
        process::must(again[0].store(longer));
      }
      board->step = 1;
      board->wait_for(2);
      return 0;
    });
    board->pids[0] = child.pid();
    board->wait_for(1);
    park_at(Seam::kOverwriting);
    process::must(list[0].store(text_of(3)));
    return 0;
  });
  ASSERT_TRUE(parent.wait_stopped());
  Child child = Child::adopted(board->pids[0]);
  EXPECT_EQ(process::must(shared[0].load<std::string>()), text_of(2));
  EXPECT_EQ(process::must(shared[1].load<std::int64_t>()), 5);
  EXPECT_EQ(process::must(shared[2].load<double>()), 2.5);
  ASSERT_GE(look.claimed_by(0, board->numbers[0]), 0);
  ASSERT_TRUE(parent.kill());
  ASSERT_EQ(::kill(child.pid(), 0), 0) << "the child lives";
  EXPECT_FALSE(look.lives(board->numbers[0]));
  EXPECT_TRUE(shared[0].store(text_of(4)).ok()) << "taken over";
  EXPECT_EQ(look.claims(0), 0U);
  board->step = 2;
  ASSERT_EQ(child.wait(), 0);
  ATOLL_SUMMARY("a child with no descriptor left refused 3 stores of long text, did the others");
}

// ---- exec ---------------------------------------------------------------------------------------

// How many descriptors of this process refer to shared memory of a list.
int count_list_descriptors() {
  int found = 0;
  DIR* const directory = opendir("/proc/self/fd");
  ATOLL_CHECK(directory != nullptr);
  while (const dirent* entry = readdir(directory)) {
    std::array<char, 256> target = {};
    const std::string link = std::string("/proc/self/fd/") + entry->d_name;
    if (readlink(link.c_str(), target.data(), target.size() - 1) > 0) {
      const std::string_view path(target.data());
      found += path.starts_with("/dev/shm/") || path.starts_with("/memfd:atoll") ? 1 : 0;
    }
  }
  closedir(directory);
  return found;
}

TEST(Exec, LeaksNoDescriptor) {
  const process::UniqueName name;
  const List named =
      process::must(List::create(name.string(), {libatoll::text(text_of(0), kCapacity)}));
  const List again = process::must(List::attach(name.string()));
  const List reading = process::must(List::attach(name.string(), {.read_only = true}));
  const List anonymous = create(2);
  const List same = attach(anonymous);
  const Inspector look(named);
  ASSERT_GE(count_list_descriptors(), 5);
  const Shared<Board> board;
  // The child has rejoined, so these are its descriptors.
  Child child([&] {
    board->numbers[0] = process::number_of(named, look, text_of(1));
    ATOLL_CHECK(look.lives(board->numbers[0]));
    ATOLL_CHECK(count_list_descriptors() >= 5);
    raise(SIGSTOP);
    execl("/proc/self/exe", program_invocation_name, "count_descriptors", nullptr);
    return process::kChildFailed;
  });
  ASSERT_TRUE(child.wait_stopped());
  const std::uint64_t number = board->numbers[0];
  EXPECT_TRUE(look.lives(number));
  child.resume();
  // The new program stops itself once it has counted.
  ASSERT_TRUE(child.wait_stopped());
  EXPECT_FALSE(look.lives(number)) << "the participant of before exec is no more";
  child.resume();
  EXPECT_EQ(child.wait(), 0) << "descriptors of lists in the new program";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "count_descriptors") {
    const int found = count_list_descriptors();
    raise(SIGSTOP);
    return found;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
