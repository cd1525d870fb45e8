"""The BMI threshold experiment against the closed form, on generated and on real rows."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.tables import threshold as insurance
from rp_tutorial.oracles.noise import split_view, visible_factor
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.theory import halfspace

pytestmark = pytest.mark.usefixtures("own_cache")
SMOKE = insurance.PROFILES["smoke"]


@pytest.fixture(scope="module")
def document(own_cache) -> dict:
    return run_experiment("insurance-threshold", profile="smoke")


@pytest.fixture(scope="module")
def trained(own_cache):
    stages = Stages("insurance-threshold")
    lab = insurance.ThresholdLab(SMOKE, data="synthetic", seed=0, stages=stages)
    return lab.task, lab.net


def boundary(task, net) -> float:
    """Where the net's label changes along BMI, by bisection; the net is a function of BMI alone."""
    oracle = PlainOracle(net, num_classes=2)
    low, high = task.threshold - 10, task.threshold + 10
    for _ in range(60):
        middle = (low + high) / 2
        above = bool(oracle(task.with_attribute(task.x_test[:1], torch.tensor([middle])).flatten(0, 1))[0])
        low, high = (low, middle) if above else (middle, high)
    return low


def test_the_penalty_leaves_a_net_that_reads_bmi_only(trained) -> None:
    task, net = trained
    weight = net[0].weight.detach().clone()
    weight[:, task.attribute_column] = 0
    assert int((weight != 0).sum()) == 0
    assert split_view(net, visible_factor).factor.shape[0] == 1


def test_the_net_is_one_threshold_in_bmi(trained) -> None:
    task, net = trained
    grid = torch.linspace(12, 50.4, 2000, dtype=torch.float64)
    labels = PlainOracle(net, num_classes=2)(task.with_attribute(task.x_test[:1], grid).flatten(0, 1))
    assert int(labels.diff().abs().sum()) == 1
    assert abs(boundary(task, net) - task.threshold) < 0.1  # the grid of the data


def test_accuracy_and_abstention_have_the_binomial_law_of_a_half_space(document: dict, trained) -> None:
    """Given the rows, right answers and abstentions are sums of independent events of known probability.

    Error probability of the test: six sides at 1e-7 each, by Bernstein's inequality for bounded sums.
    """
    task, net = trained
    distance = (task.test_attribute.numpy() - boundary(task, net)) / task.attribute_std
    for row in document["results"]["smoothed"]:
        p_one = halfspace.class_one_probability(distance, sigma=row["sigma"])
        law = halfspace.predict_law(p_one, n=row["n"], alpha=row["alpha"])
        right = np.where(task.y_test.numpy() == 1, law[:, 2], law[:, 0])
        for probability, observed in ((right, row["accuracy"]), (law[:, 1], row["abstention"])):
            variance, log_term = float((probability * (1 - probability)).sum()), np.log(2 / 1e-7)
            allowed = np.sqrt(2 * variance * log_term) + log_term / 3
            assert abs(observed * len(distance) - probability.sum()) <= allowed


def test_rates_of_a_row_add_up(document: dict) -> None:
    for row in document["results"]["smoothed"]:
        assert row["accuracy"] + row["abstention"] + row["error"] == pytest.approx(1, abs=1e-12)
        low, high = row["accuracy_ci"]
        assert low < row["accuracy"] < high
        std = document["results"]["attribute_std"]
        assert row["mean_radius"] == pytest.approx(std * row["mean_radius_std"])


def test_results_have_the_promised_fields(document: dict) -> None:
    results = document["results"]
    assert {"threshold", "n_train", "n_test", "base", "smoothed"} <= set(results)
    promised = {"sigma", "n", "alpha", "accuracy", "accuracy_ci", "abstention", "error"}
    promised |= {"mean_radius_std", "mean_radius"}
    assert all(promised <= set(row) for row in results["smoothed"])
    assert results["n_train"] / (results["n_train"] + results["n_test"]) == pytest.approx(0.6)


def test_the_mean_radius_is_the_closed_forms(document: dict) -> None:
    """A mean over the answered rows, within 5.5 of its standard errors (error 4e-8 a row)."""
    for row, exact in zip(document["results"]["smoothed"], document["results"]["closed_form"], strict=True):
        spread = row["radius_standard_error_std"]
        assert abs(row["mean_radius_std"] - exact["mean_radius_std"]) < 5.5 * spread + 0.02  # the boundary's grid


