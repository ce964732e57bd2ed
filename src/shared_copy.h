// Copies between private memory and text in shared memory that another process may be changing.
//
// In the C++ model such a copy is a data race unless every access is atomic (Boehm, "Can seqlocks
// get along with programming language memory models?", MSPC 2012; WG21 P1478). Short text goes in
// relaxed atomic words; longer text by a call of memcpy that the compiler cannot look into (the
// processors' own rules then apply, see docs/algorithm.md). Nothing copied may be acted on
// before the protocol has validated it.
//
// The shared side is aligned to 8 bytes and its room is a multiple of 8, so whole words are copied.
// All functions are wait-free.

#ifndef ATOLL_SRC_SHARED_COPY_H_
#define ATOLL_SRC_SHARED_COPY_H_

#include <cstddef>
#include <string_view>

namespace libatoll::detail {

// Copies `size` bytes out of shared memory.
void copy_from_shared(char* to, const std::byte* shared, std::size_t size);

// Copies `text` into shared memory, and zeros up to the next multiple of 8.
void copy_to_shared(std::byte* shared, std::string_view text);

// Whether the shared bytes equal `text`; meaningful only once the protocol has validated them.
bool equals_shared(const std::byte* shared, std::string_view text);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_SHARED_COPY_H_
