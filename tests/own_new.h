// Whether a test can have an operator new of its own, to count allocations or to do something there.

#ifndef ATOLL_TESTS_OWN_NEW_H_
#define ATOLL_TESTS_OWN_NEW_H_

#include "atoll/detail/header_word.h"
#include "gtest/gtest.h"

#if defined(ATOLL_THREAD_SANITIZER)
#define ATOLL_OWN_NEW 0
#else
#define ATOLL_OWN_NEW 1
#endif

// At the beginning of a test that needs it.
#define ATOLL_NEEDS_OWN_NEW() \
  if (!ATOLL_OWN_NEW) GTEST_SKIP() << "ThreadSanitizer does not let its operator new be replaced"

#endif  // ATOLL_TESTS_OWN_NEW_H_
