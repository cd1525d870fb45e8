"""The built book, opened from file:// in a real browser and read as files: what a reader would stumble over.

`make book` has to have run; `make test` sees to that. How the book is built is tested in test_build.py, what
the chapters compute in test_chapters.py.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from page_facts import FACTS, MOVE_SLIDERS, READ_SLIDERS
from playwright.sync_api import Browser, Page

from tools import downloads
from tools.browser import OPEN_EVERYTHING, SETTLED
from tools.chapters import configuration

ROOT = Path(__file__).resolve().parent.parent
# The override points these tests and those of the chapters at a trial book elsewhere.
BOOK = Path(os.environ.get("RP_TUTORIAL_BOOK_ROOT", ROOT))
HTML = BOOK / "_build" / "html"
PAGES = sorted(path.relative_to(HTML).as_posix() for path in HTML.rglob("*.html") if "_static" not in path.parts)
SHOWN = [page for page in PAGES if page != "index.html"]  # that one only leads to the first page
CHAPTERS = [page for page in PAGES if page.startswith("book/")]
FIRST = {1280: "light", 390: "dark"}  # a page opens in the one theme, and the system turns to the other
SCREENS = [(width, scheme) for width in FIRST for scheme in ("light", "dark")]
JUDGED = (390, "light")  # what axe-core judges here is the same on every screen
PATIENCE = 120_000  # milliseconds; a page that settles is waited for no longer, on a machine that is busy as well
THEMED = "(scheme) => document.documentElement.dataset.theme === scheme"
CDN = re.compile(r"jsdelivr|unpkg|cdnjs|googleapis|polyfill\.io|require\.js|requirejs|jupyter-widgets", re.IGNORECASE)


Facts = Callable[[str], dict[str, Any]]


@dataclass
class Visit:
    """What one page did and was at one width, in both colour schemes."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)  # of a scheme
    sliders: list[dict[str, Any]] = field(default_factory=list)  # what they moved, and where they then stood


def barriers(page: Page) -> list[str]:
    """What axe-core calls serious or critical, but for four rules: its look at every colour takes ten times as long as
    all else together, what scrolls without a focus depends on what happens to overflow just then, links that only a
    colour tells from their text are in FACTS, and a landmark around everything is never serious to it."""
    left_out = ("color-contrast", "scrollable-region-focusable", "link-in-text-block", "region")
    rules = {rule: {"enabled": False} for rule in left_out}
    options = {"resultTypes": ["violations"], "rules": rules, "preload": False}  # file: has no second request
    found = Axe().run(page, {"exclude": [["mjx-container"]]}, options)
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found.response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


