"""Arms at equal cost: chosen without a look at their ASR, tested in pairs, and the claim of dominance tried on them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.families import dominance, holm, slices
from rp_tutorial.statistics.fronts import outcomes
from rp_tutorial.statistics.paired import paired_comparison

TARGETS = 80


def row(name: str, family: str, accuracy: float, inverted: range, advantage: float | None = None) -> dict:
    hits = np.isin(np.arange(TARGETS), list(inverted)).astype(int).tolist()
    return {
        "name": name,
        "defense": family,
        "hits": hits,
        "test_accuracy": accuracy,
        "test_images": 1000,
        "advantage": advantage,
    }


ROWS = [
    row("none", "none", 0.95, range(60)),
    row("votes .1", "votes", 0.94, range(50), 0.3),
    row("votes .2", "votes", 0.85, range(30), 0.2),
    row("votes .3", "votes", 0.6, range(35), 0.1),
    row("response 5", "response", 0.9, range(20), 0.4),
    row("response 3", "response", 0.7, range(60), 0.15),
    row("private 8", "private", 0.55, range(40)),
    row("private 1", "private", 0.3, range(34)),
    row("private 0", "private", 0.1, range(2)),
    row("trained", "trained", 0.97, range(40)),
]
POINTS = outcomes(ROWS)
POINT = {point.name: point for point in POINTS}


def test_at_an_accuracy_each_family_spends_what_it_may_and_not_more() -> None:
    (at,) = slices(POINTS, [0.85], against="votes")
    assert at["along"], at["level"] == ("accuracy", 0.85)
    assert [arm["name"] for arm in at["arms"]] == ["none", "votes .2", "response 5", "trained"]


def test_the_choice_does_not_look_at_asr() -> None:
    """`votes .3` is worse than `votes .2` in both numbers, and stands for its family where it is the cheapest."""
    (at,) = slices(POINTS, [0.6], against="votes")
    assert "votes .3" in [arm["name"] for arm in at["arms"]]


def test_at_an_advantage_each_family_promises_no_more_than_that() -> None:
    at, none = slices(POINTS, [0.2, 0.05], against="votes", along="advantage")
    assert {arm["family"]: arm["name"] for arm in at["arms"]} == {"votes": "votes .2", "response": "response 3"}
    assert none["arms"] == []
    (at,) = slices(POINTS, [0.3 - 1e-12], against="votes", along="advantage")
    assert [arm["name"] for arm in at["arms"]] == ["votes .1", "response 3"], "a level is met up to rounding"


def test_of_several_arms_with_one_promise_the_most_accurate_stands_for_them() -> None:
    points = outcomes([row(f"votes {a}", "votes", a, range(9), 0.005) for a in (0.5, 0.9, 0.7)])
    (at,) = slices(points, [0.005], against="votes", along="advantage")
    assert [arm["name"] for arm in at["arms"]] == ["votes 0.9"]


def test_every_arm_of_a_slice_meets_the_rival_in_a_paired_test() -> None:
    (at,) = slices(POINTS, [0.85], against="votes")
    for arm in at["arms"]:
        expected = paired_comparison(POINT[arm["name"]].hits, POINT["votes .2"].hits)
        assert (arm["difference"], arm["p_value"]) == (expected.difference, expected.p_value)
        assert arm["difference_ci"] == [expected.low, expected.high]
        assert arm["asr_ci"][0] <= arm["asr"] <= arm["asr_ci"][1]
        assert arm["accuracy_ci"][0] <= arm["accuracy"] <= arm["accuracy_ci"][1]


def test_without_a_rival_a_slice_only_describes() -> None:
    (at,) = slices(POINTS, [0.96], against="votes")
    assert [arm["name"] for arm in at["arms"]] == ["trained"]
    assert "difference" not in at["arms"][0]


def test_a_claim_of_dominance_is_tried_at_every_arm_it_speaks_of() -> None:
    found = {r["name"]: r for r in dominance(POINTS, of="votes", over=("response", "private", "trained"))}
    verdicts = {name: r["verdict"] for name, r in found.items()}
    assert verdicts == {
        "response 5": "contradicted",  # votes .1 is more accurate, and 50 of 80 against 20 of 80 are inverted
        "response 3": "shown",
        "private 8": "open",  # 35 against 40, five targets: p = .0625
        "private 1": "open",
        "private 0": "traded",  # 2 of 80 against 35, for half the accuracy
        "trained": "no rival",
    }
    assert found["response 3"]["rival"] == "votes .2"
    assert found["response 3"]["asr_gain"] == pytest.approx(-30 / 80)
    assert found["response 3"]["accuracy_gain"] == pytest.approx(0.15)
    low, high = found["response 3"]["accuracy_gain_ci"]
    assert low < 0.15 < high
    assert found["trained"]["dominated"] == 0
    assert found["response 3"]["dominated"] > 0.99


def test_the_p_values_of_a_claim_are_corrected_for_their_number() -> None:
    found = dominance(POINTS, of="votes", over=("response", "private"))
    assert [r["p_holm"] for r in found] == holm([r["p_value"] for r in found])


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_holm_errs_no_more_often_than_it_says() -> None:
    """Ten true hypotheses, 2000 families: an error in more than 5 % of them only as chance has it (1e-6)."""
    rng = np.random.default_rng(0)
    errors = sum(min(holm(rng.random(10))) < 0.05 for _ in range(2000))
    assert errors <= stats.binom.isf(1e-6, 2000, 0.05)


def test_bad_input_is_one_line() -> None:
    with pytest.raises(InputError, match="along: got 'asr', allowed is one of accuracy, advantage"):
        slices(POINTS, [0.5], against="votes", along="asr")
    with pytest.raises(InputError, match="family: got 'nobody', allowed is one of none, private"):
        dominance(POINTS, of="votes", over=("nobody",))
    with pytest.raises(InputError, match="families other than 'votes'"):
        dominance(POINTS, of="votes", over=("votes", "private"))
