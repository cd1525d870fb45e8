"""Averaging: what repeated questions recover, to the digit where a law is known, and what a memory changes.

Counts are tested by p-values above 1e-6, so that each comparison fails with at most that probability.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from rp_tutorial.attacks.averaging import (
    average,
    plurality_success,
    queries_needed,
    repeated_advantage,
    response_success,
)
from rp_tutorial.attacks.distinguishing import play
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.theory.guarantees import halfspace_laws, repeated_tv, tv_of_dp
from rp_tutorial.theory.response import advantage, keep_probability, response_law

ERROR = 1e-6
LAWS = ([0.3, 0.7], [0.5, 0.3, 0.2], [0.4, 0.1, 0.25, 0.25], [0.4, 0.6, 0.0], [0.0, 1.0])


def by_enumeration(law: list[float], queries: int, label: int) -> float:
    """Every sequence of answers, its probability, and the share of the lot that falls on the label."""
    total = 0.0
    for answers in product(range(len(law)), repeat=queries):
        counts = np.bincount(answers, minlength=len(law))
        leading = counts == counts.max()
        total += np.prod(np.array(law)[list(answers)]) * leading[label] / leading.sum()
    return total


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("queries", [1, 2, 3, 6])
def test_the_exact_odds_are_those_of_every_sequence_counted(law: list[float], queries: int) -> None:
    for label in range(len(law)):
        found = plurality_success(law, queries=queries, label=label)
        assert found == pytest.approx(by_enumeration(law, queries, label), abs=1e-12)


def test_two_classes_are_the_binomial_majority() -> None:
    for queries in (1, 11, 501):
        exact = stats.binom.sf(queries // 2, queries, keep_probability(0.4, 2))
        assert response_success(0.4, 2, queries) == pytest.approx(exact, abs=1e-12)
        assert response_success(0.4, 2, queries + 1) == pytest.approx(exact, abs=1e-12), "an even vote adds a lot"


@pytest.mark.parametrize(("classes", "epsilon", "queries"), [(80, 2.0, 30), (10, 0.5, 200), (1000, 4.0, 12)])
def test_drawn_pluralities_hit_as_often_as_the_exact_odds_say(classes: int, epsilon: float, queries: int) -> None:
    rng, rounds = np.random.default_rng(3), 4000
    counts = rng.multinomial(queries, response_law(epsilon, classes, 0), size=rounds)
    winner = (counts + rng.random(counts.shape) / 2).argmax(axis=1)
    exact = response_success(epsilon, classes, queries)
    assert stats.binomtest(int((winner == 0).sum()), rounds, exact).pvalue > ERROR


def test_the_plurality_is_the_best_guess_against_randomized_response() -> None:
    """The mean over sequences of the largest posterior is what no attacker exceeds, for a uniform true label."""
    classes, epsilon, queries = 3, 0.9, 6
    laws = np.array([response_law(epsilon, classes, label) for label in range(classes)])
    sequences = np.array(list(product(range(classes), repeat=queries)))
    best = laws[:, sequences].prod(axis=-1).max(axis=0).sum() / classes
    assert response_success(epsilon, classes, queries) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 80])
def test_more_answers_never_hurt_and_the_number_needed_is_the_smallest(classes: int) -> None:
    curve = [response_success(1.5, classes, m) for m in range(1, 80)]
    assert np.diff(curve).min() > -1e-12
    for success in (0.5, 0.9):
        needed = queries_needed(1.5, classes, success=success)
        assert response_success(1.5, classes, needed) >= success
        assert needed == 1 or response_success(1.5, classes, needed - 1) < success


def person_and_oracle(
    *, memoised: bool, people: int = 3000, epsilon: float = 1.0
) -> tuple[Tensor, Tensor, LabelOracle]:
    """People on both sides of a half-space, none nearer to it than 1/10, their true labels, and the oracle."""
    side = torch.arange(people) % 2
    distance = (2 * side - 1) * torch.linspace(0.1, 3.0, people)
    truth = PlainOracle(half_space_net(), num_classes=2)
    oracle = RandomizedResponse(truth, epsilon=epsilon, seed=0, memoised=memoised)
    return at_distance(distance), side, oracle


@pytest.mark.parametrize("queries", [1, 9, 40])
def test_fresh_answers_give_the_label_away(queries: int) -> None:
    x, truth, oracle = person_and_oracle(memoised=False)
    found = average(oracle, x, queries=queries)
    assert (found.counts.sum(dim=1) == queries).all()
    assert oracle.queries == found.queries == queries * len(x)
    hits = int((found.label == truth).sum())
    assert stats.binomtest(hits, len(x), response_success(1.0, 2, queries)).pvalue > ERROR


def test_a_memory_stops_the_repetition_and_not_the_neighbours() -> None:
    x, truth, oracle = person_and_oracle(memoised=True)
    again = average(oracle, x, queries=9)
    assert (again.counts.max(dim=1).values == 9).all(), "one answer, nine times"
    assert stats.binomtest(int((again.label == truth).sum()), len(x), keep_probability(1.0, 2)).pvalue > ERROR
    around = average(oracle, x, queries=9, radius=0.05)  # nearer than anybody's boundary: the label is the same there
    assert stats.binomtest(int((around.label == truth).sum()), len(x), response_success(1.0, 2, 9)).pvalue > ERROR


class Recorder(LabelOracle):
    """Answers 0 and remembers what it was asked."""

    def _release(self, x: Tensor) -> Tensor:
        self.asked = x
        return torch.zeros(len(x), dtype=torch.int64)


def test_neighbours_lie_on_the_sphere_and_within_the_bounds() -> None:
    x, oracle = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)), Recorder(num_classes=2)
    average(oracle, x, queries=50, radius=0.5)
    away = (oracle.asked - x.repeat_interleave(50, dim=0)).flatten(1)
    assert torch.allclose(away.norm(dim=1), torch.full((200,), 0.5), atol=1e-4)
    assert len(oracle.asked.unique(dim=0)) == 200
    assert float(away.mean(dim=0).norm()) < 0.5 * 5 / 200**0.5, "directions cancel: five times their scatter"
    average(oracle, x, queries=50, radius=0.5, bounds=(0, 1))
    assert 0 <= float(oracle.asked.min()) <= float(oracle.asked.max()) <= 1


def test_the_attack_is_repeatable_from_its_seed() -> None:
    def run(seed: int) -> Tensor:
        x, _, oracle = person_and_oracle(memoised=True, people=50)
        return average(oracle, x, queries=4, radius=0.2, seed=seed, batch_rows=7).label

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2)), "ties fall differently"


class Silent(LabelOracle):
    def _release(self, x: Tensor) -> Tensor:
        return torch.full((len(x),), ABSTAIN)


def test_abstentions_are_no_votes() -> None:
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=0)
    silent = average(Silent(num_classes=2), at_distance([1.0, -1.0]), queries=6)
    assert (silent.label == ABSTAIN).all()
    assert int(silent.counts.sum()) == 0
    talking = average(PredictOracle(smoothing, n=40, alpha=0.01), at_distance([3.0, -3.0]), queries=6)
    assert talking.label.tolist() == [1, 0]


def test_votes_average_out_to_the_smoothed_classifier_as_their_law_says() -> None:
    p_one = float(stats.norm.cdf(0.3))
    oracle = VoteOracle(Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=4), n=3)
    law = halfspace_laws(p_one, 0.0, sigma=1.0, n_vote=3)[0]
    people = at_distance([0.3] * 2000)
    hits = int((average(oracle, people, queries=15).label == 1).sum())
    assert stats.binomtest(hits, 2000, plurality_success(law, queries=15, label=1)).pvalue > ERROR


@pytest.mark.parametrize("classes", [2, 4])
def test_the_repeated_advantage_is_exact_and_below_what_composition_allows(classes: int) -> None:
    for releases in (1, 2, 5):
        laws = [response_law(0.8, classes, label) for label in (0, 1)]
        exact = repeated_tv(*laws, releases) / 2
        assert repeated_advantage(0.8, classes, releases) == pytest.approx(float(exact), abs=1e-12)
        assert exact <= tv_of_dp(0.8 * releases) / 2 + 1e-12
    assert repeated_advantage(0.8, classes, 1) == pytest.approx(advantage(0.8, classes))


def test_the_played_advantage_of_many_releases_covers_the_exact_one() -> None:
    oracle = RandomizedResponse(PlainOracle(half_space_net(), num_classes=2), epsilon=0.6, seed=9)
    for releases in (3, 12):
        here, there = at_distance(1.0), at_distance(-1.0)
        found = play(oracle, here, there, rounds=6000, releases=releases, confidence=1 - ERROR)
        assert found.low <= repeated_advantage(0.6, 2, releases) <= found.high


def test_the_attack_needs_no_particular_net_or_device_of_the_input() -> None:
    images = torch.rand(5, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 7)).double()
    plain = PlainOracle(net, num_classes=7)
    found = average(RandomizedResponse(plain, epsilon=6.0, seed=0), images, queries=21, radius=1e-6, batch_rows=10)
    assert torch.equal(found.label, plain(images))


def test_bad_settings_are_refused() -> None:
    x, _, oracle = person_and_oracle(memoised=False, people=4)
    for settings in (
        {"queries": 0}, {"queries": 1, "radius": -1.0}, {"queries": 1, "radius": float("inf")},
        {"queries": 1, "bounds": (1, 0)}, {"queries": 1, "seed": -1}, {"queries": 1, "batch_rows": 0},
    ):  # fmt: skip
        with pytest.raises(InputError):
            average(oracle, x, **settings)
    for law, label in (([0.5, 0.6], 0), ([1.0], 0), ([0.5, 0.5], 2), ([1.5, -0.5], 0)):
        with pytest.raises(InputError, match=r"law|label"):
            plurality_success(law, queries=3, label=label)
    with pytest.raises(InputError, match="success"):
        queries_needed(1.0, 2, success=1.0)
    with pytest.raises(InputError, match="10,000 answers"):
        queries_needed(0.01, 2, success=0.99)
