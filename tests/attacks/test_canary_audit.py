"""The canary audit: its test is right, honest training stays below its epsilon, and too little noise is caught."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.attacks.canary_audit import audit_with_canaries, epsilon_lower_bound, guess_p_value
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.core.threads import one_thread
from rp_tutorial.training.dp_sgd import PrivacyRecord
from rp_tutorial.training.privacy_accounting import spent_epsilon

DELTA = 1e-5


@pytest.fixture(autouse=True)
def short_products_on_one_thread():
    with one_thread():
        yield


def record(noise: float, *, steps: int = 20, sample_rate: float = 0.5) -> PrivacyRecord:
    spent = spent_epsilon(noise, delta=DELTA, sample_rate=sample_rate, steps=steps)
    return PrivacyRecord(spent, DELTA, noise, 1.0, steps, sample_rate)


def audited(claim: PrivacyRecord, **settings):
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(200, 8, generator=generator), torch.arange(200) % 4
    with global_stream(Purpose.INITIAL_WEIGHTS, 0):
        net = nn.Linear(8, 4)
    return audit_with_canaries(net, x, y, claim, physical_batch=1000, **{"canaries": 400} | settings)


def test_without_delta_the_test_is_that_of_randomized_response():
    for epsilon in (0.0, 1.0, 3.0):
        right = np.exp(epsilon) / (1 + np.exp(epsilon))
        exact = stats.binom.sf(49, 60, right)
        assert guess_p_value(100, 60, 50, epsilon=epsilon, delta=0.0) == pytest.approx(exact)


def test_the_bound_exceeds_the_epsilon_of_randomized_response_no_more_often_than_stated():
    """Randomized response is the mechanism for which the test is exact. 2,000 runs of 100 guesses, error 5 %."""
    epsilon, guesses = 1.5, 100
    right = np.exp(epsilon) / (1 + np.exp(epsilon))
    correct = np.random.default_rng(0).binomial(guesses, right, size=2000)
    bounds = {int(v): epsilon_lower_bound(guesses, guesses, int(v), delta=0.0) for v in np.unique(correct)}
    failures = sum(bounds[int(v)] > epsilon for v in correct)
    assert stats.binomtest(failures, 2000, 0.05, alternative="greater").pvalue > 1e-4
    assert np.mean([bounds[int(v)] for v in correct]) > 0.9  # and it is not empty


def test_delta_and_more_canaries_can_only_lower_the_bound():
    plain = epsilon_lower_bound(100, 100, 95, delta=0.0)
    assert epsilon_lower_bound(100, 100, 95, delta=1e-3) < plain
    assert epsilon_lower_bound(1000, 100, 95, delta=1e-3) < epsilon_lower_bound(100, 100, 95, delta=1e-3)


def test_guesses_like_coin_throws_prove_nothing():
    assert epsilon_lower_bound(100, 100, 52, delta=0.0) == 0.0
    assert epsilon_lower_bound(100, 0, 0, delta=0.0) == 0.0


@pytest.mark.parametrize(("noise", "proved"), [(1.5, 0.5), (8.0, 0.0)])
def test_an_honest_run_stays_below_its_epsilon_and_with_little_noise_is_found_out_in_part(noise, proved):
    """By the theorem a bound above the claim has probability .01 at most."""
    audit = audited(record(noise), confidence=0.99)
    assert proved <= audit.lower_bound < audit.claimed
    assert audit.guesses == 40


def test_a_run_with_a_tenth_of_its_recorded_noise_is_refuted():
    claim = record(10.0)
    cheating = dataclasses.replace(claim, noise_multiplier=1.0)
    audit = audited(cheating)
    assert audit.claimed == claim.epsilon
    assert audit.lower_bound > audit.claimed


def test_scores_count_the_appearances_of_a_canary():
    """Almost without noise: a binomial number of steps for a canary that is in, nothing for one that is not."""
    quiet = dataclasses.replace(record(1.0, steps=30, sample_rate=0.2), noise_multiplier=1e-6)
    audit = audited(quiet, canaries=100)
    counts = audit.scores[audit.included]
    np.testing.assert_allclose(counts, counts.round(), atol=1e-2)
    np.testing.assert_allclose(audit.scores[~audit.included], 0, atol=1e-2)
    assert stats.binomtest(int(counts.round().sum()), 30 * len(counts), 0.2).pvalue > 1e-4
    assert stats.binomtest(int(audit.included.sum()), 100).pvalue > 1e-4


def test_the_same_seed_gives_the_same_audit():
    claim = record(3.0, steps=4)
    first, second = (audited(claim, canaries=40, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.scores, second.scores)


@pytest.mark.parametrize(
    "bad", [{"canaries": 0}, {"guessed": 0.0}, {"guessed": 2.0}, {"confidence": 1.0}, {"seed": -1}]
)
def test_bad_input_is_one_line_that_names_the_argument(bad):
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got "):
        audited(record(3.0, steps=2), **bad)
    with pytest.raises(InputError, match=r"^correct: got "):
        guess_p_value(10, 5, 6, epsilon=1.0, delta=0.0)
