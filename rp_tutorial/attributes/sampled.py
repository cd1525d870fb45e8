"""What a released label leaves possible, by queries alone: for oracles whose pieces nobody knows.

The exact sets are in `rap.py`; here any oracle is asked on a grid of values of the attribute, and the error is stated.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rp_tutorial.attributes.sets import IntervalSet
from rp_tutorial.core.arguments import count, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import clopper_pearson


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
