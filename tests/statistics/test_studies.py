"""Simulated studies: tests over nets keep their level where targets as the unit do not; power is as computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.studies import Study, fewest, power_to_exclude, power_to_find

# ASR in percent of nets that differ in the seed of their training alone, 80 targets each: one row a recipe.
RETRAINED = ([81.3, 75.0, 76.3, 70.0], [63.8, 68.8, 71.3, 66.3], [63.8, 57.5])
TARGETS = 80
STUDIES = 10_000
ERROR = 1e-3  # of each test below to fail by chance, did its seed vary


def observed_between() -> float:
    """Standard deviation of the difference of two trainings: 5.8 points, all of it taken for the nets'."""
    squares = sum(float(np.var(row) * len(row)) for row in RETRAINED)
    return math.sqrt(2 * squares / sum(len(row) - 1 for row in RETRAINED)) / 100


def at_most(level: float) -> float:
    """The share of `STUDIES` that is exceeded with probability `ERROR` by a test that errs with this level."""
    return float(stats.binom.isf(ERROR, STUDIES, level)) / STUDIES


@pytest.fixture(scope="module", params=[8, 10])
def observed(request: pytest.FixtureRequest) -> Study:
    return Study(nets=request.param, targets=TARGETS, discordance=0.3, between=observed_between())


def test_without_a_difference_the_test_over_nets_keeps_its_level_and_mcnemar_does_not(observed: Study) -> None:
    rejected = observed.rejections(studies=STUDIES)
    print(f"{observed.nets} nets: rejected without a difference {rejected}")
    assert rejected["nets"] <= at_most(0.05)
    assert rejected["targets"] > 2 * at_most(0.05)


def test_a_difference_of_the_margin_is_called_none_in_at_most_five_percent(observed: Study) -> None:
    assert observed.rejections(0.05, studies=STUDIES)["equivalence"] <= at_most(0.05)


def test_where_nets_do_not_differ_as_a_whole_mcnemar_keeps_its_level_too() -> None:
    rejected = Study(nets=8, targets=TARGETS, discordance=0.3).rejections(studies=STUDIES)
    assert max(rejected["nets"], rejected["targets"]) <= at_most(0.05)


@pytest.mark.parametrize("level", [0.05, 0.05 / 6])
def test_the_computed_power_is_that_of_drawn_studies(level: float) -> None:
    """At 12 nets the flips lose at most 5 points to Student; 2,000 studies are off by 3.5 with probability 1e-3."""
    study = Study(nets=12, targets=TARGETS, discordance=0.3, between=0.04)
    drawn = study.rejections(0.1, level=level, studies=2000)["nets"]
    assert study.power(0.1, level=level) - 0.085 <= drawn <= study.power(0.1, level=level) + 0.035


def test_the_power_of_equivalence_is_at_most_that_of_drawn_studies() -> None:
    study = Study(nets=12, targets=TARGETS, discordance=0.2)
    drawn = study.rejections(studies=2000)["equivalence"]
    assert study.power_of_equivalence() == pytest.approx(drawn, abs=0.085)


def test_power_is_that_of_the_t_test_on_normal_differences() -> None:
    """20,000 drawn studies at the level that ten units attain: off by 1.2 points with probability below 1e-3."""
    units = np.random.default_rng(0).normal(0.1, 0.12, (20_000, 10))
    found = stats.ttest_1samp(units, 0, axis=1).pvalue <= 50 / 1024
    assert power_to_find(0.1, 10, 0.12) == pytest.approx(found.mean(), abs=0.012)


def test_the_nets_needed_are_the_fewest_with_the_power() -> None:
    study = Study(nets=8, targets=TARGETS, discordance=0.3, between=observed_between())
    needed = study.nets_needed(0.1, level=0.05 / 6)
    spread = study.spread(0.1)
    assert power_to_find(0.1, needed, spread, level=0.05 / 6) >= 0.8
    assert power_to_find(0.1, needed - 1, spread, level=0.05 / 6) < 0.8
    assert study.nets_needed(0.0) is None
    assert fewest(lambda nets: power_to_find(0.1, nets, 0.0), 0.8) == 6  # without any spread: as many as can reject


def test_no_number_of_nets_is_enough_to_exclude_the_margin_itself() -> None:
    assert power_to_exclude(0.05, 1000, 0.05) == 0
    assert power_to_exclude(0.0, 1000, 0.05) > 0.99


def test_drawn_studies_have_the_law_they_were_asked_for() -> None:
    """Mean and spread over 4,000 x 10 nets, within four standard errors."""
    study = Study(nets=10, targets=TARGETS, discordance=0.3, between=0.05)
    only_a, only_b = study.drawn(0.1, studies=4000)
    units = (only_a - only_b) / TARGETS
    error = study.spread(0.1) / math.sqrt(units.size)
    assert units.mean() == pytest.approx(0.1, abs=4 * error)
    assert units.std() == pytest.approx(study.spread(0.1), abs=4 * error)
    assert ((only_a + only_b).mean() / TARGETS) == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / TARGETS / units.size))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Study(nets=1, targets=80, discordance=0.3), "nets: got 1"),
        (lambda: Study(nets=8, targets=0, discordance=0.3), "targets: got 0"),
        (lambda: Study(nets=8, targets=80, discordance=1.3), "discordance: got 1.3"),
        (lambda: Study(nets=8, targets=80, discordance=0.3, between=-1), "between: got -1"),
        (lambda: Study(nets=8, targets=80, discordance=0.1).power(0.2), "difference: got 0.2"),
        (lambda: Study(nets=8, targets=80, discordance=0.3).rejections(level=2), "level: got 2"),
        (lambda: Study(nets=8, targets=80, discordance=0.3).nets_needed(0.1, power=1), "power: got 1"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message) -> None:
    with pytest.raises(InputError, match=message):
        call()
