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
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

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

// What tells a file from every other file, whatever its name.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
};
struct FileInfo {
  FileId id;
  std::size_t bytes = 0;
};

// "/name" for "name" or "/name". InvalidArgument for an empty name, "/", "/." and "/..", a second
// slash, a NUL, or more than 255 bytes after the slash.
absl::StatusOr<std::string> canonical_name(std::string_view name);
// "/atoll_" and 16 random hex digits.
std::string automatic_name();

// A file without a name, `bytes` long and all of it reserved, that can get a name in shared memory.
absl::StatusOr<File> create_unnamed(const std::string& name, std::size_t bytes, mode_t mode);
// Gives it the name. AlreadyExists if it is taken.
absl::Status publish(int fd, const std::string& name);
// NotFound, PermissionDenied; FailedPrecondition for what is not a regular file.
absl::StatusOr<File> open_named(const std::string& name, bool read_only, bool allow_other_owner);
absl::Status unlink_named(const std::string& name);
// NotFound unless the name still refers to that file.
absl::Status unlink_if_same(const std::string& name, const FileId& id);

// A memfd that cannot shrink or grow any more.
absl::StatusOr<File> create_memfd(std::size_t bytes);
// A descriptor of the same file with an open file description of its own.
absl::StatusOr<File> reopen(int fd, bool read_only, std::string_view label);
absl::StatusOr<File> duplicate(int fd, std::string_view label);

// FailedPrecondition for what is not a regular file.
absl::StatusOr<FileInfo> inspect(const File& file, std::string_view label);
absl::StatusOr<Mapping> map(const File& file, std::size_t bytes, bool writable,
                            std::string_view label);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_SEGMENT_H_
