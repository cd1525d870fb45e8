"""The built book, opened from file:// in a real browser and read as files: what a reader would stumble over.

`make book` has to have run; `make test` sees to that. How the book is built is tested in test_build.py, what
the chapters compute in test_chapters.py.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from page_facts import FACTS
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
SCREENS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]
JUDGED = (390, "light")  # what axe-core judges here is the same on every screen
CDN = re.compile(r"jsdelivr|unpkg|cdnjs|googleapis|polyfill\.io|require\.js|requirejs|jupyter-widgets", re.IGNORECASE)


@dataclass
class Visit:
    """What one page did and was at one width and colour scheme."""

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def barriers(page: Page) -> list[str]:
    """What axe-core calls serious or critical, but for two rules: its look at every colour takes ten times as long as
    all else together, and what scrolls without a focus depends on what happens to overflow just then."""
    rules = {rule: {"enabled": False} for rule in ("color-contrast", "scrollable-region-focusable")}
    options = {"resultTypes": ["violations"], "rules": rules, "preload": False}  # file: has no second request
    found = Axe().run(page, {"exclude": [["mjx-container"]]}, options)
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found.response["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


class Screen:
    """One browser window of a given width and colour scheme; it keeps what it has seen."""

    def __init__(self, browser: Browser, width: int, scheme: str) -> None:
        self.name = width, scheme
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        self.page: Page = context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self._visit.complaints.append(f"page error: {error}"))
        self.page.on("requestfailed", lambda request: self._visit.complaints.append(f"failed: {request.url}"))
        self.page.route("**/*", self._request)
        self._visit = Visit()
        self._seen: dict[str, Visit] = {}

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._visit.complaints.append(f"console {message.type}: {message.text}")

    def _request(self, route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")):
            route.continue_()
            return
        self._visit.requests.append(url)
        route.abort()

    @property
    def complaints(self) -> list[str]:
        """What the page opened last has said in the console, and what it could not do."""
        return self._visit.complaints

    def open(self, page: str, site: Path = HTML) -> None:
        """Go to the page and wait until charts are drawn and formulas typeset, or ten seconds have gone."""
        self._visit = Visit()
        self.page.goto((site / page).as_uri(), wait_until="load")
        self.page.evaluate(OPEN_EVERYTHING)
        try:
            self.page.wait_for_function(SETTLED, timeout=10_000)
        except Exception as error:
            self._visit.complaints.append(f"did not settle: {type(error).__name__}")

    def visit(self, page: str) -> Visit:
        """What is known about the page; it is opened at most once."""
        if page not in self._seen:
            self.open(page)
            self._visit.facts = self.page.evaluate(FACTS)
            if self.name == JUDGED:
                self._visit.facts["barriers"] = barriers(self.page)
            self._seen[page] = self._visit
        return self._seen[page]


@pytest.fixture(scope="session")
def screens(browser: Browser) -> dict[tuple[int, str], Screen]:
    return {screen: Screen(browser, *screen) for screen in SCREENS}


@pytest.fixture(scope="session", params=SCREENS, ids=lambda screen: f"{screen[0]}px-{screen[1]}")
def screen(request: pytest.FixtureRequest, screens: dict[tuple[int, str], Screen]) -> Screen:
    return screens[request.param]


@pytest.fixture(scope="module")
def unzipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of the zip has on a disk."""
    folder = tmp_path_factory.mktemp("a folder of the reader's")
    shutil.unpack_archive(downloads.pack(BOOK), folder)
    return folder / downloads.NAME


def test_the_zip_opens_without_a_server_and_its_charts_are_drawn(browser: Browser, unzipped: Path) -> None:
    screen = Screen(browser, 1280, "light")
    drawn = [page for page in CHAPTERS if 'class="rp-chart"' in (HTML / page).read_text(encoding="utf-8")]
    for page in drawn[:2]:
        screen.open(page, unzipped)
        charts = screen.page.evaluate(FACTS)["charts"]
        assert charts
        assert all(chart["marks"] for chart in charts)
        assert screen.complaints == []
    screen.page.goto((unzipped / "index.html").as_uri())
    screen.page.wait_for_url("**/book/intro.html")
    assert screen.complaints == []


def test_the_zip_is_searched_without_a_server(browser: Browser, unzipped: Path) -> None:
    screen = Screen(browser, 1280, "light")
    screen.open("search.html", unzipped)  # so that what it says is kept
    screen.page.goto((unzipped / "search.html").as_uri() + "?q=radius")
    screen.page.wait_for_function("() => document.querySelectorAll('#search-results li a').length > 3")
    assert screen.complaints == []


def soup(page: str) -> BeautifulSoup:
    return BeautifulSoup((HTML / page).read_text(encoding="utf-8"), "html.parser")


