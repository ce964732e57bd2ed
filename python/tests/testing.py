"""What the tests of the package share."""

import signal
import sys
import threading
import unittest

from atoll import ShareableList

LIMIT_S = 30


class ListTestCase(unittest.TestCase):
    def make(self, *arguments, **options):
        """A list that is gone when the test is over."""
        made = ShareableList(*arguments, **options)
        self.addCleanup(self.drop, made)
        return made

    @staticmethod
    def drop(made):
        made.shm.close()
        try:
            made.shm.unlink()
        except FileNotFoundError:
            pass

    def call_soon_by_signal(self, handler, seconds):
        """Has `handler` called in the main thread, by a signal."""
        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, handler))
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def run_once_the_gil_is_released(self, function):
        """Starts a thread that gets the GIL when this one gives it away of itself, and not before."""
        gate = threading.Lock()
        gate.acquire()
        thread = threading.Thread(target=lambda: (gate.acquire(), function()), daemon=True)
        thread.start()
        self.addCleanup(thread.join, LIMIT_S)
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        sys.setswitchinterval(1000)
        gate.release()
        return thread
