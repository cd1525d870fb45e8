"""The ledger of our own claims is complete, and what it names exists."""

import re
from functools import reduce
from pathlib import Path

import pytest

import rp_tutorial as rp

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = ("certified-robustness", "robust-privacy", "finite-samples", "sharper-bounds", "in-use")
STATEMENT = re.compile(r":::\{prf:(?:theorem|proposition|lemma|corollary)\} [^\n]* · (\w+)\n:label: ([\w-]+)")
ROW = re.compile(r"^\| \{prf:ref\}`([\w-]+)` \| (\w+) \| `rp\.([\w.]+)` \| (.*) \|$", re.MULTILINE)
ROWS = ROW.findall((ROOT / "book/appendix/ledger.md").read_text())


def test_every_statement_of_the_foundations_stands_in_the_ledger_with_its_status():
    texts = [(ROOT / f"book/foundations/{name}.md").read_text() for name in CHAPTERS]
    stated = {label: status for text in texts for status, label in STATEMENT.findall(text)}
    assert len(stated) >= 17
    assert {label: status for label, status, *_ in ROWS} == stated


@pytest.mark.parametrize(("label", "status", "name", "against"), ROWS, ids=[row[0] for row in ROWS])
def test_what_the_ledger_names_exists(label, status, name, against):
    assert callable(reduce(getattr, name.split("."), rp))
    for file in re.findall(r"`(tests/[\w/]+\.py)`", against):
        assert name.rsplit(".", 1)[-1] in (ROOT / file).read_text()
