"""Inference copies of face nets: every batch normalisation folded into a convolution, channels last.

A BN after a convolution or a linear layer folds into its weights. The BN *before* a zero-padded convolution, with
which an IR unit starts, does not: the padding is zero behind the BN, so its shift is missing at the border. But

    BN(x) = s (x + t),    s = gamma / sqrt(var + eps),    t = beta / s - mean,

so a unit that is handed x + t instead of x can put s into its weights, and zero padding stays zero padding. The
residual sum in front of a unit ends in a bias: that is where t is added, and the shortcut, which sees x + t as well, is
corrected in the unit's own last bias. Everything is exact but for the rounding of floats.
"""

import copy
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from rp_tutorial.core.arguments import refuse
from rp_tutorial.models.facenet import FaceClassifier, IRClassifier, IRUnit

LARGEST_SHIFT = 100.0  # in units of the BN's own spread: beyond, x + t would lose too many digits of x

PIECE_VALUES = 2**18 * 3  # numbers in a piece of a batch: 256 images of 32x32, 64 of 64x64
FUSIONS = {
    (nn.Conv2d, nn.BatchNorm2d): fuse_conv_bn_eval,
    (nn.ConvTranspose2d, nn.BatchNorm2d): partial(fuse_conv_bn_eval, transpose=True),
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn_eval,
}


@torch.no_grad()
def folded(net: nn.Module) -> nn.Module:
    """A copy of `net` for inference: the same logits up to rounding, faster. `net` itself is left as it is.

    IR nets are folded completely; in other nets (generators too) every convolution or linear layer that a BN follows
    directly inside an nn.Sequential. The copy is in eval mode, channels last, on the device of `net`, and its weights
    take no gradients; training `net` later does not change it. Raises InputError for what is not a module.
    """
    if not isinstance(net, nn.Module):
        raise refuse("net", type(net).__name__, "a torch module")
    if isinstance(net, FoldedIR):
        return net
    inference = copy.deepcopy(net).eval().requires_grad_(False)
    inference = FoldedIR(inference) if isinstance(net, IRClassifier) else _fuse_sequentials(inference)
    return inference.to(memory_format=torch.channels_last).eval()


class FoldedIR(FaceClassifier):
    """An IR net without batch normalisations; made by `folded`, not to be trained."""

    def __init__(self, net: IRClassifier) -> None:
        super().__init__(net.num_classes, net.size)
        stem, body, head = net.ir_parts()
        shifts = [_shift_before(unit.res_layer[0]) for unit in body]
        self.stem = nn.Sequential(fuse_conv_bn_eval(stem[0], stem[1]), stem[2])
        self.register_buffer("first_shift", shifts[0][:, None, None])
        self.body = nn.Sequential(*map(FoldedUnit, body, shifts, [*shifts[1:], torch.zeros_like(head[0].bias)]))
        self.output_layer = nn.Sequential(nn.Flatten(), _one_linear_layer(head[0], head[3], head[4]))
        self.fc_layer = net.fc_layer

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K]. On a CPU the batch goes through in pieces whose activations stay in the cache."""
        rows = max(1, PIECE_VALUES // (3 * self.size**2)) if x.device.type == "cpu" else len(x)
        if len(x) <= rows:
            return super().forward(x)
        return torch.cat([super(FoldedIR, self).forward(piece) for piece in x.split(rows)])

    def features(self, x: Tensor) -> Tensor:
        x = self.check_images(x).contiguous(memory_format=torch.channels_last)
        return self.output_layer(self.body(self.stem(x).add_(self.first_shift)))


class FoldedUnit(nn.Module):
    """An IR unit that takes x + shift and gives y + next_shift, where y is what the unit made of x."""

    def __init__(self, unit: IRUnit, shift: Tensor, next_shift: Tensor) -> None:
        super().__init__()
        norm, first, self.prelu, second, last_norm = unit.res_layer
        if _folds(norm):
            self.norm, self.first = nn.Identity(), first
            first.weight.mul_(_scale(norm)[:, None, None])
        else:
            self.norm, self.first = norm, first
        self.second = fuse_conv_bn_eval(second, last_norm)
        if isinstance(unit.shortcut_layer, nn.MaxPool2d):
            self.shortcut, self.stride = None, unit.shortcut_layer.stride
            extra = shift
        else:
            self.shortcut = fuse_conv_bn_eval(*unit.shortcut_layer)
            extra = self.shortcut.weight[:, :, 0, 0] @ shift - self.shortcut.bias
            self.shortcut.bias = None  # one bias for the sum: it moves to the second convolution
        self.second.bias.add_(next_shift - extra)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.shortcut is None else self.shortcut(x)
        return self.second(self.prelu(self.first(self.norm(x)))).add_(shortcut)


def _scale(norm: nn.BatchNorm2d) -> Tensor:
    """s of BN(x) = s (x + t)."""
    return norm.weight * torch.rsqrt(norm.running_var + norm.eps)


def _shift_before(norm: nn.BatchNorm2d) -> Tensor:
    """t of BN(x) = s (x + t), [C]; zeros where the BN stays as it is."""
    if not _folds(norm):
        return torch.zeros_like(norm.bias)
    return norm.bias / _scale(norm) - norm.running_mean


def _folds(norm: nn.BatchNorm2d) -> bool:
    """Whether every t is small enough that x + t keeps the digits of x (a channel with gamma = 0 has no t at all)."""
    shift = norm.bias / _scale(norm) - norm.running_mean
    return bool((shift.abs() <= LARGEST_SHIFT * (norm.running_var + norm.eps).sqrt()).all())


def _one_linear_layer(before: nn.BatchNorm2d, linear: nn.Linear, after: nn.BatchNorm1d) -> nn.Linear:
    """BN on [B, C, S, S], flatten, linear, BN as one linear layer on the flat values."""
    scale = _scale(before)
    offset = before.bias - scale * before.running_mean
    by_channel = linear.weight.unflatten(1, (len(scale), -1))
    linear.bias.add_(by_channel.sum(dim=2) @ offset)
    linear.weight.copy_((by_channel * scale[:, None]).flatten(1))
    return fuse_linear_bn_eval(linear, after)


def _fuse_sequentials(net: nn.Module) -> nn.Module:
    """In every nn.Sequential inside `net`: a convolution or linear layer and the BN right behind it become one."""
    for module in list(net.modules()):
        for at in range(len(module) - 1 if type(module) is nn.Sequential else 0):
            fuse = FUSIONS.get((type(module[at]), type(module[at + 1])))
            if fuse is not None:
                module[at] = fuse(module[at], module[at + 1])
                module[at + 1] = nn.Identity()
    return net
