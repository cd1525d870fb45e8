"""What all charts share: finish, sliders, the book's renderer, and the two charts that any chapter may draw.

Every chart of the room is one function: a tidy DataFrame in, an Altair chart with alt text out. None computes a result;
the tables come from the experiments and from `statistics`. Names and colours of mechanisms are in `palette.py`. The
book's build sets RP_TUTORIAL_RENDERER=book, which writes charts for the Vega bundle that the pages carry themselves, so
that they work from a file and without a network. Anywhere else (Jupyter, Colab) Altair's own renderer stays.
"""

import hashlib
import html
import json
import os
from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.figures.palette import ABOVE, REFERENCE, looks, on_page, page_name

alt.data_transformers.disable_max_rows()  # a table of one's own may have more than Altair's 5,000
SHARE = alt.Scale(domain=[0, 1])
WORDS = {  # of columns whose name is not a word
    "asr_start": "starting points alone",
    "asr": "attack success rate",
    "n": "N",
    "defense": "defence",
}
LOG = "log₁₀ "  # see book/assets/rp-charts.js
WIDTH = 420  # of charts with rows of panels; charts of one panel take the width of the page


def lines(
    table: pd.DataFrame,
    *,
    x: str,
    y: str,
    series: str,
    titles: tuple[str, str],
    description: str,
    dashed: tuple = (),
    log: str = "",
) -> alt.Chart:
    """Curves of y against x, one a series; the series named in `dashed` are references.

    log: "x", "y" or "xy", the axes with a logarithmic scale. Mechanisms have the names and colours of the page.
    """
    one_of("log", log, ("", "x", "y", "xy"))
    shown = on_page(table, series)
    look = looks(series, shown[series], dashed=[page_name(name) for name in dashed], lines=True)
    across, up = (
        channel(f"{column}:Q", title=title, **_axis(table[column], log=axis in log, zero=axis == "y"))
        for channel, column, title, axis in zip((alt.X, alt.Y), (x, y), titles, "xy", strict=True)
    )
    read = [
        alt.Tooltip(f"{column}:Q", title=title, format=",.4~g") for column, title in zip((x, y), titles, strict=True)
    ]
    chart = (
        alt.Chart(shown)
        .mark_line(strokeWidth=2)
        .encode(
            x=across,
            y=up,
            color=look["color"],
            strokeDash=look["strokeDash"],
            tooltip=[alt.Tooltip(f"{series}:N", title=words(series)), *read],
        )
        .properties(width="container", height=260)
    )
    return finish(chart, description)


def estimates(
    table: pd.DataFrame,
    *,
    group: str,
    source: str | None = None,
    of: str = "value",
    title: str,
    description: str,
    first: Sequence[str] = (),
    tick: str | None = None,
    panel: str | None = None,
    number: str = ".2f",
) -> alt.LayerChart | alt.FacetChart:
    """Numbers with their intervals: a row a group, a point at the value, a bar from low to high, a look a source.

    table: columns `group`, value, low, high and, where named, `source`, `tick` (a second number, drawn as a tick) and
    `panel` (a panel each), in the order in which they are drawn. Instead of the three, `of` and `of`_ci (pairs).
    Sources of one group stand beside each other; those in `first` have the first looks. number: the format of what is
    read off. A percentage is one on the axis too, from 0 to 1; with a sign it is a gain, and a dashed line is at 0.
    Mechanisms have the names and colours of the page.
    """
    names = [name for name in (panel, group, source) if name]
    table = on_page(table, *names)
    read = ["value", "low", "high", *([tick] if tick else [])]
    table = table if of == "value" else measured(table, of, *names, *read[3:])
    rows = list(dict.fromkeys(table[group]))
    beside = bool(source) and bool(table.duplicated([group, panel] if panel else [group]).any())
    base = alt.Chart(table).encode(y=alt.Y(f"{group}:N", title=None, sort=rows))
    look: dict[str, Any] = {"color": alt.value(ABOVE)}
    if source:
        look = looks(source, table[source], first=first)
        base = base.encode(yOffset=alt.YOffset(f"{source}:N", sort=look["color"]["sort"])) if beside else base
    gain, share = number.startswith("+"), number.endswith("%")
    axis = alt.Axis(format=number.replace(".1", "")) if share else alt.Axis()
    scale = alt.Scale() if gain else SHARE if share else alt.Scale(domainMin=0)
    x = alt.X("value:Q", title=title, axis=axis, scale=scale)
    layers = [
        base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", color=look["color"]),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, **look, tooltip=[*named(*names), *tooltips(*read, format=number, value=title)]
        ),
    ]
    if tick:
        layers.insert(0, base.mark_tick(thickness=2, size=14, color=REFERENCE).encode(x=f"{tick}:Q"))
    if gain:
        line = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[6, 4], color=REFERENCE)
        layers.insert(0, line.encode(x="zero:Q"))
    most = int(table[panel].value_counts().max()) if panel and len(table) else len(table)
    chart, height = alt.layer(*layers), 18 * max(1, most if beside else len(rows))
    if panel:
        return finish(panels(chart.properties(width=WIDTH, height=height), panel, table[panel]), description)
    return finish(chart.properties(width="container", height=height), description)


