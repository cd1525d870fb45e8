"""Checks on what a release gives away: advantage, deployable radius, composition, and an audit that claims no more.

For the chapters "Robust Privacy", "Finite samples" and "Sharper bounds" and the assignment on the deployable radius.
What answers are compared with stands in `theory/guarantees.py`.
"""

from collections.abc import Callable

import numpy as np
import torch
from scipy import special, stats

from rp_tutorial.checks.base import AnswerError, ask, check, compare, drawn, numbers
from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.binomial import certified_radius
from rp_tutorial.theory.guarantees import (
    advantage_from_tv,
    composition_tv,
    deployable_radius,
    total_variation,
    vote_quantile,
)

SEVERAL = 12  # questions of a check
AUDITS, ROUNDS, CONFIDENCE = 60, 300, 0.9  # of `check_audit`, against each oracle
ERROR = 1e-6  # probability that a right audit is refused, an oracle


class Told(LabelOracle):
    """Releases a symbol from one law where the input is positive, from another elsewhere; ABSTAIN comes first."""

    def __init__(self, here: np.ndarray, there: np.ndarray, *, seed: int) -> None:
        super().__init__(num_classes=count("classes", len(here) - 1, minimum=2))
        self.laws = torch.tensor(np.stack([there, here])).cumsum(dim=1)
        self.generator = torch_generator(Purpose.FUZZED_INPUTS, seed, 21)

    def _release(self, x: torch.Tensor) -> torch.Tensor:
        lots = torch.rand(len(x), 1, generator=self.generator, dtype=torch.float64)
        law = self.laws[(x[:, 0] > 0).long()]
        return (lots > law[:, :-1]).sum(dim=1) - 1

    @property
    def advantage(self) -> float:
        """That of the best adversary, exactly."""
        laws = torch.diff(self.laws, dim=1, prepend=torch.zeros(2, 1, dtype=torch.float64)).numpy()
        return float(np.abs(laws[0] - laws[1]).sum() / 4)


@check
def check_advantage(answer: Callable[[np.ndarray, np.ndarray], float], *, seed: int) -> str:
    """(law_x, law_neighbour) -> the best adversary's advantage in one round, from two laws [S] over the symbols.

    Chapter: foundations/robust-privacy.
    """
    draw = drawn(seed, 10)
    sizes = draw.integers(2, 6, SEVERAL)
    compare(
        answer,
        lambda p, q: float(advantage_from_tv(total_variation(p, q))),
        [tuple(draw.dirichlet(np.ones(s), 2)) for s in sizes],
        slips={
            "it is twice the advantage: asked for is how far Pr[guess right] exceeds 1/2": (
                lambda p, q: total_variation(p, q)
            ),
            "it is four times the advantage: the sum of all differences counts every difference twice": lambda p, q: (
                np.abs(p - q).sum()
            ),
            "it looks at one symbol, and the best adversary bets on every symbol that is more likely in one world": (
                lambda p, q: np.abs(p - q).max() / 2
            ),
            "it is the probability that the guess is right, not how far that exceeds 1/2": lambda p, q: (
                0.5 + total_variation(p, q) / 2
            ),
        },
    )
    return "right: no adversary gains more from one release"


