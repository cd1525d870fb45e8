"""Comparisons net by net: what is counted, the three verdicts, and a family of questions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.families import holm
from rp_tutorial.statistics.nets import net_comparison, over_family
from rp_tutorial.statistics.paired import paired_comparison
from rp_tutorial.statistics.sign_flips import interval, p_difference, p_equivalent
from rp_tutorial.statistics.studies import Study

TARGETS = 80


def arms(differences: list[int], *, both: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Hits [nets, 80] of two arms: in each net `both` targets of either, and of one arm as many more as given."""
    counts = np.array(differences)
    column = np.arange(TARGETS)
    return column < (both + np.maximum(counts, 0))[:, None], column < (both + np.maximum(-counts, 0))[:, None]


def drawn(study: Study, difference: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hits of one simulated study."""
    (only_a,), (only_b,) = study.drawn(difference, studies=1, seed=seed)
    column = np.arange(study.targets)
    return column < only_a[:, None], (column >= only_a[:, None]) & (column < (only_a + only_b)[:, None])


def test_what_is_counted_is_the_difference_of_each_net() -> None:
    a, b = arms([8, 4, -2, 6, 5, 3, 7, 9])
    found = net_comparison(a, b)
    units = np.array([8, 4, -2, 6, 5, 3, 7, 9]) / TARGETS
    assert (found.nets, found.units, found.pairs) == (8, 8, 640)
    assert found.difference == pytest.approx(units.mean(), rel=1e-12)
    assert found.spread == pytest.approx(units.std(ddof=1), rel=1e-12)
    assert found.discordance == pytest.approx(44 / 640, rel=1e-12)
    assert (found.low, found.high) == pytest.approx(interval(units, level=0.05), rel=1e-12)
    assert (found.p_value, found.p_equivalent) == (p_difference(units), p_equivalent(units, 0.05))


def test_each_verdict_is_given_where_it_is_due() -> None:
    assert net_comparison(*arms([8, 9, 7, 8, 10, 6, 9, 8])).verdict == "yes"
    assert net_comparison(*arms([-8, -9, -7, -8, -10, -6, -9, -8])).verdict == "no (the other way round)"
    assert net_comparison(*arms([1, -1, 0, 2, -2, 1, 0, -1])).verdict == "no (equivalent within 5 points)"
    assert net_comparison(*arms([1, -1, 0, 2, -2, 1, 0, -1]), margin=0.1).verdict == "no (equivalent within 10 points)"
    assert net_comparison(*arms([1, -1, 0, 2, -2, 1, 0, -1]), margin=0.001).verdict.startswith("not decided")
    assert net_comparison(*arms([9, -4, 8, -3, 7, 6, -5, 4])).verdict.startswith("not decided, would need ")


def test_the_arms_change_places_and_so_does_the_sign() -> None:
    a, b = arms([8, 4, -2, 6, 5, 3, 7, 9])
    there, back = net_comparison(a, b), net_comparison(b, a)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), rel=1e-12)
    assert (back.p_value, back.p_equivalent) == (there.p_value, there.p_equivalent)


def test_one_net_that_stands_out_counts_once_and_not_as_its_targets() -> None:
    """Forty targets of one net show a difference to McNemar; over eight nets they are one of eight."""
    a, b = arms([40, 0, 1, -1, 0, 0, 1, -1])
    assert paired_comparison(a.ravel(), b.ravel()).p_value < 1e-9
    assert net_comparison(a, b).p_value > 0.1


def test_nets_that_share_their_faces_are_one_unit() -> None:
    a, b = arms([8, 4, 6, 9, 7, 8, 5, 6, 4, 8, 7, 7])
    found = net_comparison(a, b, groups=list("aaaabbbbcccc"))
    assert (found.nets, found.units, found.pairs) == (12, 3, 960)
    assert found.p_value == 2 / 2**3
    assert (found.low, found.high) == (-1, 1)
    assert found.verdict == "not decided, would need 6 groups of nets"
    assert net_comparison(a, b, groups=range(12)) == net_comparison(a, b)


def test_groups_of_several_sizes_count_alike() -> None:
    a, b = arms([8, 4, 6])
    found = net_comparison(a, b, groups=[0, 0, 1])
    assert found.difference == pytest.approx(6 / TARGETS, rel=1e-12)


def test_one_net_decides_nothing_and_tells_no_spread() -> None:
    found = net_comparison(*arms([40]))
    assert (found.p_value, found.low, found.high, found.nets_needed) == (1, -1, 1, None)
    assert math.isnan(found.spread)
    assert found.verdict == "not decided"


def test_what_is_not_decided_would_need_more_nets_than_there_were() -> None:
    study = Study(nets=8, targets=TARGETS, discordance=0.3, between=0.04)
    found = [net_comparison(*drawn(study, 0.04, seed)) for seed in range(40)]
    undecided = [one for one in found if one.verdict.startswith("not decided")]
    assert len(undecided) > 10
    assert all(one.nets_needed > 8 for one in undecided)


def test_a_family_is_corrected_for_differences_that_are_shown() -> None:
    singles = [net_comparison(*arms(d)) for d in ([8] * 8, [6, 2, 9, -1, 5, 4, 7, 3], [0, 1, -1, 2, 0, -2, 1, 0])]
    family = over_family(singles)
    assert [one.p_value for one in family] == holm([one.p_value for one in singles])
    assert [one.p_equivalent for one in family] == [one.p_equivalent for one in singles]
    assert [one.verdict for one in family][::2] == ["yes", "no (equivalent within 5 points)"]
    assert {one.questions for one in family} == {3}
    assert [(one.low, one.high) for one in family] == [(one.low, one.high) for one in singles]
    assert over_family(singles[:1]) == singles[:1]
    assert over_family([]) == []


def test_results_hold_the_verdict_and_what_it_rests_on() -> None:
    told = net_comparison(*arms([8] * 8)).told("asr_gain")
    assert told["verdict"] == "yes"
    assert told["asr_gain"] == pytest.approx(0.1)
    assert set(told) >= {"asr_gain_ci", "p_value", "nets", "pairs", "nets_needed"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: net_comparison(np.zeros((8, 4)), np.zeros((8, 4))), "a: got 'float64 of shape"),
        (lambda: net_comparison(np.zeros(8, bool), np.zeros(8, bool)), "a: got 'bool of shape"),
        (lambda: net_comparison(np.zeros((0, 4), bool), np.zeros((0, 4), bool)), "a: got 'bool of shape"),
        (lambda: net_comparison(*arms([1, 2])[:1], np.zeros((3, 80), bool)), "b: got 'shape"),
        (lambda: net_comparison(*arms([1, 2]), groups=[1]), "groups: got '1 labels'"),
        (lambda: net_comparison(*arms([1, 2]), margin=0.0), "margin: got 0.0"),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message) -> None:
    with pytest.raises(InputError) as error:
        call()
    assert message in str(error.value)
