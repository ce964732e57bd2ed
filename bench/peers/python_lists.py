#!/usr/bin/env python3
"""atoll's ShareableList and CPython's, on the same interpreter, in turns.

    PYTHONPATH=BUILD/python python_lists.py [--rounds N] [--scale F]

Items read and written in one process; increments by four processes: fetch_add, CPython's list with a
Lock, Manager().list() with a Lock. Writes a line of JSON for each sample, as the other works do.
"""

import argparse
import itertools
import multiprocessing
import sys
import time
from multiprocessing import shared_memory

import atoll

import crowd

PROCESSES = 4
TEXT = "x" * 64


def get(shared, place, _value, times):
    for _ in itertools.repeat(None, times):
        shared[place]


def put(shared, place, value, times):
    for _ in itertools.repeat(None, times):
        shared[place] = value


def add(shared, _lock, times):
    for _ in itertools.repeat(None, times):
        shared.fetch_add(0, 1)


def add_locked(shared, lock, times):
    for _ in itertools.repeat(None, times):
        with lock:
            shared[0] += 1


def increments(function, shared, lock, times):
    """Nanoseconds an increment; ends the program if one was lost."""
    before = shared[0]
    elapsed = crowd.elapsed_ns(PROCESSES, function, shared, lock, times)
    if shared[0] - before != PROCESSES * times:
        sys.exit("increments were lost")
    return elapsed / (PROCESSES * times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of operations")
    arguments = parser.parse_args()
    multiprocessing.set_start_method("fork")
    items = [7, TEXT]
    ours, theirs = atoll.ShareableList(items), shared_memory.ShareableList(items)
    lists = {"atoll": (ours, 10), "CPython": (theirs, 1)}
    lock = multiprocessing.Lock()
    try:
        with multiprocessing.Manager() as manager:
            managed = manager.list([0])
            adders = {
                "atoll fetch_add": (add, ours, 50000),
                "ShareableList, Lock": (add_locked, theirs, 1000),
                "Manager().list, Lock": (add_locked, managed, 200),
            }
            for round_number in range(arguments.rounds):
                for work, function, place, value, size in (
                    ("Python get int", get, 0, 7, 0), ("Python set int", put, 0, 7, 0),
                    ("Python get text", get, 1, TEXT, 64), ("Python set text", put, 1, TEXT, 64),
                ):
                    for contestant, (shared, factor) in lists.items():
                        times = max(1, int(10000 * factor * arguments.scale))
                        begin = time.perf_counter_ns()
                        function(shared, place, value, times)
                        ns = (time.perf_counter_ns() - begin) / times
                        crowd.report(work, 1, size, contestant, round_number, ns, times)
                for contestant, (function, shared, times) in adders.items():
                    times = max(1, int(times * arguments.scale))
                    ns = increments(function, shared, lock, times)
                    crowd.report("Python increments", PROCESSES, 0, contestant, round_number, ns,
                                 PROCESSES * times)
    finally:
        for shared in (ours, theirs):
            shared.shm.close()
            shared.shm.unlink()


if __name__ == "__main__":
    main()
