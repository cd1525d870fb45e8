"""The sign-flip test of a mean, its interval and the two one-sided tests of equivalence, for many studies at once.

If n differences are independent and as likely to lie above their centre as below it by as much, the means of the
2^n - 1 subsets of them cut the line into 2^n pieces, each of which holds the centre with the same probability (Hartigan
1969). To count the subset means on one side of a value is to flip the signs about it, so tests and interval agree by
construction. What the differences are of is decided elsewhere; nothing here assumes a normal law.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rp_tutorial.core.streams import Purpose, numpy_generator

EXACT = 12  # units of which every subset is taken; of more units as many subsets are drawn as twelve have
ROUNDING = 1e-12  # a subset mean this close to a value ties with it, which is against rejection


def p_difference(units: NDArray[np.float64], value: float = 0.0) -> NDArray[np.float64]:
    """Two-sided p-values [...] of the claim that the differences `units` [..., n] have the mean `value`."""
    return np.minimum(1.0, 2 * np.minimum(*_one_sided(units, value)))


def p_equivalent(units: NDArray[np.float64], margin: float) -> NDArray[np.float64]:
    """p-values [...] of the claim that the mean of `units` [..., n] is `margin` or more from 0: two one-sided tests."""
    return np.maximum(_one_sided(units, -margin)[0], _one_sided(units, margin)[1])


def interval(units: NDArray[np.float64], *, level: float) -> tuple[float, float]:
    """The values that `p_difference` at this level does not reject, for one study [n].

    -1 and 1, the ends of a difference of shares, where so few units can reject nothing.
    """
    subsets = _subsets(len(units))
    outside = round(attainable(level / 2, len(units)) * (len(subsets) + 1))
    if not outside:
        return -1.0, 1.0
    means = np.sort(subsets @ units / subsets.sum(axis=1))
    return float(means[outside - 1]), float(means[-outside])


def attainable(level: float, n: int) -> float:
    """The largest one-sided level up to `level` that the test on n units has; 0.0 where it cannot reject at all."""
    flips = 2 ** min(n, EXACT)
    return math.floor(level * flips * (1 + ROUNDING)) / flips


def _one_sided(units: NDArray[np.float64], value: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """p-values [...] of the claims that the mean is at most, and at least, `value`; the flip of nothing counts."""
    subsets = _subsets(units.shape[-1])
    sums = (units - value) @ subsets.T
    beside = (np.count_nonzero(sums <= ROUNDING, axis=-1), np.count_nonzero(sums >= -ROUNDING, axis=-1))
    return tuple((1 + np.asarray(flips)) / (len(subsets) + 1) for flips in beside)


@lru_cache(maxsize=8)
def _subsets(n: int) -> NDArray[np.float64]:
    """Who belongs to which non-empty subset, 0 or 1 [2^n - 1, n]; beyond `EXACT` units drawn, always the same."""
    if n <= EXACT:
        found = np.arange(1, 2**n)[:, None] >> np.arange(n) & 1
    else:
        drawn = numpy_generator(Purpose.SIGN_FLIPS, n).integers(0, 2, (2 * 2**EXACT, n))
        found = drawn[drawn.any(axis=1)][: 2**EXACT - 1]
    found = found.astype(np.float64)
    found.flags.writeable = False
    return found
