// System calls that a process may not make (seccomp filters): to show that some code makes none, or
// to be on a kernel or a file system that lacks one. For children of fork: there is no way back.

#ifndef ATOLL_TESTS_SYSTEM_CALLS_H_
#define ATOLL_TESTS_SYSTEM_CALLS_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "process.h"

namespace process {

inline void filter_system_calls(std::vector<sock_filter> program) {
  const sock_fprog filter = {.len = static_cast<unsigned short>(program.size()),
                             .filter = program.data()};
  ATOLL_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) << std::strerror(errno);
  ATOLL_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0) << std::strerror(errno);
}

inline constexpr sock_filter load_word(std::size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset));
}
inline constexpr sock_filter answer(std::uint32_t action) {
  return BPF_STMT(BPF_RET | BPF_K, action);
}

// From now on, any other system call ends this process by SIGSYS.
inline void allow_only(std::initializer_list<long> numbers) {
  std::vector<sock_filter> program = {load_word(offsetof(seccomp_data, nr))};
  for (const long number : numbers) {
    program.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
  }
  program.push_back(answer(SECCOMP_RET_KILL_PROCESS));
  filter_system_calls(std::move(program));
}

// From now on, that system call fails with `error`, if its argument (counted from 0) has all of `flags`.
inline void refuse(long number, int error, unsigned argument = 0, int flags = 0) {
  const auto bits = static_cast<std::uint32_t>(flags);
  // Of the argument's low half, as the machine is little-endian.
  const std::size_t word = offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t);
  filter_system_calls(
      {load_word(offsetof(seccomp_data, nr)),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 4),
       load_word(word), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
       BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
       answer(SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)), answer(SECCOMP_RET_ALLOW)});
}

// From now on, openat with all of these flags fails with `error`.
inline void refuse_open(int flags, int error) { refuse(SYS_openat, error, 2, flags); }

}  // namespace process

#endif  // ATOLL_TESTS_SYSTEM_CALLS_H_
