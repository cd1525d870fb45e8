"""The assignments: graded as their rubrics say, and students' editions that hold nothing of a solution.

Grading runs in this process, by the very tests that Otter is given; that Otter gives the same points is seen once, end
to end. What a check says of an answer is tested in checks/.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from wrong_solutions import WRONG

from tools.assignments import otter
from tools.assignments.editions import STUDENTS, notebook_text, otter_test, out_of_step, rubric, write_instructor
from tools.assignments.master import ANSWER, CODE, MARKS, Master, masters
from tools.chapters import ROOT, all_chapters
from tools.labels import collect
from tools.notebooks import colab_cell

MASTERS = masters()
SENTINEL = "sentinel-of-a-solution"
WIDTH = 72  # of a phone, as in chapters
LONG = 32  # letters of a line that is not there twice by chance

each_master = pytest.mark.parametrize("master", MASTERS, ids=lambda master: master.name)


@pytest.fixture(scope="session")
def labels() -> Any:
    return collect(all_chapters(), ROOT / "book" / "references.bib")


@pytest.fixture(scope="session")
def executed(labels: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Master, str], dict[str, Any]]:
    """What the names of an edition stand for after all its cells were run, once a session."""
    done: dict[tuple[str, str], dict[str, Any]] = {}

    def run(master: Master, text: str) -> dict[str, Any]:
        if (master.name, text) not in done:
            names: dict[str, Any] = {"__name__": "__main__"}
            for cell in nbformat.reads(notebook_text(master, text, labels), as_version=4).cells:
                if cell.cell_type == "code":
                    exec(compile(cell.source, master.name, "exec"), names)
            done[master.name, text] = names
        return done[master.name, text]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RP_TUTORIAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield run


def graded(master: Master, names: dict[str, Any]) -> dict[str, int]:
    """Points a question, as Otter gives them for a notebook that ended with these names."""
    points = {}
    for question in master.questions:
        if question.checked:
            scope: dict[str, Any] = {}
            exec(otter_test(question), scope)
            (suite,) = scope["test"]["suites"]
            points[question.name] = sum(case["points"] for case in suite["cases"] if passes(case["code"], names))
    return points


def passes(code: str, names: dict[str, Any]) -> bool:
    test = doctest.DocTestParser().get_doctest(code, dict(names), "case", None, None)
    with contextlib.redirect_stdout(io.StringIO()):
        return doctest.DocTestRunner().run(test).failed == 0


def full(master: Master) -> dict[str, int]:
    return {one.name: sum(line.points for line in one.checked) for one in master.questions if one.checked}


@each_master
def test_the_solution_gets_all_points(master: Master, executed: Callable[[Master, str], dict[str, Any]]) -> None:
    assert graded(master, executed(master, master.solution())) == full(master)


@each_master
def test_a_blank_submission_runs_to_its_end_and_gets_none(
    master: Master, executed: Callable[[Master, str], dict[str, Any]]
) -> None:
    assert graded(master, executed(master, master.student())) == dict.fromkeys(full(master), 0)


@pytest.mark.parametrize(("name", "mistake"), [(name, mistake) for name in WRONG for mistake in WRONG[name]])
def test_a_wrong_solution_is_graded_as_the_rubric_says(
    name: str, mistake: str, executed: Callable[[Master, str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (master,) = [one for one in MASTERS if one.name == name]
    names = executed(master, master.solution())
    replaced, costs = WRONG[name][mistake]
    for function, wrong in replaced.items():
        assert function in names
        monkeypatch.setitem(names, function, wrong)
    assert graded(master, names) == full(master) | costs


def test_every_assignment_has_five_wrong_solutions() -> None:
    assert {name: len(wrong) for name, wrong in WRONG.items()} == {master.name: 5 for master in MASTERS}


@each_master
def test_nothing_of_a_solution_is_in_the_students_edition(master: Master, labels: Any) -> None:
    """A sentinel planted in every solution is in none of the students' text, and neither is a line of a solution."""
    planted = CODE.sub(lambda found: found[0].replace("SOLUTION\n", f"SOLUTION\n{SENTINEL}\n", 1), master.text)
    planted = ANSWER.sub(lambda found: found[0].replace("\n```\n", f"\n```\n{SENTINEL}\n", 1), planted)
    planted = re.sub(r"^  full: ", f"  full: {SENTINEL} ", planted, flags=re.MULTILINE)
    solutions = [found[0] for pattern in (CODE, ANSWER) for found in pattern.finditer(master.text)]
    by_hand = [line.full for question in master.questions for line in question.lines if line.full]
    assert planted.count(SENTINEL) == len(solutions) + len(by_hand)
    other = Master(master.path)
    other.__dict__["text"] = planted
    assert SENTINEL in notebook_text(master, other.solution(), labels)
    assert SENTINEL not in notebook_text(master, other.student(), labels)
    student = (ROOT / STUDENTS / f"{master.name}.ipynb").read_text(encoding="utf-8")
    lines = [line.strip() for text in (*solutions, *by_hand) for line in MARKS.sub("", text).splitlines()]
    assert [line for line in lines if len(line) >= LONG and line in student] == []


