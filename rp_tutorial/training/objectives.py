"""What a classifier of face images is trained to make small, batch by batch: a loss may look inside the net.

The loop is in `classify.py`; the losses of defences against model inversion are in `inversion_defences`.
"""

from typing import Any, Protocol

from torch import Tensor, nn


class Objective(Protocol):
    """Net in train mode, floats [B, 3, S, S], labels int64 [B], share of the training that is done -> a scalar."""

    def __call__(self, net: Any, x: Tensor, labels: Tensor, progress: float) -> Tensor: ...


def cross_entropy(net: nn.Module, x: Tensor, labels: Tensor, progress: float) -> Tensor:
    """The loss of a net that nobody defends, in float32 whatever the net computes in."""
    return nn.functional.cross_entropy(net(x).float(), labels)