class Window:
    """One browser window of a given width; it keeps what it has seen."""

    def __init__(self, browser: Browser, width: int) -> None:
        self.width, self.first = width, FIRST[width]
        # Offline, so that no request leaves the machine in the tests either; what is asked for is kept all the same.
        context = browser.new_context(viewport={"width": width, "height": 900}, offline=True)
        context.set_default_timeout(PATIENCE)
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._visit.complaints.append(f"page error: {error}"))
        self.page.on("requestfailed", lambda request: self._visit.complaints.append(f"failed: {request.url}"))
        self.page.on("request", self._request)
        self._visit = Visit()
        self._seen: dict[str, Visit] = {}

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._visit.complaints.append(f"console {message.type}: {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            self._visit.requests.append(request.url)

    @property
    def complaints(self) -> list[str]:
        """What the page opened last has said in the console, and what it could not do."""
        return self._visit.complaints

    def open(self, page: str, site: Path = HTML) -> None:
        """Go to the page and wait until charts are drawn and formulas typeset, or patience is at its end."""
        self._visit = Visit()
        self.page.emulate_media(color_scheme=self.first)
        self.page.goto((site / page).as_uri(), wait_until="load")
        self.page.evaluate(OPEN_EVERYTHING)
        self._look(self.first)

    def _look(self, scheme: str) -> None:
        try:
            self.page.wait_for_function(THEMED, arg=scheme)
            self.page.wait_for_function(SETTLED)
        except Exception as error:
            self._visit.complaints.append(f"did not settle in {scheme}: {type(error).__name__}")
        self._visit.facts[scheme] = self.page.evaluate(FACTS)
        if (self.width, scheme) == JUDGED:
            self._visit.facts[scheme]["barriers"] = barriers(self.page)

    def visit(self, page: str) -> Visit:
        """What is known about the page, which is opened at most once: seen, its sliders moved, its theme changed."""
        if page not in self._seen:
            self.open(page)
            sliders = self.page.evaluate(MOVE_SLIDERS)
            other = "dark" if self.first == "light" else "light"
            self.page.emulate_media(color_scheme=other)
            self._look(other)
            after = self.page.evaluate(READ_SLIDERS)
            self._visit.sliders = [{**slider, "after": after.get(slider["id"])} for slider in sliders]
            self._seen[page] = self._visit
        return self._seen[page]


@pytest.fixture(scope="session")
def windows(browser: Browser) -> dict[int, Window]:
    return {width: Window(browser, width) for width in FIRST}


@pytest.fixture(scope="session", params=FIRST, ids=lambda width: f"{width}px")
def window(request: pytest.FixtureRequest, windows: dict[int, Window]) -> Window:
    return windows[request.param]


@pytest.fixture(scope="session", params=SCREENS, ids=lambda screen: f"{screen[0]}px-{screen[1]}")
def facts(request: pytest.FixtureRequest, windows: dict[int, Window]) -> Facts:
    width, scheme = request.param
    return lambda page: windows[width].visit(page).facts[scheme]


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the zip has on a disk."""
    folder = tmp_path_factory.mktemp("a folder of the reader's")
    shutil.unpack_archive(downloads.pack(BOOK), folder)
    return folder / downloads.NAME


def test_the_zip_opens_without_a_server_and_its_charts_are_drawn(browser: Browser, unzipped: Path) -> None:
    window = Window(browser, 1280)
    drawn = [page for page in CHAPTERS if 'class="rp-chart"' in (HTML / page).read_text(encoding="utf-8")]
    for page in drawn[:2]:
        window.open(page, unzipped)
        charts = window.page.evaluate(FACTS)["charts"]
        assert charts
        assert all(chart["marks"] for chart in charts)
        assert window.complaints == []
    window.page.goto((unzipped / "index.html").as_uri())
    window.page.wait_for_url("**/book/intro.html")
    assert window.complaints == []


def test_the_zip_is_searched_without_a_server(browser: Browser, unzipped: Path) -> None:
    window = Window(browser, 1280)
    window.open("search.html", unzipped)  # so that what it says is kept
    window.page.goto((unzipped / "search.html").as_uri() + "?q=radius")
    window.page.wait_for_function("() => document.querySelectorAll('#search-results li a').length > 3")
    assert window.complaints == []


@cache
def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("page", SHOWN)
class TestEveryScreen:
    def test_no_error_reaches_the_console(self, window: Window, page: str) -> None:
        assert window.visit(page).complaints == []

    def test_no_request_leaves_the_machine(self, window: Window, page: str) -> None:
        assert window.visit(page).requests == []

    def test_a_slider_moves_its_chart_and_stays_where_it_is_when_the_theme_changes(
        self, window: Window, page: str
    ) -> None:
        for slider in window.visit(page).sliders:
            assert slider["moved"], slider
            assert slider["role"] == "group", "role img hides the sliders from a screen reader"
            assert slider["after"] == slider["value"], slider

    def test_no_page_is_wider_than_the_screen(self, facts: Facts, page: str) -> None:
        assert facts(page)["overflow"] <= 0, facts(page)["widest"]

    def test_every_formula_is_typeset(self, facts: Facts, page: str) -> None:
        found = facts(page)
        assert found["merrors"] == []
        assert found["typeset"] == found["formulas"]
        assert found["raw"] == 0

    def test_every_chart_is_drawn_in_the_colours_of_the_theme(self, facts: Facts, page: str) -> None:
        found = facts(page)
        for chart in found["charts"]:
            assert chart["marks"] > 0, chart
            assert chart["drawn"] == found["theme"], chart
            assert (chart["behind"] < 0.4) == (found["theme"] == "dark"), chart
            assert chart["label"], f"{chart['id']} has no description"

    def test_no_text_of_a_chart_is_cut_short_or_stands_outside(self, facts: Facts, page: str) -> None:
        assert [cut for chart in facts(page)["charts"] for cut in chart["cut"]] == []

    def test_the_text_of_a_diagram_is_legible_apart_and_inside_it(self, facts: Facts, page: str) -> None:
        for diagram in facts(page)["diagrams"]:
            assert diagram["smallest"] >= 11  # CSS pixels
            assert diagram["outside"] == []
            assert diagram["overlapping"] == []

    def test_not_only_a_colour_tells_a_link_from_its_text(self, facts: Facts, page: str) -> None:
        assert facts(page)["faint"] == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_theme_follows_the_system(windows: dict[int, Window], page: str) -> None:
    for window in windows.values():
        themes = {scheme: facts["theme"] for scheme, facts in window.visit(page).facts.items()}
        assert themes == {"light": "light", "dark": "dark"}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_inside_the_book_resolves(page: str) -> None:
    here = HTML / page
    broken = []
    for link in soup(page).find_all(["a", "link", "img", "script"]):
        address = link.get("href") or link.get("src") or ""
        parts = urlsplit(address)
        if not address or parts.scheme or address.startswith("//"):
            continue
        target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
        if not target.is_file():
            broken.append(address)
            continue
        inside = target.relative_to(HTML.resolve()).as_posix()
        if parts.fragment and target.suffix == ".html" and unquote(parts.fragment) not in anchors(inside):
            broken.append(address)
    assert broken == []


@cache
def anchors(page: str) -> set[str]:
    return {str(part["id"]) for part in soup(page).find_all(id=True)} | {""}


@pytest.mark.parametrize("page", SHOWN)
def test_every_page_has_a_title_and_every_image_a_text(page: str) -> None:
    parsed = soup(page)
    assert parsed.title is not None
    assert parsed.title.text.strip()
    silent = [image.get("src") for image in parsed.find_all("img") if image.get("alt") is None]
    assert silent == []
    empty = [image.get("src") for image in parsed.select("article img") if not image.get("alt", "").strip()]
    assert empty == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_diagram_stands_in_its_page_with_a_numbered_caption(page: str) -> None:
    source = (BOOK / page).with_suffix(".md").read_text(encoding="utf-8")
    wanted = re.findall(r"^`{3,}\{diagram\} (\S+)$", source, re.MULTILINE)
    shown = soup(page).select("figure.rp-diagram")
    assert [str(figure.svg["aria-labelledby"]).split()[0] for figure in shown] == [f"{name}-title" for name in wanted]
    for figure in shown:
        assert re.match(r"Fig\. [\d.]+ \S", figure.figcaption.get_text().strip())


@pytest.mark.parametrize("page", SHOWN)
def test_no_table_hides_a_row_or_cuts_a_cell(page: str) -> None:
    """pandas writes three dots where it leaves something out."""
    cells = [cell.get_text().strip() for cell in soup(page).select("table.dataframe :is(td, th)")]
    assert [cell for cell in cells if cell.endswith("...")] == []


@pytest.mark.parametrize("page", PAGES)
def test_no_page_names_a_content_network(page: str) -> None:
    assert CDN.findall((HTML / page).read_text(encoding="utf-8")) == []


def test_the_book_is_built_and_its_index_leads_to_the_first_page() -> None:
    if "index.html" not in PAGES:
        pytest.fail("no built book in _build/html: run `make book` first", pytrace=False)
    refresh = soup("index.html").find("meta", attrs={"http-equiv": "Refresh"})
    assert refresh is not None
    assert (HTML / str(refresh["content"]).partition("url=")[2]).is_file()


def test_no_script_but_mathjax_names_a_content_network() -> None:
    # MathJax names one for its speech rules, which load only when a reader turns speech on.
    scripts = [path for path in HTML.rglob("*.js") if path.name != "tex-svg.js"]
    named = re.compile(r"jsdelivr|unpkg\.com|cdnjs|googleapis|polyfill\.io", re.IGNORECASE)
    assert [path.name for path in scripts if named.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_licence_stands_at_the_foot_of_every_page(page: str) -> None:
    assert "CC BY 4.0" in soup(page).get_text()


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_colab_button_opens_the_reader_notebook(page: str) -> None:
    buttons = [link["href"] for link in soup(page).find_all("a", href=True) if "colab" in link["href"]]
    notebook = "notebooks/" + page.removeprefix("book/").removesuffix(".html") + ".ipynb"
    branch = configuration(BOOK)["repository"]["branch"]
    for address in buttons:
        assert address.endswith(f"/blob/{branch}/{notebook}")
        assert (BOOK / notebook).is_file()


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_notebook_to_download_is_the_reader_notebook(page: str) -> None:
    for button in soup(page).find_all(class_="btn-download-notebook-button"):
        offered = (HTML / page).parent / unquote(button["href"])
        notebook = BOOK / "notebooks" / Path(page).relative_to("book").with_suffix(".ipynb")
        assert offered.read_bytes() == notebook.read_bytes()


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_page_says_what_it_is_to_who_links_to_it(page: str) -> None:
    """A description for a search engine, title and address for whoever shares the link, and a picture for the tab."""
    head = soup(page).head
    said = {tag.get("property") or tag.get("name"): tag.get("content", "") for tag in head.find_all("meta")}
    assert len(said["description"]) > 40
    assert said["og:title"]
    assert said["og:url"].endswith(page)
    icon = head.find("link", rel="icon")["href"]
    assert (HTML / page).parent.joinpath(icon).is_file()


@pytest.mark.parametrize("page", SHOWN)
def test_nothing_bars_a_reader_who_uses_a_keyboard_or_a_screen_reader(windows: dict[int, Window], page: str) -> None:
    width, scheme = JUDGED
    assert windows[width].visit(page).facts[scheme]["barriers"] == []
