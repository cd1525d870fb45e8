"""The closed forms of the half-space against Monte Carlo, adaptive quadrature and the printed numbers of the paper.

Thresholds of the simulations are exact binomial quantiles, or standard errors, at the error probability ERROR.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats
from threadpoolctl import threadpool_limits

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory import halfspace
from rp_tutorial.theory.halfspace import (
    class_one_probability,
    expected_reach,
    mean_radius,
    predict_law,
    threshold_rates,
    vote_law,
)

ERROR = 1e-6  # probability that a simulation of a right closed form fails its test, for each comparison
STANDARD_ERRORS = -special.ndtri(ERROR / 2)
TABLE_1 = {1: (96.33, 3.66), 2: (92.63, 7.36), 3: (88.87, 11.13)}  # accuracy and abstention in closed form, percent
OUR_RADIUS = {1: 0.455, 2: 0.445, 3: 0.428}  # PREDICT, CERTIFY's choice and CERTIFY's bound on their own samples
RIGHT_CHOICE = {1: 0.457, 2: 0.452, 3: 0.442}  # the same, if CERTIFY's choice were always class 1
ONLY_CERTIFIED = {1: 0.465, 2: 0.467, 3: 0.464}  # CERTIFY alone, averaged where it certifies class 1


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products this small only wait for a second thread, for seconds on a busy machine."""
    with threadpool_limits(1):
        yield


def assert_binomial(hits: int, trials: int, p: float) -> None:
    low, high = stats.binom.ppf([ERROR / 2, 1 - ERROR / 2], trials, p)
    assert low <= hits <= high, f"{hits} of {trials} where {p} was claimed"


def assert_mean(sample: np.ndarray, exact: float, *, printed: float = 0.0) -> None:
    """The sample's mean is `exact` up to its own standard errors, and up to the rounding of a printed number."""
    assert abs(sample.mean() - exact) < STANDARD_ERRORS * sample.std() / np.sqrt(len(sample)) + printed


def predict(ones: np.ndarray, n: int, needed: int) -> np.ndarray:
    """PREDICT's answer from the votes for class 1, written out: 0, 1, or -1 for ABSTAIN."""
    return np.where(ones >= needed, 1, np.where(n - ones >= needed, 0, -1))


@pytest.mark.parametrize("n", [1, 2, 7, 8, 100, 1001])
def test_laws_are_probabilities_that_sum_to_one(n):
    p = np.array([[0, 1e-12, 0.3, 0.5], [0.5000001, 0.9, 1 - 1e-12, 1]])
    for law, symbols in ((vote_law(p, n=n), 2), (predict_law(p, n=n, alpha=0.01), 3)):
        assert law.shape == (2, 4, symbols)
        assert np.all((law >= 0) & (law <= 1))
        assert np.allclose(law.sum(axis=-1), 1, atol=1e-14, rtol=0)


def test_class_one_probability_is_the_normal_share_beyond_the_boundary():
    noise = np.random.default_rng(0).standard_normal(200_000)
    for distance, sigma in ((0.0, 1), (0.7, 2), (-1.5, 0.5)):
        hits = int(np.sum(distance + sigma * noise > 0))
        assert_binomial(hits, len(noise), float(class_one_probability(distance, sigma=sigma)))


@pytest.mark.parametrize(("n", "p"), [(1, 0.3), (10, 0.5), (11, 0.45), (100, 0.52)])
def test_vote_law_is_the_share_of_simulated_pluralities_with_ties_to_class_zero(n, p):
    noisy_labels = np.random.default_rng(n).random((100_000, n)) < p
    released = np.argmax(np.stack([n - noisy_labels.sum(axis=1), noisy_labels.sum(axis=1)]), axis=0)
    assert_binomial(int(released.sum()), len(released), vote_law(p, n=n)[1])


@pytest.mark.parametrize(("n", "needed", "p"), [(10, 10, 0.8), (100, 64, 0.62), (1000, 542, 0.54), (1000, 542, 0.47)])
def test_predict_law_is_the_share_of_simulated_answers(n, needed, p):
    released = predict(np.random.default_rng(n).binomial(n, p, 200_000), n, needed)
    for symbol, share in zip((0, -1, 1), predict_law(p, n=n, alpha=0.01), strict=True):
        assert_binomial(int(np.sum(released == symbol)), len(released), share)


