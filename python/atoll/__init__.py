"""A fixed-length list of typed slots in shared memory, lock-free and process-safe.

>>> from atoll import ShareableList
>>> with ShareableList([0, 0.5, "idle"], name="jobs") as jobs:
...     jobs.fetch_add(0, 1)
...     jobs.shm.unlink()
"""

import functools
import types

from ._atoll import List, Segment, Stamp

__all__ = ["Segment", "ShareableList", "Stamp"]


class ShareableList(List):
    """multiprocessing.shared_memory.ShareableList, process-safe.

    With a sequence, creates a list (under `name`, or a name of its own); with a name alone, attaches
    to it. A list is removed by `shm.unlink()` and by nothing else.

    To create one:
    capacity          room for text and bytes: bytes for every slot, one number for each slot, or a
                      dict from index to bytes
    pinned            True, or the indices of slots that hold an int (a float) for ever, and are faster
    mode              permission bits of the name (0o600)
    layout            "padded" (a cache line a slot), or "dense" (16 bytes, for long lists)
    buffers_per_slot  for text longer than 8 bytes, 2 to 8 (3)
    unlink_on_close   removes the name when this process closes the list
    report_leak       a line on stderr if this process ends while the name still stands (True)
    To attach to one:
    read_only          for reading alone
    allow_other_owner  also if it is another user's, who can truncate it
    Either way:
    claim_timeout      the longest that text waits for a buffer while other writers have them all, in
                       seconds (10); then TimeoutError. None is no limit
    """

    __slots__ = ()
    __class_getitem__ = classmethod(types.GenericAlias)

    def __repr__(self):
        return f"{type(self).__name__}({list(self)!r}, name={self.shm.name!r})"

    def __reduce__(self):
        options = {"read_only": True} if self.read_only else {}
        return functools.partial(type(self), name=self.shm.name, **options), ()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.shm.close()

    def count(self, value):
        """How many items equal `value`."""
        return sum(1 for item in self if value == item)

    def index(self, value):
        """The first index whose item equals `value`; ValueError if none does."""
        for place, item in enumerate(self):
            if value == item:
                return place
        raise ValueError(f"{value!r} not in this container")

    def update(self, index, function):
        """Replaces the item v by function(v), as one atomic step, and returns the new item.

        `function` runs again whenever another write came in between.
        """
        while True:
            seen, stamp = self.load_stamped(index)
            desired = function(seen)
            if self.compare_exchange(index, stamp, desired):
                return desired
