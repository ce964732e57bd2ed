// Lists in files: they outlive every process, killed or not; what is found in the file is checked as
// any segment is; and every way to fail leaves the directory as it was.

#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <filesystem>
#include <fstream>

#include "process.h"
#include "system_calls.h"
#include "testing.h"

namespace {

using libatoll::Init;
using libatoll::Layout;
using libatoll::List;
using libatoll::Value;
using libatoll::test::Code;
using libatoll::test::fails;
using libatoll::test::read_file;
using libatoll::test::write_file;
using process::Child;
using process::must;
using process::Seam;
using process::Shared;

// A directory of one test, removed with all it holds.
class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "atoll_file_test_XXXXXX").string();
    ATOLL_CHECK(mkdtemp(name.data()) != nullptr) << std::strerror(errno);
    path_ = name;
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

// The names in a directory, hidden ones too.
std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

class ListFile : public ::testing::TestWithParam<Layout> {
 protected:
  static libatoll::CreateOptions options() { return {.layout = GetParam()}; }

  const Directory directory_;
  const std::string path_ = directory_ / "list";
};

// ---- Survival -----------------------------------------------------------------------------------

enum class End { kExit, kQuietExit, kKilled };

TEST_P(ListFile, SurvivesEveryProcess) {
  const std::string text = process::make_text(1, 2, 5000);
  for (const End end : {End::kExit, End::kQuietExit, End::kKilled}) {
    {
      Child creator([&] {
        const List list = must(List::create_file(
            path_,
            {1, libatoll::pinned(2), libatoll::pinned(0.5), libatoll::text(5000), nullptr, true},
            options()));
        must(list[0].fetch_add(10));
        must(list.counter(1)).fetch_add(20);
        must(list.gauge(2)).fetch_add(0.25);
        must(list[3].store("first"));
        must(list[3].store(text));
        if (end == End::kExit) {
          std::exit(0);  // everything is closed in order
        }
        if (end == End::kKilled) {
          raise(SIGKILL);
        }
        return 0;  // nothing is closed
      });
      if (end == End::kKilled) {
        EXPECT_EQ(creator.wait_for_signal(), SIGKILL);
      } else {
        EXPECT_EQ(creator.wait(), 0);
      }
    }
    EXPECT_EQ(names_in(directory_.path()), Names{"list"});
    {
      const List list = must(List::attach_file(path_));
      EXPECT_EQ(list.name(), path_);
      EXPECT_EQ(list.participants(), 1U) << "of the dead, none counts";
      EXPECT_EQ(must(list.snapshot()), (std::vector<Value>{11, 22, 0.75, text, {}, true}));
      EXPECT_EQ(list[0].version(), 1U);
      EXPECT_EQ(list[3].version(), 2U);
      EXPECT_FALSE(list[0].is_pinned());
      EXPECT_TRUE(list[1].is_pinned());
      EXPECT_EQ(must(list[3].capacity()), 5000U);
      must(list[3].store(std::string(5000, 'x')));
      must(list[0].store(12));
    }
    // Once more, by another process, which only reads.
    Child reader([&] {
      const List list = must(List::attach_file(path_, {.read_only = true}));
      ATOLL_CHECK(must(list[3].load<std::string>()) == std::string(5000, 'x'));
      ATOLL_CHECK(must(list[0].load<std::int64_t>()) == 12);
      ATOLL_CHECK(list[0].store(13).code() == Code::kPermissionDenied);
      return 0;
    });
    EXPECT_EQ(reader.wait(), 0);
    ASSERT_TRUE(must(List::attach_file(path_)).unlink().ok());
    EXPECT_EQ(names_in(directory_.path()), Names());
  }
}

