"""Where the time of a vote goes: drawing noise, making noisy copies, the net, and counting.

The real engine, `VoteCounter`, on one core, with a clock of the processor around three of its parts; making copies is
what is left. What a table's net sees of the noise passes its first layer while the copies are made.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from benchmarks.votes import PEOPLE, ROWS, SMOKE_ROWS, face_net, table_nets
from rp_tutorial.core.threads import one_thread
from rp_tutorial.models.fold import folded
from rp_tutorial.oracles.vote_counting import VoteCounter

PARTS = ("noise", "copies", "net", "counting")


class TimedCounter(VoteCounter):
    """Counts as its base does, and adds up the processor's seconds in `spent`."""

    spent: dict[str, float]

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            began = time.thread_time()
            found = call(*given)
            self.spent[name] = self.spent.get(name, 0.0) + time.thread_time() - began
            return found

        return timed

    def _look_again(self, x: Tensor) -> None:
        super()._look_again(x)
        view = self._view
        self._view = replace(view, head=self._timed("net", view.head), sample=self._timed("noise", view.sample))

    def _add_votes(self, *given: Any) -> None:
        self._timed("net and counting", super()._add_votes)(*given)


def profile(case: str, net: nn.Module, x: Tensor, n: int, *, classes: int, sigma: float, rounds: int) -> dict[str, Any]:
    """A row a case: microseconds of one core a vote, and the share of each part; the fastest round."""
    options = {"chunk_mib": None, "grid": None, "noise_scale": None}
    counter = TimedCounter(
        net, num_classes=classes, sigma=sigma, seed=0, noise="independent", threads=1, **options
    )  # fmt: skip
    found: list[tuple[float, dict[str, float]]] = []
    with one_thread():
        for _ in range(rounds + 1):
            counter.spent, began = {}, time.thread_time()
            counter.count(x, n)
            found.append((time.thread_time() - began, counter.spent))
    whole, spent = min(found[1:], key=lambda one: one[0])
    spent["counting"] = spent.pop("net and counting") - spent["net"]
    spent["copies"] = whole - sum(spent.values())
    return {"case": case, "microseconds": 1e6 * whole / (len(x) * n), **{part: spent[part] / whole for part in PARTS}}


def measured(*, smoke: bool) -> list[dict[str, Any]]:
    """The table nets, the small face net and FaceNet64, each with as many votes as tell its parts."""
    nets, x = table_nets(SMOKE_ROWS if smoke else ROWS)
    rounds, rows = 1 if smoke else 4, []
    for case, net in nets.items():
        rows.append(profile(case, net, x[: 20 if smoke else 100], 1000, classes=2, sigma=1.0, rounds=rounds))
    for case, images, n in (("SmallFaceNet", 10, 20), ("FaceNet64", 2, 10))[: 1 if smoke else 2]:
        net, x = face_net(case)
        folds = folded(net)
        rows.append(profile(case, folds, x[:images], n if smoke else 2 * n, classes=PEOPLE, sigma=0.1, rounds=rounds))
    return rows
