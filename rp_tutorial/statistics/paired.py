"""Shares with exact intervals, and two arms compared over the same targets: McNemar, Student, Bonett and Price.

What a hit is, is decided by whoever counts.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rp_tutorial.core.arguments import open_unit, refuse
from rp_tutorial.statistics.binomial import clopper_pearson


@dataclass(frozen=True)
class Rate:
    """`successes` of `trials` with the exact (Clopper-Pearson) interval [low, high] of the level asked for."""

    successes: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The observed share; NaN of no trials."""
        return self.successes / self.trials if self.trials else math.nan

    @property
    def ci(self) -> list[float]:
        """The interval, as JSON holds it."""
        return [self.low, self.high]

    def told(self, name: str) -> dict[str, float | list[float] | None]:
        """The share under `name`, None of no trials, and its interval under `<name>_ci`, as results hold them."""
        return {name: self.value if self.trials else None, f"{name}_ci": self.ci}


@dataclass(frozen=True)
class PairedComparison:
    """Arm a against arm b over the same targets.

    `difference` = a - b with the interval [low, high]. For hits: the difference of the two rates, `only_a` and
    `only_b` the targets that just one arm inverted, `p_value` of the exact McNemar test. For numbers: the mean
    difference over the `pairs` both arms have, and the p-value of the t-test on it.
    """

    pairs: int
    difference: float
    low: float
    high: float
    p_value: float
    only_a: int | None = None
    only_b: int | None = None


def rate(hits: np.ndarray, *, confidence: float = 0.95) -> Rate:
    """The share of True with its exact interval; (0, 1) of no trials at all."""
    hits = _bools("hits", hits)
    return rate_of(int(hits.sum()), len(hits), confidence=confidence)


def rate_of(successes: int, trials: int, *, confidence: float = 0.95) -> Rate:
    """The same from counts."""
    if not trials:
        return Rate(0, 0, 0.0, 1.0)
    low, high = clopper_pearson(successes, trials, confidence=confidence)
    return Rate(successes, trials, float(low), float(high))


def paired_comparison(
    a: np.ndarray | Sequence[np.ndarray], b: np.ndarray | Sequence[np.ndarray], *, confidence: float = 0.95
) -> PairedComparison:
    """Compare the hits of two arms over the same targets: exact McNemar test and an interval for the difference.

    a, b: bool [T] as `Verdicts.hits` gives them, or one such array a seed, which are joined. If the arms do not
    differ, a target inverted by just one of them is as likely to be either's: two-sided binomial test, exact.
    The interval is Bonett and Price's (2012), which keeps its level for few pairs. Joined seeds count as independent
    pairs; targets that share a net are so only given that net.
    """
    a, b = _joined("a", a, bool), _joined("b", b, bool)
    _check_pairs(a, b)
    only_a, only_b, n = int((a & ~b).sum()), int((b & ~a).sum()), len(a)
    discordant = only_a + only_b
    p_value = float(stats.binomtest(only_a, discordant).pvalue) if discordant else 1.0
    raised_a, raised_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    centre = raised_a - raised_b
    half = _normal_quantile(confidence) * math.sqrt((raised_a + raised_b - centre**2) / (n + 2))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return PairedComparison(n, (only_a - only_b) / n, low, high, p_value, only_a, only_b)


def paired_difference(
    a: np.ndarray | Sequence[np.ndarray], b: np.ndarray | Sequence[np.ndarray], *, confidence: float = 0.95
) -> PairedComparison:
    """Compare a number of two arms over the same targets (a distance, say): the mean of a - b, with Student's interval.

    Pairs with NaN in either arm, targets not found, are left out: `pairs` says how many are used. NaN for the interval
    and the p-value of fewer than two.
    """
    a, b = _joined("a", a, float), _joined("b", b, float)
    _check_pairs(a, b)
    differences = (a - b)[~np.isnan(a - b)]
    n, mean = len(differences), float(differences.mean()) if len(differences) else math.nan
    tail = (1 + open_unit("confidence", confidence)) / 2
    if n < 2:
        return PairedComparison(n, mean, math.nan, math.nan, math.nan)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf(tail, n - 1)) * error
    if error == 0:  # the same difference in every pair: no spread to test against
        return PairedComparison(n, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    return PairedComparison(n, mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1)))


def _normal_quantile(confidence: float) -> float:
    return float(stats.norm.ppf((1 + open_unit("confidence", confidence)) / 2))


def _joined(argument: str, values: np.ndarray | Sequence[np.ndarray], kind: Callable) -> np.ndarray:
    """One array from one, or from one a seed."""
    several = isinstance(values, (list, tuple)) and len(values) > 0 and np.ndim(values[0]) > 0
    parts = [np.asarray(part) for part in values] if several else [np.asarray(values)]
    if kind is bool:
        return np.concatenate([_bools(argument, part) for part in parts])
    if any(part.ndim != 1 or part.dtype.kind != "f" for part in parts):
        raise refuse(argument, [f"{part.dtype} {part.shape}" for part in parts], "float arrays [T]")
    return np.concatenate(parts)


def _bools(argument: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype != bool:
        raise refuse(argument, f"{values.dtype} of shape {values.shape}", "a bool array [T]")
    return values


def _check_pairs(a: np.ndarray, b: np.ndarray) -> None:
    if len(a) != len(b) or not len(a):
        raise refuse("b", f"{len(b)} targets", f"the same targets as a, which has {len(a)} (and at least one)")
