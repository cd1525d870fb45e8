"""The public face: every name resolves, the import is light, and what a docstring shows runs and names its chapter."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

import pytest
import torch

import rp_tutorial as rp
from rp_tutorial.attacks.inversion.registry import ATTACKS
from rp_tutorial.data.faces.registry import FACE_SOURCES
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.faces.defenses import DEFENSES
from rp_tutorial.experiments.faces.trained_nets import TRAINED_NETS
from tools.chapters import Chapter, code_chapters

ROOT = Path(__file__).resolve().parents[1]
FACES = sorted(".".join(stub.parent.relative_to(ROOT).parts) for stub in (ROOT / "rp_tutorial").rglob("__init__.pyi"))
OFFERED = [(name, getattr(rp, name)) for name in rp.__all__]
DOCUMENTED = [name for name, thing in OFFERED if inspect.isclass(thing) or inspect.isfunction(thing)]
CHAPTER = re.compile(r"\n\nChapter: ([a-z0-9-]+/[a-z0-9-]+)\.$")
# What `import rp_tutorial` may load besides itself and the standard library.
LIGHT = {"rp_tutorial", "lazy_loader"}
MOST_IMPORTS = 4

each_chapter = pytest.mark.parametrize("chapter", code_chapters(ROOT), ids=lambda chapter: chapter.stem)


def code_of(chapter: Chapter) -> ast.Module:
    return ast.parse("\n".join(cell.source for cell in chapter.notebook().cells if cell.cell_type == "code"))


@pytest.mark.parametrize("face", FACES)
def test_every_name_of_a_face_resolves(face: str) -> None:
    module = importlib.import_module(face)
    assert module.__all__
    assert {name for name in module.__all__ if getattr(module, name, None) is None} == set()
    assert dir(module) == module.__all__


@pytest.mark.parametrize("face", FACES)
def test_type_checkers_see_every_name_of_a_face(face: str) -> None:
    """In a stub only what is imported `as` itself is public."""
    stub = Path(importlib.import_module(face).__file__).with_suffix(".pyi").read_text(encoding="utf-8")
    names = [alias for node in ast.parse(stub).body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert [alias.name for alias in names if alias.asname != alias.name] == []


def test_importing_the_package_loads_nothing_heavy() -> None:
    """The bar is 50 ms; measured are 2 to 3. Counted are modules, which are the same on a busy machine."""
    script = (
        "import sys; before = set(sys.modules); import rp_tutorial as rp; dir(rp), rp.__version__; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == LIGHT


def test_arithmetic_needs_no_torch() -> None:
    script = "import sys, rp_tutorial as rp; rp.statistics.clopper_pearson, rp.plan; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rp_tutorial", "data", "check", "insurance", "nowhere.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("rp-tutorial: ")
    assert len(done.stderr.splitlines()) == 1


@each_chapter
def test_a_chapter_imports_the_face_first_and_has_at_most_four_imports_of_our_own(chapter: Chapter) -> None:
    nodes = [node for node in ast.walk(code_of(chapter)) if isinstance(node, ast.Import | ast.ImportFrom)]
    lines = [ast.unparse(node) for node in sorted(nodes, key=lambda node: node.lineno)]
    own = [line for line in lines if re.match(r"(import|from) rp_tutorial\b", line)]
    assert own[0] == "import rp_tutorial as rp"
    assert len(own) <= MOST_IMPORTS, own


@each_chapter
def test_what_a_chapter_takes_from_the_package_exists(chapter: Chapter) -> None:
    """Found here in a second, before the chapter runs into it."""
    code, names = code_of(chapter), {}
    for node in ast.walk(code):
        if isinstance(node, ast.Import | ast.ImportFrom) and "rp_tutorial" in ast.unparse(node):
            exec(ast.unparse(node), names)
    chains = [ast.unparse(node) for node in ast.walk(code) if isinstance(node, ast.Attribute)]
    taken = {chain for chain in chains if re.fullmatch(rf"({'|'.join(names)})(\.\w+)+", chain)}
    assert taken
    for chain in taken:
        name, rest = chain.split(".", 1)
        attrgetter(rest)(names[name])


@pytest.mark.parametrize("name", DOCUMENTED)
def test_a_public_docstring_ends_with_the_chapter_that_builds_it(name: str) -> None:
    chapter = CHAPTER.search(inspect.getdoc(getattr(rp, name)))
    assert chapter, f"the last line of rp.{name}'s docstring is not `Chapter: folder/name.`"
    assert (ROOT / "book" / f"{chapter[1]}.md").is_file()


@pytest.fixture
def only_our_parts() -> Iterator[None]:
    """Whatever an example registers is forgotten after it."""
    yield
    for registry in (EXPERIMENTS, DEFENSES, TRAINED_NETS, ATTACKS, FACE_SOURCES):
        for name in registry.outside():
            registry.remove(name)


@pytest.mark.usefixtures("own_cache", "only_our_parts")
@pytest.mark.parametrize("name", DOCUMENTED)
def test_what_a_public_docstring_shows_runs(name: str) -> None:
    """As in a notebook that began with `import torch` and `import rp_tutorial as rp`; outputs to the letter."""
    source = inspect.getdoc(getattr(rp, name))
    shown = doctest.DocTestParser().get_doctest(source, {"rp": rp, "torch": torch}, f"rp.{name}", None, 0)
    assert len(shown.examples) >= 2
    written: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST).run(shown, out=written.append)
    assert result.failed == 0, "".join(written)
