"""The walker's tree and the knower of the noise, against enumeration and against draws from their laws."""

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.experiments.game_table import total_variation
from rp_tutorial.experiments.line_nets import LineNet
from rp_tutorial.experiments.walk_games import best_walk, shared_noise_differs, walked
from tests.helpers import piecewise


def laws(seed: int, symbols: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(symbols), 3), rng.dirichlet(np.ones(symbols), 3)


@pytest.mark.parametrize("symbols", [2, 3])
def test_a_walk_tells_at_least_what_its_best_question_tells_when_it_is_repeated(symbols):
    here, there = laws(0, symbols)
    assert best_walk(here, there, 1) == pytest.approx(total_variation(here, there).max())
    for m in (2, 3, 4):
        repeated = total_variation(here, there, m).max()
        assert best_walk(here[:1], there[:1], m) == pytest.approx(total_variation(here[:1], there[:1], m).max())
        assert best_walk(here, there, m - 1) <= best_walk(here, there, m)
        assert best_walk(here, there, m) >= repeated - 1e-12


def test_who_plays_the_best_walk_wins_as_often_as_the_tree_says():
    """100,000 rounds of four questions; the share won in an exact interval that misses once in 1e8."""
    here, there = laws(1, 3)
    rng, rounds = np.random.default_rng(2), 100_000
    coins = rng.random(rounds) < 0.5

    def ask(rows: np.ndarray, step: int) -> np.ndarray:
        law = np.where(coins[rows, None], there[step], here[step])
        return (rng.random((len(rows), 1)) > law.cumsum(axis=1)).sum(axis=1)

    evidence = walked(ask, here, there, 4, rounds, np.ones(3, dtype=bool))
    won = ((evidence < 0) == coins).sum()
    low, high = stats.binom.interval(1 - 1e-8, rounds, 0.5 + best_walk(here, there, 4) / 2)
    assert low <= won <= high


def test_votes_on_shared_noise_differ_as_often_as_enumeration_says():
    rng = np.random.default_rng(3)
    for _ in range(60):
        net, n = LineNet.drawn(rng, 2), int(rng.integers(1, 10))
        x, there = rng.normal(size=2)
        expected = piecewise.shared_noise_differs(net, x, there, n)
        assert shared_noise_differs(net, x, there, n) == pytest.approx(expected, abs=1e-12)
        assert shared_noise_differs(net, x, x, n) == 0
