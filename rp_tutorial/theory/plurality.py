"""A deployable radius for more than two classes: A may win a vote with less than half of it, if no rival comes close.

Everything else in the room argues with A's majority, which nobody has among a thousand classes. Here p_A is bounded
from below and *every* other class from above, and A is compared with one rival at a time. NumPy and SciPy only.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from rp_tutorial.core.arguments import count, open_unit, positive
from rp_tutorial.statistics.binomial import normal_quantile_down, normal_quantile_up
from rp_tutorial.theory import guarantees

SLACK = 1e-9  # relative, on a sum of positive binomial terms: far above its error
FAR = 40.0  # sigmas: Phi(-40) is 0 in float64
REST = 1e-30  # what Hoeffding and Bernstein leave outside the window of the sum
TINY = 1e-200  # a probability below which SciPy's binomial pmf overflows
HALVINGS = 40
CELLS = 1_000_000  # entries of one array


def plurality_loss(
    p_a_low: ArrayLike, p_b_high: ArrayLike, shift: ArrayLike, *, n_vote: int, num_classes: int
) -> NDArray[np.float64]:
    """Probability that VOTE(n_vote) at any point within `shift` sigmas of x does not release A, at most; rounded up.

    For p_A(x) >= p_a_low and p_c(x) <= p_b_high for every other class c. With a = Phi(Phi^-1(p_a_low) - shift) and
    b = Phi(Phi^-1(p_b_high) + shift) it is (num_classes - 1) Pr[N_c >= N_A], where a vote is for A with probability a
    and for the rival with probability b, or 1 - a, if that is less. A tie counts as lost. Broadcasts.

    >>> rp.theory.plurality_loss(0.3, 0.02, [0.2, 0.4], n_vote=100, num_classes=1000).round(3)
    array([0.008, 1.   ])

    Source: ours; a rival at a time: Neyman and Pearson's bound on each class, then the union bound.
    Chapter: foundations/sharper-bounds.
    """
    n, rivals = count("n_vote", n_vote), count("num_classes", num_classes, minimum=2) - 1
    own, rival = _quantiles(p_a_low, p_b_high)
    return np.minimum(1.0, rivals * draws_level(own - shift, rival + shift, n))


def deployable_radius(
    p_a_low: ArrayLike, p_b_high: ArrayLike, *, sigma: float, n_vote: int, num_classes: int, beta: float
) -> NDArray[np.float64]:
    """Radius within which VOTE(n_vote) stays put with probability at least 1 - beta, also where p_A is below 1/2.

    If p_A(x) >= p_a_low and p_c(x) <= p_b_high for every other class c, then for every x' with ||x' - x||_2 <= R the
    vote at x' releases A with probability at least 1 - beta, and so does the vote at x: TV at most beta. If the bounds
    fail together with probability at most alpha, and the votes are drawn independently of them, at most alpha + beta.
    One upper bound serves all classes: that of the *largest* other count, at alpha / 2 beside alpha / 2 for A, however
    many classes there are. For the likeliest other class has at most this count, and its bound holds for all.

    The larger of the radius by plurality (where `plurality_loss` reaches beta) and that by A's majority, which needs
    no p_b_high; rounded down, 0 where there is none. Unit: that of sigma; the two bounds broadcast.
    Raises InputError for bounds outside [0, 1], sigma <= 0, n_vote < 1, num_classes < 2 or beta outside (0, 1).

    >>> few, many = (
    ...     rp.theory.plurality.deployable_radius(0.3, 0.02, sigma=1.0, n_vote=n, num_classes=1000, beta=0.01)
    ...     for n in (100, 1000)
    ... )
    >>> few.round(3), many.round(3)
    (np.float64(0.207), np.float64(0.591))

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    n, rivals = count("n_vote", n_vote), count("num_classes", num_classes, minimum=2) - 1
    sigma, beta = positive("sigma", sigma), open_unit("beta", beta)
    own, rival = np.broadcast_arrays(*_quantiles(p_a_low, p_b_high))
    by_majority = guarantees.deployable_radius(p_a_low, sigma=sigma, n_vote=n, beta=beta)
    low = np.zeros(own.shape)
    with np.errstate(invalid="ignore"):  # at half the margin the rival is as likely as A: no radius reaches it
        high = np.clip(np.nan_to_num((own - rival) / 2, nan=0.0), 0.0, 2 * FAR)
    kept = rivals * draws_level(own - low, rival + low, n) <= beta
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        keeps = kept & (rivals * draws_level(own - middle, rival + middle, n) <= beta)
        low, high = np.where(keeps, middle, low), np.where(keeps, high, middle)
    return np.maximum(by_majority, sigma * low * (1 - SLACK))[()]


def _quantiles(p_a_low: ArrayLike, p_b_high: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    own, rival = guarantees.within("p_a_low", p_a_low, 1.0), guarantees.within("p_b_high", p_b_high, 1.0)
    return normal_quantile_down(own), normal_quantile_up(rival)


def draws_level(own: ArrayLike, rival: ArrayLike, n: int, *, rest: float = REST) -> NDArray[np.float64]:
    """Pr[N_c >= N_A] of n votes, rounded up by `rest` at least, where A and its rival have these quantiles. Broadcasts.

    Given that M of the n votes are for one of the two, the rival's are Bin(M, b / (a + b)).
    """
    own, rival = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in (own, rival)))
    a = special.ndtr(own).ravel()
    b = np.minimum(special.ndtr(rival).ravel(), 1 - a)
    either = np.where(a + b < TINY, 0.0, np.minimum(1.0, a + b))  # rounded to: nobody votes for A, it is lost
    level, tail = np.empty(len(a)), math.log(2 / rest)
    variance = float((n * either * (1 - either)).max(initial=0.0))
    reach = tail / 3 + math.sqrt(tail * tail / 9 + 2 * tail * variance)  # Bernstein
    reach = min(n, math.ceil(min(reach, math.sqrt(n * tail / 2))) + 1)  # Hoeffding
    window = np.arange(min(2 * reach, n) + 1)
    for part in np.array_split(np.arange(len(a)), max(1, len(a) * len(window) // CELLS)):
        start = np.clip(np.floor(either[part] * n).astype(np.int64) - reach, 0, n - window[-1])
        votes = start[:, None] + window
        share = np.divide(b[part], either[part], out=np.ones(len(part)), where=either[part] > 0)[:, None]
        needed = (votes + 1) // 2  # of them for the rival
        lost = np.where(votes > 0, special.betainc(np.maximum(needed, 1), votes - needed + 1, share), 1.0)
        level[part] = (stats.binom.pmf(votes, n, either[part][:, None]) * lost).sum(axis=1)
    return np.minimum(1.0, level * (1 + SLACK) + rest).reshape(own.shape)[()]
