// Every row of the error table: the code, what the message names, and that nothing has changed.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "testing.h"

namespace libatoll::test {
namespace {

constexpr std::string_view kText = "text that takes a buffer";

std::string label(const Name& name) { return "list '" + name.str() + "'"; }

// A list under a name, and whether anything about it or about this process has changed since.
class ErrorsTest : public testing::TestWithParam<Layout> {
 protected:
  ErrorsTest()
      : list_(must(::atoll::List::create(name_, values(), options()))),
        states_(states_of(list_)),
        held_(held()),
        names_(names()) {}

  static std::vector<Init> values() {
    return {7, 0.5, "idle", ::atoll::text(kText, 32), ::atoll::pinned(1), ::atoll::pinned(2.5)};
  }
  static CreateOptions options() { return {.layout = GetParam()}; }

  testing::AssertionResult nothing_changed() const {
    if (states_of(list_) != states_) {
      return testing::AssertionFailure() << "the list is " << list_;
    }
    if (const Held now = held(); now != held_) {
      return testing::AssertionFailure() << "there were " << held_ << ", now " << now;
    }
    if (names() != names_) {
      return testing::AssertionFailure() << "names have come or gone";
    }
    if (const absl::StatusOr<List> again = ::atoll::List::attach(name_);
        !again.ok() || states_of(*again) != states_) {
      return testing::AssertionFailure() << "attached again: " << again.status();
    }
    return testing::AssertionSuccess();
  }

  // The names of the tests of this process, and those that are made automatically.
  static std::vector<std::string> names() {
    std::vector<std::string> names;
    const std::string ours = absl::StrFormat("atoll-test-%d-", getpid());
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      if (absl::StartsWith(entry.path().filename().string(), ours)) {
        names.push_back(entry.path().filename());
      }
    }
    std::ranges::sort(names);
    return names;
  }

