#include "atoll/list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <ranges>
#include <set>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "testing.h"

namespace libatoll::test {
namespace {

using Optional = std::optional<std::size_t>;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

static_assert(std::random_access_iterator<SlotIterator>);
static_assert(std::ranges::random_access_range<const ::atoll::List>);
static_assert(std::ranges::sized_range<const ::atoll::List>);
static_assert(!std::is_copy_constructible_v<::atoll::List> &&
              !std::is_copy_assignable_v<::atoll::List> &&
              std::is_nothrow_move_constructible_v<::atoll::List> &&
              std::is_nothrow_move_assignable_v<::atoll::List>);

class ListTest : public PlacedTest {};

INSTANTIATE_TEST_SUITE_P(Everywhere, ListTest, everywhere(), name_of_place);

// ---- Access -------------------------------------------------------------------------------------

TEST_P(ListTest, HasTheSizeAndTheNameItWasCreatedWith) {
  const List list = create({0, 0.5, "idle"});
  EXPECT_EQ(list.size(), 3U);
  EXPECT_EQ(list.name(), place() == Place::kNamed ? home().name().str() : "");
  EXPECT_TRUE(list.is_open());
  EXPECT_FALSE(list.is_read_only());
  EXPECT_EQ(list.fd() >= 0, place() == Place::kAnonymous);
}

TEST_P(ListTest, TakesTheBytesThatWereForetold) {
  const std::vector<Init> values = {0, ::atoll::text(1'000), ::atoll::pinned(1)};
  const List list = create(values);
  EXPECT_EQ(list.bytes(), must(List::bytes_needed(values, {.layout = layout()})));
}

TEST_P(ListTest, AtCountsFromBothEnds) {
  const List list = create({10, 11, 12});
  for (std::ptrdiff_t i = 0; i < 3; ++i) {
    EXPECT_EQ(must(must(list.at(i)).load()), Value(10 + i));
    EXPECT_EQ(must(must(list.at(i - 3)).load()), Value(10 + i));
    EXPECT_EQ(must(list.at(i - 3)).index(), static_cast<std::size_t>(i));
  }
}

TEST_P(ListTest, AtRefusesWhatIsOutsideOnBothSides) {
  const List list = create({10, 11, 12});
  for (const std::ptrdiff_t index :
       {std::ptrdiff_t{3}, std::ptrdiff_t{4}, std::ptrdiff_t{-4}, std::ptrdiff_t{-5},
        std::numeric_limits<std::ptrdiff_t>::max(), std::numeric_limits<std::ptrdiff_t>::min()}) {
    EXPECT_TRUE(fails(list.at(index), Code::kOutOfRange,
                      {std::to_string(index), home().label(), "3 slots"}));
    EXPECT_TRUE(fails(list.counter(index), Code::kOutOfRange, {home().label()}));
    EXPECT_TRUE(fails(list.gauge(index), Code::kOutOfRange, {home().label()}));
  }
}

TEST_P(ListTest, OfNothingHasNoIndex) {
  const List list = create({});
  EXPECT_EQ(list.size(), 0U);
  EXPECT_EQ(list.begin(), list.end());
  EXPECT_TRUE(fails(list.at(0), Code::kOutOfRange, {"0 slots"}));
  EXPECT_TRUE(fails(list.at(-1), Code::kOutOfRange, {"0 slots"}));
  EXPECT_EQ(must(list.count(0)), 0U);
  EXPECT_EQ(must(list.index(0)), std::nullopt);
  EXPECT_EQ(must(list.format()), "");
  EXPECT_EQ(list.to_string(), "List([]" + home().suffix());
}

TEST_P(ListTest, OfAMillionSlotsIsReachedAtBothEnds) {
  Home home(place());
  const List list = must(home.create(::atoll::fill(1'000'000, 7), {.layout = layout()}));
  EXPECT_EQ(list.size(), 1'000'000U);
  must(list[999'999].store("the end"));
  EXPECT_EQ(must(must(list.at(-1)).load<std::string>()), "the end");
  EXPECT_EQ(must(must(list.at(-1'000'000)).load<std::int64_t>()), 7);
  EXPECT_EQ(must(list.index("the end")), Optional(999'999));
}

TEST(ListDeathTest, AnIndexOutsideEndsTheProcessWithAMessage) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const List list = must(::atoll::List::create_anonymous({1, 2, 3}));
  EXPECT_DEATH(list[3], "index 3 is outside the unnamed list, which has 3 slots");
  EXPECT_DEATH(list[~std::size_t{0}], "index 18446744073709551615 is outside");
}

TEST(ListDeathTest, AnIndexOfAClosedListEndsTheProcessWithAMessage) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  List list = must(::atoll::List::create_anonymous({1, 2, 3}));
  list.close();
  EXPECT_DEATH(list[0], "index 0 is outside the unnamed list \\(closed\\)");
}

// ---- Iteration ----------------------------------------------------------------------------------

std::int64_t number(const Slot& slot) { return must(slot.load<std::int64_t>()); }

TEST_P(ListTest, IteratesOverAllSlotsInOrder) {
  const List list = create({1, 2, 3});
  std::vector<std::int64_t> numbers;
  for (const Slot slot : list) {
    EXPECT_EQ(slot.index(), numbers.size());
    numbers.push_back(number(slot));
  }
  EXPECT_EQ(numbers, std::vector<std::int64_t>({1, 2, 3}));
}

TEST_P(ListTest, SlotsCanBeWrittenWhileIterating) {
  const List list = create({1, 2, 3});
  for (const Slot slot : list) {
    must(slot.store(10 * number(slot)));
  }
  EXPECT_EQ(list.to_string(), "List([10, 20, 30]" + home().suffix());
}

TEST_P(ListTest, WorksWithTheAlgorithmsOfRanges) {
  const List list = create({3, 1, 4, 1, 5});
  EXPECT_EQ(std::ranges::count_if(list, [](Slot slot) { return number(slot) == 1; }), 2);
  EXPECT_EQ((*std::ranges::find(list, 4, number)).index(), 2U);
  EXPECT_EQ(std::ranges::find(list, 9, number), list.end());
  EXPECT_EQ(number(*std::ranges::max_element(list, {}, number)), 5);
  EXPECT_FALSE(std::ranges::is_sorted(list, {}, number));
  EXPECT_TRUE(std::ranges::all_of(list, [](Slot slot) { return slot.version() == 0; }));

  std::vector<std::int64_t> numbers;
  std::ranges::transform(list.end() - 2, list.end(), std::back_inserter(numbers), number);
  EXPECT_EQ(numbers, std::vector<std::int64_t>({1, 5}));
}

TEST_P(ListTest, ASortedListIsSearchedInLogarithmicTime) {
  const List list = create({1, 3, 5, 7, 9});
  const auto found = std::ranges::lower_bound(list, 6, {}, number);
  EXPECT_EQ(found - list.begin(), 3);
}

TEST_P(ListTest, IteratorsMoveLikePointers) {
  const List list = create({0, 1, 2, 3});
  auto it = list.begin();
  EXPECT_EQ(number(*it++), 0);
  EXPECT_EQ(number(*it), 1);
  EXPECT_EQ(number(*++it), 2);
  EXPECT_EQ(number(*it--), 2);
  EXPECT_EQ(number(*--it), 0);
  EXPECT_EQ(number(it[3]), 3);
  EXPECT_EQ(number(*(it + 2)), 2);
  EXPECT_EQ(number(*(2 + it)), 2);
  it += 3;
  EXPECT_EQ(number(*it), 3);
  EXPECT_EQ(number(*(it - 1)), 2);
  it -= 3;
  EXPECT_EQ(it, list.begin());
  EXPECT_EQ(list.end() - it, 4);
  EXPECT_EQ(it - list.end(), -4);
  EXPECT_LT(it, list.end());
  EXPECT_EQ(SlotIterator(), SlotIterator());
}

// ---- Count, index, format, show -----------------------------------------------------------------

TEST_P(ListTest, CountAndIndexCompareTypeAndContents) {
  const List list = create({1, 1.0, true, "1", Bytes("1", 1), nullptr, 1, "longer than eight",
                            ::atoll::pinned(1), ::atoll::pinned(1.0), "longer than eighT"});
  EXPECT_EQ(must(list.count(1)), 3U);
  EXPECT_EQ(must(list.count(1.0)), 2U);
  EXPECT_EQ(must(list.count(true)), 1U);
  EXPECT_EQ(must(list.count(false)), 0U);
  EXPECT_EQ(must(list.count("1")), 1U);
  EXPECT_EQ(must(list.count(Bytes("1", 1))), 1U);
  EXPECT_EQ(must(list.count(nullptr)), 1U);
  EXPECT_EQ(must(list.count("longer than eight")), 1U);
  EXPECT_EQ(must(list.count(BytesView("longer than eight", 17))), 0U);
  EXPECT_EQ(must(list.count("longer than eigh")), 0U);
  EXPECT_EQ(must(list.count(std::string(1'000'000, 'x'))), 0U);

  EXPECT_EQ(must(list.index(1)), Optional(0));
  EXPECT_EQ(must(list.index(1.0)), Optional(1));
  EXPECT_EQ(must(list.index(true)), Optional(2));
  EXPECT_EQ(must(list.index("1")), Optional(3));
  EXPECT_EQ(must(list.index(Bytes("1", 1))), Optional(4));
  EXPECT_EQ(must(list.index(nullptr)), Optional(5));
  EXPECT_EQ(must(list.index("longer than eighT")), Optional(10));
  EXPECT_EQ(must(list.index(2)), std::nullopt);
}

TEST_P(ListTest, CountComparesDoublesAsNumbers) {
  const List list = create({0.0, -0.0, kNan, ::atoll::pinned(-0.0), ::atoll::pinned(kNan)});
  EXPECT_EQ(must(list.count(0.0)), 3U);
  EXPECT_EQ(must(list.count(-0.0)), 3U);
  EXPECT_EQ(must(list.count(kNan)), 0U);
  EXPECT_EQ(must(list.index(kNan)), std::nullopt);
}

TEST_P(ListTest, FormatGivesTheStructCodeOfEachSlot) {
  const List list = create({0, 0.5, true, nullptr, "idle", ::atoll::text(64), ::atoll::bytes(100),
                            ::atoll::pinned(1), ::atoll::pinned(0.5)});
  EXPECT_EQ(must(list.format()), "qdxxxxxxx?xxxxxx?x8s64s104sqd");
}

TEST_P(ListTest, FormatFollowsTheTypeOfTheValue) {
  const List list = create({0, ::atoll::text(64)});
  must(list[0].store("text"));
  must(list[1].store(1));
  EXPECT_EQ(must(list.format()), "8sq");
}

TEST_P(ListTest, ToStringShowsEveryValueAndTheName) {
  const List list = create({1, 0.5, true, nullptr, "idle", Bytes("\x00\xff", 2), ::atoll::pinned(3),
                            "quoted \"text\" \n"});
  const std::string expected =
      R"(List([1, 0.5, true, none, "idle", 0x:00ff, 3, "quoted \"text\" \n"])" + home().suffix();
  EXPECT_EQ(list.to_string(), expected);
  std::ostringstream out;
  out << list;
  EXPECT_EQ(out.str(), expected);
}

// ---- Close and move -----------------------------------------------------------------------------

TEST_P(ListTest, CloseIsIdempotent) {
  List list = create({1, 2});
  const std::string name = list.name();
  for (int i = 0; i < 3; ++i) {
    list.close();
    EXPECT_FALSE(list.is_open());
    EXPECT_EQ(list.size(), 0U);
    EXPECT_EQ(list.name(), name);
    EXPECT_EQ(list.fd(), -1);
    EXPECT_EQ(list.begin(), list.end());
    EXPECT_TRUE(fails(list.at(0), Code::kOutOfRange, {"0 slots"}));
  }
}

TEST_P(ListTest, ClosingLeavesOthersUndisturbed) {
  List list = create({1, "text of some length"});
  const List other = must(home().attach(list));
  list.close();
  EXPECT_EQ(must(other[0].fetch_add(1)), 1);
  EXPECT_TRUE(succeeds(other[1].store("text of other length")));
}

TEST_P(ListTest, MovesWithItsSlots) {
  List list = create({1, 2});
  const Slot slot = list[0];
  const auto second = list.begin() + 1;
  List moved = std::move(list);
  EXPECT_TRUE(moved.is_open());
  must(moved[0].store(3));
  EXPECT_EQ(number(slot), 3);
  EXPECT_EQ(number(*second), 2);

  EXPECT_FALSE(list.is_open());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(list.size(), 0U);
  EXPECT_EQ(list.name(), "");
  EXPECT_EQ(list.fd(), -1);
  EXPECT_EQ(list.to_string(), "List([])");
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {""}));
  list.close();
}

TEST_P(ListTest, MoveAssignmentClosesWhatWasThere) {
  const Held before = held();
  {
    List list = create({1});
    Home other_home(place());
    const std::vector<Init> values = {2};
    list = must(other_home.create(values, {.layout = layout()}));
    EXPECT_EQ(number(list[0]), 2);
    List& itself = list;
    list = std::move(itself);
    EXPECT_EQ(number(list[0]), 2);
  }
  EXPECT_EQ(held(), before);
}

// ---- Leaks --------------------------------------------------------------------------------------

TEST_P(ListTest, NothingIsHeldAfterCyclesOfCreateAttachAndClose) {
  const std::vector<Init> values = {1, ::atoll::text(100)};
  { const List warm_up = create({1}); }
  const Held before = held();
  for (int i = 0; i < 50; ++i) {
    Home home(place());
    List list = must(home.create(values, {.layout = layout()}));
    const List other = must(home.attach(list));
    const List reader = must(home.attach(list, {.read_only = true}));
    must(other[1].store("a text that takes a buffer"));
    list.close();
  }
  EXPECT_EQ(held(), before);
}

TEST_P(ListTest, EveryDescriptorIsClosedOnExec) {
  const std::vector<int> before = open_descriptors();
  const List list = create({1, ::atoll::text(100)});
  const List other = must(home().attach(list));
  const List reader = must(home().attach(list, {.read_only = true}));
  std::size_t ours = 0;
  for (const int fd : open_descriptors()) {
    if (std::ranges::find(before, fd) == before.end()) {
      EXPECT_TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC) << fd;
      ++ours;
    }
  }
  EXPECT_EQ(ours > 0, place() != Place::kMemory);
}

// ---- Names --------------------------------------------------------------------------------------

TEST(NamedList, CanBeEmpty) {
  const Name name;
  EXPECT_EQ(must(::atoll::List::create(name, {})).size(), 0U);
  EXPECT_EQ(must(::atoll::List::attach(name)).to_string(), "List([], name='" + name.str() + "')");
}

TEST(NamedList, IsFoundWithAndWithoutTheSlash) {
  const Name name;
  const std::string bare = name.str().substr(1);
  const List list = must(::atoll::List::create(bare, {1}));
  EXPECT_EQ(list.name(), name.str());
  EXPECT_EQ(must(::atoll::List::attach(bare)).name(), name.str());
  EXPECT_EQ(must(::atoll::List::attach(name)).name(), name.str());
  EXPECT_TRUE(succeeds(::atoll::List::unlink(bare)));
  EXPECT_FALSE(name.exists());
}

TEST(NamedList, WithoutANameGetsOne) {
  const List first = must(::atoll::List::create("", {1}));
  const Name first_name(first.name());
  const List second = must(::atoll::List::create("", ::atoll::fill(3, 2)));
  const Name second_name(second.name());
  for (const Name* name : {&first_name, &second_name}) {
    EXPECT_EQ(name->str().substr(0, 7), "/atoll_");
    EXPECT_EQ(name->str().size(), 23U);
    EXPECT_EQ(name->str().find_first_not_of("0123456789abcdef", 7), std::string::npos);
    EXPECT_TRUE(name->exists());
  }
  EXPECT_NE(first.name(), second.name());
  EXPECT_EQ(must(::atoll::List::attach(second.name())).size(), 3U);
}

TEST(NamedList, OutlivesItsCreator) {
  const Name name;
  must(::atoll::List::create(name, {1, "still here"}));
  const List list = must(::atoll::List::attach(name));
  EXPECT_EQ(must(list[1].load<std::string>()), "still here");
}

TEST(NamedList, ThatIsUnlinkedLivesOnForWhoHasItOpen) {
  const Name name;
  const List list = must(::atoll::List::create(name, {1, ::atoll::text(100)}));
  const List other = must(::atoll::List::attach(name));
  EXPECT_TRUE(succeeds(list.unlink()));
  EXPECT_FALSE(name.exists());
  must(list[0].store(2));
  must(list[1].store("a text that takes a buffer"));
  EXPECT_EQ(number(other[0]), 2);
  EXPECT_TRUE(fails(::atoll::List::attach(name), Code::kNotFound, {name}));
}

TEST(NamedList, UnlinksItsOwnNameAlone) {
  const Name name;
  const List old = must(::atoll::List::create(name, {1}));
  must(old.unlink());
  EXPECT_TRUE(fails(old.unlink(), Code::kNotFound, {name}));
  const List fresh = must(::atoll::List::create(name, {2}));
  EXPECT_TRUE(fails(old.unlink(), Code::kNotFound, {name, "another list"}));
  EXPECT_EQ(number(must(::atoll::List::attach(name))[0]), 2);
  EXPECT_TRUE(succeeds(fresh.unlink()));
  EXPECT_FALSE(name.exists());
}

TEST(NamedList, CanBeUnlinkedThroughAnyAttachmentAndAfterClose) {
  const Name name;
  List list = must(::atoll::List::create(name, {1}));
  const List reader = must(::atoll::List::attach(name, {.read_only = true}));
  EXPECT_TRUE(succeeds(reader.unlink()));
  const List again = must(::atoll::List::create(name, {1}));
  list.close();
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {name, "another list"}));
  List second = must(::atoll::List::attach(name));
  second.close();
  EXPECT_TRUE(succeeds(second.unlink()));
}

