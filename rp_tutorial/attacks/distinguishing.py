"""The distinguishing game, played for real: which of two inputs did this release come from?

A fair coin picks x or its neighbour, the oracle releases, the adversary guesses. It knows both inputs, and the oracle
well enough to have rehearsed on it: its test is the likelihood ratio fitted on calibration rounds, which Neyman and
Pearson prove optimal up to the error of the fit, then played on fresh rounds. A played advantage can only refute a
bound; what *cannot* be exceeded is proven in `guarantees`. It sees labels only, from any oracle of this package.
"""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rp_tutorial.core.arguments import count, one_of, open_unit, refuse
from rp_tutorial.core.streams import Purpose, numpy_generator, torch_generator
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.binomial import clopper_pearson

Sees = Literal["symbols", "abstention", "labels"]
SEES = ("symbols", "abstention", "labels")


@dataclass(frozen=True)
class Transcript:
    """What was released in a series of rounds, one row a round.

    `from_neighbour` [T]: the coin, True where the release is the neighbour's. `counts` [T, K + 1]: how often each
    symbol was released in the round, ABSTAIN in column 0 and class c in column c + 1; rows sum to `releases`. For
    independent releases the counts lose nothing (they are sufficient).
    """

    from_neighbour: NDArray[np.bool_]
    counts: NDArray[np.int64]
    releases: int

    def __len__(self) -> int:
        return len(self.from_neighbour)

    def split(self, rounds: int) -> tuple[Self, Self]:
        """The first `rounds` and the rest."""
        parts = (slice(None, rounds), slice(rounds, None))
        first, rest = (Transcript(self.from_neighbour[part], self.counts[part], self.releases) for part in parts)
        return first, rest


@dataclass(frozen=True)
class Outcome:
    """Won rounds of a test that was fixed before they were played.

    `advantage` is wins / rounds - 1/2 and `low` to `high` covers the test's true advantage with probability at least
    `confidence` (Clopper-Pearson). The best adversary's advantage, TV / 2, is at least that of any test.
    `weights` [K + 1]: log likelihood ratio of x against the neighbour for each symbol, ABSTAIN first.
    """

    wins: int
    rounds: int
    releases: int
    sees: str
    advantage: float
    low: float
    high: float
    confidence: float
    weights: NDArray[np.float64]


def play(
    oracle: LabelOracle,
    x: Tensor,
    neighbour: Tensor,
    *,
    rounds: int,
    calibration_rounds: int | None = None,
    releases: int = 1,
    sees: Sees = "symbols",
    confidence: float = 0.95,
    seed: int = 0,
    batch_rows: int = 65536,
) -> Outcome:
    """Play the game: rehearse for `calibration_rounds` (default: as many as `rounds`), then play `rounds` fresh ones.

    x: one input [...], of the kind that the oracle takes. neighbour: one input of the same shape, or one for every
    round, calibration first, [calibration_rounds + rounds, ...]. Each round asks the oracle `releases` times for the
    same input; all rounds are asked together, `batch_rows` inputs at a time. The oracle has to draw fresh randomness
    for every query: one that remembers its answers makes the rounds dependent and the interval void.

    sees="symbols": every symbol counts, ABSTAIN included; the optimal adversary.
    sees="abstention": only whether the interface abstained.
    sees="labels": an adversary who takes an ABSTAIN for no answer and guesses on the rest; the naive one.
    Raises InputError for fewer than one round, shapes that do not match or an unknown `sees`.

    >>> oracle = rp.PlainOracle(rp.models.half_space_net(), num_classes=2)
    >>> rp.play(oracle, rp.models.at_distance(1.0), rp.models.at_distance(-1.0), rounds=100).advantage
    0.5

    Chapter: foundations/robust-privacy.
    """
    rounds = count("rounds", rounds)
    calibration_rounds = rounds if calibration_rounds is None else count("calibration_rounds", calibration_rounds)
    one_of("sees", sees, SEES)
    total = calibration_rounds + rounds
    transcript = record(oracle, x, neighbour, rounds=total, releases=releases, seed=seed, batch_rows=batch_rows)
    rehearsal, game = transcript.split(calibration_rounds)
    return judge(fit_test(rehearsal, sees=sees), game, sees=sees, confidence=confidence, seed=seed)


