"""Exact smoothing of one attribute: the smoothed classifier itself as an oracle, without a sample.

If the adversary knows everything but one attribute, only that coordinate needs noise. Along it a ReLU net is
piecewise affine, so that the ideal smoothed classifier, which elsewhere can only be sampled, is a sum of normal
distribution functions. This file is the oracle and its units; the pieces are found in `pieces`, the normal sums and
their roots in `smoothed_pieces`, sets of values in `sets`.
"""

import torch
from torch import Tensor, nn

from rp_tutorial.attributes.pieces import LabelPieces, label_pieces
from rp_tutorial.attributes.rap import inference_set
from rp_tutorial.attributes.sets import IntervalSet, Scale, StandardScale
from rp_tutorial.attributes.smoothed_pieces import leader_pieces, probabilities
from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.labels import check_batch
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.verification.reading import read_net


class AttributeSmoothing(LabelOracle):
    """(R, 0)-Robust Privacy for one attribute: the label is a function that is constant within R of the true value.

    Releases g(x) = argmax_c Pr[net(x + u e_a) = c], u ~ N(0, sigma^2) on input column a alone, computed and not
    sampled: no N, no alpha, no ABSTAIN. With (lo, hi) = `constant_interval(x)`, every x' that differs from x in the
    attribute only, with a value in [lo, hi], gets the same label with certainty. So no adversary that sees the label,
    or asks for it again and again, tells x from x' with any advantage; the set of all values with that label is
    `inference_set`. Nothing is promised about the other attributes.

    net: linear layers and ReLUs (`verification.reading`), taken in float64; put into eval mode. attribute: the column.
    sigma: in the net's own unit ("std"). scale: the attribute's unit for intervals and sets, for instance a
    `ThresholdTask`; "std" without it. domain: the attribute's range in that unit, which cuts inference sets.
    The label is that of g up to the rounding of its probabilities (about 1e-14): at a boundary either label may come.
    One evaluation of the net's pieces counts as one forward pass.
    Raises InputError for other nets, a bad column or sigma <= 0. Source: chapter "Exact attribute smoothing".

    >>> oracle = rp.AttributeSmoothing(rp.models.half_space_net(), attribute=0, sigma=1.0)
    >>> oracle.inference_set(torch.tensor([[2.0, 0.0]]), 1)[0].contains([-1.0, 1.0])
    array([False,  True])

    Chapter: insurance/exact-attribute-smoothing.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        attribute: int,
        sigma: float,
        scale: Scale | None = None,
        domain: tuple[float, float] | None = None,
    ) -> None:
        self.net = net.eval()
        plain = read_net(net)
        super().__init__(num_classes=plain.num_classes)
        if count("attribute", attribute, minimum=0) >= plain.num_inputs:
            raise refuse("attribute", attribute, f"a column from 0 to {plain.num_inputs - 1}")
        self.attribute, self.sigma = attribute, positive("sigma", sigma)
        self.scale = scale or StandardScale()
        self.domain = None if domain is None else IntervalSet.of(domain, unit=self.scale.unit)

    def base_intervals(self, x: Tensor) -> LabelPieces:
        """Where the label of the net itself is constant along the attribute, in the net's unit: [B, M].

        The other methods find these first. Pass them as `base` to share them, between several sigma for instance.
        """
        return label_pieces(self.net, x, attribute=self.attribute)

    def class_probabilities(self, x: Tensor, *, base: LabelPieces | None = None) -> Tensor:
        """p_c(x) = Pr[net(x + u e_a) = c], exactly: float64 [B, K]. For the operator; an adversary sees labels."""
        base = self.base_intervals(x) if base is None else base
        return probabilities(base, self._value(x), sigma=self.sigma, num_classes=self.num_classes)

    def smoothed_intervals(self, x: Tensor, *, base: LabelPieces | None = None) -> LabelPieces:
        """Where g is constant along the attribute, in the net's unit: intervals inside the true ones, [B, M]."""
        base = self.base_intervals(x) if base is None else base
        return leader_pieces(base, sigma=self.sigma, num_classes=self.num_classes)

    def constant_interval(self, x: Tensor, *, base: LabelPieces | None = None) -> tuple[Tensor, Tensor]:
        """(lo, hi), float64 [B], in the attribute's unit: g is constant on [lo, hi], which holds the record's value.

        Maximal: beyond it g changes, but for the rounding, always inward, of about 1e-14 where g's classes cross at an
        angle. lo = -inf and hi = inf where no boundary lies on that side. A value on a boundary gives lo = hi.
        """
        z = self._value(x)
        low, high, _ = self.smoothed_intervals(x, base=base).around(z)
        low, high, value = (self.scale.to_unit(part) for part in (low, high, z))
        low, high = low + self._slack(low), high - self._slack(high)
        return torch.minimum(low, value), torch.maximum(high, value)

    def inference_set(self, x: Tensor, label: Tensor | int, *, base: LabelPieces | None = None) -> IntervalSet:
        """All attribute values, in their unit, at which g releases `label` (one for all, or [B]): a batch [B] of sets.

        The preimage of the label, cut to `domain`. What an adversary who knows the rest can conclude, and no more.
        """
        pieces = self.smoothed_intervals(x, base=base)
        return inference_set(pieces, label, scale=self.scale, domain=self.domain)

    def base_inference_set(self, x: Tensor, label: Tensor | int, *, base: LabelPieces | None = None) -> IntervalSet:
        """The same for the net without noise."""
        base = self.base_intervals(x) if base is None else base
        return inference_set(base, label, scale=self.scale, domain=self.domain)

    def _release(self, x: Tensor) -> Tensor:
        self.forward_passes += len(x)
        return self.class_probabilities(x).argmax(dim=1).to(x.device)

    def _slack(self, end: Tensor) -> Tensor:
        """More than a change of unit can have rounded an end point and than the rounding of p can move it; 0 at inf."""
        origin, noise = float(self.scale.to_unit(0.0)), float(self.scale.to_unit(self.sigma))
        size = 4 * end.abs() + 20 * abs(origin) + 20 * abs(noise - origin)
        return torch.where(end.isfinite(), 4 * torch.finfo(torch.float64).eps * size, 0.0)

    def _value(self, x: Tensor) -> Tensor:
        if isinstance(x, Tensor) and x.ndim > 1:
            x = x.flatten(1)[:, self.attribute :][:, :1]  # nothing else is read here
        return check_batch(x)[:, 0].detach().double()
