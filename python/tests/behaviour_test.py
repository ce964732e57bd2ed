"""One process: what ShareableList does, where CPython's is mended, and what it lacks."""

import enum
import os
import pickle
import signal
import sys
import threading
import types
import unittest

import atoll
from atoll import ShareableList

from testing import LIMIT_S, ListTestCase


class SameAsCPython(ListTestCase):
    def test_every_type(self):
        items = [1, -(2**63), 2**63 - 1, 0.5, True, False, None, "idle", b"\x01\x02"]
        made = self.make(items)
        self.assertEqual(list(made), items)
        self.assertEqual([type(item) for item in made], [type(item) for item in items])
        self.assertEqual(made.format, "qqqdxxxxxxx?xxxxxxx?xxxxxx?x8s8s")

    def test_any_iterable(self):
        self.assertEqual(list(self.make(i for i in range(3))), [0, 1, 2])
        self.assertEqual(list(self.make("howdy")), list("howdy"))
        self.assertEqual(list(self.make()), [])

    def test_indices(self):
        made = self.make([1, 2, 3])
        self.assertEqual(made[-1], 3)
        made[-3] = 9
        self.assertEqual(made[0], 9)
        with self.assertRaisesRegex(IndexError, "^index out of range"):
            made[3]
        with self.assertRaisesRegex(IndexError, "^assignment index out of range"):
            made[3] = 0
        with self.assertRaises(TypeError):
            made[0:1]
        with self.assertRaises(TypeError):
            del made[0]

    def test_change_of_type(self):
        made = self.make([0])
        for item in [0.5, "12345678", b"x", None, True, 7]:
            made[0] = item
            self.assertEqual((made[0], type(made[0])), (item, type(item)))

    def test_room(self):
        made = self.make([0, "idle", "12345678"])
        self.assertEqual([made.capacity(i) for i in range(3)], [8, 8, 16])
        with self.assertRaisesRegex(ValueError, "exceeds available storage"):
            made[0] = "123456789"
        made[2] = "123456789"

    def test_count_and_index(self):
        made = self.make([1, True, 1.0, "1", None])
        self.assertEqual(made.count(1), 3)
        self.assertEqual(made.count("none"), 0)
        self.assertEqual(made.index("1"), 3)
        with self.assertRaisesRegex(ValueError, "^'none' not in this container"):
            made.index("none")

    def test_attach_and_names(self):
        name = f"atoll_py_{os.getpid()}_names"
        made = self.make([1], name=name)
        self.assertEqual(made.shm.name, name)
        with self.assertRaises(FileExistsError):
            ShareableList([1], name=name)
        same = ShareableList(name=name)
        same[0] = 2
        self.assertEqual(made[0], 2)
        same.shm.close()
        made.shm.unlink()
        with self.assertRaises(FileNotFoundError):
            made.shm.unlink()
        with self.assertRaises(FileNotFoundError):
            ShareableList(name=name)

    def test_pickle(self):
        made = self.make([1])
        pickled = pickle.dumps(made)
        same = pickle.loads(pickled)
        same[0] = 2
        self.assertEqual(made[0], 2)
        same.shm.close()
        made.shm.unlink()
        with self.assertRaises(FileNotFoundError):
            pickle.loads(pickled)

    def test_repr_and_generic_alias(self):
        made = self.make([1, "a"])
        self.assertEqual(repr(made), f"ShareableList([1, 'a'], name='{made.shm.name}')")
        self.assertIsInstance(ShareableList[int], types.GenericAlias)

    def test_buf(self):
        made = self.make([0x1122334455667788])
        self.assertEqual(len(made.shm.buf), made.shm.size)
        self.assertTrue(made.shm.buf.readonly)
        self.assertIn((0x1122334455667788).to_bytes(8, "little"), bytes(made.shm.buf))
        made.shm.close()
        self.assertIsNone(made.shm.buf)

    def test_use_after_close(self):
        made = self.make([0])
        made.shm.close()
        made.shm.close()
        for use in (lambda: made[0], lambda: len(made), lambda: made.fetch_add(0, 1), made.snapshot):
            with self.assertRaisesRegex(ValueError, "closed"):
                use()


