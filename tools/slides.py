"""Slides from the built book: `python -m tools.slides`, and the end of every build of the site.

A deck is a Markdown page of slides/, named by a part of the contents and cut at its headings. Its words are its own;
figures, statements, exercises and formulas are pulled by their labels from the pages just built, so that a slide shows
what the chapter shows. How a slide looks and answers keys is in book/assets/rp-slides.css and rp-slides.js.
"""

from __future__ import annotations

import argparse
import html
import posixpath
import re
from functools import cached_property
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin

from tools import assets
from tools.chapters import ROOT

FOLDER = "slides"
ANSWERING = ".dropdown, .cell, [class*=highlight-]"  # parts of an exercise
SHOW = re.compile(r"\{show\} (?P<label>[\w:.-]+)")
PAGE = Template("""\
<!DOCTYPE html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="description" content="Slides of the part $title of the book Robust Privacy.">
<title>$title: slides of Robust Privacy</title>
<link rel="stylesheet" href="../_static/pygments.css">
<link rel="stylesheet" href="../_static/rp-book.css">
<link rel="stylesheet" href="../_static/rp-slides.css">
<script src="../_static/rp-slides.js"></script>
<script defer src="../_static/vendor/$mathjax"></script>
<script defer src="../_static/vendor/$vega"></script>
<script defer src="../_static/rp-charts.js"></script>
</head>
<body>
<main>
$slides
</main>
</body>
</html>
""")


class SlidesError(ValueError):
    """A deck asks for something that the book does not have."""


class Site:
    """The built pages of the chapters, in which labels are looked up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parsed: dict[str, BeautifulSoup] = {}

    @cached_property
    def _texts(self) -> dict[str, str]:
        pages = sorted(self.folder.glob("book/**/*.html"))
        return {page.relative_to(self.folder).as_posix(): page.read_text(encoding="utf-8") for page in pages}

    def show(self, label: str, deck: str) -> str:
        """What has this label, with links that lead into the book, and the chapter it is from."""
        for name in (label, f"equation-{label}"):
            for page, text in self._texts.items():
                if f'id="{name}"' in text:
                    return self._pulled(page, name)
        raise SlidesError(f"{deck}: nothing in the book has the label {label}")

    def title(self, page: str) -> str:
        """The title of a page, by its address in the site."""
        heading = self._page(page).h1
        return heading.get_text().removesuffix("#").strip() if heading else page

    def _page(self, page: str) -> BeautifulSoup:
        if page not in self._parsed:
            self._parsed[page] = BeautifulSoup(self._texts[page], "html.parser")
        return self._parsed[page]

    def _pulled(self, page: str, name: str) -> str:
        found = self._page(page).find(id=name)
        assert isinstance(found, Tag)
        # Of an exercise a slide has the question: hints and a place to answer stay in the chapter.
        for useless in found.select(f"a.headerlink, button, .exercise :is({ANSWERING})"):
            useless.decompose()
        for link in found.select("[href], [src]"):
            for attribute in ("href", "src"):
                if link.get(attribute) and not urlsplit(str(link[attribute])).scheme:
                    link[attribute] = _from_slides(page, str(link[attribute]))
        source = f'<a href="../{page}#{name}">{html.escape(self.title(page))}</a>'
        return f'<div class="shown">\n{found}\n<p class="source">{source}</p>\n</div>\n'


def write(site: Path, source: Path = ROOT) -> list[Path]:
    """Every deck of `source` as a page of the site built at `site`; SlidesError for what the book does not have."""
    book, written = Site(site), []
    parts = {part["caption"]: part for part in _contents(source).get("parts", [])}
    for path in sorted((source / FOLDER).glob("*.md")):
        written.append(site / FOLDER / f"{path.stem}.html")
        written[-1].parent.mkdir(exist_ok=True)
        written[-1].write_text(_deck(path, book, parts), encoding="utf-8")
    return written


def _contents(source: Path) -> dict:
    return yaml.safe_load((source / "_toc.yml").read_text(encoding="utf-8"))


def _deck(path: Path, book: Site, parts: dict[str, dict]) -> str:
    markdown = MarkdownIt("commonmark").enable("table").use(dollarmath_plugin, renderer=_formula)
    shown: set[str] = set()

    def fence(tokens: list[Token], index: int, *_: object) -> str:
        found = SHOW.fullmatch(tokens[index].info.strip())
        if not found or found["label"] in shown:
            raise SlidesError(f"{path.name}: what stands between fences is {{show}} LABEL, each label once")
        shown.add(found["label"])
        return book.show(found["label"], path.name)

    markdown.renderer.rules["fence"] = fence
    slides = _cut(markdown.parse(path.read_text(encoding="utf-8")))
    title = slides[0][1].content
    if title not in parts:
        raise SlidesError(f"{path.name}: the book has no part {title}")
    texts = [markdown.renderer.render(tokens, markdown.options, {}) for tokens in slides]
    texts[0] += _chapters(parts[title], book)
    sections = [
        f'<section class="slide" id="slide-{number}">\n{text}<p class="number">{number} / {len(texts)}</p>\n</section>'
        for number, text in enumerate(texts, start=1)
    ]
    return PAGE.substitute(
        title=html.escape(title), slides="\n".join(sections), mathjax=assets.MATHJAX_FILE, vega=assets.VEGA_FILE
    )


def _cut(tokens: list[Token]) -> list[list[Token]]:
    """The tokens of each slide: a heading of the first or second level, and what follows."""
    slides: list[list[Token]] = []
    for token in tokens:
        if token.type == "heading_open" and token.tag in ("h1", "h2"):
            slides.append([])
        slides[-1].append(token)
    return slides


def _chapters(part: dict, book: Site) -> str:
    pages = [f"{chapter['file']}.html" for chapter in part["chapters"]]
    items = [f'<li><a href="../{page}">{html.escape(book.title(page))}</a></li>' for page in pages]
    return f'<ol class="chapters">\n{"".join(items)}\n</ol>\n'


def _formula(content: str, options: dict) -> str:
    """As Sphinx writes it, for MathJax."""
    if options["display_mode"]:
        return f'<div class="math">\\[{html.escape(content)}\\]</div>'
    return f'<span class="math">\\({html.escape(content)}\\)</span>'


def _from_slides(page: str, address: str) -> str:
    """A relative address of the page, seen from the folder of the slides."""
    path, mark, fragment = address.partition("#")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page
    return f"../{target}{mark}{fragment}"


def main() -> int:
    """Command line: write the decks into the site that is built, and say where they are."""
    parser = argparse.ArgumentParser(description="Make the slides from the built book.")
    parser.add_argument("--source", type=Path, default=ROOT, help="folder with _config.yml and _toc.yml")
    source = parser.parse_args().source.resolve()
    for path in write(source / "_build" / "html", source):
        print(path.relative_to(source).as_posix())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
