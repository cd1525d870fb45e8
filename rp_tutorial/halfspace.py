"""The half-space: the one classifier for which every released label has a law in closed form.

f(z) = [z > t] along one coordinate, so p_1(z) = Phi((z - t) / sigma), the votes are binomial, and VOTE, PREDICT and
CERTIFY can be computed to machine precision. The BMI threshold task is nearly this (one relevant feature, BMI nearly
normal), which makes the closed form its independent oracle. No sampling happens here; privacy statements about these
laws are not made here either. Coordinates are standardised: the attribute is N(0, 1) and the unit is "std".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from rp_tutorial.arguments import count, open_unit, positive
from rp_tutorial.statistics import certified_radius, lower_confidence_bound, predict_thresholds


def class_one_probability(distance: ArrayLike, *, sigma: float) -> NDArray[np.float64]:
    """p_1 at a signed distance from the boundary (positive on the side of class 1), same unit as sigma."""
    return special.ndtr(np.asarray(distance, dtype=np.float64) / positive("sigma", sigma))


def vote_law(p: ArrayLike, *, n: int) -> NDArray[np.float64]:
    """Law of VOTE(n) over (class 0, class 1), shape [..., 2], where one noisy label is 1 with probability p.

    A tie goes to the lowest index, so class 1 needs more than n / 2 votes.
    """
    one = stats.binom.sf(count("n", n) // 2, n, p)
    return np.stack([stats.binom.cdf(n // 2, n, p), one], axis=-1)


def predict_law(p: ArrayLike, *, n: int, alpha: float) -> NDArray[np.float64]:
    """Law of PREDICT(n, alpha) over (class 0, ABSTAIN, class 1), shape [..., 3]."""
    needed = int(predict_thresholds(n, alpha)[n])
    zero, one = stats.binom.cdf(n - needed, n, p), stats.binom.sf(needed - 1, n, p)
    return np.stack([zero, np.clip(1 - zero - one, 0, 1), one], axis=-1)


@dataclass(frozen=True)
class ThresholdRates:
    """What a smoothed threshold does to a standard normal population.

    `accuracy + abstention + error` is 1: an abstention counts against accuracy, as in the paper's Table 1.
    `mean_radius_std` averages CERTIFY's radius over the inputs certified as class 1.
    """

    accuracy: float
    abstention: float
    error: float
    mean_radius_std: float


def threshold_rates(*, sigma: float, n: int, alpha: float, quantile: float = 0.9) -> ThresholdRates:
    """Table 1 in closed form: a threshold at `quantile` of N(0, 1), noise sigma, PREDICT's and CERTIFY's rules.

    Integrates the exact binomial laws over the population. Unit of sigma and of the radius: std.
    """
    threshold = special.ndtri(open_unit("quantile", quantile))
    z, weight = _population_grid(threshold)
    p_one = class_one_probability(z - threshold, sigma=sigma)
    law = predict_law(p_one, n=n, alpha=alpha)
    positive_side = z > threshold
    right = np.where(positive_side, law[:, 2], law[:, 0])
    wrong = np.where(positive_side, law[:, 0], law[:, 2])
    return ThresholdRates(
        accuracy=float(weight @ right),
        abstention=float(weight @ law[:, 1]),
        error=float(weight @ wrong),
        mean_radius_std=_mean_positive_radius(p_one, weight, sigma=sigma, n=n, alpha=alpha),
    )


def expected_reach(*, sigma: float, n: int, alpha: float, offsets: ArrayLike, records: int) -> float:
    """How far left of the boundary the furthest positive PREDICT is expected, over `records` tries at each offset.

    The paper calls this the expansion of the inference interval (Figure 1). It is the extreme of many noisy
    releases: it grows with `records`, shrinks with n, and is 0 for the ideal smoothed classifier, whose boundary is
    where the base classifier's is. `offsets` are distances left of the boundary, in std, as sigma.
    """
    offsets = np.sort(np.asarray(offsets, dtype=np.float64))
    positive_rate = predict_law(class_one_probability(-offsets, sigma=sigma), n=n, alpha=alpha)[:, 2]
    log_none = count("records", records) * np.log1p(-positive_rate)
    reach_at_most = np.exp(np.cumsum(log_none[::-1])[::-1])  # no positive at this offset or beyond
    steps = np.diff(offsets, prepend=0.0)
    return float(np.sum((1 - reach_at_most) * steps))


def _population_grid(threshold: float, *, points: int = 4000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for N(0, 1), Gauss-Legendre on each side of the threshold, where the truth jumps."""
    node, weight = np.polynomial.legendre.leggauss(points)
    sides = [(-10.0, threshold), (threshold, 10.0)]
    z = np.concatenate([(b - a) / 2 * node + (a + b) / 2 for a, b in sides])
    w = np.concatenate([(b - a) / 2 * weight for a, b in sides])
    return z, w * stats.norm.pdf(z)


def _mean_positive_radius(p_one: NDArray, weight: NDArray, *, sigma: float, n: int, alpha: float) -> float:
    """E[R | certified as class 1], the class taken from the same side of 1/2 as the certifying count."""
    counts = np.arange(n + 1)
    radius = certified_radius(lower_confidence_bound(counts, n, alpha=alpha), sigma=sigma)
    certified = counts[radius > 0]
    mixture = weight @ stats.binom.pmf(certified[None, :], n, p_one[:, None])
    return float(mixture @ radius[certified] / mixture.sum()) if certified.size else 0.0