TEST(NamedList, OfAnUnnamedListIsNotThereToUnlink) {
  const List list = must(::atoll::List::create_anonymous({1}));
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {"unnamed list"}));
}

TEST(NamedList, HasExactlyTheModeAskedFor) {
  for (const mode_t mask : {0000U, 0077U, 0777U}) {
    for (const mode_t mode : {0600U, 0644U, 0666U, 0400U}) {
      const Name name;
      const mode_t before = umask(mask);
      const absl::StatusOr<List> list = ::atoll::List::create(name, {1}, {.mode = mode});
      umask(before);
      ASSERT_TRUE(succeeds(list));
      struct stat status = {};
      ASSERT_EQ(stat(name.path().c_str(), &status), 0);
      EXPECT_EQ(status.st_mode & 07777, mode);
    }
  }
}

// ---- Open or create -----------------------------------------------------------------------------

TEST(OpenOrCreate, CreatesFirstAndAttachesThen) {
  const Name name;
  const List::Opened first = must(::atoll::List::open_or_create(name, {1, "idle"}));
  EXPECT_TRUE(first.created);
  must(first.list[0].store(2));
  const List::Opened second = must(::atoll::List::open_or_create(name, {1, "idle"}));
  EXPECT_FALSE(second.created);
  EXPECT_EQ(number(second.list[0]), 2) << "the initial values count for the creator alone";
  EXPECT_EQ(second.list.name(), name.str());
}

