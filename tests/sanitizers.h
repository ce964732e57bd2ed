// What the sanitizers make impossible. A test that needs it begins with one of these, and is skipped
// where the sanitizer is; docs/proof.md lists them.

#ifndef ATOLL_TESTS_SANITIZERS_H_
#define ATOLL_TESTS_SANITIZERS_H_

#include "atoll/detail/header_word.h"
#include "gtest/gtest.h"

#if defined(__SANITIZE_ADDRESS__)
#define ATOLL_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOLL_ADDRESS_SANITIZER 1
#endif
#endif

// An operator new of the test's own, to count allocations or to do something there.
#if defined(ATOLL_THREAD_SANITIZER)
#define ATOLL_OWN_NEW 0
#else
#define ATOLL_OWN_NEW 1
#endif
#define ATOLL_NEEDS_OWN_NEW() \
  if (!ATOLL_OWN_NEW) GTEST_SKIP() << "ThreadSanitizer does not let its operator new be replaced"

// Children of fork, of a process whose other threads allocate, that allocate or end normally.
#if defined(ATOLL_ADDRESS_SANITIZER)
#define ATOLL_FORK_BESIDE_THREADS 0
#define ATOLL_NEEDS_FORK_BESIDE_THREADS()                                              \
  GTEST_SKIP() << "AddressSanitizer's allocator may be locked for ever in the child, " \
                  "and what the other threads held is a leak to it"
#else
#define ATOLL_FORK_BESIDE_THREADS 1
#define ATOLL_NEEDS_FORK_BESIDE_THREADS() static_cast<void>(0)
#endif

// No system calls but the program's.
#if defined(ATOLL_ADDRESS_SANITIZER) || defined(ATOLL_THREAD_SANITIZER)
#define ATOLL_NEEDS_NO_OTHER_SYSTEM_CALLS() \
  GTEST_SKIP() << "the sanitizer makes system calls of its own"
#else
#define ATOLL_NEEDS_NO_OTHER_SYSTEM_CALLS() static_cast<void>(0)
#endif

// A crash ends a process by the crash's signal, and not by a report and an exit code.
#if defined(ATOLL_ADDRESS_SANITIZER) || defined(ATOLL_THREAD_SANITIZER)
#define ATOLL_CRASHES_BY_SIGNAL 0
#else
#define ATOLL_CRASHES_BY_SIGNAL 1
#endif

// What is freed can be given out again at once.
#if defined(ATOLL_ADDRESS_SANITIZER)
#define ATOLL_NO_QUARANTINE 0
#else
#define ATOLL_NO_QUARANTINE 1
#endif

#endif  // ATOLL_TESTS_SANITIZERS_H_
