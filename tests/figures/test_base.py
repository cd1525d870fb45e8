"""Charts: every one has alt text, is a valid Vega-Lite spec, and knows its own colours on any page."""

from __future__ import annotations

import json

import altair as alt
import numpy as np
import pandas as pd
import pytest
import vl_convert
from scipy import stats

from rp_tutorial.figures import base as figures
from rp_tutorial.statistics import binomial as statistics
from rp_tutorial.theory import guarantees as privacy


def live_table() -> pd.DataFrame:
    p = np.arange(50, 100, 5) / 100
    parts = []
    for log_n in (1.0, 2.0, 3.0):
        n = round(10**log_n)
        for log_alpha in (-3.0, -2.0):
            low = statistics.lower_confidence_bound(np.round(n * p).astype(int), n, alpha=10**log_alpha)
            parts.append(pd.DataFrame({"p": p, "low": low, "log10_n": log_n, "log10_alpha": log_alpha}))
    return pd.concat(parts)


def plan_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    u, parts, prices = np.arange(1, 41) / 10, [], []
    for log_advantage in (-2.0, -1.0):
        for log_n in (2.0, 3.0):
            n = round(10**log_n)
            votes = stats.binom.ppf(0.05, n, stats.norm.cdf(u)).astype(int)
            low = statistics.lower_confidence_bound(votes, n, alpha=10**log_advantage)
            at = {"log10_n": log_n, "log10_advantage": log_advantage}
            parts.append(pd.DataFrame({"u": u, "low": low} | at))
            vote = privacy.vote_quantile(n, 10**log_advantage)
            predict = privacy.predict_quantile(n, 10**log_advantage, alpha=0.01)
            at = {"log10_N": log_n, "log10_advantage": log_advantage}
            prices.append({"vote": vote, "predict": predict} | at)
    return pd.concat(parts), pd.DataFrame(prices)


def live_plan() -> alt.LayerChart:
    return figures.live_plan(*plan_tables(), unit="kg/m²", population=(27.0, 5.0), threshold=33.4)


HISTOGRAM = pd.DataFrame(
    {"classifier": ["base", "base", "sigma = 1"], "bin_left": [33.4, 33.6, 33.2], "count": [10, 5, 2]}
)
CHARTS = {
    "release_histogram": lambda: figures.release_histogram(HISTOGRAM, threshold=33.4),
    "rates_by_sigma": lambda: figures.rates_by_sigma(
        pd.DataFrame({"sigma": [1.0, 2.0], "source": "ours", "accuracy": [0.96, 0.92], "low": 0.9, "high": 0.97}),
        quantity="accuracy",
        title="accuracy",
    ),
    "lines": lambda: figures.lines(
        pd.DataFrame({"a": [0, 1, 2], "b": [0, 1, 4], "c": "square"}),
        x="a", y="b", series="c", titles=("a", "b"), description="The square of a against a, a parabola.",
    ),
    "inferred_intervals": lambda: figures.inferred_intervals(
        pd.DataFrame({"person": [0, 1], "low": [12, 33], "high": [33, 50], "truth": [27, 36], "released": [0, 1]}),
        threshold=33.4,
    ),
    "estimates": lambda: figures.estimates(
        pd.DataFrame({"who": ["a", "b"], "from": "ours", "value": [1.0, 2.0], "low": [0.5, 1.5], "high": [1.5, 2.5]}),
        group="who", source="from", title="value", description="Two values with their intervals, a below b.",
    ),
    "radius_against_distance": lambda: figures.radius_against_distance(
        pd.DataFrame({"distance": [0.1, 1.0], "radius": [0.0, 0.8]}), largest=2.6
    ),
    "interval_sets": lambda: figures.interval_sets(
        pd.DataFrame({"who": ["f", "f", "g"], "label": "1", "low": [12.0, 30.0, 12.0], "high": [20.0, 50.0, 50.0]}),
        row="who", series="label", title="BMI (kg/m²)", reference=30.0,
        description="The set of f has two intervals, that of g is everything.",
    ),
    "live_certificate": lambda: figures.live_certificate(live_table()),
    "live_plan": live_plan,
}  # fmt: skip
each_chart = pytest.mark.parametrize("name", CHARTS)


