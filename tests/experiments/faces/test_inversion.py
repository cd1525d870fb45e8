"""The inversion experiment: one attack against every arm, paired, resumable, and blind to everything but labels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from close import assert_close_to_scale, rounding

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.files import read_sealed
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose
from rp_tutorial.data.faces.task import from_text, to_float
from rp_tutorial.experiments.engine.runner import run as run_experiment
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.inversion import Arm, InversionLab, InversionSettings, comparisons, join
from rp_tutorial.oracles.smoothing import Smoothing

PROMISED = {
    "defense", "sigma", "n", "test_accuracy", "paper_accuracy", "asr", "asr_ci", "init_found", "queries",
    "forward_passes", "seconds",
}  # fmt: skip
TINY = InversionSettings(
    identities=6, train_images=30, test_images=8, public_images=200, images_seen=5400, evaluator_images_seen=1800,
    latent_dim=16, targets=4, pool=300, accuracy_images=40,
    arms=(Arm("none"), Arm("smoothing", 0.1, 10), Arm("fixed noise", 0.1, 10), Arm("abstaining", 0.1, 10),
          Arm("none", 0.1, augmented=True)),
    attack=dataclasses.replace(inversion.BOUNDED, patience=4, rejected_limit=4, max_iterations=12),
)  # fmt: skip


def run_tiny(settings: InversionSettings = TINY, **changes: object) -> dict:
    """The experiment on the settings, its stages under the name of the test's own cache."""
    stages = Stages("inversion", **changes)
    return inversion.run(InversionLab(settings, data="synthetic", seed=3, stages=stages))


@pytest.fixture(scope="module")
def results(own_cache: Path) -> dict:
    return run_tiny()


@pytest.fixture(scope="module")
def bench(results: dict) -> InversionLab:
    return InversionLab(TINY, data="synthetic", seed=3, stages=Stages("inversion"))


