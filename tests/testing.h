// What the tests share: checks of a status, names that clean up after themselves, places where a
// list can live, and a second look at a segment's bytes, to forge them.

#ifndef ATOLL_TESTS_TESTING_H_
#define ATOLL_TESTS_TESTING_H_

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "atoll/atoll.h"
#include "gtest/gtest.h"

#include "layout.h"
#include "names.h"
#include "segment.h"

namespace libatoll::test {

using Code = absl::StatusCode;

// ---- Statuses -----------------------------------------------------------------------------------

inline const absl::Status& status_of(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& status_of(const absl::StatusOr<T>& result) {
  return result.status();
}

// EXPECT_TRUE(succeeds(slot.store(1)));
template <typename Result>
testing::AssertionResult succeeds(const Result& result) {
  return status_of(result).ok() ? testing::AssertionSuccess()
                                : testing::AssertionFailure() << status_of(result);
}

// EXPECT_TRUE(fails(slot.load<bool>(), Code::kFailedPrecondition, {"slot 0", "found text"}));
template <typename Result>
testing::AssertionResult fails(const Result& result, Code code,
                               std::initializer_list<std::string_view> parts) {
  const absl::Status& status = status_of(result);
  if (status.code() != code) {
    return testing::AssertionFailure()
           << "expected " << absl::StatusCodeToString(code) << ", got " << status;
  }
  for (const std::string_view part : parts) {
    const std::string_view message(status.message().data(), status.message().size());
    if (message.find(part) == message.npos) {
      return testing::AssertionFailure() << "no '" << part << "' in: " << status;
    }
  }
  return testing::AssertionSuccess();
}

// The result of what a test takes for granted; an exception, which fails the test, where it fails.
template <typename T>
T must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    throw std::runtime_error(result.status().ToString());
  }
  return *std::move(result);
}
inline void must(const absl::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}

// ---- Names and leaks ----------------------------------------------------------------------------

// The name of a list that no other test has, and nobody afterwards, also if a signal ends the test.
class Name {
 public:
  Name() : Name(absl::StrFormat("/atoll-test-%d-%d", getpid(), ++count())) {}
  // Adopts a name that something else made.
  explicit Name(std::string name) : name_(std::move(name)) {}

  const std::string& str() const { return name_; }
  operator std::string_view() const { return name_; }
  std::string path() const { return "/dev/shm" + name_; }
  bool exists() const { return std::filesystem::exists(std::filesystem::symlink_status(path())); }

 private:
  static int& count() {
    static int count = 0;
    return count;
  }

  std::string name_;
  process::RemovedInTheEnd file_{path()};
};

// The descriptors that this process has open.
inline std::vector<int> open_descriptors() {
  std::vector<int> descriptors;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename());
    if (fcntl(fd, F_GETFD) >= 0) {
      descriptors.push_back(fd);
    }
  }
  return descriptors;
}

// What a process holds of the system; equal before and after what leaks nothing.
struct Held {
  std::size_t descriptors = 0;
  std::size_t mappings = 0;  // of files in shared memory

  friend bool operator==(const Held&, const Held&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Held& held) {
    return out << held.descriptors << " descriptors, " << held.mappings << " mappings";
  }
};

inline Held held() {
  Held now = {.descriptors = open_descriptors().size()};
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/dev/shm") != line.npos || line.find("/memfd:atoll") != line.npos) {
      ++now.mappings;
    }
  }
  return now;
}

