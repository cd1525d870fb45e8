"""One name and one colour a mechanism: on any page, in every chart, whoever else is drawn."""

from __future__ import annotations

import dataclasses
import itertools

import altair as alt
import pandas as pd
import pytest
from chart_facts import misnamed_or_miscoloured, raw_names
from sample_charts import CHARTS

from rp_tutorial import figures
from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.faces.inversion_defenses import INVERSION_DEFENSES
from rp_tutorial.figures.palette import MECHANISMS, Look, mechanism, page_name, styles

LIGHT, DARK = "#ffffff", "#14181e"  # the theme's pages
MANY = {"VOTE(101)": "VOTE", "radius kept by PREDICT": "PREDICT", "DP-SGD, from scratch": "DP-SGD", "K = 2": None}


def luminance(colour: str) -> float:
    """Relative luminance, as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", MECHANISMS.values(), ids=list(MECHANISMS))
def test_a_colour_stands_out_on_a_light_page_and_on_a_dark_one(colour: str) -> None:
    for page in (LIGHT, DARK):
        darker, lighter = sorted((luminance(page), luminance(colour)))
        assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_no_two_mechanisms_look_alike() -> None:
    looks = styles(list(MECHANISMS))
    assert len({look.colour for look in looks.values()}) == len(MECHANISMS)


def test_no_two_of_two_dozen_names_look_alike() -> None:
    names = [f"family {i}" for i in range(24)]
    assert len({(look.colour, look.shape) for look in styles(names).values()}) == len(names)


def test_a_mechanism_looks_the_same_whoever_else_is_drawn() -> None:
    few, many = styles(["VOTE", "mine"]), styles(["other", *MECHANISMS, "mine"])
    assert few["VOTE"] == many["VOTE"]
    assert few["mine"].colour not in (few["VOTE"].colour, MECHANISMS["no defence"])


def test_a_kind_has_its_look_whether_the_others_are_drawn_or_not() -> None:
    kinds = ("open", "shown", "contradicted")
    assert styles(["shown"], first=kinds)["shown"] == styles(kinds, first=kinds)["shown"]


def test_arms_of_one_mechanism_have_its_colour_and_differ_otherwise() -> None:
    looks = styles(["VOTE(101)", "VOTE(1001)", "bound"], dashed=["bound"])
    assert looks["VOTE(101)"].colour == looks["VOTE(1001)"].colour == MECHANISMS["VOTE"]
    assert looks["VOTE(101)"].dash != looks["VOTE(1001)"].dash
    assert looks["VOTE(101)"].shape != looks["VOTE(1001)"].shape
    assert isinstance(looks["bound"], Look)
    assert looks["bound"].dash == [5, 4]


@pytest.mark.parametrize(("name", "known"), MANY.items())
def test_a_mechanism_is_known_by_its_name_among_other_words(name: str, known: str | None) -> None:
    assert mechanism(name) == known
    assert page_name(name) == name


def test_an_arm_of_a_stored_run_has_the_name_of_the_page() -> None:
    assert page_name("none, net trained under 0.18") == "training under noise, sigma 0.18"
    trained = page_name("smoothing, sigma 0.18, N = 10, net trained under 0.18")
    assert trained == "VOTE, sigma 0.18, N = 10, net trained under 0.18"
    assert mechanism(trained) == "VOTE and training under noise"


@pytest.mark.parametrize("net", INVERSION_DEFENSES)
@pytest.mark.parametrize("release", [Arm("none"), Arm("smoothing", 0.18, 10), Arm("abstaining", 0.18, 10)])
def test_a_net_trained_otherwise_has_its_own_colour_whatever_releases_its_labels(release: Arm, net: str) -> None:
    arm = dataclasses.replace(release, net=net)
    assert mechanism(arm.name) == mechanism(arm.family) == net
    assert page_name(arm.family) == {"none": net}.get(arm.defense, f"{page_name(arm.defense)} and {net}")
    assert page_name(arm.name).endswith(net if arm.defense == "none" else f", net trained with {net}")


def test_every_arm_of_every_stored_frontier_is_a_mechanism_with_a_colour() -> None:
    points = [point for document in published("frontier", "synthetic") for point in document["results"]["points"]]
    assert points
    for point, key in itertools.product(points, ("name", "family")):
        assert mechanism(point[key]) == mechanism(point["family"])
        assert mechanism(point[key]) in MECHANISMS


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_has_one_colour_a_mechanism_and_no_name_of_a_column(name: str) -> None:
    spec = CHARTS[name]().to_dict()
    assert misnamed_or_miscoloured(spec) == []
    assert raw_names(spec) == []


def test_a_chart_with_looks_of_its_own_is_found() -> None:
    table = pd.DataFrame({"of_accuracy": [0.1, 0.2], "release": ["VOTE", "none"]})
    spec = alt.Chart(table).mark_point().encode(x="of_accuracy:Q", color="release:N").to_dict()
    assert misnamed_or_miscoloured(spec) == ["VOTE: None", "none: None"]
    assert raw_names(spec) == ["of_accuracy"]


def test_stored_names_become_those_of_the_page_in_a_chart_of_any_chapter() -> None:
    table = pd.DataFrame({"x": [0, 1, 0, 1], "y": [0, 1, 1, 0], "who": ["none", "none", "smoothing", "smoothing"]})
    how = {"x": "x", "y": "y", "series": "who", "titles": ("x", "y"), "description": "Two lines that cross once."}
    spec = figures.lines(table, **how, dashed=("none",)).to_dict()
    assert spec["encoding"]["strokeDash"]["scale"]["domain"] == ["no defence", "VOTE"]
    assert spec["encoding"]["strokeDash"]["scale"]["range"] == [[5, 4], [1, 0]]
