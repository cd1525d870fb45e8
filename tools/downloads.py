"""What readers take away: `python -m tools.downloads zip` and `pdf`, which are `make zip` and `make pdf`.

The zip holds the built site, to be opened without a server or a network. The PDF is the same book from the same stored
executions, written by Sphinx as one long page and printed by the browser of the tests: a chart is the picture that it
shows first, proofs and solutions are open, and code that is folded on the pages stays out.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import NameObject, TextStringObject

from tools import browser
from tools.book import ROOT, build
from tools.chapters import all_chapters

NAME = "robust-privacy"
MARGINS = {"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}
SCALE = 0.75  # of the size on a screen
WIDTH = 892  # pixels of a screen that fill the width of a sheet at that scale
FOOTER = '<div style="width: 100%; text-align: center; font-size: 8px"><span class="pageNumber"></span></div>'
# Captions of the contents, which would be bookmarks of the first page.
NO_HEADING = "() => document.querySelectorAll('p[role=heading]').forEach((part) => part.removeAttribute('role'))"
# What a browser makes of headings for the bookmarks has words twice where a line breaks.
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")].filter((part) => part.offsetParent)
    .map((part) => part.textContent.replace(/#$/, "").replace(/\\s+/g, " ").trim())"""


def pack(source: Path = ROOT, *, site: str = "html", name: str = NAME) -> Path:
    """One zip of a built site (a folder of _build), in one folder; its path."""
    built = source / "_build" / site
    if not (built / "index.html").is_file():
        raise SystemExit("No built book: `make book` (python -m tools.book) first.")
    staged = source / "_build" / "zip"
    shutil.rmtree(staged, ignore_errors=True)
    shutil.copytree(built, staged / name)
    made = shutil.make_archive(str(source / "_build" / name), "zip", staged, name)
    shutil.rmtree(staged)
    return Path(made)


def print_book(source: Path = ROOT) -> Path:
    """The book as one PDF; its path."""
    return print_pdf(page_to_print(source), source / "_build" / f"{NAME}.pdf")


def page_to_print(source: Path = ROOT) -> Path:
    """The book on one page, beside what it loads; chapters run only if their execution is not stored."""
    if build(source, builder="singlehtml"):
        raise SystemExit("The page to print was not built.")
    folder = source / "_build" / "singlehtml"
    page = folder / f"{all_chapters(source)[0].name}.html"
    # Sphinx writes its links as if the first page lay at the top.
    return Path(shutil.copy(page, folder / "book.html"))


def print_pdf(page: Path, made: Path) -> Path:
    """The page as a PDF at `made`, with bookmarks from its headings."""
    raw = made.with_suffix(".raw.pdf")
    with sync_playwright() as playwright:
        shown = playwright.chromium.launch(executable_path=browser.on_this_machine(), args=browser.ARGUMENTS)
        window = shown.new_page(viewport={"width": WIDTH, "height": 1200}, color_scheme="light")
        window.emulate_media(media="print")
        window.set_default_timeout(600_000)
        window.goto(page.as_uri(), wait_until="load")
        window.evaluate(browser.OPEN_EVERYTHING)
        window.evaluate(NO_HEADING)
        window.evaluate("() => document.querySelectorAll('details.hide').forEach((code) => { code.open = false; })")
        window.wait_for_function(browser.SETTLED)
        headings = window.evaluate(HEADINGS)
        window.pdf(
            path=raw, format="A4", scale=SCALE, margin=MARGINS, print_background=True, outline=True, tagged=True,
            display_header_footer=True, header_template="<span></span>", footer_template=FOOTER,
        )  # fmt: skip
        shown.close()
    _finish(raw, made, headings)
    raw.unlink()
    return made


def _finish(raw: Path, made: Path, headings: list[str]) -> None:
    """Bookmarks with the words of the headings, and no link to a file of the machine that printed."""
    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium counts its objects short, and pypdf says so
    writer = PdfWriter(clone_from=PdfReader(raw))
    bookmarks = list(_bookmarks(writer.root_object["/Outlines"]))
    if len(bookmarks) != len(headings):
        raise SystemExit(f"{len(bookmarks)} bookmarks for {len(headings)} headings: another browser counts differently")
    for bookmark, heading in zip(bookmarks, headings, strict=True):
        bookmark[NameObject("/Title")] = TextStringObject(heading)
    for page in writer.pages:
        for link in (note.get_object() for note in page.get("/Annots", [])):
            if str(link.get("/A", {}).get("/URI", "")).startswith("file:"):
                del link["/A"]
    writer.write(made)


def _bookmarks(parent):
    """Every bookmark under this one, in the order of the pages."""
    child = parent.get("/First")
    while child is not None:
        yield (bookmark := child.get_object())
        yield from _bookmarks(bookmark)
        child = bookmark.get("/Next")


def main() -> int:
    """Command line: make one of the two and say where it is."""
    parser = argparse.ArgumentParser(description="Make the zip of the built site, or the PDF of the book.")
    parser.add_argument("what", choices=("zip", "pdf"))
    parser.add_argument("--source", type=Path, default=ROOT, help="folder with _config.yml and _toc.yml")
    options = parser.parse_args()
    source = options.source.resolve()
    made = {"zip": pack, "pdf": print_book}[options.what](source)
    print(f"{made.relative_to(source)}: {made.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
