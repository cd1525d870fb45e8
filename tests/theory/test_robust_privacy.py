"""The guarantee as an object: what it bounds, what it says in words, and the profile that its radius is a point of.

And printed radii, which are never longer than what was proved.
"""

import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.theory.guarantees import deployable_radius
from rp_tutorial.theory.robust_privacy import RobustPrivacy, rounded_down

VOTE = partial(RobustPrivacy.of_vote, 0.95, sigma=5.0, n_vote=1000, alpha=0.01, beta=0.02)


def test_the_guarantee_says_who_draws_what_and_what_is_bounded():
    assert RobustPrivacy(0.5, 0.01).advantage_bound == 0.005
    deployed = VOTE(unit="kg/m^2")
    assert deployed.radius == deployable_radius(0.95, sigma=5.0, n_vote=1000, beta=0.02)
    assert deployed.tv_bound == pytest.approx(0.03)
    assert deployed.advantage_bound == pytest.approx(0.015)
    for word in ("VOTE(1000)", "kg/m^2", "L2", "operator draws", "fresh noise"):
        assert word in deployed.statement()
    assert "std (BMI alone)" in VOTE(norm="BMI alone").statement()
    predict = RobustPrivacy.of_predict(0.95, sigma=5, n_vote=1000, alpha=0.01, beta=0.02, test_alpha=0.05)
    assert predict.radius < deployed.radius
    assert "ABSTAIN" in predict.statement()


def test_given_the_certificate_there_is_confidence_and_the_mean_is_over_certificates():
    said = VOTE().statement()
    assert said.startswith("With confidence 0.99 in the certificate, whoever sees")
    assert "with advantage at most 0.01. On average over certificates, at most 0.015. Randomness" in said
    exact = RobustPrivacy(1.99999, 0.0, beta=0.00246801).statement()
    assert exact.startswith("Whoever sees")
    assert "within 1.999 std (L2) with advantage at most 0.001235. Randomness" in exact
    assert "0.9899 in" in RobustPrivacy(1.0, 0.01001).statement(), "a confidence is rounded down"


def test_a_calibrated_bound_replaces_the_sum_where_it_is_less():
    assert VOTE(calibrated_tv=0.002).advantage_bound == 0.001
    assert VOTE(calibrated_tv=0.5).tv_bound == pytest.approx(0.03)


def test_the_radius_is_the_point_of_the_profile_at_beta():
    kept = VOTE()
    distances = np.linspace(0, 3 * kept.radius, 40)
    assert np.all(np.diff(kept.profile(distances)) >= 0)
    assert kept.profile(kept.radius) == pytest.approx(kept.beta, rel=1e-9)
    assert kept.profile(2 * kept.radius) > kept.beta
    assert VOTE(num_classes=2).profile(kept.radius) <= kept.beta
    assert RobustPrivacy(1.0, 0.1).profile is None


@pytest.mark.parametrize(
    ("argument", "values"),
    [("radius", (-1.0, math.nan, True)), ("alpha", (-0.1, 1.1, math.nan)), ("beta", (-0.1, math.nan)),
     ("calibrated_tv", (-0.1, 1.1, math.nan))],
)  # fmt: skip
def test_what_is_no_guarantee_is_refused_in_one_line(argument, values):
    for bad in values:
        with pytest.raises(InputError, match=f"^{argument}: got [^\n]*$"):
            RobustPrivacy(**{"radius": 1.0, "alpha": 0.1, argument: bad})


@pytest.mark.parametrize("digits", [0, 1, 2, 3, 6])
def test_a_printed_radius_is_never_longer_and_less_than_a_digit_shorter(digits: int) -> None:
    radii = np.random.default_rng(0).exponential(size=5000) * 10.0 ** np.random.default_rng(1).integers(-6, 6, 5000)
    radii = np.append(radii, np.round(radii, digits))
    found = rounded_down(radii, digits)
    assert (found <= radii).all()
    assert (radii - found < 10.0**-digits).all()
    assert [float(f"{value:.{digits}f}") for value in found] == found.tolist()  # so printing rounds nothing up


def test_what_has_few_digits_already_stays_as_it_is() -> None:
    radii = np.arange(1000) / 100
    assert rounded_down(radii).tolist() == radii.tolist()


def test_numbers_series_and_arrays_of_any_shape_are_taken() -> None:
    assert (rounded_down(0.999), type(rounded_down(np.float32(0.999)))) == (0.99, float)
    assert rounded_down(pd.Series([0.999, 0.0])).tolist() == [0.99, 0.0]
    assert rounded_down(np.full((2, 3), 0.999), 1).shape == (2, 3)
    assert rounded_down([]).shape == (0,)
    assert rounded_down(np.inf) == np.inf
    assert np.isnan(rounded_down(np.nan))
    assert rounded_down(1.7976931348623157e308) == 1.7976931348623157e308
    assert rounded_down(5e-324) == 0.0
