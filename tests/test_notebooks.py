"""The reader notebooks: in step with the chapters, the same every time, and free of markup that Jupyter cannot show."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.assets import Diagram
from tools.book import ROOT
from tools.chapters import all_chapters
from tools.labels import collect
from tools.notebooks import out_of_step, texts, write
from tools.plain_markdown import UnknownMarkupError

NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
HEADER = "---\nkernelspec: {display_name: Python 3, language: python, name: python3}\n---\n\n"
TRIAL = (
    HEADER
    + """\
(one)=
# One chapter

% a remark for authors
See {numref}`fig-line`, {prf:ref}`thm-one`, {eq}`eq-one`, {cite:t}`cohen2019certified`,
{cite}`kahla2022label,jin2026robust`, {term}`the vote <VOTE>`, {doc}`other` and {ref}`two`.
Code such as `{x}` stays, and so does $\\{a\\}$.

```{code-cell} python
:tags: [parameters]

profile = "cpu"
```

```{code-cell} python
:mystnb: {figure: {name: fig-line, caption: "A line, $y = x$."}}

1
```

```{diagram} ball-and-boundary
:name: fig-ball

A ball, $R$.
```

````{prf:theorem} Radius
:label: thm-one

It holds that

$$
R = \\sigma
$$ (eq-one)

```{note}
Inside.
```
````

```{list-table} Two columns
:header-rows: 1

* - a
  - b
* - 1
  - 2
```

{.depth}
## Below

:::{admonition} Hint 1
:class: dropdown
Look down.
:::

```{exercise-start} Predict
:label: ex-one
```
How large?
```{exercise-end}
```

```{solution-start} ex-one
:class: dropdown
```
This large.

```{code-cell} python
2
```

And so on.
```{solution-end}
```

After.
"""
)


@pytest.fixture
def trial(tmp_path: Path) -> Path:
    """A book of two pages, the first with every kind of markup the chapters may use."""
    shutil.copy(ROOT / "_config.yml", tmp_path)
    (tmp_path / "book").mkdir()
    shutil.copy(ROOT / "book" / "references.bib", tmp_path / "book")
    (tmp_path / "_toc.yml").write_text(
        "format: jb-book\nroot: book/one\nchapters:\n  - file: book/other\n", encoding="utf-8"
    )
    (tmp_path / "book" / "one.md").write_text(TRIAL, encoding="utf-8")
    (tmp_path / "book" / "other.md").write_text("(two)=\n# The other page\n\nWords.\n", encoding="utf-8")
    return tmp_path


def test_the_notebooks_are_in_step_with_the_chapters() -> None:
    assert [path.as_posix() for path in out_of_step()] == [], "run `make notebooks`"


def test_regenerating_gives_the_same_bytes() -> None:
    assert texts() == texts()


def test_a_fresh_process_gives_the_same_bytes(trial: Path) -> None:
    program = (
        "import hashlib, sys\nfrom pathlib import Path\nfrom tools.notebooks import texts\n"
        "print(hashlib.sha256(repr(sorted(texts(Path(sys.argv[1])).items())).encode()).hexdigest())"
    )
    command = [sys.executable, "-c", program, str(trial)]
    answers = {subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout for _ in range(2)}
    assert len(answers) == 1


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.relative_to(ROOT / "notebooks").as_posix())
def test_a_notebook_holds_no_output_and_no_markup_of_the_book(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        else:
            assert not re.search(r"^\s*(`{3,}|:{3,})\{|\{[\w:]+\}`|^\([\w-]+\)=", cell.source, re.MULTILINE), (
                cell.source
            )


def test_names_of_authors_have_their_accents() -> None:
    labels = collect(all_chapters(), ROOT / "book" / "references.bib")
    assert labels.cite("voracek2023sound", textual=True) == "Voráček and Hein (2023)"
    assert [key for key in labels.works if re.search(r"[{}\\'\"`]", labels.cite(key, textual=True))] == []


def test_every_kind_of_markup_becomes_plain(trial: Path) -> None:
    (text,) = texts(trial).values()
    cells = json.loads(text)["cells"]
    plain = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    for expected in (
        "See Figure 1, Theorem 1, (1), Cohen et al. (2019),",
        "(Kahla et al., 2022; Jin et al., 2026), the vote, “The other page” and “The other page” of “The other page”.",
        "Code such as `{x}` stays",
        "**Figure 1.** A line, $y = x$.",
        f"![{Diagram('ball-and-boundary').description()}](https://",
        "/book/assets/diagrams/ball-and-boundary.svg)\n\n**Figure 2.** A ball, $R$.",
        "> **Theorem 1 (Radius).**",
        "> $$ R = \\sigma \\tag{1} $$",
        "> > **Note.**",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "## Below (in depth)",
        "<summary>Hint 1</summary>\n\nLook down.",
        "> **Exercise 1 (Predict).**",
        "<summary>Solution</summary>\n\nThis large.",
        "<summary>Solution</summary>\n\nAnd so on.",
        "\n\nAfter.",
    ):
        assert expected in plain, plain
    assert "remark for authors" not in plain
    solution = next(cell for cell in cells if "".join(cell["source"]) == "2")
    assert solution["metadata"]["jupyter"] == {"source_hidden": True}


def test_unknown_markup_is_refused_with_the_name_of_the_chapter(trial: Path) -> None:
    page = trial / "book" / "one.md"
    page.write_text(TRIAL + "\n```{mermaid}\na --> b\n```\n", encoding="utf-8")
    with pytest.raises(UnknownMarkupError, match=r"book/one: directive \{mermaid\}"):
        texts(trial)


def test_check_lists_what_is_out_of_step_and_write_mends_it(trial: Path) -> None:
    left_over = trial / "notebooks" / "gone.ipynb"
    left_over.parent.mkdir()
    left_over.write_text("{}", encoding="utf-8")
    assert out_of_step(trial) == [Path("notebooks/gone.ipynb"), Path("notebooks/one.ipynb")]
    write(trial)
    assert not left_over.exists()
    assert out_of_step(trial) == []
    (trial / "notebooks" / "one.ipynb").write_text("{}", encoding="utf-8")
    assert out_of_step(trial) == [Path("notebooks/one.ipynb")]


def test_the_command_fails_with_a_list_when_a_notebook_is_out_of_step() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.notebooks", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == (1 if out_of_step() else 0)