def test_the_base_net_never_reaches_left_of_the_threshold_by_a_grid_step(document: dict) -> None:
    base = document["results"]["trajectory"]["classifiers"][0]
    assert base["classifier"] == "base"
    assert base["reach"] <= 0.1


def test_the_reach_stays_in_the_range_of_the_closed_form(document: dict, trained) -> None:
    """The 95 % range, widened to one that fails with probability below 1e-4 for each of the four settings."""
    task, net = trained
    shift = task.threshold - boundary(task, net)
    offsets = (np.arange(501) * 0.01 - shift) / task.attribute_std
    records = document["results"]["trajectory"]["records"]
    for row in document["results"]["ablation"]:
        low, high = halfspace.reach_range(
            sigma=3.0, n=row["n"], alpha=row["alpha"], offsets=offsets, records=records, confidence=1 - 1e-4
        )
        assert low - 1e-9 <= row["reach"] / task.attribute_std + (-shift / task.attribute_std) <= high + 1e-9


def test_histograms_hold_every_release_of_class_one(document: dict) -> None:
    trajectory = document["results"]["trajectory"]
    base = trajectory["classifiers"][0]
    assert sum(bar["count"] for bar in base["histogram"]) >= trajectory["positives"]
    threshold = document["results"]["threshold"]
    for row in trajectory["classifiers"]:
        left = min(bar["bin_left"] for bar in row["histogram"])
        assert left <= row["leftmost"] + 1e-6 or row["reach"] == 0
        edges = np.array([bar["bin_left"] for bar in row["histogram"]])
        assert np.allclose(np.round((edges - threshold) / 0.2), (edges - threshold) / 0.2, atol=1e-3)


def test_real_rows_come_within_two_points_of_the_closed_form(real_insurance_csv: Path, tmp_path: Path) -> None:
    settings = dataclasses.replace(insurance.PROFILES["cpu"], trajectory_records=2)
    stages = Stages("insurance-threshold")
    results = insurance.run(insurance.ThresholdLab(settings, data=str(real_insurance_csv), seed=0, stages=stages))
    assert results["base"]["accuracy"] >= 0.99
    for row, exact in zip(results["smoothed"], results["closed_form"], strict=True):
        assert abs(row["accuracy"] - exact["accuracy"]) < 0.02
        assert abs(row["abstention"] - exact["abstention"]) < 0.02


def test_the_experiment_runs_on_442_diabetes_patients() -> None:
    document = run_experiment("insurance-threshold", profile="smoke", data="diabetes")
    assert document["results"]["n_train"] + document["results"]["n_test"] == 442


def test_published_runs_are_of_the_settings_in_the_code() -> None:
    """Change a setting of the cpu profile, and the stored runs have to be made again (python -m tools.publish)."""
    current = json.loads(json.dumps(dataclasses.asdict(insurance.PROFILES["cpu"])))
    found = [d for d in published() if d["experiment"] == "insurance-threshold"]
    assert {"synthetic", "medical_insurance_5000.csv"} <= {document["data"] for document in found}
    for document in found:
        assert document["settings"] == current
        allowed = 0.005 if document["data"] == "synthetic" else 0.02
        results = document["results"]
        for row, exact in zip(results["smoothed"], results["closed_form"], strict=True):
            assert abs(row["accuracy"] - exact["accuracy"]) < allowed
            assert abs(row["abstention"] - exact["abstention"]) < allowed


def test_the_published_closed_form_is_what_the_code_computes() -> None:
    for document in (d for d in published() if d["experiment"] == "insurance-threshold"):
        for stored in document["results"]["closed_form"]:
            now = insurance.closed_form(insurance.PROFILES["cpu"], stored["sigma"])
            assert {name: pytest.approx(value, rel=1e-7, abs=1e-12) for name, value in now.items()} == stored


def test_the_confidence_interval_is_clopper_and_pearsons(document: dict) -> None:
    n = document["results"]["n_test"]
    for row in document["results"]["smoothed"]:
        exact = stats.binomtest(round(row["accuracy"] * n), n).proportion_ci(method="exact")
        assert row["accuracy_ci"] == pytest.approx([exact.low, exact.high], rel=1e-9)


def test_results_are_three_tables(document: dict) -> None:
    found = insurance.tables(document["results"])
    assert set(found) == {"table1", "figure1", "ablation"}
    assert len(found["table1"]) == 3
