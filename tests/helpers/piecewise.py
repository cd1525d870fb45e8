"""Random piecewise-constant classifiers of the line, whose smoothed classes and votes have laws in closed form."""

from functools import cache
from itertools import product

import numpy as np
from scipy import special


class PiecewiseNet:
    """Classes change at random cuts; under noise N(0, 1) the probability of each class is a sum of Gaussian pieces."""

    def __init__(self, rng: np.random.Generator, num_classes: int) -> None:
        pieces = int(rng.integers(2, 9))
        self.cuts = np.sort(rng.normal(0, rng.choice([0.3, 1.0, 2.0]), pieces - 1))
        self.classes = rng.integers(0, num_classes, pieces)
        self.classes[:2] = rng.permutation(num_classes)[:2]
        self.num_classes = num_classes

    def shares(self, x: np.ndarray) -> np.ndarray:
        """Probability of each class at x: [...] -> [..., K]."""
        ends = special.ndtr(np.r_[-np.inf, self.cuts, np.inf] - np.asarray(x)[..., None])
        return np.diff(ends, axis=-1) @ np.eye(self.num_classes)[self.classes]


@cache
def count_vectors(n: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """All counts [C, K] of n votes, and in how many orders each comes."""
    counts = np.array([c for c in product(range(n + 1), repeat=num_classes) if sum(c) == n])
    return counts, np.exp(special.gammaln(n + 1) - special.gammaln(counts + 1).sum(axis=1))


def vote_laws(shares: np.ndarray, n: int) -> np.ndarray:
    """Law of VOTE(n) by enumeration, lowest index at a tie: [..., K] -> [..., K]."""
    counts, ways = count_vectors(n, shares.shape[-1])
    weight = ways * np.prod(shares[..., None, :] ** counts, axis=-1)
    return weight @ np.eye(shares.shape[-1])[counts.argmax(axis=1)]


def shared_noise_differs(net: PiecewiseNet, x: float, other: float, n_vote: int) -> float:
    """Pr[VOTE at x and at `other` differ] where both take the same n_vote draws of noise, by enumeration; two classes.

    A draw gives a pair of labels; the line of the noise is cut wherever one of the two changes.
    """
    cuts = np.sort(np.r_[net.cuts - x, net.cuts - other])
    inside = np.r_[cuts[0] - 1, (cuts[1:] + cuts[:-1]) / 2, cuts[-1] + 1]
    pair = [net.classes[np.searchsorted(net.cuts, inside + place)] for place in (x, other)]
    law = np.bincount(2 * pair[0] + pair[1], weights=np.diff(special.ndtr(np.r_[-np.inf, cuts, np.inf])), minlength=4)
    counts, ways = count_vectors(n_vote, 4)
    first, second = counts[:, 2] + counts[:, 3], counts[:, 1] + counts[:, 3]
    differ = (2 * first > n_vote) != (2 * second > n_vote)
    return float((ways * np.prod(law**counts, axis=1))[differ].sum())
