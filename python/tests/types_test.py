"""usage: types_test.py PACKAGE: mypy accepts the package, strictly, and refuses a wrong use of it."""

import os
import pathlib
import subprocess
import sys
import tempfile

RIGHT = """\
from typing import Any
from atoll import ShareableList
shared = ShareableList([1, 2.5, "text"], name="x", capacity={2: 64}, pinned=[0])
shared[0] = None
before: float = shared.fetch_add(0, 1)
value, stamp = shared.load_stamped(0)
stamp = shared.wait(0, stamp, timeout=1.5)
total: int = len(shared) + shared.capacity(0) + stamp.version
whole: list[Any] = shared.snapshot()
numbers: memoryview = shared.snapshot("q")
counters = ShareableList([0] * 5, mode=0o640, layout="dense", capacity=[8] * 5, claim_timeout=None)
same: ShareableList[int] = ShareableList(name=counters.shm.name, read_only=True)
previous: int = counters.fetch_add(0, 1) + same[0] + sum(same) + counters.update(1, lambda n: n + 1)
def first(of: ShareableList[str]) -> str:
    with of as texts:
        return texts[0] + texts.exchange(1, "")
"""
WRONG = [
    "shared['x']",
    "shared.fetch_and(0, 0.5)",
    "shared.wait(0, 1)",
    "shared.snapshot('i')",
    "shared.nothing()",
    "ShareableList([[1]])",
    "counters[0] = 'text'",
    "counters.fetch_add(0, 0.5)",
    "first(counters)",
    "ShareableList([0], read_only=True)",
    "ShareableList(name='x', layout='dense')",
    "ShareableList([0], layout='packed')",
    "ShareableList([0], capacity=['64'])",
]


def mypy(*arguments, folder):
    environment = {**os.environ, "MYPYPATH": str(PACKAGE.parent), "MYPY_CACHE_DIR": f"{folder}/cache"}
    command = ["mypy", "--strict", "--python-version", "3.11", *map(str, arguments)]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "program.py"
        program.write_text(RIGHT)
        done = mypy(PACKAGE, program, folder=folder)
        if done.returncode != 0:
            print(done.stdout, done.stderr)
            return 1
        program.write_text(RIGHT + "\n".join(WRONG) + "\n")
        output = mypy(program, folder=folder).stdout
        first = RIGHT.count("\n") + 1
        for line, wrong in enumerate(WRONG, first):
            if f"program.py:{line}: error" not in output:
                print(f"accepted: {wrong}\n{output}")
                return 1
    print(f"mypy: the package is clean, {len(WRONG)} wrong uses refused")
    return 0


if __name__ == "__main__":
    PACKAGE = pathlib.Path(sys.argv[1])
    try:
        sys.exit(main())
    except FileNotFoundError:
        print("skipped: no mypy here (Debian: mypy)")
        sys.exit(77)
