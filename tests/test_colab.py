"""The first cell of every reader notebook, executed as Colab would, with a pip that only writes down what it is told.

That the notebooks then run with Colab's versions is seen by `python -m tools.colab`, in an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import nbformat
import pytest

from tools.chapters import Chapter, code_chapters, configuration
from tools.notebooks import ROOT, address, colab_cell

# test_chapters.py runs every chapter with the extras of its header alone.
NEED_DP = {"comparisons/dp-sgd", "comparisons/frontier"}
NO_HOST = """\
error: subprocess-exited-with-error

× git clone --filter=blob:none --quiet https://github.com/x/book pip-install-1/rp did not run successfully.
│ exit code: 128
╰─> [1 lines of output]
    fatal: unable to access 'https://github.com/x/book/': Could not resolve host: github.com
    [end of output]

note: This error originates from a subprocess, and is likely not a problem with pip.
"""
NO_VERSION = """\
ERROR: Could not find a version that satisfies the requirement lazy_loader>=9 (from versions: 0.1, 0.2, 0.3, 0.4)
ERROR: No matching distribution found for lazy_loader>=9
"""

each_chapter = pytest.mark.parametrize("chapter", code_chapters(), ids=lambda chapter: chapter.stem)


class Recorder:
    """Stands in for subprocess.run: keeps the commands, and answers as told."""

    def __init__(self, returncode: int = 0, stderr: str = "") -> None:
        self.commands: list[list[str]] = []
        self.answer = SimpleNamespace(returncode=returncode, stderr=stderr)

    def __call__(self, command: list[str], **_: Any) -> SimpleNamespace:
        self.commands.append(command)
        return self.answer


@pytest.fixture
def on_colab(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    return monkeypatch


def first_cell(chapter: Chapter) -> str:
    notebook = nbformat.read(ROOT / "notebooks" / f"{chapter.stem}.ipynb", as_version=4)
    return notebook.cells[0].source


@each_chapter
def test_on_colab_the_first_cell_asks_pip_for_the_book_and_for_nothing_else(
    chapter: Chapter, on_colab: pytest.MonkeyPatch
) -> None:
    pip = Recorder()
    on_colab.setattr(subprocess, "run", pip)
    exec(first_cell(chapter), {})
    repository = configuration()["repository"]
    extras = "[dp]" if chapter.stem in NEED_DP else "[ray]" if chapter.stem == "practice/scaling-out" else ""
    book = f"rp-tutorial{extras} @ git+{repository['url']}@{repository['branch']}"
    # No pin, no --upgrade: torch and numpy stay as Colab has them.
    assert pip.commands == [[sys.executable, "-m", "pip", "install", "--quiet", book]]


@each_chapter
def test_elsewhere_the_first_cell_does_nothing(chapter: Chapter, monkeypatch: pytest.MonkeyPatch) -> None:
    pip = Recorder()
    monkeypatch.setattr(subprocess, "run", pip)
    exec(first_cell(chapter), {})
    assert pip.commands == []


@pytest.mark.parametrize(
    ("stderr", "reason"),
    [
        (NO_HOST, "fatal: unable to access 'https://github.com/x/book/': Could not resolve host: github.com"),
        (NO_VERSION, "ERROR: No matching distribution found for lazy_loader>=9"),
    ],
)
def test_what_failed_is_said_in_one_line(stderr: str, reason: str, on_colab: pytest.MonkeyPatch) -> None:
    on_colab.setattr(subprocess, "run", Recorder(1, stderr))
    chapter = code_chapters()[0]
    with pytest.raises(SystemExit) as stopped:
        exec(first_cell(chapter), {})
    assert str(stopped.value) == f"rp-tutorial @ git+{address()} was not installed: {reason}"


@pytest.mark.usefixtures("on_colab")
def test_a_branch_that_does_not_exist_is_said_in_one_line_by_the_real_pip(tmp_path: Path) -> None:
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message", "empty"], check=True)
    cell = colab_cell(code_chapters()[0]).replace(address(), f"{tmp_path.as_uri()}@nowhere")
    with pytest.raises(SystemExit) as stopped:
        exec(cell, {})
    said = str(stopped.value)
    assert said.startswith(f"rp-tutorial @ git+{tmp_path.as_uri()}@nowhere was not installed: ")
    assert "nowhere" in said.partition("installed: ")[2]
    assert "\n" not in said
