"""Checks on inversion through labels: the push of a sphere, a walk, questions asked again, an oracle that remembers.

For the chapters on faces and the assignment on them. A walk is judged in planes whose walls are known, an attacker by
what it believes of a liar, and a defence by what it releases.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor

from rp_tutorial.checks.base import AnswerError, ask, check, compare, drawn, numbers, shown
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.theory.halfspace import vote_law

SEVERAL = 8  # questions of a check
PLANES, BUDGET, FAR_ENOUGH = 10, 1320, 0.6  # of `check_inversion`: 40 passes of 33; share of the widest circle
ROWS, VOTES, ERROR = 1500, 5, 1e-7  # of `check_memory`; ERROR: a law that holds is refused, a comparison


class Cells(LabelOracle):
    """The nearest of some centres in a plane, or with `lies` and `silence` another label or none, at random."""

    def __init__(self, centres: np.ndarray, *, lies: float = 0.0, silence: float = 0.0, seed: int = 0) -> None:
        super().__init__(num_classes=len(centres))
        self.centres, self.lies, self.silence = torch.tensor(centres, dtype=torch.float32), lies, silence
        self.draw = drawn(seed, 40)

    def truth(self, x: Tensor) -> Tensor:
        """The label without lies, and without counting a question."""
        return (x[:, None] - self.centres).square().sum(dim=2).argmin(dim=1)

    def margin(self, x: Tensor, target: int) -> Tensor:
        """Distance [B] to the nearest wall of the target's cell, negative outside."""
        apart = torch.cat([self.centres[:target], self.centres[target + 1 :]])
        own = (x - self.centres[target]).square().sum(dim=1, keepdim=True)
        theirs = (x[:, None] - apart).square().sum(dim=2)
        return ((theirs - own) / (2 * (apart - self.centres[target]).norm(dim=1))).amin(dim=1)

    def _release(self, x: Tensor) -> Tensor:
        truth, lots = self.truth(x), torch.tensor(self.draw.random(len(x)))
        shift = torch.tensor(self.draw.integers(1, self.num_classes, len(x)))
        told = torch.where(lots < self.lies, (truth + shift) % self.num_classes, truth)
        return torch.where(lots > 1 - self.silence, ABSTAIN, told)


@check
def check_push(answer: Callable[[Tensor, Tensor], Any], *, seed: int) -> str:
    """(directions [D, d], inside [D] bool) -> where the published attack moves, [d]: away from the mean outside point.

    Chapter: faces/label-only-inversion.
    """
    draw, questions = drawn(seed, 41), []
    for outside in draw.integers(1, 20, SEVERAL):
        u = draw.normal(size=(20, 3))
        inside = draw.permutation(np.arange(20) >= outside)
        units = torch.tensor(u / np.linalg.norm(u, axis=1, keepdims=True), dtype=torch.float32)
        questions.append((units, torch.tensor(inside)))
    compare(
        answer,
        lambda u, inside: -(u * ~inside[:, None]).mean(dim=0),
        questions,
        tolerance=1e-4,
        slips={
            "it moves towards the outside points": lambda u, inside: (u * ~inside[:, None]).mean(dim=0),
            "it divides by the number of outside points: one alone would push as hard as a whole wall": (
                lambda u, inside: -u[~inside].mean(dim=0)
            ),
            "its inside points pull, and in the published attack only outside points push": lambda u, inside: (
                torch.where(inside[:, None], u, -u).mean(dim=0)
            ),
            "it is scaled to length 1: a sphere that hardly sticks out should hardly move": lambda u, inside: (
                -torch.nn.functional.normalize((u * ~inside[:, None]).mean(dim=0), dim=0)
            ),
        },
    )
    return "right: the outside points push, each as hard as any other"


