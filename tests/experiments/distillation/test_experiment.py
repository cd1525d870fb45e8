"""The distillation experiment: the same questions to every teacher, equal effort, and students compared in pairs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("opacus", reason="the teachers trained by DP-SGD need the extra dp")

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.experiments.distillation import experiment as distillation
from rp_tutorial.experiments.distillation.experiment import DistillationLab, DistillationSettings, Teacher
from rp_tutorial.experiments.distillation.students import MEASURES, hits_of, join, verdict
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.statistics.paired import paired_comparison

TINY = DistillationSettings(
    identities=6, train_images=30, test_images=8, public_images=200, images_seen=5400, latent_dim=16,
    held_out=40, accuracy_images=40, budgets=(64, 400), student_images_seen=512,
    teachers=(
        Teacher("none"), Teacher("none", student=1), Teacher("smoothing", 0.18, 10), Teacher("abstaining", 0.18, 10),
        Teacher("randomized response", epsilon=2.0), Teacher("memoised response", epsilon=2.0, repeats=4),
    ),
)  # fmt: skip
PROMISED = {"budget", "queries", "released", "images_seen", "agreement", "test_accuracy", "own_agreement"}


def run_tiny(settings: DistillationSettings = TINY) -> dict:
    """The experiment on the settings, its stages under the name of the test's own cache."""
    return distillation.run(DistillationLab(settings, data="synthetic", seed=3, stages=Stages("distillation")))


@pytest.fixture(scope="module")
def results(own_cache: Path) -> dict:
    return run_tiny()


@pytest.fixture(scope="module")
def school(results: dict) -> DistillationLab:
    return DistillationLab(TINY, data="synthetic", seed=3, stages=Stages("distillation"))


def by_name(results: dict) -> dict:
    return {teacher["name"]: teacher for teacher in results["teachers"]}


def test_every_student_has_what_readers_were_promised(results: dict) -> None:
    assert [teacher["name"] for teacher in results["teachers"]] == [teacher.name for teacher in TINY.teachers]
    for teacher in results["teachers"]:
        assert [student["budget"] for student in teacher["students"]] == list(TINY.budgets)
        for student in teacher["students"]:
            assert set(student) >= PROMISED
            for name in MEASURES:
                assert student[f"{name}_ci"][0] <= student[name] <= student[f"{name}_ci"][1]
                assert student[name] == np.mean(hits_of(student, name))
    assert json.loads(json.dumps(results)) == results


def test_every_student_had_the_same_effort_and_no_more_queries_than_its_budget(results: dict) -> None:
    for teacher in results["teachers"]:
        for student in teacher["students"]:
            assert 448 <= student["images_seen"] <= 512
            assert student["queries"] == student["budget"]
            assert student["released"] <= student["budget"] // teacher["repeats"]
        assert teacher["queries"] == max(TINY.budgets)
    silent = by_name(results)["abstaining, sigma 0.18, N = 10"]
    assert 0 < silent["abstention"] < 1
    assert silent["students"][-1]["released"] == round(400 * (1 - silent["abstention"]))


