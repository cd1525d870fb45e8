"""Piecewise-constant nets of the line, with up to a hundred classes, whose smoothed labels and votes have exact laws.

With one cut such a net is a half-space, where two classes tell the most; with many it is any net that depends on one
feature. The guarantee audit plays on them, through the package's own oracles (`bound_games`). Nothing is trained.
"""

from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from torch import Tensor, nn

from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.theory import halfspace

CLASSES = (2, 3, 5, 10, 30, 100)
FAR = 41  # of Poisson(n) less than 1e-31 lies as far above n, for every n
CELLS = 2_000_000  # entries of one array


class LineNet(nn.Module):
    """Logits [B, K] from x [B, 1]: one-hot, `classes` [pieces] between `cuts` [pieces - 1], which are in sigmas."""

    def __init__(self, cuts: ArrayLike, classes: ArrayLike, num_classes: int, sigma: float) -> None:
        super().__init__()
        self.cuts, self.classes = np.asarray(cuts, dtype=np.float64), np.asarray(classes)
        self.num_classes, self.sigma = num_classes, sigma
        self.register_buffer("borders", torch.as_tensor(self.cuts * sigma, dtype=torch.float32))
        self.register_buffer("rows", torch.eye(num_classes)[torch.as_tensor(self.classes)])

    @classmethod
    def drawn(cls, rng: np.random.Generator, num_classes: int) -> Self:
        """A half-space as often as not for two classes; else random pieces, or two sides and a middle of all others."""
        sigma, kind = float(np.exp(rng.uniform(-3, 1))), rng.random() < 0.5
        if num_classes == 2 and kind:
            return cls([0.0], rng.permutation(2), 2, sigma)
        if num_classes > 2 and kind:
            side = rng.uniform(0.3, 1.5)
            return cls(np.linspace(-side, side, num_classes - 1), rng.permutation(num_classes), num_classes, sigma)
        pieces = int(rng.integers(2, 9))
        classes = rng.integers(0, num_classes, pieces)
        classes[:2] = rng.permutation(num_classes)[:2]
        return cls(np.sort(rng.normal(0, rng.choice([0.3, 1.0, 2.0]), pieces - 1)), classes, num_classes, sigma)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows[torch.bucketize(x[:, 0].contiguous(), self.borders)]

    def shares(self, place: ArrayLike) -> NDArray[np.float64]:
        """Probability [..., K] of each class under noise, at places [...] in sigmas."""
        ends = special.ndtr(np.r_[-np.inf, self.cuts, np.inf] - np.asarray(place, dtype=np.float64)[..., None])
        return np.diff(ends, axis=-1) @ np.eye(self.num_classes)[self.classes]

    def smoothing(self, seed: int, device: str = "cpu") -> Smoothing:
        """The real mechanism, with fresh noise for every seed."""
        return Smoothing(self, num_classes=self.num_classes, sigma=self.sigma, seed=seed, device=device)

    def inputs(self, place: ArrayLike) -> Tensor:
        """The inputs [B, 1] at these places [B]."""
        return torch.as_tensor(np.asarray(place) * self.sigma, dtype=torch.float32)[:, None]


class Release:
    """VOTE or PREDICT of n votes of a line net: the oracle, and its law over K classes and ABSTAIN, which is last."""

    def __init__(self, net: LineNet, n: int, test_alpha: float | None = None) -> None:
        self.net, self.n, self.test_alpha = net, n, test_alpha  # test_alpha: of PREDICT, of two classes only

    def law(self, place: ArrayLike) -> NDArray[np.float64]:
        """[..., K + 1] at places [...]."""
        shares = self.net.shares(place)
        if self.test_alpha is not None:
            return halfspace.predict_law(shares[..., 1], n=self.n, alpha=self.test_alpha)[..., [0, 2, 1]]
        won = vote_law(shares, self.n)
        return np.concatenate([won, np.zeros_like(won[..., :1])], axis=-1)

    def oracle(self, smoothing: Smoothing) -> LabelOracle:
        if self.test_alpha is not None:
            return PredictOracle(smoothing, n=self.n, alpha=self.test_alpha)
        return VoteOracle(smoothing, n=self.n)


