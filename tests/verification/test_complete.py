"""The exact radius is exact: proofs and counterexamples meet, and other solvers find the same number."""

import numpy as np
import pytest
import torch
from random_nets import (
    NORMS,
    ORDER,
    SHAPES,
    folded,
    in_ball,
    radius_by_milp,
    radius_by_patterns,
    random_inputs,
    random_net,
    with_batch_norm,
)
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.verification.bounds import crown_radius, interval_radius
from rp_tutorial.verification.complete import exact_radius
from rp_tutorial.verification.nearest import find_change


@pytest.mark.parametrize("norm", NORMS)
def test_crown_is_below_exact_is_below_attack_on_500_random_nets_and_inputs(norm):
    rng, pairs, tightness = np.random.default_rng(0), 0, []
    for seed in range(64):
        widths = SHAPES[seed % len(SHAPES)]
        net, x = random_net(seed, widths), random_inputs(1000 + seed, 8, widths[0])
        exact = exact_radius(net, x, norm=norm, max_radius=5.0)
        interval, crown = (radius(net, x, norm=norm, max_radius=5.0) for radius in (interval_radius, crown_radius))
        points, attacked = find_change(net, x, norm=norm, seed=7, restarts=1, steps=10)
        assert (interval <= crown).all()
        assert (crown <= exact.lower).all()
        assert (exact.lower <= exact.upper).all()
        assert (exact.lower <= attacked.numpy()).all()
        assert (crown <= exact.upper).all()
        assert set(exact.status) <= {"exact to tolerance", "no change within max_radius"}
        for i in range(8):
            near = in_ball(rng, x[i].numpy(), float(exact.lower[i]), norm, 60)
            assert (net(near).argmax(dim=1) == exact.label[i]).all()
            if attacked[i] < np.inf:
                assert net(points[i : i + 1]).argmax() != exact.label[i]
        tightness += list(crown / exact.lower)
        pairs += 8
    assert pairs >= 500
    assert 0.7 < np.mean(tightness) < 0.97


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("widths", [(12, 32, 3), (8, 16, 16, 3)])
def test_crown_is_below_exact_is_below_attack_on_larger_nets(norm, widths):
    for seed in range(3):
        net, x = random_net(seed, widths), random_inputs(50 + seed, 4, widths[0])
        exact, crown = exact_radius(net, x, norm=norm, budget=4000), crown_radius(net, x, norm=norm)
        _, attacked = find_change(net, x, norm=norm, seed=8)
        assert (crown <= exact.lower).all()
        assert (exact.lower <= np.minimum(attacked.numpy(), exact.upper)).all()
        assert exact.status.count("exact to tolerance") >= 3


@pytest.mark.parametrize("norm", ["l1", "linf"])
@pytest.mark.parametrize("widths", [(3, 6, 2), (4, 8, 3), (3, 4, 4, 3)])
def test_exact_radius_is_that_of_a_mixed_integer_programme(norm, widths):
    compared = 0
    for seed in range(8):
        net, x = random_net(300 + seed, widths), random_inputs(400 + seed, 2, widths[0])
        exact = exact_radius(net, x, norm=norm, tolerance=1e-7)
        for i in np.flatnonzero(exact.upper < 10):
            by_milp = radius_by_milp(net, x[i], norm, reach=1.1 * exact.upper[i] + 0.01)
            assert exact.lower[i] == pytest.approx(by_milp, abs=1e-6)
            assert exact.upper[i] == pytest.approx(by_milp, abs=1e-6)
            compared += 1
    assert compared >= 12


@pytest.mark.parametrize("norm", NORMS)
def test_exact_radius_of_a_net_with_batch_norm_is_that_of_other_solvers_on_the_folded_net(norm):
    rng, compared = np.random.default_rng(1), 0
    for seed in range(8):
        net, x = with_batch_norm(700 + seed, (3, 5, 2 + seed % 2)), random_inputs(800 + seed, 2, 3)
        exact = exact_radius(net, x, norm=norm, tolerance=1e-7)
        assert (crown_radius(net, x, norm=norm) <= exact.lower).all()
        for i in np.flatnonzero(exact.upper < 10):
            if norm == "l2":
                other = radius_by_patterns(folded(net), x[i])
            else:
                other = radius_by_milp(folded(net), x[i], norm, reach=1.1 * exact.upper[i] + 0.01)
            assert exact.lower[i] == pytest.approx(other, rel=1e-6, abs=1e-6)
            assert exact.upper[i] == pytest.approx(other, rel=1e-6, abs=1e-6)
            near = in_ball(rng, x[i].numpy(), exact.lower[i], norm, 500)
            with torch.no_grad():  # the net itself, normalisation and all
                assert (net(near).argmax(dim=1) == exact.label[i]).all()
                assert net(torch.from_numpy(exact.point[i : i + 1])).argmax() != exact.label[i]
            compared += 1
    assert compared >= 12


