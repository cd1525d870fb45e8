"""Whom we are compared with: the reference loop of randomized smoothing, the toolbox, and a plain vectorised vote.

*The loop* does what the reference implementation does (Cohen, Rosenfeld and Kolter 2019; github.com/locuslab/smoothing,
code/core.py): one input at a time, its copies in batches of a thousand, noise on each, labels counted in Python, a
bound or a test with SciPy. *The toolbox* is PyTorchRandomizedSmoothing of the adversarial-robustness-toolbox, whose
noise comes from NumPy. Its certificates ask a package for one binomial bound; here SciPy gives the same number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.stats import beta, binomtest, norm
from torch import Tensor, nn

from rp_tutorial.core.labels import ABSTAIN

BATCH = 1000


def lower_bound(votes: int, n: int, alpha: float) -> float:
    """Clopper and Pearson's, from below."""
    return float(beta.ppf(alpha, votes, n - votes + 1)) if votes else 0.0


class Loop:
    """The reference loop around a net."""

    def __init__(self, net: nn.Module, *, num_classes: int, sigma: float) -> None:
        self.net, self.num_classes, self.sigma = net.eval(), num_classes, sigma

    @torch.no_grad()
    def counts(self, x: Tensor, n: int) -> np.ndarray:
        """Votes of one input."""
        counts = np.zeros(self.num_classes, dtype=int)
        while n > 0:
            batch = x.repeat((min(n, BATCH), *[1] * x.ndim))
            n -= len(batch)
            predictions = self.net(batch + torch.randn_like(batch) * self.sigma).argmax(1)
            for label in predictions.numpy():
                counts[label] += 1
        return counts

    def vote(self, x: Tensor, n: int) -> np.ndarray:
        return np.array([self.counts(row, n).argmax() for row in x])

    def predict(self, x: Tensor, n: int, alpha: float) -> np.ndarray:
        return np.array([self._tested(self.counts(row, n), alpha) for row in x])

    def certify(self, x: Tensor, n0: int, n: int, alpha: float) -> np.ndarray:
        """The labels; the radii are computed."""
        return np.array([self._bounded(row, n0, n, alpha)[0] for row in x])

    def _tested(self, counts: np.ndarray, alpha: float) -> int:
        first, second = counts.argsort()[::-1][:2]
        sure = binomtest(int(counts[first]), int(counts[first] + counts[second]), 0.5).pvalue <= alpha
        return int(first) if sure else ABSTAIN

    def _bounded(self, row: Tensor, n0: int, n: int, alpha: float) -> tuple[int, float]:
        chosen = int(self.counts(row, n0).argmax())
        low = lower_bound(int(self.counts(row, n)[chosen]), n, alpha)
        return (ABSTAIN, 0.0) if low < 0.5 else (chosen, self.sigma * float(norm.ppf(low)))


class Toolbox:
    """The toolbox around a net. samples: the votes of PREDICT, and those that choose a certificate's class."""

    def __init__(self, net: nn.Module, x: Tensor, *, num_classes: int, sigma: float, samples: int, alpha: float):
        from art.estimators.certification.randomized_smoothing import PyTorchRandomizedSmoothing

        self.rows, self.batch = x.numpy(), {"batch_size": BATCH}
        self.peer: Any = PyTorchRandomizedSmoothing(
            model=net, loss=nn.CrossEntropyLoss(), input_shape=tuple(x.shape[1:]), nb_classes=num_classes,
            device_type="cpu", sample_size=samples, scale=sigma, alpha=alpha,
        )  # fmt: skip
        self.peer._lower_confidence_bound = lambda votes, n: lower_bound(int(votes), int(n), alpha)

    def predict(self, *, abstains: bool = True) -> np.ndarray:
        """It answers one-hot, and all zeros where it abstains."""
        one_hot = self.peer.predict(self.rows, is_abstain=abstains, **self.batch)
        return np.where(one_hot.any(axis=1), one_hot.argmax(axis=1), ABSTAIN)

    def certify(self, n: int) -> np.ndarray:
        return self.peer.certify(self.rows, n=n, **self.batch)[0]


@torch.inference_mode()
def batched(net: nn.Module, x: Tensor, n: int, sigma: float) -> np.ndarray:
    """VOTE(n) of all noisy copies, some at a time, with PyTorch's own threads: the hardest peer."""
    votes, batch = [], 2**18 // x[0, 0].numel()
    for owner in torch.arange(len(x) * n).split(batch):
        noisy = x[owner // n]
        votes.append(net(noisy.add_(torch.randn_like(noisy), alpha=sigma)).argmax(1))
    return torch.cat(votes).view(len(x), n).mode(dim=1).values.numpy()
