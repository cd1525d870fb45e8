"""Checks on a hidden attribute: what a label leaves possible, what it is worth, and a vote that hides it.

For the chapters "Side channel" and "Attributes" and the assignment on them. Answers see an oracle through its labels,
as an adversary does; a defence is judged by the law of what it releases.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy import special, stats
from torch import Tensor, nn

from rp_tutorial.checks.base import AnswerError, ask, check, compare, drawn, shown
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.theory.halfspace import vote_law

SEVERAL = 8  # questions of a check
ROWS, VOTES, ERROR = 1500, 5, 1e-7  # of `check_vote_oracle`; ERROR: a law that holds is refused, a comparison


class Waves(LabelOracle):
    """Labels 0, 1, 2 in stripes along the first attribute, which the others shift and stretch."""

    def _release(self, x: Tensor) -> Tensor:
        height = torch.sin(x[:, 0] * (1.5 + x[:, 1].abs()) + 2 * x[:, 2])
        return (height > -0.3).long() + (height > 0.5).long()


class OneSided(nn.Module):
    """Label 1 where one input is above 0; far more sure of label 0, so that scores and labels average otherwise."""

    def __init__(self, column: int) -> None:
        super().__init__()
        self.column = column

    def forward(self, x: Tensor) -> Tensor:
        z = x[:, self.column]
        return torch.stack([torch.zeros_like(z), torch.minimum(z, 20 * z)], dim=1)


@check
def check_compatible(answer: Callable[..., Any], *, seed: int) -> str:
    """(oracle, record [d], label, candidates [G], column) -> which values of that column fit the label, bool [G].

    Chapter: foundations/side-channel.
    """
    draw = drawn(seed, 30)
    candidates = np.linspace(-3, 3, 61)
    questions = [
        (Waves(num_classes=3), torch.tensor(draw.normal(size=3), dtype=torch.float32), int(label), candidates, 0)
        for label in draw.integers(0, 3, SEVERAL)
    ]

    def fits(oracle: LabelOracle, record: Tensor, label: int, values: np.ndarray, column: int) -> np.ndarray:
        probes = record.repeat(len(values), 1)
        probes[:, column] = torch.tensor(values, dtype=torch.float32)
        return (oracle(probes) == label).numpy()

    def one_piece(*question: Any) -> np.ndarray:
        mask = fits(*question)
        return np.logical_or.accumulate(mask) & np.logical_or.accumulate(mask[::-1])[::-1]

    compare(
        answer,
        fits,
        questions,
        labels=True,
        slips={
            "it keeps the values that do *not* give the label": lambda *q: ~fits(*q),
            "it fills the gaps: between two values that fit there can be values that do not": one_piece,
            "it asks about other people: the other attributes have to be those of the record": lambda o, r, *q: fits(
                o, torch.zeros_like(r), *q
            ),
            "it keeps every value": lambda o, r, y, values, c: np.ones(len(values)),
        },
    )
    return "right: these values fit the label, and no other ones"


@check
def check_posterior(answer: Callable[[np.ndarray, np.ndarray], Any], *, seed: int) -> str:
    """(prior [G], Pr[the release | value] [G]) -> the adversary's belief about the value after the release, [G].

    Chapter: foundations/attributes.
    """
    draw = drawn(seed, 31)
    questions = [(draw.dirichlet(np.ones(7)), draw.uniform(0, 1, 7)) for _ in range(SEVERAL)]
    compare(
        answer,
        lambda prior, law: prior * law / (prior @ law),
        questions,
        slips={
            "it does not sum to 1, so it is no law over the values": lambda prior, law: prior * law,
            "it forgets what was likely before the release": lambda prior, law: law / law.sum(),
            "it forgets the release": lambda prior, law: prior,
            "it keeps or drops whole values, and the release is random: a value can be a little likely": (
                lambda prior, law: prior * (law >= 0.5) / max(prior @ (law >= 0.5), 1e-12)
            ),
        },
    )
    return "right: this is what the adversary believes now"


@check
def check_bits(answer: Callable[[np.ndarray, np.ndarray], float], *, seed: int) -> str:
    """(prior [G], fits [G] bool) -> the bits that a label is worth to whoever learns that the value is one that fits.

    Chapter: foundations/side-channel.
    """
    draw = drawn(seed, 32)
    questions = [(draw.dirichlet(np.ones(9)), draw.permutation(np.arange(9) < k)) for k in draw.integers(1, 9, SEVERAL)]
    compare(
        answer,
        lambda prior, fits: -np.log2(prior[fits].sum()),
        questions,
        slips={
            "it counts values, and people are not spread evenly over them": lambda prior, fits: -np.log2(fits.mean()),
            "it is in nats, and bits are asked for": lambda prior, fits: -np.log(prior[fits].sum()),
            "its sign is wrong: a rarer label is worth more": lambda prior, fits: np.log2(prior[fits].sum()),
            "it is the entropy of the label, its mean over people: this label was seen": lambda prior, fits: (
                special.entr([prior[fits].sum(), prior[~fits].sum()]).sum() / np.log(2)
            ),
        },
    )
    return "right: the rarer the label, the more it says"


@check
def check_vote_oracle(answer: Callable[..., Any], *, seed: int) -> str:
    """(net, sigma, scale [d], n, seed) -> a LabelOracle that releases the majority of n noisy copies, fresh every time.

    The noise on input i has standard deviation sigma * scale[i]. Judged by the law of the labels of two-class nets; a
    right answer fails with probability below 1e-6.

    Chapter: foundations/certified-robustness.
    """
    sigma = float(drawn(seed, 33).uniform(2.5, 3.5))
    scale = torch.tensor([1.0, 0.0])
    oracle = ask(answer, OneSided(0), sigma, scale, VOTES, seed)
    if not isinstance(oracle, LabelOracle):
        raise AnswerError(f"it returns {shown(oracle)}, asked for is a LabelOracle")
    for distance in (0.3, -0.2):
        x = torch.tensor([[distance * sigma, 1.0]]).repeat(ROWS, 1)
        ones, again = (np.asarray(ask(oracle, x)) for _ in range(2))
        if (ones == again).all() and 0 < ones.sum() < ROWS:
            raise AnswerError("who asks again gets the same answers: fresh noise for every release is asked for")
        if ones.sum() in (0, ROWS):
            raise AnswerError("near the boundary a whole batch gets one answer: has every row noise of its own?")
        _refuse_other_laws(int(ones.sum()), distance, sigma)
    other = ask(answer, OneSided(1), sigma, scale, VOTES, seed)
    near = torch.tensor([[0.0, -0.01], [0.0, 0.01]]).repeat(50, 1)
    if not np.array_equal(np.asarray(ask(other, near)), np.tile([0, 1], 50)):
        raise AnswerError("an input whose scale is 0 is noisy, too")
    return "right: fresh majorities of noisy copies, with noise where it belongs"


def _refuse_other_laws(ones: int, distance: float, sigma: float) -> None:
    def plausible(sigma: float, n: int) -> bool:
        p = float(vote_law(special.ndtr(distance * at / sigma), n=n)[1])
        return bool(min(stats.binom.cdf(ones, ROWS, p), stats.binom.sf(ones - 1, ROWS, p)) > ERROR / 2)

    at = sigma
    if plausible(sigma, VOTES):
        return
    if plausible(sigma, 1):
        raise AnswerError("the labels are those of one noisy copy: asked for is the majority of n")
    if plausible(sigma**2, VOTES):
        raise AnswerError("the noise has sigma squared as its standard deviation")
    raise AnswerError(f"at {distance} sigma from the boundary label 1 comes {ones} times in {ROWS}, which no vote does")
