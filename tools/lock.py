"""Write constraints.txt from what is installed: `make lock`.

Only exact pins live in the lock file. It holds for every platform and Python the project supports, so
some packages stay out: those that follow torch and exist on Linux alone (CUDA libraries, triton), pip, which
installs the others, and the project itself.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLLOWS_TORCH = re.compile(r"^(nvidia-|cuda-|triton$|pytorch-triton)", re.IGNORECASE)
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^+\s]+)(\+\S+)?$")
HEADER = """\
# Exact versions for `pip install -c constraints.txt -e ".[book,test,bench,dp,ray,lab,kaggle]"`, on Python 3.11 to 3.13.
# Made by `make lock`, which leaves out what follows torch by itself (CUDA libraries, triton).
"""


def pins(frozen: str) -> dict[str, str]:
    """Name (normalised) -> version, from the text `pip freeze` prints.

    A local version label ("2.14.1+cpu") is dropped: it names a build, and another platform has another one.
    """
    found = {}
    for line in frozen.splitlines():
        match = PIN.match(line.strip())
        if match and not FOLLOWS_TORCH.match(match["name"]):
            found[re.sub(r"[-_.]+", "-", match["name"]).lower()] = match["version"]
    for name in ("rp-tutorial", "pip"):
        found.pop(name, None)
    return found


def lock_text(versions: dict[str, str]) -> str:
    """The content of constraints.txt for these pins, one a line, sorted by name."""
    return HEADER + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))


def main() -> int:
    """Freeze the environment this Python belongs to and write the lock file."""
    parser = argparse.ArgumentParser(description="Write constraints.txt from the installed versions.")
    parser.add_argument("--out", type=Path, default=ROOT / "constraints.txt")
    arguments = parser.parse_args()
    freeze = [sys.executable, "-m", "pip", "freeze", "--all", "--exclude-editable", "--disable-pip-version-check"]
    found = pins(subprocess.run(freeze, check=True, capture_output=True, text=True).stdout)
    arguments.out.write_text(lock_text(found), encoding="utf-8")
    print(f"{arguments.out.name}: {len(found)} pins")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
