"""Where the games of the audit are played: rounds, streams and the error of an accusation; and what they share.

The games themselves are in `bound_games` and `walk_games`.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rp_tutorial.core.streams import Purpose, child_seed, numpy_generator
from rp_tutorial.experiments.line_nets import CLASSES, LineNet, Release
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory.guarantees import repeated_tv

SUM_OF_FLOATS = 1e-11
RARE = 1e-9  # certificates and labels left out of a mean: it can only come out lower
BRANCHES = 50_000  # of a game tree, and transcripts of several releases
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """Where one setting of a game is played: rounds, streams, and the error at which its bound may be accused."""

    rounds: int
    error: float
    key: tuple[int, ...]
    device: str = "cpu"

    def generator(self, purpose: Purpose) -> np.random.Generator:
        return numpy_generator(purpose, *self.key)

    def smoothing(self, net: LineNet, purpose: Purpose) -> Smoothing:
        return net.smoothing(child_seed(purpose, *self.key), self.device)

    def coins(self) -> NDArray[np.bool_]:
        """True where the round is played at the neighbour."""
        return self.generator(Purpose.COINS).random(self.rounds) < 0.5

    def play(self, release: Release, x: float, there: ArrayLike, told: NDArray[np.float64], releases: int = 1) -> int:
        """Rounds won with `told` [K + 1] or [T, K + 1], the log likelihood ratios, on as many labels of each round."""
        coins, rows = self.coins(), np.arange(self.rounds)[:, None]
        asked = np.repeat(np.where(coins, there, x), releases)
        oracle = release.oracle(self.smoothing(release.net, Purpose.AUDIT_SINGLE))
        labels = oracle(release.net.inputs(asked)).cpu().numpy().reshape(self.rounds, releases)
        return self.won(np.broadcast_to(told, (self.rounds, told.shape[-1]))[rows, labels].sum(axis=1), coins)

    def won(self, evidence: NDArray[np.float64], coins: NDArray[np.bool_]) -> int:
        """Rounds guessed by the sign of the evidence for x; where it is 0, by a coin."""
        guess = np.where(evidence == 0, self.generator(Purpose.TIES).random(self.rounds) < 0.5, evidence < 0)
        return int((guess == coins).sum())

    def judged(self, bound: float, exact: float | None, won: int, *, chance: float = 0.5) -> Row:
        """A game beside its bound. Broken if its law or the lower limit of what was played exceeds it."""
        low = float(lower_confidence_bound(won, self.rounds, alpha=self.error)) - chance
        return {
            "bound": float(bound),
            "exact": None if exact is None else float(exact),
            "played": won / self.rounds - chance,
            "lower_limit": low,
            "broken_exactly": exact is not None and bool(exact > bound + SUM_OF_FLOATS),
            "broken_in_play": bool(low > bound),
        }


def total_variation(p: NDArray[np.float64], q: NDArray[np.float64], releases: int = 1) -> NDArray[np.float64]:
    """TV of so many independent draws of the laws p and q [..., S]; of more than one, rare symbols count as one."""
    if releases == 1:
        return np.abs(p - q).sum(axis=-1) / 2
    p, q = np.broadcast_arrays(p, q)
    seen = (p + q).reshape(-1, p.shape[-1]).max(axis=0) > RARE
    merged = (np.concatenate([law[..., seen], law[..., ~seen].sum(axis=-1)[..., None]], axis=-1) for law in (p, q))
    return repeated_tv(*merged, releases)


def log_ratio(here: NDArray[np.float64], away: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(here, 1e-300)) - np.log(np.maximum(away, 1e-300))


def what_is_known(net: LineNet, x: float) -> dict[str, Any]:
    """What a bound may know of the person: p_A, the number of classes, and for many classes p_B as well."""
    *_, other, own = np.sort(net.shares(x))
    rival = {} if net.num_classes == 2 else {"p_high": float(other)}
    return {"p_low": float(own), "num_classes": net.num_classes} | rival


def exactly_two(net: LineNet) -> int | None:
    """What bounds for everybody are told: they are sharper for two classes, and the same for all other numbers."""
    return 2 if net.num_classes == 2 else None


def some_classes(rng: np.random.Generator) -> int:
    """Two as often as three to a hundred."""
    return 2 if rng.random() < 0.5 else int(rng.choice(CLASSES[1:]))


def net_and_votes(rng: np.random.Generator) -> tuple[LineNet, int]:
    """A net, and a number of votes that may be odd or even."""
    net = LineNet.drawn(rng, some_classes(rng))
    return net, round(log_uniform(rng, 1, {2: 500, 100: 25}.get(net.num_classes, 50)))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def setting_of(net: LineNet, n_vote: int, **more: Any) -> Row:
    base = {"classes": net.num_classes, "pieces": len(net.classes), "sigma": net.sigma, "n_vote": n_vote}
    return base | {"releases": 1, "rule": "vote", "n_cert": None, "distance": None} | more
