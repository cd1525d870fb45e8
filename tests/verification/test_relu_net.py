"""A ReLU nn.Sequential is read as it runs, and anything else is refused by name."""

import pytest
import torch
from random_nets import NORMS, random_inputs, random_net
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.threads import one_thread
from rp_tutorial.verification.relu_net import dual_length, length, read_inputs, read_net, steepest


@pytest.mark.parametrize(
    "net",
    [
        random_net(0, (4, 3)),
        random_net(0, (4, 6, 5, 3)),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.5), random_net(1, (4, 6, 3)), nn.Identity()),
        nn.Sequential(random_net(2, (4, 6)), random_net(3, (6, 5)), nn.ReLU(), nn.ReLU(), random_net(4, (5, 3))),
        nn.Sequential(random_net(5, (4, 6, 3)), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 3, bias=False)),
    ],
)
def test_logits_are_those_of_the_net(net):
    x = random_inputs(0, 50, 4)
    logits = read_net(net).preactivations(x)[1]
    torch.testing.assert_close(logits, net.double().eval()(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (nn.Linear(2, 2), "net: got 'Linear', allowed is an nn.Sequential"),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), "net: got 'Tanh at place 1'"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)), "net: got 'BatchNorm1d at place 1'"),
        (nn.Sequential(nn.Conv2d(1, 1, 1)), "net: got 'Conv2d at place 0'"),
        (nn.Sequential(nn.ReLU(), nn.Linear(2, 2)), "net: got 'nn.ReLU before the first nn.Linear'"),
        (nn.Sequential(nn.Flatten()), "net: got 'no nn.Linear'"),
        (nn.Sequential(nn.Linear(2, 1)), "net: got 'one output'"),
    ],
)
def test_other_nets_are_refused_by_name_and_place(net, message):
    with pytest.raises(InputError) as refusal:
        read_net(net)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_weights_that_are_not_finite_are_refused():
    net = nn.Sequential(nn.Linear(2, 2))
    net[0].weight.data[0, 0] = float("nan")
    with pytest.raises(InputError, match="NaN or infinite weights in Linear at place 0"):
        read_net(net)


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


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == before
