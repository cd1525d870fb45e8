"""The profile of VOTE: for every distance, the most that its labels can tell x from x', with or without a certificate.

A radius answers "how far until beta is reached"; the profile answers "how much at this distance", for everybody, those
without a deployable radius included. What makes it exact for two classes is one lemma. Let T(u) be the probability of
an event that the class A makes likelier, at p_A = Phi(u): A wins at least j of m votes. T' is log-concave, so
T(u) - e^epsilon T(u - s) rises and then falls in u, and its maximum over u >= u_low is at the larger of u_low and the
one root of T'(u) = e^epsilon T'(u - s). The radius rules that the profile calibrates are in `calibration`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rp_tutorial.core.arguments import closed_unit, count, positive, refuse
from rp_tutorial.statistics.binomial import SLACK, normal_quantile_down
from rp_tutorial.theory.plurality import plurality_loss

FLOOR = 1e-15  # added to every bound: below it a difference of two floats near 1 says nothing
FAR = 40.0  # Phi(-40) is 0 in float64: no root further out can matter
HALVINGS = 50  # of a bracket of width 80: the root is off by 1e-13, the maximum by its square
MOST_RELEASES = 10_000  # whose every count is looked at
CELLS = 1_000_000  # entries of one array


def vote_profile(
    distance: ArrayLike,
    *,
    sigma: float,
    n_vote: int,
    p_low: float | None = None,
    p_high: float | None = None,
    num_classes: int | None = None,
    releases: int = 1,
    epsilon: float = 0.0,
) -> NDArray[np.float64]:
    """TV of VOTE(n_vote) at x and at any x' within `distance`, at most; rounded up. Shape and order of `distance`.

    Without `p_low` it holds for every net and every x. With it, wherever the class A has p_A(x) >= p_low; if p_low
    fails with probability alpha, add alpha.
    num_classes=2: exact, attained by a half-space. For n_vote odd it is G(u) - G(u - s) with s = distance / sigma, u
    the larger of Phi^-1(p_low) and s / 2, and G(u) = Pr[Bin(n_vote, Phi(u)) > n_vote / 2].
    More classes, or None for any number, can tell more: the least of the bounds by Gaussian noise alone, by A's
    majority and, with `p_high`, which must bound the probability of *every* other class at x, by A's plurality.

    `releases`: so many independent labels of the same point. `epsilon`: not the TV but the smallest delta for which
    they are (epsilon, delta)-indistinguishable, both ways. sigma and distance share a unit.
    Raises InputError for a negative or infinite distance, p_low outside [0, 1], or p_high without p_low or without
    num_classes.

    >>> rp.theory.vote_profile([0.0, 0.1, 0.5], sigma=1.0, n_vote=101, num_classes=2).round(3)  # for everybody
    array([0.   , 0.312, 0.955])
    >>> rp.theory.vote_profile([0.1, 0.5], sigma=1.0, n_vote=101, p_low=0.8).round(4)  # for the certified
    array([0.   , 0.003])

    Source: ours; Gaussian noise alone: Dong, Roth and Su 2022; Balle and Wang 2018.
    Chapter: foundations/sharper-bounds.
    """
    s = in_scales("distance", distance, positive("sigma", sigma))
    n_vote, releases = count("n_vote", n_vote), count("releases", releases)
    epsilon = 0.0 if epsilon == 0 else min(positive("epsilon", epsilon), 700.0)  # whose exponential is a float
    if num_classes is not None:
        count("num_classes", num_classes, minimum=2)
    if p_high is not None and (p_low is None or num_classes is None):
        raise refuse("p_high", p_high, "None, unless p_low and num_classes are given too")
    u_low = -math.inf if p_low is None else float(normal_quantile_down(closed_unit("p_low", p_low)))
    if num_classes == 2:
        if releases > MOST_RELEASES:
            raise refuse("releases", releases, f"at most {MOST_RELEASES:,} for two classes: give num_classes=None")
        bound = _two_classes(s.ravel(), n_vote, u_low, releases, epsilon).reshape(s.shape)
    else:
        bound = gaussian_delta(s * math.sqrt(n_vote * releases), epsilon)
        bound = np.minimum(bound, _some_other(1 - win_probability(u_low - s, n_vote, n_vote // 2 + 1), releases))
        if p_high is not None:
            loss = plurality_loss(p_low, p_high, s, n_vote=n_vote, num_classes=num_classes)
            bound = np.minimum(bound, _some_other(loss, releases))
    return np.where(s > 0, np.minimum(1.0, bound * (1 + SLACK) + FLOOR), 0.0)[()]


def win_probability(u: ArrayLike, n: int, needed: int) -> NDArray[np.float64]:
    """G(u) = Pr[Bin(n, Phi(u)) >= needed]: how likely A gets the votes it needs where p_A = Phi(u)."""
    return special.betainc(needed, n - needed + 1, special.ndtr(u))


def gaussian_delta(shift: ArrayLike, epsilon: float) -> NDArray[np.float64]:
    """Smallest delta for which N(0, 1) and N(shift, 1) are (epsilon, delta)-indistinguishable; their TV at epsilon 0.

    Source: Balle and Wang 2018, Theorem 5.
    """
    shift = np.abs(np.asarray(shift, dtype=np.float64))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        tilt = np.where(shift > 0, epsilon / shift, 0.0)
        delta = special.ndtr(shift / 2 - tilt) - np.exp(epsilon + special.log_ndtr(-shift / 2 - tilt))
    return np.where(shift > 0, np.maximum(0.0, delta), 0.0)


def _two_classes(s: NDArray, n_vote: int, u_low: float, releases: int, epsilon: float) -> NDArray:
    """The exact profile of two classes: the largest T(u) - e^epsilon T(u - s) of all events and both directions.

    The event "A at most j - 1 times" is likelier at x' than at x; it is an event of the first kind for the other class,
    seen from s - u: the same curves, left of s - u_low. A tie goes to class 0: for n_vote even A may win it or not.
    """
    best, wins = np.zeros(len(s)), np.arange(1, releases + 1)
    for needed in {n_vote // 2 + 1, (n_vote + 1) // 2}:
        for part in np.array_split(np.arange(len(s)), max(1, len(s) * releases // CELLS)):
            shift = s[part, None]
            event = (n_vote, needed, wins, releases)
            root = _root(shift, event, epsilon)
            for u in (np.maximum(u_low, root), np.minimum(shift - u_low, root)):
                fall = _event(u, *event) - math.exp(epsilon) * _event(u - shift, *event)
                best[part] = np.maximum(best[part], fall.max(axis=1))
    return best


def _event(u: NDArray, n_vote: int, needed: int, wins: NDArray, releases: int) -> NDArray:
    """T(u): the probability that A wins at least `wins` of the votes."""
    return special.betainc(wins, releases - wins + 1, win_probability(u, n_vote, needed))


def _log_slope(u: NDArray, n_vote: int, needed: int, wins: NDArray, releases: int) -> NDArray:
    """log T'(u) up to a constant: a sum of logarithms of log-concave functions."""
    win, lose = win_probability(u, n_vote, needed), win_probability(-u, n_vote, n_vote + 1 - needed)
    own = (needed - 1) * special.log_ndtr(u) + (n_vote - needed) * special.log_ndtr(-u) - u * u / 2
    return special.xlogy(wins - 1, win) + special.xlogy(releases - wins, lose) + own


