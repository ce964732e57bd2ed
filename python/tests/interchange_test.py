"""usage: interchange_test.py INTERCHANGE: a C++ process and a Python process share a list."""

import os
import subprocess
import sys
import unittest

from atoll import ShareableList

LIMIT_S = 60
ADDITIONS = 20000
PROGRAM = sys.argv.pop(1)


class Interchange(unittest.TestCase):
    def setUp(self):
        self.name = f"atoll_py_{os.getpid()}_{self._testMethodName}"
        self.addCleanup(self.remove)

    def remove(self):
        if os.path.exists(f"/dev/shm/{self.name}"):
            os.unlink(f"/dev/shm/{self.name}")

    def run_program(self, mode):
        subprocess.run([PROGRAM, mode, self.name], check=True, timeout=LIMIT_S)

    def test_from_cpp(self):
        self.run_program("create")
        with ShareableList(name=self.name) as found:
            self.assertEqual(
                list(found),
                [-(2**63), 2.5, True, None, "h\u00e9llo\0", b"\0\xff", 7, 0.5, "x" * 100000],
            )
            self.assertEqual([type(item) for item in found],
                             [int, float, bool, type(None), str, bytes, int, float, str])
            self.assertEqual([found.capacity(i) for i in range(4, 8)], [16, 8, 0, 0])

    def test_to_cpp(self):
        items = [0, 0.0, True, "was text", "\u20ac\0", b"\x01\0", 0, 0.0, "y" * 100000]
        with ShareableList(items, name=self.name, pinned=[6, 7]) as made:
            made[0] = 2**63 - 1
            made[1] = -0.5
            made[2] = False
            made[3] = None
            made[6] = 8
            made.fetch_add(7, 1.5)
            self.run_program("check")
            made[3] = ""
            with self.assertRaises(subprocess.CalledProcessError):
                self.run_program("check")

    def test_at_once(self):
        with ShareableList([0, 0], name=self.name, pinned=[1]) as made:
            with subprocess.Popen([PROGRAM, "add", self.name]) as program:
                try:
                    for _ in range(ADDITIONS):
                        made.fetch_add(0, 1)
                        made.fetch_add(1, 1)
                    self.assertEqual(program.wait(LIMIT_S), 0)
                finally:
                    program.kill()
            self.assertEqual(list(made), [2 * ADDITIONS, 2 * ADDITIONS])


if __name__ == "__main__":
    unittest.main(verbosity=2)
