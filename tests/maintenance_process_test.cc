// What tools need: a look from outside, faults, claims of the dead and taking them back, and removing
// a list that nobody uses without taking it away from anybody.

#include <optional>
#include <regex>
#include <thread>

#include "absl/time/clock.h"

#include "process.h"
#include "testing.h"

namespace {

using libatoll::Layout;
using libatoll::List;
using libatoll::detail::Tag;
using libatoll::test::Code;
using libatoll::test::fails;
using libatoll::test::Home;
using libatoll::test::Name;
using libatoll::test::Place;
using libatoll::test::Raw;
using libatoll::test::succeeds;
using process::Child;
using process::Inspector;
using process::must;
using process::park_at;
using process::Seam;
using process::Shared;
using process::wait_until;

constexpr std::size_t kCapacity = 256;
std::string text_of(std::uint32_t counter) { return process::make_text(1, counter, 200); }

// ---- inspect ------------------------------------------------------------------------------------

TEST(Inspect, TellsTheShapeAndWhoseItIs) {
  const Name name;
  const absl::Time before = absl::Now() - absl::Seconds(2);  // clocks of files are coarse
  const List list =
      must(List::create(name, {0, libatoll::text(100), true},
                        {.mode = 0640, .layout = Layout::kDense, .buffers_per_slot = 5}));
  const List::Info info = must(List::inspect(name.str().substr(1)));
  EXPECT_EQ(info.name, name.str());
  EXPECT_EQ(info.size, 3U);
  EXPECT_EQ(info.bytes, list.bytes());
  EXPECT_EQ(info.layout, Layout::kDense);
  EXPECT_EQ(info.buffers_per_slot, 5);
  EXPECT_EQ(info.owner, geteuid());
  EXPECT_EQ(info.mode, mode_t{0640});
  EXPECT_GT(info.created, before);
  EXPECT_LE(info.created, absl::Now() + absl::Seconds(2));
}

TEST(Inspect, CountsTheOthersAndIsNotCounted) {
  const Name name;
  {
    const List list = must(List::create(name, {0}));
    const List reader = must(List::attach(name, {.read_only = true}));
    EXPECT_EQ(must(List::inspect(name)).participants, 2U);
    EXPECT_EQ(list.participants(), 2U);
    Child child([] { return raise(SIGSTOP); });
    ASSERT_TRUE(child.wait_stopped());
    EXPECT_EQ(must(List::inspect(name)).participants, 4U) << "a child of fork has both, anew";
    ASSERT_TRUE(child.kill());
    EXPECT_EQ(must(List::inspect(name)).participants, 2U);
  }
  EXPECT_EQ(must(List::inspect(name)).participants, 0U);
}

TEST(Inspect, RefusesWhatIsNoList) {
  const Name name;
  EXPECT_TRUE(fails(List::inspect(name), Code::kNotFound, {name.str(), "does not exist"}));
  EXPECT_TRUE(fails(List::inspect("a/b"), Code::kInvalidArgument, {"a/b"}));
  const std::string path = name.path();
  for (const std::size_t size : {0U, 8U, 191U, 192U, 5000U}) {
    libatoll::test::write_file(path, std::string(size, 'x'));
    EXPECT_TRUE(fails(List::inspect(name), Code::kDataLoss, {name.str(), "is not a list"})) << size;
    EXPECT_TRUE(fails(List::unlink_unused(name), Code::kDataLoss, {"is not a list"})) << size;
  }
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/dev/null", path);
  EXPECT_TRUE(fails(List::inspect(name), Code::kFailedPrecondition, {"not a regular file"}));
  std::filesystem::remove(path);
  { const List list = must(List::create(name, {0})); }
  Raw(name).segment().layout_version = 77;
  EXPECT_TRUE(fails(List::inspect(name), Code::kFailedPrecondition, {"another layout"}));
  EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition, {"another layout"}));
  EXPECT_TRUE(name.exists());
}

