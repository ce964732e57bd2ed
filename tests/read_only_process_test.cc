// A read-only attachment cannot write: the interface refuses, and so does the processor. It needs no
// more than permission to read.

#include "process.h"

namespace {

using libatoll::List;
using libatoll::Slot;
using process::Child;
using process::Shared;

constexpr uid_t kNobody = 65'534;

std::vector<libatoll::Init> values() {
  return {1,      0.5, "text longer than the header", libatoll::pinned(2), libatoll::pinned(2.5),
          "short"};
}

// Refuses every write, says why, and changes nothing.
void expect_refusals(const List& list) {
  ATOLL_CHECK(list.is_read_only());
  const std::string before = list.to_string();
  const auto refused = [](const absl::Status& status) {
    ATOLL_CHECK(absl::IsPermissionDenied(status)) << status;
    ATOLL_CHECK(status.message().find("read-only") != absl::string_view::npos) << status;
  };
  for (const Slot slot : list) {
    const std::uint64_t version = slot.version();
    const libatoll::Value value = process::must(slot.load());
    refused(slot.store(value));
    refused(slot.store("a text that needs a buffer"));
    refused(slot.exchange(value).status());
    refused(slot.compare_exchange(value, value).status());
    refused(slot.fetch_add(1).status());
    refused(slot.fetch_sub(1).status());
    refused(slot.fetch_and(1).status());
    refused(slot.fetch_or(1).status());
    refused(slot.fetch_xor(1).status());
    refused(slot.fetch_min(-1).status());
    refused(slot.fetch_max(9).status());
    refused(slot.fetch_add(1.0).status());
    refused(slot.fetch_sub(1.0).status());
    refused(slot.fetch_min(-1.0).status());
    refused(slot.fetch_max(9.0).status());
    ATOLL_CHECK(slot.version() == version);
  }
  refused(list.counter(3).status());
  refused(list.gauge(4).status());
  ATOLL_CHECK(list.to_string() == before);
}

TEST(ReadOnly, RefusesToWrite) {
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), values()));
  const std::string before = list.to_string();
  Child child([&] {
    const List reader = process::must(List::attach(name.string(), {.read_only = true}));
    expect_refusals(reader);
    return 0;
  });
  ASSERT_EQ(child.wait(), 0);
  EXPECT_EQ(list.to_string(), before);
  for (const Slot slot : list) {
    EXPECT_EQ(slot.version(), 0U);
  }
  const List unnamed = process::must(List::create_anonymous(values()));
  Child other([&] {
    expect_refusals(process::must(List::attach_fd(unnamed.fd(), {.read_only = true})));
    return 0;
  });
  ASSERT_EQ(other.wait(), 0);
}

// Where this process has mapped the list for reading, and how many such mappings there are.
struct Mappings {
  int readable = 0;
  int writable = 0;
  std::uintptr_t start = 0;
};
Mappings find_mappings(const std::string& path) {
  Mappings found;
  std::FILE* const maps = std::fopen("/proc/self/maps", "r");
  ATOLL_CHECK(maps != nullptr);
  std::array<char, 512> line = {};
  while (std::fgets(line.data(), static_cast<int>(line.size()), maps) != nullptr) {
    unsigned long long start = 0;
    std::array<char, 5> permissions = {};
    if (std::strstr(line.data(), path.c_str()) != nullptr &&
        std::sscanf(line.data(), "%llx-%*x %4s", &start, permissions.data()) == 2) {
      ++(permissions[1] == 'w' ? found.writable : found.readable);
      found.start = static_cast<std::uintptr_t>(start);
    }
  }
  std::fclose(maps);
  return found;
}