TEST(OpenOrCreate, TakesAFillAndASpanToo) {
  const Name name;
  EXPECT_TRUE(must(::atoll::List::open_or_create(name, ::atoll::fill(2, 1))).created);
  const std::vector<Init> values = {1, 1};
  EXPECT_FALSE(must(::atoll::List::open_or_create(name, values)).created);
}

TEST(OpenOrCreate, AcceptsAListWithMoreRoomAndOtherValues) {
  const Name name;
  const List list = must(::atoll::List::create(name, {::atoll::text(100), 1}));
  EXPECT_TRUE(succeeds(::atoll::List::open_or_create(name, {::atoll::text("x", 50), "text"})));
}

TEST(OpenOrCreate, RefusesAListOfAnotherShape) {
  const Name name;
  const List list = must(::atoll::List::create(name, {::atoll::text(64), 1, ::atoll::pinned(1)}));
  const std::vector<State> before = states_of(list);
  const Code expected = Code::kFailedPrecondition;
  EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {1, 2}), expected,
                    {name, "with 3 slots, expected 2"}));
  EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {::atoll::text(65), 1, ::atoll::pinned(1)}),
                    expected, {"slot 0", name, "capacity of 64 bytes, expected 72"}));
  EXPECT_TRUE(fails(::atoll::List::open_or_create(
                        name, {::atoll::text(64), ::atoll::pinned(1), ::atoll::pinned(1)}),
                    expected, {"slot 1", "not pinned, expected pinned to int64"}));
  EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {::atoll::text(64), 1, 1}), expected,
                    {"slot 2", "pinned to int64, expected not pinned"}));
  EXPECT_TRUE(
      fails(::atoll::List::open_or_create(name, {::atoll::text(64), 1, ::atoll::pinned(1.0)}),
            expected, {"slot 2", "pinned to int64, expected pinned to double"}));
  EXPECT_EQ(states_of(list), before);
}

