"""Files that are whole or not there."""

from __future__ import annotations

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
