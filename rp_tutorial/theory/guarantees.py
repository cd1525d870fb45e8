"""What a released label can be proven to hide: advantage, total variation, finite samples, composition.

Three mechanisms are kept apart throughout. Nobody can run the *ideal* smoothed classifier; VOTE(N) and
PREDICT(N, alpha) are what is deployed, and their own sampling enters every bound. Convention: a fair coin picks one of
two inputs, and the *advantage* is Pr[guess right] - 1/2 at its best, which is half the total variation (TV) of what is
released; other texts use twice this. NumPy and SciPy only. A guarantee with all its parts is `robust_privacy`, what is
exact for a vote `profile` and `calibration`, the planner `planner`; the game itself, played against an oracle, is
`attacks.distinguishing`.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rp_tutorial.core.arguments import InputError, closed_unit, count, one_of, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import lower_confidence_bound, min_predict_votes, normal_quantile_down
from rp_tutorial.theory.halfspace import predict_law, vote_law

RULES = ("vote", "predict")
MAX_OUTCOMES = 2_000_000  # count vectors that `repeated_tv` will enumerate

# --- Advantage and total variation ---


def advantage_from_tv(tv: ArrayLike) -> NDArray[np.float64]:
    """Best advantage against two laws at total variation `tv`: tv / 2, from 0 to 1/2. Any shape."""
    return within("tv", tv, 1.0) / 2


def total_variation(law_a: ArrayLike, law_b: ArrayLike) -> NDArray[np.float64]:
    """TV of two laws over the same symbols, [..., S] and [..., S] -> [...]: sum |a - b| / 2.

    It is the largest difference of probability that any event has under the two. Raises InputError for anything
    that is not a law (negative, NaN, not summing to 1).
    """
    a, b = check_law("law_a", law_a), check_law("law_b", law_b)
    return np.minimum(1.0, np.abs(a - b).sum(axis=-1) / 2)


def repeated_tv(law_a: ArrayLike, law_b: ArrayLike, releases: int) -> NDArray[np.float64]:
    """Exact TV of `releases` independent draws from each law, [..., S] -> [...]: what the best patient adversary has.

    The counts of the symbols are a sufficient statistic, so the TV of the two multinomials is that of the two
    products. Raises InputError beyond 2,000,000 count vectors (two symbols: 1,999,999 releases; three: 1,998).
    """
    a, b = np.broadcast_arrays(check_law("law_a", law_a), check_law("law_b", law_b))
    counts = _count_vectors(count("releases", releases), a.shape[-1])
    ways = special.gammaln(releases + 1) - special.gammaln(counts + 1).sum(axis=-1)
    log_a, log_b = (ways + special.xlogy(counts, law[..., None, :]).sum(axis=-1) for law in (a, b))
    return np.minimum(1.0, np.abs(np.exp(log_a) - np.exp(log_b)).sum(axis=-1) / 2)


# --- Finite samples: the deployable radius ---


def vote_quantile(n_vote: int, beta: float) -> float:
    """Phi^-1(q), rounded up, where a class of probability q loses VOTE(n_vote) with probability beta.

    Pr[Bin(n_vote, q) <= floor(n_vote / 2)] = beta: a tie counts as lost, so the label's index does not matter.
    At beta = .01 it is 1.035, .304, .093 and .029 for 10, 100, 1000 and 10,000 votes: the price in sigma.
    """
    n_vote = count("n_vote", n_vote)
    return _losing_quantile(n_vote, n_vote // 2, open_unit("beta", beta))


def predict_quantile(n_vote: int, beta: float, *, alpha: float) -> float:
    """Phi^-1(q'), rounded up, where PREDICT(n_vote, alpha) does not release a class of probability q' w.p. beta.

    Pr[Bin(n_vote, q') < k] = beta with k the smallest count that is significant against n_vote - k. Fewer votes for
    the runner-up (more classes) only help. inf where PREDICT never answers (n_vote <= 7 at alpha = .01).
    At alpha = beta = .01 it is 3.089, .644, .197 and .062 for 10, 100, 1000 and 10,000 votes.
    """
    needed = _predict_votes(count("n_vote", n_vote), open_unit("alpha", alpha))
    beta = open_unit("beta", beta)
    return math.inf if needed is None else _losing_quantile(n_vote, needed - 1, beta)


def deployable_radius(p_low: ArrayLike, *, sigma: float, n_vote: int, beta: float) -> NDArray[np.float64]:
    """Radius within which VOTE(n_vote) stays put with probability at least 1 - beta.

    If `p_low` is a valid lower bound on p_A(x), then for every x' with ||x' - x||_2 <= R the vote at x' releases A
    with probability at least 1 - beta, and so does the vote at x: the two have total variation at most beta. If p_low
    fails with probability at most alpha, and the votes are drawn independently of it, at most alpha + beta.

    sigma * (Phi^-1(p_low) - Phi^-1(q)), rounded down; 0 where no positive radius exists. Unit: that of sigma; shape:
    that of p_low. Raises InputError for p_low outside [0, 1], sigma <= 0, n_vote < 1 or beta outside (0, 1).

    >>> rp.deployable_radius([0.5, 0.9, 0.99], sigma=1.0, n_vote=100, beta=0.01).round(3)
    array([0.   , 0.978, 2.023])
    >>> rp.deployable_radius(0.9, sigma=1.0, n_vote=10, beta=0.01).round(3)
    np.float64(0.247)

    Chapter: foundations/finite-samples.
    """
    return _radius_above(p_low, vote_quantile(n_vote, beta), sigma)


def deployable_radius_predict(
    p_low: ArrayLike, *, sigma: float, n_vote: int, beta: float, alpha: float
) -> NDArray[np.float64]:
    """Radius within which PREDICT(n_vote, alpha) releases A with probability at least 1 - beta.

    As `deployable_radius`, ABSTAIN included among the symbols; `alpha` is the level of PREDICT's test, not that of
    the certificate behind p_low. Smaller than the vote's: near the boundary PREDICT gives itself away by abstaining.
    """
    return _radius_above(p_low, predict_quantile(n_vote, beta, alpha=alpha), sigma)


def composition_tv(alpha: float, beta: float, releases: int) -> float:
    """TV of `releases` independent releases at x and at x', at most: alpha + 1 - (1 - beta) ** releases, capped at 1.

    The certificate fails once for all of them; given that it holds, all releases are A with probability
    (1 - beta) ** releases in both worlds. A memoised answer to the same x counts as one release; an adversary who
    may also query neighbours of x learns from those, and this bound is silent about them.
    """
    alpha, beta, releases = closed_unit("alpha", alpha), closed_unit("beta", beta), count("releases", releases)
    some_other = 1.0 if beta == 1 else -math.expm1(releases * math.log1p(-beta))
    return min(1.0, alpha + some_other)


# --- The half-space, where every law is known ---


def halfspace_laws(
    p_a: ArrayLike,
    shift: ArrayLike,
    *,
    sigma: float,
    n_vote: int,
    rule: str = "vote",
    alpha: float | None = None,
    tie: str = "against",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact laws of one release at x, where class A has probability p_a, and at x', `shift` nearer to the boundary.

    The half-space is the worst case: no classifier loses p_A faster (Neyman-Pearson; Cohen et al. 2019). Symbols:
    (other, A) for rule="vote", (other, ABSTAIN, A) for rule="predict", whose test has level `alpha`. A tied vote goes
    to the lowest index: tie="against" where A is class 1, tie="for" where A is class 0. Broadcasts; [..., S] each.
    """
    z = special.ndtri(within("p_a", p_a, 1.0))
    shift = np.asarray(shift, dtype=np.float64)
    if not np.all(np.isfinite(shift)):
        raise refuse("shift", shift[~np.isfinite(shift)].flat[0].item(), "finite numbers")
    one_of("rule", rule, RULES)
    one_of("tie", tie, ("against", "for"))
    shares = np.broadcast_arrays(special.ndtr(z), special.ndtr(z - shift / positive("sigma", sigma)))
    if rule == "predict":
        if alpha is None:
            raise InputError("alpha: got None, allowed is the level of PREDICT's test, between 0 and 1")
        return tuple(predict_law(p, n=count("n_vote", n_vote), alpha=open_unit("alpha", alpha)) for p in shares)
    if tie == "against":
        return tuple(vote_law(p, n=count("n_vote", n_vote)) for p in shares)
    return tuple(vote_law(1 - p, n=count("n_vote", n_vote))[..., ::-1] for p in shares)


def halfspace_tv(p_a: ArrayLike, shift: ArrayLike, *, releases: int = 1, **mechanism) -> NDArray[np.float64]:
    """Exact total variation of `releases` independent releases at x and at x'; arguments as `halfspace_laws`."""
    laws = halfspace_laws(p_a, shift, **mechanism)
    return total_variation(*laws) if releases == 1 else repeated_tv(*laws, releases)


def halfspace_advantage(p_a: ArrayLike, shift: ArrayLike, *, releases: int = 1, **mechanism) -> NDArray[np.float64]:
    """Exact advantage of the best adversary on a half-space, TV / 2; arguments as `halfspace_laws`."""
    return halfspace_tv(p_a, shift, releases=releases, **mechanism) / 2


# --- Beside differential privacy and PixelDP ---


def hockey_stick(law_a: ArrayLike, law_b: ArrayLike, *, epsilon: float) -> NDArray[np.float64]:
    """Smallest delta for which the two laws are (epsilon, delta)-indistinguishable, both ways; [..., S] -> [...].

    At epsilon = 0 it is the total variation: "TV <= delta for all x' within R" says that one release is (0, delta)-DP
    where *neighbours* are inputs within R, not data sets that differ in one row. (R, alpha)-RP is therefore (0,
    alpha)-DP at the points that were certified, not everywhere. Source: Dwork, Kenthapadi et al. 2006;
    Lecuyer et al. 2019.
    """
    a, b = check_law("law_a", law_a), check_law("law_b", law_b)
    factor = math.exp(_at_least_zero("epsilon", epsilon))
    one_way, other_way = (np.maximum(0, p - factor * q).sum(axis=-1) for p, q in ((a, b), (b, a)))
    return np.minimum(1.0, np.maximum(one_way, other_way))


def tv_of_dp(epsilon: float, delta: float = 0.0) -> float:
    """Largest TV that (epsilon, delta)-DP allows between neighbours: 1 - 2 (1 - delta) / (e^epsilon + 1).

    At epsilon = 0 it is delta. For k-ary randomised response with k = 2 it is attained.
    Source: Kairouz, Oh and Viswanath 2015, Theorem 2.1 (the hypothesis-testing region of (epsilon, delta)-DP).
    """
    odds = math.exp(-_at_least_zero("epsilon", epsilon))  # of the rarer answer; never overflows
    return 1 - 2 * (1 - closed_unit("delta", delta)) * odds / (1 + odds)


def noise_tv(shift: ArrayLike, *, sigma: float, n_vote: int) -> NDArray[np.float64]:
    """TV of anything computed from n_vote noisy copies, for every net and with no certificate, at most.

    2 Phi(sqrt(n_vote) shift / (2 sigma)) - 1: the copies at x and at x' are Gaussians that many standard deviations
    apart, and voting is post-processing. It grows with n_vote, where the bound of `deployable_radius` shrinks.
    Source: Dong, Roth and Su 2022 (Gaussian differential privacy, composition and post-processing).
    """
    shift = np.abs(np.asarray(shift, dtype=np.float64))
    if not np.all(np.isfinite(shift)):
        raise refuse("shift", shift[~np.isfinite(shift)].flat[0].item(), "finite numbers")
    return special.erf(math.sqrt(count("n_vote", n_vote)) * shift / (2 * math.sqrt(2) * positive("sigma", sigma)))


def pixeldp_radius(p_low: ArrayLike, *, sigma: float) -> NDArray[np.float64]:
    """The radius PixelDP certifies for the same p_low and sigma, two classes: smaller than `certified_radius`.

    PixelDP takes the classical Gaussian mechanism, (b, delta)-DP at shift L = sigma b / sqrt(2 log(1.25 / delta)) for
    b <= 1, and keeps the label where p_A > e^(2b) p_B + (1 + e^b) delta. The supremum over b, taken on a grid of 400:
    never above the true one. 0 where p_low <= 1/2. Shape of p_low.
    Source: Lecuyer et al. 2019, Proposition 1 and Equation 4, in the form of Cohen et al. 2019.
    """
    p = within("p_low", p_low, 1.0)
    sigma, b = positive("sigma", sigma), np.linspace(0, 1, 401)[1:]
    room = p[..., None] - np.exp(2 * b) * (1 - p[..., None])  # must exceed (1 + e^b) delta
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = sigma * b / np.sqrt(2 * np.log(1.25 * (1 + np.exp(b)) / room))
    return np.where(room > 0, radius, 0.0).max(axis=-1)


# --- Helpers ---


@lru_cache(maxsize=4096)
def _predict_votes(n_vote: int, alpha: float) -> int | None:
    return min_predict_votes(n_vote, alpha=alpha)  # its table is long; the planner asks for the same ones many times


def _losing_quantile(n: int, most_losing: int, beta: float) -> float:
    """Phi^-1(q), rounded up, with Pr[Bin(n, q) <= most_losing] = beta.

    Seen from the other class: n - most_losing or more of n votes go to it with probability beta, which is what the
    lower Clopper-Pearson bound solves. So the bound at 1 - q is exact near q = 1 too.
    """
    return -float(normal_quantile_down(lower_confidence_bound(n - most_losing, n, alpha=beta)))


def _radius_above(p_low: ArrayLike, quantile: float, sigma: float) -> NDArray[np.float64]:
    p, sigma = within("p_low", p_low, 1.0), positive("sigma", sigma)
    if math.isinf(quantile):  # a rule that never answers keeps nothing put, not even where p_low is 1
        return np.zeros_like(p)[()]
    return np.maximum(0.0, sigma * (normal_quantile_down(p) - quantile))


def within(argument: str, values: ArrayLike, top: float) -> NDArray[np.float64]:
    """`values` as floats from 0 to `top`; NaN is refused."""
    found = np.asarray(values)
    if found.dtype.kind not in "fiu":
        raise refuse(argument, values, f"numbers from 0 to {top:g}")
    found = found.astype(np.float64)
    good = (found >= 0) & (found <= top)
    if not np.all(good):
        raise refuse(argument, found[~good].flat[0].item(), f"numbers from 0 to {top:g}")
    return found


def _at_least_zero(argument: str, value: float) -> float:
    return 0.0 if value == 0 else positive(argument, value)


def check_law(argument: str, law: ArrayLike, *, one: bool = False) -> NDArray[np.float64]:
    """`law` as float64 probabilities [..., S] that sum to 1; with `one` a single law [S], S at least 2."""
    found = np.asarray(law, dtype=np.float64)
    fits = found.ndim == 1 and len(found) > 1 if one else found.ndim >= 1
    if not fits or not np.all(found >= 0) or not np.allclose(found.sum(axis=-1), 1, rtol=0, atol=1e-9):
        allowed = "[S], S at least 2," if one else "[..., S]"
        raise refuse(argument, f"an array of shape {found.shape}", f"probabilities {allowed} that sum to 1")
    return found


def _count_vectors(total: int, symbols: int) -> NDArray[np.int64]:
    """All ways to share `total` releases among the symbols: [C, symbols]."""
    outcomes = math.comb(total + symbols - 1, symbols - 1)
    if outcomes > MAX_OUTCOMES:
        raise refuse("releases", total, f"so few that there are at most {MAX_OUTCOMES:,} count vectors")
    vectors = np.zeros((1, 0), dtype=np.int64)
    for _ in range(symbols - 1):  # one more symbol: every count that the rest leaves room for
        room = total - vectors.sum(axis=1) + 1
        next_count = np.arange(room.sum()) - np.repeat(np.cumsum(room) - room, room)
        vectors = np.column_stack([np.repeat(vectors, room, axis=0), next_count])
    return np.column_stack([vectors, total - vectors.sum(axis=1)])
