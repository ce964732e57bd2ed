"""usage: readme_test.py README

Runs each Python program in README, a block that begins with ```python; if a ```text block follows,
that is what it prints. The names of lists are made unique, and none may be left.
"""

import os
import pathlib
import re
import subprocess
import sys

BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
NAME = re.compile(r"name=\"(\w+)\"")
LIMIT_S = 60


def main() -> int:
    programs = BLOCK.findall(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    if not programs:
        print("no program found")
        return 1
    for program, printed in programs:
        unique = NAME.sub(rf'name="\1_readme_{os.getpid()}"', program)
        done = subprocess.run([sys.executable, "-c", unique], timeout=LIMIT_S, text=True,
                              capture_output=True, check=False,
                              env={**os.environ, "ATOLL_LEAK_REPORT": "1"})
        output = done.stdout.replace(f"_readme_{os.getpid()}", "")
        left = [path for path in pathlib.Path("/dev/shm").glob(f"*_readme_{os.getpid()}")]
        for path in left:
            path.unlink()
        if done.returncode != 0 or done.stderr or left or (printed and output != printed):
            print(f"{program}\nprinted:\n{output}{done.stderr}\nREADME says:\n{printed}\nleft: {left}")
            return 1
    print(f"readme_test: {len(programs)} run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
