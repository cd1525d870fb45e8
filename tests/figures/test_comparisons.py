"""Charts of the comparisons: alt text that says the numbers, and a front where it belongs."""

from __future__ import annotations

import altair as alt
import vl_convert
from sample_charts import CHARTS, FRONT, GAINS, POINTS, STUDENTS

from rp_tutorial.figures import comparisons


def drawn(chart: alt.TopLevelMixin) -> str:
    return vl_convert.vegalite_to_svg(chart.to_json())


def test_the_front_is_drawn_through_its_arms_and_on_to_the_left_edge() -> None:
    corners = comparisons._staircase(POINTS.rename(columns={"asr": "loss"}).assign(test_accuracy_low=0.45), FRONT)
    assert corners["test_accuracy"].tolist() == [0.45, 0.5, 0.8, 0.97, 0.98]
    assert corners["loss"].tolist() == [0.3, 0.3, 0.34, 0.5, 0.66]


def test_the_alt_text_of_the_front_has_its_numbers_and_not_those_of_beaten_arms() -> None:
    spoken = CHARTS["frontier"]().to_dict()["description"]
    assert "VOTE, sigma 0.1: 97% accurate, 50%" in spoken
    assert "randomized response" not in spoken


def test_a_section_leaves_out_less_accurate_arms_and_keeps_the_looks_of_families() -> None:
    whole, section = (comparisons.frontier(POINTS, front=FRONT, accuracy_from=a).to_dict() for a in (0, 0.85))
    rows = [row["name"] for data in section["datasets"].values() for row in data if "name" in row]
    assert rows == ["no defence", "VOTE, sigma 0.1", "randomized response"]
    looks = [chart["layer"][-1]["encoding"][of]["scale"] for of in ("color", "shape") for chart in (whole, section)]
    assert looks[0] == looks[1]
    assert looks[2] == looks[3]
    assert "DP-SGD" not in section["description"]


def test_an_arm_has_its_interval_in_both_directions() -> None:
    (data,) = [rows for rows in CHARTS["frontier"]().to_dict()["datasets"].values() if "name" in rows[0]]
    row = next(row for row in data if row["name"] == "DP-SGD")
    assert (row["test_accuracy_low"], row["test_accuracy_high"]) == (0.48, 0.52)
    assert (row["loss_low"], row["loss_high"]) == (0.2, 0.4)


def test_without_a_front_there_is_no_staircase_and_the_text_has_both_ends() -> None:
    spec = comparisons.frontier(POINTS).to_dict()
    assert [layer["mark"]["type"] for layer in spec["layer"]] == ["rule", "rule", "point"]
    assert "no defence: 98% accurate, 66%; DP-SGD: 50% accurate, 30%" in spec["description"]


def test_a_pair_without_a_rival_is_not_drawn() -> None:
    (data,) = [rows for rows in CHARTS["gains"]().to_dict()["datasets"].values() if "name" in rows[0]]
    assert [row["name"] for row in data] == ["DP-SGD", "response", "response 2", "response 4"]
    none = GAINS[GAINS["verdict"] == "no rival"]
    assert drawn(comparisons.gains(none, title="ASR gained", description="Nothing could be compared."))


def test_the_alt_text_names_the_best_attacker_beside_the_published_one() -> None:
    spoken = CHARTS["adaptive_attackers"]().to_dict()["description"]
    assert "VOTE: 40% by BREP-MI, at most 70% by repeated queries" in spoken


def test_who_sees_more_than_labels_says_so_and_is_not_called_the_best() -> None:
    spec = CHARTS["adaptive_attackers"]().to_dict()
    (data,) = spec["datasets"].values()
    assert [(r["attacker"], r["kind"]) for r in data if "sees" in r["attacker"]] == [
        ("confidence attack (sees weights)", "sees more than labels, for contrast")
    ]
    assert "no defence: 60% by BREP-MI, at most 60% by BREP-MI" in spec["description"]


def test_a_curve_has_a_point_for_every_budget_in_every_panel() -> None:
    (data,) = CHARTS["distillation_curves"]().to_dict()["datasets"].values()
    assert len(data) == 2 * len(STUDENTS)
    assert {row["panel"] for row in data} == set(comparisons.MEASURES.values())
