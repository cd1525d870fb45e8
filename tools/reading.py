"""How long a chapter is to read: its core, and the sections beside it that `{.depth}` above a heading marks.

Counted from the source, so that a page, the map of the first page and the tests name the same minutes. What a
reader opens or does is not reading: solutions, exercises, folded code. Pages are folded in sphinx_extension.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from tools.chapters import Chapter
from tools.labels import FENCE, HEADING, OPTION, TARGET

WORDS_A_MINUTE = 200
SECONDS_A_LINE = 5  # of code: a line holds less than ten words, and is read more slowly
DEPTH = "{.depth}"
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
UNREAD = ("code-block", "code", "bibliography", "tableofcontents")  # directives whose body is not prose
FORMULA = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
ROLE = re.compile(r"\{[\w:+.-]+\}`([^`<]+)[^`]*`")
WORD = re.compile(r"\w[\w’'.,-]*")
END_OF_SENTENCE = re.compile(r"(?<=[.!?:])\s+")


@dataclass
class Stretch:
    """Some of a chapter's text: the core, or one section of depth with its title."""

    title: str = ""
    level: int = 0
    prose: list[str] = field(default_factory=list)  # lines
    cells: list[str] = field(default_factory=list)  # code that the page shows

    @cached_property
    def words(self) -> int:
        """Words of prose; a formula is one."""
        return sum(map(words, self.prose))

    @property
    def lines(self) -> int:
        """Lines of visible code."""
        return sum(map(lines_of_code, self.cells))

    @property
    def minutes(self) -> float:
        """Of reading, by count."""
        return self.words / WORDS_A_MINUTE + self.lines * SECONDS_A_LINE / 60

    def sentences(self) -> Iterator[str]:
        """Of the prose, where a line of the source holds one or more."""
        for line in self.prose:
            yield from END_OF_SENTENCE.split(line)


@dataclass
class Reading:
    """What there is to read in one chapter."""

    core: Stretch
    depth: list[Stretch]  # in the order of the page

    @property
    def minutes(self) -> float:
        """With everything that is marked as depth."""
        return self.core.minutes + sum(stretch.minutes for stretch in self.depth)


def reading(chapter: Chapter) -> Reading:
    """The chapter's text, taken apart."""
    found, now, exercise, solution = Reading(Stretch(), []), None, False, False
    for cell in chapter.notebook().cells:
        if cell.cell_type == "code":
            if not exercise and not solution and not FOLDED & set(cell.metadata.get("tags", [])):
                (now or found.core).cells.append(cell.source)
            continue
        marked = False
        for name, line in _lines(cell.source):
            heading = HEADING.match(line) if name == "" else None
            if name in ("exercise-start", "exercise-end"):
                exercise = name == "exercise-start"
            elif name in ("solution-start", "solution-end"):
                solution = name == "solution-start"
            elif line.strip() == DEPTH:
                marked = True
                continue
            elif heading and (marked or (now and len(heading["marks"]) <= now.level)):
                now = Stretch(heading["title"], len(heading["marks"])) if marked else None
                found.depth += [now] if now else []
                marked = False
            elif TARGET.match(line):
                continue
            if name not in ("exercise", "solution", *UNREAD) and not exercise and not solution:
                (now or found.core).prose.append(line)
    return found


def words(line: str) -> int:
    """Of one line of prose, as a reader sees it."""
    return len(WORD.findall(ROLE.sub(r"\1", FORMULA.sub(" x ", line))))


def lines_of_code(source: str) -> int:
    """Lines that are not blank."""
    return sum(bool(line.strip()) for line in source.splitlines())


def _lines(source: str) -> Iterator[tuple[str, str]]:
    """(the innermost directive around it, line) for every line that a reader could see; gates come with no line."""
    inside: list[tuple[str, str]] = []
    for line in source.splitlines():
        opening = FENCE.match(line)
        if inside and line.strip() == inside[-1][0]:
            inside.pop()
        elif opening:
            inside.append((opening["fence"], opening["name"]))
            title = "" if opening["name"] in ("doc", "diagram") else opening["argument"]
            yield opening["name"], title
        elif not line.startswith("%") and not (inside and OPTION.match(line)):
            yield inside[-1][1] if inside else "", line
