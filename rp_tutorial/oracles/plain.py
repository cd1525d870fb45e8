"""The undefended interface: the net's own label. No noise, no abstention."""

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count
from rp_tutorial.core.labels import argmax_labels
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.net import CheckedNet, Logits

TABLE_ROWS = 65536
IMAGE_VALUES = {"cpu": 2**19, "cuda": 2**24}  # numbers in a batch of images; on a CPU activations stay near the cache


class PlainOracle(LabelOracle):
    """Releases argmax net(x). It guarantees nothing: x is exactly as private as the net's decision regions are wide.

    net, `device`, `logits` and `threads`: as in `Smoothing`; put into eval mode, so that it is a function of x alone.
    `batch_size` bounds memory and does not change a label; without it it fits the kind of input and of device.
    Labels come back on the device of x.

    >>> oracle = rp.PlainOracle(rp.models.half_space_net(), num_classes=2)
    >>> oracle(rp.models.at_distance([-1.0, 2.0])), oracle.queries
    (tensor([0, 1]), 2)

    Chapter: foundations/side-channel.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int,
        device: torch.device | str | None = None,
        batch_size: int | None = None,
        logits: Logits | None = None,
        threads: int | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_classes=num_classes)
        how = {"device": device, "logits": logits, "threads": threads, "autocast": autocast}
        self.net = CheckedNet(net, num_classes=num_classes, **how)
        self.batch_size = None if batch_size is None else count("batch_size", batch_size)

    def as_batch(self, x: Tensor) -> Tensor:
        return self.net.as_batch(x)

    def _release(self, x: Tensor) -> Tensor:
        logits = logits_in_batches(self.net, x, batch_size=self.batch_size)
        self.forward_passes += len(x)
        return self._labels(logits).to(x.device)

    def _labels(self, logits: Tensor) -> Tensor:
        """What is released of the logits [B, K]."""
        return argmax_labels(logits, self.num_classes)


@torch.inference_mode()
def logits_in_batches(net: CheckedNet, x: Tensor, *, batch_size: int | None = None) -> Tensor:
    """net(x) on its device with bounded memory. On a CPU batches run side by side, one core each.

    Threads inside a convolution this small wait for each other more than they work: side by side is several times
    faster where other programs run, too.
    """
    if not len(x):
        return torch.empty(0, net.num_classes, device=net.device)
    net.check(x)
    if batch_size is None:
        values = IMAGE_VALUES.get(net.device.type, IMAGE_VALUES["cuda"])
        batch_size = max(1, values // max(1, x.shape[1:].numel())) if x.ndim == 4 else TABLE_ROWS
    parts = x.split(batch_size)
    return torch.cat(side_by_side(lambda part: net(part.to(net.device)), parts, device=net.device, threads=net.threads))