def test_every_arm_has_what_readers_were_promised(results: dict) -> None:
    assert results["targets"] == 4
    assert [arm["defense"] for arm in results["arms"]] == [arm.defense for arm in TINY.arms]
    for arm in results["arms"]:
        assert set(arm) >= PROMISED
        assert arm["asr_ci"][0] <= arm["asr"] <= arm["asr_ci"][1]
        assert arm["asr"] == np.mean(arm["hits"])
        assert 0 <= arm["init_found"] <= 4
        assert arm["forward_passes"] >= arm["queries"] * (1 if arm["n"] == 1 else arm["n"] // 2 + 1)


def test_a_second_run_reads_every_arm_and_every_net(results: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InversionLab, "_row", lambda *_: pytest.fail("an arm was computed again"))
    assert run_tiny() == results


def test_a_run_killed_inside_an_arm_resumes_to_the_same_result(
    results: dict, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stored arm is thrown away, its second computation killed in the middle, and then it goes on."""
    (stored,) = (own_cache / "results" / "inversion").glob(f"{TINY.arms[1].name}-*.json")
    kept = json.loads(read_sealed(stored))
    stored.unlink()
    real, calls = Smoothing.vote, []

    def dying(self: Smoothing, *args: object, **kwargs: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Smoothing, "vote", dying)
    with pytest.raises(KeyboardInterrupt):
        run_tiny()
    assert list((own_cache / "results" / "inversion").glob("*.state")), "nothing was kept"
    monkeypatch.setattr(Smoothing, "vote", real)
    again = run_tiny()["arms"][1]
    assert again | {"seconds": 0} == kept | {"seconds": 0}
    assert not list((own_cache / "results" / "inversion").glob("*.state")), "a finished arm needs no state"


def test_arms_share_targets_pool_and_directions(bench: InversionLab) -> None:
    """With noise too small to flip a label, the smoothed arm is the undefended one, step by step."""
    plain, smoothed = bench.attack(Arm("none")), bench.attack(Arm("smoothing", 1e-7, 10))
    assert torch.equal(plain.chosen, smoothed.chosen)
    assert_close_to_scale(smoothed.latent, plain.latent)
    assert torch.equal(plain.expansions, smoothed.expansions)


def test_arms_are_the_defences_they_say(bench: InversionLab) -> None:
    x = to_float(bench.task.x_test)
    plain, fixed = bench.oracle(Arm("none"), Purpose.ATTACK), bench.oracle(Arm("fixed noise", 0.5, 10), Purpose.ATTACK)
    assert torch.equal(plain(x), plain(x))
    assert torch.equal(fixed(x), fixed(x)), "fixed noise is a function of the image"
    fresh = bench.oracle(Arm("plain noise", 0.5), Purpose.ATTACK)
    assert not torch.equal(fresh(x), fresh(x)), "plain noise is redrawn"
    assert bool((bench.oracle(Arm("abstaining", 2.0, 10), Purpose.ATTACK)(x) == ABSTAIN).any())
    own, other = (bench.oracle(Arm("none", 0.1, augmented=a), Purpose.ATTACK) for a in (False, True))
    assert not torch.equal(own.net(x), other.net(x)), "the augmented net is another net"


def test_no_private_image_reaches_the_prior(
    bench: InversionLab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Private images are replaced by noise; the prior that a new lab trains is the same to the bit."""
    task = bench.task
    noise = torch.randint(256, task.x_train.shape, generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    poisoned = dataclasses.replace(task, x_train=noise, x_test=255 - task.x_test, fingerprint="poisoned")
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    monkeypatch.setattr("rp_tutorial.experiments.faces.lab._drawn", lambda *_, **__: poisoned)
    other = InversionLab(TINY, data="synthetic", seed=3, stages=Stages("inversion")).prior
    own = bench.prior.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in other.state_dict().items())


def test_the_cherry_picked_images_are_the_surest_of_each_identity(bench: InversionLab) -> None:
    lab = bench
    picked, labels = lab.cherry_picked
    assert torch.equal(labels, torch.arange(lab.num_classes))
    with torch.inference_mode():
        sure = lab.target()(picked).softmax(dim=1).gather(1, labels[:, None])[:, 0]
        logits = lab.target()(lab.task.x_test.float() / 255)
    tests = logits.softmax(dim=1)
    for k in range(lab.num_classes):
        assert sure[k] >= tests[lab.task.y_test == k, k].max() - rounding(logits)


def arm_row(name: str, hits: list[int], **about: object) -> dict:
    about = {"defense": name, "sigma": 0.1, "n": 10, "repeats": 1, "augmented": False} | about
    return about | {"name": name, "hits": hits}


def test_comparisons_are_exact_mcnemar_tests_on_the_same_targets() -> None:
    none = arm_row("none", [1] * 10 + [0] * 2, sigma=0.0, n=1)
    smoothed = arm_row("smoothing", [0] * 9 + [1] * 2 + [0])
    found = {row["question"]: row for row in comparisons([none, smoothed])}
    row = found["does smoothing lower ASR?"]
    assert (row["a"], row["b"], row["pairs"]) == ("none", "smoothing", 12)
    assert (row["only_a"], row["only_b"]) == (9, 1)
    assert row["difference"] == pytest.approx(8 / 12)
    assert row["p_value"] == pytest.approx(2 * 11 / 2**10)  # two tails of Binomial(10, 1/2) at 0 and 1
    assert "does a larger N lower ASR?" not in found, "a question without both arms is not asked"


def test_seeds_are_pooled_target_by_target(results: dict) -> None:
    joined = join([results, results, results])
    assert (joined["targets"], joined["seeds"]) == (12, 3)
    for one, three in zip(results["arms"], joined["arms"], strict=True):
        assert three["asr"] == pytest.approx(one["asr"])
        assert three["asr_ci"][1] - three["asr_ci"][0] < one["asr_ci"][1] - one["asr_ci"][0]
        assert three["asr_by_seed"] == [one["asr"]] * 3
        assert three["queries"] == 3 * one["queries"]
    other = results | {"arms": results["arms"][:-1]}
    with pytest.raises(InputError, match="all of the same arms"):
        join([results, other])


def test_real_people_leave_aggregates_behind_and_nothing_else(real_data: Path, own_cache: Path) -> None:
    settings = dataclasses.replace(TINY, identities=40, train_images=7, test_images=3, arms=TINY.arms[:1])
    source = f"folder:{real_data / 'orl_faces'}"
    document = inversion.run(InversionLab(settings, data=source, seed=0, stages=Stages("inversion")))
    (arm,) = document["arms"]
    assert document["real_people"]
    assert str(real_data) not in json.dumps(document)
    assert from_text(arm["mean_reconstruction"]).shape == (1, 3, 32, 32)
    assert from_text(arm["thumbnails"]).shape[-2:] == (8, 8), "a thumbnail of a real person was not coarse"
    assert not {"latent", "start", "images"} & set(arm)


@pytest.mark.parametrize("data", ["folder:/nowhere", "kaggle", "folder:", "celeba:/nowhere"])
def test_bad_data_is_refused_in_one_line(data: str, own_cache: Path) -> None:
    with pytest.raises(InputError) as caught:
        run_experiment("inversion", profile="smoke", data=data)
    assert "\n" not in str(caught.value)


def test_every_profile_names_its_deviations_and_its_control() -> None:
    for profile, settings in inversion.PROFILES.items():
        assert settings.arms[0] == Arm("none")
        names = [arm.name for arm in settings.arms]
        assert len(set(names)) == len(names)
        assert settings.attack.rejected_limit is not None, "a random oracle would keep the attack busy for ever"
        defences = {arm.defense for arm in settings.arms}
        assert defences >= {"none", "plain noise", "smoothing", "fixed noise"}
        assert any(arm.repeats > 1 for arm in settings.arms)
        further = {arm.defense for arm in settings.arms if arm.augmented or arm.defense == "abstaining"}
        assert further == ({"none", "smoothing", "abstaining"} if profile != "gpu" else set())
    assert inversion.PROFILES["paper"].attack.patience == BREP_MI.patience
