// The header word: the 16 bytes that are a slot, their one compare-and-swap, and every memory order
// of the slot protocol. Not part of the public interface; installed because the hot paths inline.
//
//   payload (64)  the number's bits, or up to 8 bytes of text, or {length, buffer} of longer text
//   meta    (64)  version (55) | waiters (1) | inline length (4) | tag (4)
//
// Invariants
//   H1  A versioned header changes only by `compare_exchange`, whole, and every change of the value
//       raises the version by one. A version never comes twice (2^55 writes: a thousand years at one
//       a microsecond).
//   H2  The tag of a pinned slot never changes after creation; nor does a versioned slot ever get a
//       pinned tag. So "see the tag, then one locked instruction on the payload" has no race.
//   H3  There is no state in which a writer has begun and others must wait for it to end.
//   B1  A buffer's owner word is 0 or the number of the participant that claims it.
//   B2  Only the owner of a buffer writes its text and its sequence, and only while the header does
//       not name it. Only the owner makes the header name it.
//   B3  The sequence of a buffer rises before its text changes, never after.
//
// Edges, each labelled at both of its ends; docs/algorithm.md argues them one by one.
//   [edge:publish]  a header is swapped in       ->  a reader that read that header
//   [edge:claim]    an owner lets a buffer go    ->  the next owner
//   [edge:reuse]    an owner begins to overwrite ->  a reader that saw one of the new bytes
//   [edge:pinned]   a pinned payload is written  ->  a reader of that payload
//   [edge:sleep]    a waiter marks the header    ->  the writer that swaps it, and wakes
//   [edge:wait-word]  a waiter marks the wait word of a pinned slot, then looks at the payload
//                     ->  a writer that writes the payload, then looks at the wait word
//
// The 16-byte instruction is inline assembly, so that neither this library nor its users need a
// compiler flag for it, and libatomic (which may take a lock) is never called. Reading the halves
// with 8-byte loads beside a 16-byte compare-and-swap is outside the C++ memory model; what both
// processors promise about it is in docs/algorithm.md.

#ifndef ATOLL_DETAIL_HEADER_WORD_H_
#define ATOLL_DETAIL_HEADER_WORD_H_

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <type_traits>

#if defined(__SANITIZE_THREAD__)
#define ATOLL_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ATOLL_THREAD_SANITIZER 1
#endif
#endif

