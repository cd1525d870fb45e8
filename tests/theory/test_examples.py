"""What the docstrings of the theory and of the statistics show runs, and says where the book builds it."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import rp_tutorial as rp

ROOT = Path(__file__).resolve().parents[2]
FILES = [file for room in ("theory", "statistics") for file in sorted((ROOT / "rp_tutorial" / room).glob("[a-z]*.py"))]
SHOWN = [
    (module, name)
    for module in (importlib.import_module(f"rp_tutorial.{file.parent.name}.{file.stem}") for file in FILES)
    for name, thing in vars(module).items()
    if getattr(thing, "__module__", "") == module.__name__ and ">>>" in (inspect.getdoc(thing) or "")
]


@pytest.mark.parametrize(("module", "name"), SHOWN, ids=[name for _, name in SHOWN])
def test_what_a_docstring_shows_runs_and_names_its_chapter(module, name: str) -> None:
    source = inspect.getdoc(getattr(module, name))
    shown = doctest.DocTestParser().get_doctest(source, {"rp": rp}, name, None, 0)
    written: list[str] = []
    assert doctest.DocTestRunner().run(shown, out=written.append).failed == 0, "".join(written)
    chapter = re.search(r"Chapter: ([a-z0-9-]+/[a-z0-9-]+)\.$", source)
    assert chapter, f"the docstring of {name} does not end with `Chapter: folder/name.`"
    assert (ROOT / "book" / f"{chapter[1]}.md").is_file()
