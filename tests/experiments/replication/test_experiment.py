"""The experiment `replication`: sides stand where they should, and answers are those of the test over nets."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.replication import experiment as replication
from rp_tutorial.experiments.replication.experiment import PROFILES, ReplicationLab, answers
from rp_tutorial.experiments.replication.questions import ESTIMATE, NONE, OTHER, PRIMARY, Side
from rp_tutorial.statistics.nets import net_comparison, over_family

TINY = dataclasses.replace(
    PROFILES["smoke"],
    identities=6, train_images=30, test_images=8, public_images=200, images_seen=5400, evaluator_images_seen=1800,
    latent_dim=16, targets=4, pool=300, accuracy_images=40, asked=("Q1", "Q5", "Q8"),
    attack=dataclasses.replace(PROFILES["smoke"].attack, patience=4, rejected_limit=4, max_iterations=12),
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(own_cache: Path) -> ReplicationLab:
    return ReplicationLab(TINY, data="synthetic", seed=3, stages=Stages("replication"))


@pytest.fixture(scope="module")
def results(lab: ReplicationLab) -> dict[str, Any]:
    return json.loads(json.dumps(replication.run(lab)))


def test_every_side_that_is_asked_about_has_a_row_and_no_other(results: dict[str, Any]) -> None:
    sides = {question[letter] for question in results["asked"] for letter in "ab"}
    assert {row["name"] for row in results["rows"]} == sides
    assert [row["question"] for row in results["answers"]] == [question["question"] for question in results["asked"]]


def test_a_clean_side_has_a_net_of_its_own_and_a_patient_one_the_published_attack(lab: ReplicationLab) -> None:
    usual, clean = lab.lab_of(Side(NONE)), lab.lab_of(Side(NONE, clean=True))
    patient = lab.lab_of(Side(NONE, patient=True, targets=3))
    assert clean.settings == dataclasses.replace(usual.settings, training_noise=0.0)
    assert patient.settings == dataclasses.replace(usual.settings, attack=TINY.patient, targets=3)
    assert set(patient.targets.tolist()) < set(usual.targets.tolist())
    assert usual.settings.training_noise == TINY.training_noise > 0


def test_a_second_run_reads(lab: ReplicationLab, results: dict[str, Any]) -> None:
    seen: list[str] = []
    stages = Stages("replication", progress=seen.append)
    again = replication.run(ReplicationLab(TINY, data="synthetic", seed=3, stages=stages))
    assert json.loads(json.dumps(again)) == results
    assert [row["seconds"] for row in again["rows"]] == [row["seconds"] for row in results["rows"]]


def test_one_net_decides_nothing(results: dict[str, Any]) -> None:
    assert {row["verdict"] for row in results["answers"]} == {"not decided"}


def rows_of(hits: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """What a run tells of its sides, as far as answers need it: the last of them met every second person."""
    met = {name: range(0, 80, 2) if name == "few" else range(80) for name in hits}
    return [
        {"name": name, "attacked": list(met[name]), "hits": row[met[name]].astype(int).tolist(), "test_accuracy": right}
        for (name, row), right in zip(hits.items(), (0.9, 0.81, 0.9, 0.9), strict=True)
    ]


def test_answers_are_those_of_the_test_over_nets_corrected_within_each_family() -> None:
    asked = [{"family": PRIMARY, "a": "none", "b": "vote"}, {"family": OTHER, "a": "none", "b": "same"},
             {"family": PRIMARY, "a": "none", "b": "same"}, {"family": ESTIMATE, "a": "none", "b": "few"}]  # fmt: skip
    places = np.random.default_rng(0).permutation(80)
    runs = [
        {"none": places < 56 + net % 3, "vote": places < 40 + net, "same": places < 56 + net % 2, "few": places < 30}
        for net in range(9)
    ]
    found = answers(asked, [rows_of(run) for run in runs])
    stacked = {name: np.stack([run[name] for run in runs]) for name in runs[0]}
    vote, same = (net_comparison(stacked["none"], stacked[name]) for name in ("vote", "same"))
    few = net_comparison(stacked["none"][:, ::2], stacked["few"][:, ::2])
    family = over_family([vote, same])
    assert [row["p_value"] for row in found] == [family[0].p_value, same.p_value, family[1].p_value, few.p_value]
    assert [row["pairs"] for row in found] == [720, 720, 720, 360]
    assert found[0]["verdict"] == "yes"
    assert found[1]["verdict"] == found[2]["verdict"] == "no (equivalent within 5 points)"
    assert found[3]["asr_a"] - found[3]["asr_b"] == pytest.approx(found[3]["difference"])
    assert found[0]["kept"] == pytest.approx(0.9)
    assert found[0]["kept_ci"] == pytest.approx([0.9, 0.9])


def test_seeds_join_to_one_study(results: dict[str, Any]) -> None:
    joined = replication.join([results] * 7)
    assert joined["seeds"] == 7
    assert {row["nets"] for row in joined["answers"]} == {7}
    tables = replication.tables(joined)
    assert len(tables["answers"]) == len(results["asked"])
    assert set(tables["sides"]["name"]) == {row["name"] for row in results["rows"]}
