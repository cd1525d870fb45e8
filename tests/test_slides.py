"""The slides of the built book: what they are made of, what they refuse, and that they answer keys.

That charts are drawn, formulas typeset and nothing is wider than a phone is seen in test_book.py, as of every page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from tools.browser import SETTLED
from tools.chapters import ROOT
from tools.slides import SlidesError, write

BOOK = Path(os.environ.get("RP_TUTORIAL_BOOK_ROOT", ROOT))
SLIDES = BOOK / "_build" / "html" / "slides"
DECKS = sorted((ROOT / "slides").glob("*.md"))
PULLED = re.compile(r"^```\{show\} \S+\n```$", re.MULTILINE)

each_deck = pytest.mark.parametrize("deck", DECKS, ids=lambda deck: deck.stem)


@pytest.fixture(scope="module")
def window(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    yield page
    page.close()


def opened(window: Page, deck: Path) -> Page:
    window.goto((SLIDES / f"{deck.stem}.html").as_uri(), wait_until="load")
    window.wait_for_function(SETTLED)
    return window


def test_every_part_has_a_deck() -> None:
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = {part["caption"] for part in contents["parts"] if part.get("numbered")}
    assert {deck.read_text(encoding="utf-8").splitlines()[0] for deck in DECKS} == {f"# {part}" for part in parts}


@each_deck
def test_the_words_of_a_slide_hold_no_number(deck: Path) -> None:
    """What there is of numbers comes with a figure or a statement."""
    assert re.findall(r"\d+", PULLED.sub("", deck.read_text(encoding="utf-8"))) == []


@each_deck
def test_a_slide_fits_a_projector_and_a_sheet(deck: Path, window: Page, tmp_path: Path) -> None:
    page = opened(window, deck)
    tall = page.evaluate(
        "() => [...document.querySelectorAll('.slide')].filter((slide) => slide.scrollHeight > innerHeight + 1)"
        ".map((slide) => slide.querySelector('h1, h2').textContent)"
    )
    assert tall == []
    page.pdf(path=tmp_path / "slides.pdf", prefer_css_page_size=True)
    assert len(PdfReader(tmp_path / "slides.pdf").pages) == page.locator(".slide").count()


def test_keys_move_the_slides(window: Page) -> None:
    page = opened(window, DECKS[0])
    last = page.locator(".slide").count()
    keys = {"End": last, "Home": 1, "ArrowRight": 2, " ": 3, "PageDown": 4, "ArrowLeft": 3, "Shift+Space": 2}
    for key, number in keys.items():
        page.keyboard.press(key)
        assert page.url.endswith(f"#slide-{number}"), key
        assert abs(page.locator(f"#slide-{number}").bounding_box()["y"]) < 2
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A site of one page, and a deck."""
    (tmp_path / "_toc.yml").write_text("parts: [{caption: One, chapters: [{file: book/a}]}]", encoding="utf-8")
    (tmp_path / "site" / "book").mkdir(parents=True)
    page = '<h1>Title</h1><figure id="fig-a"><a href="b.html#x">link</a></figure><div id="equation-e">E</div>'
    (tmp_path / "site" / "book" / "a.html").write_text(page, encoding="utf-8")
    (tmp_path / "slides").mkdir()
    return tmp_path


def deck(trial: Path, text: str) -> str:
    (trial / "slides" / "one.md").write_text(text, encoding="utf-8")
    (made,) = write(trial / "site", trial)
    return made.read_text(encoding="utf-8")


def test_what_is_pulled_leads_back_into_the_book(trial: Path) -> None:
    text = deck(trial, "# One\n\n## Next\n\n```{show} fig-a\n```\n\n```{show} e\n```\n\nSo $a < b$.\n")
    assert text.count('<section class="slide"') == 2
    assert '<a href="../book/b.html#x">link</a>' in text
    assert '<p class="source"><a href="../book/a.html#equation-e">Title</a></p>' in text
    assert '<span class="math">\\(a &lt; b\\)</span>' in text


def test_of_an_exercise_a_slide_has_the_question(trial: Path) -> None:
    hint = '<div class="admonition dropdown">HINT</div><div class="highlight-python">START</div>'
    page = f'<h1>Title</h1><div class="exercise" id="ex-a"><p>Asked.</p>{hint}<div class="cell">CELL</div></div>'
    (trial / "site" / "book" / "a.html").write_text(page, encoding="utf-8")
    text = deck(trial, "# One\n\n```{show} ex-a\n```\n")
    assert "Asked." in text
    assert not re.search("HINT|START|CELL", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# One\n\n```{show} fig-gone\n```\n", "one.md: nothing in the book has the label fig-gone"),
        ("# One\n\n```{show} fig-a\n```\n\n```{show} fig-a\n```\n", "each label once"),
        ("# Two\n", "one.md: the book has no part Two"),
    ],
)
def test_a_deck_that_asks_for_what_is_not_there_is_refused(trial: Path, text: str, message: str) -> None:
    with pytest.raises(SlidesError, match=message):
        deck(trial, text)
