"""Make the reader notebooks: `python -m tools.notebooks`, or with --check only say which are out of step.

One way, from book/**/*.md to notebooks/**/*.ipynb: no outputs, the same bytes every time, plain Markdown, and a
first cell that installs this package on Colab and does nothing anywhere else. Where from is said by `repository` in
_config.yml, with which extras by the header of the chapter. Never edit a notebook by hand.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.chapters import ROOT, Chapter, all_chapters, configuration
from tools.labels import Labels, collect
from tools.plain_markdown import SOLUTION_ENDS, SOLUTION_STARTS, Converter, UnknownMarkupError, folded_solution

# Torch and numpy stay as Colab has them: pip replaces only what does not fit, and replacing either breaks the session.
COLAB = """\
import re
import subprocess
import sys

if "google.colab" in sys.modules:  # anywhere else nothing is installed
    book = "{requirement}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", book]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        said = re.findall(r"(?:fatal|pathspec|ERROR|×).*", done.stderr)
        raise SystemExit(f"{{book}} was not installed: {{min(said, key=len, default=done.stderr)}}")"""
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def texts(root: Path = ROOT, chapters: list[Chapter] | None = None) -> dict[Path, str]:
    """Path of each reader notebook, relative to `root` -> its whole text; chapters: other sources of the same pages."""
    chapters = chapters or all_chapters(root)
    labels = collect(chapters, root / "book" / "references.bib")
    return {
        Path("notebooks", f"{chapter.stem}.ipynb"): _text(chapter, labels, root)
        for chapter in chapters
        if chapter.has_code()
    }


def colab_cell(chapter: Chapter, root: Path = ROOT) -> str:
    """Source of the first cell: on Colab only, the package from where the chapter's Colab button points."""
    return COLAB.format(requirement=f"{chapter.distribution()} @ git+{address(root)}")


def address(root: Path = ROOT) -> str:
    """The repository and the branch or tag of it that both the notebooks and the Colab button name: URL@branch."""
    repository = configuration(root)["repository"]
    return f"{repository['url']}@{repository['branch']}"


def out_of_step(root: Path = ROOT) -> list[Path]:
    """Notebooks that are missing, differ from their chapter, or have no chapter any more; relative to `root`."""
    wanted = texts(root)
    differing = [path for path, text in wanted.items() if not _holds(root / path, text)]
    return sorted([*differing, *_left_over(root, wanted)])


def write(root: Path = ROOT) -> list[Path]:
    """Bring every notebook into step; what was written or deleted, relative to `root`."""
    return bring_into_step(root, texts(root), out_of_step(root))


def bring_into_step(root: Path, wanted: dict[Path, str], changed: list[Path]) -> list[Path]:
    """Of `changed`, relative to `root`: write what is wanted, delete what is not; `changed` itself."""
    for path in changed:
        if path in wanted:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(wanted[path], encoding="utf-8")
        else:
            (root / path).unlink()
    return changed


def _text(chapter: Chapter, labels: Labels, root: Path) -> str:
    cells = [new_code_cell(colab_cell(chapter, root)), *_cells(chapter, labels)]
    for index, cell in enumerate(cells):
        cell.id = hashlib.sha256(f"{chapter.stem}:{index}".encode()).hexdigest()[:12]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1).rstrip("\n") + "\n"


def _cells(chapter: Chapter, labels: Labels) -> list[NotebookNode]:
    converter = Converter(labels, chapter.name)
    cells = []
    for cell in chapter.notebook().cells:
        if cell.cell_type == "code":
            cells.append(_code_cell(cell, folded=converter.in_solution))
            figure = cell.metadata.get("mystnb", {}).get("figure")
            if figure:
                cells.append(new_markdown_cell(converter.caption(figure.get("caption", "").strip())))
        else:
            cells += [new_markdown_cell(text) for text in _markdown(converter, cell.source)]
    return cells


def _markdown(converter: Converter, source: str) -> list[str]:
    """The plain text of one Markdown cell, its solution folded; several texts where a solution opens inside it."""
    inside = converter.in_solution
    parts = []
    plain = converter.cell(source)
    for number, text in enumerate(plain.split(SOLUTION_STARTS)):
        folded = inside if number == 0 else True
        closed, _, after = text.partition(SOLUTION_ENDS)
        if closed.strip():
            parts.append(folded_solution(closed.strip()) if folded else closed.strip())
        if after.strip():
            parts.append(after.strip())
    return parts


def _code_cell(cell: NotebookNode, *, folded: bool) -> NotebookNode:
    tags = list(cell.metadata.get("tags", []))
    metadata = {"tags": tags} if tags else {}
    if folded or "hide-input" in tags:
        metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
    return new_code_cell(cell.source, metadata=metadata)


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _left_over(root: Path, wanted: dict[Path, str]) -> list[Path]:
    there = (path.relative_to(root) for path in (root / "notebooks").rglob("*.ipynb"))
    return [path for path in there if path not in wanted and ".ipynb_checkpoints" not in path.parts]


def main() -> int:
    """Command line. With --check: exit code 1 and the list if any notebook is out of step."""
    parser = argparse.ArgumentParser(description="Make the reader notebooks from the chapters.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a notebook is out of step")
    check = parser.parse_args().check
    try:
        changed = out_of_step() if check else write()
    except UnknownMarkupError as error:
        print(error, file=sys.stderr)
        return 2
    for path in changed:
        print(f"{'out of step' if check else 'changed'}: {path.as_posix()}")
    if check and changed:
        print("Run `make notebooks`.", file=sys.stderr)
    return 1 if check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