TEST(ReadOnly, IsMappedForReadingAlone) {
  const process::UniqueName name;
  {
    const List created = process::must(List::create(name.string(), values()));
    const List attached = process::must(List::attach(name.string()));
    ASSERT_EQ(find_mappings(process::path_of(name.string())).writable, 1);
  }
  // Its mapping in a child, before and after a fork of its own; the first byte, and the last.
  for (const bool at_the_end : {false, true}) {
    for (const bool forked : {false, true}) {
      const auto write_to_mapping = [&](const List& reader) -> int {
        const Mappings found = find_mappings(process::path_of(name.string()));
        ATOLL_CHECK(found.readable == 1 && found.writable == 0);
        auto* const byte =
            reinterpret_cast<volatile char*>(found.start) + (at_the_end ? reader.bytes() - 1 : 0);
        const char value = *byte;
        signal(SIGSEGV, SIG_DFL);
        *byte = value;
        return 0;
      };
      Child child([&]() -> int {
        const List reader = process::must(List::attach(name.string(), {.read_only = true}));
        if (!forked) {
          return write_to_mapping(reader);
        }
        Child grandchild([&] { return write_to_mapping(reader); });
        ATOLL_CHECK(grandchild.wait_for_signal() == SIGSEGV);
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
        return 0;
      });
      EXPECT_EQ(child.wait_for_signal(), SIGSEGV) << "the write was possible";
    }
  }
}

// A reader sees what writers do.
TEST(ReadOnly, SeesWrites) {
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), values()));
  struct Board {
    std::atomic<int> ready;
    std::atomic<int> reads;
  };
  const Shared<Board> board;
  Child child([&] {
    const List reader = process::must(List::attach(name.string(), {.read_only = true}));
    board->ready = 1;
    ATOLL_CHECK(process::wait_until([&] {
      ++board->reads;
      return process::must(reader[0].load<std::int64_t>()) == 1000;
    }));
    ATOLL_CHECK(process::must(reader[2].load<std::string>()) == "the last text that was stored");
    ATOLL_CHECK(process::must(reader[3].load<std::int64_t>()) == 1001);
    return 0;
  });
  ASSERT_TRUE(process::wait_until([&] { return board->ready == 1; }));
  process::must(list[2].store("the last text that was stored"));
  for (int i = 0; i < 999; ++i) {
    process::must(list[3].fetch_add(1));
    process::must(list[0].fetch_add(1));
  }
  ASSERT_EQ(child.wait(), 0);
  EXPECT_GT(board->reads, 0);
}

TEST(ReadOnly, NeedsPermissionToReadOnly) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can become another user";
  }
  const process::UniqueName readable;
  const process::UniqueName unreadable;
  const List list = process::must(List::create(readable.string(), values(), {.mode = 0444}));
  const List secret = process::must(List::create(unreadable.string(), values(), {.mode = 0600}));
  Child child([&] {
    ATOLL_CHECK(setresuid(kNobody, kNobody, kNobody) == 0);
    // Another's list is not trusted unasked.
    const auto denied = [](const absl::Status& status) {
      ATOLL_CHECK(absl::IsPermissionDenied(status)) << status;
    };
    denied(List::attach(readable.string()).status());
    denied(List::attach(readable.string(), {.read_only = true}).status());
    denied(List::attach(readable.string(), {.allow_other_owner = true}).status());
    denied(
        List::attach(unreadable.string(), {.read_only = true, .allow_other_owner = true}).status());
    denied(List::unlink(readable.string()));
    const List reader = process::must(
        List::attach(readable.string(), {.read_only = true, .allow_other_owner = true}));
    ATOLL_CHECK(process::must(reader[2].load<std::string>()) == "text longer than the header");
    expect_refusals(reader);
    Child grandchild([&] {
      ATOLL_CHECK(process::must(reader[0].load<std::int64_t>()) == 1);
      expect_refusals(reader);
      return 0;
    });
    return grandchild.wait();
  });
  ASSERT_EQ(child.wait(), 0);
  EXPECT_TRUE(process::name_exists(readable.string()));
}

// A list that is written by one user and trusted by another.
TEST(ReadOnly, IsNotImpliedByAnotherOwner) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "only root can become another user";
  }
  const process::UniqueName name;
  const List list = process::must(List::create(name.string(), values(), {.mode = 0666}));
  Child child([&] {
    ATOLL_CHECK(setresuid(kNobody, kNobody, kNobody) == 0);
    const List other = process::must(List::attach(name.string(), {.allow_other_owner = true}));
    process::must(other[0].fetch_add(41));
    process::must(other[2].store("stored by somebody else"));
    return 0;
  });
  ASSERT_EQ(child.wait(), 0);
  EXPECT_EQ(process::must(list[0].load<std::int64_t>()), 42);
  EXPECT_EQ(process::must(list[2].load<std::string>()), "stored by somebody else");
}

}  // namespace