// Writers killed inside a store, each holding a buffer; then nobody has the file open, as after a
// restart of the machine; then, as from a backup, the file is another one.
TEST_P(ListFile, ClaimsOfTheDeadDoNoHarm) {
  constexpr int kBuffers = 3;
  const std::string old_text = process::make_text(1, 1, 3000);
  int stores = 0;
  for (const Seam seam : {Seam::kClaimed, Seam::kOverwriting, Seam::kCopied, Seam::kPublished}) {
    must(List::create_file(path_, {libatoll::text(old_text, 3000)}, options()));
    // As many as can hold a buffer: K - 1, one is current.
    std::vector<Child> writers;
    for (int i = 1; i < kBuffers; ++i) {
      writers.emplace_back([&, i] {
        const List list = must(List::attach_file(path_));
        process::park_at(seam);
        must(list[0].store(process::make_text(2, static_cast<std::uint32_t>(i), 3000)));
        return 0;
      });
      ASSERT_TRUE(writers.back().wait_stopped());
    }
    for (Child& each : writers) {
      ASSERT_TRUE(each.kill());
    }
    const std::string copy = directory_ / "copy";
    std::filesystem::copy_file(path_, copy);

    for (const std::string& path : {path_, copy}) {
      const List list = must(List::attach_file(path));
      EXPECT_EQ(list.participants(), 1U);
      libatoll::test::Raw raw(open(path.c_str(), O_RDWR | O_CLOEXEC));
      int claims = 0;
      for (std::uint32_t i = 0; i < kBuffers; ++i) {
        claims += libatoll::detail::peek_owner(raw.control(0, i)) != 0 ? 1 : 0;
      }
      EXPECT_EQ(claims, kBuffers - 1) << "the dead left no claim to be tested";
      const std::string found = must(list[0].load<std::string>());
      process::TextOrigin origin;
      ASSERT_TRUE(process::is_whole(found, origin)) << "torn text in the file";
      EXPECT_EQ(origin.writer, seam == Seam::kPublished ? 2U : 1U);
      for (std::uint32_t i = 0; i < kBuffers + 2; ++i, ++stores) {
        const std::string text = process::make_text(3, i, 3000 - i);
        ASSERT_TRUE(list[0].store(text).ok());
        EXPECT_EQ(must(list[0].load<std::string>()), text);
      }
      must(list.unlink());
    }
  }
  ATOLL_SUMMARY("%s: %d stores after the deaths of 8 writers inside a store",
                process::layout_name(GetParam()), stores);
}

TEST_P(ListFile, ProcessesShareIt) {
  constexpr int kProcesses = 4;
  constexpr int kIncrements = 5000;
  const List list = must(List::create_file(path_, {0, libatoll::pinned(0)}, options()));
  std::vector<Child> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.emplace_back([&] {
      const List mine = must(List::attach_file(path_));
      for (int j = 0; j < kIncrements; ++j) {
        must(mine[0].fetch_add(1));
        must(mine[1].fetch_add(1));
      }
      return 0;
    });
  }
  ASSERT_TRUE(process::all_succeed(children));
  EXPECT_EQ(must(list.snapshot<std::int64_t>()),
            (std::vector<std::int64_t>(2, kProcesses * kIncrements)));
}

// ---- Checking -----------------------------------------------------------------------------------

