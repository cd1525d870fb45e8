"""Interval and CROWN bounds hold on the whole ball, and their radii are what they claim."""

import numpy as np
import pytest
import torch
from random_nets import NORMS, ORDER, SHAPES, in_ball, random_inputs, random_net
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.verification.bounds import (
    backward,
    crown_box,
    crown_radius,
    interval_box,
    interval_radius,
    margin_rows,
)
from rp_tutorial.verification.reading import read_net


def ball_bounds(net, x, radius, norm):
    """The CROWN box and the linear bounds on all margins, on balls of one radius."""
    label, radii = net.labels(x), torch.full((len(x),), radius, dtype=torch.float64)
    box = crown_box(net, x, radii, norm)
    a, c, _ = backward(net, len(net.spans), *margin_rows(net, label), box)
    return label, box, a, c


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", SHAPES)
def test_boxes_and_linear_bounds_hold_at_sampled_points_of_the_ball(norm, widths):
    rng = np.random.default_rng(0)
    net, x = read_net(random_net(1, widths)), random_inputs(2, 6, widths[0])
    for radius in (0.05, 0.5, 3.0):
        label, (low, high), a, c = ball_bounds(net, x, radius, norm)
        for i in range(len(x)):
            near = in_ball(rng, x[i].numpy(), radius, norm, 300)
            hidden, logits = net.preactivations(near)
            assert (hidden >= low[i] - 1e-9).all()
            assert (hidden <= high[i] + 1e-9).all()
            margins = logits[:, label[i]][:, None] - logits
            assert (margins >= near @ a[i].T + c[i] - 1e-9).all()


@pytest.mark.parametrize("norm", NORMS)
def test_bounds_hold_for_any_slopes_and_for_any_multipliers_where_the_signs_hold(norm):
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    net, x = read_net(random_net(1, (3, 6, 5, 3))), random_inputs(2, 1, 3)
    label, kept = net.labels(x), 0
    for _ in range(40):
        signs = torch.randint(-1, 2, (1, 11), generator=generator).double()
        box = crown_box(net, x, torch.tensor([1.5]).double(), norm, signs)
        slope, size = (torch.rand(1, 11, generator=generator, dtype=torch.float64) for _ in range(2))
        a, c, _ = backward(net, 2, *margin_rows(net, label), box, slope=slope, multiplier=size * signs)
        near = in_ball(rng, x[0].numpy(), 1.5, norm, 2000)
        hidden, logits = net.preactivations(near)
        inside = (hidden * signs >= 0).all(dim=1)
        assert ((logits[:, label] - logits)[inside] >= (near @ a[0].T + c[0])[inside] - 1e-9).all()
        kept += int(inside.sum())
    assert kept > 200


@pytest.mark.parametrize("norm", NORMS)
def test_radii_are_the_distance_to_the_boundary_for_a_linear_net(norm):
    net, x = random_net(4, (6, 3)), random_inputs(5, 40, 6)
    weight, logits = net[0].weight.detach().numpy(), net(x).detach().numpy()
    label, dual = logits.argmax(axis=1), {"l1": np.inf, "l2": 2, "linf": 1}[norm]
    distance = np.full(40, np.inf)
    for i, c in np.ndindex(40, 3):
        if c != label[i]:
            gap = logits[i, label[i]] - logits[i, c]
            distance[i] = min(distance[i], gap / np.linalg.norm(weight[label[i]] - weight[c], ord=dual))
    for radius in (interval_radius(net, x, norm=norm), crown_radius(net, x, norm=norm)):
        assert radius == pytest.approx(distance, rel=1e-7)
        assert (radius <= distance).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", SHAPES)
def test_label_stays_within_the_radius_and_interval_is_never_above_crown(norm, widths):
    rng = np.random.default_rng(1)
    net, x = random_net(6, widths), random_inputs(7, 20, widths[0])
    interval, crown = interval_radius(net, x, norm=norm), crown_radius(net, x, norm=norm)
    assert (interval <= crown).all()
    assert (crown > 0).all()
    for i, label in enumerate(net(x).argmax(dim=1)):
        assert (net(in_ball(rng, x[i].numpy(), float(crown[i]), norm, 200)).argmax(dim=1) == label).all()


