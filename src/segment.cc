#include "segment.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <system_error>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "label.h"

namespace libatoll::detail {
namespace {

// Where the C library keeps the names of shm_open.
constexpr std::string_view kDirectory = "/dev/shm";
constexpr std::size_t kNameMax = 255;
constexpr mode_t kModeBefore = 0600;

std::string path_of_fd(int fd) { return absl::StrFormat("/proc/self/fd/%d", fd); }

constexpr unsigned kStatMask = STATX_BASIC_STATS | STATX_BTIME;

absl::Time time_of(const struct statx_timestamp& time) {
  return absl::FromUnixSeconds(time.tv_sec) + absl::Nanoseconds(time.tv_nsec);
}

FileId id_of(const struct statx& status) {
  FileId id = {.device = makedev(status.stx_dev_major, status.stx_dev_minor),
               .inode = status.stx_ino,
               .born = absl::UnixEpoch()};
  if ((status.stx_mask & STATX_BTIME) != 0) {
    id.born = time_of(status.stx_btime);
  }
  return id;
}

absl::Status no_room(std::size_t bytes, std::string_view label) {
  return absl::ResourceExhaustedError(absl::StrFormat(
      "%s needs %d bytes of shared memory, more than there is room for", label, bytes));
}

absl::Status reserve(int fd, std::size_t bytes, std::string_view label) {
  int error;
  do {
    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  } while (error == EINTR);
  if (error == 0) {
    return absl::OkStatus();
  }
  if (error == ENOSPC || error == EFBIG || error == EINVAL || error == ENOMEM) {
    return no_room(bytes, label);
  }
  return absl::ErrnoToStatus(error, absl::StrFormat("%s: cannot reserve %d bytes", label, bytes));
}

// A regular file that we may trust: our own, unless the caller trusts others.
absl::Status check_file(const File& file, bool allow_other_owner, std::string_view label) {
  struct stat status = {};
  if (fstat(file.fd(), &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot inspect it", label));
  }
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s is not a regular file", label));
  }
  if (status.st_uid != geteuid() && !allow_other_owner) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "%s belongs to user %d, and this process runs as user %d; set allow_other_owner to trust "
        "that user",
        label, status.st_uid, geteuid()));
  }
  return absl::OkStatus();
}

// The memory that the machine can still give, in bytes; the most there is where it does not say.
std::uint64_t available_memory() {
  std::ifstream meminfo("/proc/meminfo");
  std::uint64_t kib = 0;
  bool told = false;
  for (std::string line; std::getline(meminfo, line);) {
    unsigned long long value = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu", &value) == 1 ||
        std::sscanf(line.c_str(), "SwapFree: %llu", &value) == 1) {
      kib += value;
      told = true;
    }
  }
  return told ? kib * 1024 : std::numeric_limits<std::uint64_t>::max();
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

absl::StatusOr<Place> place_in_shared_memory(std::string_view name) {
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
  std::string canonical = absl::StrCat("/", std::string(bare));
  std::string path = absl::StrCat(std::string(kDirectory), canonical);
  return Place{std::move(canonical), std::string(kDirectory), std::move(path)};
}

absl::StatusOr<Place> place_of_file(std::string_view path) {
  const auto bad = [path](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("'%s' cannot be the file of a list: %s", path, why));
  };
  if (path.empty()) {
    return bad("it is empty");
  }
  if (path.find('\0') != path.npos) {
    return bad("it has a NUL byte");
  }
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) {
    return bad(error.message());
  }
  if (!absolute.has_filename() || absolute.filename() == "." || absolute.filename() == "..") {
    return bad("it is a directory");
  }
  return Place{absolute.string(), absolute.parent_path().string(), absolute.string()};
}

std::string automatic_name() {
  return absl::StrFormat("/atoll_%016x", absl::Uniform<std::uint64_t>(absl::BitGen()));
}

NewFile::~NewFile() {
  if (!hidden_path_.empty()) {
    ::unlink(hidden_path_.c_str());
  }
}

absl::StatusOr<NewFile> NewFile::create(const Place& place, std::size_t bytes) {
  const std::string label = label_of(place.name);
  std::string hidden_path;
  File file(open(place.directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, kModeBefore));
  if (file.fd() < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    hidden_path = absl::StrFormat("%s/.%s", place.directory, automatic_name().substr(1));
    file = File(open(hidden_path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, kModeBefore));
  }
  if (file.fd() < 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("%s: cannot make a file in %s", label, place.directory));
  }
  NewFile made(std::move(file), std::move(hidden_path));
  struct statfs system = {};
  if (fstatfs(made.file_.fd(), &system) == 0 && system.f_type == HUGETLBFS_MAGIC) {
    const auto page = static_cast<std::size_t>(system.f_bsize);
    bytes = (bytes + page - 1) / page * page;
  }
  if (absl::Status status = reserve(made.file_.fd(), bytes, label); !status.ok()) {
    return status;
  }
  return made;
}

