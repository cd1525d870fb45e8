"""A ReLU net as matrices: what the exact methods along one coordinate read of an nn.Sequential.

Linear layers in a row and BatchNorm1d in eval mode become one affine map in float64; ReLUs stand between the maps.
Nothing is evaluated here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import refuse

SKIPPED = (nn.Identity, nn.Dropout, nn.Flatten)


def affine_stack(net: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The net as affine maps with a ReLU between neighbours: [(weight [n, m], bias [n]), ...] in float64.

    Linear layers in a row and BatchNorm1d with its running statistics are multiplied out. Exact types only.
    Raises InputError for any other layer, for a net without a linear layer, or with fewer than two outputs.
    """
    stack: list[tuple[Tensor, Tensor] | None] = [None]  # None: the identity, so far
    for layer in _leaves(net):
        if type(layer) is nn.ReLU:
            stack.append(None)
        elif type(layer) not in SKIPPED:
            stack[-1] = _after(stack[-1], *_affine(layer))
    sizes = [len(bias) for _, bias in filter(None, stack)]
    if not sizes:
        raise refuse("net", "no linear layer", "a stack of linear layers and ReLUs")
    if stack[0] is None:  # a ReLU on the input itself
        first = next(entry for entry in stack if entry is not None)
        stack[0] = _identity(first[0].shape[1], like=first[0])
    for i in range(1, len(stack)):
        if stack[i] is None:
            stack[i] = _identity(len(stack[i - 1][1]), like=stack[i - 1][0])
    if len(stack[-1][1]) < 2:
        raise refuse("net", f"{len(stack[-1][1])} output", "logits of at least 2 classes")
    return stack


def _leaves(net: nn.Module) -> list[nn.Module]:
    if type(net) is nn.Sequential:
        return [leaf for part in net for leaf in _leaves(part)]
    return [net]


@torch.no_grad()
def _affine(layer: nn.Module) -> tuple[Tensor, Tensor]:
    if type(layer) is nn.Linear:
        weight = layer.weight.detach().double()
        return weight, weight.new_zeros(len(weight)) if layer.bias is None else layer.bias.detach().double()
    if type(layer) is nn.BatchNorm1d and layer.running_var is not None and not layer.training:
        scale = (layer.running_var.double() + layer.eps).rsqrt()
        if layer.weight is not None:
            scale = scale * layer.weight.detach().double()
        shift = -scale * layer.running_mean.double()
        return torch.diag(scale), shift if layer.bias is None else shift + layer.bias.detach().double()
    raise refuse("net", type(layer).__name__, "Linear, ReLU, BatchNorm1d in eval mode, Dropout, Flatten, Identity")


def _after(first: tuple[Tensor, Tensor] | None, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    return (weight, bias) if first is None else (weight @ first[0], weight @ first[1] + bias)


def _identity(size: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    return torch.eye(size).to(like), torch.zeros(size).to(like)
