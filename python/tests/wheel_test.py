"""usage: wheel_test.py SOURCE: meson-python makes a wheel of the package, which works where it is unpacked."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

LIMIT_S = 120
PROGRAM = """
import atoll
with atoll.ShareableList([1]) as shared:
    shared.fetch_add(0, 1)
    shared.shm.unlink()
    print(atoll.__file__, shared[0])
"""


def main() -> int:
    try:
        import mesonpy
    except ImportError:
        print("skipped: no meson-python here (Debian: python3-mesonpy)")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        # A copy: meson-python writes into the source tree.
        source = shutil.copytree(
            sys.argv[1], f"{folder}/source", ignore=shutil.ignore_patterns("build*", ".git", ".cache")
        )
        os.chdir(source)
        wheel = pathlib.Path(folder) / mesonpy.build_wheel(folder)
        with zipfile.ZipFile(wheel) as archive:
            names = sorted(name for name in archive.namelist() if ".dist-info/" not in name)
            archive.extractall(f"{folder}/site")
        extension = [name for name in names if name.startswith("atoll/_atoll.cpython-311-")]
        if set(names) != {"atoll/__init__.py", "atoll/__init__.pyi", "atoll/_atoll.pyi", "atoll/py.typed", *extension} or not extension:
            print("in the wheel:", names)
            return 1
        os.chdir(folder)
        done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, timeout=LIMIT_S, text=True,
                              env={**os.environ, "PYTHONPATH": f"{folder}/site"}, check=True,
                              stdout=subprocess.PIPE)
        if done.stdout != f"{folder}/site/atoll/__init__.py 2\n":
            print(done.stdout)
            return 1
    print("wheel_test:", wheel.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
