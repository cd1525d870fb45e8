"""Charts of the comparisons: alt text that says the numbers, marks that are drawn, and a front where it belongs."""

from __future__ import annotations

import inspect

import altair as alt
import pandas as pd
import pytest
import vl_convert

from rp_tutorial.figures import comparisons as comparison_figures


def arm(name: str, family: str, accuracy: float, asr: float) -> dict[str, object]:
    return {
        "name": name,
        "family": family,
        "test_accuracy": accuracy,
        "accuracy_ci": [accuracy - 0.02, min(1.0, accuracy + 0.02)],
        "asr": asr,
        "asr_ci": [max(0.0, asr - 0.1), min(1.0, asr + 0.1)],
    }


ARMS = pd.DataFrame(
    [
        arm("none", "none", 0.98, 0.66),
        arm("smoothing, sigma 0.1", "smoothing", 0.97, 0.5),
        arm("smoothing, sigma 0.2", "smoothing", 0.8, 0.34),
        arm("randomized response", "randomized response", 0.9, 0.6),
        arm("DP-SGD", "DP-SGD", 0.5, 0.3),
    ]
)
FRONT = ["DP-SGD", "smoothing, sigma 0.2", "smoothing, sigma 0.1", "none"]
AREAS = pd.DataFrame(
    {
        "family": ["none", "smoothing"],
        "area": [0.66, 0.4],
        "area_ci": [[0.6, 0.7], [0.3, 0.5]],
        "cross_fitted": [0.66, 0.45],
    }
)
GAINS = pd.DataFrame(
    [
        {"name": "DP-SGD", "verdict": "shown", "asr_gain": -0.3, "asr_gain_ci": [-0.4, -0.2]},
        {"name": "response", "verdict": "contradicted", "asr_gain": 0.2, "asr_gain_ci": [0.1, 0.3]},
        {"name": "response 2", "verdict": "open", "asr_gain": 0.0, "asr_gain_ci": [-0.1, 0.1]},
        {"name": "response 4", "verdict": "traded", "asr_gain": 0.2, "asr_gain_ci": [0.1, 0.3]},
        {"name": "response 3", "verdict": "no rival", "asr_gain": None, "asr_gain_ci": None},
    ]
)
STUDENTS = pd.DataFrame(
    [
        {"name": name, "queries": queries, "agreement": value, "agreement_ci": [value - 0.05, value + 0.05]}
        | {"test_accuracy": value - 0.1, "test_accuracy_ci": [value - 0.15, value - 0.05]}
        for name, values in {"none": (0.5, 0.7, 0.9), "smoothing": (0.4, 0.6, 0.8)}.items()
        for queries, value in zip((1000, 4000, 16000), values, strict=True)
    ]
)
ATTACKS = pd.DataFrame(
    [
        {"defense": defense, "attacker": attacker, "asr": asr, "asr_ci": [asr - 0.1, asr + 0.1]}
        for defense, rates in {"none": (0.6, 0.5, 0.4), "smoothing": (0.4, 0.7, 0.3)}.items()
        for attacker, asr in zip(("BREP-MI", "repeated queries", "distil, then invert"), rates, strict=True)
    ]
)
CHARTS = {
    "frontier": lambda: comparison_figures.frontier(ARMS, front=FRONT, chance=0.0125),
    "front_areas": lambda: comparison_figures.front_areas(AREAS),
    "gains": lambda: comparison_figures.gains(
        GAINS, title="ASR gained", description="Of five pairs, four are drawn here."
    ),
    "distillation_curves": lambda: comparison_figures.distillation_curves(STUDENTS),
    "adaptive_attackers": lambda: comparison_figures.adaptive_attackers(ATTACKS, reference="BREP-MI"),
}
each_chart = pytest.mark.parametrize("name", CHARTS)


def drawn(chart: alt.TopLevelMixin) -> str:
    return vl_convert.vegalite_to_svg(chart.to_json())


