"""How much of each sharper bound a player really gets, at the person for whom it is worst.

On half-spaces the worst person is known and votes are binomial, so that millions of rounds can be drawn and a share of
a bound be told from the whole of it. The same bounds against random nets, through the package's oracles, are in
`bound_games`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.experiments.game_table import SUM_OF_FLOATS, total_variation
from rp_tutorial.experiments.line_nets import LineNet, Release
from rp_tutorial.experiments.walk_games import best_walk, walked
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.theory import guarantees, plurality
from rp_tutorial.theory.adaptive import adaptive_tv, known_noise_tv
from rp_tutorial.theory.calibration import calibrated_radius
from rp_tutorial.theory.halfspace import vote_law
from rp_tutorial.theory.profile import vote_profile

CHUNK = 500_000  # rounds drawn together
SMALL = 0.01  # a bound that takes all rounds; for an interval of the same share a larger one takes fewer
Evidence = Callable[[np.random.Generator, NDArray[np.bool_]], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """One bound at its worst person. `evidence`: for x, of rounds whose coins are given, True at the neighbour."""

    bound_of: str
    setting: str
    u: float  # Phi^-1(p_A) of the person
    bound: float  # on the advantage, as is `exact`
    exact: float
    evidence: Evidence


def played(case: Case, *, rounds: int, confidence: float, seed: int, number: int) -> dict[str, Any]:
    """The case after so many rounds, fewer for a large bound: what was won of the bound, and what is so exactly."""
    rng, won = numpy_generator(Purpose.AUDIT_EDGE, seed, number), 0
    rounds = max(1, round(rounds * min(1.0, (SMALL / case.bound) ** 2)))
    for first in range(0, rounds, CHUNK):
        coins = rng.random(min(CHUNK, rounds - first)) < 0.5
        evidence = case.evidence(rng, coins)
        won += int((np.where(evidence == 0, rng.random(len(coins)) < 0.5, evidence < 0) == coins).sum())
    low, high = (float(end) - 0.5 for end in clopper_pearson(won, rounds, confidence=confidence))
    return {
        "bound_of": case.bound_of,
        "setting": case.setting,
        "u": case.u,
        "bound": case.bound,
        "exact": case.exact,
        "played": won / rounds - 0.5,
        "ci": [low, high],
        "share_exact": case.exact / case.bound,
        "share_played": (won / rounds - 0.5) / case.bound,
        "share_ci": [low / case.bound, high / case.bound],
        "covered": low <= case.exact <= high,
        "broken": case.exact > case.bound + SUM_OF_FLOATS or low > case.bound,
        "rounds": rounds,
    }


def cases() -> list[Case]:
    """Every bound that is attained, or nearly, and one of plurality, which pays for two rivals where one comes."""
    return [
        _profile(101, 0.1), _profile(101, 0.3, p_low=0.6), _profile(101, 0.05, releases=5), _calibrated(100, 101, 0.02),
        _calibrated(200, 101, 0.1), _walk(101, 0.02, reach=0.2, queries=6), _known_noise(101, 0.05),
        _plurality(101, 0.05),
    ]  # fmt: skip


def _profile(n: int, s: float, *, p_low: float | None = None, releases: int = 1) -> Case:
    """The profile for everybody, or of the certified; where several labels tell most is searched."""
    u = np.linspace(-1, 1, 2001) if p_low is None else np.array([max(s / 2, special.ndtri(p_low))])
    told = total_variation(_law(u, n), _law(u - s, n), releases)
    worst = float(u[told.argmax()])
    here, there = _law(np.array([worst, worst - s]), n)
    ratio = np.log(here) - np.log(there)  # of a label A, or another

    def evidence(rng: np.random.Generator, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        share = special.ndtr(np.where(coins, worst - s, worst))
        wins = sum((2 * rng.binomial(n, share) > n).astype(int) for _ in range(releases))
        return wins * ratio[0] + (releases - wins) * ratio[1]

    bound = vote_profile(s, sigma=1.0, n_vote=n, p_low=p_low, num_classes=2, releases=releases)
    who = "everybody" if p_low is None else f"p_A of at least {p_low:g}"
    setting = f"N = {n}, {s:g} sigma, {releases} label{'s' * (releases > 1)}, {who}"
    return Case("profile", setting, worst, float(bound) / 2, float(told.max()) / 2, evidence)


def _calibrated(n_cert: int, n: int, target: float) -> Case:
    """One label at the calibrated radius of a fresh certificate, at the person for whom the target is used up."""
    radius = calibrated_radius(
        np.arange(n_cert + 1), target_tv=target, sigma=1.0, n_cert=n_cert, n_vote=n, num_classes=2
    )
    u = np.linspace(0, 3, 1001)[:, None]
    law = stats.binom.pmf(np.arange(n_cert + 1), n_cert, special.ndtr(u))
    told = (law * (_law(u, n) - _law(u - radius, n))[..., 0]).sum(axis=1)
    worst = float(u[told.argmax(), 0])

    def evidence(rng: np.random.Generator, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        promised = radius[rng.binomial(n_cert, special.ndtr(worst), len(coins))]
        wins = 2 * rng.binomial(n, special.ndtr(np.where(coins, worst - promised, worst))) > n
        return np.where(promised > 0, np.where(wins, 1.0, -1.0), 0.0)

    setting = f"n = {n_cert}, N = {n}, TV of {target:g}"
    return Case("calibrated", setting, worst, target / 2, float(told.max()) / 2, evidence)


def _walk(n: int, beta: float, *, reach: float, queries: int) -> Case:
    """A walker who looks where A is never lost at x, and as often as is allowed at x'."""
    u = float(special.ndtri(p_low := 0.99))
    s = float(guarantees.deployable_radius(p_low, sigma=1.0, n_vote=n, beta=beta)) - reach
    steps = reach * np.array([-1.0, 0.0, 1.0])
    here, there = _law(u + steps, n), _law(u - s + steps, n)
    share = special.ndtr(u + steps), special.ndtr(u - s + steps)

    def evidence(rng: np.random.Generator, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        def ask(rows: NDArray[np.int64], step: int) -> NDArray[np.int64]:
            return (2 * rng.binomial(n, np.where(coins[rows], share[1][step], share[0][step])) < n).astype(int)

        return walked(ask, here, there, queries, len(coins), np.ones(2, dtype=bool))

    bound = adaptive_tv(s, reach=reach, queries=queries, sigma=1.0, n_vote=n, p_low=p_low, num_classes=2)
    exact = float(best_walk(here, there, queries)) / 2
    setting = f"N = {n}, {queries} questions within {reach:g} sigma, beta = {beta:g}"
    return Case("adaptive", setting, u, float(bound) / 2, exact, evidence)


def _known_noise(n: int, beta: float) -> Case:
    """Labels of x and x' on the same noise: told apart where they differ."""
    u = float(special.ndtri(p_low := 0.95))
    s = float(guarantees.deployable_radius(p_low, sigma=1.0, n_vote=n, beta=beta))
    near, far = special.ndtr(u), special.ndtr(u - s)

    def evidence(rng: np.random.Generator, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        here = rng.binomial(n, near, len(coins))
        there = rng.binomial(here, far / near)  # on a half-space x' loses what x loses, and more
        return np.where((2 * here > n) != (2 * there > n), np.where(coins, -1.0, 1.0), 0.0)

    exact = float(_law(u, n)[0] - _law(u - s, n)[0]) / 2
    bound = float(known_noise_tv(s, p_low=p_low, sigma=1.0, n_vote=n)) / 2
    return Case("known noise", f"N = {n}, beta = {beta:g}", u, bound, exact, evidence)


def _plurality(n: int, beta: float) -> Case:
    """A loses to one rival all that it loses; the third class stays between them."""
    u, rival = 0.0, -0.7
    at = {"sigma": 1.0, "n_vote": n, "num_classes": 3, "beta": beta}
    s = float(plurality.deployable_radius(special.ndtr(u), special.ndtr(rival), **at))
    net = LineNet([rival, u], [0, 1, 2], 3, 1.0)  # A is class 2, to the right
    places, release = np.array([0.0, -s]), Release(net, n)
    shares, (here, there) = net.shares(places), release.law(places)[:, :3]

    def evidence(rng: np.random.Generator, coins: NDArray[np.bool_]) -> NDArray[np.float64]:
        counts = np.where(coins[:, None], *(rng.multinomial(n, shares[world], len(coins)) for world in (1, 0)))
        return (np.log(here) - np.log(there))[counts.argmax(axis=1)]

    exact = float(total_variation(here, there)) / 2
    return Case("plurality", f"N = {n}, 3 classes, beta = {beta:g}", u, beta / 2, exact, evidence)


def _law(u: NDArray[np.float64] | float, n: int) -> NDArray[np.float64]:
    """Of one VOTE(n), n odd, over A and the other class, where p_A = Phi(u): [..., 2]."""
    return vote_law(special.ndtr(u), n=n)[..., ::-1]
