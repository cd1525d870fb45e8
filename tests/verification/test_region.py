"""The nearest point of one linear region is proven by multipliers, whatever the solver says."""

import numpy as np
import pytest
import torch
from random_nets import NORMS, ORDER, random_inputs, random_net

from rp_tutorial.verification.reading import read_net
from rp_tutorial.verification.region import Region, describe_region, nearest_in_region, proven_distance


def exact_region(rows, least):
    rows, least = np.array(rows, dtype=float), np.array(least, dtype=float)
    return Region(rows, least, np.zeros(len(least)))


@pytest.mark.parametrize(("norm", "distance"), [("l1", 7.0), ("l2", 5.0), ("linf", 4.0)])
def test_nearest_point_of_a_corner(norm, distance):
    """delta_1 >= 3 and delta_2 >= 4."""
    proven, delta = nearest_in_region(exact_region([[1, 0], [0, 2]], [3, 8]), norm, reach=6.0)
    assert proven == pytest.approx(distance, rel=1e-9)
    assert proven <= distance
    assert np.linalg.norm(delta, ord=ORDER[norm]) == pytest.approx(distance, rel=1e-9)
    assert (delta >= np.array([3, 4]) - 1e-9).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("rows", [([[1, 0], [-1, 0]], [1, 1]), ([[1, 0], [0, 0]], [0, 2])])
def test_an_empty_region_is_proven_to_be_beyond_the_reach(norm, rows):
    proven, delta = nearest_in_region(exact_region(*rows), norm, reach=3.0)
    assert proven > 3
    assert delta is None


@pytest.mark.parametrize("norm", NORMS)
def test_any_multipliers_prove_a_distance_below_every_point_of_the_region(norm):
    rng = np.random.default_rng(0)
    for _ in range(200):
        region = Region(rng.standard_normal((4, 3)), rng.uniform(-1, 1, 4), np.full(4, 1e-9))
        points = rng.standard_normal((4000, 3)) * 3
        inside = points[(points @ region.rows.T >= region.least).all(axis=1)]
        if len(inside):
            nearest = np.linalg.norm(inside, ord=ORDER[norm], axis=1).min()
            for multipliers in (rng.uniform(0, 1, 4), rng.exponential(1, 4) ** 4):
                assert proven_distance(region, multipliers, norm) <= nearest
            assert nearest_in_region(region, norm, reach=5.0)[0] <= nearest


def test_rows_are_the_nets_own_signs_and_margin():
    net, x = read_net(random_net(1, (3, 5, 4, 3))), random_inputs(2, 1, 3)[0]
    hidden, _ = net.preactivations(x[None])
    signs = torch.where(hidden[0] > 0, 1.0, -1.0).double()
    region = describe_region(net, x, 0, 2, signs, torch.ones(9, dtype=torch.bool), 1.0)
    delta = 1e-4 * random_inputs(3, 1, 3)[0]
    moved, moved_logits = net.preactivations((x + delta)[None])
    assert ((moved > 0) == (hidden > 0)).all()
    expected = [*(signs * moved[0]).tolist(), float(moved_logits[0, 2] - moved_logits[0, 0])]
    assert region.rows @ delta.numpy() - region.least == pytest.approx(expected, abs=1e-12)
