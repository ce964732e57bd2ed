"""Python processes that do the same work at once, and the samples that they make."""

import json
import multiprocessing
import sys
import time

START_LIMIT_S = 60


def _take_part(body, arguments, start, spans, me):
    start.wait(START_LIMIT_S)
    begin = time.monotonic_ns()
    body(*arguments)
    spans[2 * me], spans[2 * me + 1] = begin, time.monotonic_ns()


def elapsed_ns(processes, body, *arguments):
    """From the first that begins body(*arguments) to the last that ends; they begin together."""
    start = multiprocessing.Barrier(processes)
    spans = multiprocessing.Array("q", 2 * processes, lock=False)
    crowd = [
        multiprocessing.Process(target=_take_part, args=(body, arguments, start, spans, me))
        for me in range(processes)
    ]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join()
        if process.exitcode != 0:
            sys.exit("a process failed")
    return max(spans[1::2]) - min(spans[0::2])


def report(work, processes, size, contestant, round_number, ns, operations, **more):
    """A line of JSON, as the other works write for each sample."""
    print(json.dumps({
        "work": work, "processes": processes, "size": size, "contestant": contestant,
        "round": round_number, "ns": ns, "operations": operations, "attempts": 1,
        "disturbed": False, **more,
    }), flush=True)
