// List::participants: how many live handles, in whatever process, attached however, dead or alive.

#include "process.h"
#include "testing.h"

namespace {

using libatoll::List;
using libatoll::test::Home;
using libatoll::test::Place;
using process::Child;
using process::must;
using process::Shared;

class ParticipantsCount : public ::testing::TestWithParam<Place> {
 protected:
  List attach(bool read_only) const {
    return must(const_cast<Home&>(home_).attach(list_, {.read_only = read_only}));
  }

  Home home_{GetParam()};
  const List list_ = must(home_.create(libatoll::fill(1, 0), {}));
};

TEST_P(ParticipantsCount, OfOneProcess) {
  EXPECT_EQ(list_.participants(), 1U);
  {
    const List second = attach(false);
    EXPECT_EQ(list_.participants(), 2U);
    List third = attach(true);
    EXPECT_EQ(list_.participants(), 3U);
    EXPECT_EQ(second.participants(), 3U);
    EXPECT_EQ(third.participants(), 3U) << "a reader counts, and counts itself";
    List moved = std::move(third);
    EXPECT_EQ(list_.participants(), 3U);
    moved.close();
    EXPECT_EQ(moved.participants(), 0U) << "of a closed list";
    EXPECT_EQ(list_.participants(), 2U);
  }
  EXPECT_EQ(list_.participants(), 1U);
}

TEST_P(ParticipantsCount, OfManyProcesses) {
  constexpr std::size_t kProcesses = 12;
  struct Board {
    process::StartLine attached;
    std::atomic<bool> stop;
  };
  const Shared<Board> board;
  std::vector<Child> children;
  // Each child of fork has its parent's handle too, anew; two of three attach besides.
  std::size_t expected = 1;
  for (std::size_t i = 0; i < kProcesses; ++i) {
    expected += i % 3 == 0 ? 1 : 2;
    children.emplace_back([&, i] {
      const auto wait = [&] {
        board->attached.wait(kProcesses + 1);
        ATOLL_CHECK(process::wait_until([&] { return board->stop.load(); }));
        return 0;
      };
      if (i % 3 == 0) {
        return wait();
      }
      const List mine = attach(i % 3 == 1);
      return wait();
    });
  }
  board->attached.wait(kProcesses + 1);
  EXPECT_EQ(list_.participants(), expected);
  EXPECT_EQ(attach(true).participants(), expected + 1);

  // The dead do not count, from the moment that they are gone.
  std::size_t killed = 0;
  for (std::size_t i = 0; i < kProcesses / 2; ++i) {
    ASSERT_TRUE(children[i].kill());
    expected -= i % 3 == 0 ? 1 : 2;
    ++killed;
    EXPECT_EQ(list_.participants(), expected) << "after " << killed << " were killed";
  }
  children.erase(children.begin(), children.begin() + static_cast<std::ptrdiff_t>(killed));
  board->stop = true;
  EXPECT_TRUE(process::all_succeed(children));
  EXPECT_EQ(list_.participants(), 1U);
  ATOLL_SUMMARY("%zu processes, %zu of them killed, counted one by one", kProcesses, killed);
}

// A stopped process lives.
TEST_P(ParticipantsCount, TheStoppedCount) {
  Child stopped([&] {
    raise(SIGSTOP);
    return 0;
  });
  ASSERT_TRUE(stopped.wait_stopped());
  EXPECT_EQ(list_.participants(), 2U);
  stopped.resume();
  EXPECT_EQ(stopped.wait(), 0);
  EXPECT_EQ(list_.participants(), 1U);
}

INSTANTIATE_TEST_SUITE_P(All, ParticipantsCount,
                         ::testing::Values(Place::kNamed, Place::kAnonymous),
                         [](const auto& param) {
                           return std::string(param.param == Place::kNamed ? "Named" : "Anonymous");
                         });

TEST(ParticipantsCountInMemory, IsOne) {
  Home home(Place::kMemory);
  const List list = must(home.create(libatoll::fill(1, 0), {}));
  const List second = must(home.attach(list));
  EXPECT_EQ(list.participants(), 1U);
  EXPECT_EQ(second.participants(), 1U);
}

}  // namespace
