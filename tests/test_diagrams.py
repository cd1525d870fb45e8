"""The diagrams of book/assets/diagrams/ as files: well-formed, described, in the book's colours, and to scale.

How they look in a page (sizes of text, boxes) is measured in test_book.py.
"""

from __future__ import annotations

import re
from math import dist
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

import rp_tutorial as rp
from rp_tutorial.figures.palette import ABOVE, BELOW, REFERENCE
from tools.assets import DIAGRAMS, Diagram
from tools.chapters import ROOT, all_chapters

ALL = [Diagram(path.stem) for path in sorted((ROOT / DIAGRAMS).glob("*.svg"))]
each_diagram = pytest.mark.parametrize("diagram", ALL, ids=lambda diagram: diagram.name)
PAPER = "background: #fff"  # seen in a notebook alone: book/assets/rp-book.css takes it away in a page
SVG = "{http://www.w3.org/2000/svg}"


def numbers(diagram: str, part: str, index: int) -> list[float]:
    """All numbers in the geometry of one element: the index-th of its kind."""
    element = list(ElementTree.fromstring(Diagram(diagram).svg()).iter(SVG + part))[index]
    geometry = [element.get(name, "") for name in ("d", "x", "y", "cx", "cy", "r", "width")]
    return [float(number) for number in re.findall(r"-?[\d.]+", " ".join(geometry))]


def test_there_are_at_least_eight() -> None:
    assert len(ALL) >= 8


@each_diagram
def test_a_diagram_has_a_name_a_description_and_the_width_of_a_phone(diagram: Diagram) -> None:
    root = ElementTree.fromstring(diagram.svg())
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{diagram.name}-title {diagram.name}-desc"
    assert root.get("viewBox", "").startswith("0 0 360 ")
    assert root.get("width") == "480", "in a notebook it would be as wide as the window"
    assert {"title", "desc"} == {child.tag.removeprefix(SVG) for child in list(root)[:2]}
    assert len(root.findtext(f"{SVG}title", "")) >= 10
    assert len(diagram.description()) >= 100
    assert len(diagram.svg().encode()) < 6000
    identities = [element.get("id", "") for element in root.iter() if element.get("id")]
    assert [one for one in identities if not one.startswith(f"{diagram.name}-")] == [], "may meet another's in a page"


@each_diagram
def test_a_diagram_has_the_colours_of_the_book_and_text_that_of_the_page(diagram: Diagram) -> None:
    root = ElementTree.fromstring(diagram.svg())
    assert root.get("fill") == "currentColor"
    assert root.get("style") == PAPER
    for element in root.iter():
        for name in ("fill", "stroke"):
            assert element.get(name, "none") in {ABOVE, BELOW, REFERENCE, "currentColor", "none"}
        if element.tag in (SVG + "text", SVG + "tspan"):
            assert not set(element.keys()) & {"fill", "stroke", "opacity", "fill-opacity"}
        assert element is root or "style" not in element.attrib


@each_diagram
def test_a_diagram_stands_in_exactly_one_chapter_whatever_the_first_page_shows(diagram: Diagram) -> None:
    fence = re.compile(rf"^```\{{diagram\}} {re.escape(diagram.name)}$", re.MULTILINE)
    used = [len(fence.findall(chapter.path.read_text(encoding="utf-8"))) for chapter in all_chapters()[1:]]
    assert sum(used) == 1


def test_the_certified_ball_is_drawn_short_of_the_boundary() -> None:
    right, _, radius_of_boundary = numbers("ball-and-boundary", "path", 2)[:3]
    x, y, radius = numbers("ball-and-boundary", "circle", 0)
    tail = numbers("ball-and-boundary", "path", 4)  # from x to the nearest point of the boundary
    assert tail[:2] == [x, y]
    distance = dist(tail[:2], tail[2:])
    assert radius < distance
    centre = (470, 60)  # of the arc that is the boundary
    assert dist(centre, (right, 0)) == pytest.approx(radius_of_boundary, abs=0.1)
    assert dist(centre, (x, y)) - radius_of_boundary == pytest.approx(distance, abs=0.2)


def test_the_two_radii_are_drawn_to_scale() -> None:
    p_low = rp.statistics.lower_confidence_bound(900, 1000, alpha=0.01)
    radius = float(rp.statistics.certified_radius(p_low, sigma=1.0))
    deployable = float(rp.deployable_radius(p_low, sigma=1.0, n_vote=100, beta=0.01))
    left, _, width = numbers("deployable-radius", "rect", 0)
    for drawn, true in ((width, deployable), (numbers("deployable-radius", "circle", 1)[0] - left, radius)):
        assert drawn == pytest.approx(300 * true / 1.3, abs=0.1)  # 300 units wide are 1.3 sigma
    assert 142 - 120 * stats.binom.sf(50, 100, 0.5) == pytest.approx(
        numbers("deployable-radius", "circle", 1)[1], abs=0.1
    )


def test_the_step_away_from_the_wall_is_drawn_to_scale() -> None:
    x, y, radius = numbers("boundary-repulsion", "circle", 0)
    wall = numbers("boundary-repulsion", "rect", 0)[0]
    outside = [left + 4 for left in numbers("boundary-repulsion", "path", 3)[::8]]  # "M left top l8 8 m0 -8 l-8 8"
    assert len(outside) == 10
    assert min(outside) > wall
    step = radius / 3 * sum(end - x for end in outside) / radius / 32
    assert numbers("boundary-repulsion", "circle", 2)[:2] == pytest.approx([x - step, y], abs=0.1)


def test_the_bound_on_the_scale_of_the_advantage_is_drawn_to_scale() -> None:
    start, _, end, *_ = numbers("distinguishing-game", "path", -3)
    bound = numbers("distinguishing-game", "path", -2)
    assert (bound[2] - start) / (end - start) == pytest.approx((0.01 / 2) / 0.5, abs=0.1 / 300)


def test_the_curves_of_smoothing_and_randomness_are_drawn_to_scale() -> None:
    """A net with an island at -1.35 to -1.05, a boundary at 0 and a hole at .95 to 1.25, in units of sigma."""
    curves = {name: numbers("smoothing-and-randomness", "path", index) for name, index in (("one", 5), ("vote", 7))}
    for name, top in (("one", 152), ("vote", 214)):
        for x, y in zip(curves[name][::2], curves[name][1::2], strict=True):
            t = (x - 130) / 220 * 5 - 2.5
            island, boundary, hole = np.diff(stats.norm.cdf(np.array([-1.35, -1.05, 0, np.inf, 0.95, 1.25]) - t))[::2]
            p = island + boundary - hole
            share = p if name == "one" else stats.binom.sf(50, 100, p)
            assert top + 40 * (1 - share) == pytest.approx(y, abs=0.3)  # x is rounded to a tenth
