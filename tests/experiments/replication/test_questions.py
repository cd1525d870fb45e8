"""The plan's questions as data: every side has one name, and one question of a number stands for it in the family."""

from collections import Counter

from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.replication.experiment import PROFILES
from rp_tutorial.experiments.replication.questions import ASKED, Side, sides_of

QUESTIONS = PROFILES["cpu"].questions


def test_a_name_belongs_to_one_side() -> None:
    sides = sides_of(QUESTIONS)
    assert len({side.name for side in sides}) == len(sides) == len(set(sides))
    assert {question.number for question in QUESTIONS} == set(ASKED)


def test_of_the_first_six_one_comparison_each_is_primary_and_of_the_others_none() -> None:
    primary = Counter(question.number for question in QUESTIONS if question.primary)
    assert primary == {f"Q{number}": 1 for number in range(1, 7)}


def test_a_matched_side_is_named_by_what_it_is_brought_to_and_not_by_a_setting_that_the_run_decides() -> None:
    vote = Arm("smoothing", 0.18, 10)
    assert Side(Arm("plain noise"), at=vote).name == "plain noise, at the accuracy of smoothing, sigma 0.18, N = 10"
    assert Side(Arm("abstaining", n=10), at=Arm("none")).name == "abstaining, N = 10, at the accuracy of none"
    assert Side(Arm("none"), clean=True, patient=True).name == "none, net trained without noise, patient attack"


def test_two_arms_that_differ_in_the_release_alone_stand_over_one_net() -> None:
    """Else a difference of nets would pass for one of releases: Q3 is the question about nets."""
    about_nets = [q for q in QUESTIONS if (q.number == "Q3" and q.primary) or "DP-SGD" in q.asks]
    for question in QUESTIONS:
        a, b = question.a, question.b
        nets = {(side.clean, side.arm.augmented and side.arm.sigma, side.arm.defense == "DP-SGD") for side in (a, b)}
        assert (len(nets) == 1) == (question not in about_nets), question.asks
        assert a.patient == b.patient
