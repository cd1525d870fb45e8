"""Charts of the table experiments and of the theory: what a release tells, and what a number of samples certifies.

A tidy table in, an Altair chart with alt text out; no function computes a result. Charts that any chapter may draw
are in `base.py`, those of faces and of compared defences in files of their own.
"""

from typing import Any

import altair as alt
import pandas as pd
from scipy.stats import norm

from rp_tutorial.figures.base import LOG, WIDTH, finish, named, panels, slider, words
from rp_tutorial.figures.palette import ABOVE, BELOW, REFERENCE, looks
from rp_tutorial.theory.robust_privacy import rounded_down


def release_histogram(
    table: pd.DataFrame, *, threshold: float, attribute: str = "BMI", unit: str = "kg/m²", width: float = 0.2
) -> alt.FacetChart:
    """Figures 1 and 4 of the paper: BMI of everything released as class 1, a panel a classifier, log counts.

    table: columns classifier, bin_left, count, as `tables()["figure1"]` of the experiment. threshold, and width of a
    bin, in the attribute's unit.
    """
    shown = table.assign(
        bin_right=table["bin_left"] + width,
        side=(table["bin_left"] >= threshold - 1e-6).map({True: "above B", False: "below B"}),
        B=threshold,
        floor=0.8,
    )[["classifier", "bin_left", "bin_right", "count", "side", "B", "floor"]]
    shown = shown[shown["bin_left"] < threshold + 40 * width]  # the right tail is the population's, not the mechanism's
    base = alt.Chart(shown)
    bars = base.mark_bar(binSpacing=0).encode(
        x=alt.X("bin_left:Q", title=f"{attribute} ({unit})", scale=alt.Scale(zero=False), bin=alt.Bin(binned=True)),
        x2="bin_right:Q",
        y=alt.Y("count:Q", title="count", scale=alt.Scale(type="log", domainMin=0.8)),
        y2="floor:Q",
        color=alt.Color(
            "side:N", title="side of B", scale=alt.Scale(domain=["above B", "below B"], range=[ABOVE, BELOW])
        ),
        tooltip=[alt.Tooltip("bin_left:Q", title="from"), alt.Tooltip("count:Q")],
    )
    rule = base.mark_rule(strokeDash=[6, 4], color=REFERENCE).encode(x="B:Q")
    chart = (bars + rule).properties(width=WIDTH, height=90)
    classifiers = ", ".join(map(str, dict.fromkeys(table["classifier"])))
    return finish(
        panels(chart, "classifier", table["classifier"]),
        f"Histograms of the {attribute} of inputs released as class 1, one panel for each of {classifiers}. "
        f"A dashed line marks the threshold B = {threshold:g}. Bars to its left are releases below the threshold.",
    )


def rates_by_sigma(table: pd.DataFrame, *, quantity: str, title: str) -> alt.LayerChart:
    """One quantity of Table 1 against sigma: a point a source (paper, closed form, ours), an interval where given.

    table: columns sigma, source, `quantity`, and optionally low and high.
    """
    look = looks("source", table["source"])
    x = alt.X("sigma:O", title="σ (std)", axis=alt.Axis(labelAngle=0))
    base = alt.Chart(table).encode(x=x, xOffset="source:N", color=look["color"])
    value = alt.Tooltip(f"{quantity}:Q", format=".4f", title=words(quantity))
    read = [*named("source"), alt.Tooltip("sigma:O", title="σ"), value]
    layers = [
        base.mark_point(filled=True, size=80, opacity=1).encode(
            y=alt.Y(f"{quantity}:Q", title=title, scale=alt.Scale(zero=False)), shape=look["shape"], tooltip=read
        )
    ]
    if {"low", "high"} <= set(table.columns):
        layers.append(base.mark_rule().encode(y=alt.Y("low:Q", title=title), y2="high:Q"))
    sources = ", ".join(dict.fromkeys(table["source"]))
    return finish(
        alt.layer(*layers).properties(width="container", height=220),
        f"{title} against sigma = {', '.join(f'{s:g}' for s in sorted(table['sigma'].unique()))}, from {sources}.",
    )


