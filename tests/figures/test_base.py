"""Looks by name, intervals in rows, and the book's renderer: a box with a stable name, and Altair's own elsewhere."""

from __future__ import annotations

import json

import altair as alt
import pandas as pd
from sample_charts import CHARTS

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


def looks_of(names: list[str], **given: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """Colour and shape by name, as the page draws them."""
    look = {channel: spec.to_dict()["scale"] for channel, spec in base.looks("family", names, **given).items()}
    assert look["color"]["domain"] == look["shape"]["domain"]
    pairs = zip(look["color"]["range"], look["shape"]["range"], strict=True)
    return dict(zip(look["color"]["domain"], pairs, strict=True))


def test_no_two_of_two_dozen_names_look_alike() -> None:
    names = [f"family {i}" for i in range(24)]
    assert len(set(looks_of(names).values())) == len(names)


def test_a_mechanism_looks_the_same_whoever_else_is_drawn() -> None:
    few, many = (
        looks_of(names, first=base.MECHANISMS) for names in (["smoothing", "mine"], ["mine", *base.MECHANISMS, "other"])
    )
    assert few["smoothing"] == many["smoothing"]
    assert few["mine"] == many["mine"]
    assert len(set(many.values())) == len(many)


def test_sources_of_one_group_stand_beside_each_other_and_single_ones_in_the_middle() -> None:
    table = pd.DataFrame({"who": ["a", "a", "b"], "by": ["x", "y", "x"], "value": 0.5, "low": 0.4, "high": 0.6})
    for rows, beside in ((table, True), (table[1:], False)):
        spec = base.estimates(rows, group="who", source="by", title="value", description="A value.").to_dict()
        assert all(("yOffset" in layer["encoding"]) == beside for layer in spec["layer"])
