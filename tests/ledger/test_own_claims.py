"""The outcomes that the book states: each is recomputed from a run, judged by one rule, and printed where it says."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from rp_tutorial import ledger
from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.ledger.claim import OPEN, Measurement
from rp_tutorial.ledger.own_claims import CLAIMS, COLUMNS, CONTRADICTED, SHOWN, OwnClaim

BOOK = Path(__file__).resolve().parents[2] / "book"


def test_every_outcome_has_a_run_and_is_recomputed() -> None:
    table = ledger.own_table()
    assert tuple(table.columns) == COLUMNS
    assert list(table["claim"]) == [claim.text for claim in CLAIMS]
    assert table["run"].str.contains("seeds").all()


@pytest.mark.parametrize("cell", sorted({claim.cell for claim in CLAIMS}))
def test_the_section_that_prints_it_exists(cell: str) -> None:
    chapter, heading = cell.split(": ", 1)
    lines = (BOOK / f"{chapter}.md").read_text(encoding="utf-8").splitlines()
    assert any(line.lstrip("#") == f" {heading}" for line in lines if line.startswith("##"))


@pytest.mark.parametrize(
    ("above", "below", "low", "high", "expected"),
    [
        (0, 9, 1, 2, SHOWN),
        (0, 9, -1, 2, OPEN),
        (0, 9, 8, 10, OPEN),
        (0, 9, -2, -1, CONTRADICTED),
        (0, 9, 9, 10, CONTRADICTED),
    ],
)
def test_an_outcome_is_shown_by_its_whole_interval(
    above: float, below: float, low: float, high: float, expected: str
) -> None:
    claim = OwnClaim("x", "y: z", "inversion", lambda _: None, above=above, below=below)
    assert claim.verdict(Measurement((low + high) / 2, low, high)) == expected


def test_other_runs_have_another_verdict() -> None:
    """All targets hit behind the vote, on every net: it lowers nothing."""
    documents = copy.deepcopy(published("replication", "synthetic"))
    for document in documents:
        (vote,) = [row for row in document["results"]["rows"] if row["name"] == "smoothing, sigma 0.17, N = 10"]
        vote["hits"] = [1] * len(vote["hits"])
    table = ledger.own_table(documents).set_index("claim")
    assert table.loc["a vote of ten lowers ASR", "verdict"] == CONTRADICTED
    assert set(table["run"]) == {f"replication, cpu, synthetic, seeds {[d['seed'] for d in documents]}"}