class Mended(ListTestCase):
    def test_trailing_nuls_are_kept(self):
        made = self.make(["a\0\0", b"b\0\0"])
        self.assertEqual(list(made), ["a\0\0", b"b\0\0"])

    def test_initial_text_is_measured_in_bytes(self):
        text = "\u00e9" * 15
        self.assertEqual(self.make([text])[0], text)

    def test_negative_index_out_of_range(self):
        made = self.make([1, 2, 3])
        with self.assertRaises(IndexError):
            made[-4]
        with self.assertRaises(IndexError):
            made[-4] = 0
        self.assertEqual(list(made), [1, 2, 3])

    def test_failed_assignment_keeps_the_value(self):
        made = self.make([7, 0.5], pinned=[1])
        stamp = made.load_stamped(0)[1]
        for bad, error in [
            (2**63, OverflowError),
            ("123456789", ValueError),
            ("\ud800", UnicodeEncodeError),
            ([], TypeError),
        ]:
            with self.assertRaises(error):
                made[0] = bad
        with self.assertRaises(TypeError):
            made[1] = "text"
        self.assertEqual((list(made), made.format), ([7, 0.5], "qd"))
        self.assertEqual(made.load_stamped(0)[1], stamp)

    def test_garbage_is_one_value_error(self):
        name = f"atoll_py_{os.getpid()}_garbage"
        path = f"/dev/shm/{name}"
        self.addCleanup(os.unlink, path)
        for garbage in (b"", b"\xff" * 8, os.urandom(8192)):
            with open(path, "wb") as file:
                file.write(garbage)
            with self.assertRaisesRegex(ValueError, name):
                ShareableList(name=name)

    def test_subclasses_are_stored_as_what_they_derive_from(self):
        made = self.make([enum.IntEnum("Colour", "RED").RED])
        self.assertIs(type(made[0]), int)
        self.assertRegex(made.shm.name, "^atoll_[0-9a-f]{16}$")

    def test_close_with_views(self):
        made = self.make([1])
        part = made.shm.buf[0:8]
        with self.assertRaisesRegex(BufferError, "views of its shm.buf exist"):
            made.shm.close()
        self.assertEqual(made[0], 1)
        part.release()
        made.shm.close()


