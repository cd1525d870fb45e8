"""The memory of a run: results apart from nets, a state that lives as long as its stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from rp_tutorial.experiments.engine.stages import Stages


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forbidden(*_: object) -> None:
    raise AssertionError("computed twice")


def test_weights_are_remembered_apart_from_results(fresh_cache: Path) -> None:
    first = nn.Linear(3, 2)
    Stages("tiny").weights("net", {"seed": 0}, first, lambda: nn.init.constant_(first.weight, 2.0), owner="nets")
    second = Stages("other").weights("net", {"seed": 0}, nn.Linear(3, 2), forbidden, owner="nets")
    assert torch.equal(second.weight, torch.full((2, 3), 2.0))
    assert not second.training
    assert list((fresh_cache / "nets" / "nets").iterdir())
    assert not (fresh_cache / "results").exists()


def test_a_state_outlives_a_kill_and_not_its_stage() -> None:
    def dies(state: Path) -> None:
        state.write_text("half")
        raise KeyboardInterrupt

    def goes_on(state: Path) -> str:
        return state.read_text() + " and half"

    with pytest.raises(KeyboardInterrupt):
        Stages("tiny").result("long", {"n": 1}, dies)
    assert Stages("tiny").result("long", {"n": 1}, goes_on) == "half and half"
    assert Stages("tiny").result("long", {"n": 1}, forbidden) == "half and half"

    def starts_anew(state: Path) -> bool:
        return state.exists()

    assert Stages("tiny", force=True).result("long", {"n": 1}, starts_anew) is False


def test_results_have_the_same_types_whether_remembered_or_not() -> None:
    first = Stages("tiny").result("pairs", {}, lambda state: {"a": (1, 2)})
    assert first == Stages("tiny").result("pairs", {}, forbidden) == {"a": [1, 2]}


def test_who_watches_hears_of_a_stage_once() -> None:
    named: list[str] = []
    stages = Stages("tiny", progress=named.append)
    for _ in range(2):
        stages.result("a", {}, lambda state: 1)
    assert named == ["a"]
