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
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_example_runs_as_printed() -> None:
    _, example = EXAMPLES
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.search(r"tensor\(\[[-\d, ]+\]\) 5 5000$", done.stdout.strip())


def test_the_defence_it_shows_is_registered_and_compared(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(EXAMPLES[0], encoding="utf-8")
    shown = "from rp_tutorial.cli import main; import rp_tutorial as rp; "
    shown += "print(rp.experiment('frontier').settings('smoke').arms[-1].label); main(['--version'])"
    load = f"from rp_tutorial.core.registry import load_parts; load_parts({str(tmp_path / 'mine.py')!r}); "
    done = subprocess.run([sys.executable, "-c", load + shown], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["two votes in three, sigma 0.18", "0.1.0"]


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
