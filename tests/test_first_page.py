"""What the first page says by measurement and by count: findings that hold, and a map that cannot go stale."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rp_tutorial.figures.palette import MECHANISMS
from tools.chapters import ROOT, all_chapters
from tools.first_page import FINDINGS, PATHS, STATIONS, Finding, chapter_map, readings
from tools.reading import reading

SVG = "{http://www.w3.org/2000/svg}"
BOOK = {chapter.stem: chapter for chapter in all_chapters()}


def test_there_are_three_findings_and_the_stored_runs_bear_them_out() -> None:
    said = [finding.sentence() for finding in FINDINGS]
    assert len(said) == 3
    for sentence in said:
        assert len(re.findall(r"\d", sentence)) >= 3
        assert set(re.findall(r"\{(\w*)\}", sentence)) <= {"doc", "term"}


def test_a_finding_that_does_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="says what the stored runs do not"):
        Finding("{x:.0f} is large.", lambda: {"x": 1.0}, lambda n: n["x"] > 10).sentence()


def test_the_map_has_every_chapter_in_the_order_of_the_book() -> None:
    beside = ("intro", "appendix/", "teaching/")
    assert list(STATIONS) == [stem for stem in BOOK if not stem.startswith(beside)]


def test_the_list_below_the_map_has_its_chapters_and_its_numbers() -> None:
    listed = re.findall(r"^(\d+)\. \{doc\}`([\w/-]+)`", BOOK["intro"].path.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [(str(number), stem) for number, stem in enumerate(STATIONS, 1)]


def test_a_chapter_needs_only_chapters_before_it_and_a_path_passes_what_its_chapters_need() -> None:
    order = list(STATIONS)
    for stem, station in STATIONS.items():
        assert all(order.index(need) < order.index(stem) for need in station.needs)
    for stems in PATHS.values():
        assert list(stems) == sorted(stems, key=order.index)
        assert {need for stem in stems for need in STATIONS[stem].needs} <= set(stems)


def test_the_paths_of_a_course_are_its_syllabi() -> None:
    assert PATHS["ten weeks"] == tuple(STATIONS)
    assert set(PATHS["one lecture"]) < set(PATHS["three weeks"]) < set(PATHS["ten weeks"])
    assert PATHS["three weeks"][-2:] == ("comparisons/related-notions", "practice/own-model")


def test_the_map_names_every_chapter_and_its_minutes_as_counted() -> None:
    found = readings()
    texts = [text.text for text in ElementTree.fromstring(chapter_map(found)).iter(f"{SVG}text")]
    for number, (stem, station) in enumerate(STATIONS.items(), 1):
        counted = reading(BOOK[stem])
        minutes = f"{counted.core.minutes:.0f}" + (f" ({counted.minutes:.0f})" if counted.depth else "")
        at = texts.index(f"{number} {station.name}")
        assert minutes in texts[at + 1 : at + 3]


def test_the_minutes_follow_the_source(tmp_path: Path) -> None:
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("assets"))
    longer = tmp_path / "book" / "faces" / "ethics.md"
    longer.write_text(longer.read_text(encoding="utf-8") + "\n" + 2000 * "word " + "\n", encoding="utf-8")
    before, after = readings(), readings(tmp_path)
    assert after["faces/ethics"].minutes == pytest.approx(before["faces/ethics"].minutes + 10)


def test_the_map_is_drawn_for_a_phone_in_colours_for_light_and_dark_and_leads_to_the_chapters() -> None:
    root = ElementTree.fromstring(chapter_map(readings()))
    assert root.get("viewBox", "").startswith("0 0 360 ")
    assert root.get("fill") == "currentColor"
    assert min(float(part.get("font-size", 13)) for part in root.iter()) >= 12
    colours = {part.get(name) for part in root.iter() for name in ("fill", "stroke")} - {None, "currentColor"}
    assert colours <= set(MECHANISMS.values())
    assert [link.get("href") for link in root.iter(f"{SVG}a")] == [f"{stem}.html" for stem in STATIONS]
    assert "one lecture: chapters 1, 2, 3, 4;" in (root.findtext(f"{SVG}desc") or "")
    assert not list(ElementTree.fromstring(chapter_map(readings(), links=False)).iter(f"{SVG}a"))