def inferred_intervals(table: pd.DataFrame, *, threshold: float) -> alt.LayerChart:
    """What a label-only adversary concludes about some people: an interval each, with the truth marked on it.

    table: columns person, low, high, truth (kg/m^2), released; one row a person. threshold: in kg/m^2.
    """
    base = alt.Chart(table.assign(B=threshold))
    person = alt.Y("person:O", title="person")
    chart = (
        base.mark_bar(height=8, opacity=0.7).encode(
            x=alt.X("low:Q", title="attribute (kg/m²)", scale=alt.Scale(zero=False)),
            x2="high:Q",
            y=person,
            color=alt.Color("released:N", title="released label", scale=alt.Scale(range=[BELOW, ABOVE])),
        )
        + base.mark_tick(thickness=3, size=16, color=REFERENCE).encode(x="truth:Q", y=person, tooltip=["truth:Q"])
        + base.mark_rule(strokeDash=[6, 4], color=REFERENCE).encode(x="B:Q")
    ).properties(width="container", height=20 * len(table))  # a step would not fit a container
    return finish(
        chart,
        f"For each of {len(table)} people the interval of attribute values compatible with the released label, and a "
        f"tick at the true value. The intervals end at the threshold {threshold:g} kg/m², marked by a dashed line.",
    )


def radius_against_distance(table: pd.DataFrame, *, largest: float) -> alt.LayerChart:
    """Certified radius of every input against its true distance to the boundary; above the diagonal it is wrong.

    table: columns distance and radius, in one unit (std). `largest`: what the number of samples can certify at most.
    """
    end = float(table["distance"].max())
    points = (
        alt.Chart(table.assign(shown=rounded_down(table["radius"], 3)))
        .mark_point(size=18, filled=True, opacity=0.6, color=ABOVE)
        .encode(
            x=alt.X("distance:Q", title="true distance to the boundary (std)"),
            y=alt.Y("radius:Q", title="certified radius (std)"),
            tooltip=[alt.Tooltip("distance:Q", format=".3f"), alt.Tooltip("shown:Q", format=".3f", title="radius")],
        )
    )
    diagonal = pd.DataFrame({"distance": [0.0, min(end, 1.1 * largest)], "radius": [0.0, min(end, 1.1 * largest)]})
    line = alt.Chart(diagonal).mark_line(strokeDash=[5, 4], color=REFERENCE).encode(x="distance:Q", y="radius:Q")
    wall = alt.Chart(pd.DataFrame({"largest": [largest]})).mark_rule(color=BELOW).encode(y="largest:Q")
    return finish(
        alt.layer(points, line, wall).properties(width="container", height=280),
        f"Certified radius against true distance, {len(table)} inputs. Points lie below the dashed diagonal and below "
        f"a horizontal line at {rounded_down(largest):.2f} std, the most this number of samples can certify.",
    )


def interval_sets(
    table: pd.DataFrame, *, row: str, series: str, title: str, description: str, reference: float | None = None
) -> alt.Chart | alt.LayerChart:
    """Sets on a line, one a row, drawn as the bars of their intervals; a dashed line at `reference`.

    table: columns `row`, `series`, low, high; as many lines for a row as its set has intervals.
    """
    rows, names = (list(dict.fromkeys(table[column])) for column in (row, series))
    colours = alt.Scale(domain=names, range=[ABOVE, BELOW, REFERENCE][: len(names)])
    base = alt.Chart(table.assign(B=reference))
    chart: Any = base.mark_bar(height=9, opacity=0.75).encode(
        x=alt.X("low:Q", title=title, scale=alt.Scale(zero=False)),
        x2="high:Q",
        y=alt.Y(f"{row}:N", title=None, sort=rows),
        color=alt.Color(f"{series}:N", title=None, sort=names, scale=colours),
        tooltip=[*named(row, series), alt.Tooltip("low:Q", format=".2f"), alt.Tooltip("high:Q", format=".2f")],
    )
    if reference is not None:
        chart = chart + base.mark_rule(strokeDash=[6, 4], color=REFERENCE).encode(x="B:Q")
    return finish(chart.properties(width="container", height=26 * len(rows)), description)


