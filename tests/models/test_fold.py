"""Folded copies give the logits of the net they were made from, and leave it alone. IR-50 is in test_facenet.py."""

import copy

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.fold import FoldedIR, folded
from rp_tutorial.models.generator import Generator, SmallGenerator
from rp_tutorial.models.small_faces import SmallEvaluator, SmallFaceNet

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@torch.no_grad()
def with_random_statistics(net, seed=0):
    """`net` as training would leave it: no BN is the identity, no PReLU slope the default."""
    g = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, NORMS):
            sign = torch.randint(2, (module.num_features,), generator=g) * 2 - 1
            module.weight.copy_(sign * (torch.rand(module.num_features, generator=g) + 0.3))
            module.bias.copy_(torch.randn(module.num_features, generator=g))
            module.running_mean.copy_(torch.randn(module.num_features, generator=g))
            module.running_var.copy_(torch.rand(module.num_features, generator=g) * 2 + 0.2)
        if isinstance(module, nn.PReLU):
            module.weight.copy_(torch.rand(module.num_parameters, generator=g))
    return net.eval()


def images(count, size, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


@torch.inference_mode()
def largest_difference(net, copy_of_it, x):
    """Largest difference of a logit, in units of the logits' spread."""
    logits = net(x)
    return float((copy_of_it(x) - logits).abs().max() / logits.std())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("family", [SmallFaceNet, SmallEvaluator])
def test_folded_copy_gives_the_same_logits_up_to_rounding(family, size, seed):
    net = with_random_statistics(family(9, size=size), seed)
    assert largest_difference(net, folded(net), images(5, size)) < 1e-4


@pytest.mark.parametrize("family", [SmallFaceNet, SmallEvaluator])
def test_folding_is_exact_in_exact_arithmetic(family):
    """In float64 the difference shrinks with the rounding: what is left is rounding, not a term forgotten."""
    net = with_random_statistics(family(9)).double()
    assert largest_difference(net, folded(net), images(5, 32).double()) < 1e-12


@pytest.mark.parametrize("generator", [Generator(20), SmallGenerator(20), SmallGenerator(20, size=64)])
def test_generators_fold_to_the_same_images(generator):
    net = with_random_statistics(generator)
    z = torch.randn(5, 20, generator=torch.Generator().manual_seed(1))
    assert largest_difference(net, folded(net), z) < 1e-4


@pytest.mark.parametrize("family", [SmallFaceNet, SmallEvaluator])
def test_no_batch_normalisation_is_left(family):
    kinds = {type(module) for module in folded(with_random_statistics(family(9))).modules()}
    assert not kinds & set(NORMS)


@pytest.mark.parametrize("gamma", [0.0, 1e-12])
def test_a_channel_whose_bn_has_died_keeps_its_bn_and_its_logits(gamma):
    """A scale of 0 has no shift t with BN(x) = s (x + t); that unit keeps its BN, at every position of the body."""
    for position in range(3):
        net = with_random_statistics(SmallFaceNet(9))
        with torch.no_grad():
            net.body[position].res_layer[0].weight[3] = gamma
        copy_of_it = folded(net)
        assert sum(isinstance(module, NORMS) for module in copy_of_it.modules()) == 1
        assert largest_difference(net, copy_of_it, images(5, 32)) < 1e-4


def test_pieces_of_a_batch_give_what_the_whole_gives():
    net = folded(with_random_statistics(SmallFaceNet(9)))
    x = images(600, 32)
    logits = net(x)
    assert logits.shape == (600, 9)
    assert_close_to_scale(net(x[290:310]), logits[290:310], of=logits)
    assert net(x[:0]).shape == (0, 9)


@pytest.mark.parametrize("family", [SmallFaceNet, SmallEvaluator])
def test_the_net_itself_is_left_as_it_was(family):
    net = with_random_statistics(family(9)).train()
    before = copy.deepcopy(net.state_dict())
    copy_of_it = folded(net)
    assert net.training
    assert not copy_of_it.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.requires_grad for parameter in net.parameters())
    shared = {p.data_ptr() for p in net.parameters()} & {p.data_ptr() for p in copy_of_it.parameters()}
    assert not shared


def test_gradients_reach_the_image_but_not_the_weights():
    net = folded(with_random_statistics(SmallFaceNet(9)))
    x = images(2, 32).requires_grad_()
    net(x).sum().backward()
    assert bool(x.grad.abs().sum() > 0)
    assert not any(parameter.requires_grad for parameter in net.parameters())


def test_folding_twice_changes_nothing():
    net = folded(with_random_statistics(SmallFaceNet(9)))
    assert isinstance(net, FoldedIR)
    assert folded(net) is net


def test_what_is_no_module_is_refused_in_one_line():
    with pytest.raises(InputError, match=r"^net: got 'int', allowed is a torch module$"):
        folded(3)
