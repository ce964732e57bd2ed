"""Runs CPython's own tests of ShareableList with ours in its place, under every start method.

Each of CPython's tests of shared memory is in RUN or, with its reason, in LEFT_OUT: one that is in
neither, or no longer there, is a failure.
"""

import re
import sys
import unittest
from multiprocessing import shared_memory

import atoll

try:
    import test._test_multiprocessing as suite
except ImportError:
    print("skipped: no test._test_multiprocessing here (Debian: libpython3.11-testsuite)")
    sys.exit(77)

RUN = {
    "test_shared_memory_ShareableList_basics",
    "test_shared_memory_ShareableList_pickling",
    "test_shared_memory_ShareableList_pickling_dead_object",
    "test_shared_memory_SharedMemoryManager_basics",
    "test_shared_memory_SharedMemoryServer_ignores_sigint",
}


class Subject(atoll.ShareableList):
    """Ours, with the one private name that CPython's tests ask for."""

    def _get_packing_format(self, index: int) -> str:
        return re.findall(r"\d+s|x*\?x?|.", self.format)[index]


NO_LIST = "makes SharedMemory blocks alone, and no list"
LEFT_OUT = {
    "test_shared_memory_basics": NO_LIST + "; looks at its private names",
    "test_shared_memory_recreate": NO_LIST + "; replaces the private _make_filename",
    "test_invalid_shared_memory_cration": NO_LIST,
    "test_shared_memory_pickle_unpickle": NO_LIST,
    "test_shared_memory_pickle_unpickle_dead_object": NO_LIST,
    "test_shared_memory_across_processes": NO_LIST,
    "test_shared_memory_SharedMemoryManager_reuses_resource_tracker":
        "tests the resource tracker, in an interpreter of its own without our class",
    "test_shared_memory_cleaned_after_process_termination":
        NO_LIST + "; wants the resource tracker to remove it",
}


def main() -> int:
    found = {name for name in dir(suite._TestSharedMemory) if name.startswith("test_")}
    if found != RUN | LEFT_OUT.keys():
        print("not told apart:", sorted(found ^ (RUN | LEFT_OUT.keys())))
        return 1
    shared_memory.ShareableList = Subject  # type: ignore[misc]
    run = 0
    for method in ("fork", "spawn", "forkserver"):
        module: dict[str, object] = {"__name__": __name__}
        suite.install_tests_in_module_dict(module, method)
        case = module["WithProcessesTestSharedMemory"]
        tests = unittest.TestSuite(case(name) for name in sorted(RUN))  # type: ignore[operator]
        module["setUpModule"]()  # type: ignore[operator]
        try:
            result = unittest.TextTestRunner(verbosity=2).run(tests)
        finally:
            module["tearDownModule"]()  # type: ignore[operator]
        if not result.wasSuccessful() or result.skipped:
            print(f"{method}: failed, or skipped what must run")
            return 1
        run += result.testsRun
    for name, reason in LEFT_OUT.items():
        print(f"left out: {name}: {reason}")
    print(f"{run} run, {len(LEFT_OUT)} left out")
    return 0 if run == 3 * len(RUN) else 1


if __name__ == "__main__":
    sys.exit(main())
