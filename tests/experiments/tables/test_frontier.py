"""The insurance frontier: every family is there, the guesses are those of a real adversary, and pools add up."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.tables.people import LEAKING
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import frontier as insurance_frontier
from rp_tutorial.experiments.tables.frontier import (
    ATTACKS,
    InsuranceFrontierSettings,
    InsuranceLab,
    interval_of_mean,
    join_insurance,
    run_insurance,
)
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle
from rp_tutorial.statistics.binomial import clopper_pearson

pytestmark = pytest.mark.usefixtures("own_cache")
SMOKE = InsuranceFrontierSettings.smoke()


def lab(stages: Stages) -> InsuranceLab:
    return InsuranceLab(SMOKE, data="synthetic", seed=0, stages=stages)


@pytest.fixture(scope="module")
def results(own_cache) -> dict:
    return run_insurance(lab(Stages("frontier")))


@pytest.fixture(scope="module")
def points(results: dict) -> dict[str, dict]:
    return {point["name"]: point for point in results["points"]}


@pytest.fixture(scope="module")
def measure(results: dict) -> InsuranceLab:
    return lab(Stages("frontier"))


def test_every_family_has_a_point_and_dp_sgd_three(points: dict) -> None:
    families = [point["defense"] for point in points.values()]
    assert set(families) == {
        "none", "smoothing", "abstaining vote", "exact attribute smoothing", "plain noise", "randomized response",
        "abstaining net", "DP-SGD",
    }  # fmt: skip
    assert families.count("DP-SGD") >= 3
    assert len(InsuranceFrontierSettings().private_epsilons) >= 3


def test_rates_lie_in_their_intervals_and_below_one(points: dict) -> None:
    for point in points.values():
        for name, short in (("test_accuracy", "accuracy"), *((attack, attack) for attack in ATTACKS)):
            low, high = point[f"{short}_ci"]
            assert 0 <= low <= point[name] <= high <= 1
        assert len(point["by_record"]) == SMOKE.task.records
        assert np.mean(point["by_record"]) == pytest.approx(point["success"], abs=5e-4)


def test_nobody_knows_a_column_that_contains_the_bit(measure) -> None:
    assert not set(LEAKING) & set(measure.bench.task.feature_names)


def test_a_release_helps_and_a_function_helps_once(results: dict, points: dict) -> None:
    assert points["none"]["success"] > results["prior"]["success"] + 0.1
    for name, point in points.items():
        if point["defense"] not in insurance_frontier.REPEATABLE:
            assert point["success_in_ten"] == point["success"], name
    assert (
        points["randomized response, epsilon 2"]["success_in_ten"] > points["randomized response, epsilon 2"]["success"]
    )


def test_exact_smoothing_neither_costs_accuracy_nor_hides_the_bit(points: dict) -> None:
    """Along BMI the decision has one threshold a person, and smoothing does not move a threshold far."""
    exact, base = points["exact attribute smoothing, sigma 1"], points["none"]
    assert exact["test_accuracy"] == pytest.approx(base["test_accuracy"], abs=0.02)
    assert exact["success"] == pytest.approx(base["success"], abs=0.1)


def test_the_accuracy_is_that_of_the_deployed_oracle(measure, points: dict) -> None:
    """Randomized response on 500 test rows, eight times: 4000 answers, an allowance of 5 standard deviations."""
    bench = measure.bench
    oracle = RandomizedResponse(PlainOracle(bench.net, num_classes=2), epsilon=2.0, seed=3)
    right = np.mean([(oracle(bench.test_x).numpy() == bench.test_y).mean() for _ in range(8)])
    exact = points["randomized response, epsilon 2"]["test_accuracy"]
    assert abs(right - exact) < 5 * np.sqrt(exact * (1 - exact) / 4000)


def test_the_success_is_that_of_an_adversary_in_front_of_the_deployed_vote(measure, points: dict) -> None:
    """Real votes about every record, 50 times each, guessed from the law; 5 s.d., and .05 for the estimated law."""
    bench, name = measure.bench, "smoothing, sigma 1, N = 10"
    law = next(law for defense, _, law in measure.noisy(1.0) if defense == "smoothing")
    weight = bench.sweep(law) * bench.prior[:, None]
    guess = 2 * weight[:, measure.above].sum(axis=1) >= weight.sum(axis=1)  # [B, symbol]
    oracle = VoteOracle(Smoothing(bench.net, num_classes=2, sigma=1.0, seed=8), n=10)
    x = bench.task.with_attribute(bench.records, bench.grid)[np.arange(len(bench.records)), bench.truth]
    rows, truth = np.arange(len(x)), measure.above[bench.truth]
    played = np.mean([guess[rows, oracle(x).numpy() + 1] == truth for _ in range(50)])
    exact = points[name]["success"]
    assert abs(played - exact) < 0.05 + 5 * np.sqrt(exact * (1 - exact) / (50 * len(x)))


def test_private_nets_carry_what_they_spent(points: dict) -> None:
    spent = [point["settings"] for point in points.values() if point["defense"] == "DP-SGD"]
    for settings in spent:
        assert 0.98 * settings["epsilon"] <= settings["privacy"]["epsilon"] <= settings["epsilon"]
        assert settings["privacy"]["delta"] == SMOKE.delta
    assert SMOKE.delta < 1 / (SMOKE.task.rows * SMOKE.task.train_fraction)
    full = InsuranceFrontierSettings()
    assert full.delta < 1 / (full.task.rows * full.task.train_fraction)


def test_the_claim_is_tried_against_an_arm_that_is_as_accurate(results: dict, points: dict) -> None:
    tried = results["dominance"]
    assert {row["name"] for row in tried} == {n for n, p in points.items() if p["defense"] in insurance_frontier.OVER}
    for row in tried:
        if row["rival"] is not None:
            a, b = points[row["rival"]], points[row["name"]]
            assert a["defense"] == "smoothing"
            assert row["accuracy_gain"] == pytest.approx(a["test_accuracy"] - b["test_accuracy"])
            assert row["accuracy_gain"] >= 0
            assert row["success_gain"] == pytest.approx(a["success"] - b["success"], abs=1e-3)


def test_a_finished_run_is_only_read(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InsuranceLab, "point", lambda *_: pytest.fail("a point was computed again"))
    announced: list[str] = []
    stages = Stages("frontier", progress=announced.append)
    assert run_insurance(lab(stages)) == results
    assert len(announced) == len(set(announced)), "no stage is announced twice"


def test_two_runs_pool_to_their_mean_with_shorter_intervals(results: dict) -> None:
    other = results | {"points": [point | {"test_accuracy": point["test_accuracy"] / 2} for point in results["points"]]}
    pooled = join_insurance([results, other])
    assert (pooled["seeds"], pooled["records"]) == (2, 2 * SMOKE.task.records)
    for point, alone in zip(pooled["points"], results["points"], strict=True):
        assert point["test_accuracy"] == pytest.approx(0.75 * alone["test_accuracy"])
        assert point["success"] == pytest.approx(alone["success"])
        length, before = (np.diff(p["success_ci"])[0] for p in (point, alone))
        assert length < before
        assert len(point["by_record"]) == 2 * SMOKE.task.records
    with pytest.raises(InputError, match="all of the same arms"):
        join_insurance([results, results | {"points": results["points"][1:]}])


def test_the_interval_of_a_mean_is_the_exact_one_at_whole_counts_and_wider_between() -> None:
    assert interval_of_mean(0.3, 50) == [float(end) for end in clopper_pearson(15, 50)]
    low, high = interval_of_mean(0.31, 50)
    assert low == interval_of_mean(0.3, 50)[0]
    assert high == interval_of_mean(0.32, 50)[1]
    assert interval_of_mean(1.0, 50)[1] == 1
    assert interval_of_mean(1.0, 50)[0] < 1


def test_the_interval_of_a_mean_of_probabilities_covers() -> None:
    """Means of 60 Beta(.3, .7) probabilities, 400 times: misses are rarer than 5 % up to chance of 1e-4."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        low, high = interval_of_mean(rng.beta(0.3, 0.7, 60).mean(), 60)
        covered += low <= 0.3 <= high
    assert covered >= 363  # Pr[Bin(400, .95) <= 362] < 1e-4


def test_settings_can_be_written_as_json() -> None:
    assert dataclasses.asdict(SMOKE)["task"]["rows"] == SMOKE.task.rows
