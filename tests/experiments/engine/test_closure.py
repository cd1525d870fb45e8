"""The hash of code: it changes with what could have been called, and with nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from rp_tutorial.core.registry import PACKAGE
from rp_tutorial.experiments.engine.closure import closure, code_hash

ELIGIBILITY = PACKAGE / "experiments" / "tables" / "eligibility.py"
TEXT = '''"""What it is."""

from rp_tutorial.statistics.binomial import clopper_pearson


def share(hits, trials=10):
    """The share."""
    return clopper_pearson(hits, trials)  # exact
'''


def hash_of(text: str, tmp_path: Path, **options) -> str:
    path = tmp_path / f"{abs(hash(text))}.py"
    path.write_text(text)
    return code_hash([path], **options)


@pytest.mark.parametrize(
    "same",
    [
        TEXT.replace("What it is.", "Something else."),
        TEXT.replace("The share.", "A share, and more about it.\n\n    A second paragraph."),
        TEXT.replace("  # exact", ""),
        TEXT.replace("def share(hits, trials=10):", "def share(\n    hits,\n    trials=10,\n):"),
        TEXT.replace("\n\n\ndef", "\n\n# A remark.\n\ndef"),
    ],
)
def test_docstrings_comments_and_layout_do_not_count(same: str, tmp_path: Path) -> None:
    assert same != TEXT
    assert hash_of(same, tmp_path) == hash_of(TEXT, tmp_path)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("trials=10", "trials=11"),
        TEXT.replace("return clopper", "return 2 * clopper"),
        TEXT.replace('    """The share."""\n', '    "The share."\n    "another statement"\n'),
        TEXT + "\n\nONE = 1\n",
        TEXT.replace("statistics.binomial import clopper_pearson", "statistics.paired import clopper_pearson"),
    ],
)
def test_code_counts(other: str, tmp_path: Path) -> None:
    assert hash_of(other, tmp_path) != hash_of(TEXT, tmp_path)


def test_the_closure_holds_what_is_imported_however_far_and_nothing_else() -> None:
    found = {path.relative_to(PACKAGE).as_posix() for path in closure([ELIGIBILITY])}
    assert {"experiments/tables/eligibility.py", "oracles/smoothing.py", "core/streams.py", "training/fit.py"} <= found
    assert not {path for path in found if path.startswith(("figures", "ledger", "attacks", "experiments/faces"))}
    assert "cli.py" not in found


def test_rooms_limit_what_is_followed() -> None:
    found = {path.relative_to(PACKAGE).parts[0] for path in closure([ELIGIBILITY], rooms=("data", "core"))}
    assert found == {"experiments", "data", "core"}


def test_imports_for_types_alone_do_not_count(tmp_path: Path) -> None:
    typed = tmp_path / "typed.py"
    typed.write_text("from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import rp_tutorial.core.streams\n")
    assert closure([typed]) == {typed}


def test_code_of_a_notebook_is_its_text() -> None:
    assert code_hash(["x = 1"]) != code_hash(["x = 2"])
    assert code_hash(["    x = 1  # indented"]) == code_hash(["x = 1"])
