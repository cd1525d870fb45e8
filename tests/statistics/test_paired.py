"""Rates and differences of paired trials: intervals and tests are exact."""

import math

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.statistics.paired import paired_comparison, paired_difference, rate


def test_the_interval_of_a_rate_is_exact():
    hits = np.arange(100) < 73
    low, high = clopper_pearson(73, 100)
    assert (rate(hits).low, rate(hits).high) == (low, high)
    assert rate(hits).value == 0.73
    empty = rate(np.zeros(0, dtype=bool))
    assert (empty.low, empty.high) == (0, 1)
    assert math.isnan(empty.value)


def test_mcnemar_is_the_exact_binomial_test_on_the_discordant_pairs():
    """12 targets for a alone, 3 for b alone: p = 2 Pr[Bin(15, 1/2) >= 12] = 1152 / 32768."""
    a = np.array([True] * 12 + [False] * 3 + [True] * 5 + [False] * 20)
    b = np.array([False] * 12 + [True] * 3 + [True] * 5 + [False] * 20)
    whole = paired_comparison(a, b)
    assert whole.p_value == pytest.approx(1152 / 32768, rel=1e-12)
    assert (whole.pairs, whole.only_a, whole.only_b, whole.difference) == (40, 12, 3, 9 / 40)
    turned = paired_comparison(b, a)
    assert (turned.difference, turned.low, turned.high) == pytest.approx((-whole.difference, -whole.high, -whole.low))
    assert paired_comparison(a, a).p_value == 1


def test_the_interval_of_the_difference_covers_as_often_as_it_says():
    """4,000 simulated pairs of arms of 40 targets: coverage of 95 % is not below 94 %.

    With a coverage of 95 %, fewer than 3,760 of 4,000 would have probability .002; the seed is fixed.
    """
    law = np.array([0.35, 0.25, 0.05, 0.35])  # both, only a, only b, neither
    rng = np.random.default_rng(0)
    covered = 0
    for counts in rng.multinomial(40, law, size=4000):
        a = np.repeat([True, True, False, False], counts)
        b = np.repeat([True, False, True, False], counts)
        found = paired_comparison(a, b)
        covered += found.low <= 0.2 <= found.high
    assert covered >= 3760


def test_a_paired_difference_is_students_and_leaves_out_missing_pairs():
    a = np.array([1.0, 2.0, 4.0, np.nan, 8.0])
    b = np.array([0.5, 2.5, 3.0, 1.0, np.nan])
    found = paired_difference(a, b)
    test = stats.ttest_rel(a[:3], b[:3])
    interval = test.confidence_interval(0.95)
    assert found.pairs == 3
    assert found.p_value == pytest.approx(test.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert math.isnan(paired_difference(a[:1], b[:1]).low)
    assert paired_difference(a[:2], a[:2]).p_value == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired_comparison(np.zeros(3), np.zeros(3)), "a: got"),
        (lambda: paired_comparison(np.zeros(3, bool), np.zeros(4, bool)), "b: got '4 targets'"),
        (lambda: paired_comparison(np.zeros(0, bool), np.zeros(0, bool)), "b: got"),
        (lambda: paired_difference(np.zeros(3, int), np.zeros(3, int)), "a: got"),
        (lambda: rate(np.zeros((2, 2), bool)), "hits: got"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