def record(
    oracle: LabelOracle,
    x: Tensor,
    neighbour: Tensor,
    *,
    rounds: int,
    releases: int = 1,
    seed: int = 0,
    batch_rows: int = 65536,
) -> Transcript:
    """Toss the coins and collect the releases of all rounds; several adversaries can judge one transcript.

    The coins have a stream of their own, which an oracle of the same seed does not share.
    """
    rounds, releases = count("rounds", rounds), count("releases", releases)
    count("batch_rows", batch_rows)
    x, neighbour = oracle.as_batch(x), oracle.as_batch(neighbour)
    if neighbour.shape == x.shape:
        neighbour = neighbour.expand(rounds, *x.shape)
    if neighbour.shape != (rounds, *x.shape):
        raise refuse("neighbour", tuple(neighbour.shape), f"shape {tuple(x.shape)} or {(rounds, *x.shape)}")
    coins = torch.rand(rounds, generator=torch_generator(Purpose.COINS, seed)) < 0.5
    symbols = oracle.num_classes + 1
    tally = torch.zeros(rounds * symbols, dtype=torch.int64)
    for rows in torch.arange(rounds * releases).split(batch_rows):  # row r belongs to round r // releases
        owner = rows // releases
        is_neighbour = coins[owner].view(-1, *[1] * x.ndim).to(x.device)
        asked = torch.where(is_neighbour, neighbour[owner], x)
        released = oracle(asked).cpu()
        tally.scatter_add_(0, owner * symbols + released + 1, torch.ones_like(released))
    return Transcript(coins.numpy(), tally.view(rounds, symbols).numpy(), releases)


def fit_test(rehearsal: Transcript, *, sees: Sees = "symbols") -> NDArray[np.float64]:
    """Weights [K + 1] of the likelihood-ratio test: log Pr[symbol | x] - log Pr[symbol | neighbour], estimated.

    Half an observation is added to every symbol in both worlds, so that a symbol seen in one world only has a finite
    weight, and a world never seen is taken for uniform. Few rounds make a poor test, never an invalid interval.
    """
    one_of("sees", sees, SEES)
    worlds = rehearsal.from_neighbour
    seen = [_collapse(rehearsal.counts[world], sees) for world in (~worlds, worlds)]
    shares = [(c.sum(axis=0) + 0.5) / (len(c) * rehearsal.releases + c.shape[1] / 2) for c in seen]  # of all releases
    return np.log(shares[0]) - np.log(shares[1])


def judge(
    weights: NDArray[np.float64], game: Transcript, *, sees: Sees = "symbols", confidence: float = 0.95, seed: int = 0
) -> Outcome:
    """Guess every round of `game` by the sign of the summed weights; a sum of zero is guessed by a coin.

    The weights must not have seen these rounds.
    """
    open_unit("confidence", confidence)
    evidence = _collapse(game.counts, one_of("sees", sees, SEES)) @ weights
    coin = numpy_generator(Purpose.TIES, seed, len(game)).random(len(game)) < 0.5
    guess = np.where(evidence == 0, coin, evidence < 0)
    wins = int((guess == game.from_neighbour).sum())
    low, high = clopper_pearson(wins, len(game), confidence=confidence)
    advantage = wins / len(game) - 0.5
    edges = (float(low) - 0.5, float(high) - 0.5)
    return Outcome(wins, len(game), game.releases, sees, advantage, *edges, confidence, weights)


def _collapse(counts: NDArray[np.int64], sees: Sees) -> NDArray[np.int64]:
    """What this adversary keeps of the counts [T, K + 1]; the shape stays, so that weights have one meaning."""
    if sees == "labels":
        return counts * (np.arange(counts.shape[1]) > 0)
    if sees == "abstention":
        answered = counts[:, 1:].sum(axis=1, keepdims=True)
        return np.column_stack([counts[:, :1], answered, np.zeros_like(counts[:, 2:])])
    return counts
