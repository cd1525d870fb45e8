"""The sign-flip test against every flip written out, and its interval against the test."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.statistics.sign_flips import EXACT, attainable, interval, p_difference, p_equivalent

MARGIN = Fraction(1, 20)


def flipped(differences: list[Fraction]) -> list[Fraction]:
    """The mean after every flip of signs, the one that changes nothing included."""
    signs = product((1, -1), repeat=len(differences))
    return [sum(s * d for s, d in zip(row, differences, strict=True)) for row in signs]


def not_above(differences: list[Fraction], value: Fraction) -> Fraction:
    """One-sided p-value of a mean of at most `value`, by its definition and without rounding."""
    moved = [d - value for d in differences]
    means = flipped(moved)
    return Fraction(sum(mean >= sum(moved) for mean in means), len(means))


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_p_values_are_those_of_every_flip_written_out(n: int) -> None:
    rng = np.random.default_rng(n)
    for hits in rng.integers(-9, 14, (20, n)):
        exact = [Fraction(int(k), 80) for k in hits]
        mirrored = [-d for d in exact]
        two_sided = min(Fraction(1), 2 * min(not_above(exact, Fraction(0)), not_above(mirrored, Fraction(0))))
        outside = max(not_above(exact, -MARGIN), not_above(mirrored, -MARGIN))
        assert p_difference(hits / 80) == float(two_sided)
        assert p_equivalent(hits / 80, 0.05) == float(outside)


def test_the_two_sided_p_value_is_that_of_scipy() -> None:
    units = np.random.default_rng(0).normal(0.03, 0.08, 10)
    whole = stats.permutation_test((units,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert p_difference(units) == pytest.approx(whole.pvalue, rel=1e-12)


def test_many_studies_are_the_single_ones() -> None:
    studies = np.random.default_rng(0).integers(-20, 20, (5, 7)) / 80
    assert p_difference(studies).tolist() == [p_difference(study) for study in studies]
    assert p_equivalent(studies, 0.05).tolist() == [p_equivalent(study, 0.05) for study in studies]


@pytest.mark.parametrize("n", [6, 8, 10, 15])
def test_the_interval_holds_what_the_test_does_not_reject(n: int) -> None:
    units = np.random.default_rng(n).normal(0.05, 0.1, n)
    low, high = interval(units, level=0.05)
    step = 1e-9
    assert min(p_difference(units, low + step), p_difference(units, high - step)) > 0.05
    assert max(p_difference(units, low - step), p_difference(units, high + step)) <= 0.05


def test_fewer_than_six_units_reject_nothing_at_five_percent() -> None:
    alike = np.full(5, 0.5)
    assert p_difference(alike) == 2 / 2**5
    assert interval(alike, level=0.05) == (-1, 1)
    assert attainable(0.025, 5) == 0
    assert attainable(0.025, 6) == 1 / 64


def test_eight_units_cannot_win_the_first_step_of_holm_over_eight_questions_and_ten_can() -> None:
    assert p_difference(np.ones(8)) == 1 / 128 > 0.05 / 8
    assert p_difference(np.ones(10)) == 1 / 512 < 0.05 / 8


def test_the_interval_covers_as_often_as_it_says_at_eight_units() -> None:
    """2,000 studies of a skewed law whose mean is .05: 95 % are covered, or at most 2.5 points less for the skew.

    With a coverage of 92.5 %, fewer than 1,813 of 2,000 would have probability below 1e-3; the seed is fixed.
    """
    studies = np.random.default_rng(0).gamma(4, 0.02, (2000, 8)) - 0.03
    missed = (p_difference(studies, 0.05) <= 0.05).sum()
    assert 2000 - missed >= stats.binom.ppf(1e-3, 2000, 0.925)


def test_beyond_twelve_units_flips_are_drawn_and_agree_with_all_of_them() -> None:
    """By the normal law of the mean of flips, as all of 2^16 would: off by less than 4 standard errors of 4,096."""
    units = np.random.default_rng(3).normal(0.03, 0.08, EXACT + 4)
    found = p_difference(units)
    whole = stats.permutation_test((units,), np.mean, permutation_type="samples", n_resamples=np.inf, batch=4096)
    assert found == pytest.approx(whole.pvalue, abs=2 * 4 * np.sqrt(whole.pvalue / 2 / 2**EXACT))
    assert found == p_difference(units)
