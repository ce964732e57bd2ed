#include "shared_copy.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "atoll/detail/header_word.h"

#if defined(__SANITIZE_ADDRESS__)
#define ATOLL_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOLL_ADDRESS_SANITIZER 1
#endif
#endif

namespace libatoll::detail {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

// Where one block of instructions begins to pay; a multiple of 64.
constexpr std::size_t kBlock = 128;
// Where the processor's own string instruction does.
[[maybe_unused]] constexpr std::size_t kStringCopy = 2048;

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

// Copies the largest multiple of 64 bytes that is at most `size`, and returns it.
std::size_t copy_blocks([[maybe_unused]] void* to, [[maybe_unused]] const void* from,
                        [[maybe_unused]] std::size_t size) {
#if defined(ATOLL_THREAD_SANITIZER) || defined(ATOLL_ADDRESS_SANITIZER)
  return 0;  // word by word, so that the sanitizer sees each access
#elif defined(__x86_64__)
  const std::size_t copied = size & ~std::size_t{63};
  if (copied < kBlock) {
    return 0;
  }
  if (size >= kStringCopy) {
    std::size_t count = copied;
    // The processor keeps a string instruction's loads in order among other loads, and its stores
    // before every later store.
    asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    return copied;
  }
  std::size_t offset = 0;
  asm volatile(
      "1:\n\t"
      "movups (%[from],%[offset]), %%xmm0\n\t"
      "movups 16(%[from],%[offset]), %%xmm1\n\t"
      "movups 32(%[from],%[offset]), %%xmm2\n\t"
      "movups 48(%[from],%[offset]), %%xmm3\n\t"
      "movups %%xmm0, (%[to],%[offset])\n\t"
      "movups %%xmm1, 16(%[to],%[offset])\n\t"
      "movups %%xmm2, 32(%[to],%[offset])\n\t"
      "movups %%xmm3, 48(%[to],%[offset])\n\t"
      "add $64, %[offset]\n\t"
      "cmp %[copied], %[offset]\n\t"
      "jb 1b"
      : [offset] "+r"(offset)
      : [to] "r"(to), [from] "r"(from), [copied] "r"(copied)
      : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");
  return copied;
#elif defined(__aarch64__)
  const std::size_t copied = size & ~std::size_t{63};
  if (copied < kBlock) {
    return 0;
  }
  std::size_t left = copied;
  asm volatile(
      "1:\n\t"
      "ldp q0, q1, [%[from]], #32\n\t"
      "ldp q2, q3, [%[from]], #32\n\t"
      "stp q0, q1, [%[to]], #32\n\t"
      "stp q2, q3, [%[to]], #32\n\t"
      "subs %[left], %[left], #64\n\t"
      "b.ne 1b"
      : [to] "+r"(to), [from] "+r"(from), [left] "+r"(left)
      :
      : "memory", "cc", "v0", "v1", "v2", "v3");
  return copied;
#endif
}

}  // namespace

void copy_from_shared(char* to, const std::byte* shared, std::size_t size) {
  std::size_t done = size < kBlock ? 0 : copy_blocks(to, shared, size);
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
  std::size_t done = size < kBlock ? 0 : copy_blocks(shared, text.data(), size);
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
