"""Bilateral dependency optimisation: hidden layers are to depend little on the image and much on its label.

Dependence is the normalised Hilbert-Schmidt criterion (Fukumizu et al. 2007): of two kernel matrices over one batch,
centred, how much of the one lies in the directions of the other.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import refuse
from rp_tutorial.models.facenet import IRClassifier

RIDGE = 1e-5  # of the normalisation, times the rows of a batch
WIDTH = 5.0  # of the Gaussian kernel, times the root of the number of values: differences are told apart softly


@dataclass(frozen=True)
class BilateralDependency:
    """The objective of BiDO with the HSIC. NO privacy guarantee comes with it: dependence is made small, not bounded.

    Cross-entropy + sum over hidden layers Z of (`on_images` * d(X, Z) - `on_labels` * d(Z, Y)), both weights at
    least 0; d is `dependence`. Kernels of images and layers are Gaussian, that of labels says whether they agree.
    The hidden layers are what the units and the head of an IR net make. Raises InputError for a negative weight.
    Source: Peng et al. 2022 (KDD). Chapter: comparisons/frontier.

    >>> net = rp.models.SmallFaceNet(4)
    >>> x, labels = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 4
    >>> apart = rp.training.BilateralDependency(on_images=0.1, on_labels=0.0)
    >>> bool(apart(net, x, labels, 0.0) > torch.nn.functional.cross_entropy(net(x), labels))
    True
    """

    on_images: float
    on_labels: float

    def __post_init__(self) -> None:
        for name, weight in vars(self).items():
            if not 0 <= weight < float("inf"):
                raise refuse(name, weight, "a number of at least 0")

    def __call__(self, net: IRClassifier, x: Tensor, labels: Tensor, progress: float) -> Tensor:
        hidden = net.hidden(x)
        loss = nn.functional.cross_entropy(net.fc_layer(hidden[-1]).float(), labels)
        with torch.autocast(x.device.type, enabled=False):  # an inverse in half precision is none
            seen, named = normalised(gaussian_kernel(x)), normalised((labels[:, None] == labels).float())
            for layer in map(normalised, map(gaussian_kernel, hidden)):
                loss = loss + self.on_images * (seen * layer).sum() - self.on_labels * (named * layer).sum()
        return loss


def dependence(k: Tensor, l: Tensor) -> Tensor:  # noqa: E741
    """The normalised HSIC of two kernel matrices [B, B] over the same rows: 0 where the rows are independent.

    trace(R_k R_l), R = C (C + B * 1e-5)^-1, C the kernel matrix centred by rows and by columns. At most B - 1.

    >>> values = torch.tensor([0.0, 1.0, 0.0, 1.0])
    >>> others = torch.tensor([0.0, 0.0, 1.0, 1.0])  # each value of the one with each of the other
    >>> k, l = (torch.outer(v, v) for v in (values, others))
    >>> [round(float(rp.training.dependence(k, other)), 3) for other in (k, l)]
    [1.0, 0.0]
    """
    return (normalised(k) * normalised(l)).sum()


def normalised(kernel: Tensor) -> Tensor:
    """C (C + B * ridge)^-1, symmetric, [B, B], of the centred kernel matrix C."""
    centred = kernel - kernel.mean(dim=0)
    centred = centred - centred.mean(dim=1, keepdim=True)
    ridge = RIDGE * len(kernel) * torch.eye(len(kernel), device=kernel.device, dtype=kernel.dtype)
    return torch.linalg.solve(centred + ridge, centred)


def gaussian_kernel(x: Tensor) -> Tensor:
    """exp(-|x_i - x_j|^2 / (2 * 25 * d)) of rows with d values each, [B, ...] -> [B, B]."""
    rows = (x.movedim(1, -1) if x.ndim == 4 else x).flatten(1).float()  # images lie with their channels last: no copy
    rows = rows - rows.mean(dim=0)  # shorter, so that the squares cancel less
    squares = rows.square().sum(dim=1)
    distances = (squares[:, None] + squares - 2 * rows @ rows.T).clamp(min=0)
    return torch.exp(-distances / (2 * WIDTH**2 * rows.shape[1]))
