"""Every chart of the face chapters: a tidy table in, an Altair chart with alt text out.

No function but `label_regions` computes anything; the tables come from `experiments.faces`. Pictures are made in
`contact_sheets.py`; charts of many arms are in `comparisons.py`.
"""

from collections.abc import Callable

import altair as alt
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rp_tutorial.core.arguments import count
from rp_tutorial.experiments.paper import FIGURE3
from rp_tutorial.figures import base as kit
from rp_tutorial.figures.palette import ABOVE, BELOW, REFERENCE, looks, on_page

ON_TINT = "#3b8edb"  # blue that shows on the blue region, on a light page and on a dark one
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
        ends = np.r_[starts[1:], cells]
        bars += [(row[start], start, end, line, line + 1) for start, end in zip(starts, ends, strict=True)]
    table = pd.DataFrame(bars, columns=["label", "x", "x2", "y", "y2"])  # corners in cells, then in the plane
    table[["x", "x2"]] = low[0] + width * table[["x", "x2"]]
    table[["y", "y2"]] = low[1] + height * table[["y", "y2"]]
    return table.round(4)


def latent_walk(
    regions: pd.DataFrame, probes: pd.DataFrame, passes: pd.DataFrame, *, target: int, description: str
) -> alt.LayerChart:
    """A slider over the passes of an attack in a plane: the sphere, which of its points are inside, the path so far.

    regions: `label_regions`. probes: columns pass, x, y, inside, a row a point of a sphere. passes: columns pass, x,
    y (centre before the step), rho, inside (how many points), accepted; pass counts from 0. The slider is in the page;
    no kernel is needed. The target's region is tinted, the others are shades of grey.
    """
    last = int(passes["pass"].max())
    shown = kit.slider("pass_", "pass", last // 3, 0, last, 1)
    ends = (regions[["x", "y"]].min(), regions[["x2", "y2"]].max())
    x = alt.X("x:Q", title="v₁ (latent units)", scale=alt.Scale(domain=[ends[0]["x"], ends[1]["x2"]], nice=False))
    y = alt.Y("y:Q", title="v₂ (latent units)", scale=alt.Scale(domain=[ends[0]["y"], ends[1]["y2"]], nice=False))
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
        f"{len(probes) // len(passes)} + ' inside, ρ = ' + format(datum.rho, '.2f') + ', step ' + "
        "(datum.accepted ? 'taken' : 'refused')"
    )
    text = (
        here.transform_calculate(text=line)
        .mark_text(align="left", baseline="top", fontSize=13, fontWeight="bold")
        .encode(x=alt.value(6), y=alt.value(6), text="text:N")
    )
    chart = alt.layer(background, path, points, centre, text).add_params(shown)
    return kit.finish(chart.properties(width=kit.WIDTH, height=kit.WIDTH), description)


def asr_by_sigma(table: pd.DataFrame) -> alt.FacetChart:
    """Figure 3 of the paper beside ours: ASR and two accuracies against sigma, a line for every N, intervals.

    table: `experiments.faces.inversion.table`; drawn are the undefended net (sigma = 0) and fresh noise on a net
    trained without noise, asked once a probe. The paper's percentages, FIGURE3, are drawn as open points.
    """
    fresh = table[table["family"].isin(["none", "plain noise", "smoothing"])]
    fresh = fresh.assign(N=fresh["n"].where(fresh["sigma"] > 0, 0))
    ours = pd.concat(kit.measured(fresh, name, "sigma", "N").assign(panel=name) for name in PANELS)
    printed = pd.DataFrame(FIGURE3).rename(columns={"n": "N"})
    theirs = printed.melt(["sigma", "N"], ["asr", "paper_accuracy"], "panel", "value").dropna()
    both = pd.concat([ours.assign(source="ours"), theirs.assign(value=theirs["value"] / 100, source="paper")])
    start = both[both["sigma"] == 0]  # the undefended net stands at the left end of every line
    ends = [start.assign(N=n) for n in sorted(set(both["N"]) - {0})]
    both = pd.concat([both[both["sigma"] > 0], *ends]).assign(N=lambda t: t["N"].astype(int))
    both["panel"] = both["panel"].map(PANELS)
    names = {n: f"VOTE, N = {n}" if n > 1 else "plain noise, N = 1" for n in sorted(set(both["N"]))}
    both["N"] = both["N"].map(names)
    look = looks("N", list(names.values()), lines=True)
    base = alt.Chart(both.drop_duplicates().round(4)).encode(x=alt.X("sigma:Q", title="σ (pixel range)"))
    value = alt.Y("value:Q", title=None, scale=kit.SHARE, axis=alt.Axis(format="%"))
    mine, papers = (base.transform_filter(f"datum.source == '{source}'") for source in ("ours", "paper"))
    read = [*kit.named("source", "N"), *kit.tooltips("sigma", format="~g", sigma="σ"), *kit.tooltips("value")]
    open_points = papers.mark_point(filled=False, size=130, strokeWidth=2.5, shape="triangle-up", opacity=1)
    theirs_drawn = open_points.encode(y=value, color=look["color"], tooltip=read)
    layers = [*kit.curves(mine, value, read, look), theirs_drawn]
    order = [name for name in PANELS.values() if name in set(both["panel"])]
    return kit.finish(
        kit.panels(alt.layer(*layers).properties(width=kit.WIDTH, height=150), "panel", order),
        f"Against sigma from 0 to {both['sigma'].max():g}, one line for each of {', '.join(names.values())}: "
        f"{', '.join(order)}. Filled points with 95 % intervals are ours, open triangles the paper's printed numbers.",
    )


def flip_rates(table: pd.DataFrame, *, description: str) -> alt.LayerChart:
    """How often a label changes at a latent distance from a point inside the target's region, a line a defence.

    table: columns defense, radius (latent units), rate, low, high, in the order in which the defences are listed.
    """
    table = on_page(table, "defense")
    look = looks("defense", table["defense"], lines=True)
    base = alt.Chart(table).encode(x=alt.X("radius:Q", title="distance |z − z₀| (latent units)"))
    y = alt.Y("rate:Q", title="share of labels that change", scale=kit.SHARE, axis=alt.Axis(format="%"))
    read = [*kit.named("defense"), *kit.tooltips("radius", format="~g"), *kit.tooltips("rate", "low", "high")]
    layers = kit.curves(base, y, read, look, band=True)
    return kit.finish(alt.layer(*layers).properties(width="container", height=260), description)
