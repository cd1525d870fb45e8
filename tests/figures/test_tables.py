"""What the sliders of the live charts compute in the page is what the package computes."""

from __future__ import annotations

import re

import numpy as np
import vl_convert
from sample_charts import CHARTS, plan_tables
from scipy import stats

from rp_tutorial.figures.palette import ABOVE
from rp_tutorial.statistics import binomial as statistics
from rp_tutorial.theory import guarantees as privacy
from rp_tutorial.theory.profile import vote_profile
from rp_tutorial.theory.robust_privacy import rounded_down


def test_the_live_radius_in_the_page_is_the_packages_radius() -> None:
    """Vega's quantileNormal and SciPy's give the same curve: evaluated in the page's own engine."""
    chart = CHARTS["live_certificate"]()
    vega = vl_convert.vegalite_to_vega(chart.to_json())
    assert {"p_A", "log10_N", "log10_alpha", "sigma"} <= {signal["name"] for signal in vega["signals"]}
    assert all("input" in signal["bind"] for signal in vega["signals"] if signal["name"] in ("p_A", "sigma"))
    expected = statistics.certified_radius(statistics.lower_confidence_bound(900, 1000, alpha=0.01), sigma=1.0)
    assert f"certified {rounded_down(expected, 3):.3f}, ideal 1.281" in vl_convert.vegalite_to_svg(chart.to_json())


def test_sigma_moves_the_curve_of_the_live_radius_and_not_the_axis() -> None:
    drawn = {}
    for sigma in (0.5, 2.0):
        spec = CHARTS["live_certificate"]().to_dict()
        next(param for param in spec["params"] if param["name"] == "sigma")["value"] = sigma
        svg = vl_convert.vegalite_to_svg(spec)
        curve = re.search(rf'd="([^"]+)"[^>]*stroke="{ABOVE}"', svg)
        assert curve is not None
        drawn[sigma] = np.array([pair.split(",")[1] for pair in re.findall(r"[\d.e-]+,[\d.e-]+", curve[1])], float)
    foot = drawn[0.5].max()
    np.testing.assert_allclose(4 * (foot - drawn[0.5]), foot - drawn[2.0], atol=0.1)  # pixels; four times as high


def test_the_live_profile_in_the_page_is_the_packages_profile() -> None:
    """At the sliders' first values, at the distance .5 of which the table has a row."""
    svg = vl_convert.vegalite_to_svg(CHARTS["live_profile"]().to_json())
    how = {"sigma": 1.0, "n_vote": 100, "num_classes": 2}
    assert f"everybody: {vote_profile(0.5, **how) / 2:.3f}" in svg
    assert f"certified: {vote_profile(0.5, **how, p_low=0.9) / 2:.3f}" in svg


def test_the_live_plan_in_the_page_is_the_packages_deployable_radius() -> None:
    """Lookup, quantiles and the share of people, evaluated in the page's own engine at the sliders' first values."""
    table, _ = plan_tables()
    at = table[(table["log10_n"] == 3) & (table["log10_advantage"] == -2)]
    radius = privacy.deployable_radius(at["low"].to_numpy(), sigma=3.0, n_vote=1000, beta=0.01)
    needed = 3.0 * at["u"].to_numpy()[radius >= 2.0].min()
    nearer = np.subtract(*stats.norm.cdf([33.4 + needed, 33.4 - needed], 27.0, 5.0))
    drawn = vl_convert.vegalite_to_svg(CHARTS["live_plan"]().to_json())
    for line in (f"VOTE: R from a margin of {needed:.2f}; nearer: {nearer:.0%}", "2,100 passes"):
        assert f">{line}<" in drawn
