"""Every chart of the face chapters: a tidy table in, an Altair chart with alt text out.

No function but `label_regions` computes anything; the tables come from `experiments.faces`. Pictures are made in
`contact_sheets.py`; charts that compare families of defences are in `comparisons.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rp_tutorial.core.arguments import count
from rp_tutorial.experiments.paper import FIGURE3
from rp_tutorial.figures.base import ABOVE, BELOW, REFERENCE, finish, slider

FAMILIES = {  # what an arm is, and its colour in every figure; told apart by shape or place as well
    "undefended": REFERENCE,
    "fresh noise": ABOVE,
    "fixed noise": BELOW,
    "repeated queries": "#805ad5",
    "abstaining": "#2f855a",
    "trained under noise": "#b83280",
}
PANELS = {
    "asr": "attack success rate",
    "test_accuracy": "test accuracy",
    "paper_accuracy": "accuracy, one picked image a person",
}


def label_regions(
    label_at: Callable[[Tensor], Tensor], *, low: tuple[float, float], high: tuple[float, float], cells: int = 90
) -> pd.DataFrame:
    """The labels of a rectangle of the plane as horizontal bars, for `latent_walk`: columns label, x, x2, y, y2.

    label_at: points [B, 2] -> labels [B], asked at the centres of cells x cells cells; cells of one label in a line
    are one bar.
    """
    width, height = ((high[axis] - low[axis]) / count("cells", cells) for axis in (0, 1))
    x = low[0] + width * (np.arange(cells) + 0.5)
    y = low[1] + height * (np.arange(cells) + 0.5)
    points = torch.as_tensor(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2), dtype=torch.float32)
    labels = label_at(points).view(cells, cells).numpy()
    bars = []
    for line, row in enumerate(labels):
        starts = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
        for start, end in zip(starts, np.r_[starts[1:], cells], strict=True):
            bars.append(
                {
                    "label": int(row[start]),
                    "x": low[0] + width * start,
                    "x2": low[0] + width * end,
                    "y": low[1] + height * line,
                    "y2": low[1] + height * (line + 1),
                }
            )
    return pd.DataFrame(bars).round(4)


def latent_walk(
    regions: pd.DataFrame, probes: pd.DataFrame, passes: pd.DataFrame, *, target: int, description: str
) -> alt.LayerChart:
    """A slider over the passes of an attack in a plane: the sphere, which of its points are inside, the path so far.

    regions: `label_regions`. probes: columns pass, x, y, inside, a row a point of a sphere. passes: columns pass, x,
    y (centre before the step), R, inside (how many points), accepted; pass counts from 0. The slider is in the page;
    no kernel is needed. The target's region is tinted, the others are shades of grey.
    """
    last = int(passes["pass"].max())
    shown = slider("pass_", "pass", last // 3, 0, last, 1)
    ends = (regions[["x", "y"]].min(), regions[["x2", "y2"]].max())
    x = alt.X("x:Q", title="z₁ (latent units)", scale=alt.Scale(domain=[ends[0]["x"], ends[1]["x2"]], nice=False))
    y = alt.Y("y:Q", title="z₂ (latent units)", scale=alt.Scale(domain=[ends[0]["y"], ends[1]["y2"]], nice=False))
    shade = regions["label"].rank(method="dense") % 4
    tinted = regions.assign(shade=np.where(regions["label"] == target, 0.25, 0.06 + 0.09 * shade).round(2))
    background = (
        alt.Chart(tinted)
        .mark_rect(stroke=None)
        .encode(
            x=x,
            x2="x2:Q",
            y=y,
            y2="y2:Q",
            color=alt.condition(f"datum.label == {target}", alt.value(ABOVE), alt.value(REFERENCE)),
            opacity=alt.Opacity("shade:Q", scale=None),
        )
    )
    walked = alt.Chart(passes).transform_filter("datum.pass <= pass_")
    here = alt.Chart(passes).transform_filter("datum.pass == pass_")
    path = walked.mark_line(strokeWidth=2.5, color=ON_TINT).encode(x=x, y=y, order="pass:Q")
    names = ["inside", "outside"]
    points = (
        alt.Chart(probes.assign(side=np.where(probes["inside"], *names)).drop(columns="inside"))
        .transform_filter("datum.pass == pass_")
        .mark_point(filled=True, size=45, opacity=1, clip=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color("side:N", title=None, scale=alt.Scale(domain=names, range=[ON_TINT, BELOW])),
            shape=alt.Shape("side:N", title=None, scale=alt.Scale(domain=names, range=["circle", "cross"])),
        )
    )
    centre = here.mark_point(filled=True, size=90, opacity=1, shape="diamond", color=ON_TINT).encode(x=x, y=y)
    line = (
        "datum.inside + ' of ' + "
        f"{len(probes) // len(passes)} + ' inside, R = ' + format(datum.R, '.2f') + ', step ' + "
        "(datum.accepted ? 'taken' : 'refused')"
    )
    text = (
        here.transform_calculate(text=line)
        .mark_text(align="left", baseline="top", fontSize=13, fontWeight="bold")
        .encode(x=alt.value(6), y=alt.value(6), text="text:N")
    )
    chart = alt.layer(background, path, points, centre, text).add_params(shown)
    return finish(chart.properties(width=WALK, height=WALK), description)


def asr_against_accuracy(table: pd.DataFrame) -> alt.LayerChart:
    """What each arm costs and what it buys: ASR against test accuracy, with the intervals of both.

    table: `experiments.inversion.table`. The best defence is the lowest point far to the right.
    """
    arms = _arms(table)
    base = alt.Chart(arms)
    colour, shape = _family_colour(arms), _family_shape(arms)
    x = alt.X("test_accuracy:Q", title=PANELS["test_accuracy"], scale=alt.Scale(zero=False), axis=alt.Axis(format="%"))
    y = alt.Y("asr:Q", title=PANELS["asr"], scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        base.mark_rule(opacity=0.5).encode(x="test_accuracy_low:Q", x2="test_accuracy_high:Q", y=y, color=colour),
        base.mark_rule(opacity=0.5).encode(x=x, y="asr_low:Q", y2="asr_high:Q", color=colour),
        base.mark_point(filled=True, size=90, opacity=1).encode(
            x=x, y=y, color=colour, shape=shape,
            tooltip=["name:N", *_percent("asr", "asr_low", "asr_high", "test_accuracy")],
        ),
    ]  # fmt: skip
    low, high = arms.loc[arms["asr"].idxmin()], arms.loc[arms["asr"].idxmax()]
    return finish(
        alt.layer(*layers).properties(width="container", height=300),
        f"Attack success rate against test accuracy for {len(arms)} arms, with 95 % intervals in both directions: "
        f"from {high['asr']:.0%} ({high['name']}) down to {low['asr']:.0%} ({low['name']}).",
    )


def asr_by_sigma(table: pd.DataFrame, *, paper: Sequence[Mapping[str, Any]] = FIGURE3) -> alt.FacetChart:
    """Figure 3 of the paper beside ours: ASR and two accuracies against sigma, a line for every N, intervals.

    table: `experiments.inversion.table`; drawn are the undefended net (sigma = 0) and fresh noise on a net trained
    without noise, asked once a probe. `paper`: percentages as FIGURE3, drawn as open points.
    """
    arms = _arms(table)
    plain = arms[arms["family"].isin(["undefended", "fresh noise"])]
    ours = _long(plain.assign(N=plain["n"].where(plain["sigma"] > 0, 0)))
    printed = pd.DataFrame(paper).rename(columns={"n": "N"})
    theirs = printed.melt(["sigma", "N"], ["asr", "paper_accuracy"], "panel", "value").dropna()
    both = pd.concat([ours.assign(source="ours"), theirs.assign(value=theirs["value"] / 100, source="paper")])
    start = both[both["sigma"] == 0]  # the undefended net stands at the left end of every line
    ends = [start.assign(N=n) for n in sorted(set(both["N"]) - {0})]
    both = pd.concat([both[both["sigma"] > 0], *ends]).assign(N=lambda t: "N = " + t["N"].astype(int).astype(str))
    both["panel"] = both["panel"].map(PANELS)
    names = sorted(set(both["N"]), key=lambda name: int(name[4:]))
    base = alt.Chart(both.drop_duplicates().round(4)).encode(
        x=alt.X("sigma:Q", title="σ (pixel range)"),
        color=alt.Color("N:N", title=None, sort=names, scale=alt.Scale(domain=names, range=_COLOURS[: len(names)])),
    )
    value = alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    mine, printed_points = base.transform_filter("datum.source == 'ours'"), "datum.source == 'paper'"
    tooltip = ["source:N", "N:N", "sigma:Q", alt.Tooltip("value:Q", format=".1%")]
    layers = [
        mine.mark_line(strokeWidth=2).encode(y=value),
        mine.mark_rule(opacity=0.6).encode(y="low:Q", y2="high:Q"),
        mine.mark_point(filled=True, size=55, opacity=1).encode(y=value, tooltip=tooltip),
        base.transform_filter(printed_points)
        .mark_point(filled=False, size=130, strokeWidth=2.5, shape="triangle-up", opacity=1)
        .encode(y=value, tooltip=tooltip),
    ]
    order = [name for name in PANELS.values() if name in set(both["panel"])]
    chart = alt.layer(*layers).properties(width=WALK, height=150)
    return finish(
        chart.facet(
            row=alt.Row(
                "panel:N",
                sort=order,
                title=None,
                header=alt.Header(labelAngle=0, labelAnchor="start", labelOrient="top"),
            )
        ),
        f"Against sigma from 0 to {both['sigma'].max():g}, one line for each of {', '.join(names)}: "
        f"{', '.join(order)}. Filled points with 95 % intervals are ours, open triangles the paper's printed numbers.",
    )


def asr_arms(table: pd.DataFrame) -> alt.LayerChart:
    """ASR of every arm with its interval, a row an arm, and a tick at what its starting points score by themselves.

    table: `experiments.inversion.table`, in the order in which the arms are drawn.
    """
    arms = _arms(table)
    names = list(arms["name"])
    base = alt.Chart(arms)
    y = alt.Y("name:N", title=None, sort=names)
    title = "ASR; tick: starting points alone"
    x = alt.X("asr:Q", title=title, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        base.mark_tick(thickness=2, size=14, color=REFERENCE).encode(x="asr_start:Q", y=y),
        base.mark_rule(strokeWidth=3).encode(x="asr_low:Q", x2="asr_high:Q", y=y, color=_family_colour(arms)),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x, y=y, color=_family_colour(arms), shape=_family_shape(arms),
            tooltip=["name:N", *_percent("asr", "asr_low", "asr_high", "asr_start", "test_accuracy")],
        ),
    ]  # fmt: skip
    spoken = "; ".join(f"{row['name']}: {row['asr']:.0%}" for _, row in arms.iterrows())
    return finish(
        alt.layer(*layers).properties(width="container", height=24 * len(arms)),
        f"Attack success rate with its 95 % interval for each arm, and a tick for the starting points. {spoken}.",
    )


def flip_rates(table: pd.DataFrame, *, description: str) -> alt.LayerChart:
    """How often a label changes at a latent distance from a point inside the target's region, a line a defence.

    table: columns defense, radius (latent units), rate, low, high, in the order in which the defences are listed.
    """
    names = list(dict.fromkeys(table["defense"]))
    base = alt.Chart(table).encode(
        x=alt.X("radius:Q", title="distance |z − z₀| (latent units)"),
        color=alt.Color(
            "defense:N", title=None, sort=names, scale=alt.Scale(domain=names, range=_COLOURS[: len(names)])
        ),
    )
    y = alt.Y("rate:Q", title="share of labels that change", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        base.mark_area(opacity=0.15).encode(y="low:Q", y2="high:Q"),
        base.mark_line(strokeWidth=2).encode(y=y),
        base.mark_point(filled=True, size=50, opacity=1).encode(
            y=y,
            shape=alt.Shape("defense:N", title=None, sort=names, scale=alt.Scale(domain=names)),
            tooltip=["defense:N", "radius:Q", *_percent("rate", "low", "high")],
        ),
    ]
    return finish(alt.layer(*layers).properties(width="container", height=260), description)


WALK = 420  # pixels a side of a plane that is walked through
ON_TINT = "#3b8edb"  # blue that shows on the blue region, on a light page and on a dark one
_COLOURS = [BELOW, ABOVE, "#805ad5", "#2f855a", "#b83280", REFERENCE]
_LEGEND = alt.Legend(columns=3, symbolOpacity=1)
_INTERVALS = ("asr", "test_accuracy")


def _arms(table: pd.DataFrame) -> pd.DataFrame:
    """The arms with their intervals as columns and the family each belongs to."""
    keep = ["name", "sigma", "n", "asr", "asr_start", "test_accuracy", "paper_accuracy"]
    arms = table[keep].assign(family=[_family(arm) for _, arm in table.iterrows()])
    for name in _INTERVALS:
        arms[f"{name}_low"], arms[f"{name}_high"] = zip(*table[f"{name}_ci"], strict=True)
    return arms.round(4)


def _family(arm: Mapping[str, Any]) -> str:
    if arm["augmented"]:
        return "trained under noise"
    if arm["repeats"] > 1:
        return "repeated queries"
    return {"none": "undefended", "fixed noise": "fixed noise", "abstaining": "abstaining"}.get(
        arm["defense"], "fresh noise"
    )


def _long(arms: pd.DataFrame) -> pd.DataFrame:
    """A row an arm and panel: columns sigma, N, panel, value, low, high."""
    parts = [
        arms[["sigma", "N"]].assign(
            panel=name,
            value=arms[name],
            low=arms.get(f"{name}_low", arms[name]),
            high=arms.get(f"{name}_high", arms[name]),
        )
        for name in PANELS
    ]
    return pd.concat(parts)


def _family_colour(arms: pd.DataFrame) -> alt.Color:
    names = [name for name in FAMILIES if name in set(arms["family"])]
    colours = alt.Scale(domain=names, range=[FAMILIES[name] for name in names])
    return alt.Color("family:N", title=None, sort=names, scale=colours, legend=_LEGEND)


def _family_shape(arms: pd.DataFrame) -> alt.Shape:
    names = [name for name in FAMILIES if name in set(arms["family"])]
    return alt.Shape("family:N", title=None, sort=names, scale=alt.Scale(domain=names), legend=_LEGEND)


def _percent(*columns: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:Q", format=".1%") for column in columns]
