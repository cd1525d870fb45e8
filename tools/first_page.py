"""What the first page says by measurement and by count: findings of stored runs, and the map of the chapters.

A finding that the stored runs do not bear out fails the build. The page is book/intro.md; how long a chapter is to
read is counted in reading.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from rp_tutorial.experiments.engine.documents import joined, published
from rp_tutorial.experiments.faces import adaptive
from rp_tutorial.figures.palette import MECHANISMS
from rp_tutorial.ledger import verdicts
from tools.chapters import ROOT, all_chapters
from tools.reading import Reading, reading

Numbers = dict[str, float]
CLAIM = "advantage at the certified radius, VOTE(100) released, n = 100,000"
VOTE = "smoothing, sigma 0.18, N = 10"


@dataclass(frozen=True)
class Finding:
    """A sentence with places for numbers, where they come from, and what has to be true of them for it to be."""

    words: str
    numbers: Callable[[], Numbers]
    holds: Callable[[Numbers], bool]

    def sentence(self) -> str:
        """The sentence with its numbers, as MyST; ValueError if the stored runs say something else."""
        numbers = self.numbers()
        if not self.holds(numbers):
            raise ValueError(f"the first page says what the stored runs do not: {self.words} {numbers}")
        return self.words.format(**numbers)


def _at_the_edge() -> Numbers:
    table = verdicts.table()
    row = table[table["claim"] == CLAIM].iloc[0]
    low, high = map(float, row["interval"].split(" to "))
    return {"claimed": float(row["paper"].removeprefix("<= ")), "won": float(row["ours"]), "low": low, "high": high}


def _behind_the_vote() -> Numbers:
    answers = pd.DataFrame(joined(published("replication", "synthetic"))["answers"]).set_index("question")
    row = answers.loc["Q1"]
    cost = 100 * (row["test_accuracy_a"] - row["test_accuracy_b"])
    told = {"nets": row["nets"], "shown": row["verdict"] == "yes"}
    return {"bare": 100 * row["asr_a"], "vote": 100 * row["asr_b"], "cost": cost} | told


def _known_to_the_attacker() -> Numbers:
    tables = adaptive.tables(joined(published("adaptive", "synthetic")))
    best = tables["best"].set_index("defense").loc[VOTE]
    ends = {"published_high": best["reference_ci"][1], "known_low": best["asr_ci"][0]}
    attackers = tables["attackers"]["attacker"].nunique()
    return {"published": 100 * best["reference_asr"], "known": 100 * best["asr"], "attackers": attackers} | ends


FINDINGS = (
    Finding(
        "**A certificate is not yet a promise of privacy.** At the edge of the certified ball an onlooker's "
        "{{term}}`advantage` should be {claimed:g} at most; against the vote that is really released it is {won:.2f} "
        "({low:.2f} to {high:.2f}). A shorter radius keeps it: "
        "{{doc}}`Finite samples <foundations/finite-samples>`.",
        _at_the_edge,
        lambda n: n["claimed"] < n["low"] <= n["won"] <= n["high"],
    ),
    Finding(
        "**Voting under noise hides faces, in part.** An attack that sees labels alone finds {bare:.0f} % of drawn "
        "people behind the bare net and {vote:.0f} % behind the vote, over {nets} nets; the vote costs {cost:.1f} "
        "points of accuracy: {{doc}}`Twelve nets <comparisons/twelve-nets>`.",
        _behind_the_vote,
        lambda n: n["shown"] and 0 < n["cost"] < 2,
    ),
    Finding(
        "**An attacker who knows the vote takes most of it back.** Before that vote the published attack finds "
        "{published:.0f} %, the best of {attackers} attackers {known:.0f} %: "
        "{{doc}}`Who knows the defence <comparisons/adaptive>`.",
        _known_to_the_attacker,
        lambda n: n["published_high"] < n["known_low"],
    ),
)


@dataclass(frozen=True)
class Station:
    """A chapter on the map: its short name, and the chapters without which it cannot be read."""

    name: str
    needs: tuple[str, ...] = ()


STATIONS = {
    "foundations/side-channel": Station("An attack that works"),
    "foundations/certified-robustness": Station("Certified robustness"),
    "foundations/robust-privacy": Station(
        "Robust Privacy", ("foundations/side-channel", "foundations/certified-robustness")
    ),
    "foundations/finite-samples": Station("Finite samples", ("foundations/robust-privacy",)),
    "foundations/sharper-bounds": Station("Sharper bounds", ("foundations/finite-samples",)),
    "foundations/in-use": Station("In use", ("foundations/finite-samples",)),
    "foundations/attributes": Station("Attributes", ("foundations/robust-privacy",)),
    "insurance/bmi-threshold": Station("The BMI threshold", ("foundations/certified-robustness",)),
    "insurance/exact-attribute-smoothing": Station("Noise on one attribute", ("foundations/attributes",)),
    "insurance/eligibility": Station("Eligibility", ("foundations/attributes",)),
    "insurance/deterministic": Station("Without noise", ("foundations/robust-privacy",)),
    "faces/facenet64": Station("The nets under attack", ("foundations/certified-robustness",)),
    "faces/label-only-inversion": Station("Faces from labels", ("faces/facenet64",)),
    "faces/defended": Station("The attack, defended", ("faces/label-only-inversion",)),
    "faces/mechanism": Station("Why it fails", ("faces/defended",)),
    "faces/ethics": Station("Real people"),
    "comparisons/randomized-response": Station("Randomized response", ("foundations/robust-privacy",)),
    "comparisons/dp-sgd": Station("DP-SGD", ("foundations/robust-privacy",)),
    "comparisons/frontier": Station(
        "The frontier", ("faces/defended", "comparisons/randomized-response", "comparisons/dp-sgd")
    ),
    "comparisons/distillation": Station("Distillation", ("comparisons/frontier",)),
    "comparisons/adaptive": Station("Who knows the defence", ("comparisons/frontier",)),
    "comparisons/twelve-nets": Station("Twelve nets", ("comparisons/frontier",)),
    "comparisons/related-notions": Station("Related notions", ("foundations/robust-privacy",)),
    "practice/choosing-parameters": Station("Choosing parameters", ("foundations/finite-samples",)),
    "practice/own-model": Station("Your own model", ("foundations/finite-samples",)),
    "practice/scaling-out": Station("Scaling out", ("faces/label-only-inversion",)),
}
SYLLABI = ROOT / "book" / "teaching" / "syllabi.md"


def _read_in(syllabus: str) -> tuple[str, ...]:
    """The chapters that the tables of a syllabus name, in the order of the map."""
    text = SYLLABI.read_text(encoding="utf-8").partition(f"({syllabus})=\n")[2]
    table = re.split(r"^\([\w-]+\)=$", text, flags=re.MULTILINE)[0].partition("{list-table}")[2]
    read = re.findall(r"\{doc\}`\.\./([\w/-]+)`", table)
    return tuple(stem for stem in STATIONS if stem in read)


_FIRST = tuple(STATIONS)[:3]
PATHS = {
    "one lecture": _read_in("one-lecture"),
    "three weeks": _read_in("three-weeks"),
    "ten weeks": _read_in("ten-weeks"),
    "I have a model": (*_FIRST, "foundations/finite-samples", "practice/choosing-parameters", "practice/own-model"),
    "I want the proofs": (
        *tuple(STATIONS)[:7],
        "insurance/exact-attribute-smoothing",
        "insurance/deterministic",
        "comparisons/randomized-response",
        "comparisons/related-notions",
    ),
}
_COLOURS = dict(zip(PATHS, list(MECHANISMS.values())[1:], strict=False))
_LEFT, _APART, _TEXT, _RIGHT, _ROW, _LEGEND = 10, 16, 92, 356, 36, 22


def readings(root: Path = ROOT) -> dict[str, Reading]:
    """What there is to read in every chapter of the map, counted now."""
    return {chapter.stem: reading(chapter) for chapter in all_chapters(root) if chapter.stem in STATIONS}


def chapter_map(found: dict[str, Reading], *, links: bool = True) -> str:
    """The map as SVG, as wide as a phone: a line a path, a row a chapter, what it needs, and the minutes to read it."""
    top = _LEGEND * len(PATHS) + 26
    parts = list(_legend(found))
    for number, (stem, station) in enumerate(STATIONS.items(), 1):
        y = top + _ROW * (number - 1) + 14
        minutes = f"{found[stem].core.minutes:.0f}"
        if found[stem].depth:
            minutes += f" ({found[stem].minutes:.0f})"
        after = ", ".join(str(list(STATIONS).index(need) + 1) for need in station.needs)
        name = f'<text x="{_TEXT}" y="{y}" font-weight="600">{number} {escape(station.name)}</text>'
        parts.append(f'<a href="{stem}.html">{name}</a>' if links else name)
        parts += [f'<text x="{_TEXT}" y="{y + 15}" font-size="12">after {after}</text>'] if after else []
        parts.append(f'<text x="{_RIGHT}" y="{y}" text-anchor="end">{minutes}</text>')
    for column, (path, stems) in enumerate(PATHS.items()):
        x, rows = _LEFT + _APART * column, [top + _ROW * list(STATIONS).index(stem) + 10 for stem in stems]
        line = f'<path d="M{x} {min(rows)}V{max(rows)}" stroke="{_COLOURS[path]}" stroke-width="2"/>'
        parts.append(line + "".join(f'<circle cx="{x}" cy="{y}" r="5" fill="{_COLOURS[path]}"/>' for y in rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 {top + _ROW * len(STATIONS)}" '
        'role="group" aria-labelledby="map-title map-desc" font-family="system-ui, sans-serif" font-size="13" '
        'fill="currentColor"><title id="map-title">Map of the chapters</title>'
        f'<desc id="map-desc">{escape(description(found))}</desc>{"".join(parts)}</svg>'
    )


def description(found: dict[str, Reading]) -> str:
    """The paths in words, for who cannot see the map."""
    numbers = {stem: str(number) for number, stem in enumerate(STATIONS, 1)}
    said = [f"{path}: chapters {', '.join(numbers[stem] for stem in stems)}" for path, stems in PATHS.items()]
    whole = sum(one.core.minutes for one in found.values())
    return f"{len(STATIONS)} chapters, {whole / 60:.0f} hours of reading, and five paths. {'; '.join(said)}."


def _legend(found: dict[str, Reading]) -> Iterator[Any]:
    for row, (path, stems) in enumerate(PATHS.items()):
        x, y = _LEFT + _APART * row, 14 + _LEGEND * row
        hours = sum(found[stem].core.minutes for stem in stems) / 60
        yield f'<circle cx="{x}" cy="{y - 4}" r="5" fill="{_COLOURS[path]}"/>'
        yield f'<text x="{_TEXT}" y="{y}">{escape(path)}</text>'
        yield f'<text x="{_RIGHT}" y="{y}" text-anchor="end">{hours:.1f} h</text>'
    yield f'<text x="{_RIGHT}" y="{_LEGEND * len(PATHS) + 18}" text-anchor="end" font-size="12">min (with depth)</text>'
