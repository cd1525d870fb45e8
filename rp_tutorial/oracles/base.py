"""The one interface every attack sees: inputs in, labels out, nothing else.

A defence is a subclass with one method, `_release`. The counting of queries (for the adversary) and forward passes
(for the operator) and the checks on what goes in and comes out live here, once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rp_tutorial.arguments import InputError, count, refuse

ABSTAIN = -1  # the released symbol for "no answer"; an adversary sees it like any other label


class LabelOracle(ABC):
    """A release mechanism: `oracle(x)` gives one int64 label an input, and cannot give a score.

    x: float tensor [B, ...], finite. Labels: int64 [B], in 0..num_classes-1, or ABSTAIN where the mechanism may
    abstain. `queries` counts released labels, `forward_passes` evaluations of the net behind them.
    Raises InputError for an x that is not a finite float batch.
    """

    def __init__(self, *, num_classes: int) -> None:
        self.num_classes = count("num_classes", num_classes, minimum=2)
        self.queries = 0
        self.forward_passes = 0

    def __call__(self, x: Tensor) -> Tensor:
        labels = self._release(check_batch(x))
        self.queries += len(x)
        self._check_labels(labels, len(x))
        return labels

    @abstractmethod
    def _release(self, x: Tensor) -> Tensor:
        """Labels [B] for a checked batch. Adds what it spent to `self.forward_passes`."""

    def _check_labels(self, labels: Tensor, batch: int) -> None:
        """A score that slips out of a new oracle is a bug to stop at the door, not at the attack."""
        if not isinstance(labels, Tensor):
            raise TypeError(f"{type(self).__name__} released a {type(labels).__name__}, not labels")
        if labels.dtype != torch.int64 or labels.shape != (batch,):
            raise TypeError(f"{type(self).__name__} released {labels.dtype} of shape {tuple(labels.shape)}, not labels")
        if batch and not (int(labels.min()) >= ABSTAIN and int(labels.max()) < self.num_classes):
            raise TypeError(f"{type(self).__name__} released a symbol outside its {self.num_classes} classes")


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
