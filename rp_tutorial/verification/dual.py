"""What one node of the branch and bound proves: the best of all slopes and Lagrange multipliers, by gradient ascent.

For slopes in [0, 1] and multipliers >= 0 the backward pass gives a linear bound on the margin over the node, so any
values prove a distance, good ones a large one. The search over nodes is in `complete.py`.
"""

import torch
from torch import Tensor

from rp_tutorial.verification.bounds import Box, backward, crown_box
from rp_tutorial.verification.nodes import Nodes
from rp_tutorial.verification.relu_net import Norm, ReluNet, dual_length, steepest

STEPS = 12  # of Adam on a node that stays open; its children start where it ended
RATE, DECAY = 0.25, 0.88  # of these steps: for slopes as they are, for multipliers in units of their layer's rows
MOMENTS = (0.8, 0.95)  # short memories, for few steps


@torch.no_grad()
def tighten(
    net: ReluNet, x: Tensor, label: Tensor, radius: Tensor, nodes: Nodes, norm: Norm
) -> tuple[Tensor, Tensor, Box]:
    """Fills in slope, multiplier and reach of the nodes, in place, for the ball of `radius` [N] around x [N, d].

    reach <= radius, and no point of the node nearer than reach has logit_target >= logit_label; label [N].
    Returns for every node the point of the ball where its bound is least [N, d], the coefficients [N, H] with which
    the bound met each relu, and the box of the preactivations.
    """
    box = low, high = crown_box(net, x, radius, norm, nodes.signs)
    nodes.slope = torch.where(nodes.slope < 0, (high > -low).to(x.dtype), nodes.slope)
    slack = 2 * net.rounding_error(x, radius)[0]
    empty = (low > high + slack).any(dim=1)  # no point of the ball has these signs
    nodes.reach = torch.where(empty, radius, torch.minimum(nodes.reach, radius))
    _ascend(net, x, label, radius, nodes, norm, box)
    a, _, met = _bound(net, label, nodes, box)
    return x - radius[:, None] * steepest(a, norm), met, box


def _ascend(net: ReluNet, x: Tensor, label: Tensor, radius: Tensor, nodes: Nodes, norm: Norm, box: Box) -> None:
    """Adam on margin(x) - radius * ||a||_dual, which is concave; each iterate's reach counts if it is the best."""
    hidden_error, logit_error = net.rounding_error(x, radius)
    margin_error = logit_error.gather(1, torch.stack([label, nodes.target], dim=1)).sum(dim=1)
    rows = (nodes.reach < radius).nonzero()[:, 0]
    part, moments, scale = nodes[rows], None, None
    for step in range(STEPS + 1):
        if not len(rows):
            return
        with torch.enable_grad():
            part.slope.requires_grad_(), part.multiplier.requires_grad_()
            a, constant, met = _bound(net, label[rows], part, (box[0][rows], box[1][rows]))
            at_x = (a * x[rows]).sum(dim=1) + constant
            steep = dual_length(a, norm)
            value = (at_x - radius[rows] * steep).sum()
            gradient = torch.autograd.grad(value, [part.slope, part.multiplier])
        part.slope, part.multiplier = part.slope.detach(), part.multiplier.detach()
        at_x = at_x - margin_error[rows] - (part.multiplier * hidden_error[rows]).sum(dim=1)
        _keep_best(nodes, rows, part, torch.where(at_x > 0, at_x / steep * (1 - 1e-14), 0.0).clamp_max(radius[rows]))
        if scale is None:
            scale = _row_scale(net, met.detach())
            moments = torch.zeros(2, 2, *part.slope.shape, dtype=x.dtype)
        if step < STEPS:
            _adam(part, torch.stack(gradient), moments, scale, step)
        left = nodes.reach[rows] < radius[rows]
        rows, part, scale, moments = rows[left], part[left], scale[left], moments[:, :, left]


def _bound(net: ReluNet, label: Tensor, nodes: Nodes, box: Box) -> tuple[Tensor, Tensor, Tensor]:
    """The linear bound a [N, d], c [N] on logit_label - logit_target over each node, and its coefficients [N, H]."""
    weight, bias = net.weights[-1], net.biases[-1]
    rows = (weight[label] - weight[nodes.target])[:, None]
    constant = (bias[label] - bias[nodes.target])[:, None]
    signed = nodes.multiplier * nodes.signs
    a, c, met = backward(net, len(net.spans), rows, constant, box, slope=nodes.slope, multiplier=signed)
    return a[:, 0], c[:, 0], met[:, 0]


def _keep_best(nodes: Nodes, rows: Tensor, part: Nodes, reach: Tensor) -> None:
    better = reach >= nodes.reach[rows]
    rows = rows[better]
    nodes.reach[rows] = reach[better]
    nodes.slope[rows], nodes.multiplier[rows] = part.slope[better], part.multiplier[better]


def _row_scale(net: ReluNet, met: Tensor) -> Tensor:
    """The typical coefficient of each node's layers, repeated for each neuron: the unit of a multiplier."""
    means = [met[:, span].abs().mean(dim=1, keepdim=True).expand(-1, span.stop - span.start) for span in net.spans]
    return torch.cat(means, dim=1).clamp_min(1e-12) if means else met


def _adam(part: Nodes, ascent: Tensor, moments: Tensor, scale: Tensor, step: int) -> None:
    """One step upwards, then back into slopes in [0, 1] and multipliers >= 0 on fixed signs.

    ascent [2, N, H]: of slopes and of multipliers; moments [2, 2, N, H], first and second, are moved in place.
    """
    rate, (first, second) = RATE * DECAY**step, moments
    first.mul_(MOMENTS[0]).add_(ascent, alpha=1 - MOMENTS[0])
    second.mul_(MOMENTS[1]).addcmul_(ascent, ascent, value=1 - MOMENTS[1])
    way = first / (1 - MOMENTS[0] ** (step + 1)) / ((second / (1 - MOMENTS[1] ** (step + 1))).sqrt() + 1e-12)
    part.slope = (part.slope + rate * way[0]).clamp(0, 1)
    part.multiplier = ((part.multiplier + rate * scale * way[1]) * part.signs.abs()).clamp_min(0)
