"""Every chart of the chapters that compare defences: a tidy table in, an Altair chart with alt text out.

No function computes a result; the tables come from the experiments on inversion, the frontier, distillation and
attackers that know the defence. Intervals come as pairs in columns that end in `_ci`.
"""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from rp_tutorial.figures import base as kit
from rp_tutorial.figures.palette import REFERENCE, looks, on_page, page_name

VERDICTS = ("open", "shown", "contradicted", "traded")
ACCURACIES = (0.0, 0.2, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 1.0)  # at the ticks of a stretched axis
HALF_WAY = 0.005  # wrong answers, about which a stretched axis turns from even to logarithmic
MEASURES = {"agreement": "agreement with the undefended net", "test_accuracy": "accuracy on test images"}


def frontier(
    table: pd.DataFrame,
    *,
    front: Sequence[str] = (),
    y: str = "asr",
    title: str = "attack success rate",
    chance: float | None = None,
    accuracy_from: float = 0.0,
    y_from: float = 0.0,
    stretched: bool = True,
) -> alt.LayerChart:
    """What each defence costs and what it buys, with the intervals of both, and the front that nobody beats.

    table: columns name, family, test_accuracy, test_accuracy_ci, `y`, `y`_ci, a row an arm. front: the names on it,
    as `statistics.fronts.front` gives them. chance: what an adversary gets without any release, drawn as a rule.
    The dashed staircase is the least `y` to be had with at least that accuracy; the best place is bottom right.
    accuracy_from: less accurate arms are left out. y_from: where the axis of `y` begins. stretched: the axis of the
    accuracy is a logarithm of the wrong answers, which parts what is nearly always right.
    """
    table = on_page(table, "name", "family")
    front = [page_name(name) for name in front]
    # Of the whole table, so that a family looks the same in every section of it.
    look = looks("family", table["family"])
    table = table[table["test_accuracy"] >= accuracy_from]
    arms = kit.measured(table, "test_accuracy", "name", "family", value="test_accuracy", ends="test_accuracy_")
    arms = arms.join(kit.measured(table, y, value="loss", ends="loss_"))
    front = [name for name in front if name in set(arms["name"])]
    across, low, high = _accuracy_axis(stretched)
    up = alt.Y("loss:Q", title=title, scale=alt.Scale(domain=[y_from, 1]), axis=alt.Axis(format="%"))
    ends = kit.tooltips("loss_low", "loss_high", loss_low="from", loss_high="to")
    base = alt.Chart(_wrong(arms))
    interval = base.mark_rule(opacity=0.3, clip=True).encode(color=look["color"])
    layers = [
        interval.encode(x=low, x2=high, y=up),
        interval.encode(x=across, y="loss_low:Q", y2="loss_high:Q"),
        base.mark_point(filled=True, size=55, opacity=0.9, clip=True).encode(
            x=across,
            y=up,
            **look,
            tooltip=[*kit.named("name"), *kit.tooltips("test_accuracy", "loss", loss=title), *ends],
        ),
    ]
    at = arms.set_index("name")
    if front:
        stairs = alt.Chart(_wrong(_staircase(arms, front))).mark_line(
            interpolate="step-before", strokeDash=[6, 4], strokeWidth=1.5, color=REFERENCE, clip=True
        )
        layers.insert(0, stairs.encode(x=across, y=up, order="test_accuracy:Q"))
    if chance is not None:
        rule = alt.Chart(pd.DataFrame({"chance": [round(chance, 4)]})).mark_rule(strokeDash=[2, 3], color=REFERENCE)
        layers.append(rule.encode(y="chance:Q"))
    said = front or [at["loss"].idxmax(), at["loss"].idxmin()]
    steps = "; ".join(f"{n}: {at.loc[n, 'test_accuracy']:.0%} accurate, {at.loc[n, 'loss']:.0%}" for n in said)
    spoken = (
        f"{title.capitalize()} against test accuracy of {len(arms)} arms with 95 % intervals. "
        f"{'On the front' if front else 'The highest and the lowest'}: {steps}."
    )
    return kit.finish(alt.layer(*layers).properties(width="container", height=340), spoken)


def asr_arms(table: pd.DataFrame) -> alt.LayerChart:
    """ASR of every arm with its interval, a row an arm, and a tick at what its starting points score by themselves.

    table: columns name, family, asr, asr_ci, asr_start, in the order in which the arms are drawn.
    """
    rows = on_page(table, "name").itertuples(index=False)
    spoken = "; ".join(f"{row.name}: {row.asr:.0%}" for row in rows)
    return kit.estimates(
        table,
        group="name",
        source="family",
        of="asr",
        tick="asr_start",
        title="ASR; tick: starting points alone",
        number=".1%",
        description="Attack success rate with its 95 % interval for each arm, and a tick for the starting points. "
        f"{spoken}.",
    )


def front_areas(table: pd.DataFrame) -> alt.LayerChart:
    """The area under each family's front with its bootstrap interval, and a tick where arms are judged on new targets.

    table: as `statistics.fronts.areas` gives it. Small is good: an ASR, averaged over accuracies.
    """
    spoken = "; ".join(
        "{}: {:.0%} ({:.0%} to {:.0%})".format(page_name(row[0]), *row[1:])
        for row in kit.measured(table, "area", "family").values
    )
    return kit.estimates(
        table,
        group="family",
        of="area",
        tick="cross_fitted",
        title="mean least ASR over accuracies; tick: cross-fitted",
        number=".1%",
        description=f"Area under the front of each family, which is a mean ASR, with 95 % intervals. {spoken}.",
    )


