"""Calibration by plurality: the radius rule of two counts, of A and of its largest rival, whose worst net is bracketed.

What the radii of such a rule tell depends on two probabilities of the net, that of A and that of its likeliest rival,
and is a sum over a trinomial law. Its supremum over the triangle of both is bounded here on rectangles, as that over
an interval is in `calibration`: the law is moved to the corner where radii are longest, the vote to that where it
is lost most often. NumPy and SciPy only.
"""

import math
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from rp_tutorial.core.arguments import count, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import lower_confidence_bound, normal_quantile_down, normal_quantile_up
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.plurality import deployable_radius, draws_level
from rp_tutorial.theory.profile import gaussian_delta, win_probability

MOST_PAIRS = 100_000  # of a sample of the certificate and a vote: half a minute there, and it grows faster than they do
GOAL = 0.8  # of the target, where the search wants the top: the nearer, the more rectangles; 5 / 4 is .002 sigma or so
MOST_LEVEL = 0.99
LEAST_GAIN = 1.02  # of the level, below which the rule that needs no bracket is kept
SHARE = 1e-3  # of a gap, that sums may leave out
ROUNDING = 1e-9  # relative, on sums of trinomial terms
FLOOR = 1e-10  # added to every sum
FAR = 9.0  # sigmas: Phi(-9) is 1e-19
KNOTS = 400
GAP = 0.03  # of what is looked for, between a sum and its bound by knots
HALVINGS = 8
CELLS = 150_000  # rectangles after which a bracket is given up


