"""What goes into a release mechanism and what comes out of a net: a checked batch, labels, and the symbol ABSTAIN."""

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
    if not bool(torch.isfinite(x).all()):
        raise InputError("x: got NaN or infinite values, allowed are finite numbers")
    return x


def argmax_labels(logits: Tensor, num_classes: int) -> Tensor:
    """Logits [B, K] -> int64 labels [B], with the one check that tells a wrong net from a right one."""
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        raise refuse("net", f"outputs of shape {tuple(logits.shape)}", f"logits of shape [B, {num_classes}]")
    if num_classes == 2:  # one comparison instead of a reduction; a tie is class 0 either way
        return (logits[:, 1] > logits[:, 0]).long()
    return logits.argmax(dim=1)
