// What the harnesses share: bytes to draw from, memory whose ends a sanitizer watches, and counts of
// what was done, by which a replay proves that it did something.

#ifndef ATOLL_FUZZ_INPUT_H_
#define ATOLL_FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

// Called by libFuzzer, and by replay.cc.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

// Draws from the front; zeros once everything is drawn, so that an input cut anywhere is one too.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : left_(reinterpret_cast<const char*>(data), size) {}

  bool is_empty() const { return left_.empty(); }

  template <typename T>
  T draw() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value = {};
    const std::string_view bytes = take(sizeof(T));
    std::memcpy(static_cast<void*>(&value), bytes.data(), bytes.size());
    return value;
  }
  bool flip() { return (draw<std::uint8_t>() & 1) != 0; }
  // Less than `bound`, which is at least 1.
  std::size_t below(std::size_t bound) {
    return (bound <= 256 ? draw<std::uint8_t>() : draw<std::uint16_t>()) % bound;
  }
  // At most `size` bytes.
  std::string_view take(std::size_t size) {
    const std::string_view taken = left_.substr(0, size);
    left_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view rest() { return take(left_.size()); }

 private:
  std::string_view left_;
};

// Zeroed memory as a segment needs it, and not a byte more: AddressSanitizer sees every access beside
// it.
class Block {
 public:
  explicit Block(std::size_t bytes)
      : bytes_(bytes), data_(static_cast<std::byte*>(::operator new(bytes, kAlignment))) {
    std::fill_n(data_, bytes_, std::byte{0});
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() { ::operator delete(data_, kAlignment); }

  std::span<std::byte> span() const { return {data_, bytes_}; }

 private:
  static constexpr std::align_val_t kAlignment{64};

  std::size_t bytes_;
  std::byte* data_;
};

// How often something happened. Each harness names what its corpus has to make happen.
class Tally {
 public:
  explicit Tally(const char* what) : what_(what) { all().push_back(this); }
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  void add(bool happened = true) { count_ += happened ? 1 : 0; }
  const char* what() const { return what_; }
  std::uint64_t count() const { return count_; }

  static std::vector<const Tally*>& all() {
    static std::vector<const Tally*> tallies;
    return tallies;
  }

 private:
  const char* what_;
  std::uint64_t count_ = 0;
};

}  // namespace fuzz

#endif  // ATOLL_FUZZ_INPUT_H_
