"""The adaptive experiment: every attacker meets every defence, with one budget, and is remembered on its own."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rp_tutorial.attacks.inversion.registry import ATTACKS
from rp_tutorial.attacks.inversion.white_box import WhiteBox
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import adaptive
from rp_tutorial.experiments.faces.adaptive import AdaptiveLab, AdaptiveSettings, join
from rp_tutorial.experiments.faces.adaptive_results import REFERENCE
from rp_tutorial.experiments.faces.defenses import Defense
from rp_tutorial.experiments.faces.inversion import BOUNDED
from rp_tutorial.experiments.faces.private_nets import DP_SGD, PrivateTraining

PROMISED = {
    "defense", "attacker", "test_accuracy", "asr", "asr_ci", "asr_start", "hits", "queries", "forward_passes",
    "seconds",
}  # fmt: skip
TINY = AdaptiveSettings(
    identities=6, train_images=30, test_images=8, public_images=200, images_seen=5400, evaluator_images_seen=1800,
    latent_dim=16, targets=4, pool=300, accuracy_images=40, budget=330, student_images_seen=1700,
    white_box=WhiteBox(restarts=2, steps=10),
    private=PrivateTraining(public_images_seen=2000, kept=16), defenses=(Defense("none"), Defense("plain noise", 0.15)),
    attack=dataclasses.replace(BOUNDED, patience=4, rejected_limit=4, max_iterations=12),
)  # fmt: skip

LABELS_ONLY = [name for name in ATTACKS if ATTACKS[name].sees == "labels"]


def run_tiny(settings: AdaptiveSettings = TINY) -> dict:
    return adaptive.run(AdaptiveLab(settings, data="synthetic", seed=3, stages=Stages("adaptive")))


@pytest.fixture(scope="module")
def results(own_cache: Path) -> dict:
    return run_tiny()


@pytest.fixture(scope="module")
def bench(results: dict) -> AdaptiveLab:
    return AdaptiveLab(TINY, data="synthetic", seed=3, stages=Stages("adaptive"))


def test_every_defence_meets_every_attacker_and_none_spends_more_than_the_others_may(results: dict) -> None:
    more = [row for row in results["rows"] if row["sees"] != "labels"]
    assert len(results["rows"]) == 2 * len(ATTACKS) - len(more)
    assert {row["defense"] for row in more} == {"none"}, "scores and weights of an undefended net only"
    assert {row["attacker"] for row in more} == {name for name in ATTACKS if ATTACKS[name].sees != "labels"}
    assert results["budget"] == {"a_target": 330, "search": 300, "total": 300 + 4 * 330}
    for row in results["rows"]:
        assert set(row) >= PROMISED
        assert row["asr"] == np.mean(row["hits"])
        assert row["queries"] <= results["budget"]["total"]
        assert max(row.get("queries_by_target", [0])) <= 330
    surrogates = [row for row in results["rows"] if "answers" in ATTACKS[row["attacker"]].needs]
    assert all(row["queries"] == results["budget"]["total"] for row in surrogates)


def test_the_best_attacker_of_every_defence_stands_beside_brep_mi(results: dict) -> None:
    assert [row["defense"] for row in results["best"]] == ["none", "plain noise, sigma 0.15"]
    for row in results["best"]:
        reference = next(r for r in results["rows"] if (r["defense"], r["attacker"]) == (row["defense"], REFERENCE))
        assert row["reference_asr"] == reference["asr"]
        assert REFERENCE not in row["chosen"]
        assert {test["attacker"] for test in row["tests"]} == set(LABELS_ONLY) - {REFERENCE}


def test_every_attacker_says_which_guarantee_it_contradicts(results: dict) -> None:
    described = {about["name"]: about for about in results["attackers"]}
    assert set(described) == {row["attacker"] for row in results["rows"]}
    assert all(about["guarantee"] and about["exploits"] for about in described.values())


def test_a_second_run_computes_nothing_and_results_are_small(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AdaptiveLab, "_row", lambda *_: pytest.fail("computed again"))
    assert run_tiny() == results
    assert len(json.dumps(results)) < 75_000


def test_a_run_announces_every_stage_once(results: dict) -> None:
    announced: list[str] = []
    stages = Stages("adaptive", progress=announced.append)
    assert adaptive.run(AdaptiveLab(TINY, data="synthetic", seed=3, stages=stages)) == results
    assert len(announced) == len(set(announced))
    assert len(announced) == 3 + len(results["rows"]), "target, prior and evaluator, and every pair"


def test_no_private_image_reaches_an_attacker(bench: AdaptiveLab) -> None:
    """What surrogates are made of comes from public images and the prior: the first are the public ones themselves."""
    public = {image.numpy().tobytes() for image in bench.task.public}
    private = {image.numpy().tobytes() for image in torch.cat([bench.task.x_train, bench.task.x_test])}
    asked = [image.numpy().tobytes() for image in bench.images]
    assert set(asked[:200]) == public
    assert not private & set(asked)
    assert len(asked) == bench.total


def test_all_attackers_meet_the_same_release(bench: AdaptiveLab) -> None:
    x = bench.prior(bench.prior.latents(50, seed=0))
    noisy = Defense("plain noise", 0.5)
    for defense in (noisy, Defense("memoised response", epsilon=1.0)):
        first, second = (bench.oracle(defense), bench.oracle(defense))
        said = first(x)
        assert torch.equal(bench.oracle(defense)(x), said)
        assert second.queries == len(x), "counted from the beginning"
    assert not torch.equal(bench.oracle(noisy)(x), bench.oracle(noisy, purpose=Purpose.ACCURACY)(x))


def test_seeds_are_pooled_target_by_target_and_the_best_chosen_anew(results: dict) -> None:
    joined = join([results] * 3)
    assert (joined["targets"], joined["seeds"]) == (12, 3)
    for one, three in zip(results["rows"], joined["rows"], strict=True):
        assert three["asr"] == pytest.approx(one["asr"])
        assert three["asr_by_seed"] == [one["asr"]] * 3
        assert three["queries"] == 3 * one["queries"]
        assert three["test_accuracy"] == pytest.approx(one["test_accuracy"])
    for one, three in zip(results["best"], joined["best"], strict=True):
        assert three["chosen"] == one["chosen"]
        assert three["asr"] == pytest.approx(one["asr"])
    with pytest.raises(InputError, match="all of the same arms"):
        join([results, results | {"rows": results["rows"][:-1]}])


def test_tables_have_a_row_a_pair_and_a_row_a_defence(results: dict) -> None:
    assert len(adaptive.table(results)) == len(results["rows"])
    assert len(adaptive.best_table(results)) == 2
    assert REFERENCE in adaptive.summary(results)
    assert set(adaptive.tables(results)) == {"attackers", "best", "tests"}


def test_every_profile_covers_every_kind_of_defence() -> None:
    for name, settings in adaptive.PROFILES.items():
        kinds = {defense.defense for defense in settings.defenses}
        assert kinds >= {"none", "smoothing", DP_SGD}
        assert name == "smoke" or kinds >= {"plain noise", "abstaining", "memoised response"}
        assert len({defense.label for defense in settings.defenses}) == len(settings.defenses)
        if name != "smoke":
            assert "randomized response" in kinds
            assert len([d for d in settings.defenses if d.defense == "smoothing" and not d.net]) == 2


def test_bad_data_is_refused_in_one_line(own_cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        run_experiment("adaptive", profile="smoke", data="folder:/nowhere")
    assert "\n" not in str(caught.value)


def test_the_whole_experiment_runs_on_a_folder_of_photographs(real_data: Path, own_cache: Path) -> None:
    settings = dataclasses.replace(TINY, identities=10, train_images=7, test_images=3, defenses=TINY.defenses[1:])
    source = f"folder:{real_data / 'orl_faces'}"
    results = adaptive.run(AdaptiveLab(settings, data=source, seed=0, stages=Stages("adaptive")))
    assert results["real_people"]
    assert len(results["rows"]) == len(LABELS_ONLY)
    kept = set().union(*results["rows"])
    assert not kept & {"latent", "latents", "start", "images", "thumbnails", "mean_start", "mean_reconstruction"}
