"""Exact calibration: the radius rule whose mean total variation, over the certificates of the worst net, is the target.

The published argument adds two failures, of the certificate and of the vote, as if both were certain to do their worst
at once. They cannot: a net whose certificates fail often has a p_A at which few radii are long. What a rule R(k) of the
certifying count k really gives away is at most one sum for all nets of p_A = Phi(u), and its supremum over u is
bracketed here, by bounds that hold on whole intervals of u. What single releases tell at a known distance is in
`profile`. NumPy and SciPy only.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from rp_tutorial.core.arguments import InputError, count, one_of, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import lower_confidence_bound, min_predict_votes, normal_quantile_down
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.profile import gaussian_delta, win_probability

TIGHT = 5e-4  # of the target: how far below it the calibrated supremum may stay
MOST_LEVEL = 1 - 1e-9
FINEST = 1e-9  # tolerance of a bracket that somebody may ask for
ROUNDING = 1e-10  # relative, on sums of binomial terms
REST = 1e-12  # what Hoeffding leaves outside the window of a sum
CELLS = 400_000  # entries of one array


def calibrated_level(
    target_tv: float,
    *,
    n_cert: int,
    n_vote: int,
    rule: str = "vote",
    test_alpha: float | None = None,
    num_classes: int | None = None,
    releases: int = 1,
) -> float:
    """The level t at which certificate and vote may both be taken, for a mean TV of at most target_tv on every net.

    Take p_low from n_cert samples at level t, and the deployable radius of n_vote votes at beta = t (for more than one
    release, at 1 - (1 - t) ** (1 / releases)): that is `calibrated_radius`. Then the TV of the releases at x and at the
    worst x' within the radius, averaged over the certificates drawn at x, is at most target_tv for every net and every
    x; the adversary may know the certificate, and x' may depend on it. The level is never below target_tv / 2, which
    is what adding the two failures allows.

    num_classes=2, with one VOTE of an odd number: some half-space comes within a 2,000th of the target, so that no
    larger level will do. Otherwise A's majority and Gaussian noise alone bound what is told, at hardly any loss.
    rule="predict" needs `test_alpha`, the level of PREDICT's test. Cached; half a second at 1000 samples, 1001 votes.
    Raises InputError for a target outside (0, 1) or a PREDICT that never answers.

    >>> rp.theory.calibrated_level(0.02, n_cert=100, n_vote=101) > 0.08  # instead of .01
    True

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    release = _release(n_vote, rule, test_alpha, num_classes, releases)
    return _calibrated_level(open_unit("target_tv", target_tv), count("n_cert", n_cert), release)


def calibrated_radius(
    successes: ArrayLike,
    *,
    target_tv: float,
    sigma: float,
    n_cert: int,
    n_vote: int,
    calibrated: bool = True,
    **mechanism,
) -> NDArray[np.float64]:
    """Radius for each certifying count [...]: mean TV at most target_tv, in the sense of `calibrated_level`.

    sigma times the gap of the quantiles of p_low and of the vote's price, both at the calibrated level; rounded down.
    `mechanism`: rule, test_alpha, num_classes, releases, as there. Unit: that of sigma; the shape is that of successes.
    calibrated=False: at the level target_tv / 2, which adding the two failures allows. Never longer.

    >>> at = {"target_tv": 0.02, "sigma": 1.0, "n_cert": 100, "n_vote": 101}
    >>> [rp.theory.calibrated_radius([60, 90, 100], **at, calibrated=how).round(2).tolist() for how in (True, False)]
    [[0.0, 0.84, 1.79], [0.0, 0.58, 1.41]]

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    release, level = _release(n_vote, **mechanism), open_unit("target_tv", target_tv) / 2
    if calibrated:
        level = calibrated_level(target_tv, n_cert=n_cert, n_vote=n_vote, **mechanism)
    p_low = lower_confidence_bound(successes, n_cert, alpha=level)
    return positive("sigma", sigma) * np.maximum(0.0, normal_quantile_down(p_low) - release.price(level))


def worst_mean_tv(radius: ArrayLike, *, n_vote: int, tolerance: float = 1e-6, **mechanism) -> tuple[float, float]:
    """Between which numbers the mean TV of the radius rule `radius` lies on the worst net; at most `tolerance` apart.

    radius [n_cert + 1], in sigmas: what is promised after k = 0, ..., n_cert certifying votes for the class, not
    falling in k. The upper end holds for every net. The lower is attained by a half-space for num_classes=2 and one
    VOTE of an odd number; else it belongs to the bound. `mechanism`: as in `calibrated_level`.

    >>> p_low = rp.statistics.lower_confidence_bound(range(101), 100, alpha=0.01)
    >>> classical = rp.deployable_radius(p_low, sigma=1.0, n_vote=101, beta=0.01)
    >>> rp.theory.worst_mean_tv(classical, n_vote=101)[1] < 0.0004  # promised: .02
    True

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    found = np.asarray(radius, dtype=np.float64)
    if found.ndim != 1 or len(found) < 2 or not np.all((found >= 0) & np.isfinite(found)) or np.any(np.diff(found) < 0):
        raise refuse("radius", f"an array of shape {found.shape}", "[n_cert + 1], finite, of at least 0, not falling")
    if not positive("tolerance", tolerance) >= FINEST:
        raise refuse("tolerance", tolerance, f"at least {FINEST:g}")
    return _bracket(_Rule(found, _release(n_vote, **mechanism)), tolerance)


