"""A fully connected ReLU net as float64 matrices, and the geometry of the l1, l2 and linf norms.

Everything in this folder works on `ReluNet`. Here are its evaluation, the size of its rounding errors and what a norm
needs (dual norm, steepest direction, length). `reading.py` makes one of a torch net; no bound and no search lives here.
"""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal, get_args

import torch
from torch import Tensor

from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.core.labels import argmax_labels, check_batch

Norm = Literal["l1", "l2", "linf"]
ORDER = {"l1": 1.0, "l2": 2.0, "linf": float("inf")}
DUAL_ORDER = {"l1": float("inf"), "l2": 2.0, "linf": 1.0}


@dataclass(frozen=True)
class ReluNet:
    """z_1 = W_1 x + b_1, z_k = W_k relu(z_{k-1}) + b_k, logits = the last z; float64 on the CPU.

    Hidden neurons of all layers are numbered through, first layer first, so that one row [H] describes them all;
    `spans[l]` are those of hidden layer l.
    """

    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    @property
    def num_inputs(self) -> int:
        return self.weights[0].shape[1]

    @property
    def num_classes(self) -> int:
        return self.weights[-1].shape[0]

    @property
    def spans(self) -> list[slice]:
        edges = accumulate((len(weight) for weight in self.weights[:-1]), initial=0)
        return [slice(a, b) for a, b in pairwise(edges)]

    @property
    def num_hidden(self) -> int:
        return sum(len(weight) for weight in self.weights[:-1])

    def preactivations(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, d] -> hidden preactivations [B, H] and logits [B, K]."""
        hidden = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden.append(x @ weight.T + bias)
            x = hidden[-1].clamp_min(0)
        flat = torch.cat(hidden, dim=1) if hidden else x.new_empty(len(x), 0)
        return flat, x @ self.weights[-1].T + self.biases[-1]

    def labels(self, x: Tensor) -> Tensor:
        """The label [B] of each x [B, d]; a tie goes to the lowest index."""
        return argmax_labels(self.preactivations(x)[1], self.num_classes)

    def overtaken(self, x: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """Whether another class beats `label` [B] at x [B, d] by more than rounding can do; the best other class."""
        logits = self.preactivations(x)[1]
        error = self.rounding_error(x, x.new_zeros(len(x)))[1]
        other = logits.scatter(1, label[:, None], -torch.inf).argmax(dim=1)
        pair = torch.stack([other, label], dim=1)
        values = logits.gather(1, pair)
        return values[:, 0] - values[:, 1] > error.gather(1, pair).sum(dim=1), other

    def rounding_error(self, x: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        """The slack of this folder: by how much a bound on z may be wrong in float64, for x' within `radius` of x.

        Per hidden neuron [B, H] and per logit [B, K]. A linear bound on z sums terms whose absolute values add up to
        at most |W|(... |W_1|(|x| + r) + |b_1| ...) + |b|, in dot products as long as the layers are wide. So the
        error is below that sum times eps times the total width; four times as much is used.
        """
        widths = self.num_inputs + self.num_hidden + len(self.weights)
        relative = 4 * torch.finfo(torch.float64).eps * widths * len(self.weights)
        size, sizes = x.abs() + radius[:, None], []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            size = size @ weight.abs().T + bias.abs()
            sizes.append(relative * size)
        hidden = torch.cat(sizes[:-1], dim=1) if len(sizes) > 1 else x.new_empty(len(x), 0)
        return hidden, sizes[-1]


def read_inputs(net: ReluNet, x: Tensor) -> Tensor:
    """A float batch [B, ...] as float64 [B, d] on the CPU. Raises InputError where it does not fit the net."""
    flat = check_batch(x).detach().flatten(1).to("cpu", torch.float64)
    if flat.shape[1] != net.num_inputs:
        raise refuse("x", tuple(x.shape), f"a batch of inputs with {net.num_inputs} features")
    return flat


def check_norm(norm: str) -> Norm:
    """`norm` if it is one of l1, l2, linf."""
    return one_of("norm", norm, get_args(Norm))


def length(delta: Tensor, norm: Norm) -> Tensor:
    """The norm of the last axis."""
    return torch.linalg.vector_norm(delta, ord=ORDER[norm], dim=-1)


def dual_length(a: Tensor, norm: Norm) -> Tensor:
    """The largest a . delta over the unit ball of `norm`: the linf norm of a for l1, l2 for l2, l1 for linf."""
    return torch.linalg.vector_norm(a, ord=DUAL_ORDER[norm], dim=-1)


def steepest(a: Tensor, norm: Norm) -> Tensor:
    """The delta of the unit ball of `norm` with the largest a . delta, along the last axis; 0 where a is 0."""
    if norm == "linf":
        return a.sign()
    if norm == "l2":
        return a / dual_length(a, norm).clamp_min(1e-300)[..., None]
    largest = a.abs().argmax(dim=-1, keepdim=True)
    return torch.zeros_like(a).scatter(-1, largest, a.gather(-1, largest).sign())
