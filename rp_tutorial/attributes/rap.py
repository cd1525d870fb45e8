"""What a released label leaves possible: inference sets, APE and RAP of an attribute.

Everything about one hidden attribute z of a record whose other attributes the adversary knows. Sets are exact,
because the classifier is known in pieces (`pieces`, `smoothed_pieces`); `sampled.py` has those of other oracles.
Intervals and units are in `sets.py`. How a label is released is in `oracles/`, what two single values can be told
apart by is in `guarantees.py`; here the question is about the set as a whole.
"""

from functools import reduce

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special
from torch import Tensor

from rp_tutorial.attributes.pieces import LabelPieces
from rp_tutorial.attributes.sets import IntervalSet, Scale, StandardScale
from rp_tutorial.attributes.smoothed_pieces import LEVELS, leader_pieces, level_pieces
from rp_tutorial.core.arguments import count, one_of, open_unit, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.statistics.binomial import min_predict_votes
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
    return _in_unit(*(ends.cpu().numpy() for ends in pieces.of_label(label)), scale, domain)


def _in_unit(low: NDArray, high: NDArray, scale: Scale | None, domain: IntervalSet | None) -> IntervalSet:
    scale = scale or StandardScale()
    found = IntervalSet(scale.to_unit(low), scale.to_unit(high), scale.unit)
    return found if domain is None else found.intersection(domain)


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
    End points are rounded into the set. Raises InputError for three or more classes under a rule with votes.

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
        level = release_level(tau, label=y, rule=rule, n=n, alpha=alpha)
        if level is None:
            continue
        rows = (labels == y).nonzero()[:, 0]
        if level == 0:  # whatever the attribute is, it is released
            low[rows, 0], high[rows, 0] = -np.inf, np.inf
            continue
        if not LEVELS[0] <= level <= LEVELS[1]:
            raise refuse("tau", tau, f"one reached at p_y from {LEVELS[0]} to {LEVELS[1]}, and not at {level:.3g}")
        of_y, reaching = base.rows(rows), (0, 1) if y == ABSTAIN else (y,)
        above = [level_pieces(of_y, torch.full_like(rows, c), level, sigma=sigma) for c in reaching]
        found = reduce(IntervalSet.intersection, [inference_set(pieces, 1) for pieces in above])
        low[rows, : found.low.shape[1]], high[rows, : found.low.shape[1]] = found.low, found.high
    return _in_unit(low, high, scale, domain)


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
    winning = n // 2 + 1 if label else n - n // 2
    least = winning if rule == "vote" else min_predict_votes(n, alpha=alpha)
    if least is None:
        return 0.0 if label == ABSTAIN else None
    if label != ABSTAIN:
        return float(special.betaincinv(least, n - least + 1, tau))

    def surplus(p: float) -> float:
        return float(halfspace.predict_law(p, n=n, alpha=alpha)[1]) - tau

    if surplus(0.5) < 0:
        return None
    return 1e-9 if surplus(1e-9) >= 0 else float(optimize.brentq(surplus, 1e-9, 0.5, xtol=1e-15))