def vote_law(shares: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Law [..., K] of VOTE(n), the lowest index winning a tie, where one noisy label has the law `shares` [..., K].

    The counts are those of independent Poisson variables, given their sum. That class c wins with w votes is then the
    n-th coefficient of a product of series, each cut at w, and coefficients are read off at roots of unity.
    """
    if shares.shape[-1] == 2:
        return halfspace.vote_law(shares[..., 1], n=n)
    flat = shares.reshape(-1, shares.shape[-1])
    seen = np.flatnonzero(flat.any(axis=0))
    law = np.zeros_like(flat)
    roots = _roots(n)
    parts = max(1, len(flat) * len(seen) * roots.size // CELLS)
    for rows in np.array_split(np.arange(len(flat)), min(parts, max(1, len(flat)))):
        law[np.ix_(rows, seen)] = _winners(flat[np.ix_(rows, seen)], n, roots)
    return law.reshape(shares.shape)


def largest_other_law(shares: NDArray[np.float64], own: int, n: int) -> NDArray[np.float64]:
    """Law [n + 1, n + 1] of the votes for class `own` and of the largest other count, of n votes."""
    others = np.delete(shares, own)
    roots = _roots(n)
    counts = np.arange(n + 1)
    capped = _series(others[others > 0], n, roots)[0].cumsum(axis=1).prod(axis=0)  # [w, roots]: no other above w
    left = np.clip(_coefficients(capped @ _reader(n, roots), len(roots.T)), 0, None)  # [w, their sum]
    law = np.diff(left, axis=0, prepend=0)[:, n - counts].T * stats.poisson.pmf(counts, n * shares[own])[:, None]
    return np.clip(law, 0, None) / stats.poisson.pmf(n, n)


def _roots(n: int) -> NDArray[np.complex128]:
    """Powers 0, ..., n of the first half of an odd number of roots of unity: [n + 1, roots]."""
    length = (n + FAR) | 1
    return np.exp(2j * np.pi / length * np.outer(np.arange(n + 1), np.arange(length // 2 + 1)))


def _reader(n: int, roots: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """What turns values at the roots into the coefficients 0, ..., n: [roots, n + 1]."""
    weight = np.where(np.arange(roots.shape[1]) > 0, 2.0, 1.0)  # a root and its conjugate
    return weight[:, None] * roots.conj().T


def _coefficients(values: NDArray[np.complex128], half: int) -> NDArray[np.float64]:
    return values.real / (2 * half - 1)


def _series(shares: NDArray[np.float64], n: int, roots: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """The terms of each Poisson count at each root: [X, K, n + 1, roots]."""
    return stats.poisson.pmf(np.arange(n + 1), n * np.atleast_2d(shares)[..., None])[..., None] * roots


def _winners(shares: NDArray[np.float64], n: int, roots: NDArray[np.complex128]) -> NDArray[np.float64]:
    terms = _series(shares, n, roots)
    upto = terms.cumsum(axis=2)
    fewer, no_more = upto[:, :, :-1], upto[:, :, 1:]  # for lower indices, and for higher ones, of a winner of w votes
    before = np.concatenate([np.ones_like(fewer[:, :1]), fewer.cumprod(axis=1)[:, :-1]], axis=1)
    after = np.concatenate([no_more[:, ::-1].cumprod(axis=1)[:, -2::-1], np.ones_like(no_more[:, :1])], axis=1)
    won = (before * after * terms[:, :, 1:]).sum(axis=2)
    law = _coefficients(won @ _reader(n, roots)[:, n], roots.shape[1])
    return np.clip(law / stats.poisson.pmf(n, n), 0.0, 1.0)
