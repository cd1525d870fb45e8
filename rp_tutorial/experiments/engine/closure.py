"""Which code a result depends on: the import closure of a file, and a hash of it that comments do not change.

The closure of a file is itself and every file of the package that it imports, directly or not. It is read from the
syntax tree, so nothing is run, and the hash is one of the tree without docstrings: a new file elsewhere, a comment or a
better sentence forgets no result, and an edited function forgets those that could have called it. Imports under
TYPE_CHECKING do not count. What a registry hands out at run time is in no closure; whoever asks one adds its file.
"""

import ast
import hashlib
import textwrap
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from rp_tutorial.core.registry import PACKAGE, Source, is_packaged


def code_hash(sources: Iterable[Source], *, rooms: Collection[str] | None = None) -> str:
    """Hash of the closure of `sources`; with `rooms` only what lies in these rooms of the package is followed."""
    digest = hashlib.sha256()
    for line in sorted(f"{_name(source)} {_read(source)[1]}\n" for source in closure(sources, rooms=rooms)):
        digest.update(line.encode())
    return digest.hexdigest()[:16]


def closure(sources: Iterable[Source], *, rooms: Collection[str] | None = None) -> set[Source]:
    """`sources` themselves, wherever they lie, and all that they import of the package."""
    found: set[Source] = set()
    waiting = list(sources)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [p for p in _read(path)[0] if rooms is None or p.relative_to(PACKAGE).parts[0] in rooms]
    return found


def _name(source: Source) -> str:
    """Where a file stands in the package. What is from outside has no name: its place is nobody's business."""
    return source.relative_to(PACKAGE).as_posix() if is_packaged(source) else ""


def _read(source: Source) -> tuple[tuple[Path, ...], str]:
    return _read_once(source, source.stat().st_mtime_ns if isinstance(source, Path) else 0)


@lru_cache(maxsize=1024)
def _read_once(source: Source, _modified: int) -> tuple[tuple[Path, ...], str]:
    """The files that `source` imports, and a hash of what it does."""
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else textwrap.dedent(source)
    tree = ast.parse(text)
    structure = "".join(_structure(tree))
    return tuple(dict.fromkeys(_imports(tree))), hashlib.sha256(structure.encode()).hexdigest()


def _imports(node: ast.AST) -> Iterator[Path]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    if isinstance(node, ast.Import):
        yield from (file for alias in node.names for file in _file_of(alias.name))
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:  # a name is a module of its own, or stands in the module it is taken from
            yield from _file_of(f"{node.module}.{alias.name}") or _file_of(node.module)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child)


def _file_of(module: str) -> list[Path]:
    """The file of a module of the package; of a room its first page."""
    room, *parts = module.split(".")
    if room != PACKAGE.name:
        return []
    place = PACKAGE.joinpath(*parts)
    return [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()][:1]


def _structure(node: ast.AST) -> Iterator[str]:
    """The tree as text, the same in every version of Python: no positions, no empty fields, no docstrings."""
    yield f"({type(node).__name__}"
    for name, value in ast.iter_fields(node):
        parts = value if isinstance(value, list) else [value]
        for part in parts[1:] if name == "body" and _has_docstring(node) else parts:
            if isinstance(part, ast.AST):
                yield f" {name}"
                yield from _structure(part)
            elif part is not None:
                yield f" {name}={part!r}"
    yield ")"


def _has_docstring(node: ast.AST) -> bool:
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