TEST_P(ListFile, WhatIsNoListIsRefused) {
  must(List::create_file(path_, {1, libatoll::text("some longer text", 100)}, options()));
  const std::string whole = read_file(path_);
  const std::string other = directory_ / "other";
  struct Case {
    const char* what;
    std::string contents;
    Code code;
    const char* part;
  };
  const auto with = [&](std::size_t offset, char byte) {
    std::string contents = whole;
    contents[offset] = static_cast<char>(contents[offset] ^ byte);
    return contents;
  };
  std::string garbage(whole.size(), '\0');
  for (std::size_t i = 0; i < garbage.size(); ++i) {
    garbage[i] = static_cast<char>(process::mix(i));
  }
  using libatoll::detail::SegmentHeader;
  const std::vector<Case> cases = {
      {"empty", "", Code::kDataLoss, "size"},
      {"one byte", "x", Code::kDataLoss, "size"},
      {"half a header", whole.substr(0, 100), Code::kDataLoss, "size"},
      {"garbage", garbage, Code::kDataLoss, "magic"},
      {"zeros", std::string(whole.size(), '\0'), Code::kDataLoss, "magic"},
      {"cut short by a byte", whole.substr(0, whole.size() - 1), Code::kDataLoss, "total_bytes"},
      {"header alone", whole.substr(0, sizeof(SegmentHeader)), Code::kDataLoss, "total_bytes"},
      {"another version", with(offsetof(SegmentHeader, layout_version), 2),
       Code::kFailedPrecondition, "layout_version"},
      {"another layout", with(offsetof(SegmentHeader, fingerprint), 1), Code::kFailedPrecondition,
       "fingerprint"},
      {"another count", with(offsetof(SegmentHeader, slot_count), 1), Code::kDataLoss, ""},
      {"other buffers", with(offsetof(SegmentHeader, buffers_offset) + 5, 1), Code::kDataLoss,
       "buffers_offset"},
  };
  for (const Case& each : cases) {
    write_file(other, each.contents);
    for (const bool read_only : {false, true}) {
      EXPECT_TRUE(fails(List::attach_file(other, {.read_only = read_only}), each.code,
                        {each.part, "'" + other + "'"}))
          << each.what;
    }
    EXPECT_EQ(read_file(other), each.contents) << each.what << ": the file was changed";
  }
  write_file(other, whole);
  EXPECT_EQ(must(must(List::attach_file(other))[0].load<std::int64_t>()), 1);
}

// ---- Paths --------------------------------------------------------------------------------------

TEST_P(ListFile, ARelativePathIsMadeAbsolute) {
  Child child([&] {
    ATOLL_CHECK(chdir(directory_.path().c_str()) == 0);
    const List list = must(List::create_file("list", {1}, options()));
    ATOLL_CHECK(list.name() == path_) << list.name();
    const List same = must(List::attach_file("./list"));
    must(same[0].store(2));
    // It stays the same file wherever the process goes.
    ATOLL_CHECK(chdir("/") == 0);
    ATOLL_CHECK(must(List::attach_file(list.name())).size() == 1);
    must(same.unlink());
    ATOLL_CHECK(absl::IsNotFound(list.unlink()));
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
  EXPECT_EQ(names_in(directory_.path()), Names());
}

TEST_P(ListFile, PathsThatWillNotDo) {
  const std::string folder = directory_ / "folder";
  const std::string file = directory_ / "file";
  const std::string pipe = directory_ / "pipe";
  const std::string link = directory_ / "link";
  std::filesystem::create_directory(folder);
  write_file(file, "not a list");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("nowhere", link);
  const Names before = names_in(directory_.path());

  const auto create = [](const std::string& path) {
    return List::create_file(path, {1}, options());
  };
  const auto attach = [](const std::string& path) { return List::attach_file(path); };
  for (const std::string& bad : {std::string(), folder + "/", folder + "/.", folder + "/..",
                                 std::string("/"), std::string("a\0b", 3)}) {
    EXPECT_TRUE(fails(create(bad), Code::kInvalidArgument, {"cannot be the file of a list"}));
    EXPECT_TRUE(fails(attach(bad), Code::kInvalidArgument, {"cannot be the file of a list"}));
  }
  EXPECT_TRUE(fails(create(directory_ / "missing/list"), Code::kNotFound, {"missing"}));
  EXPECT_TRUE(fails(attach(directory_ / "missing/list"), Code::kNotFound, {"missing/list"}));
  EXPECT_TRUE(fails(attach(directory_ / "absent"), Code::kNotFound, {"absent", "does not exist"}));
  EXPECT_TRUE(fails(create(file + "/list"), Code::kFailedPrecondition, {"file"}));
  for (const std::string& taken : {folder, file, pipe, link}) {
    EXPECT_TRUE(fails(create(taken), Code::kAlreadyExists, {"'" + taken + "'", "exists already"}));
  }
  for (const std::string& no_file : {folder, pipe, link}) {
    EXPECT_TRUE(fails(attach(no_file), Code::kFailedPrecondition,
                      {"'" + no_file + "'", "not a regular file"}));
  }
  EXPECT_TRUE(fails(attach(file), Code::kDataLoss, {"'" + file + "'", "not a list"}));
  EXPECT_EQ(read_file(file), "not a list");
  EXPECT_EQ(names_in(directory_.path()), before) << "something was left behind";

  // A list that exists is not touched either.
  const List list = must(create(path_));
  must(list[0].store(77));
  EXPECT_TRUE(fails(create(path_), Code::kAlreadyExists, {path_}));
  EXPECT_EQ(must(must(attach(path_))[0].load<std::int64_t>()), 77);
}

TEST_P(ListFile, HasExactlyTheModeAskedFor) {
  const mode_t old_mask = umask(077);
  for (const mode_t mode : {mode_t{0600}, mode_t{0644}, mode_t{0666}, mode_t{0400}}) {
    libatoll::CreateOptions with_mode = options();
    with_mode.mode = mode;
    const List list = must(List::create_file(path_, {1}, with_mode));
    struct stat found = {};
    ASSERT_EQ(stat(path_.c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 07777, mode);
    must(list[0].store(2));
    must(list.unlink());
  }
  umask(old_mask);
}

TEST_P(ListFile, UnlinkRemovesItsOwnNameOnly) {
  const List list = must(List::create_file(path_, {1}, options()));
  const List other = must(List::attach_file(path_));
  must(other.unlink());
  EXPECT_EQ(names_in(directory_.path()), Names());
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {path_, "unlinked before"}));
  must(list[0].store(5));
  EXPECT_EQ(must(other[0].load<std::int64_t>()), 5) << "whoever has it open keeps it";
  // The name belongs to another list by now.
  const List next = must(List::create_file(path_, {2}, options()));
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {path_, "another list"}));
  EXPECT_EQ(names_in(directory_.path()), Names{"list"});
  must(next.unlink());
}

