"""Calls that something comes into: a signal, SIGKILL, a fork, a close."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import unittest

from atoll import ShareableList

from testing import LIMIT_S, ListTestCase

KILLS = 12
LENGTH = 4 << 20
STRIDE = 4096
LONG = 1_000_000  # slots, which no snapshot passes while nobody writes
TEXT = b"abcde0123"

# Stores one long text after the other until it is killed; slot 1 counts them.
WRITER = f"""
import sys
from atoll import ShareableList
shared = ShareableList(name=sys.argv[1])
texts = [letter * {LENGTH} for letter in "abcde"]
while True:
    for text in texts:
        shared[0] = text
        shared.fetch_add(1, 1)
"""

# Changes a number all the time.
CHANGER = """
import sys
from atoll import ShareableList
shared = ShareableList(name=sys.argv[1])
while True:
    shared.fetch_add(0, 1)
"""


class Interrupted(ListTestCase):
    @contextlib.contextmanager
    def running(self, program, shared, place):
        """A process that runs `program` on the list, and has written in `place`."""
        stamp = shared.load_stamped(place)[1]
        with subprocess.Popen([sys.executable, "-c", program, shared.shm.name]) as process:
            try:
                shared.wait(place, stamp, LIMIT_S)
                yield process
            finally:
                process.kill()

    @staticmethod
    def repeat(call, *arguments, **options):
        """For ever: a snapshot finds a quiet moment if the changer has lost its processor so long."""
        while True:
            call(*arguments, **options)

    def changed_all_the_time(self, shared):
        return self.running(CHANGER, shared, 0)

    @contextlib.contextmanager
    def every_buffer_held(self, shared):
        """A writer that is stopped in the middle of a store into slot 0, which has two buffers."""
        with self.running(WRITER, shared, 1) as writer:
            for _ in range(100):
                writer.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, writer.pid, os.WSTOPPED)
                try:
                    shared[0] = "longer than eight"
                except TimeoutError:
                    yield
                    return
                writer.send_signal(signal.SIGCONT)
                time.sleep(random.uniform(0, 0.005))  # to any point of its loop
            self.fail("the writer was never in a store when it was stopped")

    def test_a_thread_wakes_the_waiter(self):
        shared = self.make([0])
        stamp = shared.load_stamped(0)[1]
        self.run_once_the_gil_is_released(lambda: shared.fetch_add(0, 1))
        self.assertNotEqual(shared.wait(0, stamp, 5), stamp)

    def test_ctrl_c_ends_a_wait(self):
        shared = self.make([0])
        stamp = shared.load_stamped(0)[1]
        self.addCleanup(signal.signal, signal.SIGINT,
                        signal.signal(signal.SIGINT, signal.default_int_handler))
        self.run_once_the_gil_is_released(lambda: os.kill(os.getpid(), signal.SIGINT))
        with self.assertRaises(KeyboardInterrupt):
            shared.wait(0, stamp, 5)

    def test_a_signal_ends_every_wait(self):
        class Interrupted(Exception):
            pass

        def interrupt(*_):
            raise Interrupted

        waiting = self.make([0])
        stamp = waiting.load_stamped(0)[1]
        changing = self.make([0] * LONG)
        crowded = self.make(["", 0], capacity={0: LENGTH}, buffers_per_slot=2, claim_timeout=0.1)
        with self.changed_all_the_time(changing), self.every_buffer_held(crowded):
            crowded = ShareableList(name=crowded.shm.name)
            for wait in (
                lambda: waiting.wait(0, stamp, LIMIT_S),
                lambda: self.repeat(changing.snapshot, timeout=LIMIT_S),
                lambda: self.repeat(changing.snapshot, "q", timeout=LIMIT_S),
                lambda: crowded.__setitem__(0, "longer than eight"),
                lambda: crowded.exchange(0, "longer than eight"),
                lambda: crowded.compare_exchange(0, crowded[0], "longer than eight"),
                lambda: crowded.compare_exchange(0, crowded.load_stamped(0)[1], "longer than eight"),
            ):
                self.call_soon_by_signal(interrupt, 0.1)
                with self.assertRaises(Interrupted):
                    wait()
            crowded.shm.close()

    def test_a_handler_that_closes_the_list(self):
        shared = self.make([0])
        stamp = shared.load_stamped(0)[1]
        self.call_soon_by_signal(lambda *_: shared.shm.close(), 0.1)
        with self.assertRaisesRegex(ValueError, "the list is closed"):
            shared.wait(0, stamp, LIMIT_S)

    def test_a_wait_that_is_too_long_says_how_long_it_was(self):
        changing = self.make([0] * LONG)
        crowded = self.make(["", 0], capacity={0: LENGTH}, buffers_per_slot=2, claim_timeout=0.12)
        with self.changed_all_the_time(changing), self.every_buffer_held(crowded):
            with self.assertRaisesRegex(TimeoutError, "in each of its passes within 120ms"):
                self.repeat(changing.snapshot, "q", timeout=0.12)
            with self.assertRaisesRegex(TimeoutError, "held all of its buffers for 120ms"):
                crowded[0] = "longer than eight"

    def test_killed_while_it_stores_long_text(self):
        # Room beyond the text: between two buffers there are zeros, and a text directly after another
        # is one that was left half-written over it.
        shared = self.make(["", 0], capacity={0: LENGTH + 16 * STRIDE})
        torn = 0
        for _ in range(KILLS):
            stamp = shared.load_stamped(1)[1]
            with subprocess.Popen([sys.executable, "-c", WRITER, shared.shm.name]) as writer:
                try:
                    for _ in range(7):
                        stamp = shared.wait(1, stamp, LIMIT_S)
                finally:
                    writer.kill()
            samples = bytes(shared.shm.buf[::STRIDE])
            torn += any(a != b and a in TEXT and b in TEXT for a, b in zip(samples, samples[1:]))
            found = shared[0]
            self.assertIn(found, [letter * LENGTH for letter in "abcde"])
            for place in range(4):  # more than there are buffers
                shared[0] = str(place) * LENGTH
                self.assertEqual(shared[0], str(place) * LENGTH)
        self.assertGreater(torn, 0, "no writer was killed in the middle")

    def test_a_fork_while_another_thread_waits(self):
        shared = self.make([0])
        stamp = shared.load_stamped(0)[1]
        codes = []

        def fork():
            child = os.fork()
            if child == 0:
                try:
                    shared.shm.close()
                    os._exit(0)
                except BufferError:
                    os._exit(3)
                finally:
                    os._exit(4)
            codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            shared[0] = 1

        self.run_once_the_gil_is_released(fork)
        shared.wait(0, stamp, LIMIT_S)
        self.assertEqual(codes, [0])

    def test_an_index_that_closes_the_list(self):
        for use in (
            lambda shared, index: shared[index],
            lambda shared, index: shared.__setitem__(index, "longer than eight"),
            lambda shared, index: shared.fetch_add(index, 1),
            lambda shared, index: shared.exchange(index, 1),
            lambda shared, index: shared.load_stamped(index),
        ):
            shared = self.make([0], capacity=64)

            class Closing:
                def __index__(self):
                    shared.shm.close()
                    return 0

            with self.assertRaises((ValueError, IndexError)):
                use(shared, Closing())

    def test_a_read_only_list_cannot_wait(self):
        shared = self.make([0])
        with ShareableList(name=shared.shm.name, read_only=True) as reader:
            with self.assertRaises(PermissionError):
                reader.wait(0, reader.load_stamped(0)[1], LIMIT_S)


if __name__ == "__main__":
    unittest.main(verbosity=2)
