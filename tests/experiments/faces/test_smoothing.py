"""face-smoothing: rows in range and in order, radii below what samples can print, and a run that only reads."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from read_only import ReadOnly

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces import smoothing as face_smoothing
from rp_tutorial.experiments.faces.lab import FaceLabSettings
from rp_tutorial.experiments.faces.smoothing import FaceSmoothingSettings
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory.certificate import Certificate

pytestmark = pytest.mark.usefixtures("own_cache")
TINY = FaceSmoothingSettings(
    identities=4, train_images=24, test_images=8, public_images=60, images_seen=200, evaluator_images_seen=100,
    latent_dim=8, training_noise=0.05, sigmas=(0.03, 0.3), augmented_sigmas=(0.3,), votes=(1, 10), accuracy_images=24,
    certify_n=(10, 30), deployed=(10, 100), certify_images=6, timed_images=20, timed_large_images=1,
)  # fmt: skip


def run(stages: Stages, settings=TINY) -> dict:
    return face_smoothing.run(face_smoothing.SmoothingLab(settings, data="synthetic", seed=0, stages=stages))


@pytest.fixture(scope="module")
def results(own_cache) -> dict:
    return run(Stages("face-smoothing"))


def test_the_experiment_is_registered_with_every_profile():
    found = EXPERIMENTS["face-smoothing"]
    assert found is face_smoothing.EXPERIMENT
    assert set(found.profiles) == set(found.needs) == set(PROFILES)
    assert found.reads is inversion.EXPERIMENT.reads


def test_the_lab_is_that_of_the_inversion_so_that_nets_are_shared():
    for name, ours in face_smoothing.PROFILES.items():
        theirs = inversion.PROFILES[name]
        for field in dataclasses.fields(FaceLabSettings):
            assert getattr(ours, field.name) == getattr(theirs, field.name)
        control = {arm.sigma for arm in theirs.arms if arm.defense == "fixed noise"}
        augmented = {arm.sigma for arm in theirs.arms if arm.augmented}
        assert set(ours.augmented_sigmas) == control & augmented
        assert control <= augmented or name == "gpu"  # which trains no further net


def test_there_is_a_row_for_every_net_sigma_and_number(results):
    cells = [(0.05, 0.03), (0.05, 0.3), (0.3, 0.3)]
    assert [(r["trained_under"], r["sigma"], r["n"]) for r in results["votes"]] == [
        (*c, n) for c in cells for n in (1, 10)
    ]
    found = [(r["trained_under"], r["sigma"], r["n"]) for r in results["certificates"]]
    assert found == [(*c, n) for c in cells for n in (10, 30)]
    assert [row["trained_under"] for row in results["base"]] == [0.05, 0.3]


def test_shares_are_shares_with_intervals_around_them(results):
    for row in results["votes"] + results["base"]:
        assert 0 <= row["test_accuracy_ci"][0] <= row["test_accuracy"] <= row["test_accuracy_ci"][1] <= 1
        assert 0 <= row["paper_accuracy"] <= 1
    for row in results["votes"]:
        assert row["predict_accuracy"] + row["abstention"] + row["predict_error"] == pytest.approx(1)
        assert row["predict_accuracy"] <= row["test_accuracy"]  # PREDICT only takes labels of the same votes away
    assert all(row["abstention"] == 1 for row in results["votes"] if row["n"] == 1)  # one vote proves nothing at .01


def test_the_paper_accuracy_is_over_one_image_an_identity(results):
    for row in results["base"] + results["votes"]:
        assert row["paper_accuracy"] * results["identities"] == round(row["paper_accuracy"] * results["identities"])


def test_no_radius_exceeds_what_its_samples_can_print(results):
    for row in results["certificates"]:
        possible = row["largest_possible_radius"]
        assert possible == certified_radius(lower_confidence_bound(row["n"], row["n"], alpha=0.01), sigma=row["sigma"])
        assert 0 <= row["mean_radius"] <= row["largest_radius"] * (1 + 1e-12)  # a mean of equals is rounded
        assert row["largest_radius"] <= possible
        assert 0 <= row["median_radius"] <= row["largest_radius"]
        assert row["certified_right"] <= row["certified"] <= 1
        assert row["unit"] == results["unit"] == "pixel range"


def test_every_bound_keeps_a_radius_of_the_same_certificates(results):
    for row in results["certificates"]:
        found = {(d["n_vote"], d["bound"]): d for d in row["deployable"]}
        assert list(found) == [(n, bound) for n in TINY.deployed for bound in face_smoothing.BOUNDS]
        for n in TINY.deployed:
            classical, calibrated, by_plurality, both = (found[n, bound] for bound in face_smoothing.BOUNDS)
            for part in ("median_radius", "mean_radius", "positive"):
                assert 0 <= classical[part] <= calibrated[part]  # same promise, never shorter
                assert 0 <= by_plurality[part] <= both[part]
            assert classical["mean_radius"] <= row["mean_radius"]  # half the target is the level of the certificate
            assert classical["positive"] <= row["certified"]
            assert {d["target_tv"] for d in (classical, calibrated, by_plurality, both)} == {2 * row["alpha"]}


def test_a_net_without_majorities_has_radii_by_plurality_alone():
    lab = face_smoothing.SmoothingLab(TINY, data="synthetic", seed=0, stages=Stages("face-smoothing"))
    nobody, nothing = np.array([ABSTAIN]), np.zeros(1)
    counts = np.array([[450] + [10] * 55])
    found = Certificate(
        label=nobody, radius=nothing, unit="sigma", norm="l2", p_low=nothing, counts=counts, n0=10, n=1000, alpha=0.01,
        chosen=np.array([0]), sigma=1.0,
    )  # fmt: skip
    bounds = ("classical", "calibrated", "plurality")
    shares = {bound: lab._deployable(found, 1000, bound)["positive"] for bound in bounds}
    assert shares == {"classical": 0, "calibrated": 0, "plurality": 1}


def test_the_bound_that_takes_too_long_is_left_out_where_it_does():
    lab = face_smoothing.SmoothingLab(
        dataclasses.replace(TINY, sigmas=(0.3,), certify_n=(1000,), deployed=(10, 1000), certify_images=1),
        data="synthetic", seed=0, stages=Stages("face-smoothing"),
    )  # fmt: skip
    (row,) = lab.certificates(0.05, 0.3)
    asked = [(d["n_vote"], d["bound"]) for d in row["deployable"]]
    assert asked == [*((10, bound) for bound in face_smoothing.BOUNDS), *((1000, b) for b in face_smoothing.BOUNDS[:3])]


def test_throughput_is_positive_and_names_every_net(results):
    names = [row["what"] for row in results["throughput"]]
    assert names == ["SmallFaceNet", "SmallFaceNet, folded", "VOTE(10) of SmallFaceNet, folded", "FaceNet64",
                     "FaceNet64, folded"]  # fmt: skip
    assert all(row["images_per_second"] > 0 and row["seconds"] > 0 for row in results["throughput"])
    assert all(row["images_per_second"] == row["images"] / row["seconds"] for row in results["throughput"])


def test_counts_of_a_larger_n_contain_those_of_the_smaller():
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=3)
    found = dict(face_smoothing._growing_counts(smoothing, at_distance([0.3, -0.3]), (40, 1, 10)))
    assert list(found) == [1, 10, 40]
    assert all(bool((counts.sum(dim=1) == n).all()) for n, counts in found.items())
    assert bool((found[1] <= found[10]).all() and (found[10] <= found[40]).all())
    assert smoothing.forward_passes == 80


def test_a_second_run_only_reads(results):
    assert run(ReadOnly("face-smoothing")) == results


def test_one_sigma_more_leaves_the_others_as_they_were(results):
    asked: list[str] = []
    more = dataclasses.replace(TINY, sigmas=(0.03, 0.3, 0.1))
    again = run(Stages("face-smoothing", progress=asked.append), more)
    assert again["votes"][:4] == results["votes"][:4]
    assert {name for name in asked if name.endswith("sigma0.1")} == {
        "votes-trained0.05-sigma0.1",
        "certificates-trained0.05-sigma0.1",
    }


def test_everything_but_the_timings_is_deterministic(results, tmp_path, monkeypatch):
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    torch.manual_seed(123)  # nothing may hang on the global generator
    again = run(Stages("face-smoothing"))
    assert {k: v for k, v in again.items() if k != "throughput"} == {
        k: v for k, v in results.items() if k != "throughput"
    }


def test_the_results_are_json_and_the_tables_have_their_rows(results):
    assert json.loads(json.dumps(results)) == results
    tables = face_smoothing.tables(results)
    assert len(tables["certificates"]) == len(results["certificates"]) * len(TINY.deployed) * len(face_smoothing.BOUNDS)
    assert set(tables) == {"votes", "certificates", "throughput"}
    assert "test accuracy without smoothing" in face_smoothing.summary(results)
