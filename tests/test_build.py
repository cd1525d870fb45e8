"""The strictness of the build, on tiny books: what has to fail it does, and what is stale is not shown.

What the real book looks like is tested in test_book.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from tools import assets
from tools.book import ROOT, cache_key, execution_cache, prune
from tools.chapters import configuration

HEADER = (
    "---\nfile_format: mystnb\nkernelspec: {display_name: Python 3, language: python, name: python3}\n---\n\n# Tiny\n\n"
)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A book of one page with the real configuration."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n", encoding="utf-8")
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    shutil.copytree(ROOT / "book" / "assets", tmp_path / "book" / "assets")
    return tmp_path


def build(book: Path, text: str) -> subprocess.CompletedProcess[str]:
    (book / "book" / "intro.md").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "tools.book", "--source", str(book)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_failing_cell_fails_the_build(tiny: Path) -> None:
    done = build(tiny, HEADER + "```{code-cell} python\nraise RuntimeError('planted')\n```\n")
    assert done.returncode != 0
    assert "planted" in done.stderr
    assert not (tiny / "_build" / "html" / "book" / "intro.html").exists()


def test_each_chapter_that_runs_has_a_line_and_its_kernel_no_warning(tiny: Path) -> None:
    """What is stored already has no line: the second build runs the chapter that changed, and that one alone."""
    chapter = HEADER + "```{code-cell} python\n1 + 1\n```\n"
    (tiny / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters: [file: book/two]\n", encoding="utf-8")
    (tiny / "book" / "two.md").write_text(chapter.replace("1 + 1", "2 + 2"), encoding="utf-8")
    done = build(tiny, chapter)
    assert done.returncode == 0
    lines = re.findall(r"^ *(\d) of 2  (\w+) +\d+\.\d s$", done.stdout, re.MULTILINE)
    assert [number for number, _ in lines] == ["1", "2"]
    assert {name for _, name in lines} == {"intro", "two"}
    assert "WARNING" not in done.stdout + done.stderr
    again = build(tiny, chapter.replace("1 + 1", "3 + 3"))
    assert re.findall(r"^ *\d of \d .*(intro|two) .* s$", again.stdout, re.MULTILINE) == ["intro"]


def test_a_cell_that_writes_to_stderr_fails_the_build(tiny: Path) -> None:
    done = build(tiny, HEADER + "```{code-cell} python\nimport warnings\n\nwarnings.warn('planted')\n```\n")
    assert done.returncode != 0


def test_a_broken_reference_fails_the_build_every_time(tiny: Path) -> None:
    text = "# Tiny\n\nSee {ref}`nowhere-at-all`.\n"
    assert build(tiny, text).returncode != 0
    assert build(tiny, text).returncode != 0, "the second build forgot the warning of the first"
    assert build(tiny, "# Tiny\n\nMended.\n").returncode == 0


def test_the_pdf_has_every_chapter_its_solutions_and_bookmarks_and_no_path_of_this_machine(tiny: Path) -> None:
    solution = ":::{admonition} Solution\n:class: dropdown\nForty-two.\n:::\n"
    chapter = "# Two\n\nSee {doc}`intro` and {release}`x.zip`.\n\n" + solution + "\n{.depth}\n## Below\n\nDeep water.\n"
    (tiny / "_toc.yml").write_text("format: jb-book\nroot: book/intro\nchapters: [file: book/two]\n", encoding="utf-8")
    (tiny / "book" / "two.md").write_text(chapter, encoding="utf-8")
    (tiny / "book" / "intro.md").write_text(
        HEADER + "```{code-cell} python\nprint(6 * 7, 'printed')\n```\n", encoding="utf-8"
    )
    # In a process of its own: beside the browser of test_book.py there may be no second one.
    ask = "import sys, pathlib; from tools import downloads; print(downloads.print_book(pathlib.Path(sys.argv[1])))"
    done = subprocess.run([sys.executable, "-c", ask, tiny], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    printed = PdfReader(done.stdout.splitlines()[-1])
    text = "\n".join(page.extract_text() for page in printed.pages)
    assert "42 printed" in text
    assert "Forty-two." in text
    assert "Deep water." in text
    assert "In depth" not in text
    bookmarks = [mark.title for mark in _flat(printed.outline)]
    assert [mark for mark in bookmarks if mark in ("Tiny", "Two")] == ["Tiny", "Two"]
    notes = [note.get_object() for page in printed.pages for note in page.get("/Annots", [])]
    links = [note["/A"]["/URI"] for note in notes if "/A" in note and "/URI" in note["/A"]]
    assert links == [f"{configuration()['repository']['url']}/releases/latest/download/x.zip"]


def _flat(outline: list[Any]) -> list[Any]:
    return [mark for part in outline for mark in (_flat(part) if isinstance(part, list) else [part])]


def test_a_section_of_depth_is_folded_under_its_heading_with_its_minutes(tiny: Path) -> None:
    words = "Word. " * 700
    text = HEADER + f"Core.\n\n(deep)=\n{{.depth}}\n## Below\n\n{words}\n\n### Further\n\nDown.\n\n## Back\n\nUp.\n"
    assert build(tiny, text).returncode == 0
    page = (tiny / "_build" / "html" / "book" / "intro.html").read_text(encoding="utf-8")
    section = page[page.index('<section class="depth" id="below">') :]
    heading, _, folded = section.partition('<details class="rp-depth"><summary>In depth, 4 min</summary>')
    assert "<h2>" in heading
    inside, _, after = folded.partition("</details>")
    assert "Down." in inside
    assert "Up." not in inside
    assert "Up." in after
    assert '<a class="reference internal nav-link" href="#further">' in page, "missing in the list of sections"


def test_a_diagram_that_is_not_there_fails_the_build(tiny: Path) -> None:
    done = build(tiny, "# Tiny\n\n```{diagram} none-such\nA caption.\n```\n")
    assert done.returncode != 0
    assert "there is no diagram none-such in book/assets/diagrams" in done.stderr


def package(root: Path) -> Path:
    (root / "rp_tutorial" / "published").mkdir(parents=True)
    (root / "rp_tutorial" / "one.py").write_text("x = 1\n", encoding="utf-8")
    (root / "rp_tutorial" / "published" / "run.json").write_text("{}", encoding="utf-8")
    (root / "constraints.txt").write_text("numpy==2.4.6\n", encoding="utf-8")
    return root


@pytest.mark.parametrize("changed", ["rp_tutorial/one.py", "rp_tutorial/published/run.json", "constraints.txt"])
def test_the_cache_is_another_one_when_what_a_chapter_depends_on_changes(tmp_path: Path, changed: str) -> None:
    root = package(tmp_path)
    before = cache_key(root)
    assert cache_key(root) == before
    (root / changed).write_text('{"changed": 1}', encoding="utf-8")
    assert cache_key(root) != before


def test_only_the_latest_caches_are_kept(tmp_path: Path) -> None:
    folders = [execution_cache(tmp_path, key) for key in ("oldest", "older", "now")]
    for age, folder in enumerate(reversed(folders)):
        folder.mkdir(parents=True)
        os.utime(folder, (1_000_000 - age, 1_000_000 - age))
    assert prune(folders[-1]) == [folders[0]]
    assert not folders[0].exists()
    assert folders[1].exists()
    assert folders[2].exists()


def test_the_assets_are_made_once_and_are_the_installed_ones(tmp_path: Path) -> None:
    assets.prepare(tmp_path)
    made = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert set(made) == {assets.MATHJAX_FILE, assets.VEGA_FILE}
    assets.prepare(tmp_path)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == made
    assert (tmp_path / assets.MATHJAX_FILE).read_bytes() == assets.mathjax_source().read_bytes()


def test_the_vega_bundle_speaks_the_version_that_altair_writes() -> None:
    import altair
    import vl_convert

    written = altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2]
    assert vl_convert.get_vegalite_versions()[-1].split(".")[:1] == written[:1]
    assert tuple(map(int, vl_convert.get_vegalite_versions()[-1].split("."))) >= tuple(map(int, written))