class Added(ListTestCase):
    def test_fetch(self):
        made = self.make([12, 0.5, "text"])
        for operation, operand, before, after in [
            ("fetch_add", 3, 12, 15),
            ("fetch_sub", 1, 15, 14),
            ("fetch_and", 6, 14, 6),
            ("fetch_or", 9, 6, 15),
            ("fetch_xor", 5, 15, 10),
            ("fetch_min", 4, 10, 4),
            ("fetch_max", 8, 4, 8),
        ]:
            self.assertEqual(getattr(made, operation)(0, operand), before, operation)
            self.assertEqual(made[0], after, operation)
        self.assertEqual(made.fetch_add(-2, 1), 0.5)
        self.assertEqual(made.fetch_sub(1, 0.25), 1.5)
        self.assertEqual(made[1], 1.25)
        with self.assertRaises(TypeError):
            made.fetch_add(2, 1)
        with self.assertRaises(TypeError):
            made.fetch_add(0, 0.5)
        with self.assertRaises(TypeError):
            made.fetch_and(0, 0.5)
        with self.assertRaises(OverflowError):
            made.fetch_add(0, 2**63)
        with self.assertRaises(IndexError):
            made.fetch_add(3, 1)

    def test_exchange(self):
        made = self.make([1])
        self.assertEqual(made.exchange(0, "two"), 1)
        self.assertFalse(made.compare_exchange(0, 1, 3))
        self.assertTrue(made.compare_exchange(0, "two", 3))
        value, stamp = made.load_stamped(0)
        self.assertEqual(value, 3)
        made[0] = 4
        made[0] = 3
        self.assertFalse(made.compare_exchange(0, stamp, 5))
        self.assertTrue(made.compare_exchange(0, made.load_stamped(0)[1], 5))
        self.assertEqual(made[0], 5)

    def test_update_runs_again(self):
        made = self.make([1])
        seen = []

        def double(value):
            seen.append(value)
            if len(seen) == 1:
                made[0] = 10
            return value * 2

        self.assertEqual(made.update(0, double), 20)
        self.assertEqual((seen, made[0]), ([1, 10], 20))

    def test_wait_without_the_gil(self):
        made = self.make([0])
        stamp = made.load_stamped(0)[1]
        entered = threading.Event()
        result = []

        def waiter():
            entered.set()
            try:
                result.append(made.wait(0, stamp, 3))
            except TimeoutError as error:
                result.append(error)

        thread = threading.Thread(target=waiter)
        thread.start()
        self.assertTrue(entered.wait(LIMIT_S))
        made[0] = 1
        thread.join(LIMIT_S)
        self.assertIsInstance(result[0], atoll.Stamp)
        self.assertNotEqual(result[0], stamp)

    def test_close_while_another_thread_waits(self):
        made = self.make([0])
        stamp = made.load_stamped(0)[1]
        refused = []

        def closer():
            try:
                made.shm.close()
            except BufferError as error:
                refused.append(str(error))
            made[0] = 1

        timer = threading.Timer(0.2, closer)
        timer.start()
        made.wait(0, stamp, LIMIT_S)
        timer.join(LIMIT_S)
        self.assertIn("another thread", refused[0])

    def test_wait_is_bounded_and_interrupted(self):
        made = self.make([0])
        stamp = made.load_stamped(0)[1]
        with self.assertRaisesRegex(TimeoutError, "did not change within 60ms"):
            made.wait(0, stamp, 0.06)

        class Interrupted(Exception):
            pass

        def interrupt(*_):
            raise Interrupted

        self.addCleanup(signal.signal, signal.SIGALRM, signal.signal(signal.SIGALRM, interrupt))
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with self.assertRaises(Interrupted):
            made.wait(0, stamp, LIMIT_S)

    def test_snapshot(self):
        made = self.make([1, 2, 3])
        numbers = made.snapshot("q")
        self.assertEqual((made.snapshot(), numbers.format, numbers.tolist()), ([1, 2, 3], "q", [1, 2, 3]))
        self.assertEqual(self.make([0.5]).snapshot("d").tolist(), [0.5])
        with self.assertRaises(TypeError):
            made.snapshot("d")
        with self.assertRaises(ValueError):
            made.snapshot("i")

    def test_pinned_and_capacity(self):
        made = self.make([0, 0, "x"], pinned=[0], capacity={2: 100})
        self.assertEqual([made.capacity(i) for i in range(3)], [0, 8, 104])
        made[2] = "y" * 104
        with self.assertRaises(TypeError):
            made[0] = "text"
        self.assertEqual(self.make([0, 0.5], capacity=20).capacity(1), 24)
        self.assertEqual(self.make([0, 0.5], pinned=True).capacity(1), 0)
        with self.assertRaises(ValueError):
            ShareableList(["text"], pinned=True)

    def test_context_manager(self):
        with self.make([1]) as made:
            self.assertEqual(made[0], 1)
        with self.assertRaises(ValueError):
            made[0]

    def test_read_only(self):
        made = self.make([1, "text"])
        reader = ShareableList(name=made.shm.name, read_only=True)
        for write in (
            lambda: reader.__setitem__(0, 2),
            lambda: reader.fetch_add(0, 1),
            lambda: reader.exchange(1, "new"),
        ):
            with self.assertRaises(PermissionError):
                write()
        self.assertEqual(list(reader), [1, "text"])
        reader.shm.close()

    def test_long_values(self):
        made = self.make([""], capacity=1 << 20)
        for size in (9, 1 << 16, 1 << 20):
            made[0] = "z" * size
            self.assertEqual(made[0], "z" * size)

    def test_long_values_are_copied_without_the_gil(self):
        made = self.make(["z" * (8 << 20)])
        interval = sys.getswitchinterval()
        for copy in (lambda: made[0], lambda: made.__setitem__(0, text)):
            text = made[0]
            seen = []
            thread = self.run_once_the_gil_is_released(lambda: seen.append(True))
            for _ in range(500):
                copy()
                if seen:
                    break
            noticed = bool(seen)
            sys.setswitchinterval(interval)
            thread.join(LIMIT_S)
            self.assertTrue(noticed)

    def test_half_made_object(self):
        with self.assertRaisesRegex(ValueError, "not initialized"):
            len(ShareableList.__new__(ShareableList))


if __name__ == "__main__":
    unittest.main(verbosity=2)
