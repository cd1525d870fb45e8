"""Measures around a latent: against a half-space behind a linear prior, where every answer has a closed form."""

import numpy as np
import pytest
import torch
from close import assert_close_to_scale
from scipy import stats

from rp_tutorial.attacks.inversion.queries import LatentQueries
from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.mechanism.latent_measures import (
    by_target,
    cosine,
    difference,
    displacement,
    margin_gradient,
    over_targets,
    pass_probability,
    push,
    sphere,
    sphere_labels,
    unit_vectors,
)
from rp_tutorial.models.table_nets import DIRECTION, half_space_net
from rp_tutorial.oracles.plain import PlainOracle

DIM = 5
LINEAR = torch.randn(DIM, 2, generator=torch.Generator().manual_seed(1))  # the prior: x = z LINEAR
NORMAL = LINEAR @ torch.tensor(DIRECTION)  # in latent space: label 1 where NORMAL . z > 0
CLASS_1 = torch.tensor([1])


def prior(z):
    return z @ LINEAR


def at_latent_distance(distances):
    """Latents at these signed distances from the boundary of class 1."""
    return torch.tensor(distances)[:, None] * NORMAL / NORMAL.norm()


def queries():
    oracle = PlainOracle(half_space_net(), num_classes=2)
    return LatentQueries(oracle, prior, repeats=1, chunk_rows=4096, device="cpu")


def test_unit_vectors_have_length_one_and_depend_on_their_key_alone():
    units = unit_vectors(3, 7, DIM, key=(2, 0))
    assert_close_to_scale(units.norm(dim=-1), torch.ones(3, 7))
    assert torch.equal(units, unit_vectors(3, 7, DIM, key=(2, 0)))
    assert not torch.equal(units, unit_vectors(3, 7, DIM, key=(2, 1)))


def test_probes_lie_on_the_sphere():
    z = torch.randn(3, DIM, generator=torch.Generator().manual_seed(3))
    radius = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    probes = sphere(z, radius, unit_vectors(3, 8, DIM, key=(0,)))
    assert_close_to_scale((probes - z[:, None]).norm(dim=-1), radius[:, None].expand(3, 8), of=probes)


def test_displacement_of_a_linear_prior_is_the_length_of_the_image_of_r_u():
    z, radius = torch.randn(5, DIM, generator=torch.Generator().manual_seed(0)), torch.linspace(0.1, 3, 5)
    units = unit_vectors(5, 16, DIM, key=(1,))
    expected = radius[:, None] * (units @ LINEAR).norm(dim=-1)
    assert_close_to_scale(displacement(prior, z, radius, units, chunk_points=2), expected, of=z @ LINEAR)


def test_the_share_of_a_sphere_outside_a_half_space_is_that_of_a_beta_law():
    """(u_1 + 1) / 2 is Beta((d-1)/2, (d-1)/2). Six cells, each exact binomial at two-sided 1e-5."""
    distances, directions, radius = [0.0, 0.4, 1.2, -0.4, 1.9, 2.5], 4000, 2.0
    z = at_latent_distance(distances)
    labels = sphere_labels(queries(), z, torch.full((6,), radius), unit_vectors(6, directions, DIM, key=(5,)))
    law = stats.beta((DIM - 1) / 2, (DIM - 1) / 2)
    for distance, outside in zip(distances, (labels != 1).sum(dim=1).tolist(), strict=True):
        expected = law.cdf((1 - distance / radius) / 2)
        low, high = stats.binom.ppf([5e-6, 1 - 5e-6], directions, expected)
        assert low <= outside <= high


def test_the_white_box_direction_is_the_normal_of_the_half_space():
    z = torch.randn(9, DIM, generator=torch.Generator().manual_seed(2))
    gradient = margin_gradient(half_space_net(), prior, z, CLASS_1.expand(9))
    assert_close_to_scale(gradient, NORMAL.expand(9, DIM))
    assert_close_to_scale(margin_gradient(half_space_net(), prior, z, 1 - CLASS_1.expand(9)), -NORMAL.expand(9, DIM))


@pytest.mark.parametrize("directions", [32, 1024])
def test_the_direction_estimate_is_as_good_as_theory_says(directions):
    """At the boundary: mean E|u_1| / 2 along the normal, variance 1 / (2 d D) in each of the d - 1 others."""
    points = 200
    units = unit_vectors(points, directions, DIM, key=(6, directions))
    z = at_latent_distance([0.0] * points)
    outside = sphere_labels(queries(), z, torch.ones(points), units) != 1
    cosines = cosine(push(units, outside), NORMAL.expand(points, DIM))
    along = stats.beta((DIM - 1) / 2, (DIM - 1) / 2).expect(lambda b: abs(2 * b - 1)) / 2
    across = (DIM - 1) / (2 * DIM * directions)
    assert cosines.mean() == pytest.approx(along / np.hypot(along, np.sqrt(across)), abs=0.02)


def test_push_is_zero_where_nothing_is_outside_and_has_no_cosine():
    units = unit_vectors(2, 4, DIM, key=(7,))
    estimate = push(units, torch.tensor([[False] * 4, [True, False, False, False]]))
    assert torch.equal(estimate[0], torch.zeros(DIM))
    assert_close_to_scale(estimate[1], -units[1, 0] / 4)
    assert np.isnan(cosine(estimate, units[:, 0])[0])
    assert cosine(estimate, units[:, 0])[1] == pytest.approx(-1)


def test_the_pass_probability_is_the_sum_of_the_binomial_law():
    for rate in (0.0, 0.03, 0.1, 0.5, 1.0):
        expected = sum(stats.binom.pmf(k, 32, 1 - rate) for k in range(29, 33))
        assert pass_probability(rate, directions=32, needed=29) == pytest.approx(expected, abs=1e-12)
    assert pass_probability([0.0, 1.0], directions=32, needed=29).tolist() == [1.0, 0.0]


def test_means_are_taken_target_by_target():
    means = by_target([1.0, 3.0, np.nan, 5.0], [0, 0, 1, 3], 4)
    assert means == [2.0, None, None, 5.0]
    assert by_target(np.array([True, False]), [1, 1], 2) == [None, 0.5]


def test_the_interval_is_the_t_interval_over_targets():
    means = [0.1, None, 0.4, 0.35, 0.2]
    found = over_targets(means)
    known = np.array([mean for mean in means if mean is not None])
    low, high = stats.ttest_1samp(known, 0).confidence_interval(0.95)
    assert (found["value"], found["targets"]) == (pytest.approx(known.mean()), 4)
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))
    assert over_targets([None, 0.5]) | {"by_target": 0} == {
        "value": 0.5, "low": None, "high": None, "targets": 1, "by_target": 0,
    }  # fmt: skip
    assert over_targets([None])["value"] is None


def test_a_difference_pairs_the_targets_that_both_have():
    between = difference(over_targets([0.5, None, 0.9, 0.4]), over_targets([0.1, 0.2, 0.8, None]))
    assert [mean is None for mean in between["by_target"]] == [False, True, False, True]
    assert between["value"] == pytest.approx(0.25)
    assert between["targets"] == 2


@pytest.mark.parametrize(
    "bad", [{"outside_rate": 1.2}, {"outside_rate": -0.1}, {"needed": 33}, {"needed": 0}, {"directions": 2.5}]
)
def test_a_bad_rule_is_refused_in_one_line(bad):
    with pytest.raises(InputError, match=next(iter(bad))) as caught:
        pass_probability(**{"outside_rate": 0.1, "directions": 32, "needed": 29} | bad)
    assert "\n" not in str(caught.value)
