"""The bounds against exact laws: every number of the book's price list and table, and the theorem on half-spaces."""

import math
import subprocess
import sys
from functools import partial
from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.smoothing import plurality, significant_plurality
from rp_tutorial.statistics.binomial import (
    certified_radius,
    lower_confidence_bound,
    max_certifiable_radius,
    min_certify_votes,
    min_predict_votes,
)
from rp_tutorial.theory.guarantees import (
    advantage_from_tv,
    composition_tv,
    deployable_radius,
    deployable_radius_predict,
    halfspace_advantage,
    halfspace_laws,
    halfspace_tv,
    hockey_stick,
    noise_tv,
    pixeldp_radius,
    predict_quantile,
    repeated_tv,
    total_variation,
    tv_of_dp,
    vote_quantile,
)

ERRORS = st.floats(1e-6, 0.5)


# --- Numbers of the book ---


@pytest.mark.parametrize(
    ("n", "vote", "predict"), [(10, 1.035, 3.089), (100, 0.304, 0.644), (1000, 0.093, 0.197), (10_000, 0.029, 0.062)]
)
def test_the_price_of_deploying_is_what_the_book_prints(n, vote, predict):
    assert round(vote_quantile(n, 0.01), 3) == vote
    assert round(predict_quantile(n, 0.01, alpha=0.01), 3) == predict


def test_votes_needed_and_largest_radii_are_what_the_book_prints():
    assert [min_predict_votes(n, alpha=0.01) for n in (1000, 100, 10, 7, 1)] == [542, 64, 10, None, None]
    assert [min_certify_votes(n, alpha=0.01) for n in (1000, 100)] == [538, 63]
    assert [round(max_certifiable_radius(n, alpha=0.01, sigma=1), 3) for n in (10, 100, 1000)] == [0.334, 1.695, 2.605]


def test_ten_votes_certified_by_their_own_ten_samples_have_no_deployable_radius():
    p_low = lower_confidence_bound(10, 10, alpha=0.01)
    assert certified_radius(p_low, sigma=1) > 0.33
    assert deployable_radius(p_low, sigma=1, n_vote=10, beta=0.01) == 0
    assert deployable_radius_predict(p_low, sigma=1, n_vote=10, beta=0.01, alpha=0.01) == 0


# --- The theorem ---


