#include "segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "absl/random/random.h"
#include "absl/strings/str_format.h"

#include "label.h"

namespace libatoll::detail {
namespace {

// Where the C library keeps the names of shm_open.
constexpr std::string_view kDirectory = "/dev/shm";
constexpr std::size_t kNameMax = 255;

std::string path_of(const std::string& name) { return std::string(kDirectory) + name; }

std::string path_of_fd(int fd) { return absl::StrFormat("/proc/self/fd/%d", fd); }

absl::Status reserve(int fd, std::size_t bytes, std::string_view label) {
  int error;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error == 0) {
    return absl::OkStatus();
  }
  if (error == ENOSPC || error == EFBIG || error == EINVAL || error == ENOMEM) {
    return absl::ResourceExhaustedError(absl::StrFormat(
        "%s needs %d bytes of shared memory, more than there is room for", label, bytes));
  }
  return absl::ErrnoToStatus(error, absl::StrFormat("%s: cannot reserve %d bytes", label, bytes));
}

}  // namespace

File::~File() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

Mapping::~Mapping() {
  if (owned_) {
    munmap(data_, size_);
  }
}

absl::StatusOr<std::string> canonical_name(std::string_view name) {
  const std::string_view bare = name.starts_with('/') ? name.substr(1) : name;
  const auto bad = [name](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' cannot name a list: %s", name.substr(0, kNameMax), why));
  };
  if (bare.empty()) {
    return bad("it is empty");
  }
  if (bare == "." || bare == "..") {
    return bad("it is a directory");
  }
  if (bare.find('/') != bare.npos) {
    return bad("only the first character may be a slash");
  }
  if (bare.find('\0') != bare.npos) {
    return bad("it has a NUL byte");
  }
  if (bare.size() > kNameMax) {
    return bad(absl::StrFormat("it has %d bytes, at most %d fit", bare.size(), kNameMax));
  }
  return "/" + std::string(bare);
}

std::string automatic_name() {
  return absl::StrFormat("/atoll_%016x", absl::Uniform<std::uint64_t>(absl::BitGen()));
}

absl::StatusOr<File> create_unnamed(const std::string& name, std::size_t bytes, mode_t mode) {
  File file(open(std::string(kDirectory).c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
  if (file.fd() < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("%s: cannot make a file in %s", label_of(name), kDirectory));
  }
  // The umask has had its way with the mode above.
  if (fchmod(file.fd(), mode) != 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrFormat("%s: cannot set mode %#o", label_of(name), mode));
  }
  if (absl::Status status = reserve(file.fd(), bytes, label_of(name)); !status.ok()) {
    return status;
  }
  return file;
}

absl::Status publish(int fd, const std::string& name) {
  if (linkat(AT_FDCWD, path_of_fd(fd).c_str(), AT_FDCWD, path_of(name).c_str(),
             AT_SYMLINK_FOLLOW) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST) {
    return absl::AlreadyExistsError(
        absl::StrFormat("%s exists already; attach to it, unlink it, or create under another name",
                        label_of(name)));
  }
  return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot give the list its name (is /proc "
                                                    "mounted?)",
                                                    label_of(name)));
}

absl::StatusOr<File> open_named(const std::string& name, bool read_only, bool allow_other_owner) {
  // O_NONBLOCK: a FIFO of that name must not make us wait.
  File file(open(path_of(name).c_str(),
                 (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() < 0) {
    switch (errno) {
      case ENOENT:
        return absl::NotFoundError(absl::StrFormat("%s does not exist", label_of(name)));
      case EACCES:
        return absl::PermissionDeniedError(
            absl::StrFormat("%s: no permission to open it for %s", label_of(name),
                            read_only ? "reading" : "reading and writing"));
      case ELOOP:
      case EISDIR:
      case ENXIO:
        return absl::FailedPreconditionError(
            absl::StrFormat("%s is not a regular file", label_of(name)));
      default:
        return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot open it", label_of(name)));
    }
  }
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot inspect it", label_of(name)));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrFormat("%s is not a regular file", label_of(name)));
  }
  if (status.st_uid != geteuid() && !allow_other_owner) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s belongs to user %d, and this process runs as user %d; set allow_other_owner to trust "
        "that user",
        label_of(name), status.st_uid, geteuid()));
  }
  return file;
}

absl::Status unlink_named(const std::string& name) {
  if (::unlink(path_of(name).c_str()) == 0) {
    return absl::OkStatus();
  }
  switch (errno) {
    case ENOENT:
      return absl::NotFoundError(absl::StrFormat("%s does not exist", label_of(name)));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrFormat("%s: no permission to unlink it", label_of(name)));
    default:
      return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot unlink it", label_of(name)));
  }
}

absl::Status unlink_if_same(const std::string& name, const FileId& id) {
  struct stat named = {};
  if (lstat(path_of(name).c_str(), &named) == 0 &&
      (id.device != named.st_dev || id.inode != named.st_ino)) {
    return absl::NotFoundError(absl::StrFormat(
        "%s was unlinked before; its name belongs to another list now", label_of(name)));
  }
  return unlink_named(name);
}

absl::StatusOr<File> create_memfd(std::size_t bytes) {
  constexpr std::string_view kLabel = "the unnamed list";
  File file(memfd_create("atoll", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.fd() < 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot make a memfd", kLabel));
  }
  if (absl::Status status = reserve(file.fd(), bytes, kLabel); !status.ok()) {
    return status;
  }
  if (fcntl(file.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot seal its memfd", kLabel));
  }
  return file;
}

absl::StatusOr<File> reopen(int fd, bool read_only, std::string_view label) {
  File file(open(path_of_fd(fd).c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) {
    const int error = errno;
    if (error == ENOENT && fcntl(fd, F_GETFD) < 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: %d is not an open descriptor", label, fd));
    }
    return absl::ErrnoToStatus(
        error,
        absl::StrFormat("%s: cannot open descriptor %d anew (is /proc mounted?)", label, fd));
  }
  return file;
}

absl::StatusOr<File> duplicate(int fd, std::string_view label) {
  File file(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (file.fd() < 0) {
    return absl::ErrnoToStatus(errno,
                               absl::StrFormat("%s: cannot duplicate descriptor %d", label, fd));
  }
  return file;
}

absl::StatusOr<FileInfo> inspect(const File& file, std::string_view label) {
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot inspect it", label));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s is not a regular file", label));
  }
  return FileInfo{.id = {.device = status.st_dev, .inode = status.st_ino},
                  .bytes = static_cast<std::size_t>(status.st_size)};
}

absl::StatusOr<Mapping> map(const File& file, std::size_t bytes, bool writable,
                            std::string_view label) {
  void* const data =
      mmap(nullptr, bytes, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, file.fd(), 0);
  if (data == MAP_FAILED) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot map %d bytes", label, bytes));
  }
  return Mapping(static_cast<std::byte*>(data), bytes, true);
}

}  // namespace libatoll::detail