// The file is gone, and another list has its name and even its inode, which file systems reuse.
TEST_P(ListFile, AClosedListUnlinksNobodyElses) {
  List list = must(List::create_file(path_, {1}, options()));
  struct stat before = {};
  ASSERT_EQ(stat(path_.c_str(), &before), 0);
  list.close();
  bool same_inode = false;
  for (int attempt = 0; attempt < 20 && !same_inode; ++attempt) {
    ASSERT_EQ(unlink(path_.c_str()), 0);
    must(List::create_file(path_, {2}, options()));
    struct stat after = {};
    ASSERT_EQ(stat(path_.c_str(), &after), 0);
    same_inode = before.st_ino == after.st_ino;
  }
  if (!same_inode) {
    GTEST_SKIP() << "this file system does not reuse inodes";
  }
  EXPECT_TRUE(fails(list.unlink(), Code::kNotFound, {path_}));
  EXPECT_EQ(names_in(directory_.path()), Names{"list"}) << "another list was unlinked";
}

TEST_P(ListFile, UnlinkOnClose) {
  libatoll::CreateOptions unlinking = options();
  unlinking.unlink_on_close = true;
  {
    const List list = must(List::create_file(path_, {1}, unlinking));
    Child child([&]() -> int {
      List mine = must(List::attach_file(path_));
      mine.close();
      std::exit(0);
    });
    EXPECT_EQ(child.wait(), 0);
    EXPECT_EQ(names_in(directory_.path()), Names{"list"});
  }
  EXPECT_EQ(names_in(directory_.path()), Names());
}

// ---- Sync ---------------------------------------------------------------------------------------

TEST_P(ListFile, Sync) {
  const List list = must(List::create_file(path_, {1}, options()));
  must(list[0].store(2));
  EXPECT_TRUE(list.sync().ok());
  EXPECT_TRUE(must(List::attach_file(path_, {.read_only = true})).sync().ok());
  const libatoll::test::Name name;
  EXPECT_TRUE(must(List::create(name, {1}, options())).sync().ok());
  EXPECT_TRUE(must(List::create_anonymous({1}, options())).sync().ok());

  libatoll::test::Memory memory(4096);
  const List in_memory = must(List::create_in(memory.span(), {1}, options()));
  EXPECT_TRUE(fails(in_memory.sync(), Code::kFailedPrecondition,
                    {"the unnamed list", "no file to write back to"}));

  // It asks the device, and says what that answers.
  Child child([&] {
    process::refuse(SYS_msync, EIO);
    const absl::Status status = list.sync();
    ATOLL_CHECK(!status.ok() && status.message().find(path_) != absl::string_view::npos) << status;
    return 0;
  });
  EXPECT_EQ(child.wait(), 0);
}

