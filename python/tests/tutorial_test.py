"""Five programs written for CPython's ShareableList, run with nothing changed but the import."""

import os
import re
import subprocess
import sys
import unittest

LIMIT_S = 120
IMPORT = "from atoll import ShareableList\n"

TOUR = """
sl = ShareableList([0, 0, 0, 0, 0])
print(list(sl))
sl.shm.close()
sl.shm.unlink()
sl = ShareableList([0, 1.0, 'test'], name='MyList')
same = ShareableList(name='MyList')
print(same[0], same[2])
same[1] = 1000
print(sl[1], sl.count(0), sl.index('test'))
same.shm.close()
sl.shm.close()
sl.shm.unlink()
"""

ACROSS = """
from multiprocessing import Process
def task(sl):
    print(sl, flush=True)
    for i in range(len(sl)):
        sl[i] = sl[i] * 10
if __name__ == '__main__':
    sl = ShareableList([1, 2, 3, 4, 5])
    print(sl, flush=True)
    process = Process(target=task, args=(sl,))
    process.start()
    process.join()
    print(sl, flush=True)
"""
RELEASE = """
    sl.shm.close()
    sl.shm.unlink()
"""

INCREMENTS = """
from multiprocessing import Lock, Process
def task(sl, lock):
    for i in range(100):
        for j in range(len(sl)):
            BODY
if __name__ == '__main__':
    sl = ShareableList([0, 0, 0, 0, 0])
    lock = Lock()
    processes = [Process(target=task, args=(sl, lock)) for i in range(10)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(list(sl))
    sl.shm.close()
    sl.shm.unlink()
"""
LOCKED = """with lock:
                val = sl[j]
                val = val + 1
                sl[j] = val"""
THOUSANDS = "[1000, 1000, 1000, 1000, 1000]\n"


def run(program):
    program = program.replace("MyList", f"MyList_{os.getpid()}")
    environment = {**os.environ, "ATOLL_LEAK_REPORT": "1"}
    done = subprocess.run([sys.executable, "-c", IMPORT + program], timeout=LIMIT_S, text=True,
                          capture_output=True, check=True, env=environment)
    return done.stdout, done.stderr


class Tutorial(unittest.TestCase):
    def test_tour(self):
        self.assertEqual(run(TOUR), ("[0, 0, 0, 0, 0]\n0 test\n1000 1 2\n", ""))

    def check_across(self, printed):
        lines = re.sub("'atoll_[0-9a-f]{16}'", "N", printed)
        first = "ShareableList([1, 2, 3, 4, 5], name=N)\n"
        self.assertEqual(lines, first + first + "ShareableList([10, 20, 30, 40, 50], name=N)\n")

    def test_across_processes(self):
        printed, complaints = run(ACROSS + RELEASE)
        self.check_across(printed)
        self.assertEqual(complaints, "")

    def test_not_released(self):
        printed, complaints = run(ACROSS)
        os.unlink("/dev/shm/" + re.search("atoll_[0-9a-f]{16}", printed)[0])
        self.check_across(printed)
        self.assertEqual(complaints.count("never unlinked"), 1)

    def test_increments_without_a_lock(self):
        self.assertEqual(run(INCREMENTS.replace("BODY", "sl.fetch_add(j, 1)")), (THOUSANDS, ""))

    def test_increments_with_a_lock(self):
        self.assertEqual(run(INCREMENTS.replace("BODY", LOCKED)), (THOUSANDS, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
