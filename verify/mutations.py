"""The mutations of script/mutate: each takes one protective step of the code away."""

import dataclasses
from typing import List, Optional, Tuple


@dataclasses.dataclass
class Mutation:
    name: str
    breaks: str
    edits: List[Tuple[str, str, str]]  # file, what stands there once, what to put there
    tests: List[str]  # that have to notice, the likeliest first
    invisible: Optional[str] = None  # why this processor cannot show it


HEADER = "include/atoll/detail/header_word.h"
BUFFERS = "src/text_buffers.cc"
TORN = "torn_text_process_test"
KILLED = "killed_writer_process_test"
FORGED = "text_buffers_test"
EVERY = "every_instruction_process_test"
ORDERS = "wait_interleaving_process_test"
X86 = "x86-64 keeps this order by itself; the fence stops the compiler only"

MUTATIONS = [
    # ---- The header ----
    Mutation("split-swap", "the two halves of a header are swapped one after the other", [
        (HEADER, "  asm volatile(\"lock cmpxchg16b %[header]\"\n"
                 "               : \"=@ccz\"(swapped), [header] \"+m\"(header), \"+a\"(expected.payload),\n"
                 "                 \"+d\"(expected.meta)\n"
                 "               : \"b\"(desired.payload), \"c\"(desired.meta)\n"
                 "               : \"memory\");\n",
         "  std::uint64_t meta = expected.meta;\n"
         "  swapped = header.payload.load() == expected.payload && header.meta.load() == meta;\n"
         "  if (swapped) {\n"
         "    header.payload.store(desired.payload);\n"
         "    header.meta.store(desired.meta);\n"
         "  } else {\n"
         "    expected = {header.payload.load(), header.meta.load()};\n"
         "  }\n")],
        ["increments_process_test", TORN]),
    Mutation("no-version", "a write does not raise the version", [
        (HEADER, "make_meta(seen.version() + 1, tag, inline_length)", "make_meta(seen.version(), tag, inline_length)")],
        ["slot_test"]),
    Mutation("no-second-meta", "a reader does not compare the two readings of meta", [
        (HEADER, "if (header.meta.load(std::memory_order_relaxed) == seen.meta) [[likely]] {", "if (true) {")],
        ["header_word_test", "torn_text_process_test"]),
    # ---- Text: the writer ----
    Mutation("no-second-look", "a writer does not read the header again after claiming", [
        (BUFFERS, "    if (!seen_.names_buffer(index)) {\n      control_ = &control;",
         "    if (true) {\n      control_ = &control;")],
        [FORGED, KILLED, TORN]),
    Mutation("no-second-look-in-histories", "the same, and histories have to show it", [
        (BUFFERS, "    if (!seen_.names_buffer(index)) {\n      control_ = &control;",
         "    if (true) {\n      control_ = &control;")],
        ["linearizability_process_test"]),
    Mutation("copy-after-publish", "the text is copied after the header is swapped", [
        (BUFFERS, "  begin_overwrite(*control_);\n", "  begin_overwrite(*control_);\n  late_ = text;\n  late_to_ = buffers.text(index);\n  payload_ = long_payload(text.size(), index);\n  return StageResult::kStaged;\n"),
        ("src/text_buffers.h", "      release_claim(*control_);\n", "      copy_to_shared(late_to_, late_);\n      release_claim(*control_);\n"),
        ("src/text_buffers.h", "#include \"seam.h\"\n", "#include \"seam.h\"\n#include \"shared_copy.h\"\n"),
        ("src/text_buffers.h", "  BufferControl* control_ = nullptr;\n", "  BufferControl* control_ = nullptr;\n  std::string_view late_;\n  std::byte* late_to_ = nullptr;\n")],
        [TORN, KILLED]),
    Mutation("release-before-publish", "the claim is let go before the header is swapped", [
        (BUFFERS, "  payload_ = long_payload(text.size(), index);\n", "  release_claim(*control_);\n  payload_ = long_payload(text.size(), index);\n")],
        [TORN, KILLED]),
    Mutation("never-release", "a writer does not let its buffer go", [
        ("src/text_buffers.h", "      release_claim(*control_);\n", "")],
        [FORGED, "slot_test"]),
    Mutation("no-claim", "a writer takes a buffer that another one has", [
        (BUFFERS, "    if (from != kNoOwner) {\n", "    if (false) {\n"),],
        [FORGED, KILLED]),
    Mutation("no-sequence", "the sequence is not raised before the text is overwritten", [
        (HEADER, "control.sequence.store(sequence + 1, std::memory_order_release);", "control.sequence.store(sequence, std::memory_order_release);")],
        [FORGED, KILLED, TORN]),
    Mutation("sequence-after-copy", "the sequence is raised after the text is overwritten", [
        (BUFFERS, "  begin_overwrite(*control_);\n", ""),
        (BUFFERS, "  payload_ = long_payload(text.size(), index);\n", "  begin_overwrite(*control_);\n  payload_ = long_payload(text.size(), index);\n")],
        [KILLED, TORN]),
    Mutation("no-overwrite-fence", "no fence between the sequence and the copy", [
        (HEADER, "  std::atomic_thread_fence(std::memory_order_release);\n", "")],
        [TORN], X86),
    Mutation("claim-relaxed", "claiming does not acquire", [
        (HEADER, "compare_exchange_strong(from, self, std::memory_order_acquire,\n", "compare_exchange_strong(from, self, std::memory_order_relaxed,\n")],
        [TORN], "on x86-64 the locked instruction orders by itself"),
    Mutation("unclaim-relaxed", "letting a buffer go does not release", [
        (HEADER, "control.owner.store(kNoOwner, std::memory_order_release);", "control.owner.store(kNoOwner, std::memory_order_relaxed);")],
        [TORN], "on x86-64 stores are not reordered with stores"),
    # ---- Text: the reader ----
    Mutation("no-last-sequence", "a reader does not look at the sequence after copying", [
        (HEADER, "return control.sequence.load(std::memory_order_relaxed) == sequence;", "return control.sequence.load(std::memory_order_relaxed) >= sequence;")],
        [FORGED, KILLED, TORN]),
    Mutation("no-meta-after-sequence", "a reader does not look at the header after noting the sequence", [
        ("src/text_buffers.h", "  if (reread_meta(header) != seen.meta) {\n    return false;\n  }\n", "")],
        [TORN, EVERY]),
    Mutation("no-copy-fence", "no fence between the copy and the last look at the sequence", [
        (HEADER, "  std::atomic_thread_fence(std::memory_order_acquire);\n", "")],
        [TORN], X86),
    Mutation("unbounded-length", "a length or buffer number is believed unseen", [
        ("src/text_buffers.h", "seen.long_length() <= buffers.capacity && seen.buffer() < buffers.count;",
         "(seen.long_length() <= buffers.capacity || seen.buffer() < buffers.count);")],
        ["layout_test"]),
    Mutation("descriptor-past-the-end", "buffers past the end of the segment are believed", [
        ("src/layout.h", "  if (stride * view.buffers_per_slot > view.bytes - offset) {", "  if (false) {")],
        ["forged_states_test"]),
    Mutation("unaligned-descriptor", "buffers that are not aligned are believed", [
        ("src/layout.h", "offset % 8 != 0 || ", "")],
        ["forged_states_test"]),
    Mutation("no-unstage", "a write that fails keeps its claim", [
        ("src/text_buffers.h", "~StagedText() { release(); }", "~StagedText() {}")],
        ["forged_states_test"]),
    # ---- The dead ----
    Mutation("never-take-over", "a dead writer's claim is never taken over", [
        (BUFFERS, "if (!ask_for_the_dead || self.may_live(from)) {", "if (!ask_for_the_dead || true) {")],
        [FORGED, EVERY, KILLED]),
    Mutation("take-over-the-living", "a live writer's claim is taken over", [
        (BUFFERS, "if (!ask_for_the_dead || self.may_live(from)) {", "if (!ask_for_the_dead) {")],
        [FORGED, "storm_process_test", KILLED]),
    Mutation("share-description", "a child of fork keeps its parent's description", [
        ("src/participants.cc", "  fd_ = open_anew(parents);\n", "  fd_ = fcntl(parents, F_DUPFD_CLOEXEC, 0);\n")],
        ["fork_process_test"]),
    Mutation("share-number", "a child of fork keeps its parent's number", [
        ("src/participants.cc", "      each->rejoin_in_child();\n", "")],
        ["fork_process_test"]),
    Mutation("number-before-lock", "a participant has its number before its lock", [
        ("src/participants.cc", "    if (fcntl(fd_, F_OFD_SETLK, &lock) == 0) {\n      // relaxed: see number_.\n", "    {\n      // relaxed: see number_.\n")],
        ["participants_test", "participants_process_test", KILLED]),
    Mutation("reused-numbers", "numbers come twice", [
        ("src/participants.cc", "    const std::uint64_t number = numbers_->fetch_add(1, std::memory_order_relaxed) + 1;\n    if (number == 0", "    const std::uint64_t number = static_cast<std::uint64_t>(attempt) + 1;\n    if (number == 0")],
        ["participants_test", "participants_process_test"]),
    # ---- Waiting ----
    Mutation("wake-before-swap", "waiters are woken before the header is swapped", [
        (HEADER, "  if (!compare_exchange(header, expected, desired)) {\n    return false;\n  }\n  if (expected.has_waiters()) [[unlikely]] {",
         "  if (expected.has_waiters()) {\n    wake_waiters(header);\n  }\n  if (!compare_exchange(header, expected, desired)) {\n    return false;\n  }\n  if (false) {")],
        [ORDERS, "wait_process_test"]),
    Mutation("never-wake", "nobody is woken", [
        (HEADER, "  if (expected.has_waiters()) [[unlikely]] {", "  if (false) {")],
        [ORDERS, "wait_process_test"]),
    Mutation("unmarked-sleep", "a waiter sleeps without marking the header", [
        ("src/wait.cc", "while (!seen.has_waiters() && !detail::mark_waited(*slot.header_, seen));", "while (false);")],
        [ORDERS, "wait_process_test"]),
    Mutation("pinned-look-before-mark", "a waiter looks at a pinned payload, then marks the wait word", [
        ("src/wait.cc", "      waits_[which] = {&word, detail::mark_waited(word)};\n      return look(which);  // once more, now that writers will see the mark\n",
         "      const std::optional<Stamp> early = look(which);\n      waits_[which] = {&word, detail::mark_waited(word)};\n      return early;\n")],
        [ORDERS, "wait_process_test"]),
    Mutation("pinned-wake-before-write", "a writer looks at the wait word, then writes the payload", [
        ("include/atoll/slot.h", "  T exchange(T value) const { return woken(pinned_exchange(*header_, value)); }",
         "  T exchange(T value) const {\n    wake_if_waited(*wait_word_);\n    return pinned_exchange(*header_, value);\n  }")],
        [ORDERS, "wait_process_test"]),
    # ---- Pinned slots ----
    Mutation("pinned-as-another", "a slot passes for pinned because one with the same place is", [
        ("include/atoll/detail/view.h", "    return index * (kTagMask + 1) + static_cast<std::uint64_t>(tag);  // never 0\n",
         "    return index % kPlaces * (kTagMask + 1) + static_cast<std::uint64_t>(tag);\n")],
        ["slot_test"]),
    Mutation("pinned-to-another-type", "a slot known to be pinned passes for pinned to any type", [
        ("include/atoll/detail/view.h", "    return index * (kTagMask + 1) + static_cast<std::uint64_t>(tag);  // never 0\n",
         "    return index * (kTagMask + 1) + (static_cast<std::uint64_t>(tag) != 0 ? 1 : 0);\n")],
        ["slot_test"]),
    # ---- Stamps and snapshots ----
    Mutation("stamp-by-value", "a stamp compares the value and not the version", [
        ("src/slot.cc", "    if (Stamp(seen) != expected) {\n", "    if (seen.payload != expected.word_.payload || seen.tag() != expected.word_.tag()) {\n")],
        ["stamp_test"]),
    Mutation("single-collect", "a snapshot does not look a second time", [
        ("src/snapshot.cc", "      if (!slot.is_still(seen[i])) [[unlikely]] {\n", "      if (false) {\n")],
        ["snapshot_process_test"]),
    Mutation("single-collect-numbers", "a snapshot of numbers does not look a second time", [
        ("src/snapshot.cc", "    if (are_still<T>(view(), values, versions)) {\n", "    {\n")],
        ["snapshot_process_test"]),
    # ---- Creation ----
    Mutation("name-before-content", "the name appears before the segment is built", [
        ("src/creation.cc", "    build(mapping->data(), *shape, plan, values);\n    auto owned", "    if (absl::Status early = file->publish(*place, options.mode); !early.ok()) {\n      return early;\n    }\n    detail::pass(detail::Seam::kBuilt);\n    build(mapping->data(), *shape, plan, values);\n    auto owned"),
        ("src/creation.cc", "    if (absl::Status status = file->publish(*place, options.mode); !status.ok()) {\n      return status;\n    }\n", "")],
        [EVERY, "creation_race_process_test"]),
    Mutation("no-pages", "the pages of a segment are not reserved", [
        ("src/segment.cc", "    error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));\n", "    error = ftruncate(fd, static_cast<off_t>(bytes)) == 0 ? 0 : errno;\n")],
        ["errors_test"]),
]
