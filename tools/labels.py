"""What a cross reference says in a reader notebook: "Theorem 2", "Cohen et al. (2019)", a chapter's title.

Numbers are counted anew in each notebook. They are not those of the book, whose numbers carry the chapter's, and
a reference into another chapter names that chapter. How directives and roles are rewritten is in plain_markdown.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pybtex.database import Entry, parse_file

from tools.chapters import Chapter

FENCE = re.compile(r"^(?P<indent>\s*)(?P<fence>`{3,}|:{3,}|~{3,})\{(?P<name>[\w:.+-]+)\}[ \t]*(?P<argument>.*)$")
OPTION = re.compile(r"^\s*:(?P<key>[\w-]+):[ \t]*(?P<value>.*)$")
TARGET = re.compile(r"^\((?P<label>[\w:.-]+)\)=\s*$")
HEADING = re.compile(r"^(?P<marks>#{1,6})\s+(?P<title>.+?)\s*$")
EQUATION = re.compile(r"\$\$\s*\((?P<label>[\w:.-]+)\)\s*$")
STATEMENTS = {"figure": "Figure", "diagram": "Figure", "table": "Table", "list-table": "Table", "exercise": "Exercise"}


@dataclass(frozen=True)
class Label:
    """Something that can be referred to: its words ("Theorem 2") and the chapter it stands in."""

    words: str
    chapter: str


@dataclass
class Labels:
    """All labels of the book, the titles of its chapters, and the works it cites."""

    known: dict[str, Label] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    works: dict[str, Entry] = field(default_factory=dict)
    with_notebook: set[str] = field(default_factory=set)

    def refer(self, label: str, chapter: str) -> str:
        """The words for a reference to `label` made in `chapter`; KeyError if nothing has that label."""
        found = self.known[label]
        if found.chapter == chapter:
            return found.words
        return f"{found.words} of “{self.titles[found.chapter]}”"

    def cite(self, keys: str, *, textual: bool) -> str:
        """A citation as author and year, in a sentence (`textual`) or in brackets; KeyError for an unknown key."""
        works = [_author_and_year(self.works[key.strip()]) for key in keys.split(",")]
        if textual:
            return " and ".join(f"{author} ({year})" for author, year in works)
        return "(" + "; ".join(f"{author}, {year}" for author, year in works) + ")"


def collect(chapters: list[Chapter], bibliography: Path) -> Labels:
    """Read every chapter once and number what can be referred to."""
    labels = Labels()
    if bibliography.exists():
        labels.works = dict(parse_file(str(bibliography)).entries)
    for chapter in chapters:
        labels.titles[chapter.name] = chapter.name
        for label, words in _of_chapter(chapter, labels):
            if label in labels.known:
                raise ValueError(f"{chapter.path.name}: the label {label} is used twice in the book")
            labels.known[label] = Label(words, chapter.name)
        if chapter.has_code():
            labels.with_notebook.add(chapter.name)
    return labels


def statement_kind(directive: str) -> str | None:
    """ "Theorem" for prf:theorem, "Figure" for figure and so on; None for what has no number."""
    if directive.startswith("prf:") and directive != "prf:proof":
        return directive.removeprefix("prf:").capitalize()
    return STATEMENTS.get(directive.removesuffix("-start"))


def _of_chapter(chapter: Chapter, labels: Labels) -> Iterator[tuple[str, str]]:
    numbers: Counter[str] = Counter()
    for cell in chapter.notebook().cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if figure:
            numbers["Figure"] += 1
            if "name" in figure:
                yield figure["name"], f"Figure {numbers['Figure']}"
        if cell.cell_type == "markdown":
            yield from _of_text(cell.source.splitlines(), chapter.name, labels, numbers)


def _of_text(lines: list[str], chapter: str, labels: Labels, numbers: Counter[str]) -> Iterator[tuple[str, str]]:
    waiting: list[str] = []
    for position, line in enumerate(lines):
        if target := TARGET.match(line):
            waiting.append(target["label"])
        elif heading := HEADING.match(line):
            if labels.titles[chapter] == chapter:
                labels.titles[chapter] = heading["title"]
            yield from ((label, f"“{heading['title']}”") for label in waiting)
            waiting = []
        elif fence := FENCE.match(line):
            options = dict(_options(lines[position + 1 :]))
            name = options.get("label") or options.get("name")
            if kind := statement_kind(fence["name"]):
                numbers[kind] += 1
                if name:
                    yield name, f"{kind} {numbers[kind]}"
            elif fence["name"] == "math" and name:
                numbers["equation"] += 1
                yield name, f"({numbers['equation']})"
            elif fence["name"].removesuffix("-start") == "solution" and name:
                yield name, "the solution"
        elif equation := EQUATION.search(line):
            numbers["equation"] += 1
            yield equation["label"], f"({numbers['equation']})"


def _options(lines: list[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        option = OPTION.match(line)
        if not option:
            return
        yield option["key"], option["value"].strip()


def _author_and_year(work: Entry) -> tuple[str, str]:
    names = [" ".join(str(name) for name in person.rich_last_names) for person in work.persons.get("author", [])]
    author = names[0] if len(names) == 1 else f"{names[0]} and {names[1]}" if len(names) == 2 else f"{names[0]} et al."
    return author, work.fields.get("year", "n.d.")
