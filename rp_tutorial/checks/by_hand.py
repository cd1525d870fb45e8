"""Checks on short computations about tables: abstention, lies, islands, one-hot columns, an interval margin.

For exercises of the chapters on insurance and practice. Each answer is a function of a few numbers; what it is compared
with is exact.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import nn

from rp_tutorial.checks.base import check, compare, drawn
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.theory.halfspace import class_one_probability, predict_law

SEVERAL = 8  # questions of a check


@check
def check_abstention(answer: Callable[[float, int, float, float], float], *, seed: int) -> str:
    """(sigma, n, alpha, quantile) -> the share of the people N(0, 1) about whom PREDICT abstains, to one part in 100.

    The decision is a threshold at that quantile; sigma is in std.

    Chapter: insurance/bmi-threshold.
    """
    draw = drawn(seed, 60)
    questions = [
        (float(s), int(n), float(a), float(q))
        for s, n, a, q in zip(
            draw.uniform(0.5, 3, 4),
            draw.integers(50, 400, 4),
            draw.choice([0.001, 0.01, 0.05], 4),
            draw.uniform(0.2, 0.8, 4),
            strict=True,
        )
    ]

    z = np.linspace(-6, 6, 1201)
    weight = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()

    @cache
    def share(sigma: float, n: int, alpha: float, quantile: float) -> float:
        p_one = class_one_probability(z - special.ndtri(quantile), sigma=sigma)
        return float(weight @ predict_law(p_one, n=n, alpha=alpha)[:, 1])

    compare(
        answer,
        share,
        questions,
        tolerance=0.01,
        slips={
            "its test is one-sided, and PREDICT's is not": lambda s, n, a, q: share(s, n, 2 * a, q),
            "it does not depend on where the threshold is, and more people live near the median": lambda s, n, a, q: (
                share(s, n, a, 0.9)
            ),
            "its strip is as if sigma were 1": lambda s, n, a, q: share(1.0, n, a, q),
        },
    )
    return "right: the strip, and the people who live in it"


@check
def check_lied_accuracy(answer: Callable[[float, float], float], *, seed: int) -> str:
    """(keep, right) -> the accuracy behind an oracle of two labels that keeps the label with probability keep.

    Chapter: insurance/eligibility.
    """
    draw = drawn(seed, 61)
    compare(
        answer,
        lambda keep, right: keep * right + (1 - keep) * (1 - right),
        [tuple(map(float, draw.uniform(0.5, 1, 2))) for _ in range(SEVERAL)],
        slips={
            "a lie about a wrong label is right": lambda keep, right: keep * right,
            "a lie is always the other label here, and not a toss between the two": lambda keep, right: (
                keep * right + (1 - keep) / 2
            ),
            "a lie about a right label is wrong": lambda keep, right: keep * right + (1 - keep) * right,
        },
    )
    return "right: kept and right, or lied about and wrong"


@check
def check_deleting_sigma(answer: Callable[[float], float], *, seed: int) -> str:
    """(width) -> the sigma from which on smoothing deletes an island of label 1 of that width in a sea of label 0.

    Chapter: insurance/exact-attribute-smoothing.
    """
    half = float(special.ndtri(0.75))
    compare(
        answer,
        lambda width: width / (2 * half),
        [(float(w),) for w in drawn(seed, 62).uniform(0.05, 3, SEVERAL)],
        slips={
            "by then the island is long gone: it lies on both sides of its middle": (lambda width: width / half),
            "by then the island is long gone: which interval has half of the normal law's mass?": lambda w: (
                w * 2 * half
            ),
            "half of the width is no quantile of the normal law": lambda width: width / 2,
        },
    )
    return "right: there the middle of the island is a tie"


@check
def check_carried_probability(answer: Callable[[float, float, float], float], *, seed: int) -> str:
    """(p_a, sigma, other) -> p_A at the same point under noise of another sigma, behind a flat boundary.

    Chapter: practice/choosing-parameters.
    """
    draw = drawn(seed, 63)
    questions = [tuple(map(float, (draw.uniform(0.55, 0.99), *draw.uniform(0.5, 5, 2)))) for _ in range(SEVERAL)]

    def carried(p: float, ratio: float) -> float:
        return float(special.ndtr(special.ndtri(p) * ratio))

    compare(
        answer,
        lambda p, sigma, other: carried(p, sigma / other),
        questions,
        slips={
            "it rises with the noise: the distance to the boundary is what stays": lambda p, s, o: carried(p, o / s),
            "it stays, and what stays is the distance to the boundary": lambda p, s, o: p,
            "it carries a variance: sigma is a standard deviation": lambda p, s, o: carried(p, (s / o) ** 2),
            "it is proportional to sigma, and the normal law is not": lambda p, s, o: 0.5 + (p - 0.5) * s / o,
        },
    )
    return "right: the distance stays, and p_A follows"


@check
def check_one_hot_change(answer: Callable[[float], float], *, seed: int) -> str:
    """(share) -> how long the change of one yes-no feature is in two standardised one-hot columns, in std.

    Chapter: practice/own-model.
    """
    compare(
        answer,
        lambda share: np.sqrt(2 / (share * (1 - share))),
        [(float(s),) for s in drawn(seed, 64).uniform(0.03, 0.6, SEVERAL)],
        slips={
            "two columns change with the feature, and not one": lambda share: 1 / np.sqrt(share * (1 - share)),
            "the length is Euclidean: two changes at a right angle do not add up": lambda share: (
                2 / np.sqrt(share * (1 - share))
            ),
            "it divides by the variance, and standardising divides by its root": lambda share: (
                np.sqrt(2) / (share * (1 - share))
            ),
            "the columns are standardised: a rare feature is a long way off": lambda share: np.sqrt(2),
        },
    )
    return "right: the rarer the feature, the longer the way"


@check
def check_interval_margin(answer: Callable[..., Any], *, seed: int) -> str:
    """(net, x [d], r) -> the interval bound on the margin over the l2 ball of radius r, for a net of two layers.

    Chapter: insurance/deterministic.
    """
    draw = drawn(seed, 65)
    questions = [
        (
            two_layer_net(6, hidden=8, seed=seed + number).double().requires_grad_(False),
            torch.tensor(draw.normal(size=6)),
            float(draw.uniform(0.01, 0.5)),
        )
        for number in range(SEVERAL)
    ]

    def bound(net: nn.Module, x: torch.Tensor, reach: Callable[[torch.Tensor], torch.Tensor]) -> float:
        w, b, v, v0 = (p.detach().double() for p in net.parameters())
        centre = w @ x.double() + b
        low, high = (centre - reach(w)).relu(), (centre + reach(w)).relu()
        y = int((v @ centre.relu() + v0).argmax())
        d, d0 = v[y] - v[1 - y], v0[y] - v0[1 - y]
        return float(d.clamp_min(0) @ low + d.clamp_max(0) @ high + d0)

    compare(
        answer,
        lambda net, x, r: bound(net, x, lambda w: r * w.norm(dim=1)),
        questions,
        slips={
            "it is the bound for the linf ball: another norm of the weights says how far a unit moves": (
                lambda net, x, r: bound(net, x, lambda w: r * w.abs().sum(dim=1))
            ),
            "its reach is the largest weight, the dual of another norm": lambda net, x, r: bound(
                net, x, lambda w: r * w.abs().amax(dim=1)
            ),
            "it squares the norm of the weights": lambda net, x, r: bound(net, x, lambda w: r * w.square().sum(dim=1)),
            "it is the margin at x itself: nothing is said about the ball": lambda net, x, r: bound(
                net, x, lambda w: 0 * w[:, 0]
            ),
        },
    )
    return "right: no input of the ball has a smaller margin"