// ---- Where files cannot be made without a name ----------------------------------------------------

// Answers of file systems and kernels without O_TMPFILE.
constexpr int kNoTmpfile[] = {EOPNOTSUPP, EISDIR};

TEST_P(ListFile, IsMadeUnderAHiddenName) {
  for (const int error : kNoTmpfile) {
    Child child([&] {
      process::refuse_open(O_TMPFILE, error);
      ATOLL_CHECK(open(directory_.path().c_str(), O_TMPFILE | O_RDWR, 0600) < 0 && errno == error);
      libatoll::CreateOptions with_mode = options();
      with_mode.mode = 0640;
      const List list =
          must(List::create_file(path_, {1, libatoll::text("some longer text", 64)}, with_mode));
      ATOLL_CHECK(names_in(directory_.path()) == Names{"list"});
      struct stat found = {};
      ATOLL_CHECK(stat(path_.c_str(), &found) == 0);
      ATOLL_CHECK((found.st_mode & 07777) == 0640 && found.st_nlink == 1);
      ATOLL_CHECK(must(must(List::attach_file(path_))[0].load<std::int64_t>()) == 1);
      ATOLL_CHECK(list.participants() == 1);
      must(list[1].store("another longer text"));
      // Its name is taken now.
      ATOLL_CHECK(absl::IsAlreadyExists(List::create_file(path_, {2}, options()).status()));
      ATOLL_CHECK(names_in(directory_.path()) == Names{"list"});
      must(list.unlink());
      ATOLL_CHECK(names_in(directory_.path()).empty());
      return 0;
    });
    EXPECT_EQ(child.wait(), 0);
  }
}

TEST_P(ListFile, LeavesNoHiddenNameBehindWhenItFails) {
  struct Failure {
    long number;
    int error;
    Code code;
    unsigned argument = 0;
    int flags = 0;  // of that argument: the allocator of a sanitizer maps memory, too
  };
  int failures = 0;
  for (const Failure& each : {Failure{SYS_fallocate, ENOSPC, Code::kResourceExhausted},
                              Failure{SYS_fchmod, EPERM, Code::kPermissionDenied},
                              Failure{SYS_linkat, EPERM, Code::kPermissionDenied},
                              Failure{SYS_linkat, ENOENT, Code::kNotFound},
                              Failure{SYS_mmap, ENOMEM, Code::kResourceExhausted, 3, MAP_SHARED}}) {
    for (const bool hidden : {false, true}) {
      Child child([&] {
        if (hidden) {
          process::refuse_open(O_TMPFILE, EOPNOTSUPP);
        }
        process::refuse(each.number, each.error, each.argument, each.flags);
        const absl::Status status = List::create_file(path_, {1}, options()).status();
        ATOLL_CHECK(!status.ok() && status.message().find(path_) != absl::string_view::npos)
            << status;
        ATOLL_CHECK(status.code() == each.code) << status;
        return 0;
      });
      EXPECT_EQ(child.wait(), 0) << "system call " << each.number << ", error " << each.error;
      EXPECT_EQ(names_in(directory_.path()), Names());
      ++failures;
    }
  }
  EXPECT_EQ(failures, 10);
}