@each_chart
def test_a_chart_says_in_words_what_it_shows(name: str) -> None:
    assert len(CHARTS[name]().to_dict()["description"]) >= 30


@each_chart
def test_a_chart_draws_marks_and_leaves_the_page_its_colour(name: str) -> None:
    chart = CHARTS[name]()
    assert drawn(chart).count("<path") > 3
    assert chart.to_dict()["config"]["background"] == "transparent"


def test_every_chart_function_of_the_module_is_tested_here() -> None:
    public = {
        name
        for name, function in inspect.getmembers(comparison_figures, inspect.isfunction)
        if function.__module__ == comparison_figures.__name__ and not name.startswith("_")
    }
    assert public == set(CHARTS) == set(comparison_figures.__all__)


def test_the_front_is_drawn_through_its_arms_and_on_to_the_left_edge() -> None:
    corners = comparison_figures._staircase(ARMS.rename(columns={"asr": "loss"}).assign(test_accuracy_low=0.45), FRONT)
    assert corners["test_accuracy"].tolist() == [0.45, 0.5, 0.8, 0.97, 0.98]
    assert corners["loss"].tolist() == [0.3, 0.3, 0.34, 0.5, 0.66]


def test_the_alt_text_of_the_front_has_its_numbers_and_not_those_of_beaten_arms() -> None:
    spoken = CHARTS["frontier"]().to_dict()["description"]
    assert "smoothing, sigma 0.1: 97% accurate, 50%" in spoken
    assert "randomized response" not in spoken


def test_a_section_leaves_out_less_accurate_arms_and_keeps_the_looks_of_families() -> None:
    whole, section = (comparison_figures.frontier(ARMS, front=FRONT, accuracy_from=a).to_dict() for a in (0, 0.85))
    rows = [row["name"] for data in section["datasets"].values() for row in data if "name" in row]
    assert rows == ["none", "smoothing, sigma 0.1", "randomized response"]
    looks = [chart["layer"][-1]["encoding"][of]["scale"] for of in ("color", "shape") for chart in (whole, section)]
    assert looks[0] == looks[1]
    assert looks[2] == looks[3]
    assert "DP-SGD" not in section["description"]


def test_an_arm_has_its_interval_in_both_directions() -> None:
    (data,) = [rows for rows in CHARTS["frontier"]().to_dict()["datasets"].values() if "name" in rows[0]]
    row = next(row for row in data if row["name"] == "DP-SGD")
    assert (row["test_accuracy_low"], row["test_accuracy_high"]) == (0.48, 0.52)
    assert (row["loss_low"], row["loss_high"]) == (0.2, 0.4)


def test_no_two_of_a_dozen_families_look_alike() -> None:
    names = [f"family {i}" for i in range(12)]
    looks = zip(
        comparison_figures._colour("family", names).to_dict()["scale"]["range"],
        comparison_figures._shape("family", names).to_dict()["scale"]["range"],
        strict=True,
    )
    assert len(set(looks)) == 12


def test_a_pair_without_a_rival_is_not_drawn() -> None:
    (data,) = [rows for rows in CHARTS["gains"]().to_dict()["datasets"].values() if "name" in rows[0]]
    assert [row["name"] for row in data] == ["DP-SGD", "response", "response 2", "response 4"]
    none = GAINS[GAINS["verdict"] == "no rival"]
    assert drawn(comparison_figures.gains(none, title="ASR gained", description="Nothing could be compared."))


def test_the_alt_text_names_the_best_attacker_beside_the_published_one() -> None:
    spoken = CHARTS["adaptive_attackers"]().to_dict()["description"]
    assert "smoothing: 40% by BREP-MI, at most 70% by repeated queries" in spoken


def test_a_curve_has_a_point_for_every_budget_in_every_panel() -> None:
    (data,) = CHARTS["distillation_curves"]().to_dict()["datasets"].values()
    assert len(data) == 2 * len(STUDENTS)
    assert {row["panel"] for row in data} == set(comparison_figures.MEASURES.values())
