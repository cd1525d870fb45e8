"""A lower bound on a probability that stays valid while one looks, stops when it pleases, or goes on: by betting.

The bounds of `binomial` are for a number of trials that was fixed in advance; whoever stops at a good moment breaks
them. Here a bettor starts with 1 and bets on successes at odds that are fair if p is p0, so that at a smaller p the
bets lose on average and the capital exceeds 1 / alpha ever with probability at most alpha (Ville). The values p0 at
which it has done so are excluded. The capital is a mean over all stakes, a mixture of likelihood ratios that has a
closed form.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rp_tutorial.core.arguments import count, open_unit, refuse

LEAN = 0.2  # the capital is spread over y = 1 - stake with density LEAN y^(LEAN - 1): leaning towards high stakes,
# which decide soonest where p is near 1, as in certificates; 1 would spread it evenly
SLACK = 1e-8  # on the logarithm of the capital, above what gammaln is off by at 10^7 trials
HALVINGS = 60


def anytime_lower_bound(successes: ArrayLike, trials: ArrayLike, *, alpha: float) -> NDArray[np.float64]:
    """Lower bounds on p that hold at all times together with probability at least 1 - alpha, whenever one stops.

    `successes` of the first `trials` independent trials, both integers, which broadcast; the bound has their shape, is
    0 without a success and rounded down. The largest bound so far is valid too. At one time it lies below the bound of
    `lower_confidence_bound`: the price of looking.
    Raises InputError for counts outside 0..trials, trials < 1 or alpha outside (0, 1).

    >>> rp.statistics.anytime_lower_bound([9, 90, 900], [10, 100, 1000], alpha=0.01).round(3)
    array([0.39 , 0.757, 0.859])
    >>> rp.statistics.lower_confidence_bound(900, 1000, alpha=0.01).round(3)
    np.float64(0.876)

    Source: Robbins 1970 (mixtures); Waudby-Smith and Ramdas 2024 (bets); for certificates Voracek 2024.
    Chapter: foundations/in-use.
    """
    k, n = _pairs(successes, trials)
    goal, shape = SLACK - math.log(open_unit("alpha", alpha)), k.shape
    (k, n), which = np.unique([k.ravel(), n.ravel()], axis=1, return_inverse=True)  # few pairs in a large batch
    low, high = np.zeros(k.shape), k / n  # at k / n nothing is won: the capital is at most 1
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        excluded = (middle > 0) & (log_capital(k, n, middle) >= goal)
        low, high = np.where(excluded, middle, low), np.where(excluded, high, middle)
    return low[which].reshape(shape)[()]


def log_capital(successes: ArrayLike, trials: ArrayLike, p0: ArrayLike) -> NDArray[np.float64]:
    """Logarithm of the capital of who bet against p <= p0, 0 < p0 < 1; it falls as p0 grows.

    Mean over y in (0, 1), by `LEAN`, of (y + (1 - y) / p0) ** successes * y ** failures: the stake 1 - y is lost at a
    failure. With y = (1 - p1) / (1 - p0) it is the likelihood ratio of p1 > p0 to p0, and the integral a Beta's tail.
    """
    k, n, p0 = (np.asarray(part, dtype=np.float64) for part in (successes, trials, p0))
    with np.errstate(divide="ignore"):
        tail = np.log(special.betainc(n - k + LEAN, k + 1, 1 - p0))
    whole = math.log(LEAN) + special.betaln(k + 1, n - k + LEAN)
    return whole + tail - special.xlogy(k, p0) - (n - k + LEAN) * np.log1p(-p0)


def anytime_trials(p: float, needed: float, *, alpha: float, most: int) -> tuple[float, float]:
    """Expected trials until the bound passes `needed`, or `most` are done; and the probability that it ever passes.

    p: the true probability. Exact: the law of the successes is followed from trial to trial. To be set beside the fixed
    number of trials that decides the same.

    >>> spent, power = rp.statistics.anytime_trials(0.99, 0.84, alpha=0.001, most=1000)
    >>> round(spent, 1), round(power, 4)
    (54.4, 1.0)

    Chapter: foundations/in-use.
    """
    p, needed, most = open_unit("p", p), open_unit("needed", needed), count("most", most)
    enough = stopping_counts(needed, alpha=alpha, most=most)
    running, spent, stopped = np.ones(1), 0.0, 0.0  # law of the successes of those who have not stopped
    for stop in enough:
        spent += running.sum()
        running = np.append(running * (1 - p), 0.0) + np.append(0.0, running * p)
        stopped += running[stop:].sum()
        running = running[:stop]
    return float(spent), float(min(1.0, stopped))


def stopping_counts(needed: float, *, alpha: float, most: int) -> NDArray[np.int64]:
    """For n = 1, ..., most the fewest successes of n whose bound passes `needed`; n + 1 where none. Shape [most]."""
    n, goal = np.arange(1, count("most", most) + 1), SLACK - math.log(open_unit("alpha", alpha))
    low, high = np.zeros(most, dtype=np.int64), n + 1  # the capital grows with the successes
    while np.any(high - low > 1):
        middle = (low + high) // 2
        passes = log_capital(np.minimum(middle, n), n, open_unit("needed", needed)) >= goal
        low, high = np.where(passes, low, middle), np.where(passes, middle, high)
    return high


def _pairs(successes: ArrayLike, trials: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    k, n = np.asarray(successes), np.asarray(trials)
    for name, found in (("successes", k), ("trials", n)):
        if found.dtype.kind not in "iu":
            raise refuse(name, found.tolist(), "integers")
    if n.size and n.min() < 1:
        raise refuse("trials", int(n.min()), "integers of at least 1")
    k, n = np.broadcast_arrays(k.astype(np.int64), n.astype(np.int64))
    wrong = (k < 0) | (k > n)
    if wrong.any():
        raise refuse("successes", int(k[wrong][0]), f"counts from 0 to trials = {int(n[wrong][0])}")
    return k, n
