"""Adversaries that the bound for one point is silent about: who asks neighbours and adapts, and who knows the noise.

All bounds rest on the profile of one vote (`profile`): the first two multiply what each answer keeps, whatever question
the answers before it have led to; the last counts how often two labels can differ at all, for which nothing needs to
be independent. Closed forms only; attackers who walk are in `attacks`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rp_tutorial.core.arguments import closed_unit, count, positive, refuse
from rp_tutorial.statistics.binomial import normal_quantile_down, normal_quantile_up
from rp_tutorial.theory.plurality import plurality_loss
from rp_tutorial.theory.profile import gaussian_delta, in_scales, vote_profile, win_probability


def adaptive_tv(
    distance: ArrayLike,
    *,
    reach: float,
    queries: int,
    sigma: float,
    n_vote: int,
    p_low: float | None = None,
    p_high: float | None = None,
    num_classes: int | None = None,
) -> NDArray[np.float64]:
    """TV of all answers to an adversary who asks around x, or around x' within `distance` of it, at most; rounded up.

    The queries are x + d_i (or x' + d_i) with ||d_i|| <= reach, each d_i chosen by the answers so far; every answer
    is a VOTE(n_vote) with noise of its own. Where the class A has p_A(x) >= p_low and, if p_high is given, every other
    class at most p_high; if these fail with probability alpha, add alpha. Without them it holds for every net and x.

    1 - (1 - delta) ** queries, delta the `vote_profile` at the distance and the least p_A within reach of x; at most
    beta where distance + reach is a deployable radius. If that is less, the bound by Gaussian noise alone, which walks
    cannot raise either. Shape of `distance`; reach, sigma and distance share a unit.

    >>> one, six = (
    ...     rp.theory.adaptive_tv(0.3, reach=0.2, queries=m, sigma=1.0, n_vote=1001, p_low=0.72) for m in (1, 6)
    ... )
    >>> one.round(5), six.round(5)
    (np.float64(0.01823), np.float64(0.10454))

    Source: ours; Gaussian noise alone: Dong, Roth and Su 2022 (adaptive composition).
    Chapter: foundations/in-use.
    """
    if np.ndim(reach):
        raise refuse("reach", reach, "one number")
    steps, s = (in_scales(*part, positive("sigma", sigma)) for part in (("reach", reach), ("distance", distance)))
    moved = {"p_low": None, "p_high": None}
    if p_low is not None:
        moved["p_low"] = float(special.ndtr(normal_quantile_down(closed_unit("p_low", p_low)) - steps) * (1 - 1e-12))
    if p_high is not None:
        up = special.ndtr(normal_quantile_up(closed_unit("p_high", p_high)) + steps) * (1 + 1e-12)
        moved["p_high"] = float(min(1.0, up))
    mechanism = {"sigma": sigma, "n_vote": n_vote, "num_classes": num_classes}
    each = vote_profile(distance, **mechanism, **moved)
    noise = gaussian_delta(s * math.sqrt(n_vote * count("queries", queries)), 0.0)
    return np.minimum(noise * (1 + 1e-12), _ever(each, queries))[()]


def transcript_tv(
    distances: ArrayLike,
    *,
    sigma: float,
    n_vote: int,
    p_low: float | None = None,
    num_classes: int | None = None,
) -> float:
    """TV of all answers to one list of questions or another, at most; rounded up.

    The k-th questions of the lists are within `distances[k]` of each other, and every answer is a VOTE(n_vote) with
    noise of its own. A question may depend on the answers before it, as long as equal answers lead to questions that
    keep this distance. It holds for every net and every input; with p_low, where each question of the first list has
    p_A >= p_low for its own class.

    1 - the product of all 1 - delta_k, delta_k the `vote_profile` at the k-th distance. If that is less, the bound by
    Gaussian noise alone. sigma and distances share a unit.

    >>> [round(rp.theory.transcript_tv([0.1] * m, sigma=1.0, n_vote=11), 3) for m in (1, 10, 100)]
    [0.132, 0.4, 0.903]

    Source: ours; Gaussian noise alone: Dong, Roth and Su 2022. Chapter: faces/mechanism.
    """
    s = in_scales("distances", distances, positive("sigma", sigma)).ravel()
    each = vote_profile(s, sigma=1.0, n_vote=n_vote, p_low=p_low, num_classes=num_classes)
    noise = gaussian_delta(math.sqrt(n_vote) * float(np.linalg.norm(s)) * (1 + 1e-12), 0.0)
    with np.errstate(divide="ignore"):
        some = -np.expm1(np.log1p(-each).sum())
    return float(min(1.0, noise * (1 + 1e-12), some * (1 + 1e-12)))


def known_noise_tv(
    distance: ArrayLike,
    *,
    p_low: float,
    sigma: float,
    n_vote: int,
    releases: int = 1,
    p_high: float | None = None,
    num_classes: int | None = None,
) -> NDArray[np.float64]:
    """TV of the labels *and the noise behind them* at x and at a fixed x' within `distance`, at most; rounded up.

    For an adversary who knows the operator's noise (a leaked or guessed seed, noise from a key that got out), where x
    and x' were fixed without it; x and x' may share the noise, and its repetition tells nothing new. Where p_A(x) >=
    p_low and, if p_high is given, every other class at most p_high. A vote loses A at x and at x' with probabilities
    that are bounded; labels that are both A tell nothing. `releases`: so many independent draws of noise.
    At most 2 beta within a deployable radius at beta, and then, with a certificate that fails with probability at most
    alpha, on the same noise or not: at most the larger of alpha and 2 beta. Shape of `distance`, unit of sigma.

    >>> rp.theory.known_noise_tv([0.6, 0.9], p_low=0.9, sigma=1.0, n_vote=101).round(4)
    array([0.    , 0.0011])

    Source: ours. Chapter: foundations/in-use.
    """
    s, n_vote = in_scales("distance", distance, positive("sigma", sigma)), count("n_vote", n_vote)
    own = normal_quantile_down(closed_unit("p_low", p_low))
    shift = np.stack([np.zeros_like(s), s])
    loss = win_probability(shift - own, n_vote, (n_vote + 1) // 2)  # the others together have at least half
    if p_high is not None:
        if num_classes is None:
            raise refuse("p_high", p_high, "None, unless num_classes is given too")
        rivals = {"n_vote": n_vote, "num_classes": num_classes}
        loss = np.minimum(loss, plurality_loss(p_low, closed_unit("p_high", p_high), shift, **rivals))
    differ = np.where(s > 0, np.minimum(1.0, loss.sum(axis=0) * (1 + 1e-12)), 0.0)
    return _ever(differ, count("releases", releases))[()]


def _ever(each: NDArray, times: int) -> NDArray[np.float64]:
    """1 - (1 - each) ** times, rounded up."""
    with np.errstate(divide="ignore"):
        return np.minimum(1.0, -np.expm1(times * np.log1p(-each)) * (1 + 1e-12))