@each_master
def test_every_stub_is_graded_and_every_word_of_an_answer_has_a_rubric(master: Master) -> None:
    names = [question.name for question in master.questions]
    assert len(set(names)) == len(names)
    answers = re.findall(r"^```\{solution-start\} ([\w-]+)$", master.text, re.MULTILINE)
    read = [one.name for one in master.questions if len(one.checked) < len(one.lines)]
    assert answers == read
    assert all(bool(line.check) != bool(line.full) for one in master.questions for line in one.lines)
    assert all(line.points > 0 for one in master.questions for line in one.lines)


@each_master
def test_whatever_a_check_decides_has_hints_of_two_grades_and_can_be_asked_by_the_student(master: Master) -> None:
    for part in re.split(r"^## ", master.text, flags=re.MULTILINE)[1:]:
        for call in re.findall(r"^  check: (check_\w+\(.*\))$", part, re.MULTILINE):
            assert f"rp.checks.{call}" in part
            assert part.index("{dropdown} Hint 1") < part.index("{dropdown} Hint 2") < part.index("{rubric}")


def test_the_students_notebooks_are_in_step_with_their_masters() -> None:
    assert [path.as_posix() for path in out_of_step()] == [], "run `make assignments`"


@each_master
def test_a_students_notebook_is_plain_and_begins_as_a_chapters_does(master: Master) -> None:
    path = ROOT / STUDENTS / f"{master.name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].source == colab_cell(master.page)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.source == notebook.cells[0].source or max(map(len, cell.source.splitlines())) <= WIDTH
        else:
            assert not re.search(r"^\s*(`{3,}|:{3,})\{|\{[\w:]+\}`|<!--", cell.source, re.MULTILINE), cell.source
            for link in re.findall(r"\]\(([^)]+\.ipynb)\)", cell.source):
                assert (path.parent / link).resolve().is_file(), link


@each_master
def test_the_rubric_says_who_gives_every_point(master: Master) -> None:
    text = rubric(master)
    total, checked, read = map(int, re.search(r"(\d+) points: (\d+) by the autograder, (\d+) by", text).groups())
    assert total == checked + read == sum(question.points for question in master.questions)
    assert checked == sum(full(master).values())
    assert 1 <= master.hours <= 12
    assert text.count("\n| ") == 1 + sum(len(question.lines) for question in master.questions)


def test_otter_packs_an_autograder_and_gives_the_same_points(tmp_path: Path) -> None:
    (master,) = [one for one in MASTERS if one.name == "certificates"]
    write_instructor(master, tmp_path)
    autograder = otter.pack(tmp_path)
    assert otter.grade(autograder, tmp_path / "solution.ipynb", tmp_path) == full(master)
    blank = ROOT / STUDENTS / f"{master.name}.ipynb"
    assert otter.grade(autograder, blank, tmp_path) == dict.fromkeys(full(master), 0)
