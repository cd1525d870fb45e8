"""Incomplete verification: what interval arithmetic and CROWN prove about a ReLU net on a ball, fast and for batches.

`interval_radius` and `crown_radius` are radii within which the label provably stays. Both are lower bounds on the
exact radius, which `complete.py` finds with the boxes and the backward pass of this file. Names: low, high [B, H] box
the hidden preactivations; a *linear bound* (a [B, S, d], c [B, S]) says that S quantities are at least a . x' + c.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import positive
from rp_tutorial.core.threads import one_thread
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import Norm, ReluNet, check_norm, dual_length, read_inputs

MAX_RADIUS = 100.0  # no larger radius is looked for (in std far outside any data): some labels never change
STEPS = 60  # at most so many cuts of the bracket around a radius; about 40 reach PRECISION
PRECISION = 1e-9  # relative width at which the bracket is narrow enough
CHUNK_NUMBERS = 2**22  # of the largest tensor in memory at a time: 32 MiB

Box = tuple[Tensor, Tensor]


def interval_radius(net: nn.Module | ReluNet, x: Tensor, *, norm: Norm, max_radius: float = MAX_RADIUS) -> np.ndarray:
    """For every x' with ||x' - x|| <= radius the net's label is that of x, by interval arithmetic; float64 [B].

    The first layer is exact for the ball, every later one takes its neurons as independent. Rounded down.
    0 where nothing is proven, `max_radius` where the label stays at least so far.
    Raises InputError for a net that `read_net` refuses, an x that does not fit it, or an unknown norm.
    Source: Gowal et al. 2018, "On the effectiveness of interval bound propagation".
    """
    return _radius(net, x, norm, max_radius, interval_reach)


def crown_radius(net: nn.Module | ReluNet, x: Tensor, *, norm: Norm, max_radius: float = MAX_RADIUS) -> np.ndarray:
    """For every x' with ||x' - x|| <= radius the net's label is that of x, by CROWN and intervals; float64 [B].

    Linear bounds passed back through the net, with the adaptive lower slope. That alone may be looser than interval
    arithmetic, even with one hidden layer; this takes the better of the two for every neuron and margin, so it is
    never below `interval_radius`. Rounded down; 0, `max_radius` and errors as there.
    Source: Zhang et al. 2018, "Efficient neural network robustness certification with general activation functions".
    """
    return _radius(net, x, norm, max_radius, crown_reach)


def interval_reach(net: ReluNet, x: Tensor, label: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    """A distance [B] up to which the label stays, by the interval boxes of the ball: all of the radius, or 0."""
    low, high = first_box(net, x, radius, norm)
    for layer in range(1, len(net.weights) - 1):
        box = interval_box(net, layer, (low, high))
        low, high = torch.cat([low, box[0]], dim=1), torch.cat([high, box[1]], dim=1)
    proven = _interval_margins(net, x, label, radius, (low, high), norm) > 0
    return torch.where(proven.all(dim=1), radius, 0.0)


def crown_reach(net: ReluNet, x: Tensor, label: Tensor, radius: Tensor, norm: Norm) -> Tensor:
    """A distance [B] up to which the label stays, by the linear bounds that hold on the ball of `radius`."""
    box = crown_box(net, x, radius, norm)
    weight, bias = margin_rows(net, label)
    a, c, _ = backward(net, len(net.spans), weight, bias, box)
    reach = linear_reach(a, c, x, margin_error(net, x, label, radius), norm)
    by_interval = _interval_margins(net, x, label, radius, box, norm) > 0
    reach = torch.where(by_interval, radius[:, None], torch.minimum(reach, radius[:, None]))
    return reach.masked_fill(own(net, label), torch.inf).amin(dim=1)


def linear_reach(a: Tensor, c: Tensor, x: Tensor, error: Tensor, norm: Norm) -> Tensor:
    """The distance [B, S] from x below which a . x' + c - error stays positive: 0 if it is not positive at x."""
    at_x = (a @ x[:, :, None])[..., 0] + c - error
    return torch.where(at_x > 0, at_x / dual_length(a, norm) * (1 - 1e-14), 0.0)