  Name name_;
  List list_;
  std::vector<State> states_;
  Held held_;
  std::vector<std::string> names_;
};

INSTANTIATE_TEST_SUITE_P(Layouts, ErrorsTest, testing::Values(Layout::kPadded, Layout::kDense),
                         name_of);

// ---- NotFound -----------------------------------------------------------------------------------

TEST_P(ErrorsTest, AMissingNameIsNotFound) {
  const Name missing;
  const Code expected = Code::kNotFound;
  EXPECT_TRUE(fails(::atoll::List::attach(missing), expected, {label(missing), "does not exist"}));
  EXPECT_TRUE(fails(::atoll::List::attach(missing, {.read_only = true}), expected,
                    {label(missing), "does not exist"}));
  EXPECT_TRUE(fails(::atoll::List::unlink(missing), expected, {label(missing), "does not exist"}));
  EXPECT_FALSE(missing.exists());
  EXPECT_TRUE(nothing_changed());
}

// ---- AlreadyExists ------------------------------------------------------------------------------

TEST_P(ErrorsTest, ANameThatIsTakenAlreadyExists) {
  const Code expected = Code::kAlreadyExists;
  EXPECT_TRUE(fails(::atoll::List::create(name_, {1, 2}), expected, {label(name_), "exists"}));
  EXPECT_TRUE(fails(::atoll::List::create(name_, values(), options()), expected, {label(name_)}));
  EXPECT_TRUE(fails(::atoll::List::create(name_, ::atoll::fill(100, 1)), expected, {label(name_)}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ANameTakenByWhatIsNoListAlreadyExists) {
  const Name directory;
  std::filesystem::create_directory(directory.path());
  const Name dangling;
  std::filesystem::create_symlink("/nowhere", dangling.path());
  const Name empty;
  write_file(empty.path(), "");
  for (const Name* name : {&directory, &dangling, &empty}) {
    EXPECT_TRUE(fails(::atoll::List::create(*name, {1}), Code::kAlreadyExists, {label(*name)}));
    EXPECT_TRUE(name->exists());
  }
  EXPECT_EQ(read_file(empty.path()), "");
}

// ---- InvalidArgument ----------------------------------------------------------------------------

TEST_P(ErrorsTest, ABadNameIsInvalid) {
  const struct {
    std::string name;
    std::string_view why;
  } bad[] = {
      {"/", "empty"},      {".", "directory"},
      {"..", "directory"}, {"/..", "directory"},
      {"//x", "slash"},    {"/a/b", "slash"},
      {"a/", "slash"},     {std::string("a\0b", 3), "NUL"},
      {"/../x", "slash"},  {std::string(256, 'x'), "256 bytes, at most 255"},
  };
  const Code expected = Code::kInvalidArgument;
  for (const auto& [name, why] : bad) {
    SCOPED_TRACE(name);
    const std::string quoted = "'" + name.substr(0, 255) + "'";
    EXPECT_TRUE(fails(::atoll::List::create(name, {1}), expected, {quoted, why}));
    EXPECT_TRUE(fails(::atoll::List::attach(name), expected, {quoted, why}));
    EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {1}), expected, {quoted, why}));
    EXPECT_TRUE(fails(::atoll::List::unlink(name), expected, {quoted, why}));
  }
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, AnEmptyNameIsInvalidWhereNoneCanBeMade) {
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(::atoll::List::attach(""), expected, {"empty"}));
  EXPECT_TRUE(fails(::atoll::List::open_or_create("", {1}), expected, {"empty"}));
  EXPECT_TRUE(fails(::atoll::List::unlink(""), expected, {"empty"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ABadOptionIsInvalidAndNamed) {
  const struct {
    CreateOptions options;
    std::string_view what;
    std::string_view found;
  } bad[] = {
      {{.buffers_per_slot = 1}, "buffers_per_slot is 1", "2 to 8"},
      {{.buffers_per_slot = 9}, "buffers_per_slot is 9", "2 to 8"},
      {{.buffers_per_slot = 0}, "buffers_per_slot is 0", "2 to 8"},
      {{.buffers_per_slot = -1}, "buffers_per_slot is -1", "2 to 8"},
      {{.mode = 010000}, "mode is 010000", "0777"},
      {{.mode = 04755}, "mode is 04755", "0777"},
      {{.claim_timeout = -absl::Nanoseconds(1)}, "claim_timeout is -1ns", "0 or more"},
      {{.claim_timeout = -absl::InfiniteDuration()}, "claim_timeout is -inf", "0 or more"},
      {{.layout = static_cast<Layout>(2)}, "layout is 2", "kPadded or kDense"},
  };
  const Code expected = Code::kInvalidArgument;
  const Name name;
  Memory memory(4'096);
  for (const auto& [options, what, found] : bad) {
    EXPECT_TRUE(
        fails(::atoll::List::create(name, {1}, options), expected, {label(name), what, found}));
    EXPECT_TRUE(fails(::atoll::List::create("", {1}, options), expected, {what, found}));
    EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {1}, options), expected, {what, found}));
    EXPECT_TRUE(fails(::atoll::List::create_anonymous({1}, options), expected,
                      {"the unnamed list", what, found}));
    EXPECT_TRUE(
        fails(::atoll::List::create_in(memory.span(), {1}, options), expected, {what, found}));
    EXPECT_TRUE(
        fails(::atoll::List::bytes_needed(::atoll::fill(1, 1), options), expected, {what, found}));
  }
  EXPECT_FALSE(name.exists());
  EXPECT_TRUE(
      std::ranges::all_of(memory.span(), [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ABadOptionIsInvalidForAListThatExists) {
  CreateOptions bad = options();
  bad.buffers_per_slot = 9;
  EXPECT_TRUE(fails(::atoll::List::open_or_create(name_, values(), bad), Code::kInvalidArgument,
                    {label(name_), "buffers_per_slot is 9"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ANegativeTimeoutIsInvalidWhenAttaching) {
  const AttachOptions bad = {.claim_timeout = -absl::Seconds(1)};
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(::atoll::List::attach(name_, bad), expected, {label(name_), "claim_timeout"}));
  const List anonymous = must(::atoll::List::create_anonymous({1}));
  EXPECT_TRUE(fails(::atoll::List::attach_fd(anonymous.fd(), bad), expected, {"claim_timeout"}));
  Memory memory(4'096);
  must(::atoll::List::create_in(memory.span(), {1}));
  EXPECT_TRUE(fails(::atoll::List::attach_in(memory.span(), bad), expected, {"claim_timeout"}));
}

TEST_P(ErrorsTest, AnInfiniteTimeoutIsAllowed) {
  EXPECT_TRUE(succeeds(::atoll::List::attach(name_, {.claim_timeout = absl::InfiniteDuration()})));
}

TEST_P(ErrorsTest, AnInitialValueLongerThanItsCapacityIsInvalid) {
  const Name name;
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(::atoll::List::create(name, {1, ::atoll::text("nine byte", 8)}, options()),
                    expected, {label(name), "slot 1", "has 9 bytes", "capacity is 8"}));
  EXPECT_TRUE(fails(::atoll::List::create(name, {::atoll::text("four", 3)}), expected,
                    {label(name), "slot 0", "has 4 bytes", "capacity is 3"}));
  EXPECT_TRUE(fails(::atoll::List::create(name, {::atoll::bytes(BytesView("xy", 2), 0)}), expected,
                    {label(name), "slot 0", "has 2 bytes", "capacity is 0"}));
  EXPECT_TRUE(
      fails(::atoll::List::create(name, ::atoll::fill(5, ::atoll::text(kText, 10)), options()),
            expected, {label(name), "slot 0", "capacity is 10"}));
  EXPECT_FALSE(name.exists());
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, MemoryThatIsMisalignedIsInvalid) {
  Memory memory(8'192);
  const std::span<std::byte> crooked = memory.span().subspan(16);
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(::atoll::List::create_in(crooked, {1}), expected, {"aligned to 64"}));
  EXPECT_TRUE(fails(::atoll::List::attach_in(crooked), expected, {"aligned to 64"}));
}

TEST_P(ErrorsTest, ADescriptorThatIsNotOpenIsInvalid) {
  EXPECT_TRUE(fails(::atoll::List::attach_fd(-1), Code::kInvalidArgument,
                    {"the unnamed list", "-1 is not an open descriptor"}));
  EXPECT_TRUE(nothing_changed());
}

// ---- OutOfRange ---------------------------------------------------------------------------------

TEST_P(ErrorsTest, AnIndexOutsideIsOutOfRange) {
  for (const std::ptrdiff_t index : {6, 7, -7, -1'000}) {
    const std::string found = absl::StrFormat("index %d", index);
    EXPECT_TRUE(fails(list_.at(index), Code::kOutOfRange, {found, label(name_), "6 slots"}));
    EXPECT_TRUE(fails(list_.counter(index), Code::kOutOfRange, {found, label(name_)}));
    EXPECT_TRUE(fails(list_.gauge(index), Code::kOutOfRange, {found, label(name_)}));
  }
  EXPECT_TRUE(nothing_changed());
}

// ---- ResourceExhausted --------------------------------------------------------------------------

TEST_P(ErrorsTest, AValueLongerThanTheCapacityIsTooMuch) {
  const std::string text(33, 'x');
  const Code expected = Code::kResourceExhausted;
  const auto slot = label(name_);
  EXPECT_TRUE(fails(list_[3].store(text), expected, {"slot 3", slot, "up to 32", "has 33"}));
  EXPECT_TRUE(fails(list_[3].store(BytesView(text)), expected, {"slot 3", slot, "has 33"}));
  EXPECT_TRUE(fails(list_[3].exchange(text), expected, {"slot 3", slot, "up to 32", "has 33"}));
  EXPECT_TRUE(fails(list_[3].compare_exchange(kText, text), expected, {"slot 3", "has 33"}));
  EXPECT_TRUE(fails(list_[0].store("nine byte"), expected, {"slot 0", slot, "up to 8", "has 9"}));
  char room[8];
  EXPECT_TRUE(fails(list_[3].load_into(room), expected, {"slot 3", slot, "holds 24", "has 8"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, AListLargerThanSharedMemoryIsTooMuch) {
  struct statvfs room = {};
  ASSERT_EQ(statvfs("/dev/shm", &room), 0);
  if (room.f_blocks == 0) {
    GTEST_SKIP() << "/dev/shm has no limit here: the machine itself would be filled";
  }
  const Name name;
  EXPECT_TRUE(
      fails(::atoll::List::create(name, {1, ::atoll::text(std::size_t{1} << 45)}, options()),
            Code::kResourceExhausted, {label(name), "bytes of shared memory", "room"}));
  EXPECT_TRUE(fails(::atoll::List::create(name, ::atoll::fill(std::size_t{1} << 40, 0), options()),
                    Code::kResourceExhausted, {label(name), "bytes of shared memory", "room"}));
  EXPECT_TRUE(fails(
      ::atoll::List::open_or_create(name, {1, ::atoll::text(std::size_t{1} << 45)}, options()),
      Code::kResourceExhausted, {label(name)}));
  EXPECT_FALSE(name.exists());
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, AnUnnamedListLargerThanTheMachinesMemoryIsTooMuch) {
  const Code expected = Code::kResourceExhausted;
  EXPECT_TRUE(
      fails(::atoll::List::create_anonymous({1, ::atoll::text(std::size_t{1} << 45)}, options()),
            expected, {"the unnamed list", "bytes of shared memory", "room"}));
  EXPECT_TRUE(
      fails(::atoll::List::create_anonymous(::atoll::fill(std::size_t{1} << 40, 0), options()),
            expected, {"the unnamed list", "bytes of shared memory", "room"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, AListLargerThanAnyMemoryIsTooMuch) {
  const Name name;
  const Code expected = Code::kResourceExhausted;
  constexpr std::size_t kMax = std::numeric_limits<std::size_t>::max();
  const auto all = [&](const auto& values, std::string_view why) {
    EXPECT_TRUE(
        fails(::atoll::List::create(name, values, options()), expected, {label(name), why}));
    EXPECT_TRUE(fails(::atoll::List::create_anonymous(values, options()), expected, {why}));
    EXPECT_TRUE(fails(::atoll::List::bytes_needed(values, options()), expected, {why}));
  };
  all(std::vector<Init>{1, ::atoll::text(kMax)}, "slot 1 has a capacity of 18446744073709551615");
  all(std::vector<Init>{::atoll::bytes((std::size_t{1} << 46) + 1)}, "slot 0 has a capacity");
  all(::atoll::fill((std::size_t{1} << 40) + 1, 0), "1099511627777 slots");
  all(::atoll::fill(kMax, 0), "18446744073709551615 slots");
  all(::atoll::fill(std::size_t{1} << 40, ::atoll::text(1 << 20)), "its buffers need more than");
  EXPECT_FALSE(name.exists());
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, MemoryTooSmallForTheListIsTooMuch) {
  const std::size_t needed = must(::atoll::List::bytes_needed(values(), options()));
  Memory memory(needed);
  EXPECT_TRUE(fails(::atoll::List::create_in(memory.span().first(needed - 1), values(), options()),
                    Code::kResourceExhausted,
                    {"the unnamed list", absl::StrFormat("needs %d bytes", needed),
                     absl::StrFormat("has %d", needed - 1)}));
  EXPECT_TRUE(
      std::ranges::all_of(memory.span(), [](std::byte byte) { return byte == std::byte{0}; }));
  EXPECT_TRUE(succeeds(::atoll::List::create_in(memory.span(), values(), options())));
}

// Lets this process open no more than `more` further descriptors, for as long as it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int more) {
    getrlimit(RLIMIT_NOFILE, &before_);
    // The numbers below the limit that are free are filled, but for `more`.
    int highest = 0;
    for (const int fd : open_descriptors()) {
      highest = std::max(highest, fd);
    }
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(highest) + static_cast<rlim_t>(1 + more);
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int fd = 0; fd <= highest; ++fd) {
      if (fcntl(fd, F_GETFD) < 0 && fcntl(0, F_DUPFD_CLOEXEC, fd) == fd) {
        filled_.push_back(fd);
      }
    }
  }
  ~DescriptorLimit() {
    for (const int fd : filled_) {
      close(fd);
    }
    setrlimit(RLIMIT_NOFILE, &before_);
  }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_ = {};
  std::vector<int> filled_;
};

TEST_P(ErrorsTest, NoDescriptorLeftIsTooMuchAndLeaksNone) {
  const List anonymous = must(::atoll::List::create_anonymous({1}));
  const int fd = anonymous.fd();
  held_ = held();
  const Name name;
  const struct {
    std::string_view what;
    std::string label;
    std::function<absl::Status()> open;
  } ways[] = {
      {"create", label(name), [&] { return ::atoll::List::create(name, {1}).status(); }},
      {"attach", label(name_), [&] { return ::atoll::List::attach(name_).status(); }},
      {"create_anonymous", "the unnamed list",
       [] { return ::atoll::List::create_anonymous({1}).status(); }},
      {"attach_fd", "the unnamed list", [fd] { return ::atoll::List::attach_fd(fd).status(); }},
  };
  for (const auto& way : ways) {
    SCOPED_TRACE(way.what);
    // One descriptor more each time, so that every step is once the one that fails.
    int failures = 0;
    absl::Status status;
    do {
      const DescriptorLimit limit(failures);
      status = way.open();
      failures += status.ok() ? 0 : 1;
      EXPECT_TRUE(status.ok() || fails(status, Code::kResourceExhausted, {way.label}));
      EXPECT_EQ(name.exists(), status.ok() && way.what == "create");
    } while (!status.ok() && failures < 10);
    EXPECT_GE(failures, 1);
    EXPECT_TRUE(succeeds(status));
    std::filesystem::remove(name.path());
    EXPECT_TRUE(nothing_changed());
  }
}

// ---- FailedPrecondition -------------------------------------------------------------------------

TEST_P(ErrorsTest, ArithmeticOnAnotherTypeFails) {
  const Code expected = Code::kFailedPrecondition;
  const auto slot = label(name_);
  EXPECT_TRUE(fails(list_[2].fetch_add(1), expected,
                    {"slot 2", slot, "fetch_add", "needs int64", "found text"}));
  EXPECT_TRUE(fails(list_[3].fetch_or(1), expected, {"slot 3", slot, "fetch_or", "found text"}));
  EXPECT_TRUE(fails(list_[1].fetch_add(1), expected, {"slot 1", slot, "found double"}));
  EXPECT_TRUE(fails(list_[0].fetch_add(1.0), expected, {"slot 0", slot, "needs double"}));
  EXPECT_TRUE(fails(list_[4].fetch_max(1.0), expected, {"slot 4", slot, "found int64"}));
  EXPECT_TRUE(fails(list_[5].fetch_max(1), expected, {"slot 5", slot, "found double"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, LoadingAnotherTypeFails) {
  const Code expected = Code::kFailedPrecondition;
  char room[64];
  EXPECT_TRUE(fails(list_[0].load<std::string>(), expected,
                    {"slot 0", label(name_), "needs text", "found int64"}));
  EXPECT_TRUE(fails(list_[3].load<bool>(), expected, {"slot 3", "needs bool", "found text"}));
  EXPECT_TRUE(fails(list_[3].load<Bytes>(), expected, {"slot 3", "needs bytes", "found text"}));
  EXPECT_TRUE(fails(list_[4].load_into(room), expected, {"slot 4", "load_into", "found int64"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ChangingTheTypeOfAPinnedSlotFails) {
  const Code expected = Code::kFailedPrecondition;
  const auto slot = label(name_);
  EXPECT_TRUE(fails(list_[4].store("text"), expected,
                    {"slot 4", slot, "pinned to int64", "the value is text"}));
  EXPECT_TRUE(fails(list_[4].exchange(1.0), expected, {"slot 4", slot, "the value is double"}));
  EXPECT_TRUE(fails(list_[4].compare_exchange(1, nullptr), expected, {"slot 4", "is none"}));
  EXPECT_TRUE(fails(list_[5].store(1), expected, {"slot 5", slot, "pinned to double", "is int64"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ACounterOfASlotThatIsNotPinnedToItFails) {
  const Code expected = Code::kFailedPrecondition;
  const auto slot = label(name_);
  EXPECT_TRUE(fails(list_.counter(0), expected, {"slot 0", slot, "int64", "pinned to int64"}));
  EXPECT_TRUE(fails(list_.counter(2), expected, {"slot 2", slot, "holds text"}));
  EXPECT_TRUE(fails(list_.counter(5), expected, {"slot 5", slot, "pinned double"}));
  EXPECT_TRUE(fails(list_.gauge(4), expected, {"slot 4", slot, "pinned int64"}));
  EXPECT_TRUE(fails(list_.gauge(-5), expected, {"slot 1", slot, "pinned to double"}));
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, AnotherLayoutVersionFails) {
  std::string segment = read_file(name_.path());
  segment[offsetof(detail::SegmentHeader, layout_version)] = 2;
  const Name name;
  write_file(name.path(), segment);
  held_ = held();
  names_ = names();
  EXPECT_TRUE(fails(::atoll::List::attach(name), Code::kFailedPrecondition,
                    {label(name), "layout_version is 0x2", "0x1"}));
  EXPECT_TRUE(fails(::atoll::List::open_or_create(name, values()), Code::kFailedPrecondition,
                    {label(name), "layout_version"}));
  EXPECT_EQ(read_file(name.path()), segment);
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, WhatIsNoRegularFileFails) {
  const Name fifo;
  ASSERT_EQ(mkfifo(fifo.path().c_str(), 0600), 0);
  const Name directory;
  std::filesystem::create_directory(directory.path());
  const Name symlink;
  std::filesystem::create_symlink(name_.path(), symlink.path());
  names_ = names();
  for (const Name* name : {&fifo, &directory, &symlink}) {
    for (const bool read_only : {false, true}) {
      EXPECT_TRUE(fails(::atoll::List::attach(*name, {.read_only = read_only}),
                        Code::kFailedPrecondition, {label(*name), "regular file"}));
    }
    EXPECT_TRUE(fails(::atoll::List::open_or_create(*name, {1}), Code::kFailedPrecondition,
                      {label(*name), "regular file"}));
  }
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ADescriptorOfWhatIsNoRegularFileFails) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const detail::File reader(ends[0]);
  const detail::File writer(ends[1]);
  const detail::File directory(open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  held_ = held();
  for (const int fd : {reader.fd(), directory.fd()}) {
    for (const bool read_only : {false, true}) {
      EXPECT_TRUE(fails(::atoll::List::attach_fd(fd, {.read_only = read_only}),
                        Code::kFailedPrecondition, {"the unnamed list"}));
    }
  }
  EXPECT_TRUE(nothing_changed());
}

// ---- PermissionDenied ---------------------------------------------------------------------------

TEST_P(ErrorsTest, AReadOnlyAttachmentRefusesEveryWrite) {
  Home homes[] = {Home(Place::kNamed), Home(Place::kAnonymous), Home(Place::kMemory)};
  for (Home& home : homes) {
    SCOPED_TRACE(home.label());
    const List list = must(home.create(values(), options()));
    const std::vector<State> before = states_of(list);
    const List reader = must(home.attach(list, {.read_only = true}));
    EXPECT_TRUE(reader.is_read_only());
    const auto is_denied = [&home](const auto& result) {
      return fails(result, Code::kPermissionDenied, {"slot ", home.label(), "read-only"});
    };
    for (const Slot slot : reader) {
      EXPECT_TRUE(is_denied(slot.store(1)));
      EXPECT_TRUE(is_denied(slot.store(1.0)));
      EXPECT_TRUE(is_denied(slot.store("x")));
      EXPECT_TRUE(is_denied(slot.store(kText)));
      EXPECT_TRUE(is_denied(slot.store(std::string(1'000, 'x'))));
      EXPECT_TRUE(is_denied(slot.exchange(1)));
      EXPECT_TRUE(is_denied(slot.compare_exchange(7, 8)));
      EXPECT_TRUE(is_denied(slot.compare_exchange("nothing like it", 8)));
      EXPECT_TRUE(is_denied(slot.fetch_add(1)));
      EXPECT_TRUE(is_denied(slot.fetch_sub(1)));
      EXPECT_TRUE(is_denied(slot.fetch_and(1)));
      EXPECT_TRUE(is_denied(slot.fetch_or(1)));
      EXPECT_TRUE(is_denied(slot.fetch_xor(1)));
      EXPECT_TRUE(is_denied(slot.fetch_min(1)));
      EXPECT_TRUE(is_denied(slot.fetch_max(1)));
      EXPECT_TRUE(is_denied(slot.fetch_add(1.0)));
      EXPECT_TRUE(is_denied(slot.fetch_sub(1.0)));
      EXPECT_TRUE(is_denied(slot.fetch_min(1.0)));
      EXPECT_TRUE(is_denied(slot.fetch_max(1.0)));
    }
    EXPECT_TRUE(is_denied(reader.counter(4)));
    EXPECT_TRUE(is_denied(reader.gauge(5)));
    EXPECT_EQ(states_of(list), before);
    EXPECT_EQ(states_of(reader), before) << "reading works";
    must(list[3].store("seen by the reader too"));
    EXPECT_EQ(must(reader[3].load<std::string>()), "seen by the reader too");
  }
}

// What `function` says in a child that runs as `user`.
std::string as_user(uid_t user, const std::function<std::string()>& function) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe");
  }
  const detail::File reader(ends[0]);
  detail::File writer(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    std::string said = "cannot become that user";
    if (setgid(user) == 0 && setuid(user) == 0) {
      said = function();
    }
    _exit(write(writer.fd(), said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0
                                                                                            : 1);
  }
  writer = detail::File();
  std::string said;
  char part[512];
  for (ssize_t size; (size = read(reader.fd(), part, sizeof(part))) > 0;) {
    said.append(part, static_cast<std::size_t>(size));
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    throw std::runtime_error("the child failed");
  }
  return said;
}

constexpr uid_t kNobody = 65'534;

class OtherUserTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "needs root to become another user";
    }
  }

  static std::string say(const absl::Status& status) { return status.ToString(); }

  Name name_;
};

TEST_F(OtherUserTest, ADescriptorOfAnotherUsersListIsDeniedUnlessAllowed) {
  const List list = must(::atoll::List::create_anonymous({7}));
  const std::string denied =
      as_user(kNobody, [&] { return say(::atoll::List::attach_fd(list.fd()).status()); });
  EXPECT_TRUE(absl::StartsWith(denied,
                               "PERMISSION_DENIED: the unnamed list belongs to user 0, and this "
                               "process runs as user 65534"))
      << denied;
  EXPECT_EQ(list[0].version(), 0U);
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      const List allowed =
                          must(::atoll::List::attach_fd(list.fd(), {.allow_other_owner = true}));
                      must(allowed[0].fetch_add(1));
                      return say(absl::OkStatus());
                    }),
            "OK");
  EXPECT_EQ(must(list[0].load<std::int64_t>()), 8);
}

TEST_F(OtherUserTest, AListOfAnotherUserIsDeniedUnlessAllowed) {
  const List list = must(::atoll::List::create(name_, {7, ::atoll::text(64)}, {.mode = 0666}));
  const std::string denied =
      as_user(kNobody, [&] { return say(::atoll::List::attach(name_).status()); });
  EXPECT_TRUE(absl::StartsWith(denied, "PERMISSION_DENIED: " + label(name_) +
                                           " belongs to user 0, and this process runs as user "
                                           "65534"))
      << denied;
  EXPECT_TRUE(absl::StrContains(denied, "allow_other_owner")) << denied;
  const std::string reader = as_user(
      kNobody, [&] { return say(::atoll::List::attach(name_, {.read_only = true}).status()); });
  EXPECT_TRUE(absl::StartsWith(reader, "PERMISSION_DENIED: ")) << reader;
  EXPECT_EQ(
      as_user(kNobody, [&] { return say(::atoll::List::open_or_create(name_, {7}).status()); })
          .substr(0, 18),
      "PERMISSION_DENIED:");
  EXPECT_EQ(list[0].version(), 0U);

  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      const List allowed =
                          must(::atoll::List::attach(name_, {.allow_other_owner = true}));
                      must(allowed[0].fetch_add(1));
                      must(allowed[1].store("text from another user"));
                      return say(absl::OkStatus());
                    }),
            "OK");
  EXPECT_EQ(must(list[0].load<std::int64_t>()), 8);
  EXPECT_EQ(must(list[1].load<std::string>()), "text from another user");
}

TEST_F(OtherUserTest, ThePermissionBitsDecideWhoMayOpen) {
  const struct {
    mode_t mode;
    bool reads;
    bool writes;
  } modes[] = {{0600, false, false}, {0644, true, false}, {0666, true, true}, {0622, false, false}};
  for (const auto& [mode, reads, writes] : modes) {
    SCOPED_TRACE(absl::StrFormat("%#o", mode));
    const Name name;
    const List list = must(::atoll::List::create(name, {7}, {.mode = mode}));
    for (const bool read_only : {false, true}) {
      const std::string said = as_user(kNobody, [&] {
        return say(::atoll::List::attach(name, {.read_only = read_only, .allow_other_owner = true})
                       .status());
      });
      if (read_only ? reads : writes) {
        EXPECT_EQ(said, "OK");
      } else {
        EXPECT_EQ(said, "PERMISSION_DENIED: " + label(name) + ": no permission to open it for " +
                            (read_only ? "reading" : "reading and writing"));
      }
    }
  }
}

TEST_F(OtherUserTest, AnOwnerWhoMayOnlyReadAttachesReadOnly) {
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      must(::atoll::List::create(name_, {7}, {.mode = 0400}));
                      const absl::Status writer = ::atoll::List::attach(name_).status();
                      const List reader = must(::atoll::List::attach(name_, {.read_only = true}));
                      return say(writer) + " / " + reader.to_string();
                    }),
            "PERMISSION_DENIED: " + label(name_) +
                ": no permission to open it for reading and writing / List([7], name='" +
                name_.str() + "')");
}

TEST_F(OtherUserTest, AChildThatMayNotOpenTheListAnewCannotStoreLongText) {
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      const List list = must(::atoll::List::create(
                          name_, {::atoll::text("first", 64)}, {.mode = 0400}));
                      must(list[0].store(kText));
                      const State before = state_of(list[0]);
                      const std::string child = as_user(kNobody, [&] {
                        const absl::Status status = list[0].store("another long text");
                        if (state_of(list[0]) != before) {
                          return std::string("changed");
                        }
                        must(list[0].store("short"));
                        return say(status);
                      });
                      must(list[0].store(kText));  // the parent is not disturbed
                      return child;
                    }),
            "FAILED_PRECONDITION: slot 0 of " + label(name_) +
                ": after fork, this process could not open the list's file anew through "
                "/proc/self/fd, so it cannot store text longer than 8 bytes; attach again");
}

TEST_F(OtherUserTest, TheListOfAnotherUserCannotBeUnlinked) {
  const List list = must(::atoll::List::create(name_, {7}, {.mode = 0666}));
  struct stat directory = {};
  ASSERT_EQ(stat("/dev/shm", &directory), 0);
  if ((directory.st_mode & S_ISVTX) == 0) {
    GTEST_SKIP() << "/dev/shm is not sticky here";
  }
  const std::string expected =
      "PERMISSION_DENIED: " + label(name_) + ": no permission to unlink it";
  EXPECT_EQ(as_user(kNobody, [&] { return say(::atoll::List::unlink(name_)); }), expected);
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      return say(
                          must(::atoll::List::attach(name_, {.allow_other_owner = true})).unlink());
                    }),
            expected);
  EXPECT_TRUE(name_.exists());
}

TEST_F(OtherUserTest, AUserCreatesUsesAndUnlinksListsOfTheirOwn) {
  EXPECT_EQ(as_user(kNobody,
                    [&] {
                      const List list = must(::atoll::List::create(name_, {7}));
                      must(must(::atoll::List::attach(name_))[0].fetch_add(1));
                      const std::string shown = list.to_string();
                      return shown + say(list.unlink());
                    }),
            "List([8], name='" + name_.str() + "')OK");
  EXPECT_FALSE(name_.exists());
}

// ---- DataLoss -----------------------------------------------------------------------------------

TEST_P(ErrorsTest, AFileThatIsNoListIsDataLoss) {
  for (const std::string& contents :
       {std::string(), std::string("not a list"), std::string(4'096, '\0'),
        read_file(name_.path()).substr(0, 300)}) {
    const Name name;
    write_file(name.path(), contents);
    const Code expected = Code::kDataLoss;
    EXPECT_TRUE(fails(::atoll::List::attach(name), expected, {label(name)}));
    EXPECT_TRUE(fails(::atoll::List::attach(name, {.read_only = true}), expected, {label(name)}));
    EXPECT_TRUE(fails(::atoll::List::open_or_create(name, {1}), expected, {label(name)}));
    EXPECT_EQ(read_file(name.path()), contents);
  }
  EXPECT_TRUE(nothing_changed());
}

TEST_P(ErrorsTest, ASlotOfImpossibleBytesIsDataLossForItAlone) {
  Raw raw(name_);
  raw.forge(2, {1, detail::make_meta(3, static_cast<detail::Tag>(15))});
  const detail::Word forged = raw.word(2);
  const Code expected = Code::kDataLoss;
  EXPECT_TRUE(fails(list_[2].load(), expected, {"slot 2", label(name_), "impossible"}));
  EXPECT_TRUE(fails(list_[2].store(1), expected, {"slot 2", label(name_), "impossible"}));
  EXPECT_TRUE(fails(list_.count(7), expected, {"slot 2", label(name_)}));
  EXPECT_TRUE(absl::StrContains(list_.to_string(), "<DataLoss>"));
  EXPECT_EQ(raw.word(2), forged);
  EXPECT_EQ(state_of(list_[3]), states_[3]);
}

// ---- DeadlineExceeded ---------------------------------------------------------------------------

TEST_P(ErrorsTest, WaitingForLiveWritersHasADeadline) {
  const List hurried = must(::atoll::List::attach(name_, {.claim_timeout = absl::Milliseconds(1)}));
  Raw raw(name_);
  held_ = held();
  // As if list_, the first participant, was in the middle of two stores.
  raw.control(3, 1).owner = 1;
  raw.control(3, 2).owner = 1;
  const Code expected = Code::kDeadlineExceeded;
  EXPECT_TRUE(fails(hurried[3].store("another text, long enough"), expected,
                    {"slot 3", label(name_), "live writers", "1ms"}));
  EXPECT_TRUE(fails(hurried[3].exchange("another text, long enough"), expected, {"slot 3"}));
  EXPECT_TRUE(nothing_changed());
  raw.control(3, 2).owner = 0;
  EXPECT_TRUE(succeeds(hurried[3].store("another text, long enough")));
}

}  // namespace
}  // namespace libatoll::test