TEST(Inspect, OfAListCutShortIsAnErrorAndNoSigbus) {
  const Name name;
  { const List list = must(List::create(name, libatoll::fill(1000, 0))); }
  for (const off_t size : {10'000, 192, 100, 0}) {
    ASSERT_EQ(truncate(name.path().c_str(), size), 0);
    EXPECT_TRUE(fails(List::inspect(name), Code::kDataLoss, {name.str()})) << size;
  }
}

// ---- faults -------------------------------------------------------------------------------------

::testing::AssertionResult are(const std::string& faults, const std::string& pattern) {
  return std::regex_match(faults, std::regex(pattern))
             ? ::testing::AssertionSuccess()
             : ::testing::AssertionFailure() << "found: " << faults;
}

class Maintenance : public libatoll::test::PlacedTest {};

TEST_P(Maintenance, FindsNoFaultInASoundList) {
  const List list = create({0, libatoll::text(text_of(0), kCapacity), libatoll::pinned(1.5),
                            "short", nullptr, libatoll::bytes(100), true});
  EXPECT_TRUE(list.faults().empty());
  EXPECT_TRUE(list.claims().empty());
  EXPECT_EQ(must(list.repair()), 0U);
}

TEST_P(Maintenance, FindsEachFaultOnce) {
  const List list = create({0, libatoll::text(text_of(0), kCapacity), libatoll::text(kCapacity),
                            libatoll::pinned(1), libatoll::text(kCapacity)});
  Raw raw = home().raw(list);
  const auto faults = [&] {
    std::string all;
    for (const absl::Status& fault : list.faults()) {
      EXPECT_EQ(fault.code(), Code::kDataLoss);
      all += std::string(fault.message()) + "\n";
    }
    return all;
  };
  const auto word = raw.word(0);
  raw.forge(0, {0, 14});
  EXPECT_TRUE(are(faults(), "slot 0 of [^\n]*impossible[^\n]*\n"));
  raw.forge(0, word);
  ASSERT_EQ(faults(), "");

  // Buffers that lie within the segment and still are somebody else's.
  const auto descriptor = raw.descriptor(2);
  raw.descriptor(2).buffers_offset = raw.descriptor(4).buffers_offset;
  EXPECT_TRUE(are(faults(), "slot 2 of [^\n]*has its buffers at byte[^\n]*\n(.*\n)*"));
  raw.descriptor(2) = descriptor;
  raw.descriptor(4).capacity -= 64;
  EXPECT_TRUE(are(faults(), "the buffers of [^\n]*end at byte[^\n]*\n"));
  raw.descriptor(4).capacity += 64;
  raw.descriptor(1).buffers_offset = 8;
  EXPECT_TRUE(are(faults(), "slot 1 of [^\n]*impossible[^\n]*\n"));
  EXPECT_TRUE(list.claims().empty()) << "a slot with a fault is left out";
  raw.descriptor(1).buffers_offset =
      descriptor.buffers_offset - (raw.descriptor(4).buffers_offset - descriptor.buffers_offset);
  ASSERT_EQ(faults(), "");

  raw.segment().mutable_line.participants = ~std::uint64_t{0};
  EXPECT_TRUE(are(faults(), "[^\n]*impossible count of participants[^\n]*\n"));
}

INSTANTIATE_TEST_SUITE_P(All, Maintenance, libatoll::test::everywhere(),
                         libatoll::test::name_of_place);

// ---- claims and repair --------------------------------------------------------------------------

// A child that stops itself inside a store of longer text.
Child writer_at(const List& list, std::size_t slot, Seam seam, std::uint32_t counter) {
  return Child([&list, slot, seam, counter] {
    park_at(seam);
    must(list[slot].store(text_of(counter)));
    return 0;
  });
}

class Claims : public ::testing::TestWithParam<std::tuple<Layout, Seam>> {
 protected:
  const List list_ = must(List::create_anonymous(
      libatoll::fill(3, libatoll::text(text_of(0), kCapacity)),
      {.layout = std::get<0>(GetParam()), .claim_timeout = absl::Seconds(20)}));
};

// Wherever the writer dies: claims tells of it, repair takes it back and nothing else, once.
TEST_P(Claims, OfTheDeadAreTakenBackAndThoseOfTheLivingAreNot) {
  const Seam seam = std::get<1>(GetParam());
  Child dead = writer_at(list_, 1, seam, 1);
  ASSERT_TRUE(dead.wait_stopped());
  Child stopped = writer_at(list_, 2, seam, 2);
  ASSERT_TRUE(stopped.wait_stopped());

  std::vector<List::Claim> claims = list_.claims();
  ASSERT_EQ(claims.size(), 2U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(claims[i].slot, i + 1);
    EXPECT_EQ(claims[i].owner,
              Inspector(list_).owner(i + 1, static_cast<std::uint32_t>(claims[i].buffer)));
    EXPECT_TRUE(claims[i].owner_may_live) << "a stopped writer lives";
  }
  EXPECT_EQ(must(list_.repair()), 0U);
  EXPECT_EQ(list_.claims().size(), 2U);

  ASSERT_TRUE(dead.kill());
  claims = list_.claims();
  ASSERT_EQ(claims.size(), 2U);
  EXPECT_FALSE(claims[0].owner_may_live);
  EXPECT_TRUE(claims[1].owner_may_live);
  const List reader = must(List::attach_fd(list_.fd(), {.read_only = true}));
  ASSERT_EQ(reader.claims().size(), 2U);
  EXPECT_FALSE(reader.claims()[0].owner_may_live) << "readers can ask, too";
  EXPECT_TRUE(fails(reader.repair(), Code::kPermissionDenied, {"read-only"}));

  EXPECT_EQ(must(list_.repair()), 1U);
  EXPECT_EQ(must(list_.repair()), 0U);
  claims = list_.claims();
  ASSERT_EQ(claims.size(), 1U);
  EXPECT_EQ(claims[0].slot, 2U);
  EXPECT_EQ(must(list_[1].load<std::string>()), text_of(seam == Seam::kPublished ? 1 : 0));
  EXPECT_TRUE(list_.faults().empty());

  // All buffers of the slot are to be had again, without asking for the dead.
  process::count_passes();
  for (std::uint32_t i = 0; i < 9; ++i) {
    must(list_[1].store(text_of(10 + i)));
    ASSERT_EQ(must(list_[1].load<std::string>()), text_of(10 + i));
  }
  EXPECT_EQ(process::passes_of(Seam::kTakingOver), 0);
  stopped.resume();
  EXPECT_EQ(stopped.wait(), 0);
  EXPECT_TRUE(list_.claims().empty());
}

INSTANTIATE_TEST_SUITE_P(All, Claims,
                         ::testing::Combine(::testing::Values(Layout::kPadded, Layout::kDense),
                                            ::testing::Values(Seam::kClaimed, Seam::kOverwriting,
                                                              Seam::kCopied, Seam::kPublished)),
                         [](const auto& param) {
                           return libatoll::test::name_of_layout(std::get<0>(param.param)) +
                                  process::seam_name(std::get<1>(param.param));
                         });

TEST(ClaimsInMemory, AreOfTheLivingForAllThatIsKnown) {
  Home home(Place::kMemory);
  const List list = must(home.create(libatoll::fill(1, libatoll::text(kCapacity)), {}));
  Raw raw = home.raw(list);
  raw.control(0, 2).owner = 12345;
  ASSERT_EQ(list.claims().size(), 1U);
  EXPECT_TRUE(list.claims()[0].owner_may_live);
  EXPECT_EQ(must(list.repair()), 0U);
}

// The repairer finds a writer dead, and another writer takes that claim over before he does.
TEST(Repair, TakesNothingFromWhoWasFaster) {
  const List list = must(
      List::create_anonymous({libatoll::text(text_of(0), kCapacity)}, {.buffers_per_slot = 2}));
  Child dead = writer_at(list, 0, Seam::kOverwriting, 1);
  ASSERT_TRUE(dead.wait_stopped());
  ASSERT_TRUE(dead.kill());
  Child repairer([&] {
    park_at(Seam::kTakingOver);
    return static_cast<int>(must(list.repair()));
  });
  ASSERT_TRUE(repairer.wait_stopped());
  Child faster = writer_at(list, 0, Seam::kOverwriting, 2);
  ASSERT_TRUE(faster.wait_stopped());
  const std::uint64_t owner = list.claims().at(0).owner;
  repairer.resume();
  EXPECT_EQ(repairer.wait(), 0);
  ASSERT_EQ(list.claims().size(), 1U);
  EXPECT_EQ(list.claims()[0].owner, owner);
  EXPECT_TRUE(list.claims()[0].owner_may_live);
  faster.resume();
  EXPECT_EQ(faster.wait(), 0);
  EXPECT_EQ(must(list[0].load<std::string>()), text_of(2));
  EXPECT_TRUE(list.claims().empty());
}

// Two repair at once while writers that live store and others are killed: no claim is taken from the
// living, no text torn, and what is left in the end is nothing.
TEST(Repair, RacesWithWritersAndItself) {
  constexpr int kRounds = 40;
  constexpr int kWriters = 2;
  struct Board {
    std::atomic<bool> stop;
    std::atomic<std::uint64_t> stores;
    std::atomic<std::uint64_t> repaired;
    std::atomic<std::uint64_t> looks;
  };
  const Shared<Board> board;
  const List list = must(List::create_anonymous({libatoll::text(text_of(0), kCapacity)},
                                                {.claim_timeout = absl::Seconds(60)}));
  std::vector<Child> children;
  for (int i = 0; i < kWriters; ++i) {
    children.emplace_back([&] {
      for (std::uint32_t n = 0; !board->stop; ++n) {
        must(list[0].store(text_of(n)));
        process::TextOrigin origin;
        ATOLL_CHECK(process::is_whole(must(list[0].load<std::string>()), origin));
        ++board->stores;
      }
      return 0;
    });
  }
  for (int i = 0; i < 2; ++i) {
    children.emplace_back([&] {
      while (!board->stop) {
        board->repaired += must(list.repair());
        ++board->looks;
      }
      return 0;
    });
  }
  std::uint64_t killed = 0;
  for (int round = 0; round < kRounds; ++round) {
    Child victim = writer_at(list, 0, round % 2 == 0 ? Seam::kOverwriting : Seam::kPublished, 0);
    ASSERT_TRUE(victim.wait_stopped());
    ASSERT_TRUE(victim.kill());
    ++killed;
    const std::uint64_t stores = board->stores;
    const std::uint64_t looks = board->looks;
    ASSERT_TRUE(wait_until([&] {
      const std::vector<List::Claim> claims = list.claims();
      return board->stores > stores && board->looks > looks + 1 &&
             std::all_of(claims.begin(), claims.end(),
                         [](const List::Claim& claim) { return claim.owner_may_live; });
    }));
  }
  board->stop = true;
  EXPECT_TRUE(process::all_succeed(children));
  EXPECT_TRUE(list.claims().empty());
  EXPECT_TRUE(list.faults().empty());
  EXPECT_GT(board->repaired, 0U);
  EXPECT_LE(board->repaired, killed) << "a writer that lives was robbed";
  ATOLL_SUMMARY("%llu writers killed, %llu claims repaired, the others taken over; %llu stores",
                static_cast<unsigned long long>(killed),
                static_cast<unsigned long long>(board->repaired),
                static_cast<unsigned long long>(board->stores));
}

// ---- unlink_unused ------------------------------------------------------------------------------

TEST(UnlinkUnused, RemovesWhatNobodyHas) {
  const Name name;
  EXPECT_TRUE(fails(List::unlink_unused(name), Code::kNotFound, {name.str()}));
  {
    const List list = must(List::create(name, {0}));
    EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition,
                      {name.str(), "in use by 1 participants"}));
    const List reader = must(List::attach(name, {.read_only = true}));
    EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition, {"by 2"}));
  }
  EXPECT_TRUE(name.exists());
  EXPECT_TRUE(succeeds(List::unlink_unused(name)));
  EXPECT_FALSE(name.exists());
}

