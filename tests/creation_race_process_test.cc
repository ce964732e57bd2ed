// Creation is atomic: however many race for a name, one creates; whoever is killed meanwhile leaves
// nothing; nobody ever finds half a list.

#include <dirent.h>

#include "process.h"

namespace {

using libatoll::List;
using process::Child;
using process::park_at;
using process::Seam;
using process::Shared;

constexpr int kRacers = 6;
constexpr int kRounds = 30;

// At this seam every racer waits for all the others, once a round: none has published then.
struct Gate {
  process::StartLine line;
  std::atomic<int> at_gate;
};
Gate* gate = nullptr;
bool gate_is_open = true;

void wait_at_gate(Seam seam) {
  if (seam == Seam::kBuilt && !gate_is_open) {
    gate_is_open = true;
    ++gate->at_gate;
    gate->line.wait(kRacers);
  }
}

void close_gate(Gate& shared) {
  gate = &shared;
  gate_is_open = false;
  libatoll::detail::seam_hook = wait_at_gate;
}

// The files in shared memory that a process has open, and how many names they have together.
struct OpenFiles {
  int files = 0;
  int names = 0;
};
OpenFiles open_files(pid_t pid) {
  OpenFiles found;
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/";
  DIR* const directory = opendir(path.c_str());
  ATOLL_CHECK(directory != nullptr);
  while (const dirent* entry = readdir(directory)) {
    std::array<char, 256> target = {};
    const std::string link = path + entry->d_name;
    struct stat status = {};
    if (readlink(link.c_str(), target.data(), target.size() - 1) > 0 &&
        std::string_view(target.data()).starts_with("/dev/shm/") &&
        stat(link.c_str(), &status) == 0) {
      ++found.files;
      found.names += static_cast<int>(status.st_nlink);
    }
  }
  closedir(directory);
  return found;
}

struct Board {
  Gate gate;
  process::StartLine start;
  process::StartLine end;
  std::array<std::atomic<int>, kRounds> created;
  std::array<std::atomic<int>, kRounds> exists_already;
  std::array<std::atomic<int>, kRounds> attached;
  std::array<std::atomic<int>, kRacers> wins;
};

TEST(CreationRace, HasOneWinner) {
  const Shared<Board> board;
  std::vector<std::unique_ptr<process::UniqueName>> names;
  for (int i = 0; i < kRounds; ++i) {
    names.push_back(std::make_unique<process::UniqueName>());
  }
  std::vector<Child> racers;
  for (std::size_t self = 0; self < kRacers; ++self) {
    racers.emplace_back([&, self] {
      for (std::size_t round = 0; round < kRounds; ++round) {
        close_gate(board->gate);
        const absl::StatusOr<List> list =
            List::create(names[round]->string(), {static_cast<int>(self), "the same for all"});
        if (list.ok()) {
          ++board->created[round];
          ++board->wins[self];
        } else {
          ATOLL_CHECK(absl::IsAlreadyExists(list.status())) << list.status();
          ++board->exists_already[round];
        }
        // Whoever won, all find the winner's list.
        const List same = process::must(List::attach(names[round]->string()));
        ATOLL_CHECK(!list.ok() ||
                    process::must(same[0].load<std::int64_t>()) == static_cast<std::int64_t>(self));
        process::must(same[1].load<std::string>());
        board->end.wait(kRacers);
      }
      return 0;
    });
  }
  ASSERT_TRUE(process::all_succeed(racers));
  for (std::size_t round = 0; round < kRounds; ++round) {
    EXPECT_EQ(board->created[round], 1) << "round " << round;
    EXPECT_EQ(board->exists_already[round], kRacers - 1) << "round " << round;
  }
  EXPECT_EQ(board->gate.at_gate, kRounds * kRacers) << "each had built before any published";
  int winners = 0;
  for (const auto& wins : board->wins) {
    winners += wins > 0 ? 1 : 0;
  }
  ATOLL_SUMMARY("%d rounds of %d creators, %d of them won some", kRounds, kRacers, winners);
}

TEST(CreationRace, OpenOrCreateGivesAllTheSameList) {
  const Shared<Board> board;
  std::vector<std::unique_ptr<process::UniqueName>> names;
  for (int i = 0; i < kRounds; ++i) {
    names.push_back(std::make_unique<process::UniqueName>());
  }
  std::vector<Child> racers;
  for (std::size_t self = 0; self < kRacers; ++self) {
    racers.emplace_back([&] {
      for (std::size_t round = 0; round < kRounds; ++round) {
        close_gate(board->gate);
        const List::Opened opened =
            process::must(List::open_or_create(names[round]->string(), {0, libatoll::pinned(0)}));
        ++(opened.created ? board->created : board->attached)[round];
        for (int i = 0; i < 10; ++i) {
          process::must(opened.list[0].fetch_add(1));
          process::must(opened.list[1].fetch_add(1));
        }
        board->end.wait(kRacers);
      }
      return 0;
    });
  }
  ASSERT_TRUE(process::all_succeed(racers));
  for (std::size_t round = 0; round < kRounds; ++round) {
    EXPECT_EQ(board->created[round], 1) << "round " << round;
    EXPECT_EQ(board->attached[round], kRacers - 1) << "round " << round;
    const List list = process::must(List::attach(names[round]->string()));
    EXPECT_EQ(process::must(list[0].load<std::int64_t>()), 10 * kRacers);
    EXPECT_EQ(process::must(list[1].load<std::int64_t>()), 10 * kRacers);
  }
  EXPECT_EQ(board->gate.at_gate, kRounds * kRacers) << "none found a list at first";
  ATOLL_SUMMARY("%d rounds of %d processes that all found no list, built one, and shared one",
                kRounds, kRacers);
}

// Openers, attachers and unlinkers all at once: each success of one adds or takes exactly one name, and
// every list that anybody gets is whole.
TEST(CreationRace, BesideUnlinkersAndAttachers) {
  constexpr int kOpeners = 3;
  constexpr int kUnlinkers = 2;
  constexpr int kAttachers = 2;
  constexpr int kProcesses = kOpeners + kUnlinkers + kAttachers;
  constexpr int kWanted = 100;
  constexpr int kTurnsMax = 5'000'000;
  constexpr std::size_t kSlots = 300;
  struct Counts {
    process::StartLine start;
    std::atomic<int> created;
    std::atomic<int> attached_by_openers;
    std::atomic<int> unlinked;
    std::atomic<int> nothing_to_unlink;
    std::atomic<int> attached;
    std::atomic<int> not_found;
  };
  const Shared<Counts> counts;
  const process::UniqueName name;
  const auto expect_whole = [](const List& list) {
    ATOLL_CHECK(list.size() == kSlots) << list.size();
    ATOLL_CHECK(process::must(list.count("value of each slot")) == kSlots);
  };
  const auto enough = [&] {
    return counts->created >= kWanted && counts->unlinked >= kWanted &&
           counts->attached >= kWanted && counts->not_found >= kWanted &&
           counts->attached_by_openers >= kWanted && counts->nothing_to_unlink >= kWanted;
  };
  const auto go_on = [&](const auto& turn) {
    auto random = static_cast<std::uint64_t>(getpid());
    counts->start.wait(kProcesses);
    for (int i = 0; !enough(); ++i) {
      ATOLL_CHECK(i < kTurnsMax) << "the others never came to do their part";
      turn();
      // Not always in the same order, where processes run in turns.
      random = process::mix(random + 1);
      for (std::uint64_t yields = random % 4; yields > 0; --yields) {
        sched_yield();
      }
    }
    return 0;
  };
  std::vector<Child> children;
  for (int i = 0; i < kOpeners; ++i) {
    children.emplace_back([&] {
      return go_on([&] {
        const absl::StatusOr<List::Opened> opened =
            List::open_or_create(name.string(), libatoll::fill(kSlots, "value of each slot"));
        if (absl::IsAlreadyExists(opened.status())) {
          return;  // lost to others a hundred times in a row
        }
        ATOLL_CHECK(opened.ok()) << opened.status();
        ++(opened->created ? counts->created : counts->attached_by_openers);
        expect_whole(opened->list);
      });
    });
  }
  for (int i = 0; i < kUnlinkers; ++i) {
    children.emplace_back([&] {
      return go_on([&] {
        const absl::Status unlinked = List::unlink(name.string());
        ATOLL_CHECK(unlinked.ok() || absl::IsNotFound(unlinked)) << unlinked;
        ++(unlinked.ok() ? counts->unlinked : counts->nothing_to_unlink);
      });
    });
  }
  for (int i = 0; i < kAttachers; ++i) {
    children.emplace_back([&, i] {
      return go_on([&] {
        const absl::StatusOr<List> list = List::attach(name.string(), {.read_only = i == 0});
        ATOLL_CHECK(list.ok() || absl::IsNotFound(list.status())) << list.status();
        ++(list.ok() ? counts->attached : counts->not_found);
        if (list.ok()) {
          expect_whole(*list);
        }
      });
    });
  }
  ASSERT_TRUE(process::all_succeed(children));
  EXPECT_EQ(counts->created, counts->unlinked + (process::name_exists(name.string()) ? 1 : 0));
  ATOLL_SUMMARY("%d lists created, %d opened, %d attached, %d unlinked, %d times not found",
                counts->created.load(), counts->attached_by_openers.load(), counts->attached.load(),
                counts->unlinked.load(), counts->not_found.load());
}

// `create` in the three ways that give a name.
enum class How { kCreate, kOpenOrCreate, kAutomatic };

List create(How how, const std::string& name) {
  const std::initializer_list<libatoll::Init> values = {1, "text longer than the header", 2.5};
  switch (how) {
    case How::kCreate:
      return process::must(List::create(name, values));
    case How::kOpenOrCreate:
      return process::must(List::open_or_create(name, values)).list;
    case How::kAutomatic:
      break;
  }
  return process::must(List::create("", values));
}

class KilledCreator : public ::testing::TestWithParam<std::tuple<How, Seam>> {};

TEST_P(KilledCreator, LeavesNoName) {
  const auto [how, seam] = GetParam();
  const process::UniqueName name;
  Child victim([&, how = how, seam = seam] {
    park_at(seam);
    create(how, name.string());
    return 0;
  });
  ASSERT_TRUE(victim.wait_stopped());
  // Nothing is to be seen of what is nearly complete...
  const OpenFiles files = open_files(victim.pid());
  EXPECT_GE(files.files, 1);
  EXPECT_EQ(files.names, 0);
  EXPECT_TRUE(absl::IsNotFound(List::attach(name.string()).status()));
  EXPECT_FALSE(process::name_exists(name.string()));
  ASSERT_TRUE(victim.kill());
  // ... nor of what never will be.
  EXPECT_FALSE(process::name_exists(name.string()));
  EXPECT_TRUE(absl::IsNotFound(List::attach(name.string()).status()));
  EXPECT_TRUE(absl::IsNotFound(List::unlink(name.string())));
  const List list = process::must(List::create(name.string(), {7}));
  EXPECT_EQ(process::must(list[0].load<std::int64_t>()), 7);
}

// The same creator, not killed: the list appears whole in one step.
TEST_P(KilledCreator, WouldHaveGoneOn) {
  const auto [how, seam] = GetParam();
  struct Told {
    std::array<char, 64> name;
  };
  const Shared<Told> told;
  const process::UniqueName name;
  Child creator([&, how = how, seam = seam] {
    park_at(seam);
    const List list = create(how, name.string());
    std::copy(list.name().begin(), list.name().end(), told->name.begin());
    raise(SIGSTOP);
    process::must(list.unlink());
    return 0;
  });
  ASSERT_TRUE(creator.wait_stopped());
  EXPECT_EQ(open_files(creator.pid()).names, 0);
  EXPECT_TRUE(absl::IsNotFound(List::attach(name.string()).status()));
  creator.resume();
  ASSERT_TRUE(creator.wait_stopped());
  EXPECT_GE(open_files(creator.pid()).names, 1);
  const std::string path = told->name.data();
  EXPECT_EQ(path == name.string(), how != How::kAutomatic) << path;
  const absl::StatusOr<List> list = List::attach(path);
  EXPECT_TRUE(list.ok()) << list.status();
  if (list.ok()) {
    EXPECT_EQ(list->to_string(),
              R"(List([1, "text longer than the header", 2.5], name=')" + path + "')");
  }
  creator.resume();
  EXPECT_EQ(creator.wait(), 0);
  EXPECT_FALSE(process::name_exists(path));
}

INSTANTIATE_TEST_SUITE_P(All, KilledCreator,
                         ::testing::Combine(::testing::Values(How::kCreate, How::kOpenOrCreate,
                                                              How::kAutomatic),
                                            ::testing::Values(Seam::kNumberTaken, Seam::kBuilt)),
                         [](const auto& param) {
                           const How how = std::get<0>(param.param);
                           return std::string(how == How::kCreate         ? "Create"
                                              : how == How::kOpenOrCreate ? "OpenOrCreate"
                                                                          : "Automatic") +
                                  process::seam_name(std::get<1>(param.param));
                         });

// The rounds of a creator that somebody always beats to the name, while it is about to publish.
TEST(CreationRace, BeatenAtTheLastMoment) {
  const process::UniqueName name;
  Child creator([&] {
    park_at(Seam::kBuilt);
    const List::Opened opened = process::must(List::open_or_create(name.string(), {1}));
    ATOLL_CHECK(!opened.created);
    ATOLL_CHECK(process::must(opened.list[0].fetch_add(1)) == 5);
    return 0;
  });
  ASSERT_TRUE(creator.wait_stopped());
  const List list = process::must(List::create(name.string(), {5}));
  creator.resume();
  ASSERT_EQ(creator.wait(), 0);
  EXPECT_EQ(process::must(list[0].load<std::int64_t>()), 6);
}

}  // namespace
