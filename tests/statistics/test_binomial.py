"""Bounds, tests and quantiles against exact sums of fractions, SciPy's binomial test and mpmath.

Nothing here is random but the examples that hypothesis tries, and those are derandomised.
"""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import (
    SLACK,
    certified_radius,
    certified_radius_two_bounds,
    clopper_pearson,
    lower_confidence_bound,
    max_certifiable_radius,
    min_certify_votes,
    min_predict_votes,
    normal_quantile_down,
    normal_quantile_up,
    predict_thresholds,
    upper_confidence_bound,
)

exactly = settings(max_examples=120, deadline=None, derandomize=True)
alphas = st.floats(1e-12, 0.999)
trials = st.integers(1, 200)
probabilities = st.floats(1e-300, 1, exclude_max=True)
PREDICT_ALPHAS = [0.01, 0.05, 0.001, 1e-6, 1 / 3, 0.9, *(2.0**-j for j in (1, 2, 3, 6, 10, 20, 40))]
QUANTILE_POINTS = [
    *(0.5 + s * d for s in (-1, 1) for d in (0, 2.0**-54, 2.0**-53, 1e-15, 1e-12, 1e-8, 1e-4, 0.1, 0.3)),
    *(5e-324, 1e-310, 1e-300, 1e-100, 1e-16, 1e-8, 0.1353352832366127, 0.8646647167633873),
    *(1 - 1e-8, 1 - 1e-12, 1 - 1e-16, 1 - 2.0**-53),
]


def upper_tail(n: int, k: int, p: Fraction) -> Fraction:
    """Pr[Bin(n, p) >= k], exactly."""
    a, scale = p.numerator, p.denominator
    total, power = 0, (scale - a) ** (n - k)
    for i in range(k, n + 1):
        total += math.comb(n, i) * a**i * power
        power = power // (scale - a) if i < n else power
    return Fraction(total, scale**n)


def lower_tail(n: int, k: int, p: Fraction) -> Fraction:
    """Pr[Bin(n, p) <= k], exactly."""
    return upper_tail(n, n - k, 1 - p)


def bounds(k: int, n: int, alpha: float) -> tuple[float, float]:
    return float(lower_confidence_bound(k, n, alpha=alpha)), float(upper_confidence_bound(k, n, alpha=alpha))


@exactly
@given(st.data(), trials, alphas)
def test_lower_bound_is_valid_and_tight_to_a_billionth_of_alpha(data, n, alpha):
    k = data.draw(st.integers(1, n))
    tail = upper_tail(n, k, Fraction(bounds(k, n, alpha)[0]))
    assert Fraction(alpha) * (1 - Fraction(1, 10**9)) < tail <= Fraction(alpha)


@exactly
@given(st.data(), trials, alphas)
def test_upper_bound_is_valid_and_no_further_out_than_the_slack(data, n, alpha):
    k = data.draw(st.integers(0, n - 1))
    bound = Fraction(bounds(k, n, alpha)[1])
    assert lower_tail(n, k, bound) <= Fraction(alpha)
    inside = bound - Fraction(2 * SLACK)
    assert inside <= 0 or lower_tail(n, k, inside) > Fraction(alpha)


@pytest.mark.parametrize(("n", "k"), [(10**5, 1), (10**5, 50_500), (10**5, 99_999), (10**6, 999_000), (10**6, 3)])
def test_bounds_stay_valid_and_tight_for_many_trials(n, k):
    alpha = 0.01
    with mpmath.workdps(40):

        def tail(first: int, p: mpmath.mpf) -> mpmath.mpf:
            """Pr[Bin(n, p) >= first] by summing to where the terms vanish."""
            log_term = mpmath.loggamma(n + 1) - mpmath.loggamma(first + 1) - mpmath.loggamma(n - first + 1)
            term = mpmath.exp(log_term + first * mpmath.log(p) + (n - first) * mpmath.log1p(-p))
            total, i = term, first
            while i < n and term > total * mpmath.mpf("1e-30"):
                term *= (n - i) * p / ((i + 1) * (1 - p))
                total, i = total + term, i + 1
            return total

        low, high = (mpmath.mpf(bound) for bound in bounds(k, n, alpha))
        assert tail(k, low) <= alpha < tail(k, low * (1 + 3 * SLACK))
        assert tail(n - k, 1 - high) <= alpha < tail(n - k, 1 - high + 3 * SLACK)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_lower_bound_misses_no_more_often_than_alpha_whatever_p(alpha):
    n = 25
    low = lower_confidence_bound(np.arange(n + 1), n, alpha=alpha)
    for p in (Fraction(i, 97) for i in range(1, 97)):
        missed = next((k for k in range(n + 1) if Fraction(low[k]) > p), n + 1)
        assert upper_tail(n, missed, p) <= Fraction(alpha)


