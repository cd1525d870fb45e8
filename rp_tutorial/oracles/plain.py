"""The undefended interface: the net's own label. No noise, no abstention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.arguments import count
from rp_tutorial.oracles.base import LabelOracle, argmax_labels


class PlainOracle(LabelOracle):
    """Releases argmax net(x). It guarantees nothing: x is exactly as private as the net's decision regions are wide.

    net: maps [B, ...] to logits [B, num_classes]; put into eval mode, so that it is a function of x alone.
    `batch_size` bounds memory and does not change a label. Labels come back on the device of x.
    """

    def __init__(
        self, net: nn.Module, *, num_classes: int, device: torch.device | str | None = None, batch_size: int = 65536
    ) -> None:
        super().__init__(num_classes=num_classes)
        self.device = torch.device(device or "cpu")
        self.net = net.eval().to(self.device)
        self.batch_size = count("batch_size", batch_size)

    @torch.inference_mode()
    def _release(self, x: Tensor) -> Tensor:
        labels = [argmax_labels(self.net(b.to(self.device)), self.num_classes) for b in x.split(self.batch_size)]
        self.forward_passes += len(x)
        return torch.cat(labels).to(x.device)