def margin_rows(net: ReluNet, label: Tensor) -> tuple[Tensor, Tensor]:
    """The last layer turned into margins logit_label - logit_c: rows [B, K, n] and constants [B, K]."""
    weight, bias = net.weights[-1], net.biases[-1]
    return weight[label][:, None] - weight, bias[label][:, None] - bias


def margin_error(net: ReluNet, x: Tensor, label: Tensor, radius: Tensor) -> Tensor:
    """Rounding error [B, K] of a linear bound on the margins: see `ReluNet.rounding_error`."""
    error = net.rounding_error(x, radius)[1]
    return error + error.gather(1, label[:, None])


def first_box(net: ReluNet, x: Tensor, radius: Tensor, norm: Norm) -> Box:
    """Exact range [B, n_1] of the first layer's preactivations on the ball: [B, 0] in a net without hidden layer."""
    if not net.spans:
        return x.new_empty(len(x), 0), x.new_empty(len(x), 0)
    centre = x @ net.weights[0].T + net.biases[0]
    reach = radius[:, None] * dual_length(net.weights[0], norm)
    return centre - reach, centre + reach


def interval_box(net: ReluNet, layer: int, box: Box) -> Box:
    """Range [B, n] of layer `layer` (1 is the second) when the neurons below it move independently in their boxes."""
    low, high = (side[:, net.spans[layer - 1]].clamp_min(0) for side in box)
    up, down = net.weights[layer].clamp_min(0), net.weights[layer].clamp_max(0)
    bias = net.biases[layer]
    return low @ up.T + high @ down.T + bias, high @ up.T + low @ down.T + bias


def crown_box(net: ReluNet, x: Tensor, radius: Tensor, norm: Norm, signs: Tensor | None = None) -> Box:
    """Boxes [B, H] of all hidden preactivations on the ball: layer by layer the better of CROWN and intervals.

    signs [B, H]: only points of the ball count where a neuron is >= 0 (1), <= 0 (-1) or anything (0). Where no point
    is left, low may exceed high.
    """
    low, high = _with_signs(first_box(net, x, radius, norm), net, 0, signs)
    for layer in range(1, len(net.spans)):
        weight, bias = net.weights[layer], net.biases[layer]
        rows = torch.cat([weight, -weight]).expand(len(x), -1, -1)
        a, c, _ = backward(net, layer, rows, torch.cat([bias, -bias]).expand(len(x), -1), (low, high))
        least = (a @ x[:, :, None])[..., 0] + c - radius[:, None] * dual_length(a, norm)
        plain = interval_box(net, layer, (low, high))
        box = torch.maximum(least[:, : len(bias)], plain[0]), torch.minimum(-least[:, len(bias) :], plain[1])
        box = _with_signs(box, net, layer, signs)
        low, high = torch.cat([low, box[0]], dim=1), torch.cat([high, box[1]], dim=1)
    return low, high


