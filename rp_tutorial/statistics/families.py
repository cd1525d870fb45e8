"""Defences one against one: at equal accuracy, at equal promise, and the claim that one family dominates another.

An arm is chosen by what it costs, never by its ASR, so the paired tests and intervals hold as they stand: the best of
several noisy numbers would be flattered by the choice. What an outcome is, and fronts of many arms, is in `fronts.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.statistics.fronts import Outcome, percentiles, resampled
from rp_tutorial.statistics.paired import paired_comparison, rate, rate_of

ALONG = ("accuracy", "advantage")
ROUNDING = 1e-9  # an epsilon calibrated to an advantage gives it back up to rounding
SAME_PRICE = 0.05  # accuracies closer than this count as equal where an arm leaks more than its rival
LEVEL = 0.05  # of the verdicts on a claim, over all its rows together


def slices(
    points: Sequence[Outcome], levels: Iterable[float], *, against: str, along: str = "accuracy"
) -> list[dict[str, Any]]:
    """The families side by side at equal cost (along="accuracy") or at equal promise (along="advantage").

    At each level a family is represented by the arm that spends the most of it: the least accurate arm with an
    accuracy of at least the level, or the arm of the largest advantage up to the level (of several the most accurate).
    The ASR has no say in the choice, so the intervals and the paired tests against the family `against` are not
    flattered by it.
    One entry a level: along, level, arms (a row a family that has one: family, name, accuracy, accuracy_ci, asr,
    asr_ci, advantage, and difference, difference_ci, p_value: ASR minus that of `against`, exact McNemar).
    """
    one_of("along", along, ALONG)
    families = dict.fromkeys(point.family for point in points)
    one_of("against", against, families)
    found = []
    for level in levels:
        chosen = {family: _representative(points, family, level, along) for family in families}
        rival = chosen[against]
        rows = [_described(point, rival) for point in chosen.values() if point is not None]
        found.append({"along": along, "level": float(level), "arms": rows})
    return found


def dominance(
    points: Sequence[Outcome], *, of: str, over: Sequence[str], resamples: int = 2000, seed: int = 0
) -> list[dict[str, Any]]:
    """The claim that family `of` dominates the families `over`, tried at every arm of theirs.

    Each arm b meets the arm a of `of` that spends the most accuracy and still has at least b's. Fields: family, name,
    rival, accuracy_gain and asr_gain (a minus b; an ASR gain below 0 is in favour of `of`) with accuracy_gain_ci and
    asr_gain_ci, p_value (exact McNemar on ASR), p_holm (corrected for all rows), verdict (see there), and dominated:
    the share of bootstrap draws in which *some* arm of `of` is at least as accurate and at most as invertible as b.
    That choice does look at ASR and so leans towards `of`.
    """
    families = np.array([point.family for point in points])
    for family in (of, *over):
        one_of("family", family, sorted(set(families)))
    if of in over:
        raise refuse("over", list(over), f"families other than {of!r}")
    accuracy, asr = resampled(points, resamples=resamples, seed=seed)
    rows, names = [], [point.name for point in points]
    for index in np.flatnonzero(np.isin(families, list(over))):
        b, own = points[index], families == of
        beaten = (accuracy[own] >= accuracy[index]) & (asr[own] <= asr[index])
        rival = _representative(points, of, b.accuracy, "accuracy")
        row = {"family": b.family, "name": b.name, "rival": None if rival is None else rival.name}
        if rival is not None:
            gain = accuracy[names.index(rival.name)] - accuracy[index]
            row |= {"accuracy_gain": rival.accuracy - b.accuracy, "accuracy_gain_ci": percentiles(gain)}
            row |= paired_comparison(rival.hits, b.hits).told("asr_gain")
        rows.append(row | {"dominated": float(beaten.any(axis=0).mean())})
    return judged(rows, gain="asr_gain")


def judged(rows: Sequence[dict[str, Any]], *, gain: str) -> list[dict[str, Any]]:
    """The rows of a claim with p_holm, corrected for all that have a rival, and their verdicts."""
    corrected = iter(holm([row["p_value"] for row in rows if row["rival"] is not None]))
    found = [row | ({} if row["rival"] is None else {"p_holm": next(corrected)}) for row in rows]
    return [row | {"verdict": verdict(row, gain=gain)} for row in found]


def verdict(row: Mapping[str, Any], *, gain: str) -> str:
    """What a pair says about the claim that a beats b: a is at least as accurate, `gain` is the adversary's with it.

    At LEVEL over all rows of the claim together. "shown": a leaks less. "contradicted": a leaks more, at the same price
    up to SAME_PRICE. "traded": a leaks more and is more accurate than that, so that neither beats the other and an arm
    in between might. "open": which of them leaks more is not decided. "no rival": b is more accurate than any a.
    """
    if row["rival"] is None:
        return "no rival"
    if row["p_holm"] >= LEVEL:
        return "open"
    if row[gain] < 0:
        return "shown"
    return "contradicted" if row["accuracy_gain"] <= SAME_PRICE else "traded"


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for being several: one below alpha rejects, and all such rejections together err with
    probability at most alpha. Source: Holm 1979."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    raised = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return raised[np.argsort(order, kind="stable")].tolist()


def _representative(points: Sequence[Outcome], family: str, level: float, along: str) -> Outcome | None:
    """The family's arm that spends the most of what is allowed at this level; None if it has none."""
    own = [point for point in points if point.family == family]
    if along == "accuracy":
        return min((p for p in own if p.accuracy >= level), key=lambda p: p.accuracy, default=None)
    allowed = (p for p in own if p.advantage is not None and p.advantage <= level * (1 + ROUNDING))
    return max(allowed, key=lambda p: (p.advantage, p.accuracy), default=None)


def _described(point: Outcome, rival: Outcome | None) -> dict[str, Any]:
    images = sum(point.images)
    return {
        "family": point.family,
        "name": point.name,
        "accuracy": point.accuracy,
        "accuracy_ci": rate_of(round(point.accuracy * images), images).ci,
        **rate(point.hits).told("asr"),
        "advantage": point.advantage,
        **({} if rival is None else paired_comparison(point.hits, rival.hits).told("difference")),
    }