def live_certificate(table: pd.DataFrame) -> alt.LayerChart:
    """Sliders for p_A, N, alpha and sigma: the radius CERTIFY prints, beside the one with all the samples in the world.

    table: columns p, log10_n, log10_alpha, low: the exact lower bound from a count of p N of N. The rest (the normal
    quantile, sigma) is computed in the page by Vega, so the chart needs no kernel.
    """
    n_steps, alpha_steps = sorted(table["log10_n"].unique()), sorted(table["log10_alpha"].unique())
    p_a = slider("p_A", "p_A", 0.9, float(table["p"].min()), float(table["p"].max()), 0.01)
    log_n = slider("log10_N", LOG + "N", 3.0, n_steps[0], n_steps[-1], n_steps[1] - n_steps[0])
    log_alpha = slider("log10_alpha", LOG + "α", -2.0, alpha_steps[0], alpha_steps[-1], alpha_steps[1] - alpha_steps[0])
    largest = 2.0
    sigma = slider("sigma", "σ", 1.0, 0.25, largest, 0.25)
    top = largest * float(norm.ppf(table["p"].max()))  # fixed, so that sigma moves the curve and not the axis
    chosen = "abs(datum.log10_n - log10_N) < 0.01 && abs(datum.log10_alpha - log10_alpha) < 0.01"
    curve = (
        alt.Chart(table)
        .transform_filter(chosen)
        .transform_calculate(
            certified="max(0, sigma * quantileNormal(datum.low, 0, 1))", ideal="sigma * quantileNormal(datum.p, 0, 1)"
        )
    )
    x = alt.X("p:Q", title="p_A, share of the top label", scale=alt.Scale(domain=[0.5, 1.0]))
    y = alt.Y("ideal:Q", title="radius, in the unit of σ", scale=alt.Scale(domain=[0, top]))
    at_slider = curve.transform_filter("abs(datum.p - p_A) < 0.005")
    parts = [f"'{name} ' + format(floor(1000 * datum.{name}) / 1000, '.3f')" for name in ("certified", "ideal")]
    label = " + ', ' + ".join(parts)  # a radius is rounded down
    layers = [
        curve.mark_line(strokeDash=[5, 4], color=REFERENCE).encode(x=x, y=y),
        curve.mark_line(strokeWidth=2.5, color=ABOVE).encode(x=x, y="certified:Q"),
        at_slider.mark_point(size=110, filled=True, color=BELOW).encode(x=x, y="certified:Q"),
        at_slider.transform_calculate(label=label)
        .mark_text(align="left", baseline="top", fontSize=13, color=BELOW)
        .encode(x=alt.value(8), y=alt.value(4), text="label:N"),
    ]
    chart = alt.layer(*layers).add_params(p_a, log_n, log_alpha, sigma).properties(width="container", height=280)
    return finish(
        chart,
        "Certified radius against p_A for a chosen number of samples N, failure probability alpha and noise scale "
        "sigma, with the radius of infinitely many samples as a dashed line. Sliders below the chart set all four.",
    )


def live_plan(
    table: pd.DataFrame, prices: pd.DataFrame, *, unit: str, population: tuple[float, float], threshold: float
) -> alt.LayerChart:
    """Sliders for sigma, n, N, the advantage and a radius: the deployable radius against an input's margin.

    table: columns u (margin / sigma), log10_n, log10_advantage, low: the bound on p_A that a certificate of n samples
    reaches as often as wanted. prices: log10_N, log10_advantage, vote, predict, in sigma. `population`: mean and std
    of a normal attribute, in `unit` like sigma and the radius; it tells who is nearer to the threshold than the margin
    needed. Quantiles and shares are computed in the page by Vega, so the chart needs no kernel.
    """
    steps = {name: sorted(part[name].unique()) for part in (table, prices) for name in part if name.startswith("log10")}
    sliders = [slider("sigma", f"σ ({unit})", 3.0, 0.5, 15.0, 0.5), slider("R", f"R ({unit})", 2.0, 0.5, 6.0, 0.25)]
    for name, label, value in (
        ("log10_n", LOG + "n", 3.0),
        ("log10_N", LOG + "N", 3.0),
        ("log10_advantage", LOG + "advantage", -2.0),
    ):
        sliders.append(slider(name, label, value, steps[name][0], steps[name][-1], steps[name][1] - steps[name][0]))
    # One whole number a pair (N, advantage), for the page to look the prices up by.
    key = 1000 * (4 * prices["log10_N"]).round() - (4 * prices["log10_advantage"]).round()
    chosen_key = "1000 * round(4 * log10_N) - round(4 * log10_advantage)"
    same = "abs(datum.log10_n - log10_n) < 0.01 && abs(datum.log10_advantage - log10_advantage) < 0.01"
    bound = "sigma * (quantileNormal(datum.low, 0, 1) - datum.{})"
    curve = (
        alt.Chart(table)
        .transform_filter(same)
        .transform_calculate(key=chosen_key, margin="datum.u * sigma")
        .transform_lookup("key", alt.LookupData(prices.assign(key=key), "key", ["vote", "predict"]))
        .transform_calculate(
            VOTE=f"max(0, {bound.format('vote')})", PREDICT=f"max(0, {bound.format('predict')})", ideal="datum.margin"
        )
    )
    names = ["ideal", "VOTE", "PREDICT"]
    x = alt.X("margin:Q", title=f"margin: distance to the boundary ({unit})", scale=alt.Scale(domain=[0, 15]))
    y = alt.Y("radius:Q", title=f"deployable radius ({unit})", scale=alt.Scale(domain=[0, 12]))
    lines = (
        curve.transform_fold(names, as_=["rule", "radius"])
        .mark_line(strokeWidth=2.5, clip=True)
        .encode(
            x=x,
            y=y,
            color=alt.Color(
                "rule:N", title=None, sort=names, scale=alt.Scale(domain=names, range=[REFERENCE, ABOVE, BELOW])
            ),
            strokeDash=alt.condition("datum.rule == 'ideal'", alt.value([5, 4]), alt.value([1, 0])),
        )
    )
    wanted = alt.Chart(pd.DataFrame({"x": [0.0]})).transform_calculate(wanted="R")
    rule = wanted.mark_rule(strokeDash=[2, 3], color=REFERENCE).encode(y="wanted:Q")
    mean, std = population
    share = " - ".join(f"cumulativeNormal({threshold} {sign} datum.needed, {mean}, {std})" for sign in "+-")
    margin = "format(ceil(100 * datum.needed - 1e-6) / 100, '.2f')"  # what is needed is rounded up
    needs = f"'VOTE: R from a margin of ' + {margin} + '; nearer: ' + format(datum.share, '.0%')"
    passes = "format(100 + round(pow(10, log10_n)) + round(pow(10, log10_N)), ',.0f') + ' passes'"
    label = (
        curve.transform_calculate(enough="datum.VOTE >= R ? datum.margin : 1e9")
        .transform_aggregate(needed="min(enough)")
        .transform_calculate(share=share)
        .transform_calculate(text=f"[datum.needed > 1e8 ? 'VOTE: R at no margin' : {needs}, {passes}]")
        .mark_text(align="left", baseline="top", fontSize=12, color=ABOVE)
        .encode(x=alt.value(8), y=alt.value(4), text="text:N")
    )
    chart = alt.layer(lines, rule, label).add_params(*sliders).properties(width="container", height=300)
    return finish(
        chart,
        "Deployable radius of VOTE and PREDICT against the distance of an input to a flat boundary, with the ideal "
        "classifier's radius as a dashed line. Sliders set sigma, the radius wanted, both sample sizes and the "
        "advantage; a line of text says from which margin VOTE reaches the radius and which share of people is nearer.",
    )


