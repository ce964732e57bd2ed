"""One process: what ShareableList does, where CPython's is mended, and what it lacks."""

import collections
import enum
import os
import pickle
import stat
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

    def test_wait_is_bounded(self):
        made = self.make([0])
        stamp = made.load_stamped(0)[1]
        with self.assertRaisesRegex(TimeoutError, "did not change within 60ms"):
            made.wait(0, stamp, 0.06)

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
        each = self.make([0, "x", 0], capacity=(20, 30, 0), pinned=range(2, 3))
        self.assertEqual([each.capacity(i) for i in range(3)], [24, 32, 0])
        last = self.make([0, 0], capacity=collections.UserDict({-2: 20}), pinned={-1})
        self.assertEqual([last.capacity(i) for i in range(2)], [24, 0])
        # Of all slots together, where there is room to say it.
        self.assertEqual(self.make([0, ""], capacity=20, pinned=[0]).capacity(1), 24)

    def test_what_cannot_be_made(self):
        name = f"atoll_py_{os.getpid()}_never"
        for options, error, says in [
            ({"pinned": True}, ValueError, "only an int or a float can be pinned, not item 1"),
            ({"pinned": [True, False]}, TypeError, "not a bool for each slot"),
            ({"pinned": [2]}, IndexError, "pinned has index 2, the list has 2 items"),
            ({"pinned": [-3]}, IndexError, "pinned has index -3"),
            ({"pinned": 0}, TypeError, "not iterable"),
            ({"capacity": {2: 64}}, IndexError, "capacity has index 2, the list has 2 items"),
            ({"capacity": [64]}, ValueError, "capacity has 1 entries, the list has 2 items"),
            ({"capacity": [64, "64"]}, TypeError, "integer"),
            ({"capacity": {0, 1}}, TypeError, "a mapping from index to int, or .* not set"),
            ({"capacity": 1.5}, TypeError, "must be an int, .* not float"),
            ({"capacity": -1}, ValueError, "must not be negative"),
            ({"capacity": {0: 64}, "pinned": [0]}, ValueError, "item 0 is pinned"),
            ({"layout": "packed"}, ValueError, "'padded' or 'dense', not 'packed'"),
            ({"buffers_per_slot": 9}, ValueError, "2 to 8"),
            ({"mode": 0o10000}, ValueError, "mode"),
            ({"claim_timeout": float("nan")}, ValueError, "NaN"),
            ({"read_only": True}, ValueError, "read_only is for a list that is attached to"),
            ({"allow_other_owner": True}, ValueError, "allow_other_owner is for"),
        ]:
            with self.subTest(**options), self.assertRaisesRegex(error, says):
                self.drop(ShareableList([0, "text"], name=name, **options))
            self.assertFalse(os.path.exists(f"/dev/shm/{name}"))

    def test_sequences_that_change_meanwhile(self):
        class Longer:
            def __len__(self):
                return 2

            def __getitem__(self, place):
                return range(8, 14)[place]

        with self.assertRaisesRegex(ValueError, "capacity has 6 entries, the list has 2 items"):
            self.make([0, 0], capacity=Longer())

        items = [0, 0]

        class Extending:
            def __index__(self):
                items.extend(range(1000))
                return 8

        self.assertEqual(list(self.make(items, capacity=[Extending(), 8])), [0, 0])

    def test_options_are_for_creating(self):
        made = self.make([0])
        for option, value in [("capacity", 8), ("pinned", [0]), ("mode", 0o600), ("layout", "dense"),
                              ("buffers_per_slot", 3), ("unlink_on_close", True), ("report_leak", False)]:
            with self.assertRaisesRegex(ValueError, f"^{option} is for a list that is created"):
                ShareableList(name=made.shm.name, **{option: value})

    def test_options(self):
        made = self.make([0] * 100, mode=0o640, layout="dense")
        self.assertEqual(stat.S_IMODE(os.stat(f"/dev/shm/{made.shm.name}").st_mode), 0o640)
        self.assertLess(made.shm.size, self.make([0] * 100).shm.size)
        self.assertLess(self.make([""], capacity=4096, buffers_per_slot=2).shm.size,
                        self.make([""], capacity=4096, buffers_per_slot=8).shm.size)
        made = self.make([0], unlink_on_close=True)
        made.shm.close()
        self.assertFalse(os.path.exists(f"/dev/shm/{made.shm.name}"))

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
        again = pickle.loads(pickle.dumps(reader))
        self.assertEqual((made.read_only, reader.read_only, again.read_only), (False, True, True))
        with self.assertRaises(PermissionError):
            again[0] = 2
        for attached in (again, reader):
            attached.shm.close()

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
        half = ShareableList.__new__(ShareableList)
        for use in (
            lambda: len(half), lambda: half[0], lambda: half.fetch_add(0, 1), lambda: half.shm,
            lambda: half.format, lambda: half.read_only, lambda: half.exchange(0, 1),
            lambda: half.compare_exchange(0, 1, 2), lambda: half.load_stamped(0), half.snapshot,
            lambda: half.wait(0, self.make([0]).load_stamped(0)[1]), lambda: half.capacity(0),
        ):
            with self.assertRaisesRegex(ValueError, "not initialized"):
                use()

    def test_methods_of_another_object(self):
        for use in (
            lambda: ShareableList.fetch_add(7, 0, 1),
            lambda: ShareableList.load_stamped(7, 0),
            lambda: ShareableList.snapshot("text"),
            lambda: ShareableList.shm.fget(None),
        ):
            with self.assertRaises(TypeError):
                use()

    def test_what_only_lists_hand_out(self):
        made = self.make([0])
        for handed_out in (made.load_stamped(0)[1], made.shm, made.shm.buf.obj):
            kind = type(handed_out)
            for make in (kind, lambda: kind.__new__(kind), lambda: object.__new__(kind),
                         lambda: kind.__mro__[1].__new__(kind)):
                with self.assertRaises(TypeError):
                    make()


if __name__ == "__main__":
    unittest.main(verbosity=2)
