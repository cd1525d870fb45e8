"""The students' edition of the site, without solutions: `python -m tools.student`, which is `make student`.

It is written from what Sphinx kept of the book, so no chapter is read or run again: the ordinary site is the
instructors' edition of the same execution. Solutions leave a page before it is written and indexed for the search;
sources and notebooks are made from the text without them. Into _build/student and a zip of it.
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from jupyter_book.sphinx import build_sphinx
from sphinx_exercise.nodes import solution_node

from tools import book, notebooks
from tools.chapters import ROOT, Chapter, all_chapters
from tools.downloads import NAME, pack

TAG = "student"
ZIP = f"{NAME}-{TAG}"
GATED = re.compile(
    r"^(`{3,}|:{3,})\{solution-start\}.*?^(`{3,}|:{3,})\{solution-end\}[^\n]*\n\2[ \t]*$\n?", re.MULTILINE | re.DOTALL
)
PLAIN = re.compile(r"^(`{3,}|:{3,})\{solution\}.*?^\1[ \t]*$\n?", re.MULTILINE | re.DOTALL)


def without_solutions(text: str) -> str:
    """The source of a chapter without its solutions, their code included."""
    return PLAIN.sub("", GATED.sub("", text))


def build(source: Path = ROOT) -> Path:
    """The site without solutions, beside the ordinary one, which is brought up to date; the folder."""
    site = source / "_build" / TAG
    if book.build(source):
        raise SystemExit("The book was not built, and so its students' edition was not.")
    shutil.rmtree(site, ignore_errors=True)
    # As Jupyter Book's own command line has it: with other values Sphinx would read every page again.
    settings = {
        "external_toc_path": (source / "_toc.yml").as_posix(), "latex_individualpages": False, "nitpicky": True,
    }  # fmt: skip
    failed = build_sphinx(
        source, site, noconfig=True, path_config=source / "_config.yml", confoverrides=settings, tags=[TAG],
        warningiserror=True, keep_going=True, quiet=True,
    )  # fmt: skip
    if failed:
        raise SystemExit("The students' edition was not built.")
    return site


def connect(app: Any) -> None:
    """What makes a build one of the students' edition; tools/sphinx_extension.py calls this where it is one."""
    app.connect("config-inited", _lead_nowhere_else)
    app.connect("doctree-resolved", _take_solutions_out, priority=100)
    app.connect("build-finished", _write_sources, priority=900)


def _lead_nowhere_else(_app: Any, config: Any) -> None:
    """Name the edition, and drop the buttons into the repository, which has the solutions."""
    config.html_title = f"{config.html_title}, students' edition"
    config.html_theme_options |= {"launch_buttons": {}, "use_repository_button": False, "use_issues_button": False}


def _take_solutions_out(app: Any, doctree: nodes.document, _page: str) -> None:
    """Solutions leave the page, and what a release attaches is named, not linked: it has them too."""
    for solution in list(doctree.findall(solution_node)):
        solution.parent.remove(solution)
    attached = app.config.extlinks["release"][0].removesuffix("%s")
    for link in list(doctree.findall(nodes.reference)):
        address = link.get("refuri", "")
        if address.startswith(attached) and not address.endswith(f"{ZIP}.zip"):
            link.parent.replace(link, link.children)


def _write_sources(app: Any, exception: Exception | None) -> None:
    """Sources without solutions beside the pages, and the notebooks made from them."""
    if exception:
        return
    source, sources = Path(app.srcdir), Path(app.outdir, "_sources")
    chapters = [Chapter(chapter.name, sources / f"{chapter.name}.md") for chapter in all_chapters(source)]
    for chapter in chapters:
        text = (source / f"{chapter.name}.md").read_text(encoding="utf-8")
        chapter.path.write_text(without_solutions(text), encoding="utf-8")
    for path, text in notebooks.texts(source, chapters).items():
        for target in (Path(app.outdir) / path, sources / "book" / path.relative_to("notebooks")):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")


def main() -> int:
    """Command line: make the students' edition and its zip, and say where they are."""
    parser = argparse.ArgumentParser(description="Make the site without solutions, from the same execution.")
    parser.add_argument("--source", type=Path, default=ROOT, help="folder with _config.yml and _toc.yml")
    source = parser.parse_args().source.resolve()
    site = build(source)
    packed = pack(source, site=TAG, name=ZIP)
    print(f"{site.relative_to(source)}, {packed.relative_to(source)}: {packed.stat().st_size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
