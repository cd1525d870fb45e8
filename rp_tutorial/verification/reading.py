"""The one reader of ReLU nets: an nn.Sequential as float64 matrices with ReLUs between them, or one clear refusal.

Certificates and exact smoothing speak about the matrices, so a net is read as it runs or not at all: layers of
exactly the registered types, in eval mode where that matters, without hooks. Nothing is bounded or evaluated here.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import InputError, refuse
from rp_tutorial.verification.relu_net import ReluNet

Affine = tuple[Tensor, Tensor]  # weight [n, m], bias [n]
Reader = Callable[[nn.Module], Affine | None]

READERS: dict[type[nn.Module], Reader] = {}
CHANGES = ("_forward_pre_hooks", "_forward_hooks", "forward")  # set on a module itself: not what its class says


def reads(kind: type[nn.Module]) -> Callable[[Reader], Reader]:
    """Registers the reader of layers of exactly this type: layer -> its affine map, or None if it changes nothing.

    Valid for the layer as it is now, in float64 where more than weights as stored is returned. A reader that cannot
    say so raises `refuse("net", ...)`. Sizes, hooks and finite weights are looked after by `read_net`.
    """

    def register(reader: Reader) -> Reader:
        READERS[kind] = reader
        return reader

    return register


@torch.no_grad()
def read_net(net: nn.Module | ReluNet) -> ReluNet:
    """`net` as matrices, a copy that later training does not change.

    nn.ReLU and the layers of `READERS` in any order, nested nn.Sequentials included. What stands between two ReLUs is
    multiplied out in float64, which is exact from float32 but for the rounding of that product: promises are about
    the result. Raises InputError, in one line, for any other layer (a subclass, too, and one with hooks: by name and
    place), BatchNorm1d and Dropout in training mode, sizes that do not fit, weights that are not finite and fewer
    than two outputs.
    """
    if isinstance(net, ReluNet):
        return net
    maps: list[Affine | None] = [None]  # one for each ReLU, then the one that is being collected; None: the identity
    outputs = None
    for place, layer in enumerate(_leaves(net)):
        if type(layer) is nn.ReLU:
            if maps[-1] is not None or len(maps) == 1:  # a second ReLU in a row changes nothing
                maps.append(None)
        elif (step := _affine(layer, place)) is not None:
            weight, bias = step
            if outputs not in (None, weight.shape[1]):
                raise refuse("net", f"{outputs} values for {_name(layer)} at place {place}", f"{weight.shape[1]}")
            outputs = len(bias)
            maps[-1] = step if maps[-1] is None else (weight @ maps[-1][0], weight @ maps[-1][1] + bias)
    known = [step for step in maps if step is not None]
    if not known:
        raise refuse("net", "no nn.Linear", "a net of nn.Linear and nn.ReLU layers")
    if outputs < 2:
        raise refuse("net", "one output", "logits of at least two classes")
    maps[0], maps[-1] = maps[0] or _identity(known[0][0].shape[1]), maps[-1] or _identity(outputs)
    return ReluNet(*zip(*maps, strict=True))


@reads(nn.Linear)
def _linear(layer: nn.Linear) -> Affine:
    return layer.weight, layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias


@reads(nn.BatchNorm1d)
def _batch_norm(layer: nn.BatchNorm1d) -> Affine:
    if layer.training or layer.running_var is None:
        raise refuse("net", "BatchNorm1d that averages over its batch", "running statistics, after net.eval()")
    scale = (layer.running_var.double() + layer.eps).rsqrt()
    if layer.weight is not None:
        scale = scale * layer.weight
    shift = -scale * layer.running_mean
    return torch.diag(scale), shift if layer.bias is None else shift + layer.bias


@reads(nn.Dropout)
def _dropout(layer: nn.Dropout) -> None:
    if layer.training:
        raise refuse("net", "Dropout in training mode", "a net after net.eval()")


@reads(nn.Identity)
def _identity_layer(layer: nn.Identity) -> None:
    """Changes nothing."""


@reads(nn.Flatten)
def _flatten(layer: nn.Flatten) -> None:
    if (layer.start_dim, layer.end_dim) != (1, -1):
        raise refuse("net", str(layer), "nn.Flatten() of all axes but the batch")


def is_plain(module: nn.Module, kind: type[nn.Module] | None = None) -> bool:
    """Whether `module` is of exactly this kind, and nothing was added to it of which class and weights say nothing."""
    hooks_of_all = torch.nn.modules.module
    added = any(vars(module).get(change) for change in CHANGES)
    added = added or bool(hooks_of_all._global_forward_pre_hooks or hooks_of_all._global_forward_hooks)
    return not added and (kind is None or type(module) is kind)


def _leaves(net: nn.Module) -> list[nn.Module]:
    """Layers in order, through nested nn.Sequentials, each of which runs as its class says."""
    if not isinstance(net, nn.Module):
        raise refuse("net", _name(net), "a net of nn.Linear and nn.ReLU layers")
    if not is_plain(net):
        raise refuse("net", f"{_name(net)} with a hook or a forward of its own", "layers that run as their class says")
    return [leaf for layer in net for leaf in _leaves(layer)] if type(net) is nn.Sequential else [net]


def _affine(layer: nn.Module, place: int) -> Affine | None:
    """The layer's map in float64 on the CPU, in memory of its own."""
    here = f"{_name(layer)} at place {place}"
    if type(layer) not in READERS:
        raise refuse("net", here, ", ".join(kind.__name__ for kind in (nn.ReLU, *READERS)))
    step = READERS[type(layer)](layer)
    if step is None:
        return None
    if not all(bool(torch.isfinite(part).all()) for part in step):
        raise InputError(f"net: got NaN or infinite weights in {here}, allowed are finite numbers")
    weight, bias = (part.detach().to("cpu", torch.float64, copy=True) for part in step)
    return weight, bias


def _name(layer: object) -> str:
    return type(layer).__name__


def _identity(size: int) -> Affine:
    return torch.eye(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
