"""What all charts share: palette, finish, sliders, the book's renderer, and the two charts that any chapter may draw.

Every chart of the room is one function: a tidy DataFrame in, an Altair chart with alt text out. None computes a result;
the tables come from the experiments and from `statistics`. The book's build sets RP_TUTORIAL_RENDERER=book, which
writes charts for the Vega bundle that the pages carry themselves, so that they work from a file and without a network.
Anywhere else (Jupyter, Colab) Altair's own renderer stays.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
from typing import Any

import altair as alt
import pandas as pd

ABOVE, BELOW = "#2b6cb0", "#dd6b20"  # the paper's blue and orange, told apart by most colour-blind readers too
REFERENCE = "#718096"
WIDTH = 420  # of charts with rows of panels; charts of one panel take the width of the page


def lines(
    table: pd.DataFrame, *, x: str, y: str, series: str, titles: tuple[str, str], description: str, dashed: tuple = ()
) -> alt.Chart:
    """Curves of y against x, one a series; the series named in `dashed` are references."""
    names = list(dict.fromkeys(table[series]))
    chart = (
        alt.Chart(table)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X(f"{x}:Q", title=titles[0], scale=alt.Scale(zero=False)),
            y=alt.Y(f"{y}:Q", title=titles[1]),
            color=alt.Color(f"{series}:N", title=None, sort=names, legend=alt.Legend(columns=3)),
            strokeDash=alt.condition(
                alt.FieldOneOfPredicate(field=series, oneOf=list(dashed)), alt.value([5, 4]), alt.value([1, 0])
            ),
            tooltip=[f"{series}:N", alt.Tooltip(f"{x}:Q", format=".3f"), alt.Tooltip(f"{y}:Q", format=".3f")],
        )
        .properties(width="container", height=260)
    )
    return finish(chart, description)


def estimates(table: pd.DataFrame, *, group: str, source: str, title: str, description: str) -> alt.LayerChart:
    """Numbers with their intervals: a row a group, a colour a source, a point at the value, a bar from low to high.

    table: columns `group`, `source`, value, low, high, in the order in which they are drawn; at most three sources.
    """
    groups, sources = (list(dict.fromkeys(table[name])) for name in (group, source))
    base = alt.Chart(table).encode(
        y=alt.Y(f"{group}:N", title=None, sort=groups),
        yOffset=alt.YOffset(f"{source}:N", sort=sources),
        color=alt.Color(
            f"{source}:N", title=None, sort=sources, scale=alt.Scale(domain=sources, range=[REFERENCE, BELOW, ABOVE])
        ),
    )
    bars = base.mark_rule(strokeWidth=3).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    points = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=alt.Scale(domainMin=0)),
        shape=alt.Shape(f"{source}:N", title=None, sort=sources, scale=alt.Scale(domain=sources)),
        tooltip=[f"{group}:N", f"{source}:N", *(alt.Tooltip(f"{c}:Q", format=".2f") for c in ("value", "low", "high"))],
    )
    return finish((bars + points).properties(width="container", height=18 * len(table)), description)


def finish(chart: Any, description: str) -> Any:
    """What every chart has: alt text, no frame, no background of its own (dark pages)."""
    return (
        chart.properties(description=description)
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelLimit=0)  # a name cut short may be the name of another row
        .configure_legend(orient="bottom", labelLimit=0)
    )


def slider(name: str, label: str, value: float, low: float, high: float, step: float) -> alt.Parameter:
    return alt.param(name=name, value=value, bind=alt.binding_range(min=low, max=high, step=step, name=label + " "))


def _book_renderer(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    """A chart as the book's pages want it: a box with a stable name, and its spec queued for their own Vega."""
    text = json.dumps(spec, sort_keys=True, separators=(",", ":")).replace("</", "<\\/")
    name = "rp-chart-" + hashlib.sha256(text.encode()).hexdigest()[:12]
    description = spec.get("description", "")
    return {
        "text/html": (
            f'<div class="rp-chart" id="{name}" role="img" aria-label="{html.escape(description)}"></div>'
            f'<script>(window.rpQueue=window.rpQueue||[]).push(["{name}", {text}]);'
            "window.rpFlush&&window.rpFlush();</script>"
        ),
        "text/plain": description,
    }


alt.renderers.register("rp-book", _book_renderer)
if os.environ.get("RP_TUTORIAL_RENDERER") == "book":
    alt.renderers.enable("rp-book")