# --- What is released ---


@dataclass(frozen=True)
class _Release:
    """VOTE or PREDICT of n_vote votes, `releases` times."""

    n_vote: int
    needed: int  # votes with which A is released, whatever the rest is
    rule: str
    test_alpha: float | None
    num_classes: int | None
    releases: int

    @property
    def is_exact(self) -> bool:
        """Two classes, one label, no ties: what it tells is the fall of one symmetric curve."""
        return self.num_classes == 2 and self.releases == 1 and 2 * self.needed == self.n_vote + 1

    def price(self, level: float) -> float:
        """What the releases cost of the radius, in sigma, at probability `level` that one of them is not A."""
        beta = -math.expm1(math.log1p(-level) / self.releases)
        if self.rule == "vote":
            return guarantees.vote_quantile(self.n_vote, beta)
        return guarantees.predict_quantile(self.n_vote, beta, alpha=self.test_alpha)

    def tv(self, low: NDArray, high: NDArray, radius: NDArray) -> NDArray[np.float64]:
        """The most that the releases tell within `radius`, over all u in [low, high]; grows with the radius.

        Sharp where the release `is_exact`, for u >= 0: the way to the boundary costs more, and most from radius / 2.
        """
        if self.is_exact:
            u = np.clip(radius / 2, low, high)
            return self.wins(u) - self.wins(u - radius)
        with np.errstate(divide="ignore"):
            others = -np.expm1(self.releases * np.log(self.wins(low - radius)))
        return np.minimum(others, gaussian_delta(radius * math.sqrt(self.n_vote * self.releases), 0.0))

    def wins(self, u: NDArray) -> NDArray[np.float64]:
        return win_probability(u, self.n_vote, self.needed)


def _release(
    n_vote: int, rule: str = "vote", test_alpha: float | None = None, num_classes: int | None = None, releases: int = 1
) -> _Release:
    n_vote, needed = count("n_vote", n_vote), n_vote // 2 + 1
    if one_of("rule", rule, guarantees.RULES) == "predict":
        if test_alpha is None:
            raise InputError("test_alpha: got None, allowed is the level of PREDICT's test, between 0 and 1")
        needed = min_predict_votes(n_vote, alpha=open_unit("test_alpha", test_alpha))
        if needed is None:
            raise refuse("n_vote", n_vote, f"so many that PREDICT at level {test_alpha:g} can answer")
    elif test_alpha is not None:
        raise refuse("test_alpha", test_alpha, "None: VOTE has no test")
    if num_classes is not None:
        count("num_classes", num_classes, minimum=2)
    return _Release(n_vote, needed, rule, test_alpha, num_classes, count("releases", releases))


# --- The mean over certificates, and its supremum ---


