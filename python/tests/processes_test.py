"""Several processes, under every start method."""

import multiprocessing
import os
import signal
import subprocess
import sys
import unittest

from atoll import ShareableList

from testing import ListTestCase

LIMIT_S = 60
METHODS = ("fork", "spawn", "forkserver")
PROCESSES, TIMES, PLACES = 10, 100, 5
CONTENDED = 300_000  # long enough that processes on two processors are at it together


def add(shared):
    for _ in range(TIMES):
        for place in range(PLACES):
            shared.fetch_add(place, 1)


def add_together(shared, barrier):
    barrier.wait(LIMIT_S)
    for _ in range(CONTENDED):
        shared.fetch_add(0, 1)


def append(shared):
    for _ in range(TIMES):
        shared.update(0, lambda text: text + "x")


def answer(shared):
    stamp = shared.load_stamped(0)[1]
    shared[1] = "ready"
    if shared[0] == 0:
        shared.wait(0, stamp, LIMIT_S)
    shared[1] = f"got {shared[0]}"


class Processes(ListTestCase):
    def run_all(self, method, target, shared, count, *arguments):
        context = multiprocessing.get_context(method)
        processes = [context.Process(target=target, args=(shared, *arguments)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(LIMIT_S)
            self.assertEqual(process.exitcode, 0)

    def test_no_increment_is_lost(self):
        for method in METHODS:
            with self.subTest(method):
                shared = self.make([0] * PLACES)
                self.run_all(method, add, shared, PROCESSES)
                self.assertEqual(list(shared), [PROCESSES * TIMES] * PLACES)

    def test_no_increment_is_lost_in_a_crowd(self):
        for pinned in (False, True):
            with self.subTest(pinned=pinned):
                shared = self.make([0], pinned=pinned)
                self.run_all("fork", add_together, shared, 4, multiprocessing.Barrier(4))
                self.assertEqual(shared[0], 4 * CONTENDED)

    def test_no_update_of_longer_text_is_lost(self):
        shared = self.make([""], capacity=4 * TIMES)
        self.run_all("fork", append, shared, 4)
        self.assertEqual(shared[0], "x" * (4 * TIMES))

    def test_wait_across_processes(self):
        for method in METHODS:
            with self.subTest(method):
                shared = self.make([0, "", ""], capacity=16)
                context = multiprocessing.get_context(method)
                process = context.Process(target=answer, args=(shared,))
                stamp = shared.load_stamped(1)[1]
                process.start()
                stamp = shared.wait(1, stamp, LIMIT_S)
                self.assertEqual(shared[1], "ready")
                shared[0] = 42
                shared.wait(1, stamp, LIMIT_S)
                self.assertEqual(shared[1], "got 42")
                process.join(LIMIT_S)
                self.assertEqual(process.exitcode, 0)

    def test_no_process_destroys_what_others_use(self):
        # An interpreter that merely attached ends, normally and by SIGKILL; the list stays.
        shared = self.make([1])
        attach = f"import atoll, os; l = atoll.ShareableList(name={shared.shm.name!r}); l.fetch_add(0, 1)"
        for end, code in (("", 0), ("; os.kill(os.getpid(), 9)", -signal.SIGKILL)):
            done = subprocess.run([sys.executable, "-c", attach + end], timeout=LIMIT_S, check=False)
            self.assertEqual(done.returncode, code)
        self.assertTrue(os.path.exists(f"/dev/shm/{shared.shm.name}"))
        with ShareableList(name=shared.shm.name) as same:
            self.assertEqual(same[0], 3)


if __name__ == "__main__":
    unittest.main(verbosity=2)