def test_a_second_run_reads_every_answer_and_every_student(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_lessons", "_student"):
        monkeypatch.setattr(DistillationLab, name, lambda *_: pytest.fail("something was computed again"))
    assert run_tiny() == results


def test_no_private_image_and_no_held_out_image_is_asked(school: DistillationLab) -> None:
    def as_set(images: torch.Tensor) -> set[bytes]:
        return {image.numpy().tobytes() for image in images}

    task, asked = school.task, as_set(school.asked)
    for kept in (task.x_train, task.x_test, school.held_out):
        assert not asked & as_set(kept)
    assert len(school.held_out) + len(school.public) == len(task.public)
    assert as_set(school.public) <= asked


def test_memoised_answers_are_the_fresh_ones_where_no_image_is_asked_twice(school: DistillationLab) -> None:
    """The public images themselves are asked once; a moved copy may by chance be the image it was."""

    def labels(kind: str, repeats: int) -> list[int]:
        lessons = school._lessons(Teacher(f"{kind} response", epsilon=2.0, repeats=repeats))
        return lessons["labels"][: len(school.public)]

    assert labels("memoised", 1) == labels("randomized", 1)
    assert labels("memoised", 4) != labels("randomized", 4)


def test_another_student_has_the_same_lessons_and_starts_elsewhere(school: DistillationLab) -> None:
    lessons = [school._lessons(Teacher("none", student=which))["labels"] for which in (0, 1)]
    assert lessons[0] == lessons[1]
    starts = [next(school.new_student(which).parameters()) for which in (0, 1)]
    assert not torch.equal(*starts)
    assert torch.equal(starts[0], next(school.new_student(0).parameters()))


def test_the_undefended_release_agrees_with_itself(results: dict) -> None:
    assert results["teachers"][0]["release_agreement"] == 1.0
    for student in results["teachers"][0]["students"]:
        assert student["own_agreement"] == student["agreement"]


def test_comparisons_are_exact_mcnemar_tests_with_the_undefended_student(results: dict) -> None:
    assert len(results["comparisons"]) == (len(TINY.teachers) - 1) * len(TINY.budgets) * len(MEASURES)
    for row in results["comparisons"]:
        assert row["a"] == "none"
        a, b = (
            next(s for s in by_name(results)[row[side]]["students"] if s["budget"] == row["budget"])
            for side in ("a", "b")
        )
        found = paired_comparison(*(hits_of(side, row["measure"]) for side in (a, b)))
        assert {name: row[name] for name in vars(found)} == vars(found)


def test_claims_are_about_votes_at_the_largest_budget(results: dict) -> None:
    assert [claim["measure"] for claim in results["claims"]] == list(MEASURES)
    for claim in results["claims"]:
        assert (claim["teacher"], claim["budget"]) == ("smoothing, sigma 0.18, N = 10", max(TINY.budgets))


@pytest.mark.parametrize(
    ("student_low", "low", "high", "expected"),
    [
        (0.09, -0.2, 0.3, "prevented"),
        (0.5, -0.03, 0.049, "not hindered"),
        (0.5, 0.01, 0.049, "not hindered"),
        (0.5, 0.01, 0.2, "hindered"),
        (0.5, -0.01, 0.051, "open"),
    ],
)
def test_verdicts_follow_the_rule_written_before_the_runs(
    student_low: float, low: float, high: float, expected: str
) -> None:
    assert verdict(student_low, 0.1, low, high) == expected


def test_seeds_are_pooled_image_by_image(results: dict) -> None:
    joined = join([results] * 3)
    assert (joined["seeds"], joined["test_images"]) == (3, 3 * results["test_images"])
    for one, three in zip(results["teachers"], joined["teachers"], strict=True):
        assert three["release_accuracy_images"] == 3 * one["release_accuracy_images"]
        for single, triple in zip(one["students"], three["students"], strict=True):
            assert triple["agreement"] == pytest.approx(single["agreement"])
            assert triple["agreement_by_seed"] == [single["agreement"]] * 3
            assert triple["agreement_ci"][1] - triple["agreement_ci"][0] < np.diff(single["agreement_ci"])[0]
    for one, three in zip(results["comparisons"], joined["comparisons"], strict=True):
        assert (three["only_a"], three["only_b"]) == (3 * one["only_a"], 3 * one["only_b"])
    other = results | {"teachers": results["teachers"][:-1]}
    with pytest.raises(InputError, match="all of the same arms"):
        join([results, other])


def test_a_teacher_who_never_answers_leaves_an_untrained_student(school: DistillationLab) -> None:
    mute = Teacher("abstaining", 0.18, 10)
    nothing = {"labels": [ABSTAIN] * 400}
    student = school._student(mute, 400, school._lessons(mute) | nothing)
    assert (student["released"], student["images_seen"]) == (0, 0)
    assert 0 <= student["agreement"] <= 1


def test_every_profile_has_each_kind_of_teacher_once_or_more() -> None:
    for settings in distillation.PROFILES.values():
        names = [teacher.name for teacher in settings.teachers]
        assert len(set(names)) == len(names)
        assert settings.teachers[0] == Teacher("none")
        kinds = {teacher.defense for teacher in settings.teachers}
        assert kinds == {
            "none", "smoothing", "plain noise", "abstaining", "randomized response", "memoised response", "DP-SGD"
        }  # fmt: skip
        assert list(settings.budgets) == sorted(set(settings.budgets))
        assert all(budget % teacher.repeats == 0 for budget in settings.budgets for teacher in settings.teachers)
        assert settings.student_images_seen >= max(settings.budgets)


def test_the_whole_experiment_runs_on_a_folder_of_photographs(real_data: Path, own_cache: Path) -> None:
    settings = dataclasses.replace(TINY, identities=10, train_images=7, test_images=3, teachers=TINY.teachers[:3])
    source = f"folder:{real_data / 'orl_faces'}"
    results = distillation.run(DistillationLab(settings, data=source, seed=0, stages=Stages("distillation")))
    assert results["real_people"]
    assert results["test_images"] == 10 * 3
    assert [len(teacher["students"]) for teacher in results["teachers"]] == [len(TINY.budgets)] * 3
