"""Command line: `python -m tools.assignments`, or with --check only say which students' notebooks are out of step."""

from __future__ import annotations

import argparse
import sys

from tools.assignments import otter
from tools.assignments.editions import GRADED_SEED, out_of_step, write_instructor, write_students
from tools.assignments.master import masters
from tools.chapters import ROOT

INSTRUCTOR = ROOT / "_build" / "assignments"


def main() -> int:
    """Students' notebooks in assignments/student/, all that an instructor needs in _build/assignments/."""
    parser = argparse.ArgumentParser(prog="python -m tools.assignments", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a notebook is out of step")
    parser.add_argument("--seed", type=int, default=GRADED_SEED, help="of the inputs that the autograder draws")
    options = parser.parse_args()
    if options.check:
        changed = out_of_step()
        print(*changed, sep="\n", file=sys.stderr)
        return 1 if changed else 0
    for path in write_students():
        print(f"changed: {path.as_posix()}")
    for master in masters():
        folder = INSTRUCTOR / master.name
        write_instructor(master, folder, seed=options.seed)
        otter.pack(folder)
        print(f"{master.title}: {folder.relative_to(ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
