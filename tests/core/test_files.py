"""Files that are whole or not there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rp_tutorial.core.files import write_atomically


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_atomically(path, "old")
    with pytest.raises(TypeError):
        write_atomically(path, 1)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_text_is_utf_8_in_every_locale(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; from rp_tutorial.core.files import write_atomically as write;"
        "write(Path('t'), chr(0x2212) + chr(0x2265))"
    )
    for mode in ({"PYTHONIOENCODING": "cp1252", "LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0"}, {"LC_ALL": "C"}):
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, **mode}, check=True)
        assert (tmp_path / "t").read_text(encoding="utf-8") == "\u2212\u2265"


def test_what_a_kill_left_is_cleared_away_after_an_hour_and_not_before(tmp_path: Path) -> None:
    names = (f".file.json.{'0' * 32}.part", f".another.{'1' * 32}.part", f".file.json.{'2' * 32}.part", ".users.part")
    old, ahead, new, users = (tmp_path / name for name in names)
    for path in (old, ahead, new, users):
        path.touch()
    os.utime(old, (0, 0)), os.utime(users, (0, 0))
    os.utime(ahead, (2**32, 2**32))  # a clock was set back since
    write_atomically(tmp_path / "file.json", "text")
    assert set(tmp_path.iterdir()) == {tmp_path / "file.json", new, users}


def test_a_file_that_another_run_finishes_meanwhile_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda self, pattern: iter([tmp_path / ".rows.json.0.part"]))
    write_atomically(tmp_path / "rows.json", "[1]")
    assert os.listdir(tmp_path) == ["rows.json"]
