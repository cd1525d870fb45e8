"""Every chart of the room has alt text, draws marks, knows its own colours on any page, and stands on its face."""

from __future__ import annotations

import inspect

import pytest
import vl_convert
from sample_charts import CHARTS

from rp_tutorial import figures
from rp_tutorial.figures import base, comparisons, contact_sheets, faces, pages, palette, tables

NO_CHARTS = {"blurred", "contact_sheet", "label_regions", "mean_image", "page", "page_name"}
INSIDE = {
    "curves",
    "finish",
    "looks",
    "measured",
    "mechanism",
    "named",
    "on_page",
    "pages",
    "panels",
    "slider",
    "styles",
    "tooltips",
    "words",
}  # what the package itself calls
each_chart = pytest.mark.parametrize("name", CHARTS)


@each_chart
def test_a_chart_says_in_words_what_it_shows(name: str) -> None:
    assert len(CHARTS[name]().to_dict()["description"]) > 30


@each_chart
def test_a_chart_draws_marks_and_leaves_the_page_its_colour(name: str) -> None:
    chart = CHARTS[name]()
    assert vl_convert.vegalite_to_svg(chart.to_json()).count("<path") > 3
    assert chart.to_dict()["config"]["background"] == "transparent"


def test_every_public_function_stands_on_the_face_and_every_chart_is_tested_here() -> None:
    public = {
        name
        for module in (base, comparisons, contact_sheets, faces, pages, palette, tables)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    functions = {name for name in dir(figures) if inspect.isfunction(getattr(figures, name))}
    assert public - INSIDE == functions == set(CHARTS) | NO_CHARTS