@exactly
@given(trials, alphas)
def test_no_success_gives_zero_below_and_no_failure_gives_one_above(n, alpha):
    assert bounds(0, n, alpha)[0] == 0
    assert bounds(n, n, alpha)[1] == 1
    assert bounds(n, n, alpha)[0] == pytest.approx(alpha ** (1 / n), rel=1e-11)
    assert bounds(0, n, alpha)[1] == pytest.approx(-math.expm1(math.log(alpha) / n), rel=1e-9, abs=2e-12)


@exactly
@given(st.data(), st.integers(1, 2000), st.floats(1e-4, 0.4))
def test_bounds_agree_with_scipys_exact_interval(data, n, alpha):
    k = data.draw(st.integers(0, n))
    two_sided = binomtest(k, n).proportion_ci(confidence_level=1 - alpha, method="exact")
    low, high = clopper_pearson(k, n, confidence=1 - alpha)
    assert (low, high) == (pytest.approx(two_sided.low, abs=1e-10), pytest.approx(two_sided.high, abs=1e-10))
    greater = binomtest(k, n, alternative="greater").proportion_ci(confidence_level=1 - alpha, method="exact")
    assert bounds(k, n, alpha)[0] == pytest.approx(greater.low, abs=1e-10)
    less = binomtest(k, n, alternative="less").proportion_ci(confidence_level=1 - alpha, method="exact")
    assert bounds(k, n, alpha)[1] == pytest.approx(less.high, abs=1e-10)


@exactly
@given(trials, alphas)
def test_bounds_grow_with_the_count_and_enclose_the_share(n, alpha):
    k = np.arange(n + 1)
    low, high = lower_confidence_bound(k, n, alpha=alpha / 2), upper_confidence_bound(k, n, alpha=alpha / 2)
    assert np.all(np.diff(low) > 0)
    assert np.all(np.diff(high) > 0)
    assert np.all((low <= k / n) & (k / n <= high))
    assert np.all((low >= 0) & (high <= 1))


def test_bounds_keep_the_shape_of_the_counts():
    for shape in ((), (0,), (3,), (2, 0), (2, 3)):
        k = np.zeros(shape, dtype=np.int32)
        assert np.shape(lower_confidence_bound(k, 5, alpha=0.1)) == shape
        assert np.shape(upper_confidence_bound(k, 5, alpha=0.1)) == shape


@pytest.mark.parametrize("alpha", PREDICT_ALPHAS)
def test_predict_table_equals_exact_integer_sums(alpha):
    for m, needed in enumerate(predict_thresholds(300, alpha)):
        largest = Fraction(alpha) * 2**m / 2  # the two-sided p-value is twice this tail over 2 ** m
        tail, k = 0, m + 1
        while k > 0 and tail + math.comb(m, k - 1) <= largest:
            tail, k = tail + math.comb(m, k - 1), k - 1
        assert needed == k, f"m = {m}"


@pytest.mark.parametrize("m", [1000, 4097, 10_000])
def test_predict_table_is_exact_for_many_votes_too(m):
    for alpha in (0.01, 1e-6):
        needed = int(predict_thresholds(m, alpha)[m])
        tail = sum(math.comb(m, k) for k in range(needed, needed + 200))  # what lies beyond is far below a vote
        assert needed + 200 < m
        assert 2 * tail < Fraction(alpha) * 2**m < 2 * (tail + math.comb(m, needed - 1))


