#!/usr/bin/env python3
"""usage: readme_snippets.py README BUILD_DIR COMPILER...

Builds each C++ program in README with the library in BUILD_DIR, and runs it. A program is a block
that begins with ```cpp and has a main(). If a ```text block follows, that is what it prints. The
names of lists are made unique, so that several runs at once do no harm. A list that a program leaves
behind must be in its leak report.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```cpp\n(.*?)^```\n(?:\s*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
LIST_NAME = re.compile(r"(?<=[\"'])/(\w+)(?=[\"'])")
WARNINGS = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror".split()
SHARED_MEMORY = pathlib.Path("/dev/shm")
LIMIT_S = 60


def output_of(command, **options):
    result = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options
    )
    if result.returncode != 0:
        sys.exit(f"{result.stdout}\nexit code {result.returncode}: {' '.join(command)}")
    return result.stdout


def check(program, printed, build, compiler, folder):
    names = {name: f"{name}_readme_{os.getpid()}" for name in LIST_NAME.findall(program)}
    unique = LIST_NAME.sub(lambda found: "/" + names[found[1]], program)
    source = folder / "program.cc"
    source.write_text(unique, encoding="utf-8")
    environment = {**os.environ, "PKG_CONFIG_PATH": str(build / "meson-uninstalled")}
    flags = output_of(["pkg-config", "--cflags", "--libs", "atoll"], env=environment).split()
    binary = folder / "program"
    output_of([*compiler, "-std=c++20", *WARNINGS, str(source), "-o", str(binary), *flags])

    try:
        output = output_of([str(binary)], timeout=LIMIT_S)
    finally:
        left = [path for name in names.values() if (path := SHARED_MEMORY / name).exists()]
        for path in left:
            path.unlink()
    for name, unique_name in names.items():
        reported = f"'/{unique_name}' was created by this process and never unlinked" in output
        if (SHARED_MEMORY / unique_name in left) != reported:
            sys.exit(f"{output}\nleft in shared memory, and not reported, or the other way round: /{name}")
        output = output.replace(f"/{unique_name}", f"/{name}")
    if printed is not None and output != printed:
        sys.exit(f"printed:\n{output}\nREADME says:\n{printed}")
    return output


def main():
    if len(sys.argv) < 4:
        print(__doc__.strip())
        return 2
    text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    programs = [(code, out or None) for code, out in BLOCK.findall(text) if "int main(" in code]
    if not programs:
        sys.exit("no program found")
    with tempfile.TemporaryDirectory() as folder:
        for program, printed in programs:
            output = check(
                program, printed, pathlib.Path(sys.argv[2]), sys.argv[3:], pathlib.Path(folder)
            )
            print(output, end="")
    print(f"readme_snippets: {len(programs)} built and run")
    return 0


if __name__ == "__main__":
    sys.exit(main())
