"""The base net's own label is (R, 0)-private within the certified radius, and nothing but that label is released."""

import numpy as np
import pytest
import torch
from known_nets import DIRECTION, at, half_space
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.deterministic import METHODS, DeterministicRP, certify_deterministic
from rp_tutorial.oracles.plain import PlainOracle

NORMS = ("l1", "l2", "linf")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", NORMS)
def test_radius_on_a_half_space_is_the_distance_to_the_boundary_or_a_proven_part_of_it(method, norm):
    dual = DIRECTION.abs().max() if norm == "l1" else DIRECTION.abs().sum() if norm == "linf" else 1.0
    distance = np.array([0.25, 1.0, 2.0]) / float(dual)
    found = certify_deterministic(half_space(), at(-0.25, 1.0, -2.0), norm=norm, method=method)
    assert found.label.tolist() == [0, 1, 0]
    assert (found.radius <= distance * (1 + 1e-6)).all()  # at() is rounded to float32
    assert (found.radius > 0.3 * distance).all()
    if method == "exact":
        assert found.radius == pytest.approx(distance, abs=2e-4)
        assert found.nearest_change == pytest.approx(distance, abs=2e-4)
        assert found.tight.all()


@pytest.mark.parametrize("norm", NORMS)
def test_methods_are_ordered_and_the_exact_one_says_whether_it_is_tight(norm):
    x = torch.randn(12, 6, generator=torch.Generator().manual_seed(1))
    net = two_layer_net(6, num_classes=3, hidden=16)
    interval, crown, exact = (certify_deterministic(net, x, norm=norm, method=method) for method in METHODS)
    assert (interval.radius <= crown.radius).all()
    assert (crown.radius <= exact.radius).all()
    assert (exact.radius <= exact.nearest_change).all()
    assert exact.tight.all() == bool((exact.nearest_change - exact.radius <= 1e-4).all())
    assert (exact.norm, exact.unit, exact.method) == (norm, "std", "exact")
    assert not crown.tight.any()
    assert (crown.nearest_change == np.inf).all()
    assert not certify_deterministic(net, x, norm=norm, method="exact", budget=1).tight.all()


def test_no_query_inside_the_radius_ever_sees_another_label():
    oracle = DeterministicRP(two_layer_net(6, num_classes=3, hidden=16), num_classes=3, norm="linf", unit="kg/m^2")
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = oracle.certify(x, method="exact")
    assert found.unit == "kg/m^2"
    for i in range(5):
        corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 6) * float(found.radius[i])
        assert oracle(x[i] + corners).tolist() == [int(found.label[i])] * 64
    assert (oracle.queries, oracle.forward_passes) == (320, 320)


def test_released_labels_are_the_nets_own_up_to_float32_rounding():
    net, x = two_layer_net(8, num_classes=4), torch.randn(500, 8, generator=torch.Generator().manual_seed(3))
    assert torch.equal(DeterministicRP(net, num_classes=4)(x), PlainOracle(net, num_classes=4)(x))
    assert DeterministicRP(net, num_classes=4)(torch.zeros(0, 8)).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_certified_is_what_is_released_also_after_the_caller_trains_on(dtype):
    net, x = two_layer_net(4).to(dtype), torch.randn(20, 4, generator=torch.Generator().manual_seed(4))
    oracle = DeterministicRP(net, num_classes=2)
    before = oracle(x)
    with torch.no_grad():
        net[2].weight.neg_(), net[2].bias.neg_()
    assert torch.equal(oracle(x), before)
    assert oracle.certify(x).label.tolist() == before.tolist()


@pytest.mark.parametrize(
    ("net", "settings", "message"),
    [
        (two_layer_net(3), {"norm": "l0"}, "norm: got 'l0'"),
        (two_layer_net(3), {"norm": "l2", "method": "guess"}, "method: got 'guess'"),
        (two_layer_net(3), {"norm": "l2", "method": "exact", "budget": 0}, "budget: got 0"),
        (two_layer_net(4), {"norm": "l2"}, "x: got (2, 3)"),
        (nn.Sequential(nn.Linear(3, 2), nn.GELU()), {"norm": "l2"}, "net: got 'GELU at place 1'"),
    ],
)
def test_bad_input_is_refused_in_one_line(net, settings, message):
    with pytest.raises(InputError) as refusal:
        certify_deterministic(net, torch.zeros(2, 3), **settings)
    assert str(refusal.value).startswith(message)
    assert "\n" not in str(refusal.value)


def test_another_number_of_classes_is_refused():
    with pytest.raises(InputError, match=r"^num_classes: got 3"):
        DeterministicRP(two_layer_net(3), num_classes=3)
