"""Sets of attribute values with a unit, finite unions of closed intervals, alone or in batches; the scale of a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rp_tutorial.core.arguments import InputError, positive, refuse


class Scale(Protocol):
    """The way between an attribute's unit and the net's input ("std"); every `ThresholdTask` is one."""

    unit: str

    def to_std(self, values: Any) -> Any: ...

    def to_unit(self, values: Any) -> Any: ...


@dataclass(frozen=True)
class StandardScale:
    """z = (value - mean) / std. Without arguments: the net's own unit, "std"."""

    mean: float = 0.0
    std: float = 1.0
    unit: str = "std"

    def __post_init__(self) -> None:
        positive("std", self.std)

    def to_std(self, values: Any) -> Any:
        return (values - self.mean) / self.std

    def to_unit(self, values: Any) -> Any:
        return values * self.std + self.mean


@dataclass(frozen=True, eq=False)
class IntervalSet:
    """A finite union of closed intervals, or a batch of such sets; all numbers are in `unit`.

    low, high: float64 [..., M], whatever leads being the batch; one set has shape [M]. In any order and overlapping
    they may be given; kept are sorted, disjoint intervals, those that touch joined, filled up with low = inf,
    high = -inf. Given entries with low > high are filling too. End points may be infinite. Batches broadcast.
    Raises InputError for NaN, shapes that differ, and wherever two units would be mixed.

    >>> ages = rp.IntervalSet.of((18, 30), (25, 40), (60, 65), unit="years")
    >>> ages.pairs(), float(ages.length())
    ([(18.0, 40.0), (60.0, 65.0)], 27.0)

    Chapter: foundations/attributes.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    unit: str

    def __post_init__(self) -> None:
        low, high = np.asarray(self.low, dtype=np.float64), np.asarray(self.high, dtype=np.float64)
        if low.shape != high.shape or low.ndim == 0:
            raise refuse("low, high", f"shapes {low.shape} and {high.shape}", "two arrays of one shape [..., M]")
        if np.isnan(low).any() or np.isnan(high).any():
            raise InputError("low, high: got NaN, allowed are numbers and infinities")
        for name, part in zip(("low", "high"), _canonical(low, high), strict=True):
            part.setflags(write=False)
            object.__setattr__(self, name, part)

    @classmethod
    def of(cls, *pairs: tuple[float, float], unit: str) -> IntervalSet:
        """One set from its intervals: `IntervalSet.of((12, 30), unit="kg/m^2")`; no interval is the empty set."""
        wrong = [pair for pair in pairs if not pair[0] <= pair[1]]
        if wrong:
            raise refuse("pairs", wrong[0], "intervals (low, high) with low <= high")
        ends = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        return cls(ends[:, 0], ends[:, 1], unit)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch; () for one set."""
        return self.low.shape[:-1]

    def __getitem__(self, index: Any) -> IntervalSet:
        """A set or a smaller batch, by an index into the batch."""
        index = index if isinstance(index, tuple) else (index,)
        index = index if any(i is Ellipsis for i in index) else (*index, ...)
        return IntervalSet(self.low[(*index, slice(None))], self.high[(*index, slice(None))], self.unit)

    def __len__(self) -> int:
        return self.shape[0]

    def pairs(self) -> list[tuple[float, float]]:
        """The intervals of one set, from left to right."""
        if self.shape:
            raise refuse("set", f"a batch of shape {self.shape}", "one set; pick it by its index")
        return [(float(a), float(b)) for a, b in zip(self.low, self.high, strict=True) if a <= b]

    def contains(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Whether the values lie in the set; they broadcast with the batch. End points belong to it."""
        v = np.asarray(values, dtype=np.float64)[..., None]
        return ((self.low <= v) & (v <= self.high)).any(axis=-1)

    def length(self) -> NDArray[np.float64]:
        """Total length, in `unit`: shape of the batch."""
        return np.maximum(self.high - self.low, 0).sum(axis=-1)  # filling is -inf long

    def mass(self, prior: Any) -> NDArray[np.float64]:
        """Probability of the set under a prior with a continuous `cdf` in this unit, such as a frozen SciPy law."""
        return np.maximum(prior.cdf(self.high) - prior.cdf(self.low), 0).sum(axis=-1)  # filling would count as -1

    def intersection(self, other: IntervalSet) -> IntervalSet:
        """Values in both sets. Two that share an end point meet in that point."""
        if not isinstance(other, IntervalSet):
            raise refuse("other", type(other).__name__, "an IntervalSet")
        if other.unit != self.unit:
            raise refuse("unit", other.unit, f"{self.unit!r}, the unit of the other set")
        low = np.maximum(self.low[..., :, None], other.low[..., None, :])
        high = np.minimum(self.high[..., :, None], other.high[..., None, :])
        shape = (*low.shape[:-2], low.shape[-2] * low.shape[-1])
        return IntervalSet(low.reshape(shape), high.reshape(shape), self.unit)

    def complement(self, domain: IntervalSet) -> IntervalSet:
        """The rest of the domain, closed: its end points are shared with the set, isolated points do not count."""
        infinite = np.full((*self.shape, 1), np.inf)
        # Filling, from inf to -inf, must repeat the gap after the last interval and not open another.
        reached = np.maximum.accumulate(np.concatenate([-infinite, self.high], axis=-1), axis=-1)
        gaps = IntervalSet(reached, np.concatenate([self.low, infinite], axis=-1), self.unit)
        rest = gaps.intersection(domain)
        wide = rest.low < rest.high
        return IntervalSet(np.where(wide, rest.low, np.inf), np.where(wide, rest.high, -np.inf), self.unit)

    def difference(self, other: IntervalSet) -> IntervalSet:
        """This set without the other, closed."""
        return other.complement(self)


def _canonical(low: NDArray, high: NDArray) -> tuple[NDArray, NDArray]:
    """Sorted, disjoint, filled up with (inf, -inf); as narrow as the fullest set of the batch."""
    filling = low > high
    low, high = np.where(filling, np.inf, low), np.where(filling, -np.inf, high)
    order = np.argsort(low, axis=-1, kind="stable")
    low, high = np.take_along_axis(low, order, axis=-1), np.take_along_axis(high, order, axis=-1)
    reach = np.maximum.accumulate(high, axis=-1)
    used = low <= high
    starts = used.copy()
    starts[..., 1:] &= low[..., 1:] > reach[..., :-1]
    place = np.cumsum(starts, axis=-1) - 1
    width = int(place.max(initial=-1)) + 1
    merged = np.full((*low.shape[:-1], width), np.inf), np.full((*low.shape[:-1], width), -np.inf)
    at = np.nonzero(starts)
    merged[0][(*at[:-1], place[at])] = low[at]
    at = np.nonzero(used)
    np.maximum.at(merged[1], (*at[:-1], place[at]), high[at])
    return merged
