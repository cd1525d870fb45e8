"""What holds of many people: certificates that are drawn, counted, and tried again."""

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import lower_confidence_bound, min_certify_votes
from rp_tutorial.theory.guarantees import deployable_radius, halfspace_advantage
from rp_tutorial.theory.population import retried_alpha, wrong_promises, wrong_share


def test_the_wrong_promises_of_a_population_stay_below_their_bound():
    """A year of populations: everybody's certificate from the exact law of the count, and p_A of every kind."""
    rng, n, alpha, people, populations = np.random.default_rng(0), 100, 0.02, 400, 300
    p_a = rng.beta(2, 1, people)
    p_low = lower_confidence_bound(np.arange(n + 1), n, alpha=alpha)
    counts = rng.binomial(n, p_a, (populations, people))
    wrong, certified = p_low[counts] > p_a, p_low[counts] > 0.5
    most = wrong_promises(people, alpha=alpha, confidence=0.95)
    exceeded = int((wrong.sum(axis=1) > most).sum())
    assert exceeded <= stats.binom.isf(1e-6, populations, 0.05)
    # In expectation, exactly: those who are certified and wrongly so, over those certified.
    law = stats.binom.pmf(np.arange(n + 1), n, p_a[:, None])
    share = (law @ (p_low > 0.5)).mean()
    wrongly = (law * ((p_low > 0.5) & (p_low > p_a[:, None]))).sum(axis=1).mean()
    assert 0 < wrongly / share <= wrong_share(share, alpha=alpha)
    assert abs(certified.mean() - share) < 0.01


def test_the_bound_on_the_wrong_is_that_of_coins_of_alpha():
    for people, alpha in ((1, 0.01), (50, 0.02), (10_000, 0.001)):
        most = wrong_promises(people, alpha=alpha, confidence=0.99)
        assert stats.binom.cdf(most, people, alpha) >= 0.99
        assert most == 0 or stats.binom.cdf(most - 1, people, alpha) < 0.99


def test_given_that_a_certificate_reached_its_count_nothing_like_the_promise_holds():
    """The planner's own example: promised is an advantage of .02 on the mean; certified people near the boundary: .25.

    sigma 1.94, 68 of 69 samples, 55 votes, a radius of 2; x lies 2.0 kg/m^2 from a flat boundary.
    """
    sigma, n, needed, n_vote = 1.94, 69, 68, 55
    p_low = lower_confidence_bound(needed, n, alpha=0.02)
    assert deployable_radius(p_low, sigma=sigma, n_vote=n_vote, beta=0.02) >= 2.0
    p_a = stats.norm.cdf(2.0 / sigma)
    reached = stats.binom.sf(needed - 1, n, p_a)
    given = float(halfspace_advantage(p_a, 2.0, sigma=sigma, n_vote=n_vote))
    assert given == pytest.approx(0.25, abs=0.001)
    assert reached * given <= 0.02


def test_trying_again_until_it_succeeds_breaks_alpha_as_computed():
    """At p_A = 1/2 every certificate is wrong: of 1000 samples .009 a try, .043 after five, .163 after twenty."""
    n, alpha = 1000, 0.01
    once = stats.binom.sf(min_certify_votes(n, alpha=alpha) - 1, n, 0.5)
    assert [round(retried_alpha(once, tries), 3) for tries in (1, 5, 20)] == pytest.approx(
        [0.009, 0.043, 0.163], abs=1e-3
    )
    tried = np.random.default_rng(1).binomial(n, 0.5, (20_000, 5)) >= min_certify_votes(n, alpha=alpha)
    broken = int(tried.any(axis=1).sum())
    assert stats.binom.isf(1 - 1e-6, 20_000, retried_alpha(once, 5)) <= broken
    assert broken <= stats.binom.isf(1e-6, 20_000, retried_alpha(alpha, 5))
    assert retried_alpha(1e-12, 10) == pytest.approx(1e-11, rel=1e-9)


def test_what_is_not_allowed_is_refused_in_one_line():
    for call in (
        lambda: wrong_promises(0, alpha=0.1, confidence=0.9),
        lambda: wrong_promises(5, alpha=0.0, confidence=0.9),
        lambda: wrong_promises(5, alpha=0.1, confidence=1.0),
        lambda: wrong_share(0.0, alpha=0.1),
        lambda: wrong_share(1.5, alpha=0.1),
        lambda: retried_alpha(0.1, 0),
    ):
        with pytest.raises(InputError, match="allowed is"):
            call()
    assert wrong_share(0.01, alpha=0.5) == 1.0
