"""A user's own defence, attack, source of faces and experiment, registered by a file outside the package."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rp_tutorial.attacks.inversion.registry import ATTACKS
from rp_tutorial.cli import main
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.registry import load_parts
from rp_tutorial.data.faces.registry import FACE_SOURCES
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.engine.runner import run
from rp_tutorial.experiments.faces.defenses import DEFENSES
from rp_tutorial.experiments.faces.inversion import Arm

pytestmark = pytest.mark.usefixtures("own_cache")

DEFENSE = """
import rp_tutorial as rp


class Rounded(rp.LabelOracle):
    def __init__(self, net, num_classes, step):
        super().__init__(num_classes=num_classes)
        self.net, self.step = net.eval(), step

    def _release(self, x):
        self.forward_passes += len(x)
        return self.net((x / self.step).round() * self.step).argmax(dim=1)


@rp.defense("rounded pixels", at=[{"sigma": 0.5}])
def rounded(lab, defense, *, seed, alpha):
    return Rounded(lab.target(), lab.num_classes, step=defense.sigma)
"""
ATTACK = """
import torch


@rp.attack("one look", exploits="a lucky candidate", guarantee="none: nothing is walked")
def one_look(oracle, scene, state):
    labels = oracle(scene.prior(scene.candidates)).cpu()
    hits = labels == scene.targets[:, None]
    latents = scene.candidates.cpu()[hits.long().argmax(dim=1)]
    latents[~hits.any(dim=1)] = torch.nan
    return rp.attacks.inversion.Attacked(rp.attacks.inversion.points(scene.targets, latents), {"queries": len(labels)})
"""
SOURCE = """
import dataclasses


@rp.data.face_source("negatives")
def negatives(*, size, limits, seed):
    task = rp.load_faces("synthetic", size=size, seed=seed, **dataclasses.asdict(limits))
    images = {name: 255 - getattr(task, name) for name in ("x_train", "x_test", "public")}
    return dataclasses.replace(task, source="negatives", fingerprint="negative " + task.fingerprint, **images)
"""
EXPERIMENT = """
import pandas as pd
from rp_tutorial.experiments.tables.threshold import PROFILES, ThresholdLab


def share_of_ones(lab):
    return {"ones": lab.stage("ones", lambda: float(lab.task.y_test.double().mean()), without=("sigmas",))}


rp.register(rp.experiments.Experiment(
    "share-of-ones", ThresholdLab, share_of_ones, PROFILES, rp.experiments.TABLES,
    tables=lambda results: {"shares": pd.DataFrame([results])}, summary=str, needs=dict.fromkeys(PROFILES, "seconds"),
))
"""
TINY = {
    "identities": 6, "train_images": 30, "test_images": 8, "public_images": 200, "images_seen": 5400,
    "evaluator_images_seen": 1800, "latent_dim": 16, "targets": 4, "pool": 300, "accuracy_images": 40,
    "attack__patience": 4, "attack__rejected_limit": 4, "attack__max_iterations": 12,
}  # fmt: skip


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("outside") / "mine.py"
    path.write_text(DEFENSE + ATTACK + SOURCE + EXPERIMENT)
    load_parts(str(path))
    yield path
    for parts in (DEFENSES, ATTACKS, FACE_SOURCES, EXPERIMENTS):
        for name in list(parts.outside()):
            parts.remove(name)


def test_each_of_them_is_a_few_lines() -> None:
    """The bar is 25 lines for a defence."""
    for text in (DEFENSE, ATTACK, SOURCE, EXPERIMENT):
        assert len([line for line in text.splitlines() if line.strip()]) <= 25


def test_a_defence_is_compared_by_the_experiments_that_compare_defences(mine: Path) -> None:
    assert Arm("rounded pixels", 0.5) in EXPERIMENTS["inversion"].settings("smoke").arms
    for name, setting in {"frontier": "arms", "adaptive": "defenses", "distillation": "teachers"}.items():
        listed = getattr(EXPERIMENTS[name].settings("smoke"), setting)
        assert "rounded pixels" in {defense.defense for defense in listed}


def test_defence_attack_and_source_run_in_the_inversion(mine: Path) -> None:
    few = TINY | {"arms": (Arm("none"), Arm("rounded pixels", 0.5))}
    walked = run("inversion", profile="smoke", data="negatives", **few)
    looked = run("inversion", profile="smoke", data="negatives", attacker="one look", **few)
    assert [arm["name"] for arm in walked["results"]["arms"]] == ["none", "rounded pixels, sigma 0.5"]
    assert [arm["queries"] for arm in looked["results"]["arms"]] == [300, 300]
    for arm in looked["results"]["arms"]:
        assert arm["hits"] == arm["start_hits"], "who does not walk ends where it starts"
    assert walked["data"] == "negatives"


def test_the_defence_is_a_point_of_the_frontier_without_a_promise(mine: Path) -> None:
    few = TINY | {"arms": (Arm("none"), Arm("smoothing", 0.18, 10), Arm("rounded pixels", 0.5))}
    points = run("frontier", profile="smoke", data="negatives", **few)["results"]["points"]
    found = {point["name"]: point for point in points}
    assert found["rounded pixels, sigma 0.5"]["family"] == "rounded pixels"
    assert found["rounded pixels, sigma 0.5"]["advantage"] is None


def test_an_edit_of_the_users_file_computes_its_arm_anew_and_no_other(mine: Path, monkeypatch) -> None:
    few = TINY | {"arms": (Arm("none"), Arm("rounded pixels", 0.5))}
    lab = EXPERIMENTS["inversion"].lab("smoke", data="negatives", **few)
    run("inversion", profile="smoke", data="negatives", **few)
    mine.write_text(mine.read_text().replace("self.net((x / self.step)", "self.net((2 * x / self.step)"))
    asked: list[str] = []
    monkeypatch.setattr(type(lab), "_row", lambda self, arm, state: asked.append(arm.name) or {})
    for arm in lab.settings.arms:
        lab.arm(arm)
    assert asked == ["rounded pixels, sigma 0.5"]


def test_the_command_line_knows_them_all(mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [
        "run share-of-ones --profile smoke",
        "run inversion --profile smoke --data negatives --set attacker=one_look --set targets=3",
    ]
    out = ["--out", str(tmp_path)]
    with pytest.raises(SystemExit) as left:
        main(["--with", str(mine), *lines[0].split(), *out])
    assert left.value.code == 0
    assert "ones" in capsys.readouterr().out
    assert 0 < json.loads((tmp_path / "results.json").read_text())["results"]["ones"] < 0.2
    with pytest.raises(SystemExit) as left:
        main(["--with", str(mine), *lines[1].split(), *out])
    assert left.value.code == 2
    assert "attacker: got 'one_look', allowed is one of" in capsys.readouterr().err


def test_a_document_carries_the_hash_of_the_users_code_as_well(mine: Path) -> None:
    before = EXPERIMENTS["inversion"].code
    mine.write_text(mine.read_text() + "\n\nMORE = 1\n")
    assert EXPERIMENTS["inversion"].code != before


def test_a_name_of_the_package_cannot_be_taken(mine: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.py"
    taken.write_text(DEFENSE.replace('"rounded pixels"', '"smoothing"'))
    with pytest.raises(InputError, match="defense: got 'smoothing'"):
        load_parts(str(taken))