def gains(table: pd.DataFrame, *, title: str, description: str) -> alt.LayerChart:
    """A claim tried pair by pair: what the adversary gains if one defence stands for the other, with its interval.

    table: columns name, asr_gain, asr_gain_ci and verdict, a row a pair; pairs without a rival are left out.
    Left of zero the claim is right.
    """
    rivals = table[table["verdict"] != "no rival"]
    look = {"source": "verdict", "first": VERDICTS, "number": "+.1%"}
    return kit.estimates(rivals, group="name", of="asr_gain", title=title, description=description, **look)


def distillation_curves(table: pd.DataFrame, *, measures: Sequence[str] = tuple(MEASURES)) -> alt.FacetChart:
    """What students have learnt from so many queries: a panel a measure, a line a teacher, intervals over images.

    table: columns name (of the teacher), queries, and for each measure `measure` and `measure`_ci (pairs); the table
    `students` of `experiments.distillation`.
    """
    learnt = pd.concat(kit.measured(table, of, "name", "queries").assign(panel=MEASURES.get(of, of)) for of in measures)
    learnt = on_page(learnt, "name")
    names, shown = (list(dict.fromkeys(learnt[column])) for column in ("name", "panel"))
    look = looks("name", names, columns=2, lines=True)
    axis = alt.Axis(format=",", values=sorted(set(learnt["queries"])))
    scale = alt.Scale(type="log", nice=False, padding=8)
    base = alt.Chart(learnt).encode(x=alt.X("queries:Q", title="queries", scale=scale, axis=axis))
    value = alt.Y("value:Q", title=None, scale=kit.SHARE, axis=alt.Axis(format="%"))
    read = [*kit.named("name"), *kit.tooltips("queries", format=","), *kit.tooltips("value", "low", "high")]
    layers = kit.curves(base, value, read, look)
    most = learnt[learnt["queries"] == learnt["queries"].max()]
    first = most[most["panel"] == shown[0]]
    spoken = "; ".join(f"{row.name}: {row.value:.0%}" for row in first.itertuples(index=False))
    chart = alt.layer(*layers).properties(width=kit.WIDTH, height=190)
    return kit.finish(
        kit.panels(chart, "panel", shown),
        f"Against the number of queries, {' and '.join(shown)}, a line for each of {len(names)} teachers. "
        f"{shown[0].capitalize()} at {int(most['queries'].max())} queries: {spoken}.",
    )


def adaptive_attackers(table: pd.DataFrame, *, reference: str) -> alt.FacetChart:
    """ASR of every attacker against every defence, a panel a defence, at equal budgets; the published one stands out.

    table: columns defense, attacker, sees, asr, asr_ci, as `experiments.faces.adaptive.table` gives them. reference:
    the name of the attacker that does not know the defence. Who sees more than labels says so and looks different.
    """
    kinds = ("does not know the defence", "knows the defence", "sees more than labels, for contrast")
    more = table["sees"] != "labels"
    rows = on_page(table, "defense").assign(
        kind=[kinds[2] if m else kinds[name != reference] for name, m in zip(table["attacker"], more, strict=True)],
        attacker=table["attacker"].where(~more, table["attacker"] + " (sees " + table["sees"] + ")"),
    )
    spoken = []
    for defense, own in rows[~more].groupby("defense", sort=False):
        known = [f"{asr:.0%} by {reference}, " for asr in own.loc[own["attacker"] == reference, "asr"]]
        best = own.loc[own["asr"].idxmax()]
        spoken.append(f"{defense}: {''.join(known)}at most {best['asr']:.0%} by {best['attacker']}")
    return kit.estimates(
        rows,
        group="attacker",
        source="kind",
        first=kinds if more.any() else kinds[:2],
        panel="defense",
        of="asr",
        title="attack success rate",
        number=".1%",
        description=f"ASR of {rows['attacker'].nunique()} attackers with 95 % intervals, a panel a defence. "
        f"{'; '.join(spoken)}.",
    )


def _staircase(arms: pd.DataFrame, front: Sequence[str]) -> pd.DataFrame:
    """The corners of the front by rising accuracy, drawn on to the left edge: what is less accurate costs no less."""
    corners = arms[arms["name"].isin(front)].sort_values("test_accuracy")[["test_accuracy", "loss"]]
    edge = pd.DataFrame({"test_accuracy": [arms["test_accuracy_low"].min()], "loss": corners["loss"].iloc[:1]})
    return pd.concat([edge, corners])


def _wrong(arms: pd.DataFrame) -> pd.DataFrame:
    """With what is left to 1 of every accuracy, for a stretched axis."""
    accuracies = [name for name in arms if name.startswith("test_accuracy")]
    return arms.assign(**{name.replace("test_accuracy", "wrong"): (1 - arms[name]).round(4) for name in accuracies})


def _accuracy_axis(stretched: bool) -> tuple[alt.X, alt.X, str]:
    """Accuracy to the right, evenly or by the logarithm of the wrong answers: of a point, and of an interval's ends."""
    if not stretched:
        even = {"title": "test accuracy", "scale": alt.Scale(zero=False), "axis": alt.Axis(format="%")}
        return alt.X("test_accuracy:Q", **even), alt.X("test_accuracy_low:Q", **even), "test_accuracy_high:Q"
    axis = alt.Axis(values=[round(1 - part, 2) for part in ACCURACIES], labelExpr="format(1 - datum.value, '.0%')")
    scale = alt.Scale(type="symlog", constant=HALF_WAY, reverse=True, nice=False, zero=False)
    longer = {"title": "test accuracy (stretched towards 100 %)", "scale": scale, "axis": axis}
    return alt.X("wrong:Q", **longer), alt.X("wrong_low:Q", **longer), "wrong_high:Q"