absl::Status NewFile::publish(const Place& place, mode_t mode) const {
  if (fchmod(file_.fd(), mode) != 0) {
    return absl::ErrnoToStatus(
        errno, absl::StrFormat("%s: cannot set mode %#o", label_of(place.name), mode));
  }
  const std::string from = hidden_path_.empty() ? path_of_fd(file_.fd()) : hidden_path_;
  if (linkat(AT_FDCWD, from.c_str(), AT_FDCWD, place.path.c_str(), AT_SYMLINK_FOLLOW) == 0) {
    return absl::OkStatus();
  }
  if (errno == EEXIST) {
    return absl::AlreadyExistsError(
        absl::StrFormat("%s exists already; attach to it, unlink it, or create under another name",
                        label_of(place.name)));
  }
  return absl::ErrnoToStatus(
      errno, absl::StrFormat("%s: cannot give the list its name (is /proc mounted?)",
                             label_of(place.name)));
}

absl::StatusOr<File> open_place(const Place& place, const AttachOptions& options) {
  // O_NONBLOCK: a FIFO of that name must not make us wait.
  File file(open(place.path.c_str(),
                 (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() < 0) {
    switch (errno) {
      case ENOENT:
        return absl::NotFoundError(absl::StrFormat("%s does not exist", label_of(place.name)));
      case EACCES:
        return absl::PermissionDeniedError(
            absl::StrFormat("%s: no permission to open it for %s", label_of(place.name),
                            options.read_only ? "reading" : "reading and writing"));
      case ELOOP:
      case EISDIR:
      case ENXIO:
        return absl::FailedPreconditionError(
            absl::StrFormat("%s is not a regular file", label_of(place.name)));
      default:
        return absl::ErrnoToStatus(errno,
                                   absl::StrFormat("%s: cannot open it", label_of(place.name)));
    }
  }
  if (absl::Status status = check_file(file, options.allow_other_owner, label_of(place.name));
      !status.ok()) {
    return status;
  }
  return file;
}

absl::Status unlink_place(const Place& place) {
  if (::unlink(place.path.c_str()) == 0) {
    return absl::OkStatus();
  }
  switch (errno) {
    case ENOENT:
      return absl::NotFoundError(absl::StrFormat("%s does not exist", label_of(place.name)));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrFormat("%s: no permission to unlink it", label_of(place.name)));
    default:
      return absl::ErrnoToStatus(errno,
                                 absl::StrFormat("%s: cannot unlink it", label_of(place.name)));
  }
}

bool is_there(const Place& place, const FileId& id) {
  struct statx named = {};
  return statx(AT_FDCWD, place.path.c_str(), AT_SYMLINK_NOFOLLOW, kStatMask, &named) == 0 &&
         id_of(named) == id;
}

absl::StatusOr<File> create_memfd(std::size_t bytes) {
  constexpr std::string_view kLabel = "the unnamed list";
  File file(memfd_create("atoll", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.fd() < 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot make a memfd", kLabel));
  }
  // Unlike /dev/shm, a memfd has no limit of its own: the kernel would go on reserving until it has to
  // kill somebody.
  if (bytes > available_memory()) {
    return no_room(bytes, kLabel);
  }
  if (absl::Status status = reserve(file.fd(), bytes, kLabel); !status.ok()) {
    return status;
  }
  if (fcntl(file.fd(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot seal its memfd", kLabel));
  }
  return file;
}

absl::StatusOr<File> reopen(int fd, const AttachOptions& options, std::string_view label) {
  File file(open(path_of_fd(fd).c_str(),
                 (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK));
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
  if (absl::Status status = check_file(file, options.allow_other_owner, label); !status.ok()) {
    return status;
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
  struct statx status = {};
  if (statx(file.fd(), "", AT_EMPTY_PATH, kStatMask, &status) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot inspect it", label));
  }
  if (!S_ISREG(status.stx_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat("%s is not a regular file", label));
  }
  const bool has_birth = (status.stx_mask & STATX_BTIME) != 0;
  return FileInfo{.id = id_of(status),
                  .bytes = static_cast<std::size_t>(status.stx_size),
                  .owner = status.stx_uid,
                  .mode = status.stx_mode & mode_t{07777},
                  .created = time_of(has_birth ? status.stx_btime : status.stx_ctime)};
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

void prepare_to_write([[maybe_unused]] const Mapping& mapping, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_POPULATE_WRITE)
  madvise(mapping.data(), bytes, MADV_POPULATE_WRITE);
#endif
}

absl::Status write_back(const Mapping& mapping, std::string_view label) {
  if (msync(mapping.data(), mapping.size(), MS_SYNC) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrFormat("%s: cannot write it back", label));
  }
  return absl::OkStatus();
}

}  // namespace libatoll::detail
