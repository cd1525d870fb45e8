"""The free comparator: a net that says nothing where its own confidence is low. No noise, no certificate."""

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import closed_unit
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.net import CheckedNet
from rp_tutorial.oracles.plain import PlainOracle, logits_in_batches


class AbstainingOracle(PlainOracle):
    """Releases the net's label where its largest softmax probability reaches `confidence`, else ABSTAIN.

    It guarantees nothing: the release is a function of x with three values, so its boundaries tell more, not less.
    net maps [B, ...] to logits [B, num_classes] and is put into eval mode. Labels come back on the device of x.

    >>> oracle = rp.AbstainingOracle(rp.models.half_space_net(), num_classes=2, confidence=0.9)
    >>> oracle(rp.models.at_distance([-3.0, 1.0, 3.0]))
    tensor([ 0, -1,  1])

    Chapter: comparisons/frontier.
    """

    def __init__(
        self, net: nn.Module, *, num_classes: int, confidence: float, device: torch.device | str | None = None
    ) -> None:
        super().__init__(net, num_classes=num_classes, device=device)
        self.confidence = closed_unit("confidence", confidence)

    def _labels(self, logits: Tensor) -> Tensor:
        return torch.where(_confidence(logits) >= self.confidence, super()._labels(logits), ABSTAIN)


def confidence_for_abstention(net: nn.Module, x: Tensor, *, num_classes: int, share: float) -> float:
    """The confidence below which the given share of the inputs x lies: how to abstain as often as somebody else.

    net and num_classes as in `AbstainingOracle`.
    """
    top = _confidence(logits_in_batches(CheckedNet(net, num_classes=num_classes), x))
    return float(torch.quantile(top, closed_unit("share", share)))


def _confidence(logits: Tensor) -> Tensor:
    return logits.double().softmax(dim=1).amax(dim=1)
