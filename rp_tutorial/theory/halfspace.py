"""The half-space: the one classifier for which every released label has a law in closed form.

f(z) = [z > t] along one coordinate, so p_1(z) = Phi((z - t) / sigma), the votes are binomial, and VOTE, PREDICT and
CERTIFY can be computed to machine precision. The BMI threshold task is nearly this (one relevant feature, BMI nearly
normal), which makes the closed form its independent oracle. No sampling happens here; privacy statements about these
laws are not made here either. Coordinates are standardised: the attribute is N(0, 1) and the unit is "std".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from rp_tutorial.core.arguments import count, open_unit, positive
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound, predict_thresholds


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
    Over the inputs that PREDICT answers with class 1: `mean_radius_std` is CERTIFY's mean radius (0 where it
    abstains), `mean_distance_std` the mean true distance to the boundary, which no certificate can exceed in truth.
    Both are 0 where PREDICT never answers.
    """

    accuracy: float
    abstention: float
    error: float
    mean_radius_std: float
    mean_distance_std: float


def threshold_rates(*, sigma: float, n: int, alpha: float, quantile: float = 0.9, n0: int = 100) -> ThresholdRates:
    """Table 1 in closed form: a threshold at `quantile` of N(0, 1), PREDICT(n, alpha), CERTIFY(n0, n, alpha).

    Integrates the exact binomial laws over the population; PREDICT and CERTIFY draw their own samples.
    Unit of sigma, radius and distance: std.
    """
    threshold = special.ndtri(open_unit("quantile", quantile))
    z, weight = _population_grid(threshold)
    distance = z - threshold
    p_one = class_one_probability(distance, sigma=sigma)
    law = predict_law(p_one, n=n, alpha=alpha)
    right = np.where(distance > 0, law[:, 2], law[:, 0])
    wrong = np.where(distance > 0, law[:, 0], law[:, 2])
    answered_one = weight * law[:, 2]
    answered_one /= max(answered_one.sum(), np.finfo(float).tiny)  # nobody is answered up to n = 7 at alpha = .01
    radius = mean_radius(p_one, sigma=sigma, n0=n0, n=n, alpha=alpha)
    return ThresholdRates(
        accuracy=float(weight @ right),
        abstention=float(weight @ law[:, 1]),
        error=float(weight @ wrong),
        mean_radius_std=float(answered_one @ radius),
        mean_distance_std=float(answered_one @ distance),
    )


def mean_radius(p: ArrayLike, *, sigma: float, n0: int, n: int, alpha: float) -> NDArray[np.float64]:
    """Expected radius that CERTIFY(n0, n, alpha) prints for class 1 where p_1 = p; 0 counted where it prints none.

    Shape of p. The class is chosen by VOTE(n0); a certificate for class 0 does not count.
    """
    p = np.asarray(p, dtype=np.float64)
    counts = np.arange(count("n", n) + 1)
    radius = certified_radius(lower_confidence_bound(counts, n, alpha=alpha), sigma=sigma)
    some = counts[radius > 0]
    # Summed by parts: SciPy's pmf overflows where p is near the smallest float, its tail does not.
    tail, gain = stats.binom.sf(some - 1, n, p[..., None]), np.diff(radius[some], prepend=0.0)
    return vote_law(p, n=n0)[..., 1] * (tail @ gain)


def expected_reach(*, sigma: float, n: int, alpha: float, offsets: ArrayLike, records: int) -> float:
    """How far left of the boundary the furthest positive PREDICT is expected, over `records` tries at each offset.

    The paper calls this the expansion of the inference interval (Figure 1). It is the extreme of many noisy
    releases: it grows with `records`, shrinks with n, and is 0 for the ideal smoothed classifier, whose boundary is
    where the base classifier's is. `offsets` are distances left of the boundary, in std, as sigma.
    """
    offsets, reach_at_most = _reach_law(sigma=sigma, n=n, alpha=alpha, offsets=offsets, records=records)
    steps = np.diff(offsets, prepend=0.0)
    return float(np.sum((1 - reach_at_most) * steps))


def reach_range(
    *, sigma: float, n: int, alpha: float, offsets: ArrayLike, records: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Offsets between which the furthest positive PREDICT falls with probability at least `confidence`.

    An extreme scatters widely, so one observed reach says little; arguments as in `expected_reach`.
    """
    tail = (1 - open_unit("confidence", confidence)) / 2
    offsets, reach_below = _reach_law(sigma=sigma, n=n, alpha=alpha, offsets=offsets, records=records)
    low = offsets[reach_below <= tail].max(initial=0.0)
    high = offsets[np.append(reach_below[1:], 1.0) >= 1 - tail].min()
    return float(low), float(high)


def _reach_law(
    *, sigma: float, n: int, alpha: float, offsets: ArrayLike, records: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The sorted offsets and, for each, the probability that no positive is seen at it or beyond."""
    offsets = np.sort(np.asarray(offsets, dtype=np.float64))
    positive_rate = predict_law(class_one_probability(-offsets, sigma=sigma), n=n, alpha=alpha)[:, 2]
    log_none = count("records", records) * np.log1p(-positive_rate)
    return offsets, np.exp(np.cumsum(log_none[::-1])[::-1])


def _population_grid(threshold: float, *, points: int = 1000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nodes and weights for N(0, 1), Gauss-Legendre on each side of the threshold, where the truth jumps."""
    node, weight = np.polynomial.legendre.leggauss(points)
    sides = [(-10.0, threshold), (threshold, 10.0)]
    z = np.concatenate([(b - a) / 2 * node + (a + b) / 2 for a, b in sides])
    w = np.concatenate([(b - a) / 2 * weight for a, b in sides])
    return z, w * stats.norm.pdf(z)