@pytest.mark.parametrize("norm", NORMS)
def test_crown_with_lower_slope_0_is_never_below_intervals_for_one_hidden_layer(norm):
    """Each relu is then bounded by its interval's end or better, and the sum is minimised jointly."""
    for seed in range(20):
        net, x = read_net(random_net(seed, (5, 12, 3))), random_inputs(seed, 10, 5)
        label, radius = net.labels(x), torch.full((10,), 0.7, dtype=torch.float64)
        box, rows = crown_box(net, x, radius, norm), margin_rows(net, label)
        a, c, _ = backward(net, 1, *rows, box, slope=torch.zeros_like(box[0]))
        crown = (a @ x[:, :, None])[..., 0] + c - 0.7 * torch.linalg.vector_norm(a, ord=dual(norm), dim=-1)
        low, high = (side.clamp_min(0)[:, :, None] for side in box)
        interval = (rows[0].clamp_min(0) @ low + rows[0].clamp_max(0) @ high)[..., 0] + rows[1]
        assert (crown >= interval - 1e-10).all()


def test_crown_alone_can_be_below_intervals_with_the_adaptive_slope():
    """relu(z) on [-1, 2] is at least 0 by intervals, but the adaptive lower line z reaches down to -1."""
    net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 2)).double()
    with torch.no_grad():
        net[0].weight.fill_(1), net[0].bias.fill_(0.5)
        net[2].weight.copy_(torch.tensor([[1.0], [0.0]])), net[2].bias.copy_(torch.tensor([0.1, 0.0]))
    plain, x = read_net(net), torch.zeros(1, 1, dtype=torch.float64)
    _, _, a, c = ball_bounds(plain, x, 1.5, "linf")
    assert float(c[0, 1] - 1.5 * a[0, 1].abs()) == pytest.approx(-0.9)
    assert crown_radius(net, x, norm="linf", max_radius=1.5) == interval_radius(net, x, norm="linf", max_radius=1.5)


def test_crown_box_is_never_wider_than_intervals():
    net, x = read_net(random_net(2, (4, 8, 8, 8, 2))), random_inputs(1, 10, 4)
    low, high = crown_box(net, x, torch.ones(10, dtype=torch.float64), "l2")
    for layer in (1, 2):
        plain = interval_box(net, layer, (low, high))
        assert (low[:, net.spans[layer]] >= plain[0]).all()
        assert (high[:, net.spans[layer]] <= plain[1]).all()


def test_a_batch_gives_every_input_the_radius_it_has_alone():
    net, x = random_net(9, (4, 8, 6, 3)), random_inputs(9, 7, 4)
    together = crown_radius(net, x, norm="l2")
    alone = np.concatenate([crown_radius(net, x[i : i + 1], norm="l2") for i in range(7)])
    assert together == pytest.approx(alone, rel=1e-8)
    assert crown_radius(net, x[:0], norm="l2").shape == (0,)


@pytest.mark.parametrize("radius", [interval_radius, crown_radius])
def test_bad_input_is_refused_in_one_line(radius):
    net, x = random_net(0, (2, 4, 2)), random_inputs(0, 1, 2)
    with pytest.raises(InputError, match=r"^norm: got 'l7', allowed is one of l1, l2, linf"):
        radius(net, x, norm="l7")
    with pytest.raises(InputError, match=r"^max_radius: got nan"):
        radius(net, x, norm="l2", max_radius=float("nan"))
    with pytest.raises(InputError, match=r"^x: got NaN"):
        radius(net, x * torch.nan, norm="l2")


def dual(norm: str) -> float:
    return {1: np.inf, 2: 2, np.inf: 1}[ORDER[norm]]
