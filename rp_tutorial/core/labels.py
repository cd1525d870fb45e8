"""What goes into a release mechanism and what comes out of a net: a checked batch, labels, and the symbol ABSTAIN."""

import math

import torch
from torch import Tensor

from rp_tutorial.core.arguments import InputError, refuse

ABSTAIN = -1  # the released symbol for "no answer"; an adversary sees it like any other label


def check_batch(x: Tensor) -> Tensor:
    """`x` itself, if it is a finite float batch [B, ...] with at least one axis beside the batch."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise refuse("x", type(x).__name__ if not isinstance(x, Tensor) else x.dtype, "a floating-point torch tensor")
    if x.ndim < 2:
        raise refuse("x", tuple(x.shape), "a batch of shape [B, ...], one row an input")
    if x.numel() and not all(map(math.isfinite, torch.aminmax(x.detach()))):  # one pass, and NaN comes through it
        raise InputError("x: got NaN or infinite values, allowed are finite numbers")
    return x


def argmax_labels(logits: Tensor, num_classes: int) -> Tensor:
    """Logits [B, K] -> int64 labels [B]. Raises InputError for another shape, and where no finite logit is largest."""
    labels = labels_or_undecided(logits, num_classes)
    refuse_undecided(int((labels == num_classes).sum()), len(labels))
    return labels


def labels_or_undecided(logits: Tensor, num_classes: int) -> Tensor:
    """As `argmax_labels`, without waiting for a device: rows whose largest logit is NaN or infinite get num_classes."""
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        raise refuse("net", f"outputs of shape {tuple(logits.shape)}", f"logits of shape [B, {num_classes}]")
    # Of two, one comparison instead of a reduction: a tie is class 0 either way. Of more, `max` finds the first of the
    # largest as `argmax` does, two to ten times faster on a CPU.
    labels = (logits[:, 1] > logits[:, 0]).long() if num_classes == 2 else logits.max(dim=1).indices
    if logits.device.type == "cpu" and math.isfinite(logits.sum()):
        return labels  # one number that is finite only if all are, and to look at it costs nothing here
    return labels.masked_fill_(~logits.amax(dim=1).isfinite(), num_classes)


def check_label_range(labels: Tensor, num_classes: int) -> None:
    """Refuses labels [N] that are not all classes of a net with `num_classes` outputs."""
    low, high = int(labels.min()), int(labels.max())
    if not 0 <= low <= high < num_classes:
        raise refuse("labels", f"labels from {low} to {high}", f"0 to {num_classes - 1}, as the net has them")


def refuse_undecided(undecided: int, rows: int) -> None:
    """A label made of NaN would be certified like any other, as class 0 or as whatever comes first."""
    if undecided:
        raise InputError(f"net: got NaN or infinite logits for {undecided} of {rows} rows, allowed are finite numbers")