def _root(shift: NDArray, event: tuple, epsilon: float) -> NDArray:
    """Where T'(u) = e^epsilon T'(u - shift), by bisection: left of it the fall grows with u, right of it it shrinks."""
    low, high = (np.broadcast_to(end, np.broadcast_shapes(shift.shape, event[2].shape)) for end in (-FAR, shift + FAR))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        with np.errstate(invalid="ignore"):
            rises = _log_slope(middle, *event) - _log_slope(middle - shift, *event) - epsilon
        rises = np.where(np.isnan(rises), shift / 2 - middle, rises) > 0  # both slopes are 0 in float64: far out
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return low


def _some_other(loss: NDArray, releases: int) -> NDArray:
    """Probability that A is not every one of the releases, each of which is another symbol with probability `loss`."""
    with np.errstate(divide="ignore"):
        return -np.expm1(releases * np.log1p(-loss))


def in_scales(argument: str, distance: ArrayLike, scale: float) -> NDArray[np.float64]:
    """A distance in units of the noise, up to 80 of them: further apart nothing is hidden any more."""
    found = np.asarray(distance)
    good = found.dtype.kind in "fiu" and np.isfinite(found) & (found >= 0)
    if not np.all(good):
        raise refuse(argument, distance, "finite numbers of at least 0")
    with np.errstate(over="ignore"):
        return np.minimum(found.astype(np.float64) / scale, 2 * FAR)
