"""The README keeps its word: its example runs as printed, and what it names exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rp_tutorial.cli import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_runs_as_printed() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"tensor\(\[[-\d, ]+\]\) 5 5000$", done.stdout.strip())


@pytest.mark.parametrize("target", ["book", "test", "notebooks"])
def test_the_make_targets_it_names_exist(target: str) -> None:
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_commands_it_shows_exist() -> None:
    shown = set(re.findall(r"^\$ rp-tutorial ([a-z]+)", README, re.MULTILINE))
    assert shown == {"doctor", "data", "run", "ledger"}
    for command in shown:
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0


def test_the_files_it_links_and_lists_exist() -> None:
    linked = re.findall(r"\]\((?!https?:)([^)]+)\)", README)
    listed = re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE)
    assert linked
    assert listed
    assert [path for path in (*linked, *listed) if not (ROOT / path).exists()] == []


def test_what_data_check_prints_is_what_it_shows() -> None:
    printed = CliRunner().invoke(app, ["data", "check", "insurance", "synthetic"]).stdout.splitlines()
    assert [line for line in printed[:3] if line not in README] == []
