"""Robust Privacy without noise: the base net's own label, with a radius that is proven from its weights.

The public face of `rp_tutorial.verification`: one certificate type for its methods, and the oracle whose released
label the certificate is about. How the radii are proven (interval bounds, CROWN, branch and bound) is written there.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.verification.bounds import MAX_RADIUS, crown_radius, interval_radius
from rp_tutorial.verification.complete import EXACT, exact_radius
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import Norm, ReluNet, check_norm, read_inputs

Method = Literal["interval", "crown", "exact"]
METHODS = ("interval", "crown", "exact")


@dataclass(frozen=True)
class DeterministicCertificate:
    """(R, 0)-Robust Privacy of the base net, one entry an input; NumPy arrays.

    For every x' with ||x' - x||_norm <= radius the net's own label is `label`: surely, with no noise, no alpha and no
    abstention. So a released label tells x from no such x', however often it is asked for: TV and advantage are 0.
    Radii are in `unit` and rounded down; 0 where nothing is proven. The label is that of the net in float64, which
    `DeterministicRP` releases: a net run in float32 may differ within its rounding error of the boundary.

    `nearest_change`: a distance at which the label is known to be another one, inf where none is known; so no radius
    beyond it can be proven. `tight`: whether radius and nearest_change meet within the tolerance. Both only from
    method "exact"; else inf and False.
    """

    label: np.ndarray
    radius: np.ndarray
    norm: Norm
    unit: str
    method: Method
    nearest_change: np.ndarray
    tight: np.ndarray


def certify_deterministic(
    net: nn.Module | ReluNet,
    x: Tensor,
    *,
    norm: Norm,
    method: Method = "crown",
    unit: str = "std",
    tolerance: float = 1e-4,
    budget: int = 20_000,
    max_radius: float = MAX_RADIUS,
) -> DeterministicCertificate:
    """For every x' with ||x' - x||_norm <= radius the net's own label is that of x: (R, 0)-Robust Privacy, no noise.

    net: linear layers and ReLUs, any depth (`verification.reading`); x: float [B, ...], flattened for the norm.
    method: "interval" (fastest, loosest), "crown" (milliseconds an input), "exact" (branch and bound, to `tolerance`
    in the unit of x within `budget` nodes an input; its lower end where the budget is used up). Each radius is at
    least that of the method before. No radius above `max_radius` is looked for.
    Raises InputError for another layer (by name and place), another norm or method, an x that does not fit or is not
    finite, and tolerance, budget or max_radius out of range.
    """
    one_of("method", method, METHODS)
    if method == "exact":
        found = exact_radius(net, x, norm=norm, tolerance=tolerance, budget=budget, max_radius=max_radius)
        tight = np.array([status == EXACT for status in found.status], dtype=bool)
        return DeterministicCertificate(found.label, found.lower, norm, unit, method, found.upper, tight)
    radius = (crown_radius if method == "crown" else interval_radius)(net, x, norm=norm, max_radius=max_radius)
    plain = read_net(net)
    label = plain.labels(read_inputs(plain, x)).numpy()
    unknown = np.full(len(radius), np.inf), np.zeros(len(radius), dtype=bool)
    return DeterministicCertificate(label, radius, check_norm(norm), unit, method, *unknown)


class DeterministicRP(LabelOracle):
    """Releases the net's own label, computed in float64, so that `certify` speaks about the very label released.

    For every x' with ||x' - x|| <= certify(x).radius the released label is the same: (R, 0)-Robust Privacy. It
    answers every query and never abstains; nothing is promised beyond the radius, which is 0 at the boundary itself.
    net and x as in `certify_deterministic`. Labels come back on the device of x.
    Raises InputError for a net that cannot be read, or a number of classes other than its own.

    >>> oracle = rp.DeterministicRP(rp.models.half_space_net(), num_classes=2)
    >>> oracle.certify(rp.models.at_distance([2.0, -0.5])).radius.round(3)
    array([2. , 0.5])

    Chapter: insurance/deterministic.
    """

    def __init__(self, net: nn.Module, *, num_classes: int, norm: Norm = "l2", unit: str = "std") -> None:
        super().__init__(num_classes=num_classes)
        self.norm, self.unit = check_norm(norm), unit
        self._plain = read_net(net)  # a copy: what is certified is what is released, also if the caller trains on
        if self._plain.num_classes != num_classes:
            raise refuse("num_classes", num_classes, f"the net's own number of outputs, {self._plain.num_classes}")

    @torch.inference_mode()
    def _release(self, x: Tensor) -> Tensor:
        self.forward_passes += len(x)
        return self._plain.labels(read_inputs(self._plain, x)).to(x.device)

    def certify(self, x: Tensor, *, method: Method = "crown", **limits: float) -> DeterministicCertificate:
        """The certificate of every input: `certify_deterministic` with the oracle's net, norm and unit."""
        return certify_deterministic(self._plain, x, norm=self.norm, unit=self.unit, method=method, **limits)
