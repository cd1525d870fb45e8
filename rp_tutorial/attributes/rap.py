"""What a released label leaves possible: interval sets, inference sets, APE, RAP and the posterior of an attribute.

Everything about one hidden attribute z of a record whose other attributes the adversary knows. Sets are exact where
the classifier is known in pieces (`piecewise`, `smoothed_pieces`) and sampled, with the error stated, where it is only
an oracle. Every set carries the unit of its numbers. How a label is released is in `oracles/`, what two single values
can be told apart by is in `privacy.py`; here the question is about the set as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special
from torch import Tensor

from rp_tutorial.attributes.pieces import LabelPieces
from rp_tutorial.attributes.smoothed_pieces import leader_pieces, level_pieces
from rp_tutorial.core.arguments import InputError, count, one_of, open_unit, positive, refuse
from rp_tutorial.oracles.base import ABSTAIN
from rp_tutorial.statistics.binomial import clopper_pearson, min_predict_votes
from rp_tutorial.theory import halfspace


class Scale(Protocol):
    """The way between an attribute's unit and the net's input ("std"); every `ThresholdTask` is one."""

    unit: str

    def to_std(self, values: Any) -> Any: ...

    def to_unit(self, values: Any) -> Any: ...


@dataclass(frozen=True)
class StandardScale:
    """z = (value - mean) / std. Without arguments: the net's own unit, "std"."""

    mean: float = 0.0
    std: float = 1.0
    unit: str = "std"

    def __post_init__(self) -> None:
        positive("std", self.std)

    def to_std(self, values: Any) -> Any:
        return (values - self.mean) / self.std

    def to_unit(self, values: Any) -> Any:
        return values * self.std + self.mean


