"""Intervals in rows, axes, and the book's renderer: a box with a stable name, and Altair's own elsewhere."""

from __future__ import annotations

import json

import altair as alt
import pandas as pd
import pytest
import vl_convert
from sample_charts import CHARTS

from rp_tutorial.core.arguments import InputError
from rp_tutorial.figures import base


def test_the_book_renderer_names_a_chart_by_its_content() -> None:
    spec = CHARTS["lines"]().to_dict()
    first, again = base._book_renderer(spec), base._book_renderer(json.loads(json.dumps(spec)))
    other = base._book_renderer(CHARTS["live_certificate"]().to_dict())
    assert first == again
    assert first["text/html"].split('id="')[1][:20] != other["text/html"].split('id="')[1][:20]
    assert first["text/plain"] == spec["description"]


def test_the_book_renderer_cannot_be_closed_by_a_string_in_the_data() -> None:
    spec = {"description": 'a "quoted" </script> word', "data": {"values": [{"x": "</script>"}]}}
    html = base._book_renderer(spec)["text/html"]
    assert html.count("</script>") == 1
    assert "&quot;quoted&quot; &lt;/script&gt;" in html


def test_importing_the_package_leaves_altairs_own_renderer_alone() -> None:
    assert alt.renderers.active != "rp-book"


def test_sources_of_one_group_stand_beside_each_other_and_single_ones_in_the_middle() -> None:
    table = pd.DataFrame({"who": ["a", "a", "b"], "by": ["x", "y", "x"], "value": 0.5, "low": 0.4, "high": 0.6})
    for rows, beside in ((table, True), (table[1:], False)):
        spec = base.estimates(rows, group="who", source="by", title="value", description="A value.").to_dict()
        assert all(("yOffset" in layer["encoding"]) == beside for layer in spec["layer"])


def test_panels_hold_their_own_rows_and_are_as_high_as_those_need() -> None:
    """Two tables put one behind the other, with the labels of both."""
    one = pd.DataFrame({"who": ["a", "a", "b"], "by": ["x", "y", "x"], "v": 0.5, "v_ci": [(0.4, 0.6)] * 3})
    two = pd.concat([one.assign(on="first"), one.assign(on="second", v=0.7, v_ci=[(0.6, 0.9)] * 3)])
    look = {"group": "who", "source": "by", "of": "v", "title": "v", "description": "Two panels."}
    spec = base.estimates(two, panel="on", **look).to_dict()
    (data,) = spec["datasets"].values()
    assert [(row["on"], row["low"], row["high"]) for row in data] == [("first", 0.4, 0.6)] * 3 + [
        ("second", 0.6, 0.9)
    ] * 3
    assert spec["spec"]["height"] == base.estimates(one, **look).to_dict()["height"]


def test_an_axis_of_logarithms_names_the_powers_of_ten() -> None:
    table = pd.DataFrame({"n": [10, 1000, 100_000], "y": [0.001, 0.01, 0.3], "s": "a"})
    how = {"x": "n", "y": "y", "series": "s", "titles": ("samples", "error"), "description": "An error that rises."}
    x, y = (base.lines(table, **how, log="xy").to_dict()["encoding"][channel] for channel in "xy")
    assert x["scale"]["type"] == y["scale"]["type"] == "log"
    assert x["axis"]["values"] == [10, 100, 1000, 10_000, 100_000]
    drawn = vl_convert.vegalite_to_svg(base.lines(table, **how, log="xy").to_json())
    assert all(f">{number}<" in drawn for number in ("100,000", "0.01"))
    assert "type" not in base.lines(table, **how).to_dict()["encoding"]["x"]["scale"]


def test_a_logarithm_of_nothing_is_refused_in_one_line() -> None:
    table = pd.DataFrame({"n": [0, 10], "y": [0.1, 0.2], "s": "a"})
    with pytest.raises(InputError, match=r"log: got 0\.0, allowed is an axis of numbers above 0"):
        base.lines(table, x="n", y="y", series="s", titles=("n", "y"), description="Two points.", log="x")
