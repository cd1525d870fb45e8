"""The free comparator: a net that says nothing where its own confidence is low. No noise, no certificate."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.arguments import closed_unit
from rp_tutorial.oracles.base import ABSTAIN, LabelOracle, argmax_labels


class AbstainingOracle(LabelOracle):
    """Releases the net's label where its largest softmax probability reaches `confidence`, else ABSTAIN.

    It guarantees nothing: the release is a function of x with three values, so its boundaries tell more, not less.
    net maps [B, ...] to logits [B, num_classes] and is put into eval mode.
    """

    def __init__(self, net: nn.Module, *, num_classes: int, confidence: float) -> None:
        super().__init__(num_classes=num_classes)
        self.net, self.confidence = net.eval(), closed_unit("confidence", confidence)

    @torch.inference_mode()
    def _release(self, x: Tensor) -> Tensor:
        self.forward_passes += len(x)
        logits = self.net(x)
        labels = argmax_labels(logits, self.num_classes)
        return torch.where(logits.double().softmax(dim=1).amax(dim=1) >= self.confidence, labels, ABSTAIN)


@torch.inference_mode()
def confidence_for_abstention(net: nn.Module, x: Tensor, *, share: float) -> float:
    """The confidence below which the given share of the inputs x lies: how to abstain as often as somebody else."""
    top = net.eval()(x).double().softmax(dim=1).amax(dim=1)
    return float(torch.quantile(top, closed_unit("share", share)))
