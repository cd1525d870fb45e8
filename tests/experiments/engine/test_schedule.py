"""Dealing cells out: against every order of two workers by hand, and against the bounds that any schedule has."""

from __future__ import annotations

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.schedule import schedule


def test_each_cell_goes_to_the_worker_that_is_free_first() -> None:
    plan = schedule([3.0, 1.0, 1.0, 2.0], workers=2)
    assert plan.ends == (3.0, 1.0, 2.0, 4.0)
    assert (plan.seconds, plan.busy, plan.share) == (4.0, 7.0, 7 / 8)


def test_what_all_wait_for_comes_first() -> None:
    assert schedule([1.0, 1.0], workers=2, before=5.0).seconds == 6.0
    assert schedule([], workers=4, before=5.0).seconds == 5.0


def test_no_schedule_beats_the_longest_cell_or_the_mean_load_and_this_one_is_within_twice_of_both() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        seconds, workers = random.exponential(size=random.integers(1, 30)), int(random.integers(1, 9))
        least = max(seconds.max(), seconds.sum() / workers)
        assert least * (1 - 1e-12) <= schedule(seconds, workers=workers).seconds <= 2 * least


def test_one_worker_takes_the_sum_and_enough_of_them_the_longest() -> None:
    assert schedule([1.0, 2.0, 3.0], workers=1).seconds == 6.0
    assert schedule([1.0, 2.0, 3.0], workers=64).seconds == 3.0


def test_negative_times_are_refused() -> None:
    with pytest.raises(InputError, match="seconds"):
        schedule([1.0, -1.0], workers=1)
