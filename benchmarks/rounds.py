"""Timing by rounds: every contestant in every round, and ratios taken within a round.

Interleaving lets a machine that slows down slow everybody. Two clocks: the processor's, which adds up what all cores
worked and stands still while other programs run, and the wall's, which a user waits by and which other programs move.
Ratios and times are of the first; a ratio of the second stands beside it. What is compared, and whether the answers
agree, is in the benchmarks themselves.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Seconds = dict[str, list[tuple[float, float]]]  # by contestant, a round each: the processor's and the wall's


def measure(jobs: Mapping[str, Callable[[], object]], rounds: int, *, warm: bool = True) -> Seconds:
    """Seconds of every job in every round, interleaved; warm: after one round that does not count."""
    seconds: Seconds = {name: [] for name in jobs}
    for round_number in range(-1 if warm else 0, rounds):
        for name, job in jobs.items():
            began = time.process_time(), time.perf_counter()
            job()
            spent = time.process_time() - began[0], time.perf_counter() - began[1]
            if round_number >= 0:
                seconds[name].append(spent)
    return seconds


def over_rounds(values: Sequence[float], name: str) -> dict[str, Any]:
    """The median, and the smallest and the largest as its interval, as rows hold them."""
    return {name: statistics.median(values), f"{name}_ci": [min(values), max(values)]}


def by_both_clocks(above: Sequence[tuple], below: Sequence[tuple], name: str) -> dict[str, Any]:
    """above / below round by round: `name` by the processor's clock, wall_`name` by the wall's."""
    processor, wall = zip(
        *([a / b for a, b in zip(*pair, strict=True)] for pair in zip(above, below, strict=True)), strict=True
    )
    return over_rounds(processor, name) | over_rounds(wall, f"wall_{name}")


def compared(seconds: Seconds, peer: str, ours: str, **about: Any) -> dict[str, Any]:
    """A row: how many times less time ours takes than the peer; `about` says of what."""
    return {**about, "against": peer, "ours": ours, **by_both_clocks(seconds[peer], seconds[ours], "ratio")}


def each(seconds: Seconds, units: int) -> dict[str, float]:
    """Microseconds of the processor a unit, by contestant."""
    return {name: 1e6 * statistics.median(worked for worked, _ in taken) / units for name, taken in seconds.items()}


def fastest(taken: Sequence[tuple[float, float]]) -> float:
    """Seconds of the processor in the fastest round."""
    return min(worked for worked, _ in taken)


def growth(of: str, against: str, x: Sequence[float], y: Sequence[float], **about: Any) -> dict[str, Any]:
    """y against x: exponent of a power law, and R^2 of a straight line."""
    line = np.polyval(np.polyfit(x, y, 1), x)
    left, whole = np.square(np.array(y) - line).sum(), np.square(np.array(y) - np.mean(y)).sum()
    exponent = float(np.polyfit(np.log(x), np.log(y), 1)[0])
    fitted = {"exponent": exponent, "r2": float(1 - left / whole)}
    return {**about, "of": of, "against": against, "x": list(x), "y": list(y), **fitted}
