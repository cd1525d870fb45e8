"""Binomial bounds, tests and quantiles: everything the certificates stand on, rounded to the safe side.

NumPy and SciPy only, no torch; nothing here knows what a classifier is. Three sampling rules use it and must not be
mixed up (SCIENCE of the book: chapter "Certified robustness"): VOTE needs nothing from here, PREDICT needs
`predict_thresholds`, CERTIFY needs `lower_confidence_bound` and `certified_radius`. A count of 0 or of all trials is
an ordinary case. Bounds are computed in float64 and then moved outward by `SLACK`, far above the error of the
special functions and far below anything a reader would print.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from rp_tutorial.core.arguments import count, open_unit, positive, refuse

SLACK = 1e-12  # relative outward rounding; scipy's betaincinv and ndtri are good to about 1e-15


def lower_confidence_bound(successes: ArrayLike, trials: int, *, alpha: float) -> NDArray[np.float64]:
    """One-sided Clopper-Pearson bound: with probability at least 1 - alpha over the trials, p >= the bound.

    `successes` any shape, the bound has the same shape; 0 successes give 0. Rounded down.
    Raises InputError for counts outside 0..trials, trials < 1 or alpha outside (0, 1).
    Source: Clopper and Pearson 1934; Cohen et al. 2019, LowerConfBound.
    """
    n, alpha = count("trials", trials), open_unit("alpha", alpha)
    k = _counts(successes, n)
    bound = special.betaincinv(np.maximum(k, 1), n - k + 1, alpha) * (1 - SLACK)
    return np.where(k == 0, 0.0, bound)


def upper_confidence_bound(successes: ArrayLike, trials: int, *, alpha: float) -> NDArray[np.float64]:
    """One-sided Clopper-Pearson bound: with probability at least 1 - alpha over the trials, p <= the bound.

    The mirror image of `lower_confidence_bound`: a bound on the failures, turned round. Rounded up.
    """
    n = count("trials", trials)
    # The subtraction from 1 rounds by up to half an ulp, which is more than the slack of a bound near 0: one ulp up.
    return np.minimum(1.0, np.nextafter(1 - lower_confidence_bound(n - _counts(successes, n), n, alpha=alpha), 2.0))


def clopper_pearson(
    successes: ArrayLike, trials: int, *, confidence: float = 0.95
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-sided exact interval: it covers p with probability at least `confidence`, each side missing at most half.

    This is the interval the book prints beside every measured rate. Shapes as `successes`.
    """
    tail = (1 - open_unit("confidence", confidence)) / 2
    return lower_confidence_bound(successes, trials, alpha=tail), upper_confidence_bound(successes, trials, alpha=tail)


def predict_thresholds(n: int, alpha: float) -> NDArray[np.int64]:
    """PREDICT's test as a table: with m votes on the two top classes, answer from `table[m]` votes for the leader.

    The two-sided binomial test of p = 1/2 rejects at level alpha exactly when the leader has at least `table[m]` of
    the m votes; m + 1 where no count is enough. So a wrong class is released with probability at most alpha.
    Shape [n + 1], read-only. For alpha = .01 the last entry is 542 for n = 1000, 64 for 100, 10 for 10.
    Source: Cohen et al. 2019, PREDICT (there one scipy call an input; here one table for all inputs); for more than
    two classes Hung and Fithian 2019, Rank verification.
    """
    return _predict_table(count("n", n), open_unit("alpha", alpha))


@lru_cache(maxsize=64)
def _predict_table(n: int, alpha: float) -> NDArray[np.int64]:
    m = np.arange(n + 1)
    tail = alpha / 2 * (1 + SLACK)  # a p-value equal to alpha counts as small enough
    table = stats.binom.isf(tail, m, 0.5).astype(np.int64) + 1
    table = np.where(stats.binom.sf(table - 2, m, 0.5) <= tail, table - 1, table)  # isf may be one off at a tie
    table = np.where(stats.binom.sf(table - 1, m, 0.5) > tail, table + 1, table)
    table = np.minimum(table, m + 1)
    table.setflags(write=False)
    return table


