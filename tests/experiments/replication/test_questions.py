"""The plan's questions as data: every side has one name, and one question of a number stands for it in the family."""

import re

from rp_tutorial.experiments.faces.inversion import Arm
from rp_tutorial.experiments.replication.experiment import PROFILES
from rp_tutorial.experiments.replication.questions import ESTIMATE, OTHER, PATIENT, PRIMARY, SEEDS, Side, sides_of
from tools.chapters import ROOT

QUESTIONS = PROFILES["cpu"].questions


def test_a_name_belongs_to_one_side() -> None:
    sides = sides_of(QUESTIONS)
    assert len({side.name for side in sides}) == len(sides) == len(set(sides))


def test_the_families_are_those_of_the_plan() -> None:
    numbers = {family: [q.number for q in QUESTIONS if q.family == family] for family in (PRIMARY, PATIENT, ESTIMATE)}
    assert numbers[PRIMARY] == ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6a", "Q6b", "Q6c", "Q6d"]
    assert (set(numbers[PATIENT]), len(numbers[PATIENT])) == ({"Q8"}, 4)
    assert set(numbers[ESTIMATE]) == {"Q7"}
    assert {q.number for q in QUESTIONS if q.family == OTHER} == {"other"}


def test_the_page_of_the_plan_asks_the_same() -> None:
    page = (ROOT / "book" / "appendix" / "plan.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (Q\w+) \|", page, re.MULTILINE) == [q.number for q in QUESTIONS if q.family == PRIMARY]
    first, last = map(int, re.search(r"^\| Seeds \| (\d+) to (\d+),", page, re.MULTILINE).groups())
    assert range(first, last + 1) == SEEDS


def test_a_primary_question_is_asked_of_six_hundred_pairs_at_least() -> None:
    for question in (q for q in QUESTIONS if q.family == PRIMARY):
        assert len(SEEDS) * min(side.targets or 80 for side in (question.a, question.b)) >= 600


def test_a_matched_side_is_named_by_what_it_is_brought_to_and_not_by_a_setting_that_the_run_decides() -> None:
    vote = Arm("smoothing", 0.18, 10)
    assert Side(Arm("plain noise"), at=vote).name == "plain noise, at the accuracy of smoothing, sigma 0.18, N = 10"
    assert Side(Arm("abstaining", n=10), at=Arm("none")).name == "abstaining, N = 10, at the accuracy of none"
    assert Side(Arm("none"), clean=True, patient=True).name == "none, net trained without noise, patient attack"


def test_two_arms_that_differ_in_the_release_alone_stand_over_one_net() -> None:
    """Else a difference of nets would pass for one of releases; a few questions are about nets, and say so."""
    for question in QUESTIONS:
        a, b = question.a, question.b
        nets = {(side.clean, side.arm.augmented and side.arm.sigma, side.arm.defense == "DP-SGD") for side in (a, b)}
        about_nets = "DP-SGD" in question.asks or ("train" in question.asks and question.family != PRIMARY)
        assert len(nets) == 1 or about_nets, question.asks
        assert a.patient == b.patient
