"""The averaging attack: ask the same question again and again, and believe the label that comes most often.

It undoes randomness that is drawn anew for every query, and nothing else: what is left is the label behind the noise.
An oracle that remembers its answers is asked about neighbours of the input instead. Beside the attack stand its
exact odds against independent draws from a known law, such as fresh randomized response. Repeats inside the inversion
attack are in `inversion/queries.py`; what repetition does to a guarantee is in `guarantees`.
"""

from bisect import bisect_left
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats
from torch import Tensor

from rp_tutorial.core.arguments import count, open_unit, positive, refuse
from rp_tutorial.core.directions import on_sphere
from rp_tutorial.core.labels import ABSTAIN, check_batch
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.theory.guarantees import check_law, repeated_tv
from rp_tutorial.theory.response import keep_probability, response_law

NEGLIGIBLE = 1e-16  # probability of counts that are left out of a sum
MAX_QUERIES = 10_000  # as far as `queries_needed` looks


@dataclass(frozen=True)
class Averaged:
    """What the attacker believes of each input, and what it was told.

    `label` int64 [B]: the most frequent label, a tie broken by lot, ABSTAIN where no label came at all.
    `counts` int64 [B, K]: how often each label was released. `queries`: questions asked, over all inputs.
    """

    label: Tensor
    counts: Tensor
    queries: int


def average(
    oracle: LabelOracle,
    x: Tensor,
    *,
    queries: int,
    radius: float = 0.0,
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
    batch_rows: int = 4096,
) -> Averaged:
    """Ask `oracle` `queries` times about every input of x [B, ...], and take the plurality of its labels.

    radius = 0: the same input every time, which an oracle with a memory answers the same every time.
    radius > 0: every time another point at that L2 distance from x, in the unit of x, its direction uniform. Where the
    net behind the oracle does not change its label within the radius, the answers are as good as fresh ones. `bounds`
    clips them to a range that the interface accepts, (0, 1) for images; a clipped point is nearer than `radius`.
    `seed` is that of the attacker's directions and lots. `batch_rows` inputs are asked at a time.
    Raises InputError for queries < 1, a negative or infinite radius, or bounds that are not increasing.

    >>> liar = rp.RandomizedResponse(rp.PlainOracle(rp.models.half_space_net(), num_classes=2), epsilon=1.0)
    >>> rp.average(liar, rp.models.at_distance([1.0, -1.0]), queries=1000).label
    tensor([1, 0])

    Chapter: comparisons/randomized-response.
    """
    x, queries, batch_rows = check_batch(x), count("queries", queries), count("batch_rows", batch_rows)
    radius = 0.0 if radius == 0 else positive("radius", radius)
    if bounds is not None and not bounds[0] < bounds[1]:
        raise refuse("bounds", bounds, "two increasing numbers")
    near, lots = (torch_generator(purpose, seed) for purpose in (Purpose.NEARBY_POINTS, Purpose.LOTS))
    symbols = oracle.num_classes + 1
    tally = torch.zeros(len(x) * symbols, dtype=torch.int64)
    for rows in torch.arange(len(x) * queries).split(batch_rows):  # row r is a question about input r // queries
        owner = rows // queries
        asked = x[owner.to(x.device)]
        if radius:
            units = on_sphere(len(asked), asked[0].numel(), generator=near, dtype=torch.float64)
            asked = asked + radius * units.view(asked.shape).to(asked)
            asked = asked if bounds is None else asked.clamp(*bounds)
        released = oracle(asked).cpu()
        tally.scatter_add_(0, owner * symbols + released - ABSTAIN, torch.ones_like(released))
    counts = tally.view(len(x), symbols)[:, 1:]
    return Averaged(_plurality_by_lot(counts, lots), counts, len(x) * queries)


