"""The runs of script/verify: the models whole, with one protective step missing, and with a goal."""

import dataclasses
from typing import List, Optional


@dataclasses.dataclass
class Run:
    name: str
    says: str  # what is checked, or what is missing
    model: str
    defines: List[str]
    must_find: Optional[str] = None  # None: nothing may be found
    long: bool = False  # only with --long


# What spin reports, by the name that the table gives it.
FAULTS = {
    "two owners": "(holder[b]==0)",
    "current one written": "payload==b",
    "torn text": "(first_word==second_word)",
    "never current": "fresh>>first_word",
    "stuck": "invalid end state",
    "lost wake-up": "orphan[me]",
    "missed by both": "(saw_payload||saw_mark)",
    "goal reached": "GOAL",
}


def holds(name, says, model, *defines, long=False):
    return Run(name, says, model, list(defines), None, long)


def mutant(model, macro, says, must_find, *defines):
    name = ("pinned-" if "PINNED" in defines else "") + macro.lower().replace("_", "-")
    return Run(name, says, model, [macro, *defines], must_find)


def goals(model, text, *defines):
    """A line each: number, and what is to be reached; perhaps `| more defines`."""
    for line in text.strip().splitlines():
        says, _, more = line.partition("|")
        number, says = says.split(maxsplit=1)
        yield Run(f"goal {says.strip()}", "", model, [f"GOAL={number}", *defines, *more.split()], "goal reached")


# The other writers' reads of the header are one step: that read() is as good as one is what the
# runs without this macro show.
WHOLE = "WHOLE_READS"