TEST(UnlinkUnused, RemovesWhatOnlyTheDeadHad) {
  const Name name;
  Child owner([&] {
    const List list = must(List::create(name, {0}, {.report_leak = false}));
    return raise(SIGSTOP);
  });
  ASSERT_TRUE(owner.wait_stopped());
  EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition, {"in use"}));
  ASSERT_TRUE(owner.kill());
  EXPECT_TRUE(succeeds(List::unlink_unused(name)));
  EXPECT_FALSE(name.exists());
}

// The process that removes stops with everybody locked out, and the name still there.
TEST(UnlinkUnused, MakesThoseWaitWhoAttachMeanwhile) {
  for (const bool dies : {false, true}) {
    for (const bool read_only : {false, true}) {
      const Name name;
      { const List list = must(List::create(name, {7})); }
      Child remover([&] {
        park_at(Seam::kLockedOut);
        return List::unlink_unused(name).ok() ? 0 : 1;
      });
      ASSERT_TRUE(remover.wait_stopped());
      // Nobody else removes it at the same time; and who attaches is not kept for ever.
      EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition, {"in use"}));
      EXPECT_TRUE(fails(List::attach(name, {.read_only = read_only}), Code::kUnavailable,
                        {name.str(), "being removed"}));
      absl::StatusOr<List> list = absl::UnknownError("not yet");
      std::thread attacher([&] { list = List::attach(name, {.read_only = read_only}); });
      if (dies) {
        ASSERT_TRUE(remover.kill());
        attacher.join();
        ASSERT_TRUE(list.ok()) << list.status();
        EXPECT_EQ(must((*list)[0].load<std::int64_t>()), 7);
        EXPECT_TRUE(name.exists());
      } else {
        remover.resume();
        EXPECT_EQ(remover.wait(), 0);
        attacher.join();
        EXPECT_TRUE(fails(list, Code::kNotFound, {name.str()}));
      }
    }
  }
}

