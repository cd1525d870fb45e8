"""Every check against a right answer and the wrong ones that students give: it tells them apart, and tells no more."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import answers_attributes
import answers_by_hand
import answers_counting
import answers_guarantees
import answers_inversion
import answers_release
import pytest

import rp_tutorial as rp
from rp_tutorial.checks.base import Verdict

FILES = (
    answers_attributes,
    answers_by_hand,
    answers_counting,
    answers_guarantees,
    answers_inversion,
    answers_release,
)
ANSWERS = {name: answers for file in FILES for name, answers in file.ANSWERS.items()}
LONGEST_LINE = 300
FEW = 20  # questions are enough to see that others are asked
OWN = {"0.9", "0.3", "0.2", "2.0", "3.0"}  # confidences, distances and noises that the checks ask with
WRONG = [(name, answer) for name, (_, answers) in ANSWERS.items() for answer in answers]


def judged(name: str, answer: Any, **options: int) -> Verdict:
    answers = answer if isinstance(answer, tuple) else (answer,)
    return getattr(rp.checks, name)(*answers, **options)


def test_every_check_has_a_right_answer_and_three_wrong_ones() -> None:
    assert set(ANSWERS) == {name for name in rp.checks.__all__ if name.startswith("check_")}
    assert [name for name, (_, wrong) in ANSWERS.items() if len(wrong) < 3] == []


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", ANSWERS)
def test_a_right_answer_passes(name: str, seed: int) -> None:
    verdict = judged(name, ANSWERS[name][0], seed=seed)
    assert verdict
    assert verdict.line.startswith("right")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("name", "answer"), WRONG, ids=lambda part: getattr(part, "__name__", part))
def test_a_wrong_answer_fails_in_one_line(name: str, answer: Callable[..., Any], seed: int) -> None:
    verdict = judged(name, answer, seed=seed)
    assert not verdict
    assert "raises" not in verdict.line
    assert 20 < len(verdict.line) <= LONGEST_LINE
    assert "\n" not in verdict.line


@pytest.mark.parametrize("name", ANSWERS)
def test_no_line_gives_the_answer_away(name: str) -> None:
    """A number of a line is one that the check has asked with or that the answer has given, to four digits."""
    known: set[str] = set()

    def heard(answer: Callable[..., Any]) -> Callable[..., Any]:
        def listening(*inputs: Any) -> Any:
            found = answer(*inputs)
            known.update(numbers(rp.checks.base.called((inputs, found))))
            return found

        return listening

    for answer in ANSWERS[name][1]:
        known.clear()
        line = judged(name, heard(answer) if callable(answer) else answer).line
        told = {number for number in numbers(line) if "." in number and float(number) not in (0.0, 0.5)}
        assert told <= known | OWN, line


def numbers(line: str) -> list[str]:
    return re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", line)


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.parametrize("blank", [None, ...], ids=["None", "..."])
def test_an_exercise_as_it_was_handed_out_is_unanswered(name: str, blank: Any) -> None:
    of = len(ANSWERS[name][0]) if isinstance(ANSWERS[name][0], tuple) else 1
    assert judged(name, (blank,) * of) == Verdict(False, "there is no answer yet")


@pytest.mark.parametrize("name", [name for name, (right, _) in ANSWERS.items() if callable(right)])
def test_an_answer_that_fails_is_a_line_and_no_traceback(name: str) -> None:
    def fails(*inputs: Any) -> Any:
        raise ZeroDivisionError("division\nby zero")

    assert judged(name, lambda *inputs: None) == Verdict(False, "there is no answer yet: it returns nothing")
    assert re.fullmatch(r"for \(.*\) it raises ZeroDivisionError: division by zero", judged(name, fails).line)
    assert "asked for" in judged(name, lambda *inputs: "a score").line
    assert judged(name, 3.0).line == "got 3, asked for is a function"


@pytest.mark.parametrize("name", [name for name, (right, _) in ANSWERS.items() if callable(right)])
def test_another_seed_asks_other_questions(name: str) -> None:
    def asked(seed: int) -> list[str]:
        seen = []

        def listening(*inputs: Any) -> Any:
            if len(seen) < FEW:
                seen.append(repr(inputs))
            return ANSWERS[name][0](*inputs)

        judged(name, listening, seed=seed)
        return seen

    assert asked(0) != asked(1)