@pytest.mark.parametrize("page", SHOWN)
class TestEveryScreen:
    def test_no_error_reaches_the_console(self, screen: Screen, page: str) -> None:
        assert screen.visit(page).complaints == []

    def test_no_request_leaves_the_machine(self, screen: Screen, page: str) -> None:
        assert screen.visit(page).requests == []

    def test_no_page_is_wider_than_the_screen(self, screen: Screen, page: str) -> None:
        facts = screen.visit(page).facts
        assert facts["overflow"] <= 0, facts["widest"]

    def test_every_formula_is_typeset(self, screen: Screen, page: str) -> None:
        facts = screen.visit(page).facts
        assert facts["merrors"] == []
        assert facts["typeset"] == facts["formulas"]
        assert facts["raw"] == 0

    def test_every_chart_is_drawn_in_the_colours_of_the_theme(self, screen: Screen, page: str) -> None:
        facts = screen.visit(page).facts
        for chart in facts["charts"]:
            assert chart["marks"] > 0, chart
            assert chart["drawn"] == facts["theme"], chart
            assert (chart["behind"] < 0.4) == (facts["theme"] == "dark"), chart
            assert chart["label"], f"{chart['id']} has no description"

    def test_no_text_of_a_chart_is_cut_short_or_stands_outside(self, screen: Screen, page: str) -> None:
        assert [cut for chart in screen.visit(page).facts["charts"] for cut in chart["cut"]] == []

    def test_the_text_of_a_diagram_is_legible_apart_and_inside_it(self, screen: Screen, page: str) -> None:
        for diagram in screen.visit(page).facts["diagrams"]:
            assert diagram["smallest"] >= 11  # CSS pixels
            assert diagram["outside"] == []
            assert diagram["overlapping"] == []


@pytest.mark.parametrize("page", CHAPTERS)
def test_the_theme_follows_the_system(screens: dict[tuple[int, str], Screen], page: str) -> None:
    assert screens[(1280, "light")].visit(page).facts["theme"] == "light"
    assert screens[(1280, "dark")].visit(page).facts["theme"] == "dark"


@pytest.mark.parametrize("page", CHAPTERS)
def test_a_live_chart_answers_its_slider(screens: dict[tuple[int, str], Screen], page: str) -> None:
    screen = screens[(1280, "light")]
    if not any(chart for chart in screen.visit(page).facts["charts"]):
        pytest.skip("no chart on this page")
    screen.open(page)
    charts = screen.page.locator(".rp-chart:has(.vega-bind input[type=range])")
    if charts.count() == 0:
        pytest.skip("no slider on this page")
    for index in range(charts.count()):
        chart = charts.nth(index)
        assert chart.get_attribute("role") == "group", "role img hides the sliders from a screen reader"
        before = chart.locator("svg").evaluate("svg => svg.outerHTML")
        chart.locator(".vega-bind input[type=range]").first.evaluate(
            """slider => {
                slider.value = slider.value === slider.max ? slider.min : slider.max;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
            }"""
        )
        screen.page.wait_for_timeout(200)
        assert chart.locator("svg").evaluate("svg => svg.outerHTML") != before


@pytest.mark.parametrize("page", CHAPTERS)
def test_charts_follow_a_change_of_theme_and_keep_their_sliders(
    screens: dict[tuple[int, str], Screen], page: str
) -> None:
    screen = screens[(390, "light")]
    if not screen.visit(page).facts["charts"]:
        pytest.skip("no chart on this page")
    screen.open(page)
    slider = screen.page.locator(".vega-bind input[type=range]").first
    moved = slider.count() > 0
    if moved:
        value = slider.evaluate(
            """slider => {
                slider.value = slider.max;
                slider.dispatchEvent(new Event("input", {bubbles: true}));
                return slider.value;
            }"""
        )
    screen.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    screen.page.wait_for_function(
        "() => [...document.querySelectorAll('.rp-chart')]"
        ".every(box => !box.clientWidth || box.dataset.drawn === 'dark')"
    )
    if moved:
        screen.page.wait_for_timeout(100)
        assert screen.page.locator(".vega-bind input[type=range]").first.input_value() == value


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
        if parts.fragment and target.suffix == ".html" and not _has_anchor(target, unquote(parts.fragment)):
            broken.append(address)
    assert broken == []


ANCHORS: dict[Path, set[str]] = {}


def _has_anchor(target: Path, fragment: str) -> bool:
    if target not in ANCHORS:
        page = BeautifulSoup(target.read_text(encoding="utf-8"), "html.parser")
        ANCHORS[target] = {str(part["id"]) for part in page.find_all(id=True)} | {""}
    return fragment in ANCHORS[target]


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
def test_nothing_bars_a_reader_who_uses_a_keyboard_or_a_screen_reader(
    screens: dict[tuple[int, str], Screen], page: str
) -> None:
    assert screens[JUDGED].visit(page).facts["barriers"] == []
