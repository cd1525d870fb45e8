"""Every chapter, executed: papermill runs it at the smoke profile, nbval runs the result again and compares.

The second run starts without stored results (trained nets excepted), so it tests that a chapter is
deterministic, not that a cache works. A chapter is run with the extras that its header names and no other. How pages
look is tested in test_book.py.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import papermill
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from tools.chapters import Chapter, all_chapters, code_chapters
from tools.labels import FENCE

ROOT = Path(os.environ.get("RP_TUTORIAL_BOOK_ROOT", Path(__file__).resolve().parent.parent))
CHAPTERS = code_chapters(ROOT)
PARAMETERS = {"profile": "cpu", "seed": 0}
OPTIONAL = {
    "dp": ("opacus", "dp_accounting"),
    "bench": ("art",),
    "kaggle": ("kagglehub",),
    "ray": ("ray",),
}  # modules of the extras
WIDTH = 72
# Charts of Altair's own renderer carry a random name; ours do not, but a reader's notebook may use it.
SANITIZE = "[chart]\nregex: altair-viz-[0-9a-f]{32}\nreplace: altair-viz\n"

each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def environment(cache: Path) -> dict[str, str]:
    """Where the package stores results, and the chart renderer with stable names."""
    return {"RP_TUTORIAL_CACHE": str(cache), "RP_TUTORIAL_RENDERER": "book"}


def execute(source: NotebookNode, folder: Path, nets: Path | None = None) -> Path:
    """Run the notebook by papermill at the smoke profile, with a fresh cache and its own extras; the executed file.

    nets: where trained nets are kept for the other chapters, so that each is trained once a session, by the first.
    """
    executed = folder / "executed.ipynb"
    if nets is not None:
        (folder / "cache").mkdir()
        (folder / "cache" / "nets").symlink_to(nets, target_is_directory=True)
    missing = folder / "missing"
    missing.mkdir()
    for extra in OPTIONAL.keys() - set(source.metadata.get("extras", [])):
        for module in OPTIONAL[extra]:
            (missing / f"{module}.py").write_text("raise ImportError\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder / "cache").items():
            patch.setenv(name, value)
        patch.setenv("PYTHONPATH", str(missing), prepend=os.pathsep)
        papermill.execute_notebook(
            source,
            str(executed),
            parameters={"profile": "smoke", "seed": 0},
            kernel_name="python3",
            cwd=str(folder),
            progress_bar=False,
            execution_timeout=600,
        )
    return executed


def replay(executed: Path) -> subprocess.CompletedProcess[str]:
    """Run the executed notebook again by nbval, from a cache that holds the trained nets and nothing else."""
    folder = executed.parent
    cache = folder / "replay-cache"
    cache.mkdir()
    if (folder / "cache" / "nets").is_dir():
        shutil.copytree(folder / "cache" / "nets", cache / "nets")
    (folder / "sanitize.cfg").write_text(SANITIZE, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    options = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600", "--nbval-sanitize-with=sanitize.cfg"]
    command = [sys.executable, "-m", "pytest", "-c", "pytest.ini", "-p", "no:cacheprovider", "-q", *options]
    return subprocess.run(
        [*command, executed.name],
        cwd=folder,
        env={**os.environ, **environment(cache)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Chapter], Path]:
    """Executes a chapter once a session and remembers where."""
    done: dict[str, Path] = {}
    nets = tmp_path_factory.mktemp("nets")

    def run(chapter: Chapter) -> Path:
        if chapter.name not in done:
            done[chapter.name] = execute(chapter.notebook(), tmp_path_factory.mktemp("chapter"), nets)
        return done[chapter.name]

    return run


@each_chapter
def test_a_chapter_has_one_parameters_cell_with_profile_and_seed(chapter: Chapter) -> None:
    (cell,) = tagged(chapter.notebook(), "parameters")
    statements = ast.parse(cell.source).body
    assert all(isinstance(statement, ast.Assign) for statement in statements)
    values = {ast.unparse(part.targets[0]): ast.literal_eval(part.value) for part in statements}
    assert values == PARAMETERS


@each_chapter
def test_a_profile_that_matters_goes_where_an_unknown_one_is_refused_in_one_line(chapter: Chapter) -> None:
    """`papermill -p profile tiny` ends with what there is: a comparison or a table of profiles is not all that asks."""
    nodes = [node for cell in code_cells(chapter.notebook()) for node in ast.walk(ast.parse(cell.source))]
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    asked = {part.id for call in calls if call.func.attr in ("lab", "settings", "run") for part in handed(call)}
    other = [node for node in nodes if isinstance(node, ast.Compare | ast.Subscript)]
    used = {part.id for node in other for part in ast.walk(node) if isinstance(part, ast.Name)}
    assert "profile" in asked or "profile" not in used
    assert not [node for node in other if isinstance(node, ast.Subscript) and ast.unparse(node.slice) == "profile"]


def handed(call: ast.Call) -> list[ast.Name]:
    """The variables among the arguments of a call."""
    return [part for part in (*call.args, *(k.value for k in call.keywords)) if isinstance(part, ast.Name)]


def test_an_unknown_profile_is_one_line_that_names_those_there_are() -> None:
    for name in EXPERIMENTS:
        with pytest.raises(InputError, match=r"^profile: got 'tiny', allowed is one of smoke, cpu, gpu, paper$"):
            EXPERIMENTS[name].settings("tiny")


@each_chapter
def test_a_chapter_hides_no_error(chapter: Chapter) -> None:
    assert tagged(chapter.notebook(), "raises-exception") == []


@each_chapter
def test_code_cells_are_narrow_enough_for_a_phone(chapter: Chapter) -> None:
    lines = [line for cell in code_cells(chapter.notebook()) for line in cell.source.splitlines()]
    assert [line for line in lines if len(line) > WIDTH] == []


@each_chapter
def test_code_cells_are_clean(chapter: Chapter, tmp_path: Path) -> None:
    # As a notebook, so that ruff knows that the last line of a cell may be a bare expression.
    notebook = chapter.notebook()
    notebook.metadata.setdefault("language_info", {"name": "python"})
    jupytext.write(notebook, tmp_path / "chapter.ipynb")
    rules = ["--select=E,F,W,I,B,UP,SIM,PT,RUF", "--ignore=RUF001,RUF002,RUF003"]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", f"--line-length={WIDTH}"]
    rules += ["--config", 'lint.isort.known-first-party=["rp_tutorial"]']  # as in the rest of the repository
    options = ["--target-version=py311", "--output-format=concise", *rules]
    done = subprocess.run(
        [*command, *options, "chapter.ipynb"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("chapter", all_chapters(ROOT), ids=lambda chapter: chapter.stem)
def test_every_picture_has_alternative_text(chapter: Chapter) -> None:
    lines = chapter.path.read_text(encoding="utf-8").splitlines()
    for position, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence and fence["name"] in ("figure", "image"):
            options = "\n".join(lines[position + 1 : position + 8])
            assert re.search(r"^\s*:alt:\s*\S", options, re.MULTILINE), f"line {position + 1}: {line}"
        assert not re.search(r"!\[\s*\]\(", line), f"line {position + 1}: a picture without text"


@each_chapter
def test_a_chapter_runs_at_the_smoke_profile(chapter: Chapter, run: Callable[[Chapter], Path]) -> None:
    notebook = nbformat.read(run(chapter), as_version=4)
    (injected,) = tagged(notebook, "injected-parameters")
    assert 'profile = "smoke"' in injected.source
    assert any(cell.outputs for cell in code_cells(notebook))


@each_chapter
def test_every_chart_says_what_it_shows(chapter: Chapter, run: Callable[[Chapter], Path]) -> None:
    for cell in code_cells(nbformat.read(run(chapter), as_version=4)):
        for output in cell.outputs:
            html = "".join(output.get("data", {}).get("text/html", ""))
            assert "altair-viz" not in html, "a chart of Altair's own renderer, which needs the network"
            if 'class="rp-chart"' in html:
                label = re.search(r'aria-label="([^"]*)"', html)
                assert label
                assert len(label[1]) >= 20, f"too short a description: {label[1]!r}"
                assert "".join(output["data"]["text/plain"]).strip()


@each_chapter
def test_an_exercise_that_is_checked_is_unanswered_and_its_solution_right(
    chapter: Chapter, run: Callable[[Chapter], Path]
) -> None:
    cells = code_cells(nbformat.read(run(chapter), as_version=4))
    asked = [cell for cell in cells if "rp.checks.check_" in cell.source]
    told = ["".join(output["data"]["text/plain"]) for cell in asked for output in cell.outputs]
    assert set(told[::2]) <= {"✗ there is no answer yet: it returns nothing"}
    assert [line for line in told[1::2] if not line.startswith("✓ right")] == []
    assert len(told) == len(asked) == 2 * len(told[1::2])


@each_chapter
def test_a_chapter_gives_the_same_outputs_again(chapter: Chapter, run: Callable[[Chapter], Path]) -> None:
    executed = run(chapter)
    stored = [cell for cell in code_cells(nbformat.read(executed, as_version=4)) if cell.outputs]
    assert stored, "nothing to compare"
    done = replay(executed)
    assert done.returncode == 0, done.stdout[-6000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    assert int(passed[1]) >= len(stored)


def test_the_replay_catches_a_chapter_that_is_not_deterministic(tmp_path: Path) -> None:
    cells = [new_code_cell('profile = "cpu"\nseed = 0'), new_code_cell("import random\n\nrandom.random()")]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    executed = execute(notebook, tmp_path)
    done = replay(executed)
    assert done.returncode == 1
    assert "1 failed" in done.stdout


def test_the_replay_keeps_trained_nets_and_no_results(tmp_path: Path) -> None:
    look = "import os\nfrom pathlib import Path\n\ncache = Path(os.environ['RP_TUTORIAL_CACHE'])\n"
    store = "for name in ('nets', 'results'):\n    (cache / name).mkdir(parents=True, exist_ok=True)\n"
    count = "(cache / 'nets' / 'net').exists(), (cache / 'results' / 'result').exists()"
    leave = "(cache / 'nets' / 'net').touch()\n(cache / 'results' / 'result').touch()"
    cells = [new_code_cell(text) for text in ('profile = "cpu"\nseed = 0', look + store, count, leave)]
    cells[0].metadata["tags"] = ["parameters"]
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    executed = execute(notebook, tmp_path)
    done = replay(executed)
    text = json.dumps(nbformat.read(executed, as_version=4).cells)
    assert "(False, False)" in text
    assert "(True, False)" in done.stdout