// The process that attaches stops between opening the file and registering; the list is removed, and
// another one takes its name.
TEST(UnlinkUnused, TakesNoListAwayFromOneWhoIsAttaching) {
  for (const bool anew : {false, true}) {
    const Name name;
    { const List list = must(List::create(name, {7}, {.report_leak = false})); }
    Child attacher([&] {
      park_at(Seam::kNumberTaken);
      const absl::StatusOr<List> list = List::attach(name);
      ATOLL_CHECK(process::passes_of(Seam::kNameLost) == 1);
      if (absl::IsNotFound(list.status())) {
        return 42;
      }
      return list.ok() ? static_cast<int>(must((*list)[0].load<std::int64_t>())) : 1;
    });
    ASSERT_TRUE(attacher.wait_stopped());
    EXPECT_TRUE(succeeds(List::unlink_unused(name)));
    std::optional<List> second;
    if (anew) {
      second = must(List::create(name, {8}, {.unlink_on_close = true}));
    }
    attacher.resume();
    EXPECT_EQ(attacher.wait(), anew ? 8 : 42);
  }
}

// Many create, attach and remove one name at once. Whoever has the list open finds it under its name,
// for only `unlink_unused` removes here.
TEST(UnlinkUnused, NeverSplitsThoseWhoShareAName) {
  constexpr int kUsers = 2;  // so that the list is often nobody's
  constexpr int kRounds = 2000;
  struct Board {
    std::atomic<int> users;
    std::atomic<std::uint64_t> created, attached, removed, refused;
  };
  const Shared<Board> board;
  const Name name;
  board->users = kUsers;
  std::vector<Child> children;
  for (int i = 0; i < kUsers; ++i) {
    children.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        auto opened = List::open_or_create(name, {0}, {.report_leak = false});
        if (absl::IsAlreadyExists(opened.status())) {
          continue;  // it came and went too often
        }
        ATOLL_CHECK(opened.ok()) << opened.status();
        ++(opened->created ? board->created : board->attached);
        must(opened->list[0].fetch_add(1));
        const List again = must(List::attach(name));
        ATOLL_CHECK(must(again[0].load<std::int64_t>()) >= 1) << "another list has the name";
        must(opened->list[0].fetch_add(1));
        ATOLL_CHECK(must(again[0].load<std::int64_t>()) >= 2) << "another list has the name";
      }
      --board->users;
      return 0;
    });
  }
  for (int i = 0; i < 2; ++i) {
    children.emplace_back([&] {
      while (board->users > 0) {
        const absl::Status status = List::unlink_unused(name);
        if (status.ok()) {
          ++board->removed;
        } else if (absl::IsFailedPrecondition(status)) {
          ++board->refused;
        } else {
          ATOLL_CHECK(absl::IsNotFound(status)) << status;
        }
      }
      return 0;
    });
  }
  EXPECT_TRUE(process::all_succeed(children));
  EXPECT_GT(board->created, 1U);
  EXPECT_GT(board->attached, 0U);
  EXPECT_GT(board->removed, 0U);
  EXPECT_GT(board->refused, 0U);
  EXPECT_LE(board->removed, board->created);
  ATOLL_SUMMARY("%llu times created, %llu attached, %llu removed, %llu removals refused",
                static_cast<unsigned long long>(board->created),
                static_cast<unsigned long long>(board->attached),
                static_cast<unsigned long long>(board->removed),
                static_cast<unsigned long long>(board->refused));
}

// A child of fork has the list at every moment, also if its parent dies while it is born.
TEST(UnlinkUnused, FindsAListInUseThroughoutAFork) {
  process::adopt_orphans();
  const Name name;
  const Shared<std::atomic<pid_t>> pid;
  Child parent([&]() -> int {
    const List list = must(List::create(name, {7}, {.report_leak = false}));
    park_at(Seam::kNumberTaken);  // of the child, which has no lock of its own yet
    const pid_t child = fork();
    if (child == 0) {
      _exit(must(list[0].load<std::int64_t>()) == 7 && list.participants() == 1 ? 42 : 1);
    }
    *pid = child;
    _exit(0);
  });
  EXPECT_EQ(parent.wait(), 0);
  Child child = Child::adopted(*pid);
  ASSERT_TRUE(child.wait_stopped());
  EXPECT_TRUE(fails(List::unlink_unused(name), Code::kFailedPrecondition, {"in use by 1"}));
  child.resume();
  EXPECT_EQ(child.wait(), 42);
  EXPECT_TRUE(succeeds(List::unlink_unused(name)));
}

}  // namespace
