"""Randomized response: its law, its advantage, and what memory changes."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.attacks.distinguishing import play
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.abstaining import AbstainingOracle, confidence_for_abstention
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.theory.response import (
    accuracy,
    advantage,
    keep_probability,
)


def constant_oracle(label: int, classes: int) -> PlainOracle:
    net = nn.Linear(2, classes)
    with torch.no_grad():
        net.weight.zero_()
        net.bias.zero_()
        net.bias[label] = 1.0
    return PlainOracle(net, num_classes=classes)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("epsilon", [0.3, 2.0])
def test_the_label_is_kept_as_often_as_the_formula_says(classes: int, epsilon: float) -> None:
    """Each count is binomial; the test fails with probability below 1e-6 for each of them."""
    n, truth = 20_000, 1
    labels = RandomizedResponse(constant_oracle(truth, classes), epsilon=epsilon, seed=1)(torch.zeros(n, 2))
    kept = keep_probability(epsilon, classes)
    for label in range(classes):
        p = kept if label == truth else (1 - kept) / (classes - 1)
        assert stats.binomtest(int((labels == label).sum()), n, p).pvalue > 1e-6


class Corner(nn.Module):
    """Label 0 right of the origin, the last of `classes` labels left of it."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.one_hot(torch.where(x[:, 0] > 0, 0, self.classes - 1), self.classes).float()


@pytest.mark.parametrize("epsilon", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("classes", [2, 10, 80])
def test_the_played_advantage_covers_its_formula(classes: int, epsilon: float) -> None:
    """A Clopper-Pearson interval of confidence 1 - 1e-6 around the game as played, for a pair of different labels.

    The test that is played is fitted on the rehearsal, so that it is at most as good as the best one: the lower end is
    a proven violation, the upper end may fail where the fit is poor, which enough rounds exclude.
    """
    oracle = RandomizedResponse(PlainOracle(Corner(classes), num_classes=classes), epsilon=epsilon, seed=7)
    x, other = torch.tensor([1.0]), torch.tensor([-1.0])
    found = play(oracle, x, other, rounds=8000, calibration_rounds=40_000, confidence=1 - 1e-6, seed=classes)
    assert found.low <= advantage(epsilon, classes) <= found.high


def test_the_lies_are_independent_of_a_game_with_the_same_seed() -> None:
    """Ten labels and few truths: coins from the stream of the lies would multiply the advantage."""
    oracle = RandomizedResponse(PlainOracle(Corner(10), num_classes=10), epsilon=1.0, seed=0)
    game = {"rounds": 20_000, "confidence": 1 - 1e-6, "seed": 0}
    found = play(oracle, torch.tensor([1.0]), torch.tensor([-1.0]), **game)
    assert found.low <= advantage(1.0, 10) <= found.high


def test_far_apart_or_side_by_side_makes_no_difference() -> None:
    """The advantage does not know a distance: within one label it is 0, across the boundary it is the formula."""
    near, far = (at_distance(d) for d in (1e-3, 50.0))
    played = {}
    for name, other in {"side by side": -near, "far apart": -far, "same label": far}.items():
        oracle = RandomizedResponse(PlainOracle(half_space_net(), num_classes=2), epsilon=1.0, seed=5)
        played[name] = play(oracle, near, other, rounds=20_000, confidence=1 - 1e-6)
    for name, expected in {"side by side": advantage(1.0, 2), "far apart": advantage(1.0, 2), "same label": 0}.items():
        assert played[name].low <= expected <= played[name].high


@pytest.mark.parametrize("classes", [2, 80])
@pytest.mark.parametrize("base", [0.7, 0.983, 1.0])
def test_the_accuracy_is_that_of_released_labels(classes: int, base: float) -> None:
    """Labels that are right with probability `base`, wrong ones uniform: a count, p-value above 1e-6."""
    n, epsilon = 20_000, 2.5
    draw = torch.Generator().manual_seed(11)
    truth = torch.randint(classes, (n,), generator=draw)
    wrong = (truth + torch.randint(1, classes, (n,), generator=draw)) % classes
    said = torch.where(torch.rand(n, generator=draw) < base, truth, wrong)
    right = int((said == truth).sum()) / n  # of this very sample: what is tested is the response alone
    net = nn.Embedding.from_pretrained(torch.eye(classes), freeze=True)
    oracle = PlainOracle(nn.Sequential(First(), net), num_classes=classes)
    released = RandomizedResponse(oracle, epsilon=epsilon, seed=2)(said[:, None].float())
    hits = int((released == truth).sum())
    assert stats.binomtest(hits, n, accuracy(epsilon, right, classes)).pvalue > 1e-6


class First(nn.Module):
    """The first column as an index."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 0].long()


@pytest.mark.parametrize("as_asked", [torch.Tensor.bfloat16, torch.Tensor.double, torch.Tensor.requires_grad_])
def test_a_memory_knows_inputs_of_every_dtype_again(as_asked) -> None:
    x = as_asked(torch.arange(80.0).view(40, 2))
    oracle = constant_oracle(1, 2)
    oracle.net.module.to(x.dtype)
    memoised = RandomizedResponse(oracle, epsilon=0.5, seed=3, memoised=True)
    first = memoised(x)
    assert torch.equal(memoised(x), first)
    assert len(set(first.tolist())) == 2


def test_fresh_answers_average_out_and_memoised_ones_do_not() -> None:
    person = torch.ones(1, 2).repeat(500, 1)
    fresh = RandomizedResponse(constant_oracle(1, 2), epsilon=0.5, seed=3)(person)
    assert 0 < int((fresh == 0).sum()) < 500
    assert int((fresh == 1).sum()) > 250  # a majority of lies at epsilon .5 has probability below 1e-7
    memoised = RandomizedResponse(constant_oracle(1, 2), epsilon=0.5, seed=3, memoised=True)
    assert len({*memoised(person).tolist(), *memoised(person).tolist()}) == 1
    assert len(set(memoised(torch.arange(400.0).view(200, 2)).tolist())) == 2, "neighbours draw their own"


def test_queries_and_forward_passes_are_counted() -> None:
    oracle = RandomizedResponse(constant_oracle(0, 2), epsilon=1.0, seed=0)
    oracle(torch.zeros(7, 2))
    assert (oracle.queries, oracle.forward_passes) == (7, 7)


def test_bad_settings_are_refused() -> None:
    for epsilon in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError):
            RandomizedResponse(constant_oracle(0, 2), epsilon=epsilon)
    silent = AbstainingOracle(nn.Linear(2, 2), num_classes=2, confidence=1.0)
    with pytest.raises(InputError):
        RandomizedResponse(silent, epsilon=1.0)(torch.zeros(3, 2))


def test_the_abstaining_net_is_silent_where_its_confidence_is_low() -> None:
    net = nn.Linear(1, 2)
    with torch.no_grad():
        net.weight.copy_(torch.tensor([[0.0], [1.0]]))
        net.bias.zero_()
    x = torch.linspace(-4, 4, 801)[:, None]
    share = 0.25
    oracle = AbstainingOracle(
        net, num_classes=2, confidence=confidence_for_abstention(net, x, num_classes=2, share=share)
    )
    labels = oracle(x)
    silent = (labels == ABSTAIN)[:, None]
    assert float(silent.double().mean()) == pytest.approx(share, abs=0.01)
    assert float(x[silent].abs().max()) < float(x[~silent].abs().min()) + 1e-6
    assert (labels[labels != ABSTAIN] == (x[:, 0] > 0).long()[labels != ABSTAIN]).all()
