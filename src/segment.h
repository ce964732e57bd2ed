// Segment: names, files and mappings. Knows nothing of slots.
//
// A segment is built in a file that has no name (O_TMPFILE), with all its pages reserved, and gets
// its name by linkat once it is complete: a name appears whole or not at all, and a creator that is
// killed leaves nothing behind. EEXIST is AlreadyExists.
//
// Errors are those of the error table in README.md; every message begins with the label of the list.

#ifndef ATOLL_SRC_SEGMENT_H_
#define ATOLL_SRC_SEGMENT_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "atoll/options.h"

namespace libatoll::detail {

// Owns a descriptor.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File();

  int fd() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Owns a mapping, or refers to memory of the caller.
class Mapping {
 public:
  Mapping() = default;
  Mapping(std::byte* data, std::size_t size, bool owned)
      : data_(data), size_(size), owned_(owned) {}
  Mapping(Mapping&& other) noexcept { *this = std::move(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(owned_, other.owned_);
    return *this;
  }
  ~Mapping();

  std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool owned_ = false;
};

// What tells a file from every other file, whatever its name; the time of its birth too, because the
// inode number of a file that is gone is given to another.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  absl::Time born;

  friend bool operator==(const FileId&, const FileId&) = default;
};
struct FileInfo {
  FileId id;
  std::size_t bytes = 0;
  uid_t owner = 0;
  mode_t mode = 0;     // permission bits
  absl::Time created;  // where the file system does not tell: when it got its name
};

// Where a segment's name is or will be.
struct Place {
  std::string name;       // as the list shows it
  std::string directory;  // where the file is built
  std::string path;
};

// In shared memory: "/name" for "name" or "/name". InvalidArgument for an empty name, "/", "/." and
// "/..", a second slash, a NUL, or more than 255 bytes after the slash.
absl::StatusOr<Place> place_in_shared_memory(std::string_view name);
// In the file system. InvalidArgument for an empty path, one with a NUL, or one without a file name.
absl::StatusOr<Place> place_of_file(std::string_view path);
// "/atoll_" and 16 random hex digits.
std::string automatic_name();

// A file being built: without a name where the file system can do that (O_TMPFILE); elsewhere under a
// hidden one, which goes with this object, and is left behind only by a creator that is killed.
class NewFile {
 public:
  NewFile(NewFile&& other) noexcept
      : file_(std::move(other.file_)), hidden_path_(std::exchange(other.hidden_path_, {})) {}
  ~NewFile();

  // `bytes` long (more where the file system has larger pages), and all of it reserved. Until it has a
  // name its mode is 0600, so that we can open it anew.
  static absl::StatusOr<NewFile> create(const Place& place, std::size_t bytes);

  const File& file() const { return file_; }
  // Gives the file its mode, exactly, and its name. AlreadyExists if that is taken.
  absl::Status publish(const Place& place, mode_t mode) const;

 private:
  NewFile(File file, std::string hidden_path)
      : file_(std::move(file)), hidden_path_(std::move(hidden_path)) {}

  File file_;
  std::string hidden_path_;
};

// NotFound, PermissionDenied; FailedPrecondition for what is not a regular file.
absl::StatusOr<File> open_place(const Place& place, const AttachOptions& options);
absl::Status unlink_place(const Place& place);
// Whether the name refers to that file.
bool is_there(const Place& place, const FileId& id);

// A memfd that cannot shrink or grow any more. ResourceExhausted if the machine has not that much
// memory to give.
absl::StatusOr<File> create_memfd(std::size_t bytes);
// A descriptor of the same file with an open file description of its own. Errors as `open_place`'s.
absl::StatusOr<File> reopen(int fd, const AttachOptions& options, std::string_view label);
// Another descriptor of the same description.
absl::StatusOr<File> duplicate(int fd, std::string_view label);

// FailedPrecondition for what is not a regular file.
absl::StatusOr<FileInfo> inspect(const File& file, std::string_view label);
absl::StatusOr<Mapping> map(const File& file, std::size_t bytes, bool writable,
                            std::string_view label);
// Maps the pages of the first `bytes` for writing, all at once: a hint, for who is about to write to
// them. Linux 5.14; before, each page waits for its first use.
void prepare_to_write(const Mapping& mapping, std::size_t bytes);
// Writes a mapping back to its file.
absl::Status write_back(const Mapping& mapping, std::string_view label);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_SEGMENT_H_
