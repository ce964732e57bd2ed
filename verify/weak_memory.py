#!/usr/bin/env python3
"""usage: verify/weak_memory.py

Checks the orders that guard longer text, [edge:reuse], [edge:publish] and [edge:claim], in the memory
model of C++, where a load may find an older value than the newest. Runs every execution of a reader
and of a writer that overwrites the buffer which the reader copies, and of one owner of a buffer after
another. With all orders in place no torn or foreign text may be accepted, and no buffer be claimed that
is current; with each order left out, that must happen.

x86-64 keeps most of these orders by itself and ThreadSanitizer does not know fences, so here is where
leaving one out shows. The model is that of Kang et al., "A promising semantics for relaxed-memory
concurrency" (POPL 2017), without promises: a thread sees what its view allows; a release writes the
view into the message, an acquire takes it over; fences do so for the relaxed accesses around them.
It has no load that finds a store which comes later in its own thread's future.
"""

import sys

HEADER, SEQUENCE, OWNER, FIRST, SECOND = range(5)
NOWHERE = (0,) * 5


def join(a, b):
    return tuple(map(max, a, b))


class Thread:
    def __init__(self, program):
        self.steps = program
        self.view = self.acquired = self.released = NOWHERE


class Execution:
    """One run of the programs; `choices` says which thread goes on and what a load finds."""

    def __init__(self, programs, memory, choices):
        # Of each place: (value, the view that came with it), oldest first.
        self.memory = [[(value, NOWHERE) for value in values] for values in memory]
        self.choices, self.taken = choices, []
        threads = [Thread(program) for program in programs]
        answers = [None] * len(threads)
        running = list(range(len(threads)))
        while running:
            which = running[self.choose(len(running))]
            try:
                operation, *arguments = threads[which].steps.send(answers[which])
                answers[which] = getattr(self, operation)(threads[which], *arguments)
            except StopIteration:
                running.remove(which)

    def choose(self, count):
        chosen = self.choices[len(self.taken)] if len(self.taken) < len(self.choices) else 0
        self.taken.append((chosen, count))
        return chosen

    def see(self, thread, place, at, acquire):
        value, view = self.memory[place][at]
        here = tuple(at if i == place else seen for i, seen in enumerate(thread.view))
        thread.view = join(here, view) if acquire else here
        thread.acquired = join(join(thread.acquired, here), view)
        return value

    def load(self, thread, place, acquire=False):
        oldest = thread.view[place]
        at = oldest + self.choose(len(self.memory[place]) - oldest)
        return self.see(thread, place, at, acquire)

    def store(self, thread, place, value, release=False, inherited=NOWHERE):
        at = len(self.memory[place])
        here = tuple(at if i == place else seen for i, seen in enumerate(thread.view))
        thread.view, thread.acquired = here, join(thread.acquired, here)
        message = join(here if release else thread.released, inherited)
        at_least = tuple(at if i == place else seen for i, seen in enumerate(message))
        self.memory[place].append((value, at_least))

    def swap(self, thread, place, expected, desired, acquire=False, release=False):
        """A compare-and-swap: it finds the newest value, and continues the release that wrote it."""
        at = len(self.memory[place]) - 1
        if self.see(thread, place, at, acquire) != expected:
            return False
        self.store(thread, place, desired, release, self.memory[place][at][1])
        return True

    def fence(self, thread, acquire=False):
        if acquire:
            thread.view = thread.acquired
        else:
            thread.released = thread.view


# Headers 0 and 2 name our buffer, with that number as its text; header 1 names another buffer.

ORDERS = {
    "claim-release": "[edge:claim] release: the owner word, when a buffer is let go",
    "claim-acquire": "[edge:claim] acquire: the owner word, when it is claimed",
    "sequence-release": "[edge:reuse] release: the sequence, before the text is overwritten",
    "release-fence": "[edge:reuse] release fence between the sequence and the text",
    "publish-release": "[edge:publish] release: the swap of the header",
    "publish-acquire": "[edge:publish] acquire: the reader's load of the header",
    "sequence-acquire": "[edge:reuse] acquire: the sequence, before the text is copied",
    "acquire-fence": "[edge:reuse] acquire fence between the copy and the sequence",
}


def overwriter(has):
    """Stores text 2 in our buffer, once it is not current."""
    if (yield "load", HEADER, True) != 1:
        return
    yield "store", SEQUENCE, 1, has("sequence-release")
    if has("release-fence"):
        yield "fence",
    yield "store", FIRST, 2
    yield "store", SECOND, 2
    yield "swap", HEADER, 1, 2, True, has("publish-release")


def reader(has, outcome):
    """Copies the text of our buffer, if it is current, and notes what it accepts."""
    header = yield "load", HEADER, has("publish-acquire")
    if header == 1:
        return
    sequence = yield "load", SEQUENCE, has("sequence-acquire")
    if (yield "load", HEADER) != header:
        return
    first = yield "load", FIRST
    second = yield "load", SECOND
    if has("acquire-fence"):
        yield "fence", True
    if (yield "load", SEQUENCE) == sequence:
        outcome.append((first, second) == (header, header))


def publisher(has):
    """Owns our buffer while another is current; makes it current and lets it go."""
    yield "swap", HEADER, 0, 2, True, True
    yield "store", OWNER, 0, has("claim-release")


def claimer(has, outcome):
    """Claims our buffer when it is let go, and looks at the header again."""
    if (yield "swap", OWNER, 0, 1, has("claim-acquire")):
        outcome.append((yield "load", HEADER, True) == 2)


def explore(programs, memory):
    """Runs all executions; returns how many, and how many acceptances were right and wrong."""
    executions, right, wrong, choices = 0, 0, 0, []
    while True:
        outcome = []
        taken = Execution(programs(outcome), memory, choices).taken
        executions += 1
        right += outcome.count(True)
        wrong += outcome.count(False)
        while taken and taken[-1][0] + 1 == taken[-1][1]:
            taken.pop()
        if not taken:
            return executions, right, wrong
        choices = [chosen for chosen, _ in taken]
        choices[-1] += 1


def reuse(has):
    # Another writer has made another buffer current, which not everybody need have seen.
    return explore(lambda outcome: [overwriter(has), reader(has, outcome)],
                   [[0, 1], [0], [0], [0], [0]])


def claim(has):
    # Our buffer is claimed.
    return explore(lambda outcome: [publisher(has), claimer(has, outcome)],
                   [[0], [0], [7], [0], [0]])


def main():
    if sys.argv[1:]:
        print(__doc__.strip())
        return 0 if sys.argv[1] in ("-h", "--help") else 2
    faults = 0
    for without in [None, *ORDERS]:
        def has(order):
            return order != without
        claims = without is not None and without.startswith("claim")
        runs = [claim] if claims else [reuse] if without else [reuse, claim]
        results = [run(has) for run in runs]
        executions, right, wrong = (sum(each) for each in zip(*results))
        as_expected = right > 0 and (wrong > 0) == (without is not None)
        faults += 0 if as_expected else 1
        print(f"{'without ' + ORDERS[without] if without else 'with all orders':75} {executions:7} "
              f"executions, {right:7} accepted rightly, {wrong:6} wrongly"
              f"{'' if as_expected else '   UNEXPECTED'}", flush=True)
    print(f"{len(ORDERS) + 1} runs, {faults} not as they must be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
