"""The upper side of a radius: concrete inputs whose label differs, found by gradients and made as near as they get.

`find_change` is an attack on the net itself: it sees weights, as no user of the interface does, because here it
measures how far a proof is from the truth. Every distance it returns belongs to a point whose label was computed.
"""

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import one_thread
from rp_tutorial.verification.bounds import MAX_RADIUS, margin_rows, own
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import Norm, ReluNet, check_norm, dual_length, length, read_inputs, steepest

OVERSHOOT = 1e-7  # relative: aim this far behind the linearised boundary, so that the label really changes
HALVINGS = 40  # of the segment between an input and a point with another label


def find_change(
    net: nn.Module | ReluNet,
    x: Tensor,
    *,
    norm: Norm,
    restarts: int = 3,
    steps: int = 20,
    max_radius: float = MAX_RADIUS,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Points [B, d] near x where the net's label is another one, and their distances [B]; inf and x where none is met.

    An upper bound on the exact radius, with no claim to be the smallest. For every other class, from x and from
    `restarts` random points: `steps` times project x onto the linearised boundary; then shorten the best hit.
    Raises InputError as `crown_radius` does, and for restarts < 0 or steps < 1.
    Source: the projection is that of Croce and Hein 2020, "FAB", here for a net whose gradients are exact.
    """
    plain = read_net(net)
    x, norm = read_inputs(plain, x), check_norm(norm)
    count("steps", steps), count("restarts", restarts, minimum=0), positive("max_radius", max_radius)
    generator = torch_generator(Purpose.LABEL_CHANGES, seed)
    with one_thread():
        return attack(plain, x, norm, restarts=restarts, steps=steps, max_radius=max_radius, generator=generator)


@torch.no_grad()
def attack(
    net: ReluNet, x: Tensor, norm: Norm, *, restarts: int, steps: int, max_radius: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """`find_change` on matrices."""
    label = net.labels(x)
    best = _far_change(net, x, label, norm, max_radius, generator)
    owner, target = (~own(net, label)).nonzero(as_tuple=True)
    for restart in range(restarts + 1):
        y = x[owner]
        if restart:
            scale = torch.where(best[1].isfinite(), best[1], 1.0)[owner, None]
            y = y + scale * torch.randn(y.shape, generator=generator, dtype=y.dtype)
        for _ in range(steps):
            y = _project(net, x[owner], y, label[owner], target, norm)
            best = keep_nearest(net, x, label, norm, best, y, owner)
    return best


def shorten(net: ReluNet, x: Tensor, label: Tensor, y: Tensor) -> Tensor:
    """The point nearest to x [B, d] that halving the segment from x to y meets with another label; y must have one."""
    near, far = torch.zeros(len(x), 1, dtype=x.dtype), torch.ones(len(x), 1, dtype=x.dtype)
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        changed = net.overtaken(x + middle * (y - x), label)[0][:, None]
        near, far = torch.where(changed, near, middle), torch.where(changed, middle, far)
    return torch.where(far < 1, x + far * (y - x), y)


def keep_nearest(
    net: ReluNet, x: Tensor, label: Tensor, norm: Norm, best: tuple[Tensor, Tensor], y: Tensor, owner: Tensor
) -> tuple[Tensor, Tensor]:
    """best = (points [B, d], distances [B]) after looking at candidates y [N, d], candidate i for input owner[i]."""
    points, distances = best[0].clone(), best[1].clone()
    hit = net.overtaken(y, label[owner])[0].nonzero()[:, 0]
    distance = length(y[hit] - x[owner[hit]], norm)
    # A hit farther away than the best so far counts only if the label is still changed at the best one's distance.
    shrink = (distances[owner[hit]] / distance * (1 - 1e-9)).clamp_max(1)[:, None]
    closer = x[owner[hit]] + shrink * (y[hit] - x[owner[hit]])
    still = net.overtaken(closer, label[owner[hit]])[0]
    hit, y = hit[still], y.index_put((hit,), closer)
    if not len(hit):
        return points, distances
    y, owner = shorten(net, x[owner[hit]], label[owner[hit]], y[hit]), owner[hit]
    distance = length(y - x[owner], norm)
    order = distance.argsort(descending=True)  # the nearest is written last
    order = order[distance[order] < distances[owner[order]]]
    for i in order.tolist():
        points[owner[i]], distances[owner[i]] = y[i], distance[i]
    return points, distances


def gradient_of_margin(net: ReluNet, y: Tensor, label: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """logit_label - logit_target at y [N, d], and its gradient [N, d]."""
    hidden, logits = net.preactivations(y)
    row = torch.arange(len(y))
    rows = margin_rows(net, label)[0][row, target]
    for layer in reversed(range(len(net.spans))):
        rows = (rows * (hidden[:, net.spans[layer]] > 0)) @ net.weights[layer]
    return logits[row, label] - logits[row, target], rows


def _project(net: ReluNet, x: Tensor, y: Tensor, label: Tensor, target: Tensor, norm: Norm) -> Tensor:
    """The point nearest to x on the far side of the boundary as it looks from y: one step of Newton's method."""
    margin, gradient = gradient_of_margin(net, y, label, target)
    at_x = margin + (gradient * (x - y)).sum(dim=1)
    step = at_x / dual_length(gradient, norm).clamp_min(1e-12)
    step = (step * (1 + OVERSHOOT) + OVERSHOOT * 1e-3).clamp_min(0)
    new = x - step[:, None] * steepest(gradient, norm)
    moved = (new - y).abs().amax(dim=1, keepdim=True) > 0
    return torch.where(moved, new, y)


def _far_change(
    net: ReluNet, x: Tensor, label: Tensor, norm: Norm, max_radius: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A first hit, however far: random directions of growing length, all within max_radius."""
    best = x.clone(), torch.full((len(x),), torch.inf, dtype=x.dtype)
    for doublings in range(20, -1, -1):
        missing = best[1].isinf().nonzero()[:, 0].repeat_interleave(8)
        if not len(missing):
            break
        direction = torch.randn(len(missing), x.shape[1], generator=generator, dtype=x.dtype)
        direction = direction / length(direction, norm)[:, None]
        y = x[missing] + max_radius / 2**doublings * direction
        best = keep_nearest(net, x, label, norm, best, y, missing)
    return best