def live_profile(table: pd.DataFrame) -> alt.LayerChart:
    """Sliders for N, m, p_A, sigma and a distance: what m votes tell about two people that far apart, at most.

    table: columns s (distance / sigma), log10_N, log10_m, p_low, everybody, certified: the advantage without and with
    a certificate of p_low. sigma stretches the distances in the page, so the chart needs no kernel.
    """
    sliders = [slider("sigma", "σ", 1.0, 0.25, 3.0, 0.25), slider("apart", "distance", 0.5, 0.0, 3.0, 0.05)]
    for name, label in (("log10_N", LOG + "N"), ("log10_m", LOG + "m"), ("p_low", "p_A at least")):
        values = sorted(table[name].unique())
        sliders.append(
            slider(name, label, values[0 if name == "log10_m" else 1], values[0], values[-1], values[1] - values[0])
        )
    chosen = " && ".join(f"abs(datum.{name} - {name}) < 0.01" for name in ("log10_N", "log10_m", "p_low"))
    names = ["everybody", "certified"]
    curve = (
        alt.Chart(table)
        .transform_filter(chosen)
        .transform_calculate(distance="datum.s * sigma")
        .transform_fold(names, as_=["who", "advantage"])
    )
    x = alt.X("distance:Q", title="distance of two people, in the unit of σ", scale=alt.Scale(domain=[0, 3]))
    y = alt.Y("advantage:Q", title="advantage, at most", scale=alt.Scale(domain=[0, 0.5]))
    color = alt.Color("who:N", title=None, sort=names, scale=alt.Scale(domain=names, range=[BELOW, ABOVE]))
    # The first point of the table that is not nearer than the distance asked for: never less than what is told there.
    here = (
        curve.transform_filter("datum.distance >= apart - 1e-9")
        .transform_aggregate(advantage="min(advantage)", groupby=["who"])
        .transform_calculate(distance="apart", text="datum.who + ': ' + format(datum.advantage, '.3f')")
    )
    layers = [
        curve.mark_line(strokeWidth=2.5, clip=True).encode(x=x, y=y, color=color),
        here.mark_point(filled=True, size=90, opacity=1, clip=True).encode(x=x, y=y, color=color),
        here.mark_text(align="left", dx=8, dy=-10, fontSize=13, clip=True).encode(x=x, y=y, text="text:N", color=color),
    ]
    chart = alt.layer(*layers).add_params(*sliders).properties(width="container", height=280)
    return finish(
        chart,
        "The largest advantage of an onlooker against the distance of two people, once for everybody and once for "
        "those with a certificate. Sliders set sigma, the votes N, the releases m, the certified share p_A and a "
        "distance at which both values are written.",
    )
