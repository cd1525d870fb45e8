"""Games of adversaries that one point's bound is silent about: who asks neighbours and adapts, and who knows the noise.

They are played like those of `bound_games`; the trees of all questions and answers are solved exactly.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from rp_tutorial.core.streams import Purpose
from rp_tutorial.experiments.game_table import (
    BRANCHES,
    RARE,
    Row,
    Table,
    exactly_two,
    log_uniform,
    net_and_votes,
    setting_of,
    total_variation,
    what_is_known,
)  # fmt: skip
from rp_tutorial.experiments.line_nets import LineNet, Release
from rp_tutorial.theory.adaptive import adaptive_tv, known_noise_tv


def walk(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """Up to six questions within reach, each the best after the answers so far: the whole tree is solved."""
    net, n = net_and_votes(rng)
    release, s, reach = Release(net, n), log_uniform(rng, 0.03, 0.8), float(rng.exponential(0.2))
    people, steps = rng.normal(0, 1, 8), reach * np.array([-1.0, 0.0, 1.0])
    gains = total_variation(release.law(people), release.law(people + s))
    x = people[gains.argmax()]
    here, there = release.law(x + steps), release.law(x + s + steps)
    seen = (here + there).max(axis=0) > RARE
    m = max(1, min(6, int(math.log(BRANCHES, 3 * seen.sum()))))
    exact, coins = float(best_walk(here[:, seen], there[:, seen], m)) / 2, table.coins()
    oracle = release.oracle(table.smoothing(net, Purpose.AUDIT_SINGLE))

    def ask(rows: NDArray[np.int64], step: int) -> NDArray[np.int64]:
        place = np.where(coins[rows], x + s, x) + steps[step]
        return oracle(net.inputs(place)).cpu().numpy()

    won = table.won(walked(ask, here, there, m, table.rounds, seen), coins)
    known = what_is_known(net, x) if rng.random() < 0.7 else {"num_classes": exactly_two(net)}
    at = {"reach": reach * net.sigma, "queries": m, "sigma": net.sigma, "n_vote": n}
    bound = float(adaptive_tv(s * net.sigma, **at, **known))
    return setting_of(net, n, releases=m, distance=s), {"walk": table.judged(bound / 2, exact, won)}


def best_walk(here: NDArray, there: NDArray, queries: int, p: ArrayLike = 1.0, q: ArrayLike = 1.0) -> NDArray:
    """TV of the best adaptive strategy, for laws [D, S] of the answer to each of D questions in the two worlds.

    p and q are the probabilities of the answers so far; after each of them the best next question is chosen.
    """
    if queries == 0:
        return np.abs(np.asarray(p) - q) / 2
    p, q = np.asarray(p)[..., None, None] * here, np.asarray(q)[..., None, None] * there
    return best_walk(here, there, queries - 1, p, q).sum(axis=-1).max(axis=-1)


def walked(
    ask: Callable[[NDArray[np.int64], int], NDArray[np.int64]],
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    queries: int,
    rounds: int,
    seen: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Evidence for x [rounds] of who plays `best_walk`: ask(rows, step) gives the answers of these rounds."""
    evidence = np.zeros(rounds)

    def go_on(rows: NDArray[np.int64], left: int, p: float, q: float) -> None:
        if left == 0:
            evidence[rows] = p - q
            return
        worth = best_walk(here[:, seen], there[:, seen], left - 1, p * here[:, seen], q * there[:, seen])
        step = int(worth.sum(axis=-1).argmax())
        answers = ask(rows, step)
        for answer in np.unique(answers):
            go_on(rows[answers == answer], left - 1, p * here[step, answer], q * there[step, answer])

    go_on(np.arange(rounds), queries, 1.0, 1.0)
    return evidence


def known_noise(rng: np.random.Generator, table: Table) -> tuple[Row, dict[str, Row]]:
    """Labels of x and x' on the same noise, which the adversary has: it is told apart where they differ."""
    net, n = net_and_votes(rng)
    s, x, m = log_uniform(rng, 0.03, 0.8), float(rng.normal(0, 1.2)), int(rng.integers(1, 4))
    there = x + float(rng.choice([-s, s]))
    worlds = [
        Release(net, n).oracle(table.smoothing(net, Purpose.AUDIT_SINGLE))(net.inputs(np.full(table.rounds * m, place)))
        for place in (x, there)
    ]
    differ = (worlds[0] != worlds[1]).cpu().numpy().reshape(table.rounds, m).any(axis=1)
    coins = table.coins()
    won = table.won(np.where(differ, np.where(coins, -1.0, 1.0), 0.0), coins)
    exact = None
    if net.num_classes == 2:
        exact = -math.expm1(m * math.log1p(-min(1 - 1e-15, shared_noise_differs(net, x, there, n)))) / 2
    bound = known_noise_tv(s * net.sigma, sigma=net.sigma, n_vote=n, releases=m, **what_is_known(net, x))
    return setting_of(net, n, releases=m, distance=s), {"known noise": table.judged(bound / 2, exact, won)}


def shared_noise_differs(net: LineNet, x: float, there: float, n: int) -> float:
    """Pr[VOTE(n) differs] at two places of a net of two classes that share every draw of noise, exactly.

    A draw gives a pair of labels. Of n draws M give different ones, i of these a 1 at x only; then the votes differ for
    so many draws of 1 at both as lie between what x and x' still need.
    """
    cuts = np.sort(np.r_[net.cuts - x, net.cuts - there])
    inside = np.r_[cuts[0] - 1, (cuts[1:] + cuts[:-1]) / 2, cuts[-1] + 1]
    first, second = (net.classes[np.searchsorted(net.cuts, inside + place)] for place in (x, there))
    mass = np.diff(stats.norm.cdf(np.r_[-np.inf, cuts, np.inf]))
    both, only, other = (mass[(first == a) & (second == b)].sum() for a, b in ((1, 1), (1, 0), (0, 1)))
    apart = only + other
    if apart == 0:
        return 0.0
    m, i = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    weight = stats.binom.pmf(m, n, min(1.0, apart)) * stats.binom.pmf(i, m, only / apart)
    fewer, more = np.minimum(i, m - i), np.maximum(i, m - i)
    share = min(1.0, both / (1 - apart)) if apart < 1 else 0.0
    between = stats.binom.cdf(n // 2 - fewer, n - m, share) - stats.binom.cdf(n // 2 - more, n - m, share)
    return float(np.where(i <= m, weight * between, 0.0).sum())
