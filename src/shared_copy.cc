#include "shared_copy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "atoll/detail/header_word.h"

namespace libatoll::detail {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

// From where on a call of the C library's copy is faster than a loop over words.
constexpr std::size_t kBlock = 32;

// relaxed, here and below: the protocol's fences order these words, and its check rejects what was
// read while a word was changing.
std::uint64_t load_word(const std::byte* shared) {
  return std::atomic_ref<std::uint64_t>(
             *reinterpret_cast<std::uint64_t*>(const_cast<std::byte*>(shared)))
      .load(std::memory_order_relaxed);
}

void store_word(std::byte* shared, std::uint64_t word) {
  // relaxed: as above.
  std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t*>(shared))
      .store(word, std::memory_order_relaxed);
}

#if defined(ATOLL_THREAD_SANITIZER)
constexpr bool kWordByWord = true;  // so that the sanitizer sees each access
#else
constexpr bool kWordByWord = false;
#endif

// The C library's memcpy, which knows the processor best, called through a pointer of which the
// compiler knows nothing: so it can neither look into the copy nor move or repeat parts of it.
void copy_block(void* to, const void* from, std::size_t size) {
  void* (*copy)(void*, const void*, std::size_t) = std::memcpy;
  asm("" : "+r"(copy));
  copy(to, from, size);
}

}  // namespace

void copy_from_shared(char* to, const std::byte* shared, std::size_t size) {
  if (size >= kBlock && !kWordByWord) {
    copy_block(to, shared, size);
    return;
  }
  std::size_t done = 0;
  for (; done + kWord <= size; done += kWord) {
    const std::uint64_t word = load_word(shared + done);
    std::memcpy(to + done, &word, kWord);
  }
  if (done < size) {
    const std::uint64_t word = load_word(shared + done);
    std::memcpy(to + done, &word, size - done);
  }
}

void copy_to_shared(std::byte* shared, std::string_view text) {
  const std::size_t size = text.size();
  std::size_t done = 0;
  if (size >= kBlock && !kWordByWord) {
    done = size / kWord * kWord;
    copy_block(shared, text.data(), done);
  }
  for (; done + kWord <= size; done += kWord) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + done, kWord);
    store_word(shared + done, word);
  }
  if (done < size) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + done, size - done);
    store_word(shared + done, word);
  }
}

bool equals_shared(const std::byte* shared, std::string_view text) {
  std::array<char, 512> chunk;
  while (!text.empty()) {
    const std::size_t size = std::min(text.size(), chunk.size());
    copy_from_shared(chunk.data(), shared, size);
    if (std::memcmp(chunk.data(), text.data(), size) != 0) {
      return false;
    }
    shared += size;
    text.remove_prefix(size);
  }
  return true;
}

}  // namespace libatoll::detail
