"""The theorem on votes and the questions of a walk: on a half-space behind an isometric prior all is known exactly."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert, sphere_directions
from rp_tutorial.experiments.faces.inversion import BOUNDED
from rp_tutorial.experiments.mechanism.promise import (
    PAIRS,
    longest_radius,
    most_sure,
    needed,
    needed_sigma,
    promised,
    walk_distances,
)
from rp_tutorial.models.table_nets import DIRECTION, half_space_net
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.theory.adaptive import transcript_tv

D = 8  # directions a sphere
AT = {"target_tv": 0.02, "alpha": 0.01}


@pytest.fixture(scope="module")
def walk() -> Inversion:
    """Three targets in a plane that is cut by a half-space; the last has no first point."""
    settings = dataclasses.replace(BOUNDED, directions=D, inside_needed=7, patience=4, max_iterations=12)
    oracle, start = (
        PlainOracle(half_space_net(), num_classes=2),
        torch.tensor(DIRECTION) * torch.tensor([[0.3], [-1.0]]),
    )
    start = torch.cat([start.float(), torch.full((1, 2), torch.nan)])
    return invert(oracle, nn.Identity(), torch.tensor([1, 0, 1]), seed=0, start=start, settings=settings, record=True)


@pytest.fixture(scope="module")
def distances(walk) -> dict[str, list[np.ndarray]]:
    return walk_distances(nn.Identity(), walk, units, most_passes=100)


def units(k: int) -> torch.Tensor:
    return sphere_directions(0, k, 3, D, 2)


def test_an_isometric_prior_keeps_every_distance(walk, distances):
    assert set(distances) == set(PAIRS)
    for target in (0, 1):
        passes = range(int(walk.iterations[target]))
        radius = [float(walk.trace.radius[k, target]) for k in passes]
        assert distances["centre"][target] == pytest.approx(np.repeat(radius, D), rel=1e-5)
        apart = [
            r * (units(k)[target, 1:] - units(k)[target, :-1]).norm(dim=-1) for k, r in zip(passes, radius, strict=True)
        ]
        assert distances["successive"][target] == pytest.approx(torch.cat(apart).numpy(), rel=1e-4)
        path = [*walk.trace.path[: len(passes), target], walk.z[target]]
        steps = [float((b - a).norm()) for a, b in pairwise(path)]
        taken = walk.trace.accepted[: len(passes), target].tolist()
        assert distances["step"][target] == pytest.approx(
            [s for s, kept in zip(steps, taken, strict=True) if kept], rel=1e-4
        )
        if walk.kept_expansions[target]:
            ends = float((walk.latent[target] - walk.start[target]).norm())
            assert distances["ends"][target] == pytest.approx([ends], rel=1e-5)
    assert all(len(per_target[2]) == 0 for per_target in distances.values())


def test_fewer_passes_are_a_part_of_the_walk(walk, distances):
    some = walk_distances(nn.Identity(), walk, units, most_passes=3)
    for part, whole in zip(some["centre"], distances["centre"], strict=True):
        assert set(part) <= set(whole)
        assert len(part) <= 3 * D


def test_shares_are_counted_and_a_target_without_questions_has_none(distances):
    found = promised(distances, sigma=1.0, n_vote=11, samples=(100,), **AT)
    radius = longest_radius(100, target_tv=0.02, sigma=1.0, n_vote=11)
    assert found["longest_radius"] == {"100": radius}
    for kind, per_target in distances.items():
        expected = [float((d <= radius).mean()) if len(d) else None for d in per_target]
        assert found["within_longest"][kind]["100"]["by_target"] == expected
        assert expected[2] is None


@pytest.mark.parametrize("sigma", [0.5, 2.0, 8.0])
def test_the_labels_of_the_walk_tell_no_more_than_the_bound(walk, distances, sigma):
    """Of the first ten questions, all 2^10 answers counted: asked about the probes, or about their centres."""
    n_vote, k = 3, 10
    probes = walk.trace.path[:2, 0, None] + walk.trace.radius[:2, 0, None, None] * torch.stack(
        [units(0)[0], units(1)[0]]
    )
    centres = walk.trace.path[:2, 0, None].expand(-1, D, -1)
    laws = []
    for points in (probes, centres):
        shares = special.ndtr((points.flatten(0, 1)[:k].double() @ torch.tensor(DIRECTION).double()).numpy() / sigma)
        wins = stats.binom.sf(1, n_vote, shares)
        law = np.ones(1)
        for win in wins:
            law = np.outer(law, [1 - win, win]).ravel()
        laws.append(law)
    exact = float(np.abs(laws[0] - laws[1]).sum() / 2)
    assert 0 < exact <= transcript_tv(distances["centre"][0][:k], sigma=sigma, n_vote=n_vote)
    both = promised({"centre": [distances["centre"][0][:k]]}, sigma=sigma, n_vote=n_vote, samples=(100,), **AT)
    assert exact / 2 <= both["walk"]["anybody"]["value"] <= 0.5
    assert both["walk"]["surest"]["value"] <= both["walk"]["anybody"]["value"]
    assert both["one_label"]["anybody"]["value"] <= both["walk"]["anybody"]["value"]


def test_the_sigma_that_is_needed_keeps_the_promise_and_a_smaller_one_does_not(distances):
    for n_vote in (10, 101):
        at = {"n_vote": n_vote, "p_low": most_sure(1000, 0.01)}
        for d in distances["centre"][:2]:
            tv = partial(transcript_tv, d, **at)
            sigma = needed_sigma(d, target_tv=0.02, **at)
            assert tv(sigma=sigma) <= 0.02 < tv(sigma=sigma * 0.998)
        found = needed(distances, n_vote=n_vote, samples=1000, **AT)
        reach = longest_radius(1000, sigma=found["one_label"]["by_target"][0], target_tv=0.02, n_vote=n_vote)
        assert reach == pytest.approx(np.median(distances["centre"][0]), rel=1e-9)
        assert found["walk"]["by_target"][2] is None
