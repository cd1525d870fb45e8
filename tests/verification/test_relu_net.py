"""Inputs, norms and rounding errors of a ReLU net as matrices."""

import pytest
import torch
from random_nets import NORMS, random_inputs, random_net

from rp_tutorial.core.arguments import InputError
from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.relu_net import dual_length, length, read_inputs, steepest


@pytest.mark.parametrize("x", [torch.zeros(2, 3), torch.zeros(4), torch.full((1, 4), torch.nan), [[0.0] * 4]])
def test_inputs_that_do_not_fit_are_refused(x):
    with pytest.raises(InputError, match=r"^x: got "):
        read_inputs(read_net(random_net(0, (4, 2))), x)


@pytest.mark.parametrize("norm", NORMS)
def test_steepest_direction_attains_the_dual_norm_and_nothing_in_the_ball_exceeds_it(norm):
    a, delta = random_inputs(1, 30, 5), random_inputs(2, 2000, 5)
    direction = steepest(a, norm)
    torch.testing.assert_close(length(direction, norm), torch.ones(30, dtype=torch.float64))
    torch.testing.assert_close((a * direction).sum(dim=1), dual_length(a, norm))
    assert ((delta / length(delta, norm)[:, None]) @ a.T <= dual_length(a, norm) + 1e-12).all()


def test_rounding_error_covers_what_float32_does_when_scaled_to_it():
    """The same formula with float32's eps bounds the difference between the net in float32 and in float64."""
    net = read_net(random_net(3, (20, 40, 40, 5)))
    x = random_inputs(4, 200, 20).float()
    exact = net.preactivations(x.double())[1]
    y = x
    for k, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        y = (y.clamp_min(0) if k else y) @ weight.float().T + bias.float()
    ratio = torch.finfo(torch.float32).eps / torch.finfo(torch.float64).eps
    bound = net.rounding_error(x.double(), torch.zeros(200, dtype=torch.float64))[1] * ratio
    assert ((y.double() - exact).abs() <= bound).all()
