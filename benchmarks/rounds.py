"""Timing by rounds: every contestant in every round, and ratios taken within a round. Imported by the benchmarks here.

Interleaving lets a machine that slows down slow everybody; what is compared, and whether the answers agree, is in the
benchmarks themselves.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def measure(jobs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of every job in every round, interleaved, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for round_number in range(rounds + 1):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio_line(peer: str, ours: str, seconds: Mapping[str, list[float]], *, digits: int = 1) -> str:
    """How many times faster, as the median over rounds with the smallest and the largest."""
    ratios = [a / b for a, b in zip(seconds[peer], seconds[ours], strict=True)]
    median, low, high = (f"{r:.{digits}f}" for r in (statistics.median(ratios), min(ratios), max(ratios)))
    return f"  {ours} against {peer}: {median}x (from {low} to {high})"
