"""One linear region of a ReLU net: how near to x the boundary of the label comes inside it, solved exactly.

With the sign of every neuron fixed the net is affine, and the nearest point with margin <= 0 is a linear programme for
l1 and linf, a least-distance programme for l2. What is proven does not rest on the solver: its multipliers u >= 0 are
put into the inequality dist >= (u . h) / ||G'u||_dual, which holds for every u >= 0.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linprog, nnls
from torch import Tensor

from rp_tutorial.verification.bounds import margin_rows
from rp_tutorial.verification.relu_net import DUAL_ORDER, Norm, ReluNet


@dataclass(frozen=True)
class Region:
    """All delta with rows @ delta >= least: neurons keep their signs and the label's margin is not positive.

    rows [m, d], least [m], float64; error [m] is how wrong a row may be through rounding, for delta within reach.
    """

    rows: np.ndarray
    least: np.ndarray
    error: np.ndarray


def describe_region(
    net: ReluNet, x: Tensor, label: int, target: int, signs: Tensor, held: Tensor, radius: float
) -> Region:
    """The region around x [d] where neuron i has signs[i] (+1 or -1, [H]) and logit_target >= logit_label.

    held [H]: the neurons whose sign becomes a row. The others must have theirs on the whole ball of `radius`.
    """
    jacobian, value = torch.eye(len(x), dtype=x.dtype), x
    rows, values = [], []
    for layer, span in enumerate(net.spans):
        jacobian = net.weights[layer] @ jacobian
        value = net.weights[layer] @ value + net.biases[layer]
        rows.append(signs[span, None] * jacobian)
        values.append(signs[span] * value)
        on = (signs[span] > 0).to(x.dtype)
        jacobian, value = on[:, None] * jacobian, on * value
    weight, bias = (part[0, target] for part in margin_rows(net, torch.tensor([label])))
    hidden_error, logit_error = net.rounding_error(x[None], torch.tensor([radius], dtype=x.dtype))
    keep = torch.cat([held, torch.ones(1, dtype=torch.bool)])
    all_rows = torch.cat([*rows, -(weight @ jacobian)[None]])[keep].numpy()
    at_x = torch.cat([*values, -(weight @ value + bias)[None]])[keep].numpy()
    margin_error = (logit_error[0, label] + logit_error[0, target])[None]
    return Region(all_rows, -at_x, torch.cat([hidden_error[0], margin_error])[keep].numpy())


def push_behind(region: Region, amount: float, reach: float) -> Region:
    """The same region, but the margin (its last row) below 0 by as much as a step of amount * reach changes it."""
    least = region.least.copy()
    least[-1] += amount * reach * np.linalg.norm(region.rows[-1])
    return Region(region.rows, least, region.error)


def nearest_in_region(region: Region, norm: Norm, *, reach: float) -> tuple[float, np.ndarray | None]:
    """No delta of the region is shorter than the first result; the second is (to the solver's accuracy) the shortest.

    The bound is proven by multipliers and rounded down. Where nothing lies within about 2 * reach the second is None.
    """
    # A row may be all zeros (a margin that is constant in the region): its right side then sets its scale.
    size = np.maximum(np.linalg.norm(region.rows, axis=1), np.abs(region.least) / reach)
    scale = np.where(size > 0, size, 1.0)
    rows, least = region.rows / scale[:, None], region.least / (scale * reach)  # lengths in units of reach
    solve = _least_distance if norm == "l2" else _linear_programme
    multipliers, delta = solve(rows, least, norm)
    return proven_distance(region, np.maximum(multipliers, 0) / scale, norm), None if delta is None else delta * reach


def proven_distance(region: Region, multipliers: np.ndarray, norm: Norm) -> float:
    """Weak duality: u . h <= u . G delta <= ||G'u||_dual * ||delta|| for every u >= 0. Rounded down, at least 0."""
    gain = multipliers @ (region.least - region.error)
    if not gain > 0:
        return 0.0
    slope = np.linalg.norm(multipliers @ region.rows, ord=DUAL_ORDER[norm])
    return float(gain / slope * (1 - 1e-14)) if slope > 0 else np.inf


def _least_distance(rows: np.ndarray, least: np.ndarray, norm: Norm) -> tuple[np.ndarray, np.ndarray | None]:
    """Source: Lawson and Hanson 1974, chapter 23: least distance programming by non-negative least squares."""
    stacked = np.vstack([rows.T, least])
    wanted = np.zeros(len(stacked))
    wanted[-1] = 1.0
    try:
        multipliers, _ = nnls(stacked, wanted, maxiter=20 * stacked.shape[1] + 100)
    except RuntimeError:  # out of iterations: nothing is proven here, the caller keeps the bound it had
        return np.zeros(len(rows)), None
    residual = stacked @ multipliers - wanted
    if residual[-1] > -1e-10:  # the residual vanishes: no such delta
        return multipliers, None
    return multipliers, -residual[:-1] / residual[-1]


def _linear_programme(rows: np.ndarray, least: np.ndarray, norm: Norm) -> tuple[np.ndarray, np.ndarray | None]:
    """The dual: u >= 0 with the largest u . least and ||rows' u||_dual <= 1. Capped at 2, so that it is bounded
    where the region is empty; delta is the dual's own multiplier of w = rows' u."""
    m, d = rows.shape
    if norm == "l1":  # |w_j| <= 1
        equal = np.hstack([rows.T, -np.eye(d)])
        cost, bounds = np.r_[-least, np.zeros(d)], [(0, None)] * m + [(-1, 1)] * d
        upper, limit = np.r_[least, np.zeros(d)][None], [2.0]
    else:  # w = p - q with sum(p + q) <= 1
        equal = np.hstack([rows.T, -np.eye(d), np.eye(d)])
        cost, bounds = np.r_[-least, np.zeros(2 * d)], [(0, None)] * (m + 2 * d)
        upper = np.vstack([np.r_[least, np.zeros(2 * d)], np.r_[np.zeros(m), np.ones(2 * d)]])
        limit = [2.0, 1.0]
    found = linprog(cost, A_ub=upper, b_ub=limit, A_eq=equal, b_eq=np.zeros(d), bounds=bounds, method="highs")
    if not found.success:
        return np.zeros(m), None
    capped = -found.fun >= 2 - 1e-9
    return found.x[:m], None if capped else -found.eqlin.marginals
