"""The frontier: every defence under one attack, calibrations that hit their marks, and claims that can be lost."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import frontier, inversion
from rp_tutorial.experiments.faces.frontier import RR, FrontierLab, calibrated, join, summaries
from rp_tutorial.experiments.faces.inversion import Arm, InversionLab
from rp_tutorial.experiments.faces.private_nets import DP_SGD
from rp_tutorial.ledger import comparison_claims
from rp_tutorial.ledger.claim import IN_DIRECTION, NOT_REPRODUCED, OPEN
from rp_tutorial.ledger.claim import verdict as verdict_of
from rp_tutorial.theory.response import accuracy, advantage

PROMISED = {
    "defense", "settings", "test_accuracy", "accuracy_ci", "asr", "asr_ci", "queries", "forward_passes",
}  # fmt: skip
TINY = dataclasses.replace(
    frontier.PROFILES["smoke"],
    identities=6, train_images=30, test_images=8, public_images=200, images_seen=5400, evaluator_images_seen=1800,
    latent_dim=16, targets=4, pool=300, accuracy_images=40, control=Arm("smoothing", 0.1, 10),
    arms=(Arm("none"), Arm("smoothing", 0.1, 10), Arm("plain noise", 0.1), Arm("abstaining", 0.1, 10),
          Arm("randomized response", epsilon=3.0), Arm("randomized response", epsilon=40.0),
          Arm("memoised response", epsilon=3.0), Arm(DP_SGD, epsilon=8.0, public=True)),
    attack=dataclasses.replace(inversion.BOUNDED, patience=4, rejected_limit=4, max_iterations=12),
)  # fmt: skip


def run_tiny() -> dict:
    return frontier.run(FrontierLab(TINY, data="synthetic", seed=3, stages=Stages("frontier")))


@pytest.fixture(scope="module")
def results(own_cache: Path) -> dict:
    return run_tiny()


@pytest.fixture(scope="module")
def points(results: dict) -> dict[str, dict]:
    return {point["name"]: point for point in results["points"]}


def test_every_point_has_what_readers_were_promised(results: dict, points: dict[str, dict]) -> None:
    assert len(points) == len(TINY.arms) + 2, "two calibrated arms stand beside the listed ones"
    for point in results["points"]:
        assert set(point) >= PROMISED
        assert point["accuracy_ci"][0] <= point["test_accuracy"] <= point["accuracy_ci"][1]
        assert point["asr_ci"][0] <= point["asr"] <= point["asr_ci"][1]
        assert point["asr"] == np.mean(point["hits"])
    assert results["insurance"]["points"]
    assert json.loads(json.dumps(results, allow_nan=False)) == results


def test_a_response_that_never_lies_is_the_undefended_net_target_by_target(points: dict[str, dict]) -> None:
    """At epsilon 40 a lie has probability below 1e-15: the same targets, pool, directions and budget, or it shows."""
    honest, none = points["randomized response, epsilon 40"], points["none"]
    for name in ("hits", "start_hits", "right", "queries", "iterations"):
        assert honest[name] == none[name]


def test_a_private_net_carries_its_price(points: dict[str, dict]) -> None:
    (point,) = [point for point in points.values() if point["defense"] == DP_SGD]
    privacy = point["settings"]["privacy"]
    assert {"epsilon", "delta", "noise_multiplier", "steps"} <= set(privacy)
    assert privacy["epsilon"] <= 8.0
    assert point["advantage"] == pytest.approx(math.tanh(4.0) / 2)


def test_randomized_response_is_calibrated_to_accuracy_and_to_advantage() -> None:
    rows = [
        {"name": "none", "test_accuracy": 0.95, "test_images": 400},
        {"name": TINY.control.name, "test_accuracy": 0.9, "test_images": 400},
    ]
    at_accuracy, at_advantage = calibrated(TINY, rows, 6)
    assert accuracy(at_accuracy.epsilon, 0.95, 6) == pytest.approx(0.9)
    assert advantage(at_advantage.epsilon, 6) == pytest.approx(TINY.alpha / 2)
    assert at_accuracy.name != at_advantage.name
    free = [rows[0], rows[1] | {"test_accuracy": 0.96}]
    assert accuracy(calibrated(TINY, free, 6)[0].epsilon, 0.95, 6) == pytest.approx(0.95 - 1 / 400)


def test_promises_are_about_different_pairs() -> None:
    arms = [Arm("smoothing", 0.1, 10), Arm("randomized response", epsilon=2.0), Arm(DP_SGD, epsilon=2.0), Arm("none")]
    promises = [arm.promise(10, 0.01) for arm in arms]
    assert len({given["pairs"] for given in promises}) == 4
    assert promises[0]["advantage"] == 0.005
    assert promises[1]["advantage"] == pytest.approx((math.e**2 - 1) / (2 * (math.e**2 + 9)))
    assert promises[2]["advantage"] == pytest.approx((math.e**2 - 1) / (2 * (math.e**2 + 1)))
    assert promises[3]["advantage"] is None


def test_a_second_run_reads_every_point(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InversionLab, "_row", lambda *_: pytest.fail("an arm was computed again"))
    assert run_tiny() == results


def test_seeds_are_pooled_target_by_target(results: dict) -> None:
    joined = join([results, results])
    assert (joined["targets"], joined["seeds"]) == (8, 2)
    for one, two in zip(results["points"], joined["points"], strict=True):
        assert two["asr"] == pytest.approx(one["asr"])
        assert two["test_accuracy"] == pytest.approx(one["test_accuracy"])
        assert two["accuracy_ci"][1] - two["accuracy_ci"][0] < one["accuracy_ci"][1] - one["accuracy_ci"][0]
    assert [row["area"] for row in joined["areas"]] == pytest.approx([row["area"] for row in results["areas"]])


def made_up(name: str, family: str, asr: int, right: float) -> dict:
    hits = [1] * asr + [0] * (40 - asr)
    promised = {"advantage": 0.005} if family == "smoothing" else {"advantage": None}
    return {"name": name, "defense": family, "family": family, "hits": hits, "test_accuracy": right, **promised,
            "test_images": 400, "asr": asr / 40, "asr_ci": [0, 1], "accuracy_ci": [0, 1]}  # fmt: skip


@pytest.mark.parametrize(("asr", "verdict"), [(4, IN_DIRECTION), (14, OPEN), (28, NOT_REPRODUCED)])
def test_the_ledger_says_dominates_only_where_every_setting_is_beaten(asr: int, verdict: str) -> None:
    points = [
        made_up("none", "none", 30, 0.99), made_up("vote", "smoothing", asr, 0.97),
        made_up("RR", RR, 15, 0.97), made_up("DP", DP_SGD + ", from scratch", 14, 0.97),
    ]  # fmt: skip
    found = {"points": points, **summaries([points])}
    for claim in comparison_claims.CLAIMS:
        if claim.experiment == "frontier" and "dominates" in claim.text:
            assert verdict_of(claim, claim.measure(found)) == verdict


def test_the_profiles_hold_what_the_comparison_needs() -> None:
    for name, settings in frontier.PROFILES.items():
        arms = [arm.name for arm in settings.arms]
        assert len(set(arms)) == len(arms)
        assert settings.control in settings.arms
        private = {(arm.epsilon, arm.public) for arm in settings.arms if arm.defense == DP_SGD}
        assert {public for _, public in private} == {True, False}
        if name != "smoke":
            assert len({epsilon for epsilon, _ in private}) >= 4
            assert len({arm.epsilon for arm in settings.arms if arm.defense == RR}) >= 3
            assert any(arm.n == 100 for arm in settings.arms)
            assert {arm.defense for arm in settings.arms if arm.augmented} == {"none", "smoothing"}


@pytest.mark.parametrize("data", ["folder:/nowhere", "kaggle", "diabetes"])
def test_bad_data_is_refused_in_one_line(data: str, own_cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        run_experiment("frontier", profile="smoke", data=data)
    assert "\n" not in str(caught.value)


def test_real_people_leave_no_picture_behind(real_data: Path, own_cache: Path) -> None:
    settings = dataclasses.replace(TINY, identities=40, train_images=7, test_images=3, arms=TINY.arms[:2])
    stages = Stages("frontier")
    bench = FrontierLab(settings, data=f"folder:{real_data / 'orl_faces'}", seed=0, stages=stages)
    point = bench.point(bench.arm(settings.arms[0]))
    assert not {"mean_start", "mean_reconstruction", "thumbnails", "latent", "start", "images"} & set(point)