@check
def check_vote_quantile(answer: Callable[[int, float], float], *, seed: int) -> str:
    """(n_vote, beta) -> the probability q of a class that loses, or ties, the vote with probability beta.

    Chapter: foundations/finite-samples.
    """
    draw = drawn(seed, 11)
    votes = [*draw.integers(3, 40, 4), *2 * draw.integers(2, 500, 4), *draw.integers(100, 5000, 4)]

    def right(n: int, beta: float) -> float:
        return float(special.ndtr(vote_quantile(n, beta)))

    def losing(most: int, n: int, beta: float) -> float:  # at most so many of n votes, with probability beta
        return float(special.betaincinv(most + 1, n - most, 1 - beta))

    compare(
        answer,
        right,
        [(int(n), float(draw.uniform(0.001, 0.2))) for n in votes],
        slips={
            "a tie is lost here, whichever way it is broken, and this q counts it as won": lambda n, b: losing(
                (n - 1) // 2, n, b
            ),
            "beta is the whole probability of losing, on one side: it is not to be halved": lambda n, b: right(
                n, b / 2
            ),
            "it is the price in sigma, the normal quantile of what is asked for": lambda n, b: vote_quantile(n, b),
            "the class of this probability *wins* with probability beta": lambda n, b: losing(n // 2, n, 1 - b),
            "it is the normal approximation, and the binomial law is asked for": lambda n, b: (
                0.5 - special.ndtri(b) / (2 * np.sqrt(n))
            ),
        },
    )
    return "right: a class of this probability fails to win with probability beta"


@check
def check_largest_vote(answer: Callable[[float, float], int], *, seed: int) -> str:
    """(s, advantage) -> the largest odd N whose vote gives no more than that away about anybody, of two classes.

    s is the distance of the pair in sigma; nobody has a certificate.

    Chapter: foundations/sharper-bounds.
    """

    def told(n: int, s: float) -> float:
        return float(stats.binom.sf(n // 2, n, special.ndtr(s / 2)) - 0.5)

    def largest(s: float, allowed: float) -> int:  # the next one tells too much
        return next(n for n in range(1, 100_000, 2) if told(n + 2, s) > allowed)

    questions = []
    for n, s in zip(2 * drawn(seed, 15).integers(10, 60, SEVERAL) + 1, np.linspace(0.04, 0.15, SEVERAL), strict=True):
        questions.append((float(s), (told(int(n), s) + told(int(n) + 2, s)) / 2))
    compare(
        answer,
        largest,
        questions,
        slips={
            "this N gives more away than is allowed: the next smaller odd one does not": lambda s, a: largest(s, a) + 2,
            "the next larger odd N would do, too": lambda s, a: largest(s, a) - 2,
            "it holds the total variation to what the advantage may be, which is half of it": lambda s, a: largest(
                s, a / 2
            ),
            "it holds half of the advantage to what is allowed": lambda s, a: largest(s, 2 * a),
            "its pair has the threshold at one end, and most is given away where it is half-way": lambda s, a: next(
                n for n in range(1, 100_000, 2) if told(n + 2, 2 * s) > 2 * a
            ),
        },
    )
    return "right: one vote more for everybody would break the promise"


@check
def check_deployable_radius(answer: Callable[[float, float, int, float], float], *, seed: int) -> str:
    """(p_low, sigma, n_vote, beta) -> the radius within which a vote stays put with probability 1 - beta, or 0.

    Chapter: foundations/finite-samples.
    """
    draw = drawn(seed, 12)
    questions = [
        (
            float(draw.uniform(0.4, 0.999)),
            float(draw.uniform(0.2, 4)),
            int(draw.integers(5, 3000)),
            float(draw.uniform(0.001, 0.1)),
        )
        for _ in range(2 * SEVERAL)
    ]

    def unclipped(p: float, sigma: float, n: int, beta: float) -> float:
        return sigma * (special.ndtri(p) - vote_quantile(n, beta))

    compare(
        answer,
        lambda p, sigma, n, beta: float(deployable_radius(p, sigma=sigma, n_vote=n, beta=beta)),
        questions,
        slips={
            "it is the certified radius: that promises something about g, and a vote is what is released": (
                lambda p, s, n, b: certified_radius(p, sigma=s)
            ),
            "it is negative where there is no positive radius: nothing is promised there": unclipped,
            "the price of the vote is in units of sigma": lambda p, s, n, b: max(
                0.0, s * special.ndtri(p) - vote_quantile(n, b)
            ),
            "it does not grow with sigma": lambda p, s, n, b: max(0.0, unclipped(p, s, n, b) / s),
            "the price is added: it is what the vote takes from the certificate": lambda p, s, n, b: max(
                0.0, s * (special.ndtri(p) + vote_quantile(n, b))
            ),
        },
    )
    return "right: within it the vote stays put, and a perfect bound could not reach further"


@check
def check_composition(answer: Callable[[float, float, int], float], *, seed: int) -> str:
    """(alpha, beta, m) -> the least total variation that the proof gives for m releases from one certificate.

    Chapter: foundations/finite-samples.
    """
    draw = drawn(seed, 13)
    compare(
        answer,
        composition_tv,
        [
            (float(draw.uniform(0.001, 0.1)), float(draw.uniform(0.001, 0.05)), int(draw.integers(1, 30)))
            for _ in range(SEVERAL)
        ],
        slips={
            "it holds, but is not the least: Bernoulli's inequality gives some of the proof away": lambda a, b, m: min(
                1, a + m * b
            ),
            "the certificate is drawn once, so it fails once": lambda a, b, m: 1 - ((1 - a) * (1 - b)) ** m,
            "the certificate fails once, and so does this bound pay for it m times": lambda a, b, m: min(
                1, m * (a + b)
            ),
            "the certificate can fail, too": lambda a, b, m: 1 - (1 - b) ** m,
            "it is the advantage, and the total variation is asked for": lambda a, b, m: composition_tv(a, b, m) / 2,
            "it does not depend on the number of releases": lambda a, b, m: a + b,
        },
    )
    return "right: the certificate fails once, every release anew"


@check
def check_audit(answer: Callable[..., float], *, seed: int) -> str:
    """(oracle, x, neighbour, rounds, confidence, seed) -> a lower confidence bound on the best adversary's advantage.

    Tried on oracles whose advantage is known. It has to lie below the truth as often as `confidence` says, and to find
    a leak that is large, in abstentions too. A right audit is refused with probability below 1e-5.

    Chapter: foundations/finite-samples.
    """
    x, neighbour = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0])
    many = np.full(201, 1 / 201)
    worlds = {
        "two labels": (np.array([0, 0.25, 0.75]), np.array([0, 0.55, 0.45])),
        "two hundred labels that tell nothing": (many, many),
    }
    allowed = int(stats.binom.isf(ERROR, AUDITS, 1 - CONFIDENCE))
    for number, (name, laws) in enumerate(worlds.items()):
        oracle = Told(*laws, seed=seed + number)
        found = [_audited(answer, oracle, x, neighbour, seed + run) for run in range(AUDITS)]
        above = sum(low > oracle.advantage for low in found)
        if above > allowed:
            raise AnswerError(
                f"{name}: in {above} of {AUDITS} audits it proves more than is true, at confidence {CONFIDENCE}: "
                "is it a bound for a guess that was fixed before the rounds it is judged by, and in our convention?"
            )
    silent = Told(np.array([0.05, 0.45, 0.5]), np.array([0.75, 0.12, 0.13]), seed=seed + 2)
    plain = Told(np.array([0, 0.02, 0.98]), np.array([0, 0.98, 0.02]), seed=seed + 3)
    for oracle, where in ((plain, "its labels"), (silent, "its abstentions")):
        found = np.mean([_audited(answer, oracle, x, neighbour, seed + run) for run in range(8)])
        if found < oracle.advantage / 2:
            raise AnswerError(f"an oracle that gives the pair away by {where} is not found out: at most half is proved")
    return "right: it proves no more than is true, and finds what leaks"


def _audited(answer: Callable[..., float], oracle: Told, x: torch.Tensor, neighbour: torch.Tensor, seed: int) -> float:
    return float(numbers(ask(answer, oracle, x, neighbour, ROUNDS, CONFIDENCE, seed)))
