#include "shared_copy.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace libatoll::detail {
namespace {

constexpr std::byte kCanary{0xc5};

std::size_t round_up_to_words(std::size_t size) { return (size + 7) / 8 * 8; }

// Text in which no two neighbouring words are alike.
std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  std::uint32_t state = 1;
  for (char& c : text) {
    state = state * 1'664'525 + 1'013'904'223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

// Every small size, and those around the places where another way of copying begins.
std::vector<std::size_t> sizes() {
  std::vector<std::size_t> all(301);
  std::iota(all.begin(), all.end(), 0);
  for (const std::size_t edge : {512U, 1'024U, 2'048U, 4'096U}) {
    for (std::size_t size = edge - 65; size <= edge + 65; ++size) {
      all.push_back(size);
    }
  }
  all.push_back(1'000'000);
  all.push_back(1'000'003);
  return all;
}

// Shared memory with canaries before and behind.
class Shared {
 public:
  explicit Shared(std::size_t size)
      : room_(round_up_to_words(size)), words_(room_ / 8 + 2 * kMargin) {
    std::fill_n(begin(), words_.size() * 8, kCanary);
  }

  std::byte* data() { return begin() + 8 * kMargin; }
  std::string_view text(std::size_t size) { return {reinterpret_cast<const char*>(data()), size}; }
  bool is_intact() {
    const auto is_canary = [](std::byte byte) { return byte == kCanary; };
    return std::all_of(begin(), data(), is_canary) &&
           std::all_of(data() + room_, begin() + words_.size() * 8, is_canary);
  }

 private:
  static constexpr std::size_t kMargin = 16;
  std::byte* begin() { return reinterpret_cast<std::byte*>(words_.data()); }

  std::size_t room_;
  std::vector<std::uint64_t> words_;
};

// Memory that ends where nothing may be read or written.
class Cliff {
 public:
  explicit Cliff(std::size_t size) : size_(size) {
    mapped_ =
        mmap(nullptr, bytes() + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped_ == MAP_FAILED || mprotect(start() + bytes(), page(), PROT_NONE) != 0) {
      throw std::runtime_error("cannot make a cliff");
    }
  }
  Cliff(const Cliff&) = delete;
  Cliff& operator=(const Cliff&) = delete;
  ~Cliff() { munmap(mapped_, bytes() + page()); }

  char* data() const { return start() + bytes() - size_; }

 private:
  static std::size_t page() { return static_cast<std::size_t>(sysconf(_SC_PAGESIZE)); }
  std::size_t bytes() const { return size_ / page() * page() + page(); }
  char* start() const { return static_cast<char*>(mapped_); }

  std::size_t size_;
  void* mapped_;
};

TEST(CopyToShared, WritesEveryByteAndNothingElse) {
  for (const std::size_t size : sizes()) {
    const std::string text = pattern(size);
    Shared shared(size);
    copy_to_shared(shared.data(), text);
    ASSERT_EQ(shared.text(size), text) << size;
    ASSERT_TRUE(shared.is_intact()) << size;
  }
}

TEST(CopyToShared, FillsTheLastWordWithZeros) {
  for (const std::size_t size : sizes()) {
    Shared shared(size);
    copy_to_shared(shared.data(), pattern(size));
    const std::string_view whole = shared.text(round_up_to_words(size));
    ASSERT_EQ(whole.substr(size), std::string(whole.size() - size, '\0')) << size;
  }
}

TEST(CopyToShared, TakesTextOfAnyAlignment) {
  const std::string text = pattern(5'000);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (const std::size_t size : {7U, 8U, 63U, 127U, 128U, 129U, 200U, 2'047U, 2'048U, 4'099U}) {
      Shared shared(size);
      const std::string_view part = std::string_view(text).substr(offset, size);
      copy_to_shared(shared.data(), part);
      ASSERT_EQ(shared.text(size), part) << size << " bytes at " << offset;
    }
  }
}

TEST(CopyToShared, ReadsNothingBehindTheText) {
  for (const std::size_t size : sizes()) {
    const Cliff cliff(size);
    const std::string text = pattern(size);
    std::copy(text.begin(), text.end(), cliff.data());
    Shared shared(size);
    copy_to_shared(shared.data(), {cliff.data(), size});
    ASSERT_EQ(shared.text(size), text) << size;
  }
}

TEST(CopyToShared, WritesNothingBehindTheRoom) {
  for (const std::size_t size : sizes()) {
    const Cliff cliff(round_up_to_words(size));
    copy_to_shared(reinterpret_cast<std::byte*>(cliff.data()), pattern(size));
  }
}

TEST(CopyFromShared, ReadsEveryByteAndWritesNothingElse) {
  for (const std::size_t size : sizes()) {
    const std::string text = pattern(size);
    Shared shared(size);
    copy_to_shared(shared.data(), text);
    std::string copy(size + 16, '#');
    copy_from_shared(copy.data(), shared.data(), size);
    ASSERT_EQ(copy, text + std::string(16, '#')) << size;
    ASSERT_TRUE(shared.is_intact()) << size;
  }
}

TEST(CopyFromShared, TakesADestinationOfAnyAlignment) {
  const std::string text = pattern(4'099);
  Shared shared(text.size());
  copy_to_shared(shared.data(), text);
  for (std::size_t offset = 0; offset < 64; ++offset) {
    for (const std::size_t size : {7U, 8U, 63U, 127U, 128U, 129U, 200U, 2'047U, 2'048U, 4'099U}) {
      std::string copy(offset + size, '#');
      copy_from_shared(copy.data() + offset, shared.data(), size);
      ASSERT_EQ(copy, std::string(offset, '#') + text.substr(0, size));
    }
  }
}

TEST(CopyFromShared, TouchesNothingBehindEitherSide) {
  for (const std::size_t size : sizes()) {
    const Cliff shared(round_up_to_words(size));
    const Cliff copy(size);
    const std::string text = pattern(size);
    auto* const from = reinterpret_cast<std::byte*>(shared.data());
    copy_to_shared(from, text);
    copy_from_shared(copy.data(), from, size);
    ASSERT_EQ(std::string_view(copy.data(), size), text) << size;
  }
}

TEST(EqualsShared, IsTrueOfTheSameText) {
  for (const std::size_t size : sizes()) {
    const std::string text = pattern(size);
    Shared shared(size);
    copy_to_shared(shared.data(), text);
    ASSERT_TRUE(equals_shared(shared.data(), text)) << size;
  }
}

TEST(EqualsShared, NoticesADifferenceInEveryByte) {
  for (const std::size_t size : {1U, 7U, 8U, 9U, 64U, 127U, 128U, 511U, 512U, 513U, 1'030U}) {
    std::string text = pattern(size);
    Shared shared(size);
    copy_to_shared(shared.data(), text);
    for (char& c : text) {
      c = static_cast<char>(c ^ 1);
      ASSERT_FALSE(equals_shared(shared.data(), text)) << size << " bytes, " << &c - text.data();
      c = static_cast<char>(c ^ 1);
    }
  }
}

TEST(EqualsShared, IgnoresWhatLiesBehindTheText) {
  Shared shared(16);
  copy_to_shared(shared.data(), "abcdefghijk");
  EXPECT_TRUE(equals_shared(shared.data(), "abcdefghij"));
  EXPECT_TRUE(equals_shared(shared.data(), ""));
}

}  // namespace
}  // namespace libatoll::detail
