"""Every label change that is reported is one, at the distance that is reported."""

import numpy as np
import pytest
import torch
from random_nets import NORMS, ORDER, SHAPES, random_inputs, random_net
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.verification.nearest import find_change, gradient_of_margin
from rp_tutorial.verification.reading import read_net


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", SHAPES)
def test_label_really_differs_at_the_point_found(norm, widths):
    net, x = random_net(1, widths), random_inputs(2, 30, widths[0])
    points, distances = find_change(net, x, norm=norm)
    found = distances.isfinite()
    assert found.sum() > 15
    assert (net(points).argmax(dim=1) != net(x).argmax(dim=1))[found].all()
    measured = np.linalg.norm((points - x).numpy(), ord=ORDER[norm], axis=1)
    assert measured[found] == pytest.approx(distances[found].numpy(), rel=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_attack_finds_the_nearest_change_of_a_linear_net(norm):
    net, x = random_net(3, (5, 2)), random_inputs(4, 20, 5)
    logits = net(x).detach().numpy()
    w = net[0].weight.detach().numpy()
    dual = {"l1": np.inf, "l2": 2, "linf": 1}[norm]
    exact = np.abs(logits[:, 0] - logits[:, 1]) / np.linalg.norm(w[0] - w[1], ord=dual)
    assert find_change(net, x, norm=norm)[1].numpy() == pytest.approx(exact, rel=1e-5)


def test_no_change_is_invented_where_there_is_none():
    net = nn.Sequential(nn.Linear(2, 2)).double()
    with torch.no_grad():
        net[0].weight.zero_(), net[0].bias.copy_(torch.tensor([0.0, 1.0]))
    x = random_inputs(0, 3, 2)
    points, distances = find_change(net, x, norm="l2")
    assert distances.isinf().all()
    assert torch.equal(points, x)


def test_gradient_is_that_of_autograd():
    net, y = random_net(5, (4, 6, 6, 3)), random_inputs(6, 10, 4).requires_grad_()
    label, target = torch.zeros(10, dtype=torch.int64), torch.full((10,), 2)
    logits = net(y)
    by_autograd = torch.autograd.grad((logits[:, 0] - logits[:, 2]).sum(), y)[0]
    margin, gradient = gradient_of_margin(read_net(net), y.detach(), label, target)
    torch.testing.assert_close(gradient, by_autograd)
    torch.testing.assert_close(margin, (logits[:, 0] - logits[:, 2]).detach())


@pytest.mark.parametrize(("name", "value"), [("restarts", -1), ("steps", 0), ("max_radius", 0.0), ("seed", -1)])
def test_bad_settings_are_refused_in_one_line(name, value):
    with pytest.raises(InputError, match=rf"^{name}: got "):
        find_change(random_net(0, (2, 2)), random_inputs(0, 1, 2), norm="l2", **{name: value})
