#include "segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

#include "testing.h"

namespace libatoll::test {
namespace {

using detail::automatic_name;
using detail::create_memfd;
using detail::duplicate;
using detail::File;
using detail::FileId;
using detail::inspect;
using detail::is_there;
using detail::map;
using detail::Mapping;
using detail::NewFile;
using detail::open_place;
using detail::Place;
using detail::place_in_shared_memory;
using detail::place_of_file;
using detail::reopen;
using detail::unlink_place;

constexpr std::size_t kBytes = 8'192;

bool is_inherited(int fd) { return (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0; }

bool is_read_only(int fd) { return (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY; }

struct stat stat_of(const std::string& path) {
  struct stat status = {};
  if (lstat(path.c_str(), &status) != 0) {
    throw std::runtime_error("no " + path);
  }
  return status;
}

Place at(const Name& name) { return must(place_in_shared_memory(name.str())); }

absl::StatusOr<std::string> canonical_name(std::string_view name) {
  const absl::StatusOr<detail::Place> place = place_in_shared_memory(name);
  if (!place.ok()) {
    return place.status();
  }
  EXPECT_EQ(place->directory, "/dev/shm");
  EXPECT_EQ(place->path, place->directory + place->name);
  return place->name;
}

absl::Status publish(const NewFile& file, const Name& name, mode_t mode = 0600) {
  return file.publish(at(name), mode);
}

File make(const Name& name, mode_t mode = 0600) {
  const NewFile file = must(NewFile::create(at(name), kBytes));
  must(publish(file, name, mode));
  return must(duplicate(file.file().fd(), "made"));
}

// Sets the umask, and back.
class Umask {
 public:
  explicit Umask(mode_t mask) : before_(umask(mask)) {}
  ~Umask() { umask(before_); }
  Umask(const Umask&) = delete;
  Umask& operator=(const Umask&) = delete;

 private:
  mode_t before_;
};

// ---- Names --------------------------------------------------------------------------------------

TEST(CanonicalName, HasOneSlashInFront) {
  EXPECT_EQ(must(canonical_name("jobs")), "/jobs");
  EXPECT_EQ(must(canonical_name("/jobs")), "/jobs");
  EXPECT_EQ(must(canonical_name("...")), "/...");
  EXPECT_EQ(must(canonical_name(".hidden")), "/.hidden");
  EXPECT_EQ(must(canonical_name("with space \xc3\xa9")), "/with space \xc3\xa9");
}

TEST(CanonicalName, OfUpTo255BytesIsTaken) {
  EXPECT_EQ(must(canonical_name(std::string(255, 'x'))), "/" + std::string(255, 'x'));
  EXPECT_EQ(must(canonical_name("/" + std::string(255, 'x'))), "/" + std::string(255, 'x'));
}

TEST(CanonicalName, ThatCannotBeOneIsInvalid) {
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(canonical_name(""), expected, {"empty"}));
  EXPECT_TRUE(fails(canonical_name("/"), expected, {"'/'", "empty"}));
  EXPECT_TRUE(fails(canonical_name("."), expected, {"directory"}));
  EXPECT_TRUE(fails(canonical_name("/.."), expected, {"'/..'", "directory"}));
  EXPECT_TRUE(fails(canonical_name("//jobs"), expected, {"'//jobs'", "slash"}));
  EXPECT_TRUE(fails(canonical_name("/a/b"), expected, {"'/a/b'", "slash"}));
  EXPECT_TRUE(fails(canonical_name("a/"), expected, {"slash"}));
  EXPECT_TRUE(fails(canonical_name("../etc"), expected, {"slash"}));
  EXPECT_TRUE(fails(canonical_name(std::string_view("a\0b", 3)), expected, {"NUL"}));
  EXPECT_TRUE(fails(canonical_name(std::string_view("/\0", 2)), expected, {"NUL"}));
  EXPECT_TRUE(fails(canonical_name(std::string(256, 'x')), expected, {"256", "255"}));
  EXPECT_TRUE(fails(canonical_name("/" + std::string(256, 'x')), expected, {"256", "255"}));
}

TEST(AutomaticName, IsAPrefixAnd16HexDigits) {
  std::set<std::string> names;
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = automatic_name();
    ASSERT_EQ(name.size(), 7U + 16U);
    ASSERT_TRUE(absl::StartsWith(name, "/atoll_"));
    ASSERT_EQ(name.find_first_not_of("0123456789abcdef", 7), name.npos) << name;
    ASSERT_EQ(must(canonical_name(name)), name);
    names.insert(name);
  }
  EXPECT_EQ(names.size(), 1'000U);
}

TEST(PlaceOfFile, IsAbsoluteAndNamesAFile) {
  const Place place = must(place_of_file("some/file"));
  EXPECT_EQ(place.path, std::filesystem::current_path().string() + "/some/file");
  EXPECT_EQ(place.name, place.path);
  EXPECT_EQ(place.directory, std::filesystem::current_path().string() + "/some");
  const Code expected = Code::kInvalidArgument;
  EXPECT_TRUE(fails(place_of_file(""), expected, {"empty"}));
  EXPECT_TRUE(fails(place_of_file("/tmp/"), expected, {"'/tmp/'", "directory"}));
  EXPECT_TRUE(fails(place_of_file("/tmp/.."), expected, {"directory"}));
  EXPECT_TRUE(fails(place_of_file(std::string_view("a\0b", 3)), expected, {"NUL"}));
}

// ---- Files with a name --------------------------------------------------------------------------

TEST(NamedFile, HasNoNameBeforeItIsPublished) {
  const Name name;
  const NewFile file = must(NewFile::create(at(name), kBytes));
  EXPECT_FALSE(name.exists());
  must(publish(file, name));
  EXPECT_TRUE(name.exists());
  EXPECT_EQ(stat_of(name.path()).st_nlink, 1U);
}

TEST(NamedFile, HasAllItsPagesFromTheStart) {
  const Name name;
  const File file = make(name);
  const struct stat status = stat_of(name.path());
  EXPECT_EQ(status.st_size, static_cast<off_t>(kBytes));
  EXPECT_EQ(status.st_blocks * 512, static_cast<blkcnt_t>(kBytes));
}

TEST(NamedFile, HasExactlyTheModeAskedForWhateverTheUmask) {
  for (const mode_t mask : {0000U, 0022U, 0077U, 0777U}) {
    for (const mode_t mode : {0600U, 0644U, 0666U, 0777U, 0400U, 0000U}) {
      const Umask umask(mask);
      const Name name;
      const File file = make(name, mode);
      EXPECT_EQ(stat_of(name.path()).st_mode & 07777, mode) << "umask " << mask;
    }
  }
}

TEST(NamedFile, CannotTakeANameThatIsTaken) {
  const Name name;
  const File first = make(name);
  const ino_t inode = stat_of(name.path()).st_ino;
  const NewFile second = must(NewFile::create(at(name), kBytes));
  EXPECT_TRUE(fails(publish(second, name), Code::kAlreadyExists,
                    {"list '" + name.str() + "'", "exists already"}));
  EXPECT_EQ(stat_of(name.path()).st_ino, inode);
}

TEST(NamedFile, CannotTakeTheNameOfADanglingSymlinkEither) {
  const Name name;
  std::filesystem::create_symlink("/nowhere", name.path());
  const NewFile file = must(NewFile::create(at(name), kBytes));
  EXPECT_TRUE(fails(publish(file, name), Code::kAlreadyExists, {name}));
  EXPECT_FALSE(std::filesystem::exists("/nowhere"));
}

TEST(NamedFile, IsOpenedAsAsked) {
  const Name name;
  const File file = make(name);
  EXPECT_FALSE(is_read_only(must(open_place(at(name), {})).fd()));
  EXPECT_TRUE(is_read_only(must(open_place(at(name), {.read_only = true})).fd()));
}

TEST(NamedFile, ThatIsMissingIsNotFound) {
  const Name name;
  const std::string label = "list '" + name.str() + "'";
  EXPECT_TRUE(fails(open_place(at(name), {}), Code::kNotFound, {label}));
  EXPECT_TRUE(fails(unlink_place(at(name)), Code::kNotFound, {label}));
  EXPECT_FALSE(is_there(at(name), {}));
}

TEST(NamedFile, ThatIsNoRegularFileIsRefusedWithoutWaitingForIt) {
  const Code expected = Code::kFailedPrecondition;
  for (const bool read_only : {false, true}) {
    const Name fifo;
    ASSERT_EQ(mkfifo(fifo.path().c_str(), 0600), 0);
    EXPECT_TRUE(
        fails(open_place(at(fifo), {.read_only = read_only}), expected, {fifo, "regular file"}));

    const Name directory;
    std::filesystem::create_directory(directory.path());
    EXPECT_TRUE(fails(open_place(at(directory), {.read_only = read_only}), expected,
                      {directory, "regular file"}));

    const Name target;
    const File file = make(target);
    const Name symlink;
    std::filesystem::create_symlink(target.path(), symlink.path());
    EXPECT_TRUE(fails(open_place(at(symlink), {.read_only = read_only}), expected,
                      {symlink, "regular file"}));

    const Name socket_name;
    sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
    std::strncpy(address.sun_path, socket_name.path().c_str(), sizeof(address.sun_path) - 1);
    const File listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_TRUE(fails(open_place(at(socket_name), {.read_only = read_only}), expected,
                      {socket_name, "regular file"}));
  }
}

TEST(NamedFile, IsToldFromAnotherOfTheSameName) {
  const Name name;
  const File old = make(name);
  const FileId old_id = must(inspect(old, "old")).id;
  must(unlink_place(at(name)));
  EXPECT_FALSE(name.exists());

  const File fresh = make(name);
  EXPECT_FALSE(is_there(at(name), old_id));
  EXPECT_TRUE(is_there(at(name), must(inspect(fresh, "fresh")).id));
}

// ---- Descriptors --------------------------------------------------------------------------------

TEST(Descriptors, AreNeverInherited) {
  const Name name;
  const File created = make(name);
  const File memfd = must(create_memfd(kBytes));
  EXPECT_FALSE(is_inherited(created.fd()));
  EXPECT_FALSE(is_inherited(must(open_place(at(name), {})).fd()));
  EXPECT_FALSE(is_inherited(memfd.fd()));
  EXPECT_FALSE(is_inherited(must(reopen(memfd.fd(), {}, "x")).fd()));
  EXPECT_FALSE(is_inherited(must(duplicate(memfd.fd(), "x")).fd()));
}

TEST(Descriptors, ReopenedHaveADescriptionOfTheirOwn) {
  const File memfd = must(create_memfd(kBytes));
  const File again = must(reopen(memfd.fd(), {}, "x"));
  ASSERT_EQ(lseek(memfd.fd(), 100, SEEK_SET), 100);
  EXPECT_EQ(lseek(again.fd(), 0, SEEK_CUR), 0);
  EXPECT_EQ(must(inspect(again, "x")).id.inode, must(inspect(memfd, "x")).id.inode);
}

TEST(Descriptors, DuplicatedShareTheDescription) {
  const File memfd = must(create_memfd(kBytes));
  const File again = must(duplicate(memfd.fd(), "x"));
  ASSERT_EQ(lseek(memfd.fd(), 100, SEEK_SET), 100);
  EXPECT_EQ(lseek(again.fd(), 0, SEEK_CUR), 100);
}

TEST(Descriptors, ReopenedForReadingCannotWrite) {
  const File memfd = must(create_memfd(kBytes));
  EXPECT_TRUE(is_read_only(must(reopen(memfd.fd(), {.read_only = true}, "x")).fd()));
}

TEST(Descriptors, ThatAreNotOpenAreInvalid) {
  EXPECT_TRUE(fails(reopen(-1, {}, "the list"), Code::kInvalidArgument,
                    {"the list", "-1 is not an open descriptor"}));
  EXPECT_TRUE(fails(reopen(1'000'000, {}, "the list"), Code::kInvalidArgument, {"1000000"}));
}

TEST(Descriptors, OfAPipeAreNoRegularFile) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const File reader(ends[0]);
  const File writer(ends[1]);
  EXPECT_TRUE(
      fails(inspect(reader, "the list"), Code::kFailedPrecondition, {"the list", "regular file"}));
}

TEST(File, ClosesWhenItGoes) {
  int fd;
  {
    const File file = must(create_memfd(kBytes));
    fd = file.fd();
    EXPECT_GE(fcntl(fd, F_GETFD), 0);
  }
  EXPECT_LT(fcntl(fd, F_GETFD), 0);
}

TEST(File, MovesAndReleasesItsDescriptor) {
  const Held before = held();
  {
    File file = must(create_memfd(kBytes));
    const int fd = file.fd();
    File moved = std::move(file);
    EXPECT_EQ(moved.fd(), fd);
    File assigned;
    assigned = std::move(moved);
    EXPECT_EQ(assigned.fd(), fd);
    EXPECT_EQ(assigned.release(), fd);
    EXPECT_EQ(assigned.fd(), -1);
    ASSERT_EQ(close(fd), 0);
  }
  EXPECT_EQ(held(), before);
}

// ---- Memfds and mappings ------------------------------------------------------------------------

TEST(Memfd, CannotShrinkOrGrow) {
  const File file = must(create_memfd(kBytes));
  EXPECT_NE(ftruncate(file.fd(), 0), 0);
  EXPECT_NE(ftruncate(file.fd(), 2 * kBytes), 0);
  EXPECT_NE(fcntl(file.fd(), F_ADD_SEALS, F_SEAL_WRITE), 0) << "the seals are sealed too";
  EXPECT_EQ(must(inspect(file, "x")).bytes, kBytes);
}

TEST(Mapping, SharesWhatIsWritten) {
  const File file = must(create_memfd(kBytes));
  const Mapping writer = must(map(file, kBytes, true, "x"));
  const Mapping reader = must(map(file, kBytes, false, "x"));
  writer.data()[kBytes - 1] = std::byte{7};
  EXPECT_EQ(reader.data()[kBytes - 1], std::byte{7});
  EXPECT_EQ(reader.size(), kBytes);
}

TEST(Mapping, GoesWithItsOwner) {
  const Held before = held();
  {
    const File file = must(create_memfd(kBytes));
    Mapping mapping = must(map(file, kBytes, true, "x"));
    EXPECT_EQ(held().mappings, before.mappings + 1);
    Mapping moved = std::move(mapping);
    mapping = Mapping();
    EXPECT_EQ(held().mappings, before.mappings + 1);
    moved = Mapping();
    EXPECT_EQ(held().mappings, before.mappings);
  }
  EXPECT_EQ(held(), before);
}

TEST(Mapping, OfTheCallersMemoryIsLeftToTheCaller) {
  Memory memory(kBytes);
  { const Mapping mapping(memory.data(), kBytes, false); }
  memory.data()[0] = std::byte{1};
  EXPECT_EQ(memory.data()[0], std::byte{1});
}

TEST(Mapping, ThatTheKernelRefusesIsNamed) {
  const File file = must(create_memfd(kBytes));
  EXPECT_TRUE(fails(map(file, 0, true, "list '/x'"), Code::kInvalidArgument, {"list '/x'"}));
}

}  // namespace
}  // namespace libatoll::test