// ---- Descriptors and memory ---------------------------------------------------------------------

TEST(UnnamedList, IsSharedThroughItsDescriptor) {
  const List list = must(::atoll::List::create_anonymous({1, ::atoll::text(64)}));
  const List other = must(::atoll::List::attach_fd(list.fd()));
  must(other[1].store("a text that takes a buffer"));
  EXPECT_EQ(must(list[1].load<std::string>()), "a text that takes a buffer");
  EXPECT_EQ(other.name(), "");
  EXPECT_NE(other.fd(), list.fd()) << "each closes its own";
}

TEST(UnnamedList, LivesAsLongAsOneOfItsAttachments) {
  std::optional<List> other;
  {
    const List list = must(::atoll::List::create_anonymous({7}));
    other = must(::atoll::List::attach_fd(list.fd()));
  }
  EXPECT_EQ(number((*other)[0]), 7);
  EXPECT_EQ(number(must(::atoll::List::attach_fd(other->fd()))[0]), 7);
}

TEST(UnnamedList, LeavesTheCallersDescriptorToTheCaller) {
  const List list = must(::atoll::List::create_anonymous({7}));
  const int fd = fcntl(list.fd(), F_DUPFD_CLOEXEC, 0);
  ASSERT_GE(fd, 0);
  must(::atoll::List::attach_fd(fd));
  EXPECT_EQ(close(fd), 0);
}

