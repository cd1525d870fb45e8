"""A ReLU net is read as it runs, layer for layer, and anything else is refused by name and place."""

import pytest
import torch
from close import assert_close_to_scale
from random_nets import random_inputs, random_net, with_batch_norm
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from rp_tutorial.core.arguments import InputError
from rp_tutorial.verification.reading import READERS, read_net, reads


@pytest.mark.parametrize(
    ("net", "maps"),
    [
        (nn.Linear(4, 3), 1),
        (nn.Sequential(nn.Linear(4, 3, bias=False)), 1),
        (random_net(0, (4, 6, 5, 3)), 3),
        (nn.Sequential(nn.Flatten(), nn.Dropout(0.5), random_net(1, (4, 6, 3)), nn.Identity()), 2),
        (nn.Sequential(random_net(2, (4, 6)), random_net(3, (6, 5)), nn.ReLU(), nn.ReLU(), random_net(4, (5, 3))), 2),
        (nn.Sequential(random_net(5, (4, 6, 3)), nn.ReLU()), 3),
        (nn.Sequential(nn.ReLU(), nn.Dropout(), nn.ReLU(inplace=True), random_net(6, (4, 6, 3)), nn.ReLU()), 4),
        (with_batch_norm(7, (4, 6, 5, 3)), 3),
        (nn.Sequential(nn.BatchNorm1d(4, affine=False), nn.ReLU(), with_batch_norm(8, (4, 3)), nn.BatchNorm1d(3)), 2),
    ],
)
def test_logits_are_those_of_the_net(net, maps):
    x = random_inputs(0, 50, 4)
    plain = read_net(net.double().eval())
    assert_close_to_scale(plain.preactivations(x)[1], net(x.clone()))
    assert len(plain.weights) == maps


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_later_training_does_not_change_what_was_read(kind):
    net, x = random_net(0, (4, 6, 3)).to(kind), random_inputs(1, 20, 4)
    plain = read_net(net)
    before = plain.preactivations(x)[1]
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    assert torch.equal(plain.preactivations(x)[1], before)
    assert read_net(plain) is plain


class Doubled(nn.Linear):
    """A subclass with a forward of its own."""

    def forward(self, x):
        return 2 * super().forward(x)


class Scaled(nn.Module):
    """A layer of somebody else's."""

    def forward(self, x):
        return 3 * x


class Shifted(nn.Sequential):
    def forward(self, x):
        return super().forward(x) + 1


def changed(net, change):
    change(net)
    return net.eval()


def two_layers():
    return random_net(0, (3, 4, 2))


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (lambda x: x, "'function', allowed is a net of nn.Linear and nn.ReLU layers"),
        (nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 2)), "'Tanh at place 1', allowed is ReLU, Linear, "),
        (nn.Sequential(nn.Conv2d(1, 1, 1)), "'Conv2d at place 0'"),
        (nn.Sequential(nn.Sequential(nn.Linear(2, 2)), Scaled()), "'Scaled at place 1'"),
        (nn.Sequential(Doubled(2, 2)), "'Doubled at place 0'"),
        (Shifted(nn.Linear(2, 2)), "'Shifted at place 0'"),
        (nn.Sequential(), "'no nn.Linear'"),
        (nn.Sequential(nn.ReLU(), nn.Flatten()), "'no nn.Linear'"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(2, 2)), "'Flatten(start_dim=0, end_dim=-1)'"),
        (nn.Sequential(nn.Linear(2, 1)), "'one output'"),
        (nn.Sequential(nn.Linear(2, 3), nn.Flatten(), nn.ReLU(), nn.Linear(6, 2)), "'3 values for Linear at place 3'"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(4).eval()), "'3 values for BatchNorm1d at place 1'"),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), "'BatchNorm1d that averages over its batch'"),
        (nn.BatchNorm1d(2, track_running_stats=False).eval(), "'BatchNorm1d that averages over its batch'"),
        (nn.Sequential(nn.Linear(2, 3), nn.Dropout()), "'Dropout in training mode'"),
        (changed(two_layers(), lambda n: n.register_forward_hook(lambda m, x, y: -y)), "'Sequential with a hook"),
        (changed(two_layers(), lambda n: n[0].register_forward_hook(lambda m, x, y: -y)), "'Linear with a hook"),
        (changed(two_layers(), lambda n: n[1].register_forward_pre_hook(lambda m, x: None)), "'ReLU with a hook"),
        (
            changed(two_layers(), lambda n: setattr(n[0], "forward", lambda x: x)),
            "'Linear with",
        ),
        (changed(two_layers(), lambda n: spectral_norm(n[0])), "'Linear with a hook"),
        (changed(two_layers(), lambda n: prune.l1_unstructured(n[0], "weight", 3)), "'Linear with a hook"),
        (changed(two_layers(), lambda n: parametrizations.weight_norm(n[0])), "'ParametrizedLinear at place 0'"),
        (
            changed(two_layers(), lambda n: parametrize.register_parametrization(n[0], "weight", Scaled())),
            "'ParametrizedLinear at place 0'",
        ),
    ],
)
def test_other_nets_are_refused_by_name_and_place(net, message):
    with pytest.raises(InputError) as refusal:
        read_net(net)
    assert str(refusal.value).startswith(f"net: got {message}")
    assert "\n" not in str(refusal.value)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated:FutureWarning")
def test_the_old_weight_norm_is_refused_by_its_hook():
    net = two_layers()
    weight_norm(net[0])
    with pytest.raises(InputError, match="Linear with a hook"):
        read_net(net)


def test_a_pruned_net_is_read_once_pruning_is_made_permanent():
    net, x = two_layers(), random_inputs(0, 20, 3)
    prune.l1_unstructured(net[0], "weight", 3)
    prune.remove(net[0], "weight")
    assert_close_to_scale(read_net(net).preactivations(x)[1], net(x))


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(value):
    net = with_batch_norm(0, (3, 4, 2))
    net[1].running_mean[2] = value
    with pytest.raises(InputError, match="NaN or infinite weights in BatchNorm1d at place 1"):
        read_net(net)


def test_a_layer_from_elsewhere_brings_its_own_reader(monkeypatch):
    monkeypatch.setattr("rp_tutorial.verification.reading.READERS", dict(READERS))
    net, x = nn.Sequential(nn.Linear(4, 3), Scaled()), random_inputs(0, 10, 4).float()

    @reads(Scaled)
    def scaled(layer):
        return 3 * torch.eye(3), torch.zeros(3)

    torch.testing.assert_close(read_net(net).preactivations(x.double())[1].float(), net(x))
    assert Scaled not in READERS
