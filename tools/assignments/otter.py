"""Otter-Grader, in an environment of its own: it packs an autograder, and runs one as a course would.

Its dependencies do not agree with the pins of the book (wrapt), so what it needs lies in a small environment on top of
the one that runs this, whose packages it sees. The version is that of the extra `coursework`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

from tools.chapters import ROOT

HOME = ROOT / "_build" / "otter"


def requirement() -> str:
    """What the extra `coursework` asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (wanted,) = project["optional-dependencies"]["coursework"]
    return wanted


def python(home: Path = HOME) -> Path:
    """The Python of the environment, which is made on first use: a few seconds, 50 MB, and a network."""
    found = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = home / "installed"
    if not (stamp.is_file() and stamp.read_text(encoding="utf-8") == requirement()):
        venv.create(home, with_pip=True, clear=True)
        own = sysconfig.get_path("purelib", scheme="venv", vars={"base": str(home), "platbase": str(home)})
        Path(own, "beneath.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        pip = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement()]
        subprocess.run(pip, check=True)
        stamp.write_text(requirement(), encoding="utf-8")
    return found


def pack(folder: Path) -> Path:
    """The autograder of an instructor's folder, as a zip that Gradescope, Otter's containers and `otter run` take."""
    _otter("generate", "--tests-dir", "tests", "--requirements", "requirements.txt", "-o", "autograder.zip", cwd=folder)
    return folder / "autograder.zip"


def grade(autograder: Path, submission: Path, folder: Path) -> dict[str, float]:
    """Points a question, given by `otter run` in `folder` for a notebook handed in."""
    _otter("run", "-a", str(autograder), "-o", str(folder), "--no-logo", str(submission), cwd=folder)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return {test["name"]: test["score"] for test in results["tests"] if "score" in test}


def _otter(*arguments: str, cwd: Path) -> None:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
    done = subprocess.run(
        [str(python()), "-m", "otter", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"otter {arguments[0]}: {done.stderr[-2000:]}")
