"""Radii in other norms: what any noise inherits for which p_A moves along its own scale no faster than the input moves.

The theorems of this room use one thing of Gaussian noise: with H its distribution function, H^-1(p_A) changes by at
most |x' - x| / scale, in some norm. `NOISES` lists laws for which that is so, each with its norm. Where the density is
log-concave and symmetric, as for all here, the profile of VOTE has the same closed form too. Nothing is drawn here, and
`oracles` draws Gaussian noise only. A ball of linf needs no noise of its own: one of radius r lies in the l2 ball of
radius r sqrt(d), so an l2 radius divided by sqrt(d) is one of linf.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from rp_tutorial.core.arguments import closed_unit, count, one_of, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import SLACK, lower_confidence_bound
from rp_tutorial.theory.guarantees import within
from rp_tutorial.theory.profile import FLOOR, in_scales


@dataclass(frozen=True)
class Noise:
    """Independent noise on every feature, of a symmetric law of scale 1 with distribution function `cdf`."""

    norm: str
    cdf: Callable[[NDArray], NDArray]
    quantile: Callable[[NDArray], NDArray]


def _laplace_cdf(u: NDArray) -> NDArray:
    return np.where(u < 0, np.exp(np.minimum(u, 0)) / 2, 1 - np.exp(-np.maximum(u, 0)) / 2)


def _laplace_quantile(p: NDArray) -> NDArray:
    with np.errstate(divide="ignore"):
        return np.where(p < 0.5, np.log(2 * p), -np.log(2 * (1 - p)))


NOISES = {
    "gauss": Noise("L2", special.ndtr, special.ndtri),  # N(0, scale^2)
    "laplace": Noise("L1", _laplace_cdf, _laplace_quantile),  # density exp(-|z| / scale) / (2 scale)
    "uniform": Noise("L1", lambda u: np.clip((1 + u) / 2, 0, 1), lambda p: 2 * p - 1),  # on [-scale, scale]
}


def deployable_radius(p_low: ArrayLike, *, noise: str, scale: float, n_vote: int, beta: float) -> NDArray[np.float64]:
    """Radius, in the norm of the noise, within which VOTE(n_vote) stays put with probability at least 1 - beta.

    As `guarantees.deployable_radius`, which it is for noise="gauss"; noise="laplace" and "uniform" give an l1 radius.
    For p_low above 1/2 and many votes Laplace noise gives scale * -log(2 (1 - p_low)). Rounded down, 0 where there is
    none; inf where p_low is 1 and the noise has tails. Unit: that of scale, which for "laplace" is the mean of |z|
    and for "uniform" the half-width. Shape of p_low.
    Raises InputError for p_low outside [0, 1], another noise, scale <= 0, n_vote < 1 or beta outside (0, 1).

    >>> rp.theory.noises.deployable_radius([0.9, 0.99], noise="laplace", scale=1.0, n_vote=1001, beta=0.01).round(3)
    array([1.533, 3.836])

    Source: Teng et al. 2020 and Yang et al. 2020 (ideal smoothed classifier); the vote: ours.
    Chapter: foundations/in-use.
    """
    law, n = NOISES[one_of("noise", noise, NOISES)], count("n_vote", n_vote)
    p = within("p_low", p_low, 1.0)
    losing = lower_confidence_bound(n - n // 2, n, alpha=open_unit("beta", beta))  # of all other classes together
    margin = _down(law.quantile(p)) + _down(law.quantile(losing))
    return np.maximum(0.0, positive("scale", scale) * margin)[()]


def vote_tv(
    distance: ArrayLike, *, noise: str, scale: float, n_vote: int, p_low: float | None = None
) -> NDArray[np.float64]:
    """TV of one VOTE(n_vote) of a net of two classes at x and at any x' within `distance`, at most; n_vote odd.

    G(u) - G(u - s) with s = distance / scale, u the larger of s / 2 and H^-1(p_low), and G(u) the probability of a
    majority at p_A = H(u). Without p_low it is 2 G(s / 2) - 1 and holds for every such net and x. Attained by a half-
    space across one feature. `distance` in the norm of the noise; its shape is that of the bound.

    >>> rp.theory.noises.vote_tv([0.1, 2.0], noise="laplace", scale=1.0, n_vote=101, p_low=0.9).round(4)
    array([0.    , 0.9996])

    Source: ours. Chapter: foundations/in-use.
    """
    law, s = NOISES[one_of("noise", noise, NOISES)], in_scales("distance", distance, positive("scale", scale))
    if count("n_vote", n_vote) % 2 == 0:
        raise refuse("n_vote", n_vote, "an odd number: a tie favours a class")
    u = s / 2
    if p_low is not None:
        u = np.maximum(u, _down(law.quantile(np.float64(closed_unit("p_low", p_low)))))
    half = (n_vote + 1) // 2
    near, far = (special.betainc(half, half, law.cdf(at)) for at in (u, u - s))
    return np.where(s > 0, np.minimum(1.0, (near - far) * (1 + SLACK) + FLOOR), 0.0)[()]


def _down(quantile: NDArray) -> NDArray:
    return quantile - SLACK * np.abs(np.where(np.isfinite(quantile), quantile, 0.0)) - FLOOR
