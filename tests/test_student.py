"""The students' edition holds nothing of a solution: a sentinel planted in every one is in none of its files.

The same sentinel is in the instructors' edition of the same small book, so that the search would find it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from tools import notebooks
from tools.chapters import ROOT, Chapter, all_chapters, code_chapters, configuration
from tools.student import without_solutions

SENTINEL = "sentinelofasolution"
HEADER = "---\nfile_format: mystnb\nkernelspec: {display_name: Python 3, language: python, name: python3}\n---\n\n"
OUTSIDE = "```{code-cell} python\n1 + 1\n```\n\n"
GATED = f"""\
```{{exercise-start}}
:label: ex-gated
```
Kept one.
```{{exercise-end}}
```

```{{solution-start}} ex-gated
:class: dropdown
```
Text {SENTINEL}1.

```{{code-cell}} python
import altair as alt
import pandas as pd

table = pd.DataFrame({{"x": ["{SENTINEL}2"]}})
chart = alt.Chart(table).mark_point().encode(x="x:N")
print("{SENTINEL}" + "3")
chart.properties(description="{SENTINEL}4", width=200)
```

:::{{note}}
Inside {SENTINEL}5.
:::
```{{solution-end}}
```
"""
PLAIN = f"""\
:::{{exercise}}
:label: ex-plain

Kept two.
:::

:::{{solution}} ex-plain
:class: dropdown

Text {SENTINEL}6.

```python
code = "{SENTINEL}7"
```
:::
"""
RELEASE = "See {release}`x.pdf` and {release}`robust-privacy-student.zip`.\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small book with a page of each kind of solution, in both editions."""
    root = tmp_path_factory.mktemp("small")
    shutil.copy(ROOT / "_config.yml", root)
    chapters = "[{file: book/gated}, {file: book/plain}]"
    (root / "_toc.yml").write_text(f"format: jb-book\nroot: book/intro\nchapters: {chapters}\n", encoding="utf-8")
    shutil.copytree(ROOT / "book" / "assets", root / "book" / "assets")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    pages = {
        "intro": f"# Intro\n\n{RELEASE}",
        "gated": f"{HEADER}# Gated\n\n{OUTSIDE}{GATED}\n\n{{.depth}}\n## Deep\n\n1 < 2\n",
    }
    pages["plain"] = f"# Plain\n\n{PLAIN}\nKept three.\n"
    for name, text in pages.items():
        (root / "book" / f"{name}.md").write_text(text, encoding="utf-8")
    notebooks.write(root)
    command = [sys.executable, "-m", "tools.student", "--source", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return root / "_build"


def found(folder: Path) -> dict[str, set[str]]:
    """Files that hold the sentinel -> which of them."""
    seen = {}
    for path in folder.rglob("*"):
        if path.is_file() and "vendor" not in path.parts:
            # A search index holds words in lower case, a stem of them without the last letters.
            marks = set(re.findall(rf"{SENTINEL}(\d)", path.read_bytes().decode("utf-8", "ignore").lower()))
            seen |= {path.relative_to(folder).as_posix(): marks} if marks else {}
    return seen


def test_the_sentinels_are_in_every_kind_of_file_of_the_instructors_edition(built: Path) -> None:
    seen = found(built / "html")
    assert seen["book/gated.html"] == {"1", "2", "3", "4", "5"}
    assert seen["book/plain.html"] == {"6", "7"}
    assert {"1", "5", "6"} <= seen["searchindex.js"]
    assert seen["_sources/book/gated.ipynb"] >= {"1", "2", "4", "5"}
    assert {path for path in seen if path.startswith("_sources")} >= {
        "_sources/book/gated.md",
        "_sources/book/plain.md",
    }


def test_no_file_of_the_students_edition_holds_one(built: Path, tmp_path: Path) -> None:
    assert found(built / "student") == {}
    with zipfile.ZipFile(built / "robust-privacy-student.zip") as packed:
        packed.extractall(tmp_path)
    assert found(tmp_path) == {}
    assert (tmp_path / "robust-privacy-student" / "index.html").is_file()


def test_what_is_no_solution_is_kept(built: Path) -> None:
    pages = "".join((built / "student" / "book" / f"{name}.html").read_text("utf-8") for name in ("gated", "plain"))
    for words in ("Kept one.", "Kept two.", "Kept three.", "students’ edition", "rp-depth"):
        assert words in pages.replace("&#39;", "’").replace("'", "’"), words
    cells = nbformat.read(built / "student" / "notebooks" / "gated.ipynb", as_version=4).cells
    assert "Kept one." in "".join(cell.source for cell in cells)


def test_nothing_of_the_students_edition_leads_to_where_the_solutions_are(built: Path) -> None:
    pages = {path.name: path.read_text("utf-8") for path in (built / "student" / "book").glob("*.html")}
    repository = re.escape(configuration()["repository"]["url"])
    links = [link for text in pages.values() for link in re.findall(rf'href="({repository}[^"]*)"', text)]
    assert links == [f"{configuration()['repository']['url']}/releases/latest/download/robust-privacy-student.zip"]
    assert [name for name, text in pages.items() if "colab.research" in text] == []


def test_every_solution_of_the_book_leaves_sources_and_notebooks(tmp_path: Path) -> None:
    """Planted in each of the real chapters, where both are made from text."""
    start = re.compile(
        r"^(?P<fence>[`:]{3,})\{solution(-start)?\}[^\n]*\n(?P<options>(:[\w-]+:[^\n]*\n)*)((?P=fence)\n)?",
        re.MULTILINE,
    )
    planted, stripped = [], []
    for chapter in all_chapters():
        text = chapter.path.read_text(encoding="utf-8")
        marked = start.sub(lambda opening: f"{opening[0]}\n{SENTINEL}\n\n", text)
        assert marked.count(SENTINEL) == len(re.findall(r"^[`:]{3,}\{solution(?:-start)?\}", text, re.MULTILINE))
        assert SENTINEL not in without_solutions(marked)
        assert "{solution" not in without_solutions(marked)
        for edition, kept, made in (("all", marked, planted), ("student", without_solutions(marked), stripped)):
            path = tmp_path / edition / f"{chapter.name}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(kept, encoding="utf-8")
            made.append(Chapter(chapter.name, path))
    instructors, students = notebooks.texts(ROOT, planted), notebooks.texts(ROOT, stripped)
    assert [path for path, text in students.items() if SENTINEL in text] == []
    with_solutions = [chapter.stem for chapter in code_chapters() if "{solution" in chapter.path.read_text("utf-8")]
    assert [path for path, text in instructors.items() if SENTINEL in text] == [
        Path("notebooks", f"{stem}.ipynb") for stem in with_solutions
    ]


def test_a_solution_of_the_book_is_always_marked_as_one() -> None:
    """A box that only looks like a solution would stay."""
    for chapter in all_chapters():
        boxes = re.findall(r"^[`:]{3,}\{(?!solution)[\w:-]+\}(.*)$", chapter.path.read_text("utf-8"), re.MULTILINE)
        assert [title for title in boxes if re.match(r"\s*(solution|answer)\b", title, re.IGNORECASE)] == []
