"""Checks on counts and what they decide: votes of noisy copies, PREDICT, the bound, the certificate.

For the chapter "Certified robustness" and the assignment on smoothing. The statistics that answers are compared with
are those of `statistics/binomial.py`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special, stats

from rp_tutorial.checks.base import AnswerError, ask, check, compare, drawn, numbers, shown
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.votes import significant_plurality
from rp_tutorial.statistics.binomial import (
    certified_radius,
    lower_confidence_bound,
    min_predict_votes,
    predict_thresholds,
)

ERROR = 1e-7  # probability that votes drawn as they should be are refused, a comparison
SEVERAL = 12  # questions of a check


@check
def check_lower_bound(answer: Callable[[int, int, float], float], *, seed: int) -> str:
    """(k, n, alpha) -> the one-sided Clopper-Pearson bound: p is at least this with probability 1 - alpha.

    Chapter: foundations/certified-robustness.
    """

    def right(k: int, n: int, alpha: float) -> float:
        return float(lower_confidence_bound(k, n, alpha=alpha))

    def normal(k: int, n: int, alpha: float) -> float:
        return k / n - stats.norm.ppf(1 - alpha) * np.sqrt(k / n * (1 - k / n) / n)

    compare(
        answer,
        right,
        [*_counts(seed), (0, 20, 0.05), (50, 50, 0.01)],
        slips={
            "a valid bound, but not the largest: it spends only half of alpha on this side": lambda k, n, a: right(
                k, n, a / 2
            ),
            "it is the share of the votes: p lies below it about half of the time": lambda k, n, a: k / n,
            "it is the normal approximation: for k = n it gives 1, and p lies below it more often than alpha": normal,
            "it is the normal approximation, cut off at 0: p lies below it more often than alpha": lambda *q: max(
                0.0, normal(*q)
            ),
            "p lies below it with probability 1 - alpha, and asked for is alpha": lambda k, n, a: right(k, n, 1 - a),
        },
    )
    return "right: the bound holds with probability 1 - alpha, and no larger one does"


@check
def check_certified_radius(answer: Callable[[float, float], float], *, seed: int) -> str:
    """(p_low, sigma) -> the radius within which the smoothed label cannot change, 0 where nothing is certified.

    Chapter: foundations/certified-robustness.
    """
    draw = drawn(seed, 2)
    levels = [*draw.uniform(0.5, 1, SEVERAL), *draw.uniform(0.01, 0.5, 3), 0.5]
    compare(
        answer,
        lambda p, sigma: float(certified_radius(p, sigma=sigma)),
        zip(levels, draw.uniform(0.1, 4, len(levels)), strict=True),
        slips={
            "below p = 1/2 it is negative: there nothing is certified": lambda p, s: s * special.ndtri(p),
            "its unit is that of sigma squared: a radius has the unit of sigma": lambda p, s: max(
                0, s**2 * special.ndtri(p)
            ),
            "it does not grow with sigma": lambda p, s: max(0, special.ndtri(p)),
            "it is half as long as what two classes allow, where p_B is at most 1 - p_A": lambda p, s: max(
                0, s * special.ndtri(p) / 2
            ),
            "it takes the distribution function where its inverse belongs": lambda p, s: max(0, s * special.ndtr(p)),
        },
    )
    return "right: every shorter distance is certified, and no longer one"


@check
def check_predict(answer: Callable[[list[int], float], int], *, seed: int) -> str:
    """(counts, alpha) -> the leading class where the two-sided binomial test is significant, else ABSTAIN = -1.

    Chapter: foundations/certified-robustness.
    """
    compare(
        answer,
        lambda counts, alpha: int(significant_plurality(torch.tensor([counts]), alpha=alpha)),
        _elections(seed),
        slips={
            "its test is one-sided: which class leads was seen on the same votes": lambda c, a: _tested(c, 2 * a),
            "it always answers: some of these votes are too close to call": lambda c, a: int(np.argmax(c)),
            "it never answers": lambda c, a: ABSTAIN,
            "it tests the leader against all other classes together: the runner-up is what it has to beat": (
                lambda c, a: int(np.argmax(c)) if max(c) >= predict_thresholds(sum(c), a)[-1] else ABSTAIN
            ),
            "it answers where a class has more than half of the votes, whatever alpha is": lambda c, a: (
                int(np.argmax(c)) if 2 * max(c) > sum(c) else ABSTAIN
            ),
        },
        labels=True,
    )
    return "right: it answers where the lead is significant, and abstains elsewhere"


@check
def check_noisy_counts(answer: Callable[..., Any], *, seed: int) -> str:
    """(net, x, sigma, n, generator) -> how often each class is the label of x [d] plus noise, as counts [K].

    Judged by the law of the counts behind a half-space; a right answer fails with probability below 1e-6.

    Chapter: foundations/certified-robustness.
    """
    net, n, draw = half_space_net().requires_grad_(False), 4000, drawn(seed, 4)
    for number, sigma in enumerate((0.5, 2.0, 3.0)):
        distance = float(sigma * draw.uniform(0.3, 0.8))
        x = at_distance(distance)

        def votes(generator: int, x: torch.Tensor = x, sigma: float = sigma) -> np.ndarray:
            noise = torch_generator(Purpose.FUZZED_INPUTS, seed, generator)
            return numbers(ask(answer, net, x, sigma, n, noise), (2,))

        counts = votes(number)
        if (counts != np.round(counts)).any() or counts.sum() != n:
            raise AnswerError(f"for n = {n} it counts {shown(counts)}: asked for are {n} labels, one a copy")
        if 0 in counts:
            raise AnswerError("all copies near the boundary have one label: has each of them noise of its own?")
        if (counts != votes(number)).any() or (counts == votes(number + 100)).all():
            raise AnswerError(
                "its noise is not from the generator: the same one gives other counts, or another the same"
            )
        if not _plausible(counts[1], n, special.ndtr(distance / sigma)):
            square = _plausible(counts[1], n, special.ndtr(distance / sigma**2))
            which = "sigma squared" if square else "something other than sigma"
            raise AnswerError(f"sigma = {sigma}: the noise has {which} as its standard deviation, or is not Gaussian")
    return "right: the counts have the law that they should have"


@check
def check_certificate(answer: Callable[..., Any], *, seed: int) -> str:
    """(sample, n0, n, alpha, sigma) -> (label, radius): CERTIFY from fresh votes, `sample(m)` gives counts [K] of m.

    The class comes from n0 votes and its bound from n others; (ABSTAIN, 0.0) where the bound is not above 1/2.

    Chapter: foundations/certified-robustness.
    """
    wanted, found, stories = [], [], _stories(seed)
    for first, second, alpha, sigma in stories:
        asked: list[int] = []
        rounds = iter((first, second))

        def sample(m: int, asked: list[int] = asked, rounds: Any = rounds) -> np.ndarray:
            asked.append(m)
            return np.array(next(rounds))

        pair = ask(answer, sample, sum(first), sum(second), alpha, sigma)
        if asked != [sum(first), sum(second)]:
            raise AnswerError(
                f"it asks for samples of {shown(asked)}, with n0 = {sum(first)} and n = {sum(second)}: asked for are "
                "n0 to choose the class, and then n fresh ones for its bound"
            )
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise AnswerError(f"it returns {shown(pair)}, asked for is a pair (label, radius)")
        found.append(numbers(pair, (2,)))
        wanted.append(_certificate(first, second, alpha, sigma))
    slips = {
        "the class is chosen again on the votes that bound it: then the bound fails more often than alpha": (
            lambda first, second, a, s: _certificate(second, second, a, s)
        ),
        "the bound rests on votes that chose the class: they are not a sample of it any more": (
            lambda first, second, a, s: _certificate(first, np.add(first, second), a, s)
        ),
        "the bound rests on the n0 votes that chose the class": lambda first, second, a, s: _certificate(
            first, first, a, s
        ),
        "a valid radius, but not the longest: only half of alpha is spent": lambda first, second, a, s: _certificate(
            first, second, a / 2, s
        ),
        "it answers where the bound is not above 1/2": lambda first, second, a, s: (
            int(np.argmax(first)),
            _certificate(first, second, a, s)[1],
        ),
    }
    if np.allclose(found, wanted, rtol=1e-6, atol=1e-9):
        return "right: one sample chooses, a fresh one bounds"
    for said, slip in slips.items():
        if np.allclose(found, [slip(*story) for story in stories], rtol=1e-6, atol=1e-9):
            raise AnswerError(said)
    at = next(i for i in range(len(found)) if not np.allclose(found[i], wanted[i], rtol=1e-6, atol=1e-9))
    part = "label" if found[at][0] != wanted[at][0] else "radius"
    first, second, alpha, sigma = stories[at]
    raise AnswerError(
        f"first votes {shown(first)}, fresh {shown(second)}, alpha {alpha}, sigma {sigma}: the {part} is wrong"
    )


def _counts(seed: int) -> list[tuple[int, int, float]]:
    draw = drawn(seed, 1)
    sizes = draw.integers(5, 2000, SEVERAL)
    return [(int(draw.integers(1, n)), int(n), float(draw.uniform(0.001, 0.2))) for n in sizes]


def _elections(seed: int) -> list[tuple[list[int], float]]:
    """Votes at the edge of the test, on two classes and on five; the leader is anywhere."""
    draw, found = drawn(seed, 3), []
    for n in draw.integers(40, 500, SEVERAL).tolist():
        alpha = float(draw.choice([0.001, 0.01, 0.05]))
        least = min_predict_votes(n, alpha=alpha)
        for leader in (least, least - 1, n // 2 + 1, n - n // 20):
            two = [leader, n - leader]
            for votes in (two, [*two, *[min(two) // 2] * 3]):
                found.append((draw.permutation(votes).tolist(), alpha))
    return found


def _tested(counts: Any, alpha: float) -> int:
    return int(significant_plurality(torch.tensor([list(counts)]), alpha=min(alpha, 0.999)))


def _plausible(hits: float, n: int, p: float) -> bool:
    return min(stats.binom.cdf(hits, n, p), stats.binom.sf(hits - 1, n, p)) > ERROR / 2


def _stories(seed: int) -> list[tuple[list[int], list[int], float, float]]:
    """Two rounds of votes: clear ones, a leader that changes, and a bound at 1/2."""
    draw, found = drawn(seed, 5), []
    for kind in ("clear", "clear", "changes", "close", "clear"):
        n0, n = int(draw.integers(30, 100)), int(draw.integers(300, 2000))
        alpha, sigma = float(draw.choice([0.001, 0.01, 0.05])), float(draw.uniform(0.2, 3))
        leader = {"clear": int(draw.uniform(0.7, 0.97) * n), "changes": int(0.2 * n), "close": n // 2 + 1}[kind]
        early = int(draw.uniform(0.6, 0.9) * n0)
        order = draw.permutation(3)
        first, second = (
            np.array([lead, whole - lead - (whole - lead) // 4, (whole - lead) // 4])
            for lead, whole in ((early, n0), (leader, n))
        )
        found.append((first[order].tolist(), second[order].tolist(), alpha, sigma))
    return found


def _certificate(first: Any, second: Any, alpha: float, sigma: float) -> tuple[int, float]:
    label = int(np.argmax(first))
    low = float(lower_confidence_bound(int(second[label]), int(np.sum(second)), alpha=alpha))
    return (label, float(certified_radius(low, sigma=sigma))) if low > 0.5 else (ABSTAIN, 0.0)