RUNS = [
    # ---- The models as the code is ----
    holds("text: 3 writers, a reader", "K 2, every load a step", "text", "DEATHS=0"),
    holds("text: 3 writers, one short, a reader, a waiter", "K 2, the type changes, the header is marked", "text",
          "DEATHS=0", "SHORTS=1", "MARKS=1", WHOLE),
    holds("text: 2 writers, one short, a reader, a waiter", "K 2, every load a step", "text",
          "DEATHS=0", "WRITERS=2", "SHORTS=1", "MARKS=1"),
    holds("text: 2 writers twice, a reader", "K 2, every load a step", "text", "WRITERS=2", "STORES=2", "DEATHS=0"),
    holds("text: 2 writers, a reader, 1 death", "K 2, every load a step", "text", "WRITERS=2", "DEATHS=1"),
    holds("text: 2 writers, a reader, 2 deaths", "K 2", "text", "WRITERS=2", "DEATHS=2", WHOLE),
    holds("text: 3 writers, 1 death", "K 2, every load a step", "text", "READERS=0", "DEATHS=1"),
    holds("text: 3 writers, 1 death, K 3", "in rotation", "text", "K=3", "READERS=0", "DEATHS=1", WHOLE),
    holds("text: 3 writers, a reader, K 3", "in rotation", "text", "K=3", "DEATHS=0", WHOLE),
    holds("text: 3 writers, a reader, 1 death", "K 2", "text", "DEATHS=1", WHOLE),
    holds("text: 3 writers, 2 deaths", "K 2", "text", "READERS=0", "DEATHS=2", WHOLE, long=True),
    holds("text: 2 writers twice, a reader, 1 death", "K 2", "text", "WRITERS=2", "STORES=2", "DEATHS=1", WHOLE, long=True),
    holds("waiting: 3 writers, a waiter", "versioned", "waiting", "WAITERS=1"),
    holds("waiting: 2 writers, 2 waiters", "versioned", "waiting", "WRITERS=2"),
    holds("waiting: 3 writers, a waiter, pinned", "pinned", "waiting", "WAITERS=1", "PINNED"),
    holds("waiting: 2 writers, 2 waiters, pinned", "pinned", "waiting", "WRITERS=2", "ALARMS=0", "PINNED"),
    holds("store buffers", "pinned, [edge:wait-word] with the order that the code asks for", "store_buffer"),

    # ---- Text: one step missing ----
    mutant("text", "NO_CLAIM", "a writer takes a buffer that another has", "two owners", WHOLE),
    mutant("text", "CLAIM_BY_STORE", "claiming is a load and a store", "two owners", WHOLE),
    mutant("text", "NO_SECOND_LOOK", "no second look after a claim", "current one written", WHOLE),
    mutant("text", "TAKE_OVER_WITHOUT_SECOND_LOOK", "no second look after a take-over", "current one written", WHOLE),
    mutant("text", "SEQUENCE_BEFORE_SECOND_LOOK", "the sequence rises before the second look", "torn text", WHOLE),
    mutant("text", "NO_SEQUENCE", "the sequence does not rise", "torn text", WHOLE),
    mutant("text", "SEQUENCE_AFTER_COPY", "the sequence rises after the copy", "torn text", WHOLE),
    mutant("text", "PUBLISH_BEFORE_COPY", "the header is swapped before the copy", "current one written", WHOLE),
    mutant("text", "RELEASE_BEFORE_PUBLISH", "the buffer is let go before the swap", "current one written", WHOLE),
    mutant("text", "NEVER_RELEASE", "the buffer is not let go", "stuck", WHOLE),
    mutant("text", "SPLIT_SWAP", "the halves of the header are stored one by one", "never current", WHOLE),
    mutant("text", "NO_VERSION", "a swap does not raise the version", "torn text", WHOLE),
    mutant("text", "NO_META_COMPARE", "read() does not compare its two metas", "never current", "SHORTS=1", "WRITERS=2", "DEATHS=0"),
    mutant("text", "NO_META_REREAD", "a reader does not look at meta before its copy", "torn text", WHOLE),
    mutant("text", "NO_LAST_LOOK", "a reader does not look at the sequence after its copy", "torn text", WHOLE),
    mutant("text", "TAKE_OVER_LIVE", "a living writer's claim is taken", "two owners", WHOLE),
    mutant("text", "NEVER_TAKE_OVER", "a dead writer's claim is not taken", "stuck", WHOLE),
    mutant("text", "REUSE_NUMBERS", "who comes back has the number of the dead", "stuck", WHOLE),
    mutant("text", "REUSE_AFTER_SWEEP", "the same, but gives back what the dead claimed", "two owners", WHOLE),
    mutant("text", "NUMBER_BEFORE_LOCK", "a number is used before its lock is held", "two owners", WHOLE),

    # ---- Waiting: one step missing ----
    mutant("waiting", "WAKE_BEFORE_SWAP", "sleepers are woken before the swap", "lost wake-up", "WAITERS=1"),
    mutant("waiting", "NEVER_WAKE", "nobody is woken", "lost wake-up", "WAITERS=1"),
    mutant("waiting", "SLEEP_WITHOUT_MARK", "a waiter does not mark the header", "lost wake-up", "WAITERS=1"),
    mutant("waiting", "KERNEL_LOOKS_BEFORE_LOCK", "the kernel looks at the word outside its lock", "lost wake-up", "WAITERS=1"),
    mutant("waiting", "VERSIONS=1", "the half of meta repeats while a waiter falls asleep", "lost wake-up", "WRITERS=2"),
    mutant("waiting", "NEVER_WAKE", "pinned: nobody is woken", "lost wake-up", "PINNED", "WAITERS=1"),
    mutant("waiting", "LOOK_BEFORE_WRITE", "pinned: a writer looks for the mark before it writes", "lost wake-up", "PINNED", "WAITERS=1"),
    mutant("waiting", "LOOK_BEFORE_MARK", "pinned: a waiter looks before his mark, not after", "lost wake-up", "PINNED", "WAITERS=1"),
    mutant("waiting", "SLEEP_WITHOUT_MARK", "pinned: a waiter does not mark", "lost wake-up", "PINNED", "WAITERS=1"),
    mutant("waiting", "WAKE_WITHOUT_CLEARING", "pinned: the mark is not taken away", "lost wake-up", "PINNED", "WAITERS=1"),

    # ---- Store buffers: the order missing at one end ----
    mutant("store_buffer", "WRITER_WITHOUT_FENCE", "the writer's store may pass its look", "missed by both"),
    mutant("store_buffer", "WAITER_WITHOUT_FENCE", "the waiter's mark may pass his look", "missed by both"),

    # ---- The places that the models have to reach ----
    *goals("text", """
        1 a claim is taken over | READERS=0
        2 the second look finds the buffer current | READERS=0 DEATHS=0
        3 a swap is lost, and tried again | SHORTS=1 READERS=0 DEATHS=0
        4 a writer waits for a buffer | READERS=0 DEATHS=0
        5 a reader finds meta moved | WRITERS=2 DEATHS=0
        6 a reader finds the sequence moved | WRITERS=2 DEATHS=0
        7 a reader is outrun | WRITERS=2 DEATHS=0
        8 read() sees two metas | WRITERS=2 DEATHS=0
        9 the taker-over dies, and is taken over | DEATHS=2 READERS=0 WHOLE_READS
        10 the dead had published | READERS=0
        11 a killed writer comes back | READERS=0
        12 a swap takes a mark away | MARKS=1 WRITERS=2 DEATHS=0
        """),
    *goals("waiting", """
        1 a waiter is woken
        2 the kernel does not let a waiter sleep
        4 a write comes before the mark
        6 a slice ends after a death
        7 nothing changes
        8 a dead waiter's mark is paid for
        """),
    *goals("waiting", """
        1 pinned: a waiter is woken
        2 pinned: the kernel does not let a waiter sleep
        3 pinned: the look after the mark finds the change
        5 pinned: another writer took the mark away
        6 pinned: a slice ends after a death
        7 pinned: nothing changes
        """, "PINNED"),
]