TEST_P(ListFile, IsInvisibleUntilItIsWhole) {
  for (const bool hidden : {false, true}) {
    for (const bool killed : {false, true}) {
      Child creator([&] {
        if (hidden) {
          process::refuse_open(O_TMPFILE, EOPNOTSUPP);
        }
        process::park_at(Seam::kBuilt);
        must(List::create_file(path_, {1}, options()));
        return 0;
      });
      ASSERT_TRUE(creator.wait_stopped());
      Names names = names_in(directory_.path());
      ASSERT_EQ(names.size(), hidden ? 1U : 0U);
      if (hidden) {
        EXPECT_TRUE(names[0].starts_with(".atoll_")) << names[0];
      }
      EXPECT_TRUE(fails(List::attach_file(path_), Code::kNotFound, {"list"}));
      if (killed) {
        ASSERT_TRUE(creator.kill());
        // What the manual warns of: a killed creator leaves its hidden name.
        EXPECT_EQ(names_in(directory_.path()), names);
        EXPECT_TRUE(fails(List::attach_file(path_), Code::kNotFound, {"list"}));
        if (hidden) {
          std::filesystem::remove(directory_ / names[0]);
        }
      } else {
        creator.resume();
        EXPECT_EQ(creator.wait(), 0);
        EXPECT_EQ(names_in(directory_.path()), Names{"list"});
        std::filesystem::remove(path_);
      }
    }
  }
}

// ---- Other file systems -------------------------------------------------------------------------

// Runs `main` where a new file system of that type is mounted on `directory`; 0 if all is well,
// kCannotMount if that is not allowed here. Nobody else sees it, and it goes with the process.
constexpr int kCannotMount = 3;

template <typename Main>
int on_mounted(const char* type, const char* mount_options, const Directory& directory, Main main) {
  Child child([&] {
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("none", directory.path().c_str(), type, 0, mount_options) != 0) {
      return kCannotMount;
    }
    return main();
  });
  return child.wait();
}

TEST_P(ListFile, NoRoomIsFoundAtCreation) {
  const int result = on_mounted("tmpfs", "size=1m", directory_, [&] {
    for (const bool hidden : {false, true}) {
      if (hidden) {
        process::refuse_open(O_TMPFILE, EOPNOTSUPP);
      }
      const absl::Status status =
          List::create_file(path_, {libatoll::text(1 << 20)}, options()).status();
      ATOLL_CHECK(absl::IsResourceExhausted(status)) << status;
      ATOLL_CHECK(names_in(directory_.path()).empty());
      must(must(List::create_file(path_, {libatoll::text(1 << 16)}, options())).unlink());
    }
    return 0;
  });
  if (result == kCannotMount) {
    GTEST_SKIP() << "this process may not mount a file system";
  }
  EXPECT_EQ(result, 0);
}

TEST_P(ListFile, MayBeOnHugePages) {
  std::int64_t free_pages = 0;
  std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> free_pages;
  if (free_pages < 1) {
    GTEST_SKIP() << "this machine has no free huge page of 2 MiB (sysctl vm.nr_hugepages=8)";
  }
  const int result = on_mounted("hugetlbfs", "pagesize=2M", directory_, [&] {
    const List list =
        must(List::create_file(path_, {1, libatoll::text("some longer text", 4000)}, options()));
    struct stat found = {};
    ATOLL_CHECK(stat(path_.c_str(), &found) == 0);
    ATOLL_CHECK(found.st_size == 2 << 20) << found.st_size;
    Child other([&] {
      const List mine = must(List::attach_file(path_));
      ATOLL_CHECK(mine.participants() == 3);  // we, our parent, and what we have of its
      must(mine[0].fetch_add(1));
      must(mine[1].store(std::string(4000, 'x')));
      return 0;
    });
    ATOLL_CHECK(other.wait() == 0);
    ATOLL_CHECK(must(list[0].load<std::int64_t>()) == 2);
    ATOLL_CHECK(must(list[1].load<std::string>()) == std::string(4000, 'x'));
    ATOLL_CHECK(list.participants() == 1);
    must(list.sync());
    ATOLL_CHECK(absl::IsAlreadyExists(List::create_file(path_, {1}, options()).status()));
    must(list.unlink());
    ATOLL_CHECK(names_in(directory_.path()).empty());
    return 0;
  });
  if (result == kCannotMount) {
    GTEST_SKIP() << "this process may not mount hugetlbfs";
  }
  EXPECT_EQ(result, 0);
}

INSTANTIATE_TEST_SUITE_P(All, ListFile, ::testing::Values(Layout::kPadded, Layout::kDense),
                         [](const auto& param) { return process::layout_name(param.param); });

}  // namespace