def min_predict_votes(n: int, *, alpha: float) -> int | None:
    """Smallest count out of n, all on two classes, from which PREDICT answers; None if it always abstains."""
    needed = int(predict_thresholds(n, alpha)[n])
    return None if needed > n else needed


def min_certify_votes(n: int, *, alpha: float) -> int | None:
    """Smallest count out of n from which CERTIFY's bound exceeds 1/2; None if it always abstains.

    For alpha = .01 it is 538 of 1000 and 63 of 100: fewer than PREDICT needs, because the test is one-sided.
    """
    counts = np.arange(count("n", n) + 1)
    certified = np.flatnonzero(lower_confidence_bound(counts, n, alpha=alpha) > 0.5)
    return int(certified[0]) if certified.size else None


def normal_quantile_down(p: ArrayLike) -> NDArray[np.float64]:
    """Phi^-1(p), rounded down: never above the true quantile. p = 0 gives -inf and p = 1 gives inf."""
    return _shifted_quantile(p, -1)


def normal_quantile_up(p: ArrayLike) -> NDArray[np.float64]:
    """Phi^-1(p), rounded up: never below the true quantile."""
    return _shifted_quantile(p, +1)


def certified_radius(p_low: ArrayLike, *, sigma: float) -> NDArray[np.float64]:
    """Radius within which the smoothed classifier provably keeps class A, if p_A >= p_low.

    sigma * Phi^-1(p_low), rounded down; 0 where p_low <= 1/2. Any shape; the unit is that of sigma.
    Source: Cohen et al. 2019, Theorem 1 with p_B = 1 - p_A. The tight form for two classes.
    """
    sigma = positive("sigma", sigma)
    return np.maximum(0.0, sigma * normal_quantile_down(p_low))


def certified_radius_two_bounds(p_a_low: ArrayLike, p_b_high: ArrayLike, *, sigma: float) -> NDArray[np.float64]:
    """The paper's Equation 1: sigma / 2 * (Phi^-1(p_a_low) - Phi^-1(p_b_high)), rounded down, at least 0.

    Valid if p_A >= p_a_low and p_B <= p_b_high hold *together*. So the error probability has to be split:
    `Smoothing.certify(bound="two-sided")` spends alpha / 2 on each of the two.
    """
    sigma = positive("sigma", sigma)
    with np.errstate(invalid="ignore"):  # both bounds 0 or both 1 leave inf - inf: nothing is certified
        margin = normal_quantile_down(p_a_low) - normal_quantile_up(p_b_high)
    return np.fmax(0.0, sigma / 2 * margin)


def max_certifiable_radius(n: int, *, alpha: float, sigma: float) -> float:
    """The largest radius n unanimous samples can certify: sigma * Phi^-1(alpha ** (1 / n)).

    At alpha = .01 it is .334, 1.695 and 2.605 sigma for n = 10, 100 and 1000, however sure the net is.
    """
    return float(certified_radius(lower_confidence_bound(n, n, alpha=alpha), sigma=sigma))


def _shifted_quantile(p: ArrayLike, direction: int) -> NDArray[np.float64]:
    p = np.asarray(p)
    if p.dtype.kind not in "fiu":
        raise refuse("p", p.tolist(), "real numbers from 0 to 1")
    p = p.astype(np.float64)
    if not np.all((p >= 0) & (p <= 1)):
        raise refuse("p", p[~((p >= 0) & (p <= 1))].flat[0].item(), "probabilities from 0 to 1")
    quantile = special.ndtri(p)
    # An absolute floor as well: near p = 1/2 the quantile is 0 but p itself carries an error of one ulp.
    outward = SLACK * np.abs(np.where(np.isfinite(quantile), quantile, 0)) + 1e-15
    return quantile + direction * outward


def _counts(successes: ArrayLike, trials: int) -> NDArray[np.int64]:
    k = np.asarray(successes)
    if k.dtype.kind not in "iu":
        raise refuse("successes", successes, "integers")
    if k.size and (k.min() < 0 or k.max() > trials):
        raise refuse("successes", int(k.min()) if k.min() < 0 else int(k.max()), f"counts from 0 to trials = {trials}")
    return k.astype(np.int64)
