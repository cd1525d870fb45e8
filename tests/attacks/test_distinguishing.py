"""The game: a played advantage is that of the best test, for every view of the symbols, and its interval covers.

ERROR is the probability that a comparison fails although the claim holds, for each comparison.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy import special, stats

from rp_tutorial.attacks.distinguishing import fit_test, judge, play, record
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.theory.guarantees import halfspace_advantage, repeated_tv, total_variation

ERROR = 1e-6
X, NEIGHBOUR = torch.tensor([0.0]), torch.tensor([1.0])
SURE = 1 - ERROR


class LawOracle(LabelOracle):
    """Draws from the law of row 0 at inputs below 1/2 and of row 1 above; symbols ABSTAIN, 0, 1, ..."""

    def __init__(self, *laws: list[float], seed: int = 0) -> None:
        super().__init__(num_classes=len(laws[0]) - 1)
        self.edges = torch.cumsum(torch.tensor(laws, dtype=torch.float64), dim=1)
        self.generator = torch.Generator().manual_seed(seed)
        self.batches: list[int] = []

    def _release(self, x):
        self.batches.append(len(x))
        u = torch.rand(len(x), 1, generator=self.generator, dtype=torch.float64)
        return (u > self.edges[(x[:, 0] > 0.5).long(), :-1]).sum(dim=1) + ABSTAIN


class SameSeed(LabelOracle):
    """A coin that does not look at x, drawn as a user would draw it."""

    def __init__(self, seed: int) -> None:
        super().__init__(num_classes=2)
        self.generator = torch.Generator().manual_seed(seed)

    def _release(self, x):
        return (torch.rand(len(x), generator=self.generator) < 0.5).long()


@pytest.mark.parametrize("seed", [0, 1])
def test_an_oracle_with_the_seed_of_the_game_does_not_share_its_coins(seed):
    """Coins from the same stream would tell the adversary every round."""
    outcome = play(SameSeed(seed), X, NEIGHBOUR, rounds=5000, seed=seed, confidence=SURE)
    assert outcome.low <= 0 <= outcome.high


LAWS = {
    "two labels": ([0, 0.9, 0.1], [0, 0.6, 0.4]),
    "abstention tells": ([0.0, 0.5, 0.5], [0.5, 0.25, 0.25]),
    "four symbols": ([0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.3, 0.1]),
    "a symbol of one world": ([0.0, 1.0, 0.0], [0.02, 0.98, 0.0]),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("releases", [1, 4])
def test_the_played_interval_covers_half_the_total_variation(name, releases):
    outcome = play(LawOracle(*LAWS[name]), X, NEIGHBOUR, rounds=20_000, releases=releases, confidence=SURE)
    exact = repeated_tv(*LAWS[name], releases) / 2
    assert outcome.low <= exact <= outcome.high
    assert outcome.advantage == outcome.wins / outcome.rounds - 0.5
    assert (outcome.rounds, outcome.releases, outcome.sees, outcome.confidence) == (20_000, releases, "symbols", SURE)
    low, high = stats.binomtest(outcome.wins, 20_000).proportion_ci(SURE, method="exact")
    assert (outcome.low, outcome.high) == pytest.approx((low - 0.5, high - 0.5), abs=1e-9)


def test_identical_inputs_cannot_be_told_apart_and_separate_ones_always():
    same = play(LawOracle([0.2, 0.3, 0.5], [0.2, 0.3, 0.5]), X, NEIGHBOUR, rounds=20_000, confidence=SURE)
    assert same.low <= 0 <= same.high
    apart = play(LawOracle([0, 1, 0], [0, 0, 1]), X, NEIGHBOUR, rounds=300)
    assert apart.advantage == 0.5
    assert apart.high == pytest.approx(0.5, abs=1e-6)
    # One symbol in both worlds: the fitted weight of it is 0 or noise, and a coin is all that is left.
    silent = play(LawOracle([0, 1, 0], [0, 1, 0]), X, NEIGHBOUR, rounds=20_000, confidence=SURE)
    assert silent.low <= 0 <= silent.high


def test_the_abstention_aware_adversary_wins_where_the_naive_one_cannot():
    laws = LAWS["abstention tells"]
    views = {
        sees: play(LawOracle(*laws), X, NEIGHBOUR, rounds=20_000, sees=sees, confidence=SURE)
        for sees in ("symbols", "abstention", "labels")
    }
    exact = total_variation(*laws) / 2
    assert exact == 0.25
    assert views["symbols"].low <= exact <= views["symbols"].high
    assert views["abstention"].low <= exact <= views["abstention"].high
    assert views["labels"].advantage < exact - 0.05, "whoever takes ABSTAIN for no answer loses half of it"


def test_abstention_alone_is_worth_the_total_variation_of_its_indicator():
    laws = LAWS["four symbols"]
    outcome = play(LawOracle(*laws), X, NEIGHBOUR, rounds=20_000, sees="abstention", releases=3, confidence=SURE)
    exact = repeated_tv([0.1, 0.9], [0.3, 0.7], 3) / 2
    assert outcome.low <= exact <= outcome.high


@pytest.mark.parametrize("rule", ["vote", "predict"])
def test_a_half_space_behind_the_real_smoothing_gives_its_exact_advantage(rule):
    p_a, shift, sigma, n = 0.9, 0.8, 0.7, 40
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=sigma, seed=3)
    oracle = VoteOracle(smoothing, n=n) if rule == "vote" else PredictOracle(smoothing, n=n, alpha=0.05)
    x = sigma * special.ndtri(p_a)
    law = {"sigma": sigma, "n_vote": n, "rule": rule, "alpha": 0.05}
    for releases in (1, 5):
        outcome = play(oracle, at_distance(x), at_distance(x - shift), rounds=8000, releases=releases, confidence=SURE)
        exact = halfspace_advantage(p_a, shift, releases=releases, **law)
        assert outcome.low <= exact <= outcome.high


def test_intervals_miss_no_more_often_than_they_say():
    """400 games at confidence .9; the plug-in advantage of the fitted test itself is the truth here."""
    law = ([0, 0.7, 0.3], [0, 0.5, 0.5])
    missed = 0
    for seed in range(400):
        transcript = record(LawOracle(*law, seed=seed), X, NEIGHBOUR, rounds=200, seed=seed)
        outcome = judge(np.array([0.0, 1.0, -1.0]), transcript, confidence=0.9)
        missed += not outcome.low <= 0.1 <= outcome.high
    assert missed <= stats.binom.isf(ERROR, 400, 0.1)
    assert missed > 0


def test_weights_are_the_log_likelihood_ratios():
    laws = LAWS["four symbols"]
    transcript = record(LawOracle(*laws), X, NEIGHBOUR, rounds=200_000)
    assert fit_test(transcript) == pytest.approx(np.log(np.divide(*laws)), abs=0.05)


def test_a_test_fitted_on_one_round_is_poor_and_its_interval_still_covers():
    for seed in range(20):
        outcome = play(
            LawOracle(*LAWS["two labels"]), X, NEIGHBOUR, rounds=2000, calibration_rounds=1, seed=seed, confidence=SURE
        )
        assert outcome.low <= 0.15
        assert outcome.high >= -0.15


def test_all_rounds_are_asked_together_in_batches():
    oracle = LawOracle(*LAWS["two labels"])
    play(oracle, X, NEIGHBOUR, rounds=1000, calibration_rounds=500, releases=3, batch_rows=2000)
    assert oracle.batches == [2000, 2000, 500]
    assert oracle.queries == 4500


def test_the_transcript_does_not_depend_on_the_batch_size():
    together, apart = (
        record(LawOracle(*LAWS["four symbols"]), X, NEIGHBOUR, rounds=500, releases=3, batch_rows=rows, seed=4)
        for rows in (10**6, 7)
    )
    assert (together.from_neighbour == apart.from_neighbour).all()
    assert (together.counts == apart.counts).all()
    assert (together.counts.sum(axis=1) == 3).all()


def test_the_coin_and_the_inputs_go_together():
    """A net that says which input it saw: every round's symbol is that of its own world, with a neighbour a round."""
    neighbours = torch.full((300, 2), -1.0)
    neighbours[100:] = -2.0
    transcript = record(PlainOracle(half_space_net(), num_classes=2), at_distance(1.0), at_distance(-1.0), rounds=300)
    assert (transcript.counts[:, 1] == transcript.from_neighbour).all()
    assert 100 < transcript.from_neighbour.sum() < 200
    seen = []

    class Watching(PlainOracle):
        def _release(self, x):
            seen.append(x.clone())
            return super()._release(x)

    watching = Watching(half_space_net(), num_classes=2)
    transcript = record(watching, torch.ones(2), neighbours, rounds=300, batch_rows=64)
    expected = torch.where(torch.tensor(transcript.from_neighbour)[:, None], neighbours, torch.ones(2))
    assert torch.equal(torch.cat(seen), expected)


