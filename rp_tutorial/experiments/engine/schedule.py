"""How long a sweep takes on so many workers, before it is begun: the cells dealt out as the engines deal them."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from rp_tutorial.core.arguments import count, refuse


@dataclass(frozen=True)
class Schedule:
    """A sweep on `workers` workers: `seconds` from begin to end, `busy` seconds of work, `share` of them spent so."""

    workers: int
    seconds: float
    busy: float
    ends: tuple[float, ...]  # of each cell

    @property
    def share(self) -> float:
        return self.busy / (self.workers * self.seconds) if self.seconds else 1.0


def schedule(seconds: Sequence[float], *, workers: int, before: float = 0.0) -> Schedule:
    """Each cell goes, in its order, to the worker that is free first: what `sweep` does, and at most twice the best.

    seconds: of each cell, by itself. before: what all cells wait for and one worker does, such as training a net that
    they share. Raises InputError for times below 0.

    >>> plan = rp.experiments.schedule([3.0, 1.0, 1.0, 1.0], workers=2)
    >>> plan.seconds, plan.share
    (3.0, 1.0)

    Source: Graham 1966 (list scheduling). Chapter: practice/scaling-out.
    """
    count("workers", workers)
    if before < 0 or any(second < 0 for second in seconds):
        raise refuse("seconds", min(before, *seconds), "times of 0 or more")
    free, ends = [float(before)] * workers, []
    for second in seconds:
        ends.append(heapq.heappop(free) + second)
        heapq.heappush(free, ends[-1])
    return Schedule(workers, max([before, *ends]), before + sum(seconds), tuple(ends))