@each_chart
def test_a_chart_says_in_words_what_it_shows(name: str) -> None:
    assert len(CHARTS[name]().to_dict()["description"]) > 30


@each_chart
def test_a_chart_draws_marks(name: str) -> None:
    svg = vl_convert.vegalite_to_svg(CHARTS[name]().to_json())
    assert svg.count("<path") > 3


@each_chart
def test_a_chart_leaves_the_page_its_colour(name: str) -> None:
    assert CHARTS[name]().to_dict()["config"]["background"] == "transparent"


def test_every_chart_function_of_the_module_is_tested_here() -> None:
    import inspect

    public = {n for n, f in inspect.getmembers(figures, inspect.isfunction) if not n.startswith("_")}
    assert public - {"page"} == set(CHARTS)


def test_the_book_renderer_names_a_chart_by_its_content() -> None:
    spec = CHARTS["lines"]().to_dict()
    first, again = figures._book_renderer(spec), figures._book_renderer(json.loads(json.dumps(spec)))
    other = figures._book_renderer(CHARTS["live_certificate"]().to_dict())
    assert first == again
    assert first["text/html"].split('id="')[1][:20] != other["text/html"].split('id="')[1][:20]
    assert first["text/plain"] == spec["description"]


def test_the_book_renderer_cannot_be_closed_by_a_string_in_the_data() -> None:
    spec = {"description": 'a "quoted" </script> word', "data": {"values": [{"x": "</script>"}]}}
    html = figures._book_renderer(spec)["text/html"]
    assert html.count("</script>") == 1
    assert "&quot;quoted&quot; &lt;/script&gt;" in html


def test_importing_the_package_leaves_altairs_own_renderer_alone() -> None:
    assert alt.renderers.active != "rp-book"


def test_the_live_radius_in_the_page_is_the_packages_radius() -> None:
    """Vega's quantileNormal and SciPy's give the same curve: evaluated in the page's own engine."""
    chart = figures.live_certificate(live_table())
    vega = vl_convert.vegalite_to_vega(chart.to_json())
    assert {"p_A", "log10_N", "log10_alpha", "sigma"} <= {signal["name"] for signal in vega["signals"]}
    assert all("input" in signal["bind"] for signal in vega["signals"] if signal["name"] in ("p_A", "sigma"))
    expected = statistics.certified_radius(statistics.lower_confidence_bound(900, 1000, alpha=0.01), sigma=1.0)
    assert f"certified {expected:.3f}, ideal 1.282" in vl_convert.vegalite_to_svg(chart.to_json())


def test_the_live_plan_in_the_page_is_the_packages_deployable_radius() -> None:
    """Lookup, quantiles and the share of people, evaluated in the page's own engine at the sliders' first values."""
    table, _ = plan_tables()
    at = table[(table["log10_n"] == 3) & (table["log10_advantage"] == -2)]
    radius = privacy.deployable_radius(at["low"].to_numpy(), sigma=3.0, n_vote=1000, beta=0.01)
    needed = 3.0 * at["u"].to_numpy()[radius >= 2.0].min()
    nearer = np.subtract(*stats.norm.cdf([33.4 + needed, 33.4 - needed], 27.0, 5.0))
    expected = f"VOTE: R from a margin of {needed:.2f}; nearer: {nearer:.0%}; 2,100 passes"
    assert expected in vl_convert.vegalite_to_svg(live_plan().to_json())


def test_a_page_of_its_own_needs_no_network() -> None:
    page = figures.page(CHARTS["lines"]())
    assert "<script src=" not in page
