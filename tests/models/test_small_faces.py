"""The laptop's face nets: shapes, cost, two families, seeds, refusals."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.facenet import IRUnit
from rp_tutorial.models.small_faces import SmallEvaluator, SmallFaceNet

NETS = [SmallFaceNet, SmallEvaluator]


def images(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def million_multiplications(net):
    with FlopCounterMode(display=False) as flops, torch.inference_mode():
        net(images(1, net.size))
    return flops.get_total_flops() / 2e6


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("family", NETS)
def test_logits_are_the_last_layer_of_the_features(family, size):
    net, x = family(7, size=size).eval(), images(3, size)
    assert net.features(x).shape == (3, 128)
    assert net(x).shape == (3, 7)
    assert torch.equal(net(x), net.fc_layer(net.features(x)))


@pytest.mark.parametrize(("size", "most"), [(32, 2.4), (64, 7.2)])
def test_target_costs_no_more_than_its_docstring_says(size, most):
    assert million_multiplications(SmallFaceNet(100, size=size).eval()) <= most


@pytest.mark.parametrize("size", [32, 64])
def test_evaluator_costs_at_most_six_targets(size):
    target, judge = (million_multiplications(family(100, size=size).eval()) for family in NETS)
    assert target < judge < 6 * target


def test_evaluator_shares_no_kind_of_unit_with_the_target():
    target, judge = ({type(module) for module in family(10).modules()} for family in NETS)
    assert {IRUnit, nn.PReLU} <= target
    assert not {IRUnit, nn.PReLU} & judge
    assert nn.ReLU in judge
    assert nn.ReLU not in target


@pytest.mark.parametrize("family", NETS)
def test_same_seed_same_weights_and_the_callers_generator_is_left_alone(family):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    first, again, other = (family(5, seed=seed).fc_layer.weight for seed in (3, 3, 4))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("family", NETS)
def test_a_few_steps_lower_the_loss_on_labels_that_can_be_told_apart(family):
    net = family(2).train()
    y = torch.arange(32) % 2
    x = (images(32, 32) * 0.5 + y[:, None, None, None] * 0.4).clamp(0, 1)
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("family", NETS)
@pytest.mark.parametrize("size", [16, 33, True, "32", None])
def test_other_sizes_are_refused_in_one_line(family, size):
    with pytest.raises(InputError, match=r"^size: got .*32 or 64$"):
        family(5, size=size)


@pytest.mark.parametrize("family", NETS)
@pytest.mark.parametrize("shape", [(2, 1, 32, 32), (2, 3, 64, 64), (3, 32, 32), (2, 3, 32, 31)])
def test_images_of_another_shape_are_refused_in_one_line(family, shape):
    with pytest.raises(InputError, match=r"^x: got .*\[B, 3, 32, 32\]$"):
        family(5).eval()(torch.zeros(shape))


@pytest.mark.parametrize("bad", [0, 1, -3, 2.0, None])
@pytest.mark.parametrize("family", NETS)
def test_bad_numbers_of_classes_are_refused_in_one_line(family, bad):
    with pytest.raises(InputError, match=r"^num_classes: got "):
        family(bad)