TEST(UnnamedList, CannotBeCutShort) {
  const List list = must(::atoll::List::create_anonymous({7}));
  EXPECT_NE(ftruncate(list.fd(), 0), 0);
}

TEST(UnnamedList, OfANamedFileIsTheSameList) {
  const Name name;
  const List list = must(::atoll::List::create(name, {7}));
  const detail::File file =
      must(detail::open_place(must(detail::place_in_shared_memory(name.str())), {}));
  const List other = must(::atoll::List::attach_fd(file.fd()));
  must(other[0].store(8));
  EXPECT_EQ(number(list[0]), 8);
}

TEST(ListInMemory, UsesTheMemoryGivenAndNoMore) {
  const std::size_t bytes = must(List::bytes_needed(::atoll::fill(3, ::atoll::text("x", 50))));
  Memory memory(bytes + 64);
  std::ranges::fill(memory.span(), std::byte{0xc5});
  const List list =
      must(::atoll::List::create_in(memory.span(), ::atoll::fill(3, ::atoll::text("x", 50))));
  must(list[2].store(std::string(56, 'y')));
  EXPECT_EQ(list.bytes(), bytes);
  EXPECT_TRUE(std::ranges::all_of(memory.span().subspan(bytes),
                                  [](std::byte byte) { return byte == std::byte{0xc5}; }));
}

TEST(ListInMemory, IsThereForTheNextAttachment) {
  Memory memory(4'096);
  must(::atoll::List::create_in(memory.span(), {1, "idle"}));
  const List list = must(::atoll::List::attach_in(memory.span()));
  EXPECT_EQ(list.to_string(), "List([1, \"idle\"])");
}

}  // namespace
}  // namespace libatoll::test
