#!/usr/bin/env python3
"""CPython's lists that processes share, on the increments that the other peers do too.

    shareable_list.py [--rounds N] [--increments N]

Ten processes add one to each of five places in turn: in a multiprocessing.shared_memory.ShareableList
without a lock (which loses increments, and fails at some), with a multiprocessing.Lock, and in a Manager().list() with a
lock. Writes a line of JSON for each sample, as the other works do.
"""

import argparse
import multiprocessing
import sys
from multiprocessing.shared_memory import ShareableList

import crowd

PROCESSES = 10
SLOTS = 5


class NoLock:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass


def add(shared, lock, increments):
    for i in range(increments):
        with lock:
            try:
                shared[i % SLOTS] += 1
            except ValueError:
                # Without a lock, the format of a place is read while another process writes it.
                continue


def sample(shared, lock, increments):
    """Nanoseconds per increment, and how many increments were lost."""
    before = sum(shared)
    elapsed = crowd.elapsed_ns(PROCESSES, add, shared, lock, increments)
    return elapsed / (PROCESSES * increments), PROCESSES * increments - (sum(shared) - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--increments", type=int, default=500, help="a process")
    arguments = parser.parse_args()
    multiprocessing.set_start_method("fork")
    lock = multiprocessing.Lock()
    shareable = ShareableList([0] * SLOTS)
    try:
        with multiprocessing.Manager() as manager:
            managed = manager.list([0] * SLOTS)
            contestants = {
                "ShareableList, no lock": (shareable, NoLock()),
                "ShareableList, Lock": (shareable, lock),
                "Manager().list, Lock": (managed, lock),
            }
            for round_number in range(arguments.rounds):
                for name, (shared, guard) in contestants.items():
                    ns, lost = sample(shared, guard, arguments.increments)
                    if lost and not isinstance(guard, NoLock):
                        sys.exit(f"{name} lost {lost} increments")
                    crowd.report("increments", PROCESSES, 0, name, round_number, ns,
                                 PROCESSES * arguments.increments, lost=lost)
    finally:
        shareable.shm.close()
        shareable.shm.unlink()


if __name__ == "__main__":
    main()