def curves(base: alt.Chart, y: alt.Y, read: Sequence[Any], look: dict[str, Any], *, band: bool = False) -> list[Any]:
    """Layers of curves through points with their intervals, columns low and high of the table of `base`.

    base: has x. read: what is read off a point. look: `looks` of the lines.
    """
    base = base.encode(color=look["color"])
    interval = base.mark_area(opacity=0.15) if band else base.mark_rule(opacity=0.5)
    points = base.mark_point(filled=True, size=60, opacity=1).encode(y=y, tooltip=read, shape=look["shape"])
    line = base.mark_line(strokeWidth=2).encode(y=y, strokeDash=look["strokeDash"])
    return [interval.encode(y="low:Q", y2="high:Q"), line, points]


def panels(chart: alt.LayerChart, field: str, names: Sequence[str]) -> alt.FacetChart:
    """The chart once for each of the names, one below the other, each under its name."""
    header = alt.Header(labelAngle=0, labelAnchor="start", labelOrient="top")
    return chart.facet(row=alt.Row(f"{field}:N", sort=list(dict.fromkeys(names)), title=None, header=header))


def named(*columns: str) -> list[alt.Tooltip]:
    """The names in some columns, to be read off under the pointer."""
    return [alt.Tooltip(f"{column}:N", title=words(column)) for column in columns]


def tooltips(*columns: str, format: str = ".1%", **titles: str) -> list[alt.Tooltip]:
    """The numbers of some columns, to be read off under the pointer; titles: what a column is called there."""
    return [alt.Tooltip(f"{c}:Q", format=format, title=titles.get(c, words(c))) for c in columns]


def words(column: str) -> str:
    """What a reader sees for the name of a column."""
    return WORDS.get(column, column.replace("_", " "))


def measured(table: pd.DataFrame, of: str, *kept: str, value: str = "value", ends: str = "") -> pd.DataFrame:
    """Columns `kept`, and the number `of` with its interval as columns `value`, low and high, rounded for the page.

    The interval is a pair in column `of`_ci; a number without one is its own. ends: what stands before low and high.
    """
    table = table.reset_index(drop=True)  # of tables put one behind the other the labels repeat themselves
    pairs = table.get(f"{of}_ci", table[[of, of]].to_numpy())
    low_and_high = pd.DataFrame(list(pairs), columns=[f"{ends}low", f"{ends}high"])
    return table[list(kept)].assign(**{value: table[of].astype(float)}).join(low_and_high).round(4)


def finish(chart: Any, description: str) -> Any:
    """What every chart has: alt text, no frame, no background of its own (dark pages)."""
    return (
        chart.properties(description=description)
        .configure(background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelLimit=0)  # a name cut short may be the name of another row
        .configure_axisQuantitative(labelOverlap="greedy", labelSeparation=4)
        .configure_legend(orient="bottom", labelLimit=0)
    )


def slider(name: str, label: str, value: float, low: float, high: float, step: float) -> alt.Parameter:
    """A slider of the page. With a label that begins with LOG the book shows what the logarithm is of, 1,000 for 3."""
    return alt.param(name=name, value=value, bind=alt.binding_range(min=low, max=high, step=step, name=label + " "))


def _axis(values: pd.Series, *, log: bool, zero: bool) -> dict[str, Any]:
    """Scale and axis; on a logarithmic one the powers of ten are named, and nothing else where there are enough."""
    if not log:
        return {"scale": alt.Scale(zero=zero)}
    if values.min() <= 0:
        raise refuse("log", float(values.min()), "an axis of numbers above 0")
    low, high = np.log10(values.min()), np.log10(values.max())
    tens = [float(10.0**k) for k in range(int(np.floor(low)), int(np.ceil(high)) + 1)]
    within = [ten for ten in tens if low - 1e-9 <= np.log10(ten) <= high + 1e-9]
    axis = alt.Axis(format="~g" if low < 0 else ",", **({"values": within} if len(within) > 2 else {"tickCount": 4}))
    return {"scale": alt.Scale(type="log", nice=False), "axis": axis}


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
