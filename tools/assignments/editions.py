"""What is made from a master: two notebooks, the rubric, and the tests of Otter's autograder, in its OK format.

Nothing here needs Otter: a test is a file of plain data, whose code asks one check of `rp.checks` with a seed that the
student has not seen. Students' notebooks are kept in the repository, as readers' are, since Colab opens them there.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from pprint import pformat

import jupytext
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from tools.assignments.master import Master, Question, masters
from tools.chapters import ROOT, all_chapters
from tools.labels import Labels, collect
from tools.notebooks import KERNEL, address, colab_cell, bring_into_step
from tools.plain_markdown import SOLUTION_ENDS, SOLUTION_STARTS, Converter

STUDENTS = Path("assignments", "student")
GRADED_SEED = 1  # the checks that students see are asked with 0
CASE = """\
>>> import rp_tutorial as rp
>>> verdict = rp.checks.{call}, seed={seed})
>>> assert verdict, verdict
"""


def student_texts(root: Path = ROOT) -> dict[Path, str]:
    """Path of each student's notebook, relative to `root` -> its whole text."""
    labels = collect(all_chapters(root), root / "book" / "references.bib")
    return {STUDENTS / f"{one.name}.ipynb": notebook_text(one, one.student(), labels, root) for one in masters(root)}


def notebook_text(master: Master, text: str, labels: Labels, root: Path = ROOT) -> str:
    """An edition of a master as a notebook, plain for Jupyter and Colab, with the same first cell as a chapter's."""
    converter = Converter(labels, master.page.name)
    cells = [new_code_cell(colab_cell(master.page, root))]
    for cell in jupytext.reads(text, fmt="md:myst").cells:
        if cell.cell_type == "code":
            cells.append(new_code_cell(cell.source))
        else:
            plain = converter.cell(cell.source).replace(SOLUTION_STARTS, "**Solution.**").replace(SOLUTION_ENDS, "")
            cells.append(new_markdown_cell(plain.strip()))
    return _written(master, [cell for cell in cells if cell.source])


def otter_test(question: Question, seed: int = GRADED_SEED) -> str:
    """The question as a test file of Otter: a case a line of the rubric, which passes or not."""
    cases = [
        {"code": CASE.format(call=line.check.removesuffix(")"), seed=seed), "points": line.points, "hidden": False}
        for line in question.checked
    ]
    suites = [{"cases": cases, "scored": True, "setup": "", "teardown": "", "type": "doctest"}]
    test = {"name": question.name, "points": None, "suites": suites}
    return f"OK_FORMAT = True\n\ntest = {pformat(test, sort_dicts=False, width=110)}\n"


def rubric(master: Master) -> str:
    """Who gives which points for what, as Markdown."""
    checked = sum(line.points for question in master.questions for line in question.checked)
    total = sum(question.points for question in master.questions)
    head = f"{total} points: {checked} by the autograder, {total - checked} by a person. Expected: {master.hours} hours."
    rows = [
        f"| {question.name} | {line.points} | {line.what} | {f'`{line.check}`' if line.check else line.full} |"
        for question in master.questions
        for line in question.lines
    ]
    return "\n".join([f"# {master.title}", "", head, "", "| question | points | for | given by |", "|---|---|---|---|", *rows, ""])


def write_students(root: Path = ROOT) -> list[Path]:
    """Bring the students' notebooks into step; those that were written or deleted, relative to `root`."""
    return bring_into_step(root, student_texts(root), out_of_step(root))


def out_of_step(root: Path = ROOT) -> list[Path]:
    """Students' notebooks that are missing, differ from their master, or have none any more; relative to `root`."""
    wanted = student_texts(root)
    there = {path.relative_to(root): path.read_text(encoding="utf-8") for path in (root / STUDENTS).glob("*.ipynb")}
    return sorted(path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path))


def write_instructor(master: Master, folder: Path, *, seed: int = GRADED_SEED, root: Path = ROOT) -> None:
    """Into `folder`: the solution, the rubric, Otter's tests and what the autograder has to install."""
    labels = collect(all_chapters(root), root / "book" / "references.bib")
    (folder / "tests").mkdir(parents=True, exist_ok=True)
    texts = {
        "solution.ipynb": notebook_text(master, master.solution(), labels, root),
        "rubric.md": rubric(master),
        "requirements.txt": f"{master.page.distribution()} @ git+{address(root)}\n",
    }
    texts |= {f"tests/{one.name}.py": otter_test(one, seed) for one in master.questions if one.checked}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def _written(master: Master, cells: list[NotebookNode]) -> str:
    for index, cell in enumerate(cells):
        cell.id = hashlib.sha256(f"{master.name}:{index}".encode()).hexdigest()[:12]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1).rstrip("\n") + "\n"
