"""Every chart of the chapters that compare defences: a tidy table in, an Altair chart with alt text out.

No function computes a result; the tables come from the experiments on the frontier, distillation and attackers that
know the defence. Charts of single defences are in `faces.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import pandas as pd

from rp_tutorial.figures.base import ABOVE, BELOW, REFERENCE, finish

# Colours that hold on light and dark pages; with shapes of another period no two families of a figure look alike.
COLOURS = (REFERENCE, ABOVE, BELOW, "#2f855a", "#b83280", "#805ad5")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left", "triangle-right")
VERDICTS = {"shown": ABOVE, "contradicted": BELOW, "traded": "#805ad5", "open": REFERENCE}
PANEL = 420  # of charts with rows of panels; charts of one panel take the width of the page
MEASURES = {"agreement": "agreement with the undefended net", "test_accuracy": "accuracy on test images"}


def frontier(
    table: pd.DataFrame,
    *,
    front: Sequence[str],
    y: str = "asr",
    title: str = "attack success rate",
    chance: float | None = None,
    accuracy_from: float = 0.0,
    y_from: float = 0.0,
) -> alt.LayerChart:
    """What each defence costs and what it buys, with the intervals of both, and the front that nobody beats.

    table: columns name, family, test_accuracy, accuracy_ci, `y`, `y`_ci (pairs), a row an arm. front: the names on it,
    as `experiments.pareto.front` gives them. chance: what an adversary gets without any release, drawn as a rule.
    The dashed staircase is the least `y` to be had with at least that accuracy; the best place is bottom right.
    accuracy_from: less accurate arms are left out. y_from: where the axis of `y` begins.
    """
    families = list(
        dict.fromkeys(table["family"])
    )  # of the whole table: a family looks the same in every section of it
    table = table[table["test_accuracy"] >= accuracy_from]
    arms = table[["name", "family", "test_accuracy", y]].rename(columns={y: "loss"}).copy()
    for column, ends in (("test_accuracy", "accuracy_ci"), ("loss", f"{y}_ci")):
        arms[f"{column}_low"], arms[f"{column}_high"] = zip(*table[ends], strict=True)
    arms = arms.round(4)
    colour, shape = _colour("family", families), _shape("family", families)
    axis = alt.Axis(format="%")
    across = alt.X("test_accuracy:Q", title="test accuracy", scale=alt.Scale(zero=False), axis=axis)
    up = alt.Y("loss:Q", title=title, scale=alt.Scale(domain=[y_from, 1]), axis=axis)
    base = alt.Chart(arms)
    interval = base.mark_rule(opacity=0.45, clip=True).encode(color=colour)
    layers = [
        alt.Chart(_staircase(arms, front))
        .mark_line(interpolate="step-before", strokeDash=[6, 4], strokeWidth=1.5, color=REFERENCE, clip=True)
        .encode(x=across, y=up, order="test_accuracy:Q"),
        interval.encode(x="test_accuracy_low:Q", x2="test_accuracy_high:Q", y=up),
        interval.encode(x=across, y="loss_low:Q", y2="loss_high:Q"),
        base.mark_point(filled=True, size=85, opacity=1, clip=True).encode(
            x=across, y=up, color=colour, shape=shape, tooltip=["name:N", *_percent("test_accuracy", "loss", "loss_low",
                                                                                   "loss_high")],
        ),
    ]  # fmt: skip
    if chance is not None:
        rule = alt.Chart(pd.DataFrame({"chance": [round(chance, 4)]})).mark_rule(strokeDash=[2, 3], color=REFERENCE)
        layers.append(rule.encode(y="chance:Q"))
    at = arms.set_index("name")
    front = [name for name in front if name in at.index]
    steps = "; ".join(f"{n}: {at.loc[n, 'test_accuracy']:.0%} accurate, {at.loc[n, 'loss']:.0%}" for n in front)
    spoken = (
        f"{title.capitalize()} against test accuracy of {len(arms)} arms with 95 % intervals. On the front: {steps}."
    )
    return finish(alt.layer(*layers).properties(width="container", height=340), spoken)


def front_areas(table: pd.DataFrame) -> alt.LayerChart:
    """The area under each family's front with its bootstrap interval, and a tick where arms are judged on new targets.

    table: as `experiments.pareto.areas` gives it. Small is good: an ASR, averaged over accuracies.
    """
    areas = table[["family", "area", "cross_fitted"]].copy()
    areas["low"], areas["high"] = zip(*table["area_ci"], strict=True)
    areas = areas.round(4)
    base = alt.Chart(areas).encode(y=alt.Y("family:N", title=None, sort=None))
    x = alt.X(
        "area:Q",
        title="mean least ASR over accuracies; tick: cross-fitted",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(format="%"),
    )
    layers = [
        base.mark_tick(thickness=2, size=14, color=BELOW).encode(x="cross_fitted:Q"),
        base.mark_rule(strokeWidth=3, color=ABOVE).encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=80, opacity=1, color=ABOVE).encode(
            x=x, tooltip=["family:N", *_percent("area", "low", "high", "cross_fitted")]
        ),
    ]
    spoken = "; ".join(f"{row.family}: {row.area:.0%} ({row.low:.0%} to {row.high:.0%})" for row in areas.itertuples())
    return finish(
        alt.layer(*layers).properties(width="container", height=26 * len(areas)),
        f"Area under the front of each family, which is a mean ASR, with 95 % intervals. {spoken}.",
    )


def gains(table: pd.DataFrame, *, gain: str = "asr_gain", title: str, description: str) -> alt.LayerChart:
    """A claim tried pair by pair: what the adversary gains if one defence stands for the other, with its interval.

    table: columns name, `gain`, `gain`_ci (pairs) and verdict, a row a pair; pairs without a rival are left out.
    Left of zero the claim is right.
    """
    rows = table[table["verdict"] != "no rival"]
    shown = pd.DataFrame({"name": rows["name"], "gain": rows[gain].astype(float), "verdict": rows["verdict"]})
    shown["low"], shown["high"] = zip(*rows[f"{gain}_ci"], strict=True) if len(rows) else ((), ())
    shown = shown.round(4)
    verdicts = [verdict for verdict in VERDICTS if verdict in set(shown["verdict"])]
    colour = alt.Color(
        "verdict:N",
        title=None,
        sort=verdicts,
        scale=alt.Scale(domain=verdicts, range=[VERDICTS[verdict] for verdict in verdicts]),
    )
    shape = alt.Shape("verdict:N", title=None, sort=verdicts, scale=alt.Scale(domain=verdicts))
    base = alt.Chart(shown).encode(y=alt.Y("name:N", title=None, sort=None))
    x = alt.X("gain:Q", title=title, axis=alt.Axis(format="+%"))
    layers = [
        alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(strokeDash=[6, 4], color=REFERENCE).encode(x="zero:Q"),
        base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", color=colour),
        base.mark_point(filled=True, size=80, opacity=1).encode(
            x=x,
            color=colour,
            shape=shape,
            tooltip=["name:N", "verdict:N", *(alt.Tooltip(f"{c}:Q", format="+.1%") for c in ("gain", "low", "high"))],
        ),
    ]
    return finish(alt.layer(*layers).properties(width="container", height=26 * max(len(shown), 1)), description)


def distillation_curves(table: pd.DataFrame, *, measures: Sequence[str] = tuple(MEASURES)) -> alt.FacetChart:
    """What students have learnt from so many queries: a panel a measure, a line a teacher, intervals over images.

    table: columns name (of the teacher), queries, and for each measure `measure` and `measure`_ci (pairs); the table
    `students` of `experiments.distillation`.
    """
    parts = []
    for measure in measures:
        part = table[["name", "queries"]].assign(
            panel=MEASURES.get(measure, measure), value=table[measure].astype(float)
        )
        part["low"], part["high"] = zip(*table[f"{measure}_ci"], strict=True)
        parts.append(part)
    curves = pd.concat(parts).round(4)
    names, panels = (list(dict.fromkeys(curves[column])) for column in ("name", "panel"))
    colour, shape = _colour("name", names, columns=2), _shape("name", names, columns=2)
    base = alt.Chart(curves).encode(
        x=alt.X("queries:Q", title="queries, log", scale=alt.Scale(type="log", nice=False, padding=8)), color=colour
    )
    value = alt.Y("value:Q", title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        base.mark_line(strokeWidth=2).encode(y=value, detail="name:N"),
        base.mark_rule(opacity=0.5).encode(y="low:Q", y2="high:Q"),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            y=value, shape=shape, tooltip=["name:N", "queries:Q", *_percent("value", "low", "high")]
        ),
    ]
    most = curves[curves["queries"] == curves["queries"].max()]
    first = most[most["panel"] == panels[0]]
    spoken = "; ".join(f"{row.name}: {row.value:.0%}" for row in first.itertuples(index=False))
    chart = alt.layer(*layers).properties(width=PANEL, height=190)
    header = alt.Header(labelAngle=0, labelAnchor="start", labelOrient="top")
    return finish(
        chart.facet(row=alt.Row("panel:N", sort=panels, title=None, header=header)),
        f"Against the number of queries, {' and '.join(panels)}, a line for each of {len(names)} teachers. "
        f"{panels[0].capitalize()} at {int(most['queries'].max())} queries: {spoken}.",
    )


def adaptive_attackers(table: pd.DataFrame, *, reference: str) -> alt.FacetChart:
    """ASR of every attacker against every defence, a panel a defence, at equal budgets; the published one stands out.

    table: columns defense, attacker, asr, asr_ci (pairs), the rows of `experiments.adaptive`. reference: the name of
    the attacker that does not know the defence.
    """
    rows = table[["defense", "attacker", "asr"]].copy()
    rows["low"], rows["high"] = zip(*table["asr_ci"], strict=True)
    kinds = ["knows the defence", "does not"]
    rows["kind"] = [kinds[name == reference] for name in rows["attacker"]]
    rows = rows.round(4)
    defenses, attackers = (list(dict.fromkeys(rows[column])) for column in ("defense", "attacker"))
    colour = alt.Color("kind:N", title=None, sort=kinds, scale=alt.Scale(domain=kinds, range=[BELOW, ABOVE]))
    shape = alt.Shape("kind:N", title=None, sort=kinds, scale=alt.Scale(domain=kinds, range=["circle", "diamond"]))
    base = alt.Chart(rows).encode(y=alt.Y("attacker:N", title=None, sort=attackers))
    x = alt.X("asr:Q", title="attack success rate", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format="%"))
    layers = [
        base.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", color=colour),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x=x, color=colour, shape=shape, tooltip=["defense:N", "attacker:N", *_percent("asr", "low", "high")]
        ),
    ]
    spoken = []
    for defense in defenses:
        own = rows[rows["defense"] == defense].sort_values("asr", ascending=False, kind="stable")
        known = own[own["attacker"] == reference]["asr"]
        said = f"{own['asr'].iloc[0]:.0%} by {own['attacker'].iloc[0]}"
        spoken.append(
            f"{defense}: " + (f"{known.iloc[0]:.0%} by {reference}, " if len(known) else "") + f"at most {said}"
        )
    chart = alt.layer(*layers).properties(width=PANEL, height=17 * len(attackers))
    header = alt.Header(labelAngle=0, labelAnchor="start", labelOrient="top")
    return finish(
        chart.facet(row=alt.Row("defense:N", sort=defenses, title=None, header=header)),
        f"ASR of {len(attackers)} attackers with 95 % intervals, a panel a defence. {'; '.join(spoken)}.",
    )


def _staircase(arms: pd.DataFrame, front: Sequence[str]) -> pd.DataFrame:
    """The corners of the front by rising accuracy, drawn on to the left edge: what is less accurate costs no less."""
    corners = arms[arms["name"].isin(front)].sort_values("test_accuracy")[["test_accuracy", "loss"]]
    edge = pd.DataFrame({"test_accuracy": [arms["test_accuracy_low"].min()], "loss": corners["loss"].iloc[:1]})
    return pd.concat([edge, corners])


def _colour(field: str, names: Sequence[str], *, columns: int = 3) -> alt.Color:
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    legend = alt.Legend(columns=columns, symbolOpacity=1)
    return alt.Color(
        f"{field}:N", title=None, sort=list(names), scale=alt.Scale(domain=list(names), range=colours), legend=legend
    )


def _shape(field: str, names: Sequence[str], *, columns: int = 3) -> alt.Shape:
    shapes = [SHAPES[i % len(SHAPES)] for i in range(len(names))]
    legend = alt.Legend(columns=columns, symbolOpacity=1)
    return alt.Shape(
        f"{field}:N", title=None, sort=list(names), scale=alt.Scale(domain=list(names), range=shapes), legend=legend
    )


def _percent(*columns: str) -> list[alt.Tooltip]:
    return [alt.Tooltip(f"{column}:Q", format=".1%") for column in columns]
