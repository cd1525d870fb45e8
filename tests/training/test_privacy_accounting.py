"""Privacy accounting: two accountants agree, closed forms come out, GDP is below them, and noise meets its target."""

import sys

import numpy as np
import pytest
from scipy import optimize, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.training.privacy_accounting import calibrated_noise, spent_epsilon

BOOK = {"delta": 1e-5, "sample_rate": 256 / 12_000, "steps": 600}


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Epsilon at delta of a Gaussian mechanism of sensitivity mu and unit noise: Balle and Wang 2018, Theorem 8."""

    def excess(epsilon: float) -> float:
        shift = epsilon / mu
        return stats.norm.cdf(mu / 2 - shift) - np.exp(epsilon) * stats.norm.cdf(-mu / 2 - shift) - delta

    return optimize.brentq(excess, 0, 200)


@pytest.mark.parametrize(
    ("noise", "sample_rate", "steps"), [(0.69, 256 / 12_000, 600), (6.5, 1 / 6, 102), (1.28, 1 / 6, 102)]
)
def test_two_accountants_agree_within_two_per_cent(noise, sample_rate, steps):
    prv, pld = (
        spent_epsilon(noise, delta=1e-5, sample_rate=sample_rate, steps=steps, accountant=name)
        for name in ("prv", "pld")
    )
    assert prv == pytest.approx(pld, rel=0.02)


@pytest.mark.parametrize("accountant", ["prv", "pld"])
def test_without_sampling_the_steps_are_one_gaussian_mechanism(accountant):
    steps, noise = 100, 20.0
    exact = gaussian_epsilon(np.sqrt(steps) / noise, 1e-5)
    spent = spent_epsilon(noise, delta=1e-5, sample_rate=1, steps=steps, accountant=accountant)
    assert exact * (1 - 1e-6) <= spent <= exact * 1.015


def test_rdp_is_looser_and_gdp_underestimates():
    spent = {name: spent_epsilon(0.689, accountant=name, **BOOK) for name in ("gdp", "prv", "pld", "rdp")}
    assert spent["gdp"] < 0.9 * spent["pld"]
    assert spent["rdp"] > 1.05 * spent["prv"]


UNSAMPLED = {"delta": 1e-5, "sample_rate": 1, "steps": 10}


@pytest.mark.parametrize(
    ("epsilon", "run"),
    [
        (0.5, BOOK),
        (8.0, BOOK),
        (30.0, BOOK),
        (8.0, UNSAMPLED),
    ],  # the last: RDP needs twice the noise, PRV less than one
)
def test_calibrated_noise_spends_its_target_and_no_more(epsilon, run):
    noise = calibrated_noise(epsilon, **run)
    assert 0.995 * epsilon <= spent_epsilon(noise, **run) <= epsilon


def test_accountants_are_silent(recwarn):
    for accountant in ("prv", "pld", "rdp", "gdp"):
        spent_epsilon(2.0, accountant=accountant, **UNSAMPLED)
    assert not recwarn.list


def test_more_noise_fewer_steps_or_a_lower_rate_spend_less():
    spent = spent_epsilon(1.0, **BOOK)
    for change in ({"noise_multiplier": 1.2}, {"steps": 300}, {"sample_rate": 0.01}, {"delta": 1e-4}):
        assert spent_epsilon(**{"noise_multiplier": 1.0, **BOOK, **change}) < spent


@pytest.mark.parametrize(
    "bad",
    [
        {"noise_multiplier": 0}, {"noise_multiplier": 0.01}, {"delta": 0}, {"delta": 1}, {"sample_rate": 0},
        {"sample_rate": 1.5}, {"steps": 0}, {"accountant": "moments"},
    ],
)  # fmt: skip
def test_bad_input_is_one_line_that_names_the_argument(bad):
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got ") as caught:
        spent_epsilon(**{"noise_multiplier": 1.0, **BOOK, **bad})
    assert "\n" not in str(caught.value)


def test_an_epsilon_out_of_reach_is_refused():
    with pytest.raises(InputError, match=r"^epsilon: got "):
        calibrated_noise(1e5, **BOOK)
    with pytest.raises(InputError, match=r"^epsilon: got "):
        calibrated_noise(-1.0, **BOOK)


def test_without_the_extra_the_error_says_how_to_get_it(monkeypatch):
    for package, accountant in (("opacus.accountants", "prv"), ("dp_accounting", "pld")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=r"^dp: got an environment without .*\[dp\]"):
            spent_epsilon(1.0, accountant=accountant, **BOOK)
