"""Checks on a release mechanism of one's own and on attackers, and the tournament in which they meet.

For the assignment on design. The rules: people are points in a plane, `half_space_net` decides about them, and a
mechanism `(net, seed) -> LabelOracle` releases a symbol a person, its noise drawn anew for every release. It promises
that nobody who sees one symbol tells two people within `DISTANCE` apart with an advantage above `PROMISE`, and has to
be right for `USEFUL` of the people. An attacker `(oracle, x, neighbour, seen, seed) -> bool` says whether the symbols
`seen` came from the neighbour, and may rehearse on the oracle with `REHEARSAL` questions a game.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor

from rp_tutorial.attacks.distinguishing import play
from rp_tutorial.checks.base import AnswerError, ask, check, drawn, numbers, shown
from rp_tutorial.checks.guarantees import Told
from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.models.table_nets import DIRECTION, at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.theory.guarantees import repeated_tv

DISTANCE, PROMISE, USEFUL, SPREAD, REHEARSAL = 1.0, 0.15, 0.8, 3.0, 400
PEOPLE, ROUNDS, GAMES = 4000, 4000, 300
ERROR = 1e-7  # probability that what keeps its word is refused, a test
SHARE = 0.7  # of the best attacker's advantage that is asked for
OFFSETS = (-1.5, -1.0, -0.5, 0.0, 0.5, 2.0)  # where the nearer of two people stands, from the boundary

Mechanism = Callable[[torch.nn.Module, int], LabelOracle]
Attacker = Callable[[LabelOracle, Tensor, Tensor, Tensor, int], bool]


@check
def check_utility(answer: Mechanism, *, seed: int) -> str:
    """(net, seed) -> a LabelOracle that gives at least 80 % of the people the net's label. Silence is no label.

    People are normal around the boundary with a standard deviation of 3. A mechanism at 80 % is refused with
    probability below 1e-6.

    Chapter: comparisons/related-notions.
    """
    _refuse_useless(_mechanism(answer, seed), seed)
    return "right: useful enough"


@check
def check_promise(answer: Mechanism, *, seed: int) -> str:
    """(net, seed) -> a LabelOracle that keeps its promise against a hidden attacker, and is useful.

    For everybody: no two people within a distance of 1 are told apart by one symbol with an advantage above .15. A
    mechanism that promises no more than it keeps is refused with probability below 1e-5.

    Chapter: foundations/sharper-bounds.
    """
    oracle = _mechanism(answer, seed)
    _refuse_useless(oracle, seed)
    for offset, x, neighbour in _pairs(seed):
        found = play(oracle, x, neighbour, rounds=ROUNDS, confidence=1 - 2 * ERROR, seed=seed)
        if found.low > PROMISE:
            where = "on two sides of the boundary" if -DISTANCE < offset < 0 else "on one side of the boundary"
            raise AnswerError(f"the hidden attacker tells two people {where} apart: the promise is broken there")
    return "right: the hidden attacker has not refuted the promise (which does not prove it: you do)"


@check
def check_attacker(answer: Attacker, *, seed: int) -> str:
    """(oracle, x, neighbour, seen [m], seed) -> True if the symbols seen came from the neighbour, as well as can be.

    Tried on oracles that leak by labels, by silence, and a little in each of many releases; asked for is 0.7 of the
    best attacker's advantage, with at most 400 questions of its own a game. An attacker that has at least 0.9 of it is
    refused with probability below 1e-2.

    Chapter: foundations/robust-privacy.
    """
    x, neighbour = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    worlds = (
        ("its labels", [0, 0.1, 0.9], [0, 0.9, 0.1], 1),
        ("labels that say the reverse", [0, 0.85, 0.15], [0, 0.2, 0.8], 1),
        ("silence", [0.05, 0.5, 0.45], [0.85, 0.08, 0.07], 1),
        ("a little in each of fifteen releases", [0, 0.35, 0.65], [0, 0.65, 0.35], 15),
    )
    for number, (how, here, there, releases) in enumerate(worlds):
        oracle = Told(np.array(here), np.array(there), seed=seed + number)
        best = float(repeated_tv(here, there, releases)) / 2
        coins = drawn(seed, 50, number).random(GAMES) < 0.5
        wins = 0
        for game, coin in enumerate(coins):
            seen = oracle((neighbour if coin else x).repeat(releases, 1))
            before = oracle.queries
            said = numbers(ask(answer, oracle, x, neighbour, seen, child_seed(Purpose.FUZZED_INPUTS, seed, game)))
            wins += bool(said) == bool(coin)
            if oracle.queries - before > REHEARSAL:
                raise AnswerError(f"it asks {oracle.queries - before} questions a game, and {REHEARSAL} are allowed")
        if wins / GAMES - 0.5 < SHARE * best:
            raise AnswerError(f"an oracle that leaks by {how}: it wins {wins} of {GAMES} games, and more can be won")
    return "right: it finds what leaks, however it leaks"


def tournament(
    mechanisms: Mapping[str, Mechanism], attackers: Mapping[str, Attacker], *, games: int = 100, seed: int = 0
) -> pd.DataFrame:
    """Every attacker against every mechanism, and a hidden one: a row a pair of them, worst first.

    Three pairs of people around the boundary are tried. `advantage` is that against the pair whom the attacker tells
    apart best on one half of the games; it and its lower bound `low`, of confidence .99, are of the other half.
    `refuted`: the bound lies above the promise. Neither proves a promise that is kept. An attacker that fails loses.
    Raises InputError for fewer than one game.
    """
    games, rows, pairs = count("games", games), [], _pairs(seed)[1:4]
    for name, mechanism in mechanisms.items():
        oracle = mechanism(half_space_net().requires_grad_(False), seed)
        for who, attacker in attackers.items():
            trials = [_won(oracle, attacker, x, y, games, seed) for _, x, y in pairs]
            worst = max(trials, key=lambda won: won[0].sum())[1]
            rows.append([name, who, *_advantage(int(worst.sum()), games)])
        first, second = ([play(oracle, x, y, rounds=games, seed=seed + half) for _, x, y in pairs] for half in (0, 1))
        worst = max(range(len(first)), key=lambda pair: first[pair].wins)
        rows.append([name, "hidden", *_advantage(second[worst].wins, games)])
    table = pd.DataFrame(rows, columns=["mechanism", "attacker", "advantage", "low"])
    table["refuted"] = table["low"] > PROMISE
    return table.sort_values("advantage", ascending=False, ignore_index=True)


def _mechanism(answer: Mechanism, seed: int) -> LabelOracle:
    oracle = ask(answer, half_space_net().requires_grad_(False), seed)
    if not isinstance(oracle, LabelOracle):
        raise AnswerError(f"it returns {shown(oracle)}, asked for is a LabelOracle")
    return oracle


def _refuse_useless(oracle: LabelOracle, seed: int) -> None:
    people = torch.tensor(drawn(seed, 51).normal(0, SPREAD, (PEOPLE, 2)), dtype=torch.float32)
    truth = (people @ torch.tensor(DIRECTION) > 0).long().numpy()
    right = int((np.asarray(ask(oracle, people)) == truth).sum())
    if stats.binom.cdf(right, PEOPLE, USEFUL) < ERROR:
        raise AnswerError(f"it is right for {right} of {PEOPLE} people, and {USEFUL:.0%} are asked for")


def _pairs(seed: int) -> list[tuple[float, Tensor, Tensor]]:
    """Two people at the promised distance: along the axis that decides, at some offsets, and a last pair aslant."""
    pairs = [(o, at_distance(o + DISTANCE), at_distance(o)) for o in OFFSETS]
    across = torch.tensor([DIRECTION[1], -DIRECTION[0]]) * float(drawn(seed, 52).uniform(-5, 5))
    return [(o, x + across, y + across) for o, x, y in pairs]


def _won(
    oracle: LabelOracle, attacker: Attacker, x: Tensor, y: Tensor, games: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each game was won, in two halves."""
    coins = drawn(seed, 53).random(2 * games) < 0.5
    won = np.zeros(2 * games, dtype=bool)
    for game, coin in enumerate(coins):
        seen = oracle((y if coin else x)[None])
        before = oracle.queries
        try:
            won[game] = bool(attacker(oracle, x, y, seen, child_seed(Purpose.FUZZED_INPUTS, seed, game))) == bool(coin)
        except Exception:  # a classmate's code may raise anything: that game is lost
            continue
        won[game] &= oracle.queries - before <= REHEARSAL
    return won[:games], won[games:]


def _advantage(wins: int, games: int) -> tuple[float, float]:
    return wins / games - 0.5, float(clopper_pearson(wins, games, confidence=0.98)[0]) - 0.5