#if defined(ATOLL_THREAD_SANITIZER)
// The sanitizer does not see the 16-byte instruction: these tell it that meta is released and
// acquired there. The readers' loads of meta it sees as they are.
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace libatoll::detail {

// 0 is no tag, so that zeroed memory is not mistaken for a slot.
enum class Tag : std::uint8_t {
  kNone = 1,
  kBool,
  kInt64,
  kDouble,
  kInlineText,
  kInlineBytes,
  kLongText,
  kLongBytes,
  kPinnedInt64,
  kPinnedDouble,
};

// ---- The bits -----------------------------------------------------------------------------------

inline constexpr std::uint64_t kTagMask = 0xf;
inline constexpr int kInlineLengthShift = 4;
inline constexpr std::uint64_t kInlineLengthMask = 0xf;
// Both together: the tag itself, unless it is one of inline text.
inline constexpr std::uint64_t kTagByteMask = 0xff;
inline constexpr std::uint64_t kWaitersBit = std::uint64_t{1} << 8;
inline constexpr int kVersionShift = 9;
inline constexpr std::uint32_t kInlineTextMax = 8;

// A header as it was read, or as it is to be: an ordinary value, in nobody's shared memory.
struct Word {
  std::uint64_t payload = 0;
  std::uint64_t meta = 0;

  Tag tag() const { return static_cast<Tag>(meta & kTagMask); }
  std::uint32_t inline_length() const {
    return static_cast<std::uint32_t>(meta >> kInlineLengthShift & kInlineLengthMask);
  }
  bool has_waiters() const { return (meta & kWaitersBit) != 0; }
  std::uint64_t version() const { return meta >> kVersionShift; }
  // For tags other than those of inline text: that tag, and no inline length, which would be
  // impossible.
  bool is(Tag tag) const { return (meta & kTagByteMask) == static_cast<std::uint64_t>(tag); }
  bool is_pinned() const { return is(Tag::kPinnedInt64) || is(Tag::kPinnedDouble); }
  bool is_int64() const { return is(Tag::kInt64) || is(Tag::kPinnedInt64); }
  bool is_double() const { return is(Tag::kDouble) || is(Tag::kPinnedDouble); }
  bool is_long() const { return tag() == Tag::kLongText || tag() == Tag::kLongBytes; }

  // Of longer text alone.
  std::uint64_t long_length() const { return payload >> 8; }
  std::uint32_t buffer() const { return static_cast<std::uint32_t>(payload & 0xff); }
  bool names_buffer(std::uint32_t index) const { return is_long() && buffer() == index; }

  friend bool operator==(const Word&, const Word&) = default;
};

inline constexpr std::uint64_t kLongLengthMax = (std::uint64_t{1} << 56) - 1;

constexpr std::uint64_t long_payload(std::uint64_t length, std::uint32_t buffer) {
  return length << 8 | buffer;
}

constexpr std::uint64_t make_meta(std::uint64_t version, Tag tag, std::uint32_t inline_length = 0) {
  return version << kVersionShift |
         static_cast<std::uint64_t>(inline_length) << kInlineLengthShift |
         static_cast<std::uint64_t>(tag);
}

// What follows `seen` when a write replaces it: the next version, and nobody waiting.
inline Word successor(const Word& seen, std::uint64_t payload, Tag tag,
                      std::uint32_t inline_length = 0) {
  return {payload, make_meta(seen.version() + 1, tag, inline_length)};
}

// ---- The shared words ---------------------------------------------------------------------------

struct alignas(16) Header {
  std::atomic<std::uint64_t> payload;
  std::atomic<std::uint64_t> meta;
};
static_assert(sizeof(Header) == 16, "the header is one 16-byte compare-and-swap wide");
static_assert(std::atomic<std::uint64_t>::is_always_lock_free,
              "words in shared memory cannot hide a lock of one process");
static_assert(std::endian::native == std::endian::little,
              "the futex word is the low half of meta, which must lie first");

// Reads each half once, so the payload may belong to a later header than the meta. For who looks twice
// in any case: if the next look finds the same version, no swap lay between the two looks at meta (H1),
// and the payload read between them belongs to it. A pinned slot's meta never moves; its payload is a
// value of its own.
inline Word read_halves(const Header& header) {
  // [edge:publish] acquire: what the writer did before its swap is visible to us: the text it
  // copied, and that it owned the buffer. seq_cst: see pinned_load().
  const std::uint64_t meta = header.meta.load(std::memory_order_seq_cst);
  // [edge:publish] acquire, for the order of our own loads: the second look at meta must not be
  // taken before this one. seq_cst: where the slot is pinned, this is pinned_load().
  const std::uint64_t payload = header.payload.load(std::memory_order_seq_cst);
  return {payload, meta};
}

// Reads both halves as they were at one instant. Lock-free: goes round again only because another
// write completed in between.
inline Word read(const Header& header) {
  for (;;) {
    const Word seen = read_halves(header);
    // relaxed: a stale value here can only be `seen.meta` itself, and then nothing came between.
    if (header.meta.load(std::memory_order_relaxed) == seen.meta) [[likely]] {
      return seen;
    }
  }
}

// Reads the version alone, of a header that was read before in halves.
inline std::uint64_t read_version(const Header& header) {
  // [edge:publish] acquire. seq_cst: as in read_halves(), of which this is the second time.
  return Word{.meta = header.meta.load(std::memory_order_seq_cst)}.version();
}

// Reads meta alone. relaxed: used to compare with a meta that was read before, after an acquire
// load; a stale value can only say "unchanged", as a moment earlier was true.
inline std::uint64_t reread_meta(const Header& header) {
  return header.meta.load(std::memory_order_relaxed);
}

// The tag, of a slot which the caller treats further only if it is pinned; something else for inline
// text. relaxed: a pinned tag has been there since creation (H2), so there is no older value that
// could be read.
inline Tag peek_tag(const Header& header) {
  return static_cast<Tag>(header.meta.load(std::memory_order_relaxed) & kTagByteMask);
}

#if defined(__x86_64__)

// True if `expected` was there and `desired` now is; in `expected`, what was there. The lock prefix is
// a full barrier for the processor; "memory" is one for the compiler.
inline bool compare_exchange_16(Header& header, Word& expected, const Word& desired) {
  bool swapped;
  asm volatile("lock cmpxchg16b %[header]"
               : "=@ccz"(swapped), [header] "+m"(header), "+a"(expected.payload),
                 "+d"(expected.meta)
               : "b"(desired.payload), "c"(desired.meta)
               : "memory");
  return swapped;
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_ATOMICS)

// As above. From ARMv8.1 on, one instruction, whose acquire (a) and release (l) together make a full
// barrier.
inline bool compare_exchange_16(Header& header, Word& expected, const Word& desired) {
  const Word wanted = expected;
  const Word stored = desired;
  // The instruction takes pairs of neighbouring registers, the first one even. No constraint asks for
  // that, so they are named. Nothing is called or computed while they are in use.
  register std::uint64_t payload asm("x0") = wanted.payload;
  register std::uint64_t meta asm("x1") = wanted.meta;
  register std::uint64_t new_payload asm("x2") = stored.payload;
  register std::uint64_t new_meta asm("x3") = stored.meta;
  asm volatile("caspal %[payload], %[meta], %[new_payload], %[new_meta], %[header]"
               : [payload] "+r"(payload), [meta] "+r"(meta), [header] "+Q"(header)
               : [new_payload] "r"(new_payload), [new_meta] "r"(new_meta)
               : "memory");
  expected = {payload, meta};
  return expected == wanted;
}

#elif defined(__aarch64__)

// As above. For every AArch64, a pair of exclusives: in one block, so that the compiler puts no access
// of its own between them, which might take the reservation away each time round. The two halves that
// are loaded are known to be of one header only once a store to it succeeds, so where they are not
// what was expected, they are stored back. A later load could still be done before the store; `dmb`
// makes the whole a full barrier.
inline bool compare_exchange_16(Header& header, Word& expected, const Word& desired) {
  const Word wanted = expected;
  Word stored;
  std::uint32_t lost;
  asm volatile(
      "1:\n\t"
      "ldaxp %[payload], %[meta], %[header]\n\t"
      "cmp %[payload], %[wanted_payload]\n\t"
      "ccmp %[meta], %[wanted_meta], #0, eq\n\t"
      "csel %[stored_payload], %[new_payload], %[payload], eq\n\t"
      "csel %[stored_meta], %[new_meta], %[meta], eq\n\t"
      "stlxp %w[lost], %[stored_payload], %[stored_meta], %[header]\n\t"
      "cbnz %w[lost], 1b\n\t"
      "dmb ish"
      : [payload] "=&r"(expected.payload), [meta] "=&r"(expected.meta),
        [stored_payload] "=&r"(stored.payload), [stored_meta] "=&r"(stored.meta),
        [lost] "=&r"(lost), [header] "+Q"(header)
      : [wanted_payload] "r"(wanted.payload), [wanted_meta] "r"(wanted.meta),
        [new_payload] "r"(desired.payload), [new_meta] "r"(desired.meta)
      : "memory", "cc");
  return expected == wanted;
}

#else
#error "atoll needs a 16-byte compare-and-swap: x86-64 or AArch64"
#endif

// Swaps `desired` in where the header is `expected`; otherwise tells in `expected` what it is. A full
// barrier where it swaps: a later read of another slot is not done before.
// [edge:publish] release: everything this writer did (the text it copied) comes before the swap.
// [edge:publish] acquire, on success and on failure: what is found was published by somebody.
inline bool compare_exchange(Header& header, Word& expected, const Word& desired) {
#if defined(ATOLL_THREAD_SANITIZER)
  __tsan_release(&header.meta);
#endif
  const bool swapped = compare_exchange_16(header, expected, desired);
#if defined(ATOLL_THREAD_SANITIZER)
  __tsan_acquire(&header.meta);
#endif
  return swapped;
}

// Between two looks of a loop that waits.
inline void relax_processor() {
#if defined(__x86_64__)
  asm volatile("pause");
#else
  asm volatile("yield");
#endif
}

// What a writer does whose swap came second: steps aside, longer each time, so that the other one can
// go on for a while with the lines in its cache. (Dice, Hendler and Mirsky, "Lightweight contention
// management for efficient compare-and-swap operations", Euro-Par 2013.)
class Contention {
 public:
  void step_aside() {
    for (int i = 0; i < spins_; ++i) {
      relax_processor();
    }
    spins_ = std::min(2 * spins_, kSpinsMax);
  }

 private:
  static constexpr int kSpinsMax = 256;
  int spins_ = 32;
};

// Writes a header that nobody else can see yet. relaxed: publishing the segment orders it.
inline void initialize(Header& header, const Word& word) {
  header.payload.store(word.payload, std::memory_order_relaxed);
  header.meta.store(word.meta, std::memory_order_relaxed);
}

// ---- Pinned payloads ----------------------------------------------------------------------------
//
// Each write is a sequentially consistent read-modify-write: [edge:pinned] release for those who
// read the value, and a full barrier before the look at the wait word that follows it.

// The payload's bits as the number T.
template <typename T>
inline T from_bits(std::uint64_t bits) {
  return std::bit_cast<T>(bits);
}
template <typename T>
inline std::uint64_t to_bits(T value) {
  return std::bit_cast<std::uint64_t>(value);
}

template <typename T>
inline T pinned_load(const Header& header) {
  // [edge:pinned] acquire: what the writer did before is visible to us.
  // [edge:wait-word] acquire: seq_cst, after the waiter's mark. And after any earlier write of ours to
  // another pinned slot, without which slots would be linearizable each, but not together.
  return from_bits<T>(header.payload.load(std::memory_order_seq_cst));
}

// Wait-free.
template <typename T>
inline T pinned_exchange(Header& header, T value) {
  // [edge:pinned] release (and acquire): see above.
  return from_bits<T>(header.payload.exchange(to_bits(value), std::memory_order_seq_cst));
}

// Wait-free; wraps as std::atomic does.
inline std::int64_t pinned_fetch_add(Header& header, std::int64_t operand) {
  // [edge:pinned] release (and acquire): see above.
  return from_bits<std::int64_t>(
      header.payload.fetch_add(to_bits(operand), std::memory_order_seq_cst));
}
inline std::int64_t pinned_fetch_and(Header& header, std::int64_t operand) {
  // [edge:pinned] release (and acquire): see above.
  return from_bits<std::int64_t>(
      header.payload.fetch_and(to_bits(operand), std::memory_order_seq_cst));
}
inline std::int64_t pinned_fetch_or(Header& header, std::int64_t operand) {
  // [edge:pinned] release (and acquire): see above.
  return from_bits<std::int64_t>(
      header.payload.fetch_or(to_bits(operand), std::memory_order_seq_cst));
}
inline std::int64_t pinned_fetch_xor(Header& header, std::int64_t operand) {
  // [edge:pinned] release (and acquire): see above.
  return from_bits<std::int64_t>(
      header.payload.fetch_xor(to_bits(operand), std::memory_order_seq_cst));
}

// Compares bits, as std::atomic does. Tells in `expected` what was found.
template <typename T>
inline bool pinned_compare_exchange(Header& header, T& expected, T desired) {
  std::uint64_t bits = to_bits(expected);
  // [edge:pinned] release (and acquire): see above.
  const bool swapped =
      header.payload.compare_exchange_strong(bits, to_bits(desired), std::memory_order_seq_cst);
  expected = from_bits<T>(bits);
  return swapped;
}

// Lock-free: replaces the value v by next(v), and returns v.
template <typename T, typename Next>
inline T pinned_update(Header& header, Next next) {
  T seen = pinned_load<T>(header);
  while (!pinned_compare_exchange(header, seen, next(seen))) {
  }
  return seen;
}

// ---- Waiting ------------------------------------------------------------------------------------
//
// Versioned slots. A waiter sets the waiters bit of the header that he is content with, and sleeps
// on the low half of meta while that is unchanged, which the kernel looks at as it puts him to sleep.
// A swap replaces the header and the bit with it, and whoever swapped a header with the bit out
// wakes all sleepers. So nobody sleeps on a header that has been replaced, but for one case: a writer
// killed between its swap and its wake. Waiters therefore look again from time to time.
//
// Pinned slots. Beside the header stands a wait word, {sequence (31) | waiting (1)}. A waiter sets
// its bit and then looks at the payload; a writer writes the payload and then looks at the bit. All
// four are sequentially consistent, so at least one of the two sees the other.

using WaitWord = std::atomic<std::uint32_t>;
inline constexpr std::uint32_t kWaiting = 1;

// Sets the waiters bit where the header is `seen`, and there too; otherwise tells what it is.
inline bool mark_waited(Header& header, Word& seen) {
  const Word marked = {seen.payload, seen.meta | kWaitersBit};
  // [edge:sleep] release (and acquire): the swap that replaces this header finds the bit in it.
  if (!compare_exchange(header, seen, marked)) {
    return false;
  }
  seen = marked;
  return true;
}

// The futex word of a versioned slot, and what it holds while the header is `seen`.
inline const void* futex_word(const Header& header) { return &header.meta; }
inline std::uint32_t futex_value(const Word& seen) { return static_cast<std::uint32_t>(seen.meta); }

// Returns what the wait word holds while nobody has written since.
inline std::uint32_t mark_waited(WaitWord& word) {
  // [edge:wait-word] release, [edge:wait-word] acquire: seq_cst, before the waiter's look at the
  // payload.
  return word.fetch_or(kWaiting, std::memory_order_seq_cst) | kWaiting;
}

// After a write of the payload: whether somebody may be asleep.
inline bool is_waited(const WaitWord& word) {
  // [edge:wait-word] acquire: seq_cst, after the write of the payload.
  return (word.load(std::memory_order_seq_cst) & kWaiting) != 0;
}

// Takes the mark away, so that no sleeper's futex value stays; false if another writer did.
inline bool clear_waited(WaitWord& word) {
  // relaxed: a stale value makes the compare-and-swap below fail, or is one without the mark, which
  // another writer has taken away and answers for.
  std::uint32_t seen = word.load(std::memory_order_relaxed);
  // [edge:wait-word] release, [edge:wait-word] acquire: seq_cst, as the others.
  return (seen & kWaiting) != 0 &&
         word.compare_exchange_strong(seen, seen + kWaiting, std::memory_order_seq_cst);
}

// Wake all sleepers. Out of line, in src/futex.cc: one system call each.
void wake_waiters(Header& header);
void wake_waiters(WaitWord& word);

// `compare_exchange` for writes of a value: wakes those who waited for it.
inline bool swap_in(Header& header, Word& expected, const Word& desired) {
  if (!compare_exchange(header, expected, desired)) {
    return false;
  }
  if (expected.has_waiters()) [[unlikely]] {  // [edge:sleep] acquire: see compare_exchange
    wake_waiters(header);
  }
  return true;
}

// After every write of a pinned payload.
inline void wake_if_waited(WaitWord& word) {
  if (is_waited(word)) [[unlikely]] {
    wake_waiters(word);
  }
}

// ---- Buffers of longer text ---------------------------------------------------------------------

// Lies behind each buffer's text.
struct BufferControl {
  std::atomic<std::uint64_t> owner;     // B1
  std::atomic<std::uint64_t> sequence;  // B3: how often the text has been overwritten
};
static_assert(sizeof(BufferControl) == 16, "part of the layout of the segment");

inline constexpr std::uint64_t kNoOwner = 0;

// Who claims the buffer. relaxed: only a hint of whom to ask about; the claim itself is a
// compare-and-swap against the value read here.
inline std::uint64_t peek_owner(const BufferControl& control) {
  return control.owner.load(std::memory_order_relaxed);
}

// Makes `self` the owner where `from` (nobody, or a dead participant) is.
inline bool try_claim(BufferControl& control, std::uint64_t from, std::uint64_t self) {
  // [edge:claim] acquire: whoever made this buffer current let it go afterwards, so the header that
  // we read next is that one or a later one. (A dead owner let nothing go: there the kernel orders
  // its last instruction before the news of its death.) relaxed on failure: nothing was learnt.
  return control.owner.compare_exchange_strong(from, self, std::memory_order_acquire,
                                               std::memory_order_relaxed);
}

inline void release_claim(BufferControl& control) {
  // [edge:claim] release: our swap of the header, and all that we wrote, come first.
  control.owner.store(kNoOwner, std::memory_order_release);
}

// The owner, having seen that the header does not name the buffer, is about to overwrite its text.
inline void begin_overwrite(BufferControl& control) {
  // relaxed: only the owner writes the sequence (B2), so this is the latest.
  const std::uint64_t sequence = control.sequence.load(std::memory_order_relaxed);
  // [edge:reuse] release: a reader that meets this sequence when it begins then also meets a header
  // later than the one that named the buffer.
  control.sequence.store(sequence + 1, std::memory_order_release);
  // [edge:reuse] release: no byte of the new text is visible before the sequence is.
  std::atomic_thread_fence(std::memory_order_release);
}

// A reader begins: the sequence of the buffer that the header names.
inline std::uint64_t begin_copy(const BufferControl& control) {
  // [edge:reuse] acquire: the look at the header that follows sees at least what the overwriter saw.
  return control.sequence.load(std::memory_order_acquire);
}

// A reader has copied: true if the text was whole, that is, nobody began to overwrite it.
inline bool end_copy(const BufferControl& control, std::uint64_t sequence) {
  // [edge:reuse] acquire: if one of the bytes that we copied was new, the new sequence is visible.
  std::atomic_thread_fence(std::memory_order_acquire);
  // relaxed: the fence above orders it; a value older than the bytes is what the fence forbids.
  return control.sequence.load(std::memory_order_relaxed) == sequence;
}

}  // namespace libatoll::detail

#endif  // ATOLL_DETAIL_HEADER_WORD_H_