@settings(deadline=None)
@given(n_vote=st.integers(1, 3000), beta=ERRORS)
def test_the_vote_quantile_solves_its_equation_and_is_rounded_outward(n_vote, beta):
    q = special.ndtr(vote_quantile(n_vote, beta))
    assert stats.binom.cdf(n_vote // 2, n_vote, q) == pytest.approx(beta, rel=1e-6)
    above = special.ndtr(vote_quantile(n_vote, beta) + 1e-10)
    assert stats.binom.cdf(n_vote // 2, n_vote, above) <= beta * (1 + 1e-13)


@settings(deadline=None)
@given(n_vote=st.integers(1, 1000), beta=ERRORS, alpha=st.floats(1e-4, 0.3))
def test_the_predict_quantile_solves_its_equation(n_vote, beta, alpha):
    quantile, needed = predict_quantile(n_vote, beta, alpha=alpha), min_predict_votes(n_vote, alpha=alpha)
    if needed is None:
        assert quantile == math.inf
    else:
        assert stats.binom.cdf(needed - 1, n_vote, special.ndtr(quantile)) == pytest.approx(beta, rel=1e-6)
        assert quantile >= vote_quantile(n_vote, beta)


@settings(deadline=None)
@given(
    p=st.floats(0.5, 1 - 1e-9),
    n_vote=st.integers(1, 2000),
    beta=ERRORS,
    sigma=st.floats(0.01, 50),
    alpha=st.floats(1e-3, 0.2),
    share=st.floats(0, 1),
    rule=st.sampled_from(["vote", "predict"]),
)
def test_within_the_deployable_radius_two_releases_differ_by_at_most_beta(p, n_vote, beta, sigma, alpha, share, rule):
    """The theorem with a certificate that holds with equality, ties against A, at every point of the way."""
    test = {"alpha": alpha} if rule == "predict" else {}
    radius_of = deployable_radius_predict if rule == "predict" else deployable_radius
    radius = radius_of(p, sigma=sigma, n_vote=n_vote, beta=beta, **test)
    if radius > 0:
        laws = halfspace_laws(p, share * radius, sigma=sigma, n_vote=n_vote, rule=rule, **test)
        assert all(law[-1] >= 1 - beta - 1e-12 for law in laws)
        assert total_variation(*laws) <= beta + 1e-12


def test_the_deployable_radius_cannot_be_larger():
    """At its end A is released with probability exactly 1 - beta; a hundredth further, less."""
    for n_vote, beta in ((10, 0.01), (101, 0.2), (1000, 0.001)):
        radius = deployable_radius(0.999, sigma=2.0, n_vote=n_vote, beta=beta)
        _, end = halfspace_laws(0.999, radius, sigma=2.0, n_vote=n_vote)
        _, beyond = halfspace_laws(0.999, radius * 1.01, sigma=2.0, n_vote=n_vote)
        assert end[1] == pytest.approx(1 - beta, rel=1e-9)
        assert beyond[1] < 1 - beta


def test_with_the_certificates_failures_the_mean_advantage_stays_below_half_of_alpha_plus_beta():
    for p_a, n_cert, n_vote, alpha, beta in ((0.9, 300, 101, 0.05, 0.02), (0.6, 1000, 1000, 0.2, 0.1)):
        counts = np.arange(n_cert + 1)
        p_low = lower_confidence_bound(counts, n_cert, alpha=alpha)
        radius = deployable_radius(p_low, sigma=1, n_vote=n_vote, beta=beta)
        mean = stats.binom.pmf(counts, n_cert, p_a) @ halfspace_advantage(p_a, radius, sigma=1, n_vote=n_vote)
        assert 0 < mean <= (alpha + beta) / 2


def test_votes_lost_to_more_than_one_rival_do_not_hurt():
    """A class with more than half the votes wins, and one with k of n is significant, however the rest is shared."""
    n, needed = 60, min_predict_votes(60, alpha=0.01)
    rng = np.random.default_rng(0)
    for own, decide in ((n // 2 + 1, plurality), (needed, partial(significant_plurality, alpha=0.01))):
        rest = rng.multinomial(n - own, [0.5, 0.3, 0.2], size=500)
        counts = torch.as_tensor(np.column_stack([rest, np.full(500, own)]))
        assert (decide(counts) == 3).all()
    tie = torch.tensor([[n // 2, n // 2]])
    assert plurality(tie).item() == 0
    assert significant_plurality(tie, alpha=0.01).item() == ABSTAIN


def test_deployable_radius_takes_arrays_and_the_ends_of_the_range():
    p_low = np.array([[0.0, 0.5], [0.9, 1.0]])
    radius = deployable_radius(p_low, sigma=2.0, n_vote=100, beta=0.01)
    assert radius.shape == p_low.shape
    assert radius[0].tolist() == [0, 0]
    assert radius[1, 0] == pytest.approx(2 * (special.ndtri(0.9) - vote_quantile(100, 0.01)))
    assert radius[1, 1] == math.inf
    assert deployable_radius_predict(p_low, sigma=1, n_vote=7, beta=0.01, alpha=0.01).tolist() == [[0, 0], [0, 0]]
    assert isinstance(deployable_radius(0.9, sigma=1, n_vote=100, beta=0.01), float)


# --- Advantage, total variation, repetition ---


def test_advantage_is_half_the_total_variation():
    law_a, law_b = [0.5, 0.5, 0.0], [0.1, 0.6, 0.3]
    tv = total_variation(law_a, law_b)
    assert tv == pytest.approx(0.4)
    best = max(sum(max(a * g, b * (1 - g)) for a, b, g in zip(law_a, law_b, guess, strict=True)) / 2
               for guess in product([0, 1], repeat=3))  # fmt: skip
    assert advantage_from_tv(tv) == pytest.approx(best - 0.5)


@pytest.mark.parametrize("releases", [1, 2, 5])
def test_repeated_tv_is_that_of_the_product_law(releases):
    law_a, law_b = np.array([0.2, 0.3, 0.5]), np.array([0.0, 0.35, 0.65])
    products = [[math.prod(law[list(word)]) for word in product(range(3), repeat=releases)] for law in (law_a, law_b)]
    assert repeated_tv(law_a, law_b, releases) == pytest.approx(np.abs(np.subtract(*products)).sum() / 2, rel=1e-12)


def test_repeated_tv_takes_arrays_and_tends_to_one():
    laws = halfspace_laws(0.9, np.array([0.0, 0.2, 0.8]), sigma=1, n_vote=11)
    grown = [repeated_tv(*laws, m) for m in (1, 10, 100, 10_000)]
    assert np.allclose(grown[0], total_variation(*laws), atol=1e-14)
    assert grown[-1][0] == 0
    assert all(np.all(few <= many + 1e-12) for few, many in pairwise(grown))
    assert grown[-1][1:].min() > 0.99


@settings(deadline=None, max_examples=60)
@given(
    p=st.floats(0.6, 0.9999),
    n_vote=st.integers(5, 400),
    beta=st.floats(1e-4, 0.2),
    releases=st.integers(1, 30),
    rule=st.sampled_from(["vote", "predict"]),
)
def test_many_releases_stay_within_the_composition_bound(p, n_vote, beta, releases, rule):
    test = {"alpha": 0.05} if rule == "predict" else {}
    radius_of = deployable_radius_predict if rule == "predict" else deployable_radius
    radius = radius_of(p, sigma=1, n_vote=n_vote, beta=beta, **test)
    tv = halfspace_tv(p, radius, sigma=1, n_vote=n_vote, rule=rule, releases=releases, **test)
    assert tv <= composition_tv(0, beta, releases) + 1e-11
    assert composition_tv(0.01, beta, releases) <= 0.01 + releases * beta + 1e-15


def test_composition_counts_the_certificate_once():
    assert composition_tv(0.01, 0.01, 1) == pytest.approx(0.02)
    assert composition_tv(0.01, 0.01, 100) == pytest.approx(0.01 + 1 - 0.99**100)
    assert composition_tv(0.3, 0.5, 10_000) == 1
    assert composition_tv(0.01, 0.0, 10**6) == pytest.approx(0.01)
    assert composition_tv(0.0, 1.0, 1) == 1
    assert composition_tv(0.0, 1e-12, 10) == pytest.approx(1e-11, rel=1e-9)


# --- Differential privacy, PixelDP ---


def test_total_variation_is_the_delta_of_zero_epsilon():
    law_a, law_b = [0.7, 0.2, 0.1], [0.4, 0.4, 0.2]
    assert hockey_stick(law_a, law_b, epsilon=0) == pytest.approx(total_variation(law_a, law_b))
    worst = max(
        sum(p[i] for i in event) - math.exp(0.3) * sum(q[i] for i in event)
        for p, q in ((law_a, law_b), (law_b, law_a))
        for event in ([], [0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2])
    )
    assert hockey_stick(law_a, law_b, epsilon=0.3) == pytest.approx(worst)


def test_randomised_response_attains_the_tv_of_its_epsilon():
    for epsilon in (0.0, 0.1, 2.0):
        keep = math.exp(epsilon) / (math.exp(epsilon) + 1)
        assert tv_of_dp(epsilon) == pytest.approx(total_variation([keep, 1 - keep], [1 - keep, keep]), abs=1e-15)
    assert tv_of_dp(0, 0.3) == pytest.approx(0.3)
    assert tv_of_dp(1e4, 0.0) == 1
    law_a, law_b = [0.7, 0.2, 0.1], [0.4, 0.4, 0.2]
    for epsilon in (0.0, 0.2, 0.5):
        assert total_variation(law_a, law_b) <= tv_of_dp(epsilon, hockey_stick(law_a, law_b, epsilon=epsilon)) + 1e-12


def test_noise_alone_bounds_every_release_of_a_half_space():
    shift = np.linspace(0, 2, 21)
    for n_vote in (1, 10, 100):
        for rule in ({"rule": "vote"}, {"rule": "predict", "alpha": 0.05}):
            exact = halfspace_tv(0.8, shift, sigma=0.7, n_vote=n_vote, **rule)
            assert np.all(exact <= noise_tv(shift, sigma=0.7, n_vote=n_vote) + 1e-12)
    assert noise_tv(1.0, sigma=1, n_vote=1) == pytest.approx(2 * special.ndtr(0.5) - 1)
    symmetric = halfspace_tv(special.ndtr(0.5), 1.0, sigma=1, n_vote=1)
    assert symmetric == pytest.approx(noise_tv(1.0, sigma=1, n_vote=1)), "attained by one vote, boundary in the middle"


def test_pixeldp_certifies_less_than_cohen_for_the_same_votes():
    p_low = np.array([0.3, 0.5, 0.6, 0.9, 0.99, 0.9999])
    radius, cohen = pixeldp_radius(p_low, sigma=2.0), certified_radius(p_low, sigma=2.0)
    assert radius[:2].tolist() == [0, 0]
    assert np.all(radius[2:] < cohen[2:] / 2)
    assert np.all(np.diff(radius[1:]) > 0)
    for p, r in zip(p_low[2:], radius[2:], strict=True):  # the condition itself, on a finer grid of b and of delta
        b = np.linspace(1e-4, 1, 2000)
        delta = (p - np.exp(2 * b) * (1 - p)) / (1 + np.exp(b))
        good = delta > 0
        best = (2.0 * b[good] / np.sqrt(2 * np.log(1.25 / delta[good]))).max()
        assert r == pytest.approx(best, rel=1e-3)
        assert r <= best * (1 + 1e-6)


# --- Bad input ---

VOTE, PREDICT = partial(deployable_radius, 0.9), partial(deployable_radius_predict, 0.9)
GOOD = {"sigma": 1.0, "n_vote": 10, "beta": 0.01}
LAWS = partial(halfspace_laws, 0.9, 0.1)
BAD = {
    "p_low": [
        partial(function, bad, **extra)
        for bad in (-0.1, 1.1, math.nan, "high", None, [0.5, math.nan], True)
        for function, extra in (
            (deployable_radius, GOOD),
            (deployable_radius_predict, {**GOOD, "alpha": 0.01}),
            (pixeldp_radius, {"sigma": 1}),
        )
    ],
    "sigma": [partial(VOTE, **{**GOOD, "sigma": bad}) for bad in (0, -1, math.nan, math.inf, None)]
    + [partial(LAWS, sigma=0, n_vote=5), partial(noise_tv, 1.0, sigma=math.nan, n_vote=1)],
    "n_vote": [partial(VOTE, **{**GOOD, "n_vote": bad}) for bad in (0, -5, 2.0, True, math.nan)]
    + [
        partial(vote_quantile, 0, 0.1),
        partial(predict_quantile, 1.5, 0.1, alpha=0.1),
        partial(LAWS, sigma=1, n_vote=0),
    ],
    "beta": [partial(VOTE, **{**GOOD, "beta": bad}) for bad in (0, 1, -0.1, math.nan, None)]
    + [partial(vote_quantile, 10, math.nan), partial(predict_quantile, 10, 0, alpha=0.1)]
    + [partial(composition_tv, 0.1, 1.1, 1)],
    "alpha": [partial(PREDICT, **GOOD, alpha=bad) for bad in (0, 1, math.nan, None)]
    + [partial(predict_quantile, 10, 0.1, alpha=2), partial(LAWS, sigma=1, n_vote=5, rule="predict")]
    + [partial(composition_tv, bad, 0.1, 1) for bad in (math.nan, -1)],
    "releases": [partial(composition_tv, 0.1, 0.1, bad) for bad in (0, 1.5)]
    + [partial(repeated_tv, [0.5, 0.5], [0.4, 0.6], 0), partial(repeated_tv, [1, 0, 0], [0, 1, 0], 3000)],
    "tv": [partial(advantage_from_tv, bad) for bad in (-0.1, 1.1, math.nan)],
    "law_a": [partial(total_variation, bad, [0.5, 0.5]) for bad in ([0.5, 0.6], [-0.1, 1.1], [math.nan, 1], 1.0)],
    "law_b": [partial(hockey_stick, [0.5, 0.5], [1, 1], epsilon=0)],
    "epsilon": [partial(tv_of_dp, -1), partial(hockey_stick, [1, 0], [1, 0], epsilon=math.nan)],
    "delta": [partial(tv_of_dp, 1, bad) for bad in (-0.1, 1.1, math.nan)],
    "p_a": [partial(halfspace_tv, bad, 0.1, sigma=1, n_vote=5) for bad in (-0.1, 1.2, math.nan)],
    "shift": [partial(halfspace_tv, 0.9, math.nan, sigma=1, n_vote=5), partial(noise_tv, math.inf, sigma=1, n_vote=1)],
    "rule": [partial(LAWS, sigma=1, n_vote=5, rule="certify")],
    "tie": [partial(LAWS, sigma=1, n_vote=5, tie="coin")],
}


@pytest.mark.parametrize("argument", BAD)
def test_bad_input_is_refused_in_one_line(argument):
    for call in BAD[argument]:
        with pytest.raises(InputError, match=f"^{argument}: got ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1


def test_no_torch_behind_the_bounds():
    """They import NumPy and SciPy only, so that they can be read and run without a deep-learning stack."""
    code = "import sys, rp_tutorial.theory.guarantees, rp_tutorial.theory.planner; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
