"""An oracle that was cut off goes on as if it had not been: same labels, same counters, through a file."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.abstaining import AbstainingOracle
from rp_tutorial.oracles.attribute import AttributeSmoothing
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.deterministic import DeterministicRP
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.oracles.vote_counting import NOISES

CLASSES = 4
TABLE_NET = two_layer_net(8, num_classes=CLASSES, seed=3)


def image_net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, CLASSES)
    )


IMAGE_NET = image_net()
SHAPES = {"table": (8,), "images": (3, 8, 8)}
NETS = {"table": TABLE_NET, "images": IMAGE_NET}


def smoothing(net: nn.Module, *, noise: str = "independent", seed: int = 5) -> Smoothing:
    return Smoothing(net, num_classes=CLASSES, sigma=1.0, noise=noise, seed=seed)


def responding(net: nn.Module, *, memoised: bool, seed: int = 5) -> RandomizedResponse:
    """Randomness on randomness: lies about labels that are votes."""
    return RandomizedResponse(VoteOracle(smoothing(net, seed=seed), n=3), epsilon=1.0, seed=seed, memoised=memoised)


BUILDS: dict[str, Callable[..., LabelOracle]] = {
    "plain": lambda net, **_: PlainOracle(net, num_classes=CLASSES),
    "abstaining": lambda net, **_: AbstainingOracle(net, num_classes=CLASSES, confidence=0.3),
    "randomized response": lambda net, **seed: responding(net, memoised=False, **seed),
    "memoised response": lambda net, **seed: responding(net, memoised=True, **seed),
}
for kind in NOISES:
    BUILDS[f"curtailed vote, {kind}"] = lambda net, kind=kind, **seed: VoteOracle(
        smoothing(net, noise=kind, **seed), n=7, curtailed=True
    )
    BUILDS[f"vote, {kind}"] = lambda net, kind=kind, **seed: VoteOracle(smoothing(net, noise=kind, **seed), n=7)
    BUILDS[f"predict, {kind}"] = lambda net, kind=kind, **seed: PredictOracle(
        smoothing(net, noise=kind, **seed), n=12, alpha=0.2
    )
CASES = [(name, shape) for name in BUILDS for shape in SHAPES]
RANDOM = [(name, shape) for name, shape in CASES if name not in ("plain", "abstaining")]


def inputs(shape: str, rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, *SHAPES[shape], generator=torch.Generator().manual_seed(seed))


def through_a_file(state: dict) -> dict:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def play(oracle: LabelOracle, shape: str, *, moment: int = 0) -> list[list[int]]:
    """Batches of several sizes: the first is that of every moment, so what a memory holds comes up again."""
    seeds = {30: 0, 1: moment + 1, 57: moment + 2}
    return [oracle(inputs(shape, rows, seed=seed)).tolist() for rows, seed in seeds.items()]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_restored_oracle_goes_on_with_the_labels_it_would_have_given(name: str, shape: str) -> None:
    oracle = BUILDS[name](NETS[shape])
    play(oracle, shape)
    state = through_a_file(oracle.state())
    expected, counters = play(oracle, shape, moment=7), (oracle.queries, oracle.forward_passes)
    for later in (oracle, BUILDS[name](NETS[shape]), BUILDS[name](NETS[shape], seed=99)):
        later.restore(state)
        assert play(later, shape, moment=7) == expected
        assert (later.queries, later.forward_passes) == counters


@pytest.mark.parametrize(("name", "shape"), RANDOM)
def test_without_its_state_a_random_oracle_gives_other_labels(name: str, shape: str) -> None:
    oracle, other = BUILDS[name](NETS[shape]), BUILDS[name](NETS[shape], seed=99)
    first, second = play(oracle, shape), play(oracle, shape)
    assert first != play(other, shape)
    assert (first == second) == ("fixed" in name or "memoised" in name)


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_state_is_a_snapshot_that_later_queries_do_not_move(name: str, shape: str) -> None:
    oracle = BUILDS[name](NETS[shape])
    play(oracle, shape)
    taken, copied = oracle.state(), through_a_file(oracle.state())
    expected = play(oracle, shape, moment=7)
    for state in (taken, copied, taken):
        oracle.restore(state)
        assert play(oracle, shape, moment=7) == expected


@pytest.mark.parametrize("kind", NOISES)
def test_the_state_of_a_stream_is_two_integers_and_survives_json(kind: str) -> None:
    oracle = BUILDS[f"curtailed vote, {kind}"](TABLE_NET, seed=2**70)
    play(oracle, "table")
    state = oracle.state()
    assert (state["randomness"]["seed"], type(state["randomness"]["tile"])) == (2**70, int)
    assert json.loads(json.dumps(state)) == through_a_file(state) == state
    later = BUILDS[f"curtailed vote, {kind}"](TABLE_NET)
    later.restore(json.loads(json.dumps(state)))
    assert play(later, "table", moment=7) == play(oracle, "table", moment=7)


def test_a_wrapper_restores_the_oracle_behind_it() -> None:
    oracle = BUILDS["memoised response"](TABLE_NET)
    play(oracle, "table")
    later = BUILDS["memoised response"](TABLE_NET, seed=99)
    later.restore(oracle.state())
    assert later.oracle.queries == oracle.oracle.queries == 88
    assert later.oracle.smoothing.forward_passes == oracle.oracle.smoothing.forward_passes == 264


@pytest.mark.parametrize("build", [lambda: AttributeSmoothing(TABLE_NET, attribute=0, sigma=1.0),
                                   lambda: DeterministicRP(TABLE_NET, num_classes=CLASSES)])  # fmt: skip
def test_a_deterministic_oracle_has_its_counters_for_a_state(build: Callable[[], LabelOracle]) -> None:
    oracle, later = build(), build()
    labels = oracle(inputs("table", 6))
    later.restore(through_a_file(oracle.state()))
    assert (later.queries, later.forward_passes) == (6, 6)
    assert torch.equal(later(inputs("table", 6)), labels)


def test_a_deterministic_release_takes_images() -> None:
    net = two_layer_net(192, num_classes=CLASSES)
    x = inputs("images", 5)
    assert torch.equal(DeterministicRP(net, num_classes=CLASSES)(x), net(x.flatten(1)).argmax(dim=1))


VOTE = BUILDS["vote, independent"](TABLE_NET)
LYING = BUILDS["memoised response"](TABLE_NET)


def changed(state: dict, key: str, value: object) -> dict:
    return {**state, "randomness": {**state["randomness"], key: value}}


def without(state: dict, key: str) -> dict:
    return {**state, "randomness": {name: value for name, value in state["randomness"].items() if name != key}}


BAD_STATES = {
    "not a dict": (VOTE, None),
    "a list": (VOTE, [1, 2]),
    "empty": (VOTE, {}),
    "of another oracle": (VOTE, BUILDS["plain"](TABLE_NET).state()),
    "of another noise": (VOTE, BUILDS["vote, fixed"](TABLE_NET).state()),
    "without counters": (VOTE, {"oracle": "VoteOracle", "randomness": VOTE.state()["randomness"]}),
    "with a negative counter": (VOTE, {**VOTE.state(), "queries": -1}),
    "without randomness": (VOTE, {"oracle": "VoteOracle", "queries": 0, "forward_passes": 0}),
    "with no tile": (VOTE, without(VOTE.state(), "tile")),
    "with no seed": (VOTE, without(VOTE.state(), "seed")),
    "with a seed below 0": (VOTE, changed(VOTE.state(), "seed", -1)),
    "with a seed of text": (VOTE, changed(VOTE.state(), "seed", "text")),
    "with a tile below 0": (VOTE, changed(VOTE.state(), "tile", -1)),
    "with a tile of float": (VOTE, changed(VOTE.state(), "tile", 3.0)),
    "with a tile beyond the last": (VOTE, changed(VOTE.state(), "tile", 2**32)),
    "of another device": (VOTE, changed(VOTE.state(), "device", "cuda")),
    "with a tile of tensors": (VOTE, changed(VOTE.state(), "tile", torch.zeros(16, 5056, dtype=torch.uint8))),
    "with no memory": (LYING, {**LYING.state(), "randomness": {"oracle": VOTE.state()}}),
    "with a generator cut short": (LYING, changed(LYING.state(), "generator", torch.zeros(9, dtype=torch.uint8))),
    "with a memory of other keys": (LYING, changed(LYING.state(), "memo_keys", torch.zeros(3, 16))),
    "with answers missing": (LYING, changed(LYING.state(), "memo_keys", torch.zeros(3, 16, dtype=torch.uint8))),
    "with a foreign oracle inside": (LYING, changed(LYING.state(), "oracle", BUILDS["plain"](TABLE_NET).state())),
}


@pytest.mark.parametrize("case", BAD_STATES)
def test_a_state_that_does_not_fit_is_refused_in_one_line_and_changes_nothing(case: str) -> None:
    oracle, bad = BAD_STATES[case]
    before = oracle.state()
    with pytest.raises(InputError, match=r"^(state|queries|forward_passes|seed|tile|number): got ") as error:
        oracle.restore(bad)
    assert len(str(error.value).splitlines()) == 1
    assert str(oracle.state()) == str(before)