@check
def check_inversion(answer: Callable[..., Any], *, seed: int) -> str:
    """(oracle, start [d], target, budget, seed) -> a point [d] deep inside the target's region, found by labels.

    Judged in planes cut into cells: the end has the target's label, lies on average at least 0.6 times as deep as the
    deepest point does, and no more than `budget` labels are asked for.

    Chapter: faces/label-only-inversion.
    """
    draw, depth = drawn(seed, 42), []
    ticks = torch.linspace(-3, 3, 121)
    plane = torch.cartesian_prod(ticks, ticks)
    for number in range(PLANES):
        oracle = Cells(draw.uniform(-2.5, 2.5, (10, 2)))
        target = int(draw.integers(10))
        inside = oracle.margin(plane, target)
        deepest = inside.max()
        near = plane[(inside > 0.02 * deepest) & (inside < 0.2 * deepest)]
        start = near[int(draw.integers(len(near)))]
        end = numbers(ask(answer, oracle, start, target, BUDGET, seed + number), (2,))
        if oracle.queries > BUDGET:
            raise AnswerError(f"it asks for {oracle.queries} labels, with a budget of {BUDGET}")
        end = torch.tensor(end, dtype=torch.float32)[None]
        if int(oracle.truth(end)) != target:
            raise AnswerError(f"plane {number + 1} of {PLANES}: the point where it ends has not the target's label")
        depth.append(float(oracle.margin(end, target) / deepest))
    if np.mean(depth) < FAR_ENOUGH:
        found = f"{np.mean(depth):.0%} of the depth of the deepest point"
        raise AnswerError(f"on average it ends at {found}: does the step point away from the walls, and does it grow?")
    return "right: it ends deep inside, by labels alone and within its budget"


@check
def check_repeated(answer: Callable[[LabelOracle, Tensor, int], Any], *, seed: int) -> str:
    """(oracle, x [B, d], repeats) -> the labels [B] that an attacker believes who asks every question so many times.

    A right answer fails with probability below 1e-5.

    Chapter: comparisons/randomized-response.
    """
    draw = drawn(seed, 43)
    centres, x = draw.uniform(-2.5, 2.5, (8, 2)), torch.tensor(draw.uniform(-2.5, 2.5, (60, 2)), dtype=torch.float32)
    for number, (lies, silence) in enumerate(((0.5, 0.0), (0.15, 0.6))):
        oracle, repeats = Cells(centres, lies=lies, silence=silence, seed=seed + number), 61
        found = numbers(ask(answer, oracle, x, repeats), (len(x),))
        if oracle.queries > repeats * len(x):
            raise AnswerError(f"it asks {oracle.queries} questions, for {len(x)} inputs and {repeats} repeats")
        if (found == ABSTAIN).any():
            raise AnswerError("it believes silence: an oracle that mostly abstains has still told a label now and then")
        right = int((found == oracle.truth(x).numpy()).sum())
        if right < len(x) - 1:
            raise AnswerError(
                f"it is right about {right} of {len(x)} inputs, and asking {repeats} times tells nearly all"
            )
    return "right: what is drawn anew averages out"


@check
def check_memory(answer: Callable[..., Any], *, seed: int) -> str:
    """(net, sigma, n, secret) -> a LabelOracle that answers a question as before: a vote whose noise follows from it.

    Noise is a function of the secret (bytes) and the input alone, and otherwise as fresh as a vote's. A right answer
    fails with probability below 1e-6.

    Chapter: faces/defended.
    """
    sigma = float(drawn(seed, 44).uniform(0.5, 3))
    net = half_space_net().requires_grad_(False)
    oracle = ask(answer, net, sigma, VOTES, b"one secret")
    if not isinstance(oracle, LabelOracle):
        raise AnswerError(f"it returns {shown(oracle)}, asked for is a LabelOracle")
    nudged = at_distance(0.2 * sigma + 1e-3 * sigma * np.linspace(-1, 1, ROWS))
    first, again = (np.asarray(ask(oracle, nudged)) for _ in range(2))
    if (first != again).any():
        raise AnswerError("who asks again gets other answers")
    turned = np.asarray(ask(oracle, nudged.flip(0)))[::-1]
    fresh = ask(answer, net, sigma, VOTES, b"one secret")
    if (first != turned).any() or (first != np.asarray(ask(fresh, nudged))).any():
        raise AnswerError("an answer depends on what else is asked, or was: noise is to follow from secret and input")
    p = float(vote_law(special.ndtr(0.2), n=VOTES)[1])
    ones = int(first.sum())
    if ones in (0, ROWS):
        raise AnswerError(f"{ROWS} different inputs near the boundary meet the same noise, so no two answers differ")
    if min(stats.binom.cdf(ones, ROWS, p), stats.binom.sf(ones - 1, ROWS, p)) < ERROR / 2:
        raise AnswerError(f"near the boundary label 1 comes {ones} times in {ROWS}, which no vote of {VOTES} does")
    if (first == np.asarray(ask(ask(answer, net, sigma, VOTES, b"another"), nudged))).all():
        raise AnswerError("another secret gives the same answers: who knows the code knows the noise")
    return "right: the same question has one answer, and its neighbours have others"