def test_exact_l2_radius_is_the_least_over_all_activation_patterns():
    for seed in range(12):
        net, x = random_net(500 + seed, (3, 5, 2 + seed % 2)), random_inputs(600 + seed, 1, 3)
        exact = exact_radius(net, x, norm="l2", tolerance=1e-7)
        by_patterns = radius_by_patterns(net, x[0])
        if np.isfinite(exact.upper[0]):
            assert exact.lower[0] == pytest.approx(by_patterns, abs=1e-6)
        else:
            assert by_patterns == np.inf


@pytest.mark.parametrize("norm", NORMS)
def test_point_carries_another_label_at_the_upper_distance(norm):
    net, x = random_net(3, (4, 8, 3)), random_inputs(4, 20, 4)
    exact = exact_radius(net, x, norm=norm)
    found = np.isfinite(exact.upper)
    assert found.sum() > 10
    labels = net(torch.from_numpy(exact.point)).argmax(dim=1).numpy()
    assert (labels[found] != exact.label[found]).all()
    distance = np.linalg.norm(exact.point - x.numpy(), ord=ORDER[norm], axis=1)
    assert distance[found] == pytest.approx(exact.upper[found], rel=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_a_used_up_budget_is_said_and_its_interval_still_holds(norm):
    net, x = random_net(1, (10, 32, 3)), random_inputs(5, 6, 10)
    short, long = exact_radius(net, x, norm=norm, budget=6), exact_radius(net, x, norm=norm, budget=20_000)
    assert "budget used up" in short.status
    assert set(long.status) == {"exact to tolerance"}
    assert (short.lower <= long.upper).all()
    assert (long.lower <= short.upper).all()
    assert (crown_radius(net, x, norm=norm) <= short.lower).all()


def test_tolerance_bounds_the_gap_and_the_seed_only_moves_the_attack():
    net, x = random_net(2, (4, 8, 3)), random_inputs(6, 10, 4)
    fine = exact_radius(net, x, norm="l2", tolerance=1e-8)
    coarse = exact_radius(net, x, norm="l2", tolerance=1e-2, seed=5)
    for found, tolerance in ((fine, 1e-8), (coarse, 1e-2)):
        gap = (found.upper - found.lower)[np.isfinite(found.upper)]
        assert (gap <= tolerance).all()
    assert (coarse.lower <= fine.upper).all()
    assert (fine.lower <= coarse.upper).all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_boundary_that_is_touched_but_not_crossed_ends_in_a_tie(norm):
    """Margin |x_1 - 1|, label 0 on both sides: class 1 draws level at distance 1 and never wins."""
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])), net[0].bias.copy_(torch.tensor([-1.0, 1.0]))
        net[2].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]])), net[2].bias.zero_()
    found = exact_radius(net, torch.zeros(1, 2), norm=norm)
    assert found.status == ("tie, not crossed",)
    assert found.upper[0] == np.inf
    assert found.lower[0] == pytest.approx(1, abs=1e-6)
    assert found.lower[0] <= 1


@pytest.mark.parametrize("norm", NORMS)
def test_a_constant_label_has_no_change_within_max_radius(norm):
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)).double()
    with torch.no_grad():
        net[2].weight.zero_(), net[2].bias.copy_(torch.tensor([1.0, 0.0]))
    found = exact_radius(net, random_inputs(0, 3, 2), norm=norm, max_radius=7.0)
    assert found.status == ("no change within max_radius",) * 3
    assert (found.lower == 7).all()
    assert (found.upper == np.inf).all()


def test_an_input_on_the_boundary_has_radius_zero():
    net = nn.Sequential(nn.Linear(2, 2)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]])), net[0].bias.zero_()
    found = exact_radius(net, torch.tensor([[1.0, -1.0]]), norm="l2")
    assert found.lower[0] == 0
    assert found.upper[0] <= 1e-4


@pytest.mark.parametrize(
    ("limits", "message"),
    [({"tolerance": 0}, "tolerance"), ({"tolerance": float("nan")}, "tolerance"), ({"budget": 0}, "budget"),
     ({"max_radius": -1.0}, "max_radius"), ({"seed": -1}, "seed"), ({"norm": "l3"}, "norm")],
)  # fmt: skip
def test_bad_limits_are_refused_in_one_line(limits, message):
    with pytest.raises(InputError, match=rf"^{message}: got "):
        exact_radius(random_net(0, (2, 4, 2)), random_inputs(0, 1, 2), **{"norm": "l2"} | limits)
