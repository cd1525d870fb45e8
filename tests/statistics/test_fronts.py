"""Fronts and areas: by hand on a few points, against brute force, and intervals that cover."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.packed_bits import packed
from rp_tutorial.statistics import fronts

IMAGES, TARGETS = 200, 40


def row(name: str, family: str, accuracy: float, asr: float, *, kept: bool = True, **more: Any) -> dict[str, Any]:
    """An arm whose first targets are inverted and whose first images are right, so that arms are nested."""
    right = np.arange(IMAGES) < round(accuracy * IMAGES)
    return {
        "name": name,
        "defense": family,
        "hits": (np.arange(TARGETS) < round(asr * TARGETS)).astype(int).tolist(),
        "test_accuracy": float(right.mean()),
        "test_images": IMAGES,
        **({"right": packed(right)} if kept else {}),
        **more,
    }


ROWS = [
    row("none", "none", 0.95, 0.6),
    row("noise .1", "noise", 0.9, 0.5),
    row("noise .2", "noise", 0.7, 0.2),
    row("votes .1", "votes", 0.94, 0.55),
    row("votes .2", "votes", 0.8, 0.4),
    row("votes .3", "votes", 0.75, 0.45),
]
POINTS = fronts.outcomes(ROWS)


def random_points(seed: int, arms: int = 12) -> list[fronts.Outcome]:
    rng = np.random.default_rng(seed)
    rows = [row(f"arm {i}", "some", *rng.choice(np.linspace(0.1, 0.9, 9), 2)) for i in range(arms)]
    return fronts.outcomes(rows)


def test_the_front_is_what_nobody_beats() -> None:
    assert fronts.front(POINTS) == ["noise .2", "votes .2", "noise .1", "votes .1", "none"]


@pytest.mark.parametrize("seed", range(10))
def test_the_front_is_that_of_the_definition(seed: int) -> None:
    points = random_points(seed)
    numbers = {p.name: (p.accuracy, -p.asr) for p in points}
    unbeaten = {
        name
        for name, own in numbers.items()
        if not any(o != own and o[0] >= own[0] and o[1] >= own[1] for o in numbers.values())
    }
    assert set(fronts.front(points)) == unbeaten
    accuracies = [numbers[name][0] for name in fronts.front(points)]
    assert accuracies == sorted(accuracies)


@pytest.mark.parametrize("seed", range(10))
def test_the_area_is_the_mean_of_the_least_asr_at_every_accuracy(seed: int) -> None:
    points = random_points(seed)
    accuracy, asr = (np.array([getattr(p, what) for p in points]) for what in ("accuracy", "asr"))
    low, high = 0.15, 0.95
    grid = low + (high - low) * (np.arange(40_000) + 0.5) / 40_000
    least = [asr[accuracy >= t].min(initial=1.0) for t in grid]
    area = fronts.area_under_front(accuracy, asr, low=low, high=high)
    assert area == pytest.approx(np.mean(least), abs=1e-4)  # 12 steps, each off by a cell at most


def test_the_area_by_hand_and_column_by_column() -> None:
    accuracy, asr = np.array([0.9, 0.5]), np.array([0.6, 0.2])
    # From .4 to .5 one can have .2, up to .9 one has to take .6; from .9 to 1 there is nothing, which counts 1.
    expected = (0.1 * 0.2 + 0.4 * 0.6 + 0.1 * 1) / 0.6
    assert fronts.area_under_front(accuracy, asr, low=0.4, high=1.0) == pytest.approx(expected)
    both = fronts.area_under_front(np.stack([accuracy, accuracy], 1), np.stack([asr, asr[::-1]], 1), low=0.4, high=0.9)
    assert both == pytest.approx([(0.1 * 0.2 + 0.4 * 0.6) / 0.5, 0.2])
    assert np.isnan(fronts.area_under_front(accuracy, asr, low=0.9, high=0.9))


def test_a_further_arm_never_makes_the_area_larger() -> None:
    for seed in range(10):
        points = random_points(seed)
        accuracy, asr = (np.array([getattr(p, what) for p in points]) for what in ("accuracy", "asr"))
        sizes = [fronts.area_under_front(accuracy[:k], asr[:k], low=0.2, high=0.8) for k in range(1, len(points) + 1)]
        assert (np.diff(sizes) <= 1e-12).all()


def test_a_draw_takes_the_same_targets_and_images_in_every_arm() -> None:
    """Nested arms stay nested in every draw, which independent draws would not leave them."""
    drawn = fronts.resampled(POINTS, resamples=300, seed=1)
    for values, what in zip(drawn, ("accuracy", "asr"), strict=True):
        order = np.argsort([getattr(point, what) for point in POINTS])
        assert (np.diff(values[order], axis=0) >= -1e-12).all()


def test_draws_have_the_mean_and_the_spread_of_a_binomial() -> None:
    for points in (POINTS, fronts.outcomes([row(p.name, p.family, p.accuracy, p.asr, kept=False) for p in POINTS])):
        drawn = fronts.resampled(points, resamples=4000, seed=2)
        for values, what, trials in zip(drawn, ("accuracy", "asr"), (IMAGES, TARGETS), strict=True):
            p = np.array([getattr(point, what) for point in points])
            spread = np.sqrt(p * (1 - p) / trials)
            assert np.abs(values.mean(axis=1) - p).max() < 5 * spread.max() / np.sqrt(4000)  # 12 normal tails at 5 s.d.
            assert values.std(axis=1) == pytest.approx(spread, rel=5 / np.sqrt(2 * 4000) * 1.5)


def test_a_draw_keeps_the_size_of_every_run() -> None:
    sure = [row("none", "none", 0.9, 1.0)], [row("none", "none", 0.9, 0.0)]
    points = fronts.outcomes(*sure)
    assert points[0].targets == (TARGETS, TARGETS)
    assert points[0].asr == 0.5
    assert (fronts.resampled(points, resamples=50)[1] == 0.5).all()


def test_areas_have_the_reference_in_every_family() -> None:
    found = {r["family"]: r for r in fronts.areas(POINTS, reference="none", low=0.5, against="votes", resamples=200)}
    assert list(found) == ["none", "noise", "votes", "all"]
    assert found["none"]["area"] == pytest.approx(0.6)
    assert {name: r["arms"] for name, r in found.items()} == {"none": 1, "noise": 3, "votes": 4, "all": 6}
    assert found["noise"]["area"] == pytest.approx((0.2 * 0.2 + 0.2 * 0.5 + 0.05 * 0.6) / 0.45)
    assert found["all"]["area"] <= min(r["area"] for r in found.values())
    for r in found.values():
        assert r["area_ci"][0] <= r["area"] <= r["area_ci"][1]
        assert r["difference"] == pytest.approx(r["area"] - found["votes"]["area"])
    assert found["votes"]["difference_ci"] == [0.0, 0.0]


def test_the_choice_among_equal_arms_flatters_the_area_and_cross_fitting_does_not() -> None:
    """Thirty arms that all have ASR 1/2: the least of thirty is below, the arm chosen on one half is not on the other.

    The least of 31 shares of 400 exceeds .485 with probability (1 - Phi(-.6)) ^ 31 < 1e-4. The cross-fitted area has
    mean 1/2 and at most the standard deviation of one split, 1 / (2 sqrt(T / 2)); allowed are 5 of them.
    """
    rng = np.random.default_rng(5)
    arms, targets = 30, 400
    base = fronts.outcomes([row("none", "none", 0.9, 0.5)])[0]
    points = [
        dataclasses.replace(base, name=f"arm {i}", family="some", hits=rng.random(targets) < 0.5, targets=(targets,))
        for i in range(arms)
    ]
    points = [dataclasses.replace(base, hits=rng.random(targets) < 0.5, targets=(targets,)), *points]
    found = fronts.areas(points, reference="none", low=0.5, resamples=50, splits=100)[-1]
    assert found["area"] < 0.485
    assert abs(found["cross_fitted"] - 0.5) < 5 / (2 * np.sqrt(targets / 2))


def test_the_interval_of_a_difference_covers_it() -> None:
    """Two families, an arm each, on correlated targets; 200 worlds, 95 % intervals of the difference of two areas.

    With coverage .93 (a percentile interval of 60 targets is a little short), fewer than 170 have probability < 1e-4.
    """
    rng = np.random.default_rng(8)
    covered, truth = 0, 0.2  # ASR .5 against .3, both at the accuracy of the reference
    for world in range(200):
        easy = rng.random(60)
        hits = {"a": easy < 0.5, "b": (easy < 0.25) | (rng.random(60) < 0.05 / 0.75) & (easy >= 0.25)}
        rows = [row("none", "none", 0.9, 1.0), row("a", "a", 0.9, 0.5), row("b", "b", 0.9, 0.3)]
        rows = [r | {"hits": hits.get(r["name"], np.ones(60)).astype(int).tolist()} for r in rows]
        found = fronts.areas(fronts.outcomes(rows), reference="none", low=0.5, against="b", resamples=300, seed=world)
        low, high = next(r["difference_ci"] for r in found if r["family"] == "a")
        covered += low <= truth <= high
    assert covered >= 170


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fronts.outcomes(), "runs: got 'no row'"),
        (lambda: fronts.outcomes(ROWS, ROWS[:2]), "runs of the same arms"),
        (lambda: fronts.outcomes([ROWS[0], ROWS[0]]), "each arm once"),
        (lambda: fronts.outcomes([ROWS[0], ROWS[1] | {"hits": [1]}]), "as many targets in every arm of a run"),
        (lambda: fronts.areas(POINTS, reference="nobody", low=0.5), "reference: got 'nobody'"),
        (lambda: fronts.areas(POINTS, reference="none", low=0.96), "low: got 0.96, allowed is an accuracy below"),
        (lambda: fronts.areas(POINTS, reference="none", low=0.5, against="x", resamples=5), "against: got 'x'"),
        (lambda: fronts.resampled(POINTS, resamples=0), "resamples: got 0"),
    ],
)
def test_bad_input_is_one_line(call: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