inline void write_file(const std::string& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  if (!file.flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// ---- What a failed call must not change ---------------------------------------------------------

// All that can be seen of a slot.
struct State {
  std::string value;
  std::string type;
  std::string capacity;
  std::uint64_t version = 0;

  friend bool operator==(const State&, const State&) = default;
  friend std::ostream& operator<<(std::ostream& out, const State& state) {
    return out << state.type << ' ' << state.value << " (capacity " << state.capacity
               << ", version " << state.version << ')';
  }
};

inline State state_of(const Slot& slot) {
  const absl::StatusOr<Value> value = slot.load();
  const absl::StatusOr<Type> type = slot.type();
  const absl::StatusOr<std::size_t> capacity = slot.capacity();
  return {.value = value.ok() ? to_string(*value) : value.status().ToString(),
          .type = type.ok() ? std::string(type_name(*type)) : type.status().ToString(),
          .capacity = capacity.ok() ? std::to_string(*capacity) : capacity.status().ToString(),
          .version = slot.version()};
}

inline std::vector<State> states_of(const List& list) {
  std::vector<State> states;
  for (const Slot slot : list) {
    states.push_back(state_of(slot));
  }
  return states;
}

// ---- Memory and places --------------------------------------------------------------------------

// Zeroed memory, aligned as a segment needs it.
class Memory {
 public:
  explicit Memory(std::size_t bytes)
      : bytes_(bytes),
        lines_(std::make_unique<Line[]>((bytes + sizeof(Line) - 1) / sizeof(Line))) {}

  std::byte* data() { return reinterpret_cast<std::byte*>(lines_.get()); }
  std::span<std::byte> span() { return {data(), bytes_}; }

 private:
  struct alignas(detail::kCacheLine) Line {
    std::byte bytes[detail::kCacheLine];
  };

  std::size_t bytes_;
  std::unique_ptr<Line[]> lines_;
};

enum class Place { kNamed, kAnonymous, kMemory };

// A second look at the bytes of a segment that is whole, past the library, to forge them.
class Raw {
 public:
  explicit Raw(const Name& name)
      : Raw(detail::File(::open(name.path().c_str(), O_RDWR | O_CLOEXEC))) {}
  explicit Raw(int fd) : Raw(detail::File(fcntl(fd, F_DUPFD_CLOEXEC, 0))) {}
  explicit Raw(std::span<std::byte> memory)
      : Raw(detail::Mapping(memory.data(), memory.size(), false)) {}

  detail::SegmentHeader& segment() {
    return *reinterpret_cast<detail::SegmentHeader*>(mapping_.data());
  }
  std::span<std::byte> bytes() { return {mapping_.data(), mapping_.size()}; }
  const detail::View& view() const { return view_; }

  detail::Header& header(std::size_t slot) { return *view_.header(slot); }
  detail::Word word(std::size_t slot) { return detail::read(header(slot)); }
  void forge(std::size_t slot, const detail::Word& word) { detail::initialize(header(slot), word); }

  detail::Descriptor& descriptor(std::size_t slot) {
    return *reinterpret_cast<detail::Descriptor*>(
        mapping_.data() + (view_.descriptors - view_.base) + slot * view_.descriptor_stride);
  }
  detail::SlotBuffers buffers(std::size_t slot) {
    detail::SlotBuffers buffers;
    if (!detail::find_buffers(view_, slot, buffers)) {
      throw std::runtime_error("an impossible descriptor");
    }
    return buffers;
  }
  detail::BufferControl& control(std::size_t slot, std::uint32_t buffer) {
    return buffers(slot).control(buffer);
  }

 private:
  explicit Raw(const detail::File& file)
      : Raw(must(detail::map(file, must(detail::inspect(file, "raw")).bytes, true, "raw"))) {}
  explicit Raw(detail::Mapping mapping) : mapping_(std::move(mapping)) {
    must(detail::open_view(mapping_.data(), mapping_.size(), "raw", view_));
  }

  detail::Mapping mapping_;
  detail::View view_;
};

// Where one list lives, found again whatever the kind of place.
class Home {
 public:
  explicit Home(Place place) : place_(place) {}

  template <typename Values>
  absl::StatusOr<List> create(const Values& values, const CreateOptions& options) {
    switch (place_) {
      case Place::kNamed:
        return List::create(name_, values, options);
      case Place::kAnonymous:
        return List::create_anonymous(values, options);
      case Place::kMemory:
        break;
    }
    const absl::StatusOr<std::size_t> bytes = List::bytes_needed(values, options);
    if (!bytes.ok()) {
      return bytes.status();
    }
    memory_ = std::make_unique<Memory>(*bytes);
    return List::create_in(memory_->span(), values, options);
  }

  absl::StatusOr<List> attach(const List& list, const AttachOptions& options = {}) {
    switch (place_) {
      case Place::kNamed:
        return List::attach(name_, options);
      case Place::kAnonymous:
        return List::attach_fd(list.fd(), options);
      case Place::kMemory:
        break;
    }
    return List::attach_in(memory_->span(), options);
  }

  Raw raw(const List& list) {
    switch (place_) {
      case Place::kNamed:
        return Raw(name_);
      case Place::kAnonymous:
        return Raw(list.fd());
      case Place::kMemory:
        break;
    }
    return Raw(memory_->span());
  }

  const Name& name() const { return name_; }

  // How messages and to_string name the list.
  std::string label() const {
    return place_ == Place::kNamed ? "list '" + name_.str() + "'" : "the unnamed list";
  }
  std::string suffix() const {
    return place_ == Place::kNamed ? ", name='" + name_.str() + "')" : ")";
  }

 private:
  Place place_;
  Name name_;
  std::unique_ptr<Memory> memory_;
};

// The base of tests that hold for every layout in every place.
class PlacedTest : public testing::TestWithParam<std::tuple<Layout, Place>> {
 protected:
  static Layout layout() { return std::get<0>(GetParam()); }
  static Place place() { return std::get<1>(GetParam()); }

  List create(std::initializer_list<Init> values) {
    return create(std::span<const Init>(values.begin(), values.size()));
  }
  List create(std::span<const Init> values) {
    return must(home_.create(values, {.layout = layout()}));
  }
  Home& home() { return home_; }

 private:
  Home home_{place()};
};

inline auto everywhere() {
  return testing::Combine(testing::Values(Layout::kPadded, Layout::kDense),
                          testing::Values(Place::kNamed, Place::kAnonymous, Place::kMemory));
}

inline std::string name_of_layout(Layout layout) {
  return layout == Layout::kPadded ? "Padded" : "Dense";
}
inline std::string name_of(const testing::TestParamInfo<Layout>& info) {
  return name_of_layout(info.param);
}
inline std::string name_of_place(const testing::TestParamInfo<std::tuple<Layout, Place>>& info) {
  const Place place = std::get<1>(info.param);
  return name_of_layout(std::get<0>(info.param)) + (place == Place::kNamed       ? "Named"
                                                    : place == Place::kAnonymous ? "Anonymous"
                                                                                 : "Memory");
}

}  // namespace libatoll::test

#endif  // ATOLL_TESTS_TESTING_H_
