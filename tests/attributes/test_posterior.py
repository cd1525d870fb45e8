"""The posterior agrees with its closed forms, and its widths with those of known densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from rp_tutorial.attributes.posterior import Posterior, posterior
from rp_tutorial.attributes.sets import IntervalSet
from rp_tutorial.core.arguments import InputError
from rp_tutorial.theory import halfspace

BMI = "kg/m^2"
DOMAIN = IntervalSet.of((12.0, 50.4), unit=BMI)
PRIOR = stats.norm(27, 5)


def quantiles(edges: np.ndarray, mass: np.ndarray, levels: list[float]) -> np.ndarray:
    return np.interp(levels, np.cumsum([0.0, *mass]), edges)


def test_a_release_that_is_a_function_cuts_the_prior():
    """A normal above 33.4: entropy, shortest 95 % and quantiles of SciPy's truncated normal."""
    sets = IntervalSet(np.array([[33.4], [12.0], [20.0]]), np.array([[np.inf], [33.4], [21.0]]), BMI)
    found = posterior(PRIOR, sets, domain=DOMAIN)
    np.testing.assert_allclose(found.mass.sum(axis=-1), 1)
    for i, (low, high) in enumerate([(33.4, 50.4), (12.0, 33.4), (20.0, 21.0)]):
        exact = stats.truncnorm((low - 27) / 5, (high - 27) / 5, loc=27, scale=5)
        assert found.entropy()[i] == pytest.approx(exact.entropy() / np.log(2), abs=1e-4)
        for mass in (0.5, 0.95):
            ends = quantiles(found.edges[i], found.mass[i], [(1 - mass) / 2, (1 + mass) / 2])
            np.testing.assert_allclose(ends, exact.ppf([(1 - mass) / 2, (1 + mass) / 2]), atol=1e-3)
    upper = stats.truncnorm(6.4 / 5, 23.4 / 5, loc=27, scale=5)
    assert found.credible_width()[0] == pytest.approx(upper.ppf(0.95) - 33.4, abs=1e-3)  # densest at its left end


def test_two_slivers_are_as_narrow_as_they_are_together():
    sets = IntervalSet.of((20, 20.5), (34, 34.5), unit=BMI)
    found = posterior(stats.uniform(12, 38.4), sets, domain=DOMAIN)
    assert found.credible_width() == pytest.approx(0.95)
    assert found.entropy() == pytest.approx(0, abs=1e-9)  # one kg/m^2 in all
    np.testing.assert_allclose(quantiles(found.edges, found.mass, [0.025, 0.975]), [20.025, 34.475])


def test_without_a_release_the_posterior_is_the_prior():
    found = posterior(PRIOR, DOMAIN, domain=DOMAIN)
    assert found.credible_width() == pytest.approx(2 * 1.96 * 5, abs=0.15)  # the domain cuts .1 % off
    assert 2 ** float(found.entropy()) == pytest.approx(5 * np.sqrt(2 * np.pi * np.e), abs=0.2)


def test_a_random_release_follows_bayes_rule():
    """VOTE(10) behind a threshold at 33.4: masses against quadrature."""

    def law(z):
        return halfspace.vote_law(halfspace.class_one_probability((z - 33.4) / 5, sigma=1.0), n=10)[..., 1]

    found = posterior(PRIOR, law, domain=DOMAIN)
    evidence = integrate.quad(lambda z: PRIOR.pdf(z) * law(z), 12, 50.4, points=[33.4], epsabs=1e-12)[0]
    below = integrate.quad(lambda z: PRIOR.pdf(z) * law(z), 12, 30, epsabs=1e-12)[0] / evidence
    cells_below = found.edges[1:] <= 30
    assert found.mass[cells_below].sum() == pytest.approx(below, abs=2e-3)
    coarse, fine = (posterior(PRIOR, law, domain=DOMAIN, cells=n) for n in (500, 4000))
    assert coarse.credible_width() == pytest.approx(float(fine.credible_width()), abs=2e-3)
    assert coarse.entropy() == pytest.approx(float(fine.entropy()), abs=1e-4)
    both = posterior(PRIOR, lambda z: np.stack([law(z), 1 - law(z)]), domain=DOMAIN)
    np.testing.assert_allclose(both.mass[0], found.mass)


def test_a_release_that_cannot_happen_has_no_posterior():
    sets = IntervalSet(np.array([[60.0], [20.0]]), np.array([[70.0], [30.0]]), BMI)
    found = posterior(PRIOR, sets, domain=DOMAIN)
    for measure in (found.entropy(), found.credible_width()):
        assert np.isnan(measure).tolist() == [True, False]


def test_the_shortest_set_takes_a_cell_in_part():
    found = Posterior(np.array([0.0, 1.0, 3.0]), np.array([0.6, 0.4]), "std")
    assert found.credible_width(0.3) == pytest.approx(0.5)
    assert found.credible_width(0.8) == pytest.approx(2.0)
    assert found.entropy() == pytest.approx(-0.6 * np.log2(0.6) - 0.4 * np.log2(0.2))


def test_bad_input_is_refused_in_one_line():
    line = IntervalSet.of((-np.inf, np.inf), unit=BMI)
    for argument, call in (
        ("domain", lambda: posterior(PRIOR, DOMAIN, domain=line)),
        ("unit", lambda: posterior(PRIOR, IntervalSet.of((0, 1), unit="std"), domain=DOMAIN)),
        ("cells", lambda: posterior(PRIOR, DOMAIN, domain=DOMAIN, cells=0)),
        ("release", lambda: posterior(PRIOR, lambda z: 2 + z, domain=DOMAIN)),
        ("mass", lambda: posterior(PRIOR, DOMAIN, domain=DOMAIN).credible_width(1.0)),
    ):
        with pytest.raises(InputError, match=rf"^{argument}: got "):
            call()
