"""The book's own Sphinx extension: everything a build needs that _config.yml cannot say.

It makes the offline assets, names the execution cache, has the chapters run, tells the package to draw for the book,
loads the chart script on the pages that have a chart, puts diagrams, findings and the map into the pages, folds
sections of depth, lets names of fields in tables wrap, points the Colab button and the download at the reader
notebooks, and has the slides written. The rules of the build (what fails it) are in tools/book.py, what the students'
edition leaves out in tools/student.py; the look of a page is in book/assets/.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util.docutils import SphinxDirective, SphinxRole

from tools import assets, book, execution, first_page, slides
from tools.chapters import Chapter
from tools.reading import reading

# Excerpts beside the results of a search are fetched, which a browser refuses for files on a disk.
NO_EXCERPTS = 'if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;'
CHART_MARK = 'class="rp-chart"'
FOLD = '<details class="rp-depth"><summary>In depth, {minutes:.0f} min</summary>'
FIELD = re.compile(r"(?<=<t[hd]>)[^<]*_[^<]*(?=</t[hd]>)")  # a cell of a table as pandas writes it


class DiagramDirective(SphinxDirective):
    """A drawing of book/assets/diagrams/ by its name, with the caption beneath: ```{diagram} NAME."""

    required_arguments = 1
    option_spec = {"name": directives.unchanged_required}  # noqa: RUF012 (docutils reads it from the class)
    has_content = True

    def run(self) -> list[nodes.Node]:
        diagram = assets.Diagram(self.arguments[0])
        if not diagram.path.is_file():
            raise self.error(f"there is no diagram {diagram.name} in {assets.DIAGRAMS.as_posix()}")
        self.env.note_dependency(str(diagram.path))
        figure = nodes.figure("", nodes.raw("", diagram.svg(), format="html"), classes=["rp-diagram"])
        for paragraph in self.parse_content_to_nodes():
            figure += nodes.caption("", "", *paragraph.children)
        self.set_source_info(figure)
        self.add_name(figure)
        return [figure]


class FindingsDirective(SphinxDirective):
    """The findings of the first page as a list, with the numbers of the stored runs: ```{findings}."""

    def run(self) -> list[nodes.Node]:
        try:
            told = [finding.sentence() for finding in first_page.FINDINGS]
        except ValueError as error:
            raise self.error(str(error)) from None
        return self.parse_text_to_nodes("".join(f"- {sentence}\n" for sentence in told))


class MapDirective(SphinxDirective):
    """The map of the chapters, with the minutes that they take as they are now: ```{chaptermap}."""

    def run(self) -> list[nodes.Node]:
        for stem in first_page.STATIONS:
            self.env.note_dependency(str(Path(self.env.srcdir, "book", f"{stem}.md")))
        links = self.env.app.builder.name == "html"
        svg = first_page.chapter_map(first_page.readings(Path(self.env.srcdir)), links=links)
        return [nodes.raw("", f'<div class="rp-map">{svg}</div>', format="html")]


class MinutesRole(SphinxRole):
    """How long the core of a chapter takes to read: {minutes}`../a/b` is "23 min"."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        page = posixpath.normpath(posixpath.join(posixpath.dirname(self.env.docname), self.text))
        path = Path(self.env.doc2path(page))
        self.env.note_dependency(str(path))
        return [nodes.inline("", f"{reading(Chapter(page, path)).core.minutes:.0f} min")], []


def setup(app: Any) -> dict[str, Any]:
    """Register the handlers. Sphinx calls this once a build."""
    # The kernels inherit it; rp_tutorial.figures.base then emits what book/assets/rp-charts.js reads.
    os.environ["RP_TUTORIAL_RENDERER"] = "book"
    app.add_directive("diagram", DiagramDirective)
    app.add_directive("findings", FindingsDirective)
    app.add_directive("chaptermap", MapDirective)
    app.add_role("minutes", MinutesRole())
    app.connect("config-inited", _prepare, priority=100)
    app.connect("builder-inited", _let_one_long_page_be_written)
    app.connect("env-before-read-docs", lambda _app, environment, pages: execution.run_missing(environment, pages))
    app.connect("doctree-resolved", _fold_depth)
    app.connect("html-page-context", _load_chart_scripts)
    app.connect("html-page-context", _search_without_a_server)
    app.connect("html-page-context", _let_fields_wrap)
    app.connect("html-page-context", _no_list_of_other_things)
    # The theme fills its buttons at priority 501; ours has to come after.
    app.connect("html-page-context", _point_colab_at_the_notebook, priority=600)
    app.connect("build-finished", _offer_the_notebooks)
    app.connect("build-finished", _write_slides)
    if app.tags.has("student"):
        from tools import student  # which knows a browser, and a book is built without one

        student.connect(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def notebook_path(pagename: str) -> str:
    """Where the reader notebook of a page lies: book/a/b -> notebooks/a/b.ipynb."""
    return f"notebooks/{pagename.removeprefix('book/')}.ipynb"


def _prepare(app: Any, config: Any) -> None:
    source = Path(app.srcdir)
    # MyST-NB re-reads every page when this value changes, so a new key executes the chapters anew.
    config.nb_execution_cache_path = str(book.execution_cache(source, book.cache_key()))
    # {release}`file`: what the workflow of a release attaches to it, wherever the repository is.
    repository, branch = (config.html_theme_options[f"repository_{part}"] for part in ("url", "branch"))
    config.extlinks["release"] = (f"{repository}/releases/latest/download/%s", "%s")
    # {repository}`file`: as it stands there.
    config.extlinks["repository"] = (f"{repository}/blob/{branch}/%s", "%s")
    # The search field is in the side bar already; the theme beneath ours would add a second one above the page.
    config.html_theme_options.setdefault("navbar_persistent", [])
    for folder in config.html_static_path:
        assets.prepare(source / folder / "vendor")


def _let_one_long_page_be_written(app: Any) -> None:
    """Sphinx asks those who registered a node for "singlehtml" and, where any have, nobody who did so for "html"."""
    writers = app.registry.translation_handlers
    writers["singlehtml"] = writers["html"] | writers.get("singlehtml", {})


def _fold_depth(app: Any, doctree: nodes.document, pagename: str) -> None:
    """A section marked {.depth} shows its heading and how long the rest takes; on paper it stands open.

    Late, for the lists of sections and the numbers of figures are collected from the page as it was written.
    """
    sections = [section for section in doctree.findall(nodes.section) if "depth" in section["classes"]]
    if app.builder.name != "html" or not sections:
        return
    stretches = reading(Chapter(pagename, Path(app.env.doc2path(pagename)))).depth
    for section, stretch in zip(sections, stretches, strict=True):
        after = section.first_child_matching_class(nodes.title) + 1
        fold = nodes.raw("", FOLD.format(minutes=max(1, stretch.minutes)), format="html")
        section[after:] = [fold, *section[after:], nodes.raw("", "</details>", format="html")]


def _load_chart_scripts(app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    if CHART_MARK in context.get("body", ""):
        app.add_js_file(f"vendor/{assets.VEGA_FILE}", defer="defer")
        app.add_js_file("rp-charts.js", defer="defer")


def _search_without_a_server(app: Any, pagename: str, _template: str, _context: dict[str, Any], _doctree: Any) -> None:
    if pagename == "search":
        app.add_js_file(None, body=NO_EXCERPTS)


def _let_fields_wrap(_app: Any, _pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """A name of a field in a table, such as images_per_second, may break where its words do."""
    if "body" in context:
        context["body"] = FIELD.sub(lambda name: name[0].replace("_", "_<wbr>"), context["body"])


def _no_list_of_other_things(_app: Any, _pagename: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Docutils calls a bibliography a list, whose children would have to be items; they are entries and links."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def _point_colab_at_the_notebook(
    app: Any, pagename: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    branch = context.get("theme_repository_branch") or "main"
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []) if isinstance(group, dict) else []:
            if button.get("text") == "Colab":
                head, _, _ = button["url"].partition(f"/blob/{branch}/")
                button["url"] = f"{head}/blob/{branch}/{notebook_path(pagename)}"


def _offer_the_notebooks(app: Any, exception: Exception | None) -> None:
    """Under the download button: the theme puts the executed page there, with markup that Jupyter cannot show."""
    if exception:
        return
    for pagename in app.env.found_docs:
        notebook = Path(app.srcdir, notebook_path(pagename))
        offered = Path(app.outdir, "_sources", f"{pagename}.ipynb")
        if notebook.is_file() and offered.is_file():
            shutil.copyfile(notebook, offered)


def _write_slides(app: Any, exception: Exception | None) -> None:
    if not exception and app.builder.name == "html":
        slides.write(Path(app.outdir), Path(app.srcdir))
