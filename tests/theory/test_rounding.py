"""A printed radius is never longer than the one that was proved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from rp_tutorial.theory.rounding import rounded_down


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