@dataclass(frozen=True, eq=False)
class IntervalSet:
    """A finite union of closed intervals, or a batch of such sets; all numbers are in `unit`.

    low, high: float64 [..., M], whatever leads being the batch; one set has shape [M]. In any order and overlapping
    they may be given; kept are sorted, disjoint intervals, those that touch joined, filled up with low = inf,
    high = -inf. Given entries with low > high are filling too. End points may be infinite. Batches broadcast.
    Raises InputError for NaN, shapes that differ, and wherever two units would be mixed.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unit: str

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, dtype=np.float64), np.asarray(self.high, dtype=np.float64)
        if low.shape != high.shape or low.ndim == 0:
            raise refuse("low, high", f"shapes {low.shape} and {high.shape}", "two arrays of one shape [..., M]")
        if np.isnan(low).any() or np.isnan(high).any():
            raise InputError("low, high: got NaN, allowed are numbers and infinities")
        for name, part in zip(("low", "high"), _canonical(low, high), strict=True):
            part.setflags(write=False)
            object.__setattr__(self, name, part)

    @classmethod
    def of(cls, *pairs: tuple[float, float], unit: str) -> IntervalSet:
        """One set from its intervals: `IntervalSet.of((12, 30), unit="kg/m^2")`; no interval is the empty set."""
        wrong = [pair for pair in pairs if not pair[0] <= pair[1]]
        if wrong:
            raise refuse("pairs", wrong[0], "intervals (low, high) with low <= high")
        ends = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return cls(ends[:, 0], ends[:, 1], unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch; () for one set."""
        return self.low.shape[:-1]

    def __getitem__(self, index: Any) -> IntervalSet:
        """A set or a smaller batch, by an index into the batch."""
        index = index if isinstance(index, tuple) else (index,)
        index = index if any(i is Ellipsis for i in index) else (*index, ...)
        return IntervalSet(self.low[(*index, slice(None))], self.high[(*index, slice(None))], self.unit)

    def __len__(self) -> int:
        return self.shape[0]

    def pairs(self) -> list[tuple[float, float]]:
        """The intervals of one set, from left to right."""
        if self.shape:
            raise refuse("set", f"a batch of shape {self.shape}", "one set; pick it by its index")
        return [(float(a), float(b)) for a, b in zip(self.low, self.high, strict=True) if a <= b]

    def contains(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Whether the values lie in the set; they broadcast with the batch. End points belong to it."""
        v = np.asarray(values, dtype=np.float64)[..., None]
        return ((self.low <= v) & (v <= self.high)).any(axis=-1)

    def length(self) -> NDArray[np.float64]:
        """Total length, in `unit`: shape of the batch."""
        low, high = self._used_ends()
        return (high - low).sum(axis=-1)

    def mass(self, prior: Any) -> NDArray[np.float64]:
        """Probability of the set under a prior with a continuous `cdf` in this unit, such as a frozen SciPy law."""
        low, high = self._used_ends()
        return (prior.cdf(high) - prior.cdf(low)).sum(axis=-1)

    def hull(self) -> IntervalSet:
        """The smallest interval that holds the set: what an attacker reports who gives one interval."""
        if not self.low.shape[-1]:
            return self
        return IntervalSet(self.low[..., :1], self.high.max(axis=-1, keepdims=True), self.unit)

    def union(self, other: IntervalSet) -> IntervalSet:
        """Values in either set."""
        ours, theirs = self._beside(other)
        return IntervalSet(*(np.concatenate(ends, axis=-1) for ends in zip(ours, theirs, strict=True)), self.unit)

    def intersection(self, other: IntervalSet) -> IntervalSet:
        """Values in both sets. Two that share an end point meet in that point."""
        ours, theirs = self._beside(other)
        low = np.maximum(ours[0][..., :, None], theirs[0][..., None, :])
        high = np.minimum(ours[1][..., :, None], theirs[1][..., None, :])
        shape = (*low.shape[:-2], low.shape[-2] * low.shape[-1])
        return IntervalSet(low.reshape(shape), high.reshape(shape), self.unit)

    def complement(self, domain: IntervalSet) -> IntervalSet:
        """The rest of the domain, closed: its end points are shared with the set, isolated points do not count."""
        infinite = np.full((*self.shape, 1), np.inf)
        # Filling, from inf to -inf, must repeat the gap after the last interval and not open another.
        reached = np.maximum.accumulate(np.concatenate([-infinite, self.high], axis=-1), axis=-1)
        gap_low, gap_high = reached, np.concatenate([self.low, infinite], axis=-1)
        open_gap = gap_low < gap_high
        gaps = IntervalSet(np.where(open_gap, gap_low, np.inf), np.where(open_gap, gap_high, -np.inf), self.unit)
        rest = gaps.intersection(domain)
        wide = rest.low < rest.high
        return IntervalSet(np.where(wide, rest.low, np.inf), np.where(wide, rest.high, -np.inf), self.unit)

    def difference(self, other: IntervalSet) -> IntervalSet:
        """This set without the other, closed."""
        return other.complement(self)

    def _used_ends(self) -> tuple[NDArray, NDArray]:
        """low, high with the filling moved to an interval from 0 to 0."""
        used = self.low <= self.high
        return np.where(used, self.low, 0.0), np.where(used, self.high, 0.0)

    def _beside(self, other: IntervalSet) -> tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]]:
        if not isinstance(other, IntervalSet):
            raise refuse("other", type(other).__name__, "an IntervalSet")
        if other.unit != self.unit:
            raise refuse("unit", other.unit, f"{self.unit!r}, the unit of the other set")
        batch = np.broadcast_shapes(self.shape, other.shape)
        ours, theirs = (
            tuple(np.broadcast_to(ends, (*batch, ends.shape[-1])) for ends in (s.low, s.high)) for s in (self, other)
        )
        return ours, theirs


def _canonical(low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """Sorted, disjoint, filled up with (inf, -inf); as narrow as the fullest set of the batch."""
    filling = low > high
    low, high = np.where(filling, np.inf, low), np.where(filling, -np.inf, high)
    order = np.argsort(low, axis=-1, kind="stable")
    low, high = np.take_along_axis(low, order, axis=-1), np.take_along_axis(high, order, axis=-1)
    reach = np.maximum.accumulate(high, axis=-1)
    used = low <= high
    starts = used.copy()
    starts[..., 1:] &= low[..., 1:] > reach[..., :-1]
    place = np.cumsum(starts, axis=-1) - 1
    width = int(place.max(initial=-1)) + 1
    merged = np.full((*low.shape[:-1], width), np.inf), np.full((*low.shape[:-1], width), -np.inf)
    at = np.nonzero(starts)
    merged[0][(*at[:-1], place[at])] = low[at]
    at = np.nonzero(used)
    np.maximum.at(merged[1], (*at[:-1], place[at]), high[at])
    return merged


def inference_set(
    pieces: LabelPieces, label: Tensor | int, *, scale: Scale | None = None, domain: IntervalSet | None = None
) -> IntervalSet:
    """I_y, exactly: the attribute values at which the classifier known by its pieces has this label. A batch [B].

    pieces: `piecewise.label_pieces` for a net itself, `smoothed_pieces.leader_pieces` for a smoothed one. label: one
    for all or [B]. `scale` gives the unit ("std" without it), `domain` the attribute's range in that unit.
    Source: chapter "Attributes".
    """
    scale = scale or StandardScale()
    low, high = (scale.to_unit(ends.cpu().numpy()) for ends in pieces.of_label(label))
    found = IntervalSet(low, high, scale.unit)
    return found if domain is None else found.intersection(domain)


def sampled_inference_set(
    oracle: Callable[[Tensor], Tensor],
    x: Tensor,
    label: Tensor | int,
    *,
    domain: IntervalSet,
    with_attribute: Callable[[Tensor, Tensor], Tensor],
    spacing: float,
    tolerance: float,
) -> IntervalSet:
    """I_y by queries: a grid over the domain, then bisection wherever the answer changes between neighbours. [B].

    For an oracle that is a function of its input: every end point reported lies inside the true set, within
    `tolerance` of an end of it; what may be missed are stretches, in or out, narrower than `spacing`. For an oracle
    that draws at random the set is one that its answers allow, no more. domain: one interval.
    with_attribute(x, values) -> [B, G, d], as `ThresholdTask.with_attribute`; in float32 a tolerance below 1e-6 of the
    attribute is not resolved. Costs B * (length / spacing + 1) queries and a few for each change.
    """
    grid, wanted = _grid(domain, spacing), torch.as_tensor(label).expand(len(x))
    halvings = max(0, int(np.ceil(np.log2(spacing / positive("tolerance", tolerance)))))
    labels = oracle(with_attribute(x, torch.from_numpy(grid)).flatten(0, 1)).view(len(x), len(grid))
    match = (labels.cpu() == wanted[:, None]).numpy()
    record, left = np.nonzero(match[:, 1:] != match[:, :-1])
    out, inside = (grid[np.where(match[record, left] == side, left, left + 1)] for side in (False, True))
    chosen = torch.from_numpy(record)
    for _ in range(halvings if len(record) else 0):
        middle = (out + inside) / 2
        probes = with_attribute(x[chosen], torch.from_numpy(middle)[:, None]).flatten(0, 1)
        hit = (oracle(probes).cpu() == wanted[chosen]).numpy()
        out, inside = np.where(hit, out, middle), np.where(hit, middle, inside)
    edge = np.full((len(x), len(grid) - 1), np.nan)
    edge[record, left] = inside
    return _from_matches(match, grid, edge, domain.unit)


def _grid(domain: IntervalSet, spacing: float) -> NDArray[np.float64]:
    pairs = domain.pairs()
    if len(pairs) != 1 or not np.isfinite(pairs[0]).all() or pairs[0][0] == pairs[0][1]:
        raise refuse("domain", pairs, "one bounded interval of positive length")
    (low, high), steps = pairs[0], positive("spacing", spacing)
    return np.linspace(low, high, int(np.ceil((high - low) / steps)) + 1)


def _from_matches(match: NDArray, grid: NDArray, edge: NDArray, unit: str) -> IntervalSet:
    """Runs of matching grid points [B, G], each drawn out to the change `edge` [B, G - 1] on either side."""
    low = np.where(match, grid, np.inf)
    high = np.where(match, grid, -np.inf)
    # Between two matching points the whole cell belongs; where one matches, the part up to the change.
    both, rises = match[:, 1:] & match[:, :-1], match[:, 1:] & ~match[:, :-1]
    falls = match[:, :-1] & ~match[:, 1:]
    cell_low = np.where(both | falls, grid[:-1], np.where(rises, edge, np.inf))
    cell_high = np.where(both | rises, grid[1:], np.where(falls, edge, -np.inf))
    ends = [np.concatenate(part, axis=1) for part in ((low, cell_low), (high, cell_high))]
    return IntervalSet(*ends, unit)


def ape(points: ArrayLike, radius: ArrayLike, *, unit: str, domain: IntervalSet | None = None) -> IntervalSet:
    """APE (the paper, v1, Definition 2): the union of the certified balls [z - R_z, z + R_z] over compatible values z.

    points, radius: [..., P], in `unit`: a radius in std must be multiplied by the attribute's std first. NaN points are
    left out. If the radii are valid for a classifier and all points have its label y, every ball lies in that
    classifier's own inference set: the union never exceeds it (chapter "Attributes", the tautology).
    """
    z, r = np.broadcast_arrays(np.asarray(points, dtype=np.float64), np.asarray(radius, dtype=np.float64))
    if (r < 0).any():
        raise refuse("radius", float(np.nanmin(r)), "radii of at least 0")
    kept = ~(np.isnan(z) | np.isnan(r))
    balls = IntervalSet(np.where(kept, z - r, np.inf), np.where(kept, z + r, -np.inf), unit)
    return balls if domain is None else balls.intersection(domain)


def rap_set(
    base: LabelPieces,
    label: Tensor | int,
    *,
    tau: float,
    sigma: float,
    rule: str = "ideal",
    n: int | None = None,
    alpha: float | None = None,
    scale: Scale | None = None,
    domain: IntervalSet | None = None,
) -> IntervalSet:
    """RAP at level tau, exactly: {z : Pr[M(z, x_-1) = y] >= tau}; M releases f under noise on the attribute. [B].

    Our reading of the paper's v2: the values that stay compatible with the release. base: the pieces of f itself, in
    the net's own unit, as sigma. label: one for all records or [B]; ABSTAIN = -1 for PREDICT.
    rule="ideal": g itself, so the preimage of y under g for every tau. "vote": VOTE(n). "predict": PREDICT(n, alpha).
    For the last two the votes are binomial in p_y(z), so that the set is where p_y passes a level: two classes only.
    End points are rounded into the set. Raises InputError for three or more classes under a rule with votes: sample.
    """
    open_unit("tau", tau)
    one_of("rule", rule, ("ideal", "vote", "predict"))
    labels = torch.as_tensor(label).expand(len(base))
    classes = int(base.label.max()) + 1 if len(base) else 2
    if rule == "ideal":
        return inference_set(leader_pieces(base, sigma=sigma, num_classes=classes), labels, scale=scale, domain=domain)
    if classes > 2:
        raise refuse("base", f"{classes} classes", "2 under VOTE and PREDICT; `sampled_rap_set` takes more")
    shape = (len(base), 2 * base.low.shape[1] + 2)
    low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
    for y in labels.unique().tolist():
        rows = (labels == y).nonzero()[:, 0]
        found = _law_set(base.rows(rows), y, tau, sigma=sigma, rule=rule, n=n, alpha=alpha)
        low[rows, : found.low.shape[1]], high[rows, : found.low.shape[1]] = found.low, found.high
    scale = scale or StandardScale()
    found = IntervalSet(scale.to_unit(low), scale.to_unit(high), scale.unit)
    return found if domain is None else found.intersection(domain)


def _law_set(base: LabelPieces, y: int, tau: float, *, sigma: float, **law: Any) -> IntervalSet:
    """The RAP sets of records that were all released y, in the net's unit."""

    def above(label: int, level: float) -> IntervalSet:
        return inference_set(level_pieces(base, torch.full((len(base),), label), level, sigma=sigma), 1)

    level = release_level(tau, label=y, **law)
    nothing = IntervalSet(np.full((len(base), 1), np.inf), np.full((len(base), 1), -np.inf), "std")
    if level is None:
        return nothing
    return above(0, level).intersection(above(1, level)) if y == ABSTAIN else above(y, level)


def release_level(tau: float, *, label: int, rule: str, n: int, alpha: float | None = None) -> float | None:
    """The level of p_y from which Pr[M = y] >= tau, for two classes; None if no p_y reaches tau.

    VOTE(n): Pr[Bin(n, p) >= k] = tau with k the least winning count, n // 2 + 1 for class 1 and n - n // 2 for class 0,
    which has the ties. PREDICT(n, alpha): k the least count answered. For ABSTAIN: the level that p_0 and p_1 must
    *both* reach. Source: chapter "Attributes"; binomial tails are incomplete beta functions.
    """
    one_of("rule", rule, ("vote", "predict"))
    n, tau = count("n", n), open_unit("tau", tau)
    if label not in ((0, 1) if rule == "vote" else (ABSTAIN, 0, 1)):
        raise refuse("label", label, "0 or 1, and ABSTAIN = -1 under PREDICT")
    if rule == "vote":
        least = n // 2 + 1 if label else n - n // 2
        return float(special.betaincinv(least, n - least + 1, tau))
    least = min_predict_votes(n, alpha=alpha)
    if label != ABSTAIN:
        return None if least is None else float(special.betaincinv(least, n - least + 1, tau))

    def surplus(p: float) -> float:
        return float(halfspace.predict_law(p, n=n, alpha=alpha)[1]) - tau

    if surplus(0.5) < 0:
        return None
    return 1e-9 if surplus(1e-9) >= 0 else float(optimize.brentq(surplus, 1e-9, 0.5, xtol=1e-15))


def sampled_rap_set(
    oracle: Callable[[Tensor], Tensor],
    x: Tensor,
    label: Tensor | int,
    *,
    tau: float,
    domain: IntervalSet,
    with_attribute: Callable[[Tensor, Tensor], Tensor],
    spacing: float,
    repeats: int,
    confidence: float = 0.95,
) -> tuple[IntervalSet, IntervalSet]:
    """RAP at level tau by queries of any oracle: an inner and an outer set, [B] each.

    For each record, with probability at least `confidence`, the true set holds every grid point of the inner set and no
    grid point outside the outer set (Clopper-Pearson at every point, Bonferroni over the grid). Each point stands for
    its cell, of width `spacing`; what happens inside a cell is not seen. Costs B * G * repeats queries.
    """
    open_unit("tau", tau)
    grid, wanted = _grid(domain, spacing), torch.as_tensor(label).expand(len(x))
    count("repeats", repeats)
    probes, hits = with_attribute(x, torch.from_numpy(grid)).flatten(0, 1), 0
    for _ in range(repeats):
        hits = hits + (oracle(probes).view(len(x), len(grid)).cpu() == wanted[:, None]).long()
    each = 1 - (1 - open_unit("confidence", confidence)) / len(grid)
    lower, upper = clopper_pearson(hits.numpy(), repeats, confidence=each)
    edges = np.concatenate([grid[:1], (grid[1:] + grid[:-1]) / 2, grid[-1:]])
    return tuple(
        IntervalSet(np.where(kept, edges[:-1], np.inf), np.where(kept, edges[1:], -np.inf), domain.unit)
        for kept in (lower >= tau, upper >= tau)
    )
