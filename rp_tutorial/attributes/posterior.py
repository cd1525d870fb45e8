"""What an adversary believes about the attribute after a release: a density over its domain, and how wide it is.

Bayes' rule on cells: exact masses from the prior's distribution function where the release is a function of the
attribute, the midpoint rule where the release is random. Sets are in `sets.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rp_tutorial.attributes.sets import IntervalSet
from rp_tutorial.core.arguments import count, open_unit, refuse


@dataclass(frozen=True)
class Posterior:
    """Densities, constant on cells: edges [..., G + 1] ascending, mass [..., G] summing to 1; numbers in `unit`.

    A record whose release has probability 0 under the prior has mass NaN, and so has all that is computed from it.
    """

    edges: NDArray[np.float64]
    mass: NDArray[np.float64]
    unit: str

    def entropy(self) -> NDArray[np.float64]:
        """Differential entropy in bits, for a density per `unit`: 2 ** entropy is the width of the uniform
        distribution that is as uncertain. Error: of the order of the squared width of a cell."""
        return -special.rel_entr(self.mass, np.diff(self.edges, axis=-1)).sum(axis=-1) / np.log(2)

    def credible_width(self, mass: float = 0.95) -> NDArray[np.float64]:
        """Total length of the *shortest* set that holds `mass`: the densest cells, the last in part.

        The set need not be an interval: two slivers far apart are narrow here, as they are for an adversary.
        """
        width = np.diff(self.edges, axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            density = np.where(width > 0, self.mass / width, 0.0)
        order = np.argsort(-density, axis=-1, kind="stable")
        m, w = np.take_along_axis(self.mass, order, axis=-1), np.take_along_axis(width, order, axis=-1)
        before = np.cumsum(m, axis=-1) - m
        wanted = np.clip(open_unit("mass", mass) - before, 0.0, None)
        share = np.minimum(wanted / np.where(m > 0, m, 1.0), 1.0)
        return np.where(m == 0, 0.0, share * w).sum(axis=-1)


def posterior(
    prior: Any,
    release: IntervalSet | Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    domain: IntervalSet,
    cells: int = 1000,
) -> Posterior:
    """The law of the attribute given the prior on the domain and what was released.

    prior: has a continuous `cdf` in the domain's unit, as a frozen SciPy law (for data: scipy.stats.rv_histogram); it
    is cut to the domain. release: where the label is a function of the attribute, the compatible set or a batch of
    sets; then masses are exact. Where it is random, its law z [G] -> Pr[M(z) = y] [..., G], taken at the middle of
    each cell, with an error of the order of the squared cell width.
    domain: one bounded interval. Raises InputError for an unbounded domain or a release in another unit.

    >>> from scipy import stats
    >>> label, domain = (rp.IntervalSet.of(ends, unit="std") for ends in ((0, 1), (-3, 3)))
    >>> rp.posterior(stats.norm(), label, domain=domain).credible_width(0.95).round(2)
    np.float64(0.93)

    Chapter: foundations/attributes.
    """
    pairs = domain.pairs()
    if len(pairs) != 1 or not np.isfinite(pairs[0]).all() or pairs[0][0] == pairs[0][1]:
        raise refuse("domain", pairs, "one bounded interval of positive length")
    grid = np.linspace(*pairs[0], count("cells", cells) + 1)
    if isinstance(release, IntervalSet):
        possible = release.intersection(domain)
        ends = [np.clip(part, *pairs[0]) for part in (possible.low, possible.high)]
        cuts = np.broadcast_to(grid, (*possible.shape, len(grid)))
        edges = np.sort(np.concatenate([cuts, *ends], axis=-1), axis=-1)
        likelihood = possible[..., None].contains((edges[..., 1:] + edges[..., :-1]) / 2).astype(float)
    else:
        likelihood = np.asarray(release((grid[1:] + grid[:-1]) / 2), dtype=np.float64)
        edges = np.broadcast_to(grid, (*likelihood.shape[:-1], len(grid)))
        if likelihood.shape[-1] != cells or not ((likelihood >= 0) & (likelihood <= 1)).all():
            raise refuse("release", f"shape {likelihood.shape}", f"probabilities of shape [..., {cells}]")
    weight = np.diff(prior.cdf(edges), axis=-1) * likelihood
    total = weight.sum(axis=-1, keepdims=True)
    return Posterior(edges, np.where(total > 0, weight, np.nan) / np.where(total > 0, total, 1.0), domain.unit)