def test_same_seed_same_game():
    first, again, other = (
        play(LawOracle(*LAWS["two labels"]), X, NEIGHBOUR, rounds=500, seed=seed) for seed in (1, 1, 2)
    )
    assert first.wins == again.wins
    assert (first.weights == again.weights).all()
    assert not (first.weights == other.weights).all()


GAME = partial(play, LawOracle(*LAWS["two labels"]), X, NEIGHBOUR)
BAD = {
    "rounds": [partial(GAME, rounds=bad) for bad in (0, -1, 2.5, None)],
    "calibration_rounds": [partial(GAME, rounds=10, calibration_rounds=bad) for bad in (0, 1.5)],
    "releases": [partial(GAME, rounds=10, releases=bad) for bad in (0, 1.5)],
    "sees": [partial(GAME, rounds=10, sees="scores")],
    "confidence": [partial(GAME, rounds=10, confidence=bad) for bad in (0, 1, math.nan)],
    "seed": [partial(GAME, rounds=10, seed=-1)],
    "batch_rows": [partial(GAME, rounds=10, batch_rows=0)],
    "neighbour": [
        partial(play, GAME.args[0], X, bad, rounds=10) for bad in (torch.ones(2), torch.ones(7, 1), torch.ones(20, 2))
    ],
    "x": [partial(play, GAME.args[0], torch.tensor([math.nan]), NEIGHBOUR, rounds=10)],
}


@pytest.mark.parametrize("argument", BAD)
def test_bad_input_is_refused_in_one_line(argument):
    for call in BAD[argument]:
        with pytest.raises(InputError, match=f"^{argument}: ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1
