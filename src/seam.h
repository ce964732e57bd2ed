// Places where a test can park a process inside the protocol. Compiled in only for the variant of
// the library that tests link (ATOLL_TEST_SEAMS); elsewhere a seam is nothing at all.

#ifndef ATOLL_SRC_SEAM_H_
#define ATOLL_SRC_SEAM_H_

namespace libatoll::detail {

enum class Seam {
  kClaimed,      // a buffer is claimed, the header not yet read again
  kOverwriting,  // the sequence is raised, half of the text is copied
  kCopied,       // the text is copied, the header not yet swapped
  kPublished,    // the header is swapped, the buffer not yet let go
  kTakingOver,   // an owner was found dead, its claim not yet taken
  kReading,      // a reader has begun to copy text
  kNumberTaken,  // a participant has its number, but no lock on it
  kBuilt,        // a segment is complete, but has no name
  kWaking,       // a write is done, its sleepers not yet woken
  kAnnounced,    // a waiter has marked the slot, but does not sleep yet
  kRescued,      // a waiter that nobody woke found the slot changed when it looked again
  kLockedOut,    // nobody takes part and nobody can, the name not yet unlinked
  kNameLost,     // attached, but the name had gone before
};

#if defined(ATOLL_TEST_SEAMS)

// Called at every seam, on the thread that passes it; nullptr for nothing.
inline void (*seam_hook)(Seam seam) = nullptr;

inline void pass(Seam seam) {
  if (seam_hook != nullptr) {
    seam_hook(seam);
  }
}

#else

inline void pass(Seam) {}

#endif

}  // namespace libatoll::detail

#endif  // ATOLL_SRC_SEAM_H_