def calibrated_plurality_level(target_tv: float, *, n_cert: int, n_vote: int, num_classes: int) -> float:
    """The level t of the bounds on A and on all its rivals, t / 2 each, and of one VOTE, for a mean TV of target_tv.

    Take p_low for A and p_high for its largest rival from n_cert samples at level t / 2 each, and the radius at which
    the vote is lost with probability t by plurality, or that by A's majority, if it is longer: that is
    `calibrated_plurality_radius`. Then the TV of one VOTE(n_vote) at x and at the worst x' within the radius, averaged
    over the certificates drawn at x, is at most target_tv for every net of num_classes classes, every x and every
    class A chosen before; the adversary may know the certificate, and x' may depend on it. The level is never below
    target_tv / 2, which adding the failures allows, so no radius is shorter than that of the classical rule. The
    supremum is bracketed from above and lies between .8 of the target, or little less, and the target.

    Cached; seconds at 100 samples and 30 votes, half a minute at 1000 and 100 or at 100 and 1000.
    Raises InputError for a target outside (0, 1) and where n_cert times n_vote is above 100,000.

    >>> rp.theory.calibrated_plurality_level(0.02, n_cert=30, n_vote=11, num_classes=5) > 0.04  # instead of .01
    True

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    sizes = {"n_cert": count("n_cert", n_cert), "n_vote": count("n_vote", n_vote)}
    if n_cert * n_vote > MOST_PAIRS:
        allowed = f"a product of at most {MOST_PAIRS:,}: beyond, calibration by plurality takes too long"
        raise refuse("n_cert, n_vote", f"{n_cert:,} and {n_vote:,}", allowed)
    return _level(open_unit("target_tv", target_tv), *sizes.values(), count("num_classes", num_classes, minimum=2))


def calibrated_plurality_radius(
    successes: ArrayLike,
    largest_other: ArrayLike,
    *,
    target_tv: float,
    sigma: float,
    n_cert: int,
    n_vote: int,
    num_classes: int,
) -> NDArray[np.float64]:
    """Radius for each pair of counts, of A and of its largest rival: mean TV at most target_tv, without a majority.

    In the sense of `calibrated_plurality_level`. Unit: that of sigma; the two counts broadcast.

    >>> at = {"target_tv": 0.02, "sigma": 1.0, "n_cert": 30, "n_vote": 11, "num_classes": 5}
    >>> rp.theory.calibrated_plurality_radius([20, 30], [4, 0], **at) > 0.5
    array([False,  True])

    Source: ours. Chapter: foundations/sharper-bounds.
    """
    sizes = {"n_cert": n_cert, "n_vote": n_vote, "num_classes": num_classes}
    level, sigma = calibrated_plurality_level(target_tv, **sizes), positive("sigma", sigma)
    rule = _Rule(level, n_cert, n_vote, num_classes)
    own, other = np.broadcast_arrays(np.asarray(successes), np.asarray(largest_other))
    if not np.all((own >= 0) & (other >= 0) & (own + other <= n_cert)):
        raise refuse("largest_other", largest_other, f"a count that, with successes, is at most n_cert = {n_cert}")
    if level == target_tv / 2:
        shares = rule.p_low[own], rule.p_high[other]
        return deployable_radius(*shares, sigma=sigma, n_vote=n_vote, num_classes=num_classes, beta=level)
    return (sigma * rule.radius(own, other))[()]


Box = tuple[float, float, float, float]


class _Rule:
    """The radius rule of one level, in sigmas, and what it tells: f(a, b) = E TV(a, b, R(k_A, k_c)), and bounds on it.

    R: the largest radius at which L(low - R, high + R) <= beta, for the quantiles of the two bounds and the loss L of a
    vote. On the level curve low' = S(high') it is where T + S(T) = low + high, with T = high + R: one curve serves all
    pairs of counts. S is interpolated; that is a rule like any other, and it is the one that is bounded.
    """

    def __init__(self, level: float, n: int, n_vote: int, num_classes: int) -> None:
        self.level, self.n, self.n_vote, self.rivals = level, n, n_vote, num_classes - 1
        counts = np.arange(n + 1)
        self.p_low = lower_confidence_bound(counts, n, alpha=level / 2)
        self.p_high = np.nextafter(1 - self.p_low[::-1], 2.0).clip(max=1.0)
        self.low = np.maximum(normal_quantile_down(self.p_low), -4 * FAR)
        self.high = np.minimum(normal_quantile_up(self.p_high), 4 * FAR)
        self.by_majority = self.low - guarantees.vote_quantile(n_vote, level)
        self.log_factorial = special.gammaln(counts + 1.0)

    @cached_property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """T + S(T) and T."""
        rival = np.arange(-4, 5.01, 0.02)
        low, high = np.full(len(rival), -FAR), np.full(len(rival), FAR)
        for _ in range(22):
            middle = (low + high) / 2
            keeps = self.lost(middle, rival, SHARE * GAP * self.level) <= self.level
            low, high = np.where(keeps, low, middle), np.where(keeps, middle, high)
        return rival + np.maximum.accumulate(high), rival

    def radius(self, own: NDArray, other: NDArray) -> NDArray[np.float64]:
        """R, for counts of A and of its largest rival: grows with the one and falls in the other."""
        by_plurality = np.interp(self.low[own] + self.high[other], *self.curve) - self.high[other]
        return np.maximum(0.0, np.maximum(by_plurality, self.by_majority[own]))

    def lost(self, own: NDArray, rival: NDArray, rest: float) -> NDArray[np.float64]:
        """Probability that A, of this quantile, does not win the vote against rivals of at most theirs; at most."""
        return self.rivals * draws_level(own, rival, self.n_vote, rest=rest / self.rivals)

    def told(self, u: float, w: float, radius: NDArray[np.float64], rest: float) -> NDArray[np.float64]:
        """TV within these radii, at most, where A has quantile u and no rival more than w."""
        majority = 1 - win_probability(u - radius, self.n_vote, self.n_vote // 2 + 1)
        alone = gaussian_delta(radius * math.sqrt(self.n_vote), 0.0)
        return np.minimum(np.minimum(majority, alone), self.lost(u - radius, w + radius, rest)) * (1 + ROUNDING)

    def most(self, box: Box, ceiling: float, gap: float) -> float:
        """f at most, on the box (u from, to, w from, to) of quantiles, up to the gap.

        A vote that goes to A rather than to nobody, or to nobody rather than to the rival, makes the radius longer. So
        the law of the counts is taken at the largest a and the least b. What is told falls in a and grows with b, and
        with the radius: between two knots it is that of the upper one. No more knots are added than it takes to see
        on which side of the ceiling the box is.
        """
        weight, radius, left = self._law(*box, SHARE * gap)
        if not len(radius):
            return left
        knots = np.linspace(radius.min(), radius.max(), 13)
        knots[-1] = radius.max()
        told = self.told(box[0], box[3], knots, SHARE * gap)
        while True:
            mass = np.bincount(np.searchsorted(knots, radius), weight, len(knots))
            most, steps = float(mass @ told), mass[1:] * np.diff(told)
            decided = most - steps.sum() > ceiling or most + left <= ceiling < math.inf
            if decided or steps.sum() <= gap or len(knots) > KNOTS:
                return most * (1 + ROUNDING) + left
            wide = np.flatnonzero(steps > gap / 2 / len(steps)) + 1
            new = (knots[wide] + knots[wide - 1]) / 2
            place = np.searchsorted(knots, new)
            knots = np.insert(knots, place, new)
            told = np.maximum.accumulate(np.insert(told, place, self.told(box[0], box[3], new, SHARE * gap)))

    def _law(self, _: float, u: float, w: float, __: float, rest: float) -> tuple[NDArray, NDArray, float]:
        """Weights of the pairs of counts with a radius, the radii, and what is left out at most, `rest` or so."""
        b = float(special.ndtr(w))
        a = min(float(special.ndtr(u)), 1 - b)
        own, other = self._window(a, rest)[:, None], self._window(b, rest)[None, :]
        fits, third = own + other <= self.n, np.maximum(0, self.n - own - other)
        log = self.log_factorial
        ways = log[self.n] - log[own] - log[other] - log[third]
        ways = ways + special.xlogy(own, a) + special.xlogy(other, b) + special.xlogy(third, max(0.0, 1 - a - b))
        weight = np.exp(np.where(fits, ways, -np.inf))
        radius = self.radius(own, other)
        there = (radius > 0) & (weight > 0)
        return weight[there], radius[there], max(0.0, 1 - float(weight.sum())) + FLOOR

    def _window(self, p: float, rest: float) -> NDArray[np.int64]:
        z = -float(special.ndtri(rest / 4))
        reach = z * math.sqrt(self.n * p * (1 - p)) + z * z / 3
        return np.arange(max(0, math.floor(self.n * p - reach)), min(self.n, math.ceil(self.n * p + reach)) + 1)

    def top(self, starts: list[tuple[float, float]], gap: float) -> list[tuple[float, float, float]]:
        """Peaks of f as (f, u, w), the highest first, climbed from the best three of these places."""

        def below(place: NDArray) -> float:
            u, w = float(place[0]), min(float(place[1]), -float(place[0]))
            return -self.most((u, u, w, w), math.inf, gap) if w > -FAR else 0.0

        found = []
        for u, w in sorted(starts, key=below)[:3]:
            simplex = [(u, w), (u + 0.05, w), (u, w - 0.05)]
            options = {"initial_simplex": simplex, "xatol": 2e-3, "fatol": gap, "maxfev": 30}
            best = optimize.minimize(below, simplex[0], method="Nelder-Mead", options=options)
            found.append((-float(best.fun), float(best.x[0]), min(float(best.x[1]), -float(best.x[0]))))
        return sorted(found, reverse=True)


def _keeps(rule: _Rule, ceiling: float) -> bool:
    """Whether the supremum of f is shown to be at most `ceiling`: rectangles that could hold more are quartered."""
    u, w = (np.r_[-np.inf, np.arange(low, high, 0.25), np.inf] for low, high in ((-3.5, 6.25), (-6.0, 3.25)))
    boxes, seen = [(*edge, *other) for edge in pairwise(u) for other in pairwise(w)], 0
    while boxes:
        still = []
        for box in boxes:
            a, b = special.ndtr(box[:2]), special.ndtr(box[2:])
            if a[0] + b[0] >= 1 or rule.rivals * b[1] < 1 - a[1]:  # the likeliest rival has its share of the rest
                continue
            if rule.most(box, ceiling, GAP * ceiling) > ceiling:
                still.append(box)
        seen += len(boxes)
        if seen + 4 * len(still) > CELLS or not np.all(np.isfinite(still)):
            return False
        boxes = [
            (*edge, *other)
            for low, high, left, right in still
            for edge in ((low, (low + high) / 2), ((low + high) / 2, high))
            for other in ((left, (left + right) / 2), ((left + right) / 2, right))
        ]
    return True


@lru_cache(maxsize=256)
def _level(target: float, n: int, n_vote: int, num_classes: int) -> float:
    """The level whose highest peak is at the goal, or one below it that is shown to keep the target."""

    def rule(odds: float) -> _Rule:
        return _Rule(1 / (1 + math.exp(-odds)), n, n_vote, num_classes)

    least, most = (math.log(level / (1 - level)) for level in (target / 2, MOST_LEVEL))
    starts = [(u, w) for u in np.arange(-1.5, 3, 0.5) for w in (-u, -u - 0.25, -u - 0.75) if w > -FAR]
    low, high = least, most
    for _ in range(HALVINGS):  # of the odds
        middle = (low + high) / 2
        peaks = rule(middle).top(starts, GAP * target)
        starts = [peak[1:] for peak in peaks]
        low, high = (low, middle) if peaks[0][0] > GOAL * target else (middle, high)
    while low > least:
        found = rule(low)
        if found.level > LEAST_GAIN * target / 2 and _keeps(found, target):
            return found.level
        low -= 0.1
    return target / 2