@exactly
@given(st.data(), st.integers(1, 500), st.floats(1e-6, 0.5))
def test_predict_table_answers_exactly_where_scipys_two_sided_test_rejects(data, m, alpha):
    leader = data.draw(st.integers((m + 1) // 2, m))
    p_value = binomtest(leader, m, 0.5).pvalue
    if abs(p_value - alpha) > 1e-6 * alpha:  # SciPy counts values this near as equal
        assert (leader >= predict_thresholds(m, alpha)[m]) == (p_value < alpha)


@pytest.mark.parametrize("j", range(1, 60))
def test_a_p_value_equal_to_alpha_is_small_enough(j):
    assert predict_thresholds(j + 1, 2.0**-j)[j + 1] == j + 1
    assert predict_thresholds(j, 2.0**-j)[j] == j + 1  # one vote fewer, even all of them: p = 2 alpha


def test_predict_never_answers_without_a_majority():
    table = predict_thresholds(300, 0.999)
    assert np.all(2 * table > np.arange(301))
    assert table[0] == 1


def test_predict_table_is_shared_and_read_only():
    table = predict_thresholds(50, 0.01)
    assert table is predict_thresholds(50, 0.01)
    with pytest.raises(ValueError, match="read-only"):
        table[0] = 0


def test_known_numbers_of_predict_and_certify_at_one_percent():
    assert [min_predict_votes(n, alpha=0.01) for n in (1000, 100, 10)] == [542, 64, 10]
    assert [min_predict_votes(n, alpha=0.01) for n in range(1, 8)] == [None] * 7
    assert min_predict_votes(8, alpha=0.01) == 8
    assert [min_certify_votes(n, alpha=0.01) for n in (1000, 100)] == [538, 63]
    assert min_certify_votes(6, alpha=0.01) is None
    assert min_certify_votes(7, alpha=0.01) == 7


def test_known_largest_radii_of_unanimous_samples():
    largest = [max_certifiable_radius(n, alpha=0.01, sigma=1) for n in (10, 100, 1000)]
    assert [round(radius, 3) for radius in largest] == [0.334, 1.695, 2.605]
    assert max_certifiable_radius(100, alpha=0.01, sigma=2.5) == pytest.approx(2.5 * largest[1])
    assert max_certifiable_radius(6, alpha=0.01, sigma=1) == 0


def assert_enclosed(p: float) -> None:
    """down <= Phi^-1(p) <= up, decided by the increasing Phi at 50 digits, and the two are close."""
    down, up = float(normal_quantile_down(p)), float(normal_quantile_up(p))
    with mpmath.workdps(50):
        assert mpmath.ncdf(mpmath.mpf(down)) < mpmath.mpf(p) < mpmath.ncdf(mpmath.mpf(up))
    assert up - down <= 3 * SLACK * abs(up) + 3e-15


@pytest.mark.parametrize("p", QUANTILE_POINTS)
def test_normal_quantiles_are_rounded_outward_at_the_hard_points(p):
    assert_enclosed(p)


@exactly
@given(probabilities)
def test_normal_quantiles_are_rounded_outward(p):
    assert_enclosed(p)


def test_normal_quantiles_of_zero_and_one_are_infinite():
    assert normal_quantile_down([0, 1]).tolist() == [-math.inf, math.inf]
    assert normal_quantile_up([0, 1]).tolist() == [-math.inf, math.inf]


@exactly
@given(probabilities, st.floats(1e-6, 1e6))
def test_certified_radius_is_never_above_the_true_one(p_low, sigma):
    radius = float(certified_radius(p_low, sigma=sigma))
    with mpmath.workdps(50):
        assert radius == 0 or mpmath.ncdf(mpmath.mpf(radius) / mpmath.mpf(sigma)) <= mpmath.mpf(p_low)


@exactly
@given(probabilities, probabilities, st.floats(1e-6, 1e6))
def test_two_bound_radius_is_never_above_the_true_one(p_a, p_b, sigma):
    radius = float(certified_radius_two_bounds(p_a, p_b, sigma=sigma))
    # Inversion of Phi at 50 digits is slow; the enclosing quantiles, checked above, bound the truth from below.
    with mpmath.workdps(50):
        least = mpmath.mpf(float(normal_quantile_down(p_a))) - mpmath.mpf(float(normal_quantile_up(p_b)))
        assert radius <= max(0, mpmath.mpf(sigma) / 2 * least * (1 + mpmath.mpf("1e-15")))


@pytest.mark.parametrize("p", [0.0, 1e-300, 0.1, 0.5, np.nextafter(0.5, 0)])
def test_no_radius_without_more_than_half_of_the_noise(p):
    assert certified_radius(p, sigma=3) == 0
    assert certified_radius_two_bounds(p, 1 - p, sigma=3) == 0


@exactly
@given(st.integers(1, 2**30 - 1), st.floats(1e-3, 1e3))
def test_equation_one_at_p_b_equal_to_one_minus_p_a_is_the_one_bound_radius(numerator, sigma):
    p_a = numerator / 2**30  # so that 1 - p_a is exact
    one, two = certified_radius(p_a, sigma=sigma), certified_radius_two_bounds(p_a, 1 - p_a, sigma=sigma)
    assert two == pytest.approx(one, rel=4 * SLACK, abs=4e-15 * sigma)


def test_contradictory_bounds_certify_nothing_rather_than_nan():
    assert certified_radius_two_bounds([0.0, 1.0], [0.0, 1.0], sigma=1).tolist() == [0, 0]


BAD_COUNTS = [-1, 11, 3.0, True, math.nan, "3", None, [1, 2.5], [1, -1]]
BAD_TRIALS = [0, -1, 10.0, math.nan, "10", None, True]
BAD_ALPHA = [0, 1, -0.1, 2, math.nan, "0.1", None, True]
BAD_P = [-1e-12, 1 + 1e-12, math.nan, "a", None, 1j, [0.5, math.nan], [0.5, None]]


@pytest.mark.parametrize("call", [lower_confidence_bound, upper_confidence_bound])
def test_bounds_refuse_bad_input_in_one_line(call):
    for bad in BAD_COUNTS:
        assert_refused(lambda bad=bad: call(bad, 10, alpha=0.1), "successes")
    for bad in BAD_TRIALS:
        assert_refused(lambda bad=bad: call(1, bad, alpha=0.1), "trials")
    for bad in BAD_ALPHA:
        assert_refused(lambda bad=bad: call(1, 10, alpha=bad), "alpha")


def test_interval_and_tests_refuse_bad_input_in_one_line():
    predict_thresholds(10, 0.1)  # a cached table must not let an equal float through
    for bad in BAD_ALPHA:
        assert_refused(lambda bad=bad: clopper_pearson(1, 10, confidence=bad), "confidence")
        for call in (min_predict_votes, min_certify_votes):
            assert_refused(lambda call=call, bad=bad: call(10, alpha=bad), "alpha")
        assert_refused(lambda bad=bad: predict_thresholds(10, bad), "alpha")
    for bad in [*BAD_TRIALS, [10]]:
        for call in (min_predict_votes, min_certify_votes):
            assert_refused(lambda call=call, bad=bad: call(bad, alpha=0.1), "n")
        assert_refused(lambda bad=bad: predict_thresholds(bad, 0.1), "n")


def test_quantiles_and_radii_refuse_bad_input_in_one_line():
    for bad in BAD_P:
        for call in (normal_quantile_down, normal_quantile_up):
            assert_refused(lambda call=call, bad=bad: call(bad), "p")
        assert_refused(lambda bad=bad: certified_radius(bad, sigma=1), "p")
        assert_refused(lambda bad=bad: certified_radius_two_bounds(bad, 0.1, sigma=1), "p")
        assert_refused(lambda bad=bad: certified_radius_two_bounds(0.9, bad, sigma=1), "p")
    for bad in (0, -1, math.inf, math.nan, "1", None):
        assert_refused(lambda bad=bad: certified_radius(0.9, sigma=bad), "sigma")
        assert_refused(lambda bad=bad: certified_radius_two_bounds(0.9, 0.1, sigma=bad), "sigma")


def assert_refused(call, argument: str) -> None:
    with pytest.raises(InputError) as error:
        call()
    text = str(error.value)
    assert text.startswith(f"{argument}: got ")
    assert len(text.splitlines()) == 1
