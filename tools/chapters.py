"""Which pages the book has, and their content as notebooks: what the other tools and the tests share.

The table of contents decides; a file that is not in it is not a chapter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jupytext
import yaml
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Chapter:
    """One page of the book: its name in the table of contents (book/a/b) and its source file."""

    name: str
    path: Path

    @property
    def stem(self) -> str:
        """The name without the leading folder: a/b."""
        return self.name.removeprefix("book/")

    def notebook(self) -> NotebookNode:
        """The chapter's cells. A page without a kernel in its header is one of Markdown cells alone."""
        return jupytext.read(self.path, fmt="md:myst")

    def distribution(self) -> str:
        """What the chapter needs installed: the package, with the extras that its header names (`extras: [dp]`)."""
        extras = self.notebook().metadata.get("extras", [])
        return f"rp-tutorial[{','.join(extras)}]" if extras else "rp-tutorial"

    def has_code(self) -> bool:
        """Whether the page holds at least one code cell."""
        return any(cell.cell_type == "code" for cell in self.notebook().cells)


def all_chapters(root: Path = ROOT) -> list[Chapter]:
    """Every page in the order of the table of contents, the root page first."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    return [Chapter(name, root / f"{name}.md") for name in [toc["root"], *_files(toc)]]


def code_chapters(root: Path = ROOT) -> list[Chapter]:
    """The pages that have code."""
    return [chapter for chapter in all_chapters(root) if chapter.has_code()]


def configuration(root: Path = ROOT) -> dict[str, Any]:
    """_config.yml as a dictionary."""
    return yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))


def _files(entry: dict[str, Any]) -> Iterator[str]:
    for key in ("parts", "chapters", "sections", "subtrees", "entries"):
        for child in entry.get(key, []):
            if "file" in child:
                yield child["file"].removesuffix(".md")
            yield from _files(child)
