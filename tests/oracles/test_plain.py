"""The undefended oracle is argmax of the net, a function of the input alone."""

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.abstaining import AbstainingOracle
from rp_tutorial.oracles.plain import PlainOracle


def random_net(seed: int, num_classes: int, *, dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, num_classes))


def inputs(seed: int, rows: int = 200) -> torch.Tensor:
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("num_classes", [2, 3, 10])
def test_labels_are_the_nets_argmax(num_classes):
    net, x = random_net(num_classes, num_classes), inputs(1)
    expected = net(x).detach().numpy().argmax(axis=1)
    assert PlainOracle(net, num_classes=num_classes)(x).tolist() == expected.tolist()
    assert len(set(expected.tolist())) > 1


@pytest.mark.parametrize("batch_size", [1, 7, 199, 200, 10_000])
def test_batch_size_does_not_change_a_label(batch_size):
    net, x = random_net(0, 3), inputs(2)
    oracle = PlainOracle(net, num_classes=3, batch_size=batch_size)
    assert torch.equal(oracle(x), PlainOracle(net, num_classes=3)(x))
    assert (oracle.queries, oracle.forward_passes) == (200, 200)


def test_net_is_put_into_eval_mode_so_that_dropout_cannot_make_labels_random():
    net, x = random_net(0, 3, dropout=0.9).train(), inputs(3)
    assert not torch.equal(net(x), net(x))
    oracle = PlainOracle(net, num_classes=3)
    first = oracle(x)
    assert all(torch.equal(oracle(x), first) for _ in range(5))
    assert not any(module.training for module in net.modules())


@pytest.mark.parametrize("num_classes", [2, 4])
def test_a_net_with_another_number_of_outputs_is_refused(num_classes):
    with pytest.raises(InputError, match=r"^net: got .outputs of shape"):
        PlainOracle(random_net(0, 3), num_classes=num_classes)(inputs(0))


def test_no_input_gives_no_label():
    oracle = PlainOracle(random_net(0, 3), num_classes=3)
    released = oracle(torch.zeros(0, 5))
    assert released.shape == (0,)
    assert released.dtype == torch.int64
    assert oracle.queries == 0


def test_images_are_inputs_like_any_other():
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    x = torch.randn(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(PlainOracle(net, num_classes=3)(x), net(x).argmax(dim=1))


@pytest.mark.parametrize("batch_size", [None, 1, 7, 64])
def test_batches_of_images_side_by_side_give_the_labels_of_one_batch(batch_size):
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(256, 5))
    x = torch.randn(200, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain = PlainOracle(net, num_classes=5, batch_size=batch_size)
    silent = AbstainingOracle(net, num_classes=5, confidence=0.25)
    expected = net(x).argmax(dim=1)
    assert torch.equal(plain(x), expected)
    answered = net(x).softmax(dim=1).amax(dim=1) >= 0.25
    assert torch.equal(silent(x), expected.where(answered, ABSTAIN))
    assert 0 < answered.sum() < 200
    assert plain.forward_passes == silent.forward_passes == 200


def test_released_labels_carry_no_gradient():
    x = inputs(0).requires_grad_()
    released = PlainOracle(random_net(0, 2), num_classes=2)(x)
    assert released.grad_fn is None
    assert not released.requires_grad


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "8"])
def test_bad_batch_size_is_refused_in_one_line(batch_size):
    with pytest.raises(InputError, match=r"^batch_size: got "):
        PlainOracle(random_net(0, 3), num_classes=3, batch_size=batch_size)
