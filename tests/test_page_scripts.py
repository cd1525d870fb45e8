"""What a page's own scripts do for what a reader unfolds and moves, in a tiny book with one folded section.

What every page of the real book is in a browser is tested in test_book.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tools.book import ROOT

TEXT = """\
---
file_format: mystnb
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Tiny

The core.

::::{admonition} Solution
:class: dropdown
```
WIDE
```
::::

{.depth}
## Below

```{code-cell} python
import altair as alt
import pandas as pd

from rp_tutorial.figures import base

points = alt.Chart(pd.DataFrame({"x": [1.0, 2.0]})).mark_point()
k = base.slider("k", base.LOG + "N", 3.0, -3.0, 5.0, 0.5)
sigma = base.slider("sigma", "σ", 1.0, 0.25, 2.0, 0.25)
chart = points.encode(x="x:Q").add_params(k, sigma)
base.finish(chart.properties(width="container"), "Two points.")
```

```
WIDE
```

### Further

Down.
""".replace("WIDE", 400 * "wide")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built page."""
    book = tmp_path_factory.mktemp("tiny")
    shutil.copy(ROOT / "_config.yml", book)
    (book / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n", encoding="utf-8")
    shutil.copytree(ROOT / "book" / "assets", book / "book" / "assets")
    shutil.copy(ROOT / "book" / "references.bib", book / "book")
    (book / "book" / "intro.md").write_text(TEXT, encoding="utf-8")
    command = [sys.executable, "-m", "tools.book", "--source", str(book)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return book / "_build" / "html" / "book" / "intro.html"


@pytest.fixture
def page(browser: Browser, site: Path) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 390, "height": 900})
    page = context.new_page()
    page.goto(site.as_uri())
    yield page
    context.close()


def test_a_chart_in_a_folded_section_is_drawn_when_it_is_unfolded(page: Page) -> None:
    page.locator(".rp-depth > summary").click()
    page.wait_for_selector(".rp-chart[data-drawn] svg")


def test_what_scrolls_in_a_folded_section_is_reached_by_the_keyboard_when_it_is_unfolded(page: Page) -> None:
    page.locator(".rp-depth > summary").click()
    page.wait_for_selector(".rp-depth pre[tabindex='0']:has-text('widewide')")


def test_what_scrolls_in_a_solution_is_reached_by_the_keyboard_when_it_is_opened(page: Page) -> None:
    page.locator(".dropdown .toggle-button").click()
    page.wait_for_selector(".dropdown pre[tabindex='0']")


def test_a_link_into_a_folded_section_unfolds_it(page: Page, site: Path) -> None:
    page.goto("about:blank")
    page.goto(f"{site.as_uri()}#further")
    page.wait_for_selector(".rp-depth[open]")
    assert page.locator("#further").is_visible()


def test_a_slider_of_a_logarithm_shows_and_says_the_number_and_follows_the_keyboard(page: Page) -> None:
    page.locator(".rp-depth > summary").click()
    slider = page.locator(".vega-bind input").first
    slider.wait_for()
    row = page.locator(".vega-bind").first
    page.wait_for_function("() => document.querySelector('.vega-bind input').ariaValueText === '1,000'")
    assert row.inner_text().split() == ["N", "1,000"]
    for key, value in (("ArrowRight", "3,162"), ("Home", "0.001")):
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == value
        assert row.inner_text().split() == ["N", value]
    assert page.locator(".vega-bind input").last.get_attribute("aria-valuetext") == "1"


def test_a_slider_keeps_its_number_when_the_theme_changes(page: Page) -> None:
    page.locator(".rp-depth > summary").click()
    slider = page.locator(".vega-bind input").first
    slider.wait_for()
    slider.press("End")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    page.wait_for_selector(".rp-chart[data-drawn='dark']")
    assert page.locator(".vega-bind input").first.get_attribute("aria-valuetext") == "100,000"