def test_predict_of_seven_samples_always_abstains():
    assert predict_law([0.0, 0.5, 1.0], n=7, alpha=0.01)[:, 1].tolist() == [1, 1, 1]


@pytest.mark.parametrize("sigma", TABLE_1)
def test_threshold_rates_are_the_printed_closed_form(sigma):
    rates = threshold_rates(sigma=sigma, n=1000, alpha=0.01)
    assert (round(100 * rates.accuracy, 2), round(100 * rates.abstention, 2)) == TABLE_1[sigma]
    assert rates.accuracy + rates.abstention + rates.error == pytest.approx(1, abs=1e-12)
    assert rates.error < 0.0001
    assert rates.mean_radius_std == pytest.approx(OUR_RADIUS[sigma], abs=5e-4)


@pytest.mark.parametrize("sigma", TABLE_1)
def test_threshold_rates_agree_with_adaptive_quadrature(sigma):
    """The integrals again: other nodes, and PREDICT's 542 of 1000 put in by hand."""
    rates, t = threshold_rates(sigma=sigma, n=1000, alpha=0.01), stats.norm.ppf(0.9)

    def integral(low, high, share) -> float:
        marks = np.clip(t + sigma * np.linspace(-0.3, 0.3, 13), low, high)  # where the integrand lives
        pieces = np.unique([low, *marks, high])
        within = [integrate.quad(share, a, b, epsabs=1e-13) for a, b in pairwise(pieces)]
        return sum(value for value, _ in within)

    def votes(tail, k):  # density of the population times a binomial tail at z
        return lambda z: stats.norm.pdf(z) * tail(k, 1000, stats.norm.cdf((z - t) / sigma))

    one, zero = votes(stats.binom.sf, 541), votes(stats.binom.cdf, 458)
    assert rates.accuracy == pytest.approx(integral(t, 9, one) + integral(-9, t, zero), abs=1e-9)
    assert rates.error == pytest.approx(integral(t, 9, zero) + integral(-9, t, one), abs=1e-9)
    answered = integral(-9, t, one) + integral(t, 9, one)
    distance = integral(-9, 9, lambda z: (z - t) * one(z))
    assert rates.mean_distance_std == pytest.approx(distance / answered, abs=1e-8)


@pytest.mark.parametrize(("sigma", "n"), [(0.1, 1000), (1, 1000), (3, 1000), (1, 10)])
def test_quadrature_has_converged(sigma, n, monkeypatch):
    usual = threshold_rates(sigma=sigma, n=n, alpha=0.01)
    monkeypatch.setattr(halfspace, "_population_grid", partial(halfspace._population_grid, points=2000))
    doubled = threshold_rates(sigma=sigma, n=n, alpha=0.01)
    for name, value in vars(usual).items():
        assert value == pytest.approx(getattr(doubled, name), abs=1e-9), name


@pytest.mark.parametrize("sigma", TABLE_1)
def test_mean_radius_is_what_a_simulated_population_gets_and_near_046_for_every_sigma(sigma):
    """People left of the threshold by .5 sigma have p_1 < .31: 538 of 1000 votes then have a chance below 1e-40."""
    rng, people, t = np.random.default_rng(sigma), 300_000, special.ndtri(0.9)
    from_share = special.ndtr(t - 0.5 * sigma)
    z = special.ndtri(from_share + (1 - from_share) * rng.random(people))
    p = special.ndtr((z - t) / sigma)
    answered, chosen_one = rng.binomial(1000, p) >= 542, rng.binomial(100, p) > 50
    radius_of_count = certified_radius(lower_confidence_bound(np.arange(1001), 1000, alpha=0.01), sigma=sigma)
    if_chosen = radius_of_count[rng.binomial(1000, p)]
    radius = np.where(chosen_one, if_chosen, 0)
    rates = threshold_rates(sigma=sigma, n=1000, alpha=0.01)
    assert_mean(radius[answered], rates.mean_radius_std)
    assert_mean((z - t)[answered], rates.mean_distance_std)
    assert_mean(if_chosen[answered], RIGHT_CHOICE[sigma], printed=5e-4)
    assert_mean(radius[radius > 0], ONLY_CERTIFIED[sigma], printed=5e-4)
    assert rates.mean_radius_std < rates.mean_distance_std