class _Rule:
    """A radius rule with the release it is for: f(u) = sum_k Bin(k; n, Phi(u)) TV(u, R(k)), and bounds on it."""

    def __init__(self, radius: NDArray[np.float64], release: _Release) -> None:
        self.radius, self.release, self.n = radius, release, len(radius) - 1
        self.reach = math.ceil(math.sqrt(self.n * math.log(2 / REST) / 2))  # Hoeffding
        self.window = np.arange(min(2 * self.reach, self.n) + 1)

    def most(self, low: NDArray, high: NDArray) -> NDArray[np.float64]:
        """f at most, on each interval [low, high]; f itself where low = high. [U] each, rounded up.

        The count at u is stochastically below that at `high`, and what is averaged grows with the count.
        """
        parts = np.array_split(np.arange(len(low)), max(1, len(low) * len(self.window) // CELLS))
        return np.concatenate([self._most(low[part], high[part]) for part in parts])

    def _most(self, low: NDArray, high: NDArray) -> NDArray[np.float64]:
        share = special.ndtr(high)
        start = np.clip(np.floor(share * self.n).astype(np.int64) - self.reach, 0, self.n - self.window[-1])
        counts = start[:, None] + self.window
        weight, radius = stats.binom.pmf(counts, self.n, share[:, None]), self.radius[counts]
        told = np.where(radius > 0, self.release.tv(low[:, None], high[:, None], radius), 0.0)
        return (weight * told).sum(axis=1) * (1 + ROUNDING) + REST

    def span(self, tail: float) -> tuple[float, float]:
        """Outside of these u the mean is at most `tail` (or, left of 0, not more than at -u)."""
        first = int(np.argmax(self.radius > 0))
        low = float(special.ndtri(lower_confidence_bound(first, self.n, alpha=tail))) if first else -8.0
        if self.release.is_exact:  # R grows with k and the larger u has the larger k: f(-u) <= f(u)
            low = max(0.0, low)
        return low, max(low, float(self.radius[-1]) + self.release.price(tail)) + 1e-9

    def step(self) -> float:
        """A width over which f bends little. For very many votes every single count shows as a tooth."""
        votes = self.release.n_vote * self.release.releases
        return 0.3 / math.sqrt(votes if 16 * votes > self.n**2 else min(votes, self.n))


def _top(rule: _Rule, low: float, high: float, points: int) -> tuple[float, float]:
    """Where f is largest between low and high, and f there, by three grids, each around the best point of the last."""
    for _ in range(3):
        u = np.linspace(low, high, points)
        values = rule.most(u, u)
        best = int(values.argmax())
        low, high, points = u[max(0, best - 1)], u[min(points - 1, best + 1)], 33
    return float(u[best]), float(values[best])


def _bracket(rule: _Rule, tolerance: float, *, ceiling: float = math.inf) -> tuple[float, float]:
    """Lower and upper bound on sup f, at most `tolerance` apart: intervals that could hold more are halved.

    Once f is seen above `ceiling`, the upper bound is inf: more need not be known.
    """
    if not rule.radius.any():
        return 0.0, 0.0
    ends = rule.span(tolerance / 2)
    grid = np.linspace(*ends, math.ceil((ends[1] - ends[0]) / rule.step()) + 2)
    best = _top(rule, *ends, len(grid))[1]
    low, high, most = grid[:-1], grid[1:], 0.0
    while len(low):
        if best > ceiling:
            return best, math.inf
        bound = rule.most(low, high)
        open_ = bound > best + tolerance
        most = max(most, bound[~open_].max(initial=0.0))
        low, high = low[open_], high[open_]
        middle = (low + high) / 2
        best = max(best, rule.most(middle, middle).max(initial=0.0)) if len(low) else best
        low, high = np.r_[low, middle], np.r_[middle, high]
    slack = ROUNDING * best + REST
    return float(best - 2 * slack), float(max(most, best, tolerance / 2))


@lru_cache(maxsize=1024)
def _calibrated_level(target: float, n: int, release: _Release) -> float:
    """The largest level, up to `TIGHT`, whose bracketed supremum is at most the target.

    The rule grows with its level, and f with it, so there is one root. It is searched with a supremum on grids; what is
    found is bracketed, and should the grids have missed a tooth, the search goes on below.
    """
    lowest, tolerance, gap = target / 2, min(1e-4, TIGHT * target), TIGHT
    highest = MOST_LEVEL
    while True:
        level = _root(n, release, target - 1.25 * tolerance, lowest, highest)
        if level == lowest or _bracket(_common_level(level, n, release), tolerance, ceiling=target)[1] <= target:
            return level
        highest, gap = max(lowest, level * (1 - gap)), 4 * gap


def _common_level(level: float, n: int, release: _Release) -> _Rule:
    p_low = lower_confidence_bound(np.arange(n + 1), n, alpha=level)
    return _Rule(np.maximum(0.0, normal_quantile_down(p_low) - release.price(level)), release)


def _root(n: int, release: _Release, goal: float, lowest: float, highest: float) -> float:
    """The level between lowest and highest at which the top of f is `goal`; the nearer end where there is none.

    The odds of the level are doubled until the top is too high, then the last step is searched near the tops of its
    ends only: levels are near each other, so are their tops.
    """

    def top(level: float, within: tuple[float, float] | None = None) -> tuple[float, float]:
        rule = _common_level(level, n, release)
        if not rule.radius.any():
            return 0.0, 0.0
        low, high = within or rule.span(goal / 4)
        return _top(rule, low, high, math.ceil((high - low) / rule.step()) + 2)

    below, above = lowest, lowest
    peaks = [top(lowest)]
    while peaks[-1][1] < goal:
        if above == highest:
            return highest
        below, above = above, min(highest, 2 * above / (1 + above))
        peaks.append(top(above))
    reach = 12 * _common_level(above, n, release).step()
    near = [at for at, _ in peaks[-2:]]
    window = max(0.0, min(near) - reach) if release.is_exact else min(near) - reach, max(near) + reach

    def excess(level: float) -> float:
        return top(level, window)[1] - goal

    if excess(above) <= 0 or excess(below) >= 0:  # by a rounding: the level is found
        return below
    return float(optimize.brentq(excess, below, above, xtol=1e-10 * below, rtol=1e-10))
