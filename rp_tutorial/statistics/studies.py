"""How many nets a comparison of two arms needs: power from the spread between nets, and studies drawn to check it.

A net's difference is its own true difference, which varies from net to net, plus the chance of its targets. Both are in
a `Study`. The power is Student's at the levels that sign flips have; drawn studies go through the tests themselves. The
tests are in `sign_flips.py` and `paired.py`.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rp_tutorial.core.arguments import closed_unit, count, open_unit, refuse
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.statistics.sign_flips import attainable, p_difference, p_equivalent

LEVEL = 0.05
MARGIN = 0.05  # differences of ASR below this count as none
POWER = 0.8
MOST_NETS = 10_000
FAR = 30.0  # standard errors, beyond which the power is 1
AT_ONCE = 200  # studies, so that their flips stay in memory


@dataclass(frozen=True)
class Study:
    """Two arms on `nets` independent nets with `targets` targets each, and how much they differ by chance.

    discordance: share of a net's targets that just one of the two arms inverts. between: standard deviation over nets
    of the true difference of the two rates. The power is Student's, of which the flips of few nets at a small level
    keep less: see `rejections`, where the tests themselves meet drawn studies.

    >>> study = rp.statistics.Study(nets=10, targets=80, discordance=0.3, between=0.03)
    >>> round(study.power(0.1), 2), study.nets_needed(0.1)
    (0.99, 7)

    Chapter: appendix/plan.
    """

    nets: int
    targets: int
    discordance: float
    between: float = 0.0

    def __post_init__(self) -> None:
        count("nets", self.nets, minimum=2)
        count("targets", self.targets)
        closed_unit("discordance", self.discordance)
        closed_unit("between", self.between)

    def spread(self, difference: float = 0.0) -> float:
        """Standard deviation over nets of the difference that is observed, at this true mean."""
        if abs(difference) > self.discordance:
            raise refuse("difference", difference, f"at most the discordance, {self.discordance:g}, either way")
        return math.sqrt(self.between**2 + (self.discordance - difference**2) / self.targets)

    def power(self, difference: float, *, level: float = LEVEL) -> float:
        """Probability that the test over nets finds a true difference."""
        return power_to_find(difference, self.nets, self.spread(difference), level=level)

    def power_of_equivalence(self, difference: float = 0.0, *, margin: float = MARGIN, level: float = LEVEL) -> float:
        """Probability that two one-sided tests call a true difference smaller than the margin."""
        return power_to_exclude(difference, self.nets, self.spread(difference), margin=margin, level=level)

    def nets_needed(self, difference: float, *, power: float = POWER, level: float = LEVEL) -> int | None:
        """The fewest nets with which a true difference is found with this power; None if no number will do."""
        spread = self.spread(difference)
        return fewest(lambda nets: power_to_find(difference, nets, spread, level=level), power)

    def drawn(self, difference: float, *, studies: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Simulated studies: how many targets of each net only arm a inverts, and only arm b, [studies, nets] each.

        True differences of nets are normal about `difference` and stay within the discordance.
        """
        self.spread(difference)
        rng = numpy_generator(Purpose.SIMULATED_STUDIES, seed)
        own = difference + self.between * rng.standard_normal((studies, self.nets))
        own = np.clip(own, -self.discordance, self.discordance)
        discordant = rng.binomial(self.targets, self.discordance, own.shape)
        only_a = rng.binomial(discordant, (1 + own / self.discordance) / 2) if self.discordance else discordant
        return only_a, discordant - only_a

    def rejections(
        self, difference: float = 0.0, *, level: float = LEVEL, studies: int = 10_000, seed: int = 0
    ) -> dict[str, float]:
        """Shares of simulated studies in which each test rejects: over `nets`, of `equivalence`, and over `targets`.

        The last is the exact McNemar test on all pairs, as if no two of them shared a net.
        """
        open_unit("level", level)
        only_a, only_b = self.drawn(difference, studies=count("studies", studies), seed=seed)
        parts = np.array_split((only_a - only_b) / self.targets, math.ceil(studies / AT_ONCE))
        fewer, discordant = np.minimum(only_a.sum(axis=1), only_b.sum(axis=1)), (only_a + only_b).sum(axis=1)
        p_values = {
            "nets": np.concatenate([p_difference(units) for units in parts]),
            "equivalence": np.concatenate([p_equivalent(units, MARGIN) for units in parts]),
            "targets": 2 * stats.binom.cdf(fewer, discordant, 0.5),
        }
        return {name: float((p <= level).mean()) for name, p in p_values.items()}


def power_to_find(difference: float, nets: int, spread: float, *, level: float = LEVEL) -> float:
    """Probability that the two-sided test over nets of this spread finds the difference, the right way round."""
    tail, shift = attainable(level / 2, nets), _shift(abs(difference), nets, spread)
    if not tail:
        return 0.0
    bar = stats.t.ppf(1 - tail, nets - 1)
    return float(stats.nct.sf(bar, nets - 1, shift))


def power_to_exclude(
    difference: float, nets: int, spread: float, *, margin: float = MARGIN, level: float = LEVEL
) -> float:
    """Power of the two one-sided tests, at least: each of the two ends that would have to be missed is subtracted."""
    tail = attainable(level, nets)
    if not tail or abs(difference) >= margin:
        return 0.0
    bar = stats.t.ppf(1 - tail, nets - 1)
    ends = (_shift(margin - side * difference, nets, spread) for side in (1, -1))
    return max(0.0, 1 - sum(float(stats.nct.cdf(bar, nets - 1, shift)) for shift in ends))


def fewest(power_of: Callable[[int], float], power: float) -> int | None:
    """The smallest number of nets, from two, with at least this power; None if even `MOST_NETS` fall short.

    power_of: rises with the number of nets, as does the level that their flips attain.
    """
    open_unit("power", power)
    enough = bisect_left(range(2, MOST_NETS + 1), power, key=power_of) + 2
    return enough if enough <= MOST_NETS else None


def _shift(distance: float, nets: int, spread: float) -> float:
    """Distance in standard errors of a mean, and no more of them than the noncentral law is computed for."""
    return min(distance * math.sqrt(nets) / spread, FAR) if spread else FAR