def test_mean_radius_at_a_point_counts_wrong_choices_and_abstentions_as_zero():
    rng, p, sigma = np.random.default_rng(3), 0.6, 2.0
    chosen_one = rng.binomial(10, p, 400_000) > 5
    low = stats.beta.ppf(0.05, np.arange(1, 51), 50 - np.arange(1, 51) + 1)
    radius_of_count = np.concatenate([[0], np.maximum(0, sigma * special.ndtri(low))])
    radius = np.where(chosen_one, radius_of_count[rng.binomial(50, p, 400_000)], 0)
    exact = float(mean_radius(p, sigma=sigma, n0=10, n=50, alpha=0.05))
    assert_mean(radius, exact)
    assert mean_radius(np.full((2, 3), p), sigma=sigma, n0=10, n=50, alpha=0.05) == pytest.approx(exact)


def test_mean_radius_is_finite_down_to_the_smallest_float():
    p = np.array([0, 5e-324, 2.3e-308, 1e-300, 1 - 2.0**-53, 1])
    radius = mean_radius(p, sigma=1, n0=10, n=1000, alpha=0.01)
    assert radius[:4].max() < 1e-300
    assert radius[4:] == pytest.approx([2.605, 2.605], abs=1e-3)


def test_rates_of_a_predict_that_never_answers_are_all_abstention():
    rates = threshold_rates(sigma=1, n=7, alpha=0.01)
    assert (rates.accuracy, rates.error, rates.mean_radius_std, rates.mean_distance_std) == (0, 0, 0, 0)
    assert rates.abstention == pytest.approx(1)


def test_expected_reach_is_the_mean_furthest_positive_of_a_simulation():
    sigma, n, records, repetitions = 1.0, 100, 30, 4000
    offsets = np.linspace(0.02, 0.5, 25)
    rng = np.random.default_rng(5)
    p = special.ndtr(-offsets / sigma)
    positive = (rng.binomial(n, p, (repetitions, records, len(offsets))) >= 64).any(axis=1)
    furthest = np.max(np.where(positive, offsets, 0), axis=1)
    exact = expected_reach(sigma=sigma, n=n, alpha=0.01, offsets=offsets, records=records)
    assert_mean(furthest, exact)
    assert expected_reach(sigma=sigma, n=n, alpha=0.01, offsets=offsets[::-1], records=records) == exact


def test_expected_reach_grows_with_the_records_and_vanishes_with_the_samples():
    reach = partial(expected_reach, sigma=1.0, alpha=0.01, offsets=np.linspace(0.0005, 1, 2000))
    by_records = [reach(n=100, records=records) for records in (1, 10, 100, 10_000)]
    assert by_records == sorted(by_records)
    assert by_records[-1] > 2 * by_records[0]
    by_samples = [reach(n=n, records=100) for n in (100, 1000, 10_000, 100_000)]
    assert by_samples == sorted(by_samples, reverse=True)
    assert by_samples[-1] == pytest.approx(0, abs=0.02)
    assert reach(n=7, records=100) == 0  # PREDICT never answers


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("sigma", partial(class_one_probability, 0.1, sigma=0)),
        ("n", partial(vote_law, 0.5, n=0)),
        ("n", partial(predict_law, 0.5, n=2.5, alpha=0.01)),
        ("alpha", partial(predict_law, 0.5, n=10, alpha=1)),
        ("quantile", partial(threshold_rates, sigma=1, n=10, alpha=0.01, quantile=90)),
        ("n", partial(threshold_rates, sigma=1, n=0, alpha=0.01)),
        ("sigma", partial(threshold_rates, sigma=float("nan"), n=10, alpha=0.01)),
        ("n", partial(mean_radius, 0.5, sigma=1, n0=0, n=10, alpha=0.01)),
        ("records", partial(expected_reach, sigma=1, n=10, alpha=0.01, offsets=[0.1], records=0)),
    ],
)
def test_bad_input_is_refused_in_one_line(argument, call):
    with pytest.raises(InputError, match=f"^{argument}: got ") as error:
        call()
    assert len(str(error.value).splitlines()) == 1
