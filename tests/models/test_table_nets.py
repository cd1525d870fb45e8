"""The two-layer net: its shape, its function and its seed."""

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net


def test_net_is_linear_relu_linear_with_64_hidden_units():
    net = two_layer_net(7)
    assert [type(layer) for layer in net] == [nn.Linear, nn.ReLU, nn.Linear]
    assert type(net) is nn.Sequential
    assert sum(parameter.numel() for parameter in net.parameters()) == 7 * 64 + 64 + 64 * 2 + 2


@pytest.mark.parametrize(("inputs", "classes", "hidden"), [(1, 2, 1), (7, 5, 3), (90, 2, 64)])
def test_logits_are_what_the_formula_gives(inputs, classes, hidden):
    net = two_layer_net(inputs, num_classes=classes, hidden=hidden, seed=1)
    x = torch.randn(6, inputs, generator=torch.Generator().manual_seed(0))
    logits = (x @ net[0].weight.T + net[0].bias).clamp_min(0) @ net[2].weight.T + net[2].bias
    assert net(x).shape == (6, classes)
    assert_close_to_scale(net(x), logits)


def test_same_seed_same_weights_and_the_callers_generator_is_left_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    nets = [two_layer_net(4, seed=seed) for seed in (5, 5, 6)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(nets[0][0].weight, nets[1][0].weight)
    assert torch.equal(nets[0][2].bias, nets[1][2].bias)
    assert not torch.equal(nets[0][0].weight, nets[2][0].weight)


@pytest.mark.parametrize("bad", [0, -1, 2.0, "3", None])
@pytest.mark.parametrize("argument", ["num_inputs", "num_classes", "hidden"])
def test_bad_sizes_are_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got "):
        two_layer_net(**{"num_inputs": 3, argument: bad})


def test_bad_seed_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"^seed: got "):
        two_layer_net(3, seed=-1)
