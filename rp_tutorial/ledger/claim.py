"""A claim of the paper, our measurement of it, and the verdict, which follows from a rule that nobody overrides.

Percentages are in points, lengths in the unit the paper uses (std for radii, kg/m^2 for reach). The claims themselves
are in `paper_claims.py` and `comparison_claims.py`.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.statistics.paired import paired_comparison

REPRODUCED, NOT_REPRODUCED, NOT_COMPARABLE = "reproduced", "not reproduced", "not comparable"
IN_DIRECTION, OPEN = "in direction", "open"
LEVEL = 0.05  # of a test
MARGIN = 0.05  # a difference of rates below this, with its whole interval, is none

Shown = bool | str | None  # of a direction; OPEN: too little to tell, None: nothing to compare


@dataclass(frozen=True)
class Measurement:
    """Our number with its 95 % interval; `holds` instead for a claim about a direction, which a run may leave OPEN."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    holds: Shown = None


Reading = Callable[[dict[str, Any]], Measurement | None]  # None: the run has nothing to compare


@dataclass(frozen=True)
class Claim:
    """One thing the paper says. `printed` are the edges of the values that would print as `paper` does.

    `measure` reads ours off `document["results"]`, the seeds of one run joined. Whoever repeats the paper's experiment
    and finds the paper's numbers has to get "reproduced" from it, or "in direction".
    """

    where: str
    text: str
    paper: str
    experiment: str
    measure: Reading
    printed: tuple[float, float] | None = None
    note: str = ""
    only_data: str = ""  # the start of the name of the data that the number belongs to; a direction holds anywhere


def verdict(claim: Claim, measured: Measurement | None) -> str:
    """The rule. A number is reproduced if the paper's printed value meets our interval, widened by sqrt(2) because
    the paper's number is a sample too. A direction is "in direction" if it holds, and open where the trials are too few
    to show it or to rule it out. No measurement: not comparable.
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


def share_of(value: float, trials: int) -> Measurement:
    """A share of so many trials, in points, with its exact interval."""
    return in_points(value, clopper_pearson(round(value * trials), trials))


def rate_of(row: dict[str, Any] | None, name: str) -> Measurement | None:
    """The share `name` of a row of results with the interval beside it; None where there is no such row."""
    return row and in_points(row[name], row[f"{name}_ci"])


def direction(holds: Callable[[dict[str, Any]], Shown]) -> Reading:
    """Whether a direction shows; None where a run has nothing to compare, OPEN where it has too little to tell."""

    def measure(results: dict[str, Any]) -> Measurement | None:
        shown = holds(results)
        return None if shown is None else Measurement(holds=shown if shown == OPEN else bool(shown))

    return measure


def every(shown: Iterable[Shown]) -> Shown:
    """`all`, but nothing shown is no evidence, and what is open somewhere and refuted nowhere is open."""
    known = [part for part in shown if part is not None]
    if not known or not all(known):
        return False if known else None
    return OPEN if OPEN in known else True


def some(shown: Iterable[Shown]) -> Shown:
    """`any`, in the same way: shown anywhere, or open somewhere."""
    known = [part for part in shown if part is not None]
    return True if True in known else OPEN if OPEN in known else False if known else None


YES, SAME, HIGHER = "yes", "no (equivalent", "no (the other way"  # how verdicts over nets begin


def answer_of(results: dict[str, Any], asks: str) -> dict[str, Any] | None:
    """The answer of a replication to the question of this number or wording, if it was asked."""
    return next((row for row in results["answers"] if asks in (row["question"], row["asks"])), None)


def net_by_net(results: dict[str, Any], *, asks: str, says: str = YES, apart: float = 1.0) -> Shown:
    """Whether several nets, each with faces of its own, answer a question by `says`; OPEN where they do not decide it.

    says: YES, SAME or HIGHER. apart: None, if the mean accuracies of the two arms differ by more than this.
    """
    answer = answer_of(results, asks)
    if answer is None or abs(answer["test_accuracy_a"] - answer["test_accuracy_b"]) > apart:
        return None
    return OPEN if answer["verdict"].startswith("not decided") else answer["verdict"].startswith(says)


def lowers(a: Sequence[int], b: Sequence[int]) -> Shown:
    """Whether fewer targets are hit in b than in a, the same targets: `shown_above` of the exact McNemar test."""
    return shown_above(vars(paired_comparison(np.array(a, dtype=bool), np.array(b, dtype=bool))))


def shown_above(compared: Mapping[str, Any]) -> Shown:
    """Whether a paired comparison shows a difference above 0, at 5 %.

    Too few targets for a test to find anything are no evidence that there is nothing: where no difference is shown, the
    whole interval has to stay below MARGIN, or the answer is OPEN.
    """
    if compared["p_value"] < LEVEL:
        return compared["difference"] > 0
    return False if compared["high"] < MARGIN else OPEN
