"""Shares with exact intervals, and two arms compared over the same targets: McNemar, Student, Bonett and Price.

What a hit is, is decided by whoever counts.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rp_tutorial.core.arguments import refuse
from rp_tutorial.statistics.binomial import clopper_pearson

UPPER = 0.975  # the quantile of a two-sided 95 % interval


@dataclass(frozen=True)
class Rate:
    """`successes` of `trials` with the exact (Clopper-Pearson) 95 % interval [low, high]."""

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

    `difference` = a - b with the 95 % interval [low, high]. For hits: the difference of the two rates, `only_a` and
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

    def told(self, name: str) -> dict[str, float | list[float]]:
        """The difference under `name`, its interval under `<name>_ci`, and p_value, as results hold them."""
        return {name: self.difference, f"{name}_ci": [self.low, self.high], "p_value": self.p_value}


def rate(hits: np.ndarray) -> Rate:
    """The share of True with its exact interval; (0, 1) of no trials at all."""
    hits = _row("hits", hits, "b", "a bool array [T]")
    return rate_of(int(hits.sum()), len(hits))


def rate_of(successes: int, trials: int) -> Rate:
    """The same from counts."""
    if not trials:
        return Rate(0, 0, 0.0, 1.0)
    low, high = clopper_pearson(successes, trials)
    return Rate(successes, trials, float(low), float(high))


def paired_comparison(a: np.ndarray, b: np.ndarray) -> PairedComparison:
    """Compare the hits of two arms over the same targets: exact McNemar test and an interval for the difference.

    a, b: bool [T] as `Verdicts.hits` gives them, those of several seeds one behind the other. If the arms do not
    differ, a target inverted by just one of them is as likely to be either's: two-sided binomial test, exact.
    The interval is Bonett and Price's (2012), which keeps its level for few pairs. Joined seeds count as independent
    pairs; targets that share a net are so only given that net.
    """
    a, b = _pairs(a, b, "b", "a bool array [T]")
    only_a, only_b, n = int((a & ~b).sum()), int((b & ~a).sum()), len(a)
    discordant = only_a + only_b
    p_value = float(stats.binomtest(only_a, discordant).pvalue) if discordant else 1.0
    raised_a, raised_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    centre = raised_a - raised_b
    half = float(stats.norm.ppf(UPPER)) * math.sqrt((raised_a + raised_b - centre**2) / (n + 2))
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return PairedComparison(n, (only_a - only_b) / n, low, high, p_value, only_a, only_b)


def paired_difference(a: np.ndarray, b: np.ndarray) -> PairedComparison:
    """Compare a number of two arms over the same targets (a distance, say): the mean of a - b, with Student's interval.

    Pairs with NaN in either arm, targets not found, are left out: `pairs` says how many are used. NaN for the interval
    and the p-value of fewer than two.
    """
    a, b = _pairs(a, b, "f", "a float array [T]")
    differences = (a - b)[~np.isnan(a - b)]
    n, mean = len(differences), float(differences.mean()) if len(differences) else math.nan
    if n < 2:
        return PairedComparison(n, mean, math.nan, math.nan, math.nan)
    error = float(differences.std(ddof=1)) / math.sqrt(n)
    half = float(stats.t.ppf(UPPER, n - 1)) * error
    if error == 0:  # the same difference in every pair: no spread to test against
        return PairedComparison(n, mean, mean, mean, 1.0 if mean == 0 else 0.0)
    return PairedComparison(n, mean, mean - half, mean + half, float(2 * stats.t.sf(abs(mean) / error, n - 1)))


def _pairs(a: np.ndarray, b: np.ndarray, kind: str, allowed: str) -> tuple[np.ndarray, np.ndarray]:
    a, b = _row("a", a, kind, allowed), _row("b", b, kind, allowed)
    if len(a) != len(b) or not len(a):
        raise refuse("b", f"{len(b)} targets", f"the same targets as a, which has {len(a)} (and at least one)")
    return a, b


def _row(argument: str, values: np.ndarray, kind: str, allowed: str) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or values.dtype.kind != kind:
        raise refuse(argument, f"{values.dtype} of shape {values.shape}", allowed)
    return values
