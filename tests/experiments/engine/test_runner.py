"""The runner: what is remembered, what survives a kill, and what reaches the output folder."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine import runner
from rp_tutorial.experiments.engine.runner import Stages, run_experiment


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@dataclasses.dataclass(frozen=True)
class TinySettings:
    value: int = 1
    device: str = "cpu"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An experiment of three stages that counts its calls and can be told to die in the last."""
    module = SimpleNamespace(calls=[], dies=False, TIERS=("synthetic",))
    module.PROFILES = {name: TinySettings() for name in runner.PROFILES}

    def stage(name: str) -> str:
        module.calls.append(name)
        if module.dies and name == "c":
            raise RuntimeError("killed")
        return name

    def run(settings: TinySettings, *, data: str, seed: int, stages: Stages) -> dict:
        key = {"settings": vars(settings), "seed": seed}
        return {name: stages.result(name, key, lambda name=name: stage(name)) for name in "abc"}

    module.run, module.extra_files = run, lambda document: {"table.csv": "x\n"}
    monkeypatch.setattr(runner, "experiment_module", lambda name: module)
    return module


def test_a_second_run_of_the_same_settings_computes_nothing(tiny: SimpleNamespace) -> None:
    first = run_experiment("insurance-threshold", profile="smoke")
    second = run_experiment("insurance-threshold", profile="smoke")
    assert tiny.calls == ["a", "b", "c"]
    assert first["results"] == second["results"]


def test_another_seed_and_force_compute_anew(tiny: SimpleNamespace) -> None:
    run_experiment("insurance-threshold", profile="smoke")
    run_experiment("insurance-threshold", profile="smoke", seed=1)
    run_experiment("insurance-threshold", profile="smoke", force=True)
    assert tiny.calls == ["a", "b", "c"] * 3


def test_a_run_that_died_resumes_with_the_stage_it_died_in(tiny: SimpleNamespace, tmp_path: Path) -> None:
    tiny.dies = True
    with pytest.raises(RuntimeError):
        run_experiment("insurance-threshold", profile="smoke", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    tiny.dies = False
    run_experiment("insurance-threshold", profile="smoke", out=tmp_path / "out")
    assert tiny.calls == ["a", "b", "c", "c"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.json", "table.csv"]


def test_edited_code_forgets_what_older_code_computed(tiny: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_experiment("insurance-threshold", profile="smoke")
    monkeypatch.setattr(runner, "code_hash", lambda: "edited")
    run_experiment("insurance-threshold", profile="smoke")
    assert tiny.calls == ["a", "b", "c"] * 2


def test_results_json_says_what_was_run(tiny: SimpleNamespace, tmp_path: Path) -> None:
    run_experiment("insurance-threshold", profile="smoke", data="/some/where/rows.csv", seed=3, out=tmp_path / "out")
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    expected = {"experiment", "profile", "data", "seed", "settings", "results", "seconds", "versions"}
    assert set(document) == expected
    assert document["data"] == "rows.csv", "the path of a reader's file is nobody's business"
    assert (document["profile"], document["seed"]) == ("smoke", 3)
    assert document["versions"]["torch"] == torch.__version__.split("+")[0]


@pytest.mark.parametrize(
    ("name", "taken", "refused"),
    [
        ("insurance-threshold", ["synthetic", "diabetes", "rows.csv"], ["folder:faces", "celeba:x", "lfw"]),
        ("guarantee-audit", ["synthetic"], ["rows.csv", "folder:faces", "kaggle"]),
        ("inversion", ["synthetic", "lfw", "folder:faces", "celeba:x"], ["kaggle", "rows.csv"]),
    ],
)
def test_an_experiment_takes_its_own_kind_of_data(name: str, taken: list[str], refused: list[str]) -> None:
    module = runner.experiment_module(name)
    assert all(runner.takes(module, data) for data in taken)
    assert not any(runner.takes(module, data) for data in refused)


def test_nets_outlive_edits_that_do_not_concern_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Results are forgotten when any code changes; nets when the data, the models, their training or recipe do."""
    before = runner.training_hash(__file__)
    monkeypatch.setattr(runner, "code_hash", lambda: "edited")
    assert runner.training_hash.__wrapped__(__file__) == before
    recipe = tmp_path / "recipe.py"
    recipe.write_text("steps = 1\n")
    first = runner.training_hash.__wrapped__(str(recipe))
    recipe.write_text("steps = 2\n")
    assert runner.training_hash.__wrapped__(str(recipe)) != first


def test_a_folder_of_faces_is_named_without_its_place(tiny: SimpleNamespace) -> None:
    document = run_experiment("insurance-threshold", profile="smoke", data="folder:/some/where/people")
    assert document["data"] == "folder:people"


def test_progress_names_every_stage(tiny: SimpleNamespace) -> None:
    named: list[str] = []
    run_experiment("insurance-threshold", profile="smoke", progress=named.append)
    assert named == ["a", "b", "c"]


def test_a_failed_write_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    runner.write_atomically(path, "old")
    with pytest.raises(TypeError):
        runner.write_atomically(path, 1)  # type: ignore[arg-type]
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.json"]


def test_weights_are_remembered_apart_from_results(fresh_cache: Path) -> None:
    def build() -> nn.Module:
        return nn.Linear(3, 2)

    def forbidden() -> None:
        raise AssertionError("trained twice")

    first = build()
    Stages("tiny").weights("net", {"seed": 0}, first, lambda: nn.init.constant_(first.weight, 2.0))
    second = Stages("tiny").weights("net", {"seed": 0}, build(), forbidden)
    assert torch.equal(second.weight, torch.full((2, 3), 2.0))
    assert not second.training
    assert list((fresh_cache / "nets" / "tiny").iterdir())
    assert not (fresh_cache / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"name": "bmi"}, "experiment"),
        ({"profile": "huge"}, "profile"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"device": "tpu"}, "device"),
        ({"data": "nowhere.csv"}, "data"),
        ({"out": __file__}, "out"),
        ({"out": __file__ + "/below"}, "out"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: dict, names: str) -> None:
    with pytest.raises(InputError) as caught:
        run_experiment(**({"name": "insurance-threshold", "profile": "smoke"} | arguments))
    assert str(caught.value).startswith(names)
    assert "\n" not in str(caught.value)


def test_a_killed_process_resumes_and_ends_with_the_same_results(tmp_path: Path, fresh_cache: Path) -> None:
    command = [sys.executable, "-c", "from rp_tutorial.cli import main; main()"]
    arguments = ["run", "insurance-threshold", "--profile", "smoke", "--out"]
    process = subprocess.Popen([*command, *arguments, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
    finished = fresh_cache / "results" / "insurance-threshold"
    deadline = time.monotonic() + 120
    while not list(finished.glob("table1-*.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path: path.stat().st_mtime_ns for path in finished.glob("table1-*.json")}
    assert kept
    assert not (tmp_path / "killed" / "results.json").exists(), "too fast to be killed: the test shows nothing"
    resumed = run_experiment("insurance-threshold", profile="smoke", out=tmp_path / "killed")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a finished stage was computed again"
    whole = run_experiment("insurance-threshold", profile="smoke", force=True)
    assert resumed["results"] == whole["results"]
