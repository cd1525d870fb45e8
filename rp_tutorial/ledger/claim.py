"""A claim of the paper, our measurement of it, and the verdict, which follows from a rule that nobody overrides.

Percentages are in points, lengths in the unit the paper uses (std for radii, kg/m^2 for reach). The claims themselves
are in `paper_claims.py` and `comparison_claims.py`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rp_tutorial.statistics.paired import paired_comparison

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
IN_DIRECTION, OPEN = "in direction", "open"


@dataclass(frozen=True)
class Measurement:
    """Our number with its 95 % interval; `holds` instead for a claim about a direction, which a run may leave OPEN."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    holds: bool | str | None = None


Reading = Callable[[dict[str, Any]], Measurement | None]  # None: the run has nothing to compare


@dataclass(frozen=True)
class Claim:
    """One thing the paper says. `printed` are the edges of the values that would print as `paper` does.

    `measure` reads ours off `document["results"]`, the seeds of one run joined. It is None where no experiment of this
    version measures it.
    """

    where: str
    text: str
    paper: str
    experiment: str
    measure: Reading | None
    printed: tuple[float, float] | None = None
    note: str = ""
    only_data: str = ""  # the start of the name of the data that the number belongs to; a direction holds anywhere


def verdict(claim: Claim, measured: Measurement | None) -> str:
    """The rule. A number is reproduced if the paper's printed value meets our interval, widened by sqrt(2) because
    the paper's number is a sample too. A direction is "in direction" if it holds, and open where a claim that
    something makes no difference meets too few trials to tell. No measurement: not comparable.
    """
    if measured is None:
        return NOT_COMPARABLE
    if measured.holds == OPEN:
        return OPEN
    if measured.holds is not None:
        return IN_DIRECTION if measured.holds else NOT_REPRODUCED
    low = measured.value - math.sqrt(2) * (measured.value - measured.low)
    high = measured.value + math.sqrt(2) * (measured.high - measured.value)
    return REPRODUCED if low <= claim.printed[1] and claim.printed[0] <= high else NOT_REPRODUCED


def printed_as(value: float, digits: int = 2) -> tuple[float, float]:
    """The values that print as `value` does."""
    half = 0.5 * 10**-digits
    return value - half, value + half


def in_points(share: float, interval: Sequence[float]) -> Measurement:
    """A share with its interval, in percentage points."""
    return Measurement(100 * share, *(100 * float(end) for end in interval))


def rate_of(row: dict[str, Any] | None, name: str) -> Measurement | None:
    """The share `name` of a row of results with the interval beside it; None where there is no such row."""
    return row and in_points(row[name], row[f"{name}_ci"])


def direction(holds: Callable[[dict[str, Any]], bool | str | None]) -> Reading:
    """Whether a direction shows; None where a run has nothing to compare, OPEN where it has too little to tell."""

    def measure(results: dict[str, Any]) -> Measurement | None:
        shown = holds(results)
        return None if shown is None else Measurement(holds=shown if shown == OPEN else bool(shown))

    return measure


def every(shown: Iterable[bool]) -> bool | None:
    """`all`, but nothing shown is no evidence."""
    known = list(shown)
    return all(known) if known else None


def lowers(a: Sequence[int], b: Sequence[int]) -> bool:
    """Whether fewer targets are hit in b than in a, the same targets, by the exact McNemar test at 5 %."""
    found = paired_comparison(np.array(a, dtype=bool), np.array(b, dtype=bool))
    return found.difference > 0 and found.p_value < 0.05
