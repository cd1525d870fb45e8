"""The book's renderer: a box with a stable name on a page of the book, and Altair's own everywhere else."""

from __future__ import annotations

import json

import altair as alt
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
