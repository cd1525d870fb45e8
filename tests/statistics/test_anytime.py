"""The bound that may be looked at: its exact failures, runs stopped out of spite, and its price beside a fixed n."""

import math

import numpy as np
import pytest
from scipy import integrate, special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.anytime import (
    LEAN,
    anytime_lower_bound,
    anytime_trials,
    log_capital,
    stopping_counts,
)
from rp_tutorial.statistics.binomial import lower_confidence_bound


@pytest.mark.parametrize(("p", "alpha"), [(0.5, 0.05), (0.841, 0.01), (0.99, 0.01)])
def test_runs_that_stop_as_soon_as_the_bound_is_wrong_fail_no_more_often_than_alpha(p, alpha):
    """20,000 runs of up to 2,000 trials, and an adversary who stops at the first wrong bound."""
    runs, most = 20_000, 2000
    enough, rng = stopping_counts(p, alpha=alpha, most=most), np.random.default_rng(0)
    wrong, fixed = 0, 0
    usual = stats.binom.isf(alpha, np.arange(1, most + 1), p) + 1  # counts from which Clopper and Pearson are wrong
    for _ in range(20):
        successes = np.cumsum(rng.random((runs // 20, most), dtype=np.float32) < p, axis=1, dtype=np.int16)
        wrong += int((successes >= enough).any(axis=1).sum())
        fixed += int((successes >= usual).any(axis=1).sum())
    assert wrong <= stats.binom.isf(1e-6, runs, alpha)
    assert wrong > 0
    assert fixed > stats.binom.isf(1e-6, runs, 2 * alpha)  # which is why one may not look at the usual bound


@pytest.mark.parametrize("p", [0.02, 0.5, 0.9, 0.999])
def test_the_probability_of_ever_being_wrong_is_at_most_alpha(p):
    """Exactly, over 3,000 trials: the law of the count is followed, and whoever crosses is taken out."""
    for alpha in (0.001, 0.05, 0.4):
        ever = anytime_trials(p, p, alpha=alpha, most=3000)[1]
        assert ever <= alpha
        assert ever > 0 or p**3000 > alpha / 2  # 3,000 successes in a row are then no surprise


def test_the_capital_is_the_mean_over_stakes_and_on_average_does_not_grow():
    for k, n, p0 in ((0, 3, 0.3), (4, 4, 0.6), (7, 9, 0.5), (30, 40, 0.9)):
        # Substituted y = v^(1 / LEAN): the density of the stakes is then flat.
        mean = integrate.quad(
            lambda v, k=k, n=n, p0=p0: (v ** (1 / LEAN) * (1 - 1 / p0) + 1 / p0) ** k * v ** ((n - k) / LEAN), 0, 1
        )[0]
        assert log_capital(k, n, p0) == pytest.approx(math.log(mean), rel=1e-6, abs=1e-8)
    n = 25
    for p0 in (0.1, 0.5, 0.95):
        capital = np.exp(log_capital(np.arange(n + 1), n, p0))
        assert stats.binom.pmf(np.arange(n + 1), n, p0) @ capital == pytest.approx(1, rel=1e-9)
        assert stats.binom.pmf(np.arange(n + 1), n, 0.9 * p0) @ capital < 1
    assert np.all(np.diff(log_capital(70, 100, np.linspace(0.05, 0.95, 50))) < 0)


def test_the_bound_excludes_what_the_capital_excludes_and_is_rounded_down():
    rng = np.random.default_rng(2)
    n = rng.integers(1, 10**6, 300)
    k = (n * rng.random(300)).astype(int)
    low = anytime_lower_bound(k, n, alpha=0.01)
    some = low > 0
    assert np.all(log_capital(k, n, np.maximum(low, 1e-300))[some] >= -math.log(0.01))
    assert np.all(log_capital(k, n, np.maximum(low, 1e-12) * (1 + 1e-6)) < -math.log(0.01) + 2e-5 * n)
    assert np.all(low <= [lower_confidence_bound(a, int(b), alpha=0.01) for a, b in zip(k, n, strict=True)])
    assert anytime_lower_bound(0, 10, alpha=0.01) == 0
    assert anytime_lower_bound(10**6, 10**6, alpha=0.01) > 0.99998
    assert anytime_lower_bound([[1, 2], [3, 4]], 5, alpha=0.3).shape == (2, 2)


def test_the_stopping_counts_are_where_the_bound_passes():
    enough = stopping_counts(0.7, alpha=0.05, most=60)
    for n in (1, 5, 9, 30, 60):
        bounds = anytime_lower_bound(np.arange(n + 1), n, alpha=0.05)
        passing = np.flatnonzero(bounds >= 0.7 - 1e-9)
        assert enough[n - 1] == (passing[0] if passing.size else n + 1)


def test_the_expected_trials_are_those_of_simulated_runs():
    p, needed, alpha, most, runs = 0.95, 0.8, 0.05, 150, 4000
    enough = stopping_counts(needed, alpha=alpha, most=most)
    successes = np.cumsum(np.random.default_rng(3).random((runs, most)) < p, axis=1)
    stops = successes >= enough
    spent = np.where(stops.any(axis=1), stops.argmax(axis=1) + 1, most)
    mean, power = anytime_trials(p, needed, alpha=alpha, most=most)
    assert abs(spent.mean() - mean) < 5 * spent.std() / math.sqrt(runs)
    assert abs(stops.any(axis=1).mean() - power) < 5 * math.sqrt(power * (1 - power) / runs) + 1e-9


# p_A, radius in sigma: the fewest trials that certify it with probability .95 (alpha = .01), the mean if one may stop
PRICES = {
    (0.9, 0.5): (56, 44.5), (0.9, 1.0): (519, 447.2),
    (0.99, 0.5): (19, 15.6), (0.99, 1.0): (50, 36.7), (0.99, 2.0): (1559, 1264.6),
    (0.999, 0.5): (13, 14.2), (0.999, 1.0): (27, 29.7), (0.999, 2.0): (289, 258.2),
}  # fmt: skip


@pytest.mark.parametrize("case", PRICES)
def test_to_stop_when_it_is_clear_costs_what_the_book_prints(case):
    """Fewer trials on the mean than the fixed number, but where all successes in a row decide: no test needs fewer."""
    (p, radius), (fixed, spent), alpha = case, PRICES[case], 0.01
    needed = float(special.ndtr(radius))
    n = np.arange(1, 2 * fixed)
    enough = stats.binom.isf(alpha, n, needed).astype(int) + 1
    assert n[stats.binom.sf(enough - 1, n, p) >= 0.95][0] == fixed
    mean, power = anytime_trials(p, needed, alpha=alpha, most=4 * fixed)
    assert mean == pytest.approx(spent, abs=0.05)
    assert power > 0.998
    in_a_row = math.ceil(math.log(alpha) / math.log(needed))
    assert mean < fixed or fixed == in_a_row


@pytest.mark.parametrize(
    ("bad", "named"),
    [({"successes": 11}, "successes"), ({"successes": -1}, "successes"), ({"successes": 0.5}, "successes"),
     ({"trials": 0}, "trials"), ({"alpha": 0.0}, "alpha"), ({"trials": 10.0}, "trials")],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_in_one_line(bad, named):
    with pytest.raises(InputError) as error:
        anytime_lower_bound(**{"successes": 3, "trials": 10, "alpha": 0.1, **bad})
    assert str(error.value).startswith(f"{named}: ")