def plurality_success(law: ArrayLike, *, queries: int, label: int) -> float:
    """Probability that `label` is the plurality of `queries` independent draws from `law` [K], a tie broken by lot.

    Exact, to an absolute error of about 1e-12, for any K and thousands of queries. For randomized response, and a true
    label that is uniform over the classes, it is the best that any attacker reaches, as the plurality is then the
    likeliest label. How: given c votes for the label, the other counts are independent Poisson variables, given their
    sum; the lot is an integral over a weight s of the ties, and Gauss-Legendre does a polynomial in s without error.
    Raises InputError for anything that is not a law, or a label outside it.
    """
    law, m = check_law("law", law, one=True), count("queries", queries)
    if count("label", label, minimum=0) >= len(law):
        raise refuse("label", label, f"a class from 0 to {len(law) - 1}")
    votes = np.arange(m + 1)
    weight = stats.binom.pmf(votes, m, law[label])
    others = np.delete(law, label)
    others = others[others > 0]
    if not len(others):
        return 1.0
    relevant = votes[weight > NEGLIGIBLE]
    wins = [_wins_with(int(c), m - int(c), others / others.sum()) for c in relevant]
    return float(min(1.0, weight[relevant] @ np.array(wins)))


def response_success(epsilon: float, num_classes: int, queries: int) -> float:
    """How often averaging `queries` fresh answers of k-ary randomized response finds the label behind them: exact.

    With one query it is the probability that a label is kept, and with a memory it stays there.
    """
    return plurality_success(response_law(epsilon, num_classes, 0), queries=queries, label=0)


def queries_needed(epsilon: float, num_classes: int, *, success: float) -> int:
    """The fewest fresh answers to one question with which averaging is right with probability at least `success`.

    More answers never hurt the best guess, so a bisection finds it. Raises InputError where 10,000 are too few.
    """
    open_unit("success", success)
    if keep_probability(epsilon, num_classes) >= success:
        return 1
    high = 2
    while response_success(epsilon, num_classes, high) < success:
        if high == MAX_QUERIES:
            raise refuse("success", success, f"one that {MAX_QUERIES:,} answers of epsilon {epsilon:g} reach")
        high = min(2 * high, MAX_QUERIES)
    too_few = high // 2
    return bisect_left(range(high), success, too_few + 1, key=partial(response_success, epsilon, num_classes))


def repeated_advantage(epsilon: float, num_classes: int, releases: int) -> float:
    """Exact advantage (TV / 2) in telling two inputs of different labels apart by `releases` fresh answers each.

    At one release it is `theory.response.advantage`. By composition the answers together are
    releases * epsilon locally private, which allows tv_of_dp(releases * epsilon) / 2; this is what is left of that.
    """
    law, symbols = response_law(epsilon, num_classes, 0), min(num_classes, 3)
    rest = law[2:].sum()  # all labels but the two in question tell nothing apart: one symbol
    worlds = ([law[0], law[1], rest], [law[1], law[0], rest])
    return float(repeated_tv(*(world[:symbols] for world in worlds), releases)) / 2


def _wins_with(own: int, rest: int, shares: NDArray[np.float64]) -> float:
    """Probability that `own` votes win against `rest` votes that fall on the others by their `shares`, lot included."""
    if own > rest:
        return 1.0
    if own == 0:
        return 0.0
    if stats.binom.sf(own - 1, rest, shares).sum() < NEGLIGIBLE:  # hardly anybody else ever gets that many
        return 1.0
    size = fft.next_fast_len(4 * rest + 200, real=True)  # what wraps round a Poisson sum of mean `rest` is negligible
    node, node_weight = np.polynomial.legendre.leggauss(min(len(shares), rest // own) // 2 + 1)
    tie_weight = (node + 1) / 2
    spectrum = np.ones((len(node), size // 2 + 1), dtype=np.complex128)
    for share, times in zip(*np.unique(shares, return_counts=True), strict=True):
        below = np.tile(stats.poisson.pmf(np.arange(own + 1), rest * share), (len(node), 1))
        below[:, own] *= tie_weight
        spectrum *= fft.rfft(below, n=size, axis=1) ** int(times)
    sum_is_rest = fft.irfft(spectrum, n=size, axis=1)[:, rest] / stats.poisson.pmf(rest, rest)
    return float(np.clip(node_weight @ sum_is_rest / 2, 0.0, 1.0))


def _plurality_by_lot(counts: Tensor, generator: torch.Generator) -> Tensor:
    """The leading class of counts [B, K], one of the equals at random; ABSTAIN where there is no vote."""
    lots = torch.rand(counts.shape, generator=generator, dtype=torch.float64)
    winner = (counts + lots / 2).argmax(dim=1)
    return torch.where(counts.sum(dim=1) > 0, winner, ABSTAIN)
