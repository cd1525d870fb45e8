"""Whoever repeats the paper's experiments and finds the paper's numbers is told so, by every row of the ledger."""

from __future__ import annotations

from functools import cache

import pandas as pd
import pytest
from paper_documents import OF

from rp_tutorial import ledger
from rp_tutorial.ledger.claim import IN_DIRECTION, NOT_REPRODUCED, REPRODUCED
from rp_tutorial.ledger.verdicts import CLAIMS

KEYS = [f"{claim.where}: {claim.text}" for claim in CLAIMS]


@cache
def verdicts(reverse: bool) -> pd.Series:
    found = ledger.table([make(reverse) for make in OF.values()])
    return found.set_index(found["where"] + ": " + found["claim"])["verdict"]


@pytest.mark.parametrize("claim", CLAIMS, ids=KEYS)
def test_the_papers_own_numbers_are_reproduced(claim):
    expected = REPRODUCED if claim.printed else IN_DIRECTION
    assert verdicts(reverse=False)[f"{claim.where}: {claim.text}"] == expected


@pytest.mark.parametrize("claim", CLAIMS, ids=KEYS)
def test_numbers_clearly_away_are_not(claim):
    assert verdicts(reverse=True)[f"{claim.where}: {claim.text}"] == NOT_REPRODUCED
