"""What a released label leaves possible: inference sets, APE and RAP of an attribute.

Everything about one hidden attribute z of a record whose other attributes the adversary knows. Sets are exact where
the classifier is known in pieces (`pieces`, `smoothed_pieces`) and sampled, with the error stated, where it is only
an oracle. Intervals and units are in `sets.py`. How a label is released is in `oracles/`, what two single values
can be told apart by is in `guarantees.py`; here the question is about the set as a whole.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special
from torch import Tensor

from rp_tutorial.attributes.pieces import LabelPieces
from rp_tutorial.attributes.sets import IntervalSet, Scale, StandardScale
from rp_tutorial.attributes.smoothed_pieces import leader_pieces, level_pieces
from rp_tutorial.core.arguments import count, one_of, open_unit, positive, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.statistics.binomial import clopper_pearson, min_predict_votes
from rp_tutorial.theory import halfspace


def inference_set(
    pieces: LabelPieces, label: Tensor | int, *, scale: Scale | None = None, domain: IntervalSet | None = None
) -> IntervalSet:
    """I_y, exactly: the attribute values at which the classifier known by its pieces has this label. A batch [B].

    pieces: `pieces.label_pieces` for a net itself, `smoothed_pieces.leader_pieces` for a smoothed one. label: one
    for all or [B]. `scale` gives the unit ("std" without it), `domain` the attribute's range in that unit.
    Source: chapter "Attributes".

    >>> pieces = rp.attributes.label_pieces(rp.models.half_space_net(), torch.tensor([[2.0, 0.0]]), attribute=0)
    >>> rp.inference_set(pieces, 1)[0].contains([-1.0, 1.0])
    array([False,  True])

    Chapter: foundations/attributes.
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

    >>> pieces = rp.attributes.label_pieces(rp.models.half_space_net(), torch.tensor([[2.0, 0.0]]), attribute=0)
    >>> rp.rap_set(pieces, 1, tau=0.9, sigma=1.0, rule="vote", n=100)[0].low.round(3)
    array([0.173])

    Chapter: foundations/attributes.
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
