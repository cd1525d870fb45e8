"""The memory of a run: results apart from nets, a state that lives as long as its stage."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.files import read_sealed, write_sealed
from rp_tutorial.experiments.engine.stages import Stages, damaged, kept


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
        write_sealed(state, b"half")
        raise KeyboardInterrupt

    def goes_on(state: Path) -> str:
        return read_sealed(state).decode() + " and half"

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


def spoil(path: Path, how: str) -> None:
    """What happens to files: power is lost, disks err, people copy and edit."""
    whole = path.read_bytes()
    other = path.with_name("other" + path.suffix)
    write_sealed(other, whole.split(b"\n", 1)[1])
    path.write_bytes({
        "empty": b"", "cut": whole[:-3], "digit": whole[:-2] + b"9" + whole[-1:], "longer": whole + b" ",
        "another's": other.read_bytes(), "garbage": bytes(range(256)), "unsealed": whole.split(b"\n", 1)[1],
    }[how])  # fmt: skip
    other.unlink()


@pytest.mark.parametrize("how", ["empty", "cut", "digit", "longer", "another's", "garbage", "unsealed"])
def test_what_is_not_what_was_written_is_computed_again_and_said_once(how, fresh_cache, caplog) -> None:
    def train() -> None:
        nn.init.constant_(net.weight, 2.0)

    net = nn.Linear(3, 2)
    Stages("tiny").result("rows", {}, lambda state: [1.25, 2.0])
    Stages("tiny").weights("net", {}, net, train, owner="nets")
    for path in kept():
        spoil(path, how)
    assert damaged() == kept()
    nn.init.zeros_(net.weight)
    assert Stages("tiny").result("rows", {}, lambda state: [3.5]) == [3.5]
    assert bool((Stages("tiny").weights("net", {}, net, train, owner="nets").weight == 2).all())
    assert len(caplog.messages) == 2
    assert all("damaged and is computed again" in message for message in caplog.messages)
    assert Stages("tiny").result("rows", {}, forbidden) == [3.5]
    assert not damaged()
    assert len(caplog.messages) == 2


def test_a_damaged_state_is_forgotten(caplog) -> None:
    def dies(state: Path) -> None:
        write_sealed(state, b"half")
        spoil(state, "digit")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages("tiny").result("long", {}, dies)
    assert Stages("tiny").result("long", {}, lambda state: state.exists()) is False
    assert "damaged" in caplog.text


@pytest.mark.parametrize("place", ["/dev/null", "/dev/null/deeper", "a file"])
def test_a_cache_that_cannot_be_is_refused_before_the_work(place, tmp_path, monkeypatch) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / place if place == "a file" else place))
    with pytest.raises(InputError, match=r"^RP_TUTORIAL_CACHE: got [^\n]*$"):
        Stages("tiny").result("rows", {}, forbidden)


def test_a_full_disk_is_one_line(monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("rp_tutorial.experiments.engine.stages.write_sealed", full)
    with pytest.raises(InputError, match=r"^RP_TUTORIAL_CACHE: got .*No space left on device"):
        Stages("tiny").result("rows", {}, lambda state: 1)
