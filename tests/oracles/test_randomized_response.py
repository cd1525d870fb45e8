"""Randomized response: its law, its advantage, and what memory changes."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.arguments import InputError
from rp_tutorial.oracles.abstaining import AbstainingOracle, confidence_for_abstention
from rp_tutorial.oracles.base import ABSTAIN
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import (
    RandomizedResponse,
    advantage,
    epsilon_for_advantage,
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
    labels = RandomizedResponse(constant_oracle(truth, classes), epsilon=epsilon, seed=1)(torch.randn(n, 2))
    kept = keep_probability(epsilon, classes)
    for label in range(classes):
        p = kept if label == truth else (1 - kept) / (classes - 1)
        assert stats.binomtest(int((labels == label).sum()), n, p).pvalue > 1e-6


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_advantage_is_half_the_total_variation_of_two_true_labels(classes: int) -> None:
    kept = keep_probability(1.0, classes)
    other = (1 - kept) / (classes - 1)
    assert advantage(1.0, classes) == pytest.approx((kept - other) / 2)
    assert advantage(1.0, classes) == pytest.approx((math.e - 1) / (2 * (math.e + classes - 1)))
    assert epsilon_for_advantage(advantage(1.0, classes), classes) == pytest.approx(1.0)


def test_fresh_answers_average_out_and_memoised_ones_do_not() -> None:
    person = torch.ones(1, 2).repeat(500, 1)
    fresh = RandomizedResponse(constant_oracle(1, 2), epsilon=0.5, seed=3)(person)
    assert 0 < int((fresh == 0).sum()) < 500
    assert int((fresh == 1).sum()) > 250  # a majority of lies at epsilon .5 has probability below 1e-7
    memoised = RandomizedResponse(constant_oracle(1, 2), epsilon=0.5, seed=3, memoised=True)
    assert len({*memoised(person).tolist(), *memoised(person).tolist()}) == 1
    assert len(set(memoised(torch.randn(200, 2)).tolist())) == 2, "neighbours draw their own"


def test_queries_and_forward_passes_are_counted() -> None:
    oracle = RandomizedResponse(constant_oracle(0, 2), epsilon=1.0)
    oracle(torch.zeros(7, 2))
    assert (oracle.queries, oracle.forward_passes) == (7, 7)


def test_bad_settings_are_refused() -> None:
    for epsilon in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError):
            RandomizedResponse(constant_oracle(0, 2), epsilon=epsilon)
    for target in (0.0, 0.5, float("nan")):
        with pytest.raises(InputError):
            epsilon_for_advantage(target, 2)
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
    oracle = AbstainingOracle(net, num_classes=2, confidence=confidence_for_abstention(net, x, share=share))
    labels = oracle(x)
    silent = (labels == ABSTAIN)[:, None]
    assert float(silent.double().mean()) == pytest.approx(share, abs=0.01)
    assert float(x[silent].abs().max()) < float(x[~silent].abs().min()) + 1e-6
    assert (labels[labels != ABSTAIN] == (x[:, 0] > 0).long()[labels != ABSTAIN]).all()
