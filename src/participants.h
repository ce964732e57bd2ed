// Participants: who may claim buffers, and whether they live.
//
// A participant is one open handle of one process. It has a number, drawn from a counter in the
// segment and never drawn again, and holds a lock on "its" byte of the segment's file, far behind
// the file's end. The lock belongs to an open file description that nobody else shares (F_OFD_SETLK),
// so the kernel drops it when the process ends, however it ends. No process id is involved: pid
// reuse, threads and separate pid namespaces do no harm.
//
// Invariants
//   P1  A number is given out at most once in the life of a segment, so a claim that carries a dead
//       participant's number can never look alive again, and nobody has to sweep behind the dead.
//   P2  A participant holds its lock before its number can appear in an owner word.
//   P3  The description that holds the lock is shared with no other process. It is opened here, for the
//       lock alone: a mapping made through it would keep it open in a child of fork. `fork` waits
//       while one is being opened, and gives the child descriptions and numbers of its own before any
//       other code of the child runs.
//   P4  Who holds a lock on all of these bytes (`lock_out_participants`) knows that nobody takes part,
//       and that nobody joins until he lets go.
//
// A list in the caller's memory has no file: there, everybody counts as alive.

#ifndef ATOLL_SRC_PARTICIPANTS_H_
#define ATOLL_SRC_PARTICIPANTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace libatoll::detail {

class Participant {
 public:
  Participant() = default;
  ~Participant() { leave(); }
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;

  // Registers. Opens the file of `fd` anew, through /proc/self/fd; `numbers` is the segment's counter.
  // A reader (`writable` false) takes part in the count alone. `label` names the list in messages.
  // DataLoss if the counter is impossible; Unavailable while somebody locks participants out; else
  // the kernel's refusal to open or to lock.
  absl::Status join(int fd, std::atomic<std::uint64_t>& numbers, bool writable,
                    std::string_view label);
  // The same without a file.
  absl::Status join_without_file(std::atomic<std::uint64_t>& numbers, std::string_view label);
  // Gives the lock and the descriptor back; the number is not used again.
  void leave();

  // What to write into an owner word; 0 if this process could not register after a fork. relaxed:
  // see number_.
  std::uint64_t number() const { return number_.load(std::memory_order_relaxed); }

  // The descriptor that holds the lock; -1 without a file.
  int fd() const { return fd_; }

  // Whether the participant of that number may still be running. One system call. Answers yes where
  // it cannot tell.
  bool may_live(std::uint64_t number) const;

  // How many participants live, this one included; 1 without a file.
  std::size_t count() const;

 private:
  friend struct ForkHandlers;
  int open_anew(int fd) const;
  bool take_number();
  void rejoin_in_child();

  int fd_ = -1;
  bool writable_ = false;
  std::atomic<std::uint64_t>* numbers_ = nullptr;
  // relaxed: written when the handle is opened and in the child of fork, where one thread runs.
  std::atomic<std::uint64_t> number_ = 0;
  // The list of all participants of this process, for fork.
  Participant* next_ = nullptr;
  Participant* previous_ = nullptr;
};

// How many participants of the file live, but for one whose own descriptor `fd` is.
std::size_t count_participants(int fd);

// Locks everybody out until `fd`, which is open for writing, is closed. False if somebody takes part
// (errno EAGAIN), or if the kernel refuses.
bool lock_out_participants(int fd);

// Whether that many numbers can have been given out.
bool is_possible_count(std::uint64_t numbers);

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_PARTICIPANTS_H_
