"""A master of an assignment, read: its questions with their points, and its text as students and as instructors get it.

A master is a MyST page as the chapters are. Beside their markup it has

- `# BEGIN SOLUTION` and `# END SOLUTION` in a code cell: what is between them is `...` for students;
- `{solution-start}` to `{solution-end}`: an answer in words, which students write themselves;
- `{rubric} NAME`: a list of `points`, what they are `for`, and either the `check` of `rp.checks` that decides or, for
  what a person reads, what `full` points take. Students see points and `for`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from tools.chapters import ROOT, Chapter

RUBRIC = re.compile(r"^```\{rubric\} (?P<name>[\w-]+)\n(?P<lines>.*?)^```$", re.MULTILINE | re.DOTALL)
ANSWER = re.compile(r"^```\{solution-start\}.*?^```\{solution-end\}\n```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"^(?P<indent> *)# BEGIN SOLUTION\n.*?^(?P=indent)# END SOLUTION$", re.MULTILINE | re.DOTALL)
MARKS = re.compile(r"^ *# (BEGIN|END) SOLUTION\n", re.MULTILINE)
YOURS = "*Write your answer here.*"


@dataclass(frozen=True)
class Line:
    """One line of a rubric: so many points for something, decided by a check or, with `full`, by a person."""

    points: int
    what: str
    check: str = ""
    full: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked under one name, and its lines."""

    name: str
    lines: tuple[Line, ...]

    @property
    def points(self) -> int:
        return sum(line.points for line in self.lines)

    @property
    def checked(self) -> tuple[Line, ...]:
        """The lines that the autograder decides."""
        return tuple(line for line in self.lines if line.check)


@dataclass(frozen=True)
class Master:
    """One assignment, by its file in assignments/."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def page(self) -> Chapter:
        """As the tools for notebooks know pages."""
        return Chapter(f"assignments/{self.name}", self.path)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def title(self) -> str:
        return re.search(r"^# (.+)$", self.text, re.MULTILINE)[1]

    @property
    def hours(self) -> int:
        """What a student is expected to need."""
        return self.page.notebook().metadata["hours"]

    @cached_property
    def questions(self) -> tuple[Question, ...]:
        return tuple(Question(found["name"], _lines(found["lines"])) for found in RUBRIC.finditer(self.text))

    def student(self) -> str:
        """The text without any solution: stubs in code, a place to write in words, points but not how they are given."""
        text = ANSWER.sub(YOURS, CODE.sub(r"\g<indent>...", self.text))
        return RUBRIC.sub(_points, text)

    def solution(self) -> str:
        """The text with all solutions, and no marks around them."""
        return RUBRIC.sub(_points, MARKS.sub("", self.text))


def masters(root: Path = ROOT) -> list[Master]:
    """All assignments."""
    return [Master(path) for path in sorted((root / "assignments").glob("*.md"))]


def _lines(text: str) -> tuple[Line, ...]:
    return tuple(Line(part.pop("points"), part.pop("for"), **part) for part in yaml.safe_load(text))


def _points(found: re.Match[str]) -> str:
    lines = _lines(found["lines"])
    total = sum(line.points for line in lines)
    rows = [f"- {line.points} for: {line.what}{'' if line.check else ' (read by a person)'}" for line in lines]
    return "\n".join([f"**Points for *{found['name']}*: {total}**", "", *rows])
