"""The pages for instructors: what they name exists, and minutes and hours add up to what they say.

The decks of slides are read here as well, for the labels that they show.
"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tools.assignments.master import masters
from tools.chapters import ROOT, all_chapters
from tools.labels import collect

FOLDER = ROOT / "book" / "teaching"
PAGES = sorted(FOLDER.glob("*.md"))
DECKS = sorted((ROOT / "slides").glob("*.md"))
HOURS = {master.name: master.hours for master in masters()}
CHAPTERS = {chapter.stem for chapter in all_chapters() if chapter.has_code() and "appendix" not in chapter.stem}
SYLLABI = re.split(r"^\([\w-]+\)=$", (FOLDER / "syllabi.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


def text(page: str) -> str:
    return (FOLDER / f"{page}.md").read_text(encoding="utf-8")


def documents(page: str) -> set[str]:
    return set(re.findall(r"\{doc\}`\.\./([\w/-]+)`", page))


@pytest.mark.parametrize("syllabus", SYLLABI, ids=["lecture", "three", "ten"])
def test_minutes_and_hours_add_up(syllabus: str) -> None:
    (said,) = re.findall(r"^In class: (\d+) minutes\.$", syllabus, re.MULTILINE)
    assert sum(map(int, re.findall(r"^\* - (\d+)$", syllabus, re.MULTILINE))) == int(said)
    given = re.findall(r"^  - (\w+): (\d+) hours$", syllabus, re.MULTILINE)
    assert {name: int(hours) for name, hours in given}.items() <= HOURS.items()
    if given:
        assert re.findall(r"^Assignments: (\d+) hours\.$", syllabus, re.MULTILINE) == [
            str(sum(int(hours) for _, hours in given))
        ]


def test_every_label_and_chapter_that_is_named_exists() -> None:
    labels = collect(all_chapters(), ROOT / "book" / "references.bib")
    named = [name for page in PAGES for name in re.findall(r"\{(?:prf:|num)?ref\}`([\w:-]+)`", page.read_text("utf-8"))]
    shown = [name for deck in DECKS for name in re.findall(r"\{show\} (\S+)", deck.read_text("utf-8"))]
    assert named
    assert shown
    assert sorted({*named, *shown} - set(labels.known)) == []
    chapters = {chapter.stem for chapter in all_chapters()}
    assert set().union(*(documents(page.stem) for page in PAGES)) <= chapters


def test_there_are_three_syllabi_and_the_longest_reads_every_chapter_once_and_sets_every_assignment() -> None:
    assert len(SYLLABI) == 3
    read = re.findall(r"\{doc\}`\.\./([\w/-]+)`, \{minutes\}`\.\./([\w/-]+)`", SYLLABI[-1])
    assert all(one == other for one, other in read)
    assert sorted(one for one, _ in read) == sorted(CHAPTERS | {"faces/ethics"})
    assert set(re.findall(r"^  - (\w+): \d+ hours$", SYLLABI[-1], re.MULTILINE)) == set(HOURS)


def test_every_row_of_a_table_has_as_many_cells() -> None:
    for syllabus in SYLLABI:
        rows = [position for position, line in enumerate(syllabus.splitlines()) if line.startswith("* - ")]
        assert len({end - start for start, end in pairwise(rows)}) == 1


def test_the_notes_have_wrong_ideas_questions_and_tasks_for_every_chapter() -> None:
    parts = re.split(r"^### ", text("notes"), flags=re.MULTILINE)[1:]
    assert documents("".join(parts)) >= CHAPTERS
    for part in parts:
        assert [part.count(f"- **{kind}.**") for kind in ("Wrong ideas", "Ask", "Show", "Give out")] == [1, 1, 1, 1]


def test_the_assignments_that_the_kit_lists_are_all_with_their_hours() -> None:
    listed = re.findall(r"`(\w+) <assignments/student/\w+\.ipynb>`\n  - .*\n  - (\d+)$", text("kit"), re.MULTILINE)
    assert {name: int(hours) for name, hours in listed} == HOURS


def test_the_notebooks_and_slides_that_the_pages_link_exist() -> None:
    for page in PAGES:
        source = page.read_text(encoding="utf-8")
        for path in re.findall(r"\{repository\}`[^<`]*<([^>]+)>`", source):
            assert (ROOT / path).is_file(), path
        for name in re.findall(r'href="\.\./\.\./slides/(\w+)\.html"', source):
            assert (ROOT / "slides" / f"{name}.md").is_file(), name