def backward(
    net: ReluNet,
    depth: int,
    rows: Tensor,
    constant: Tensor,
    box: Box,
    *,
    slope: Tensor | None = None,
    multiplier: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """A linear bound in x for `rows` [B, S, n] . relu(z_depth) + `constant` [B, S]: it holds wherever the box holds.

    `slope` [B, H] in [0, 1]: lower line of each unstable neuron; by default 1 if high > -low, else 0 (adaptive).
    `multiplier` [B, H]: m_i z_i is taken away from the bound for every neuron. Where m_i z_i >= 0, it still is one:
    the Lagrange multipliers of beta-CROWN, with the sign of the split in them.
    Returns a [B, S, d], c [B, S] and the coefficients [B, S, H] that met each relu on the way.
    """
    met = []
    for layer in reversed(range(depth)):
        span = net.spans[layer]
        low, high = box[0][:, span], box[1][:, span]
        free = (low < 0) & (high > 0)
        upper = torch.where(free, high / (high - low).clamp_min(1e-300), (low >= 0).to(low.dtype))
        lower = torch.where(free, (high > -low).to(low.dtype) if slope is None else slope[:, span], upper)
        met.append(rows)
        falling = rows.clamp_max(0)
        constant = constant + (falling @ torch.where(free, -low * upper, 0.0)[:, :, None])[..., 0]
        rows = rows.clamp_min(0) * lower[:, None] + falling * upper[:, None]
        if multiplier is not None:
            rows = rows - multiplier[:, None, span]
        constant = constant + rows @ net.biases[layer]
        rows = rows @ net.weights[layer]
    none = rows.new_empty(*rows.shape[:2], 0)  # all there is without a hidden layer: the rows already act on x
    return rows, constant, torch.cat([none, *met[::-1]], dim=2)


def _interval_margins(net: ReluNet, x: Tensor, label: Tensor, radius: Tensor, box: Box, norm: Norm) -> Tensor:
    """Lower bounds [B, K] on the margins from the last hidden box, rounded down; inf for the label itself."""
    weight, bias = margin_rows(net, label)
    if net.spans:
        low, high = (side[:, net.spans[-1]].clamp_min(0)[:, :, None] for side in box)
        least = (weight.clamp_min(0) @ low + weight.clamp_max(0) @ high)[..., 0] + bias
    else:
        least = (weight @ x[:, :, None])[..., 0] + bias - radius[:, None] * dual_length(weight, norm)
    return (least - margin_error(net, x, label, radius)).masked_fill(own(net, label), torch.inf)


def own(net: ReluNet, label: Tensor) -> Tensor:
    """Which of all classes is the label [B]: bool [B, K]."""
    return torch.arange(net.num_classes) == label[:, None]


def _with_signs(box: Box, net: ReluNet, layer: int, signs: Tensor | None) -> Box:
    """A layer's box, cut at 0 where the sign of a neuron is given."""
    if signs is None or not net.spans:
        return box
    low, high = box
    sign = signs[:, net.spans[layer]]
    return torch.where(sign > 0, low.clamp_min(0), low), torch.where(sign < 0, high.clamp_max(0), high)


@torch.no_grad()
def _radius(net: nn.Module | ReluNet, x: Tensor, norm: Norm, max_radius: float, reach: Callable) -> np.ndarray:
    plain = read_net(net)
    x, norm = read_inputs(plain, x), check_norm(norm)
    widest = max([w.shape[0] * 2 for w in plain.weights]) * max(w.shape[1] for w in plain.weights)
    chunks = x.split(max(1, CHUNK_NUMBERS // widest))
    with one_thread():
        found = [bisect_radius(plain, part, norm, positive("max_radius", max_radius), reach) for part in chunks]
    return torch.cat(found).numpy()


def bisect_radius(net: ReluNet, x: Tensor, norm: Norm, max_radius: float, reach: Callable[..., Tensor]) -> Tensor:
    """The largest proven distance [B] that halving a bracket meets. What a bound proves need not be monotone in the
    radius, so this is a proven distance, not the best one; intervals come first, so no method falls below them."""
    label = net.labels(x)
    proven = torch.zeros(len(x), dtype=torch.float64)
    for method in dict.fromkeys((interval_reach, reach)):
        open_end = torch.full_like(proven, max_radius)
        proven = torch.maximum(proven, method(net, x, label, open_end, norm))
        for _ in range(STEPS):
            if bool((open_end - proven <= PRECISION * open_end).all()):
                break
            middle = _between(proven, open_end)
            distance = method(net, x, label, middle, norm)
            open_end = torch.where(distance >= middle, open_end, middle)
            proven = torch.maximum(proven, distance)
            open_end = torch.maximum(open_end, proven)
    return proven


def _between(low: Tensor, high: Tensor) -> Tensor:
    """The middle of a bracket: geometric while it spans orders of magnitude."""
    geometric = (low.clamp_min(1e-9) * high).sqrt()
    return torch.where(high > 4 * low.clamp_min(1e-9), geometric, (low + high) / 2)
