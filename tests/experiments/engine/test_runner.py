"""The runner: what is remembered, and what reaches the output folder."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES, Experiment, register
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.engine.runner import run
from rp_tutorial.experiments.tables.lab import TABLES


@dataclasses.dataclass(frozen=True)
class TinySettings:
    values: tuple[int, ...] = (1, 2)
    other: float = 0.5
    device: str = "cpu"


class TinyLab(Lab):
    """Three stages that count their calls and can be told to die in the last."""

    calls: ClassVar[list[str]] = []
    dies = False

    def part(self, name: str) -> str:
        return self.stage(name, lambda: self.compute(name), without=("values",))

    def compute(self, name: str) -> str:
        self.calls.append(name)
        if self.dies and name == "c":
            raise RuntimeError("killed")
        return name


def run_tiny(lab: TinyLab) -> dict:
    return {name: lab.part(name) for name in "abc"}


TINY = Experiment(
    "tiny",
    TinyLab,
    run_tiny,
    dict.fromkeys(PROFILES, TinySettings()),
    TABLES,
    tables=lambda results: {"table": pd.DataFrame([results])},
    summary=str,
    needs=dict.fromkeys(PROFILES, "nothing"),
)


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(TinyLab, "calls", [])
    register(TINY)
    yield tmp_path / "cache"
    EXPERIMENTS.remove("tiny")


def test_a_second_run_of_the_same_settings_computes_nothing() -> None:
    first, second = run("tiny", profile="smoke"), run("tiny", profile="smoke")
    assert TinyLab.calls == ["a", "b", "c"]
    assert first["results"] == second["results"]


def test_another_seed_and_force_compute_anew() -> None:
    run("tiny"), run("tiny", seed=1), run("tiny", force=True)
    assert TinyLab.calls == ["a", "b", "c"] * 3


def test_a_setting_that_a_stage_has_not_leaves_it_alone_and_another_does_not() -> None:
    run("tiny"), run("tiny", values=(1, 2, 3))
    assert TinyLab.calls == ["a", "b", "c"]
    run("tiny", other=0.25)
    assert TinyLab.calls == ["a", "b", "c"] * 2


def test_a_run_that_died_resumes_with_the_stage_it_died_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TinyLab, "dies", True)
    with pytest.raises(RuntimeError):
        run("tiny", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(TinyLab, "dies", False)
    run("tiny", out=tmp_path / "out")
    assert TinyLab.calls == ["a", "b", "c", "c"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["results.json", "table.csv"]


def test_edited_code_forgets_what_older_code_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    run("tiny")
    monkeypatch.setattr("rp_tutorial.experiments.engine.lab.code_hash", lambda *_, **__: "edited")
    run("tiny")
    assert TinyLab.calls == ["a", "b", "c"] * 2


def test_results_json_says_what_was_run(tmp_path: Path) -> None:
    run("tiny", profile="smoke", data="/some/where/rows.csv", seed=3, out=tmp_path / "out", values=(7,))
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    fields = {"experiment", "profile", "data", "seed", "settings", "results", "seconds", "versions", "device", "code"}
    assert set(document) == fields
    assert document["data"] == "rows.csv", "the path of a reader's file is nobody's business"
    assert (document["profile"], document["seed"], document["settings"]["values"]) == ("smoke", 3, [7])
    assert document["versions"]["torch"] == torch.__version__.split("+")[0]
    assert document["code"] == TINY.code


def test_progress_names_every_stage() -> None:
    named: list[str] = []
    run("tiny", progress=named.append)
    assert named == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ({"name": "bmi"}, "experiment"),
        ({"profile": "huge"}, "profile"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"device": "tpu"}, "device"),
        ({"data": "nowhere.csv"}, "data"),
        ({"data": "folder:people"}, "data"),
        ({"out": __file__}, "out"),
        ({"out": __file__ + "/below"}, "out"),
        ({"sigma": 1}, "set"),
        ({"sigmas": "a,b"}, "set"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: dict, names: str) -> None:
    with pytest.raises(InputError) as caught:
        run(**({"name": "insurance-threshold", "profile": "smoke"} | arguments))
    assert str(caught.value).startswith(names)
    assert "\n" not in str(caught.value)
