"""Parts that register themselves by name, beside their code: experiments, defences, attacks, sources of data.

A part of the package is found when its room is imported, which happens when somebody asks for a name that is not known
yet. A part of the user's is registered by a file that is loaded (`load_parts`, `--with` on the command line), by an
entry point of the group "rp_tutorial", or by whatever the user imports.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar

import rp_tutorial
from rp_tutorial.core.arguments import in_one_line, refuse

Part = TypeVar("Part")
Code = TypeVar("Code", bound=Callable[..., Any])
Source = Path | str  # the file that code is written in, or the code itself where it was typed into a notebook
PACKAGE = Path(rp_tutorial.__file__).parent
GROUP = "rp_tutorial"  # of entry points
_ALL: list[Registry] = []
_LOADED: list[str] = []


class Registry(Mapping[str, Part], Generic[Part]):
    """Parts of one kind by name. `what`: the kind, in messages; `room`: the package whose files register them.

    Iterating gives the built-in ones and the user's; a missing name is refused in one line that lists those there are.
    """

    def __init__(self, what: str, room: str) -> None:
        self.what, self.room = what, room
        self._parts: dict[str, Part] = {}
        self._sources: dict[str, Source] = {}
        _ALL.append(self)

    def add(self, name: str, part: Part, code: Callable[..., Any]) -> None:
        """`part` under `name`; `code` is the function or class that says where it is written.

        A user's part may be registered again, as a notebook cell that is run twice does; the package's own names, and
        theirs for the package, are taken. Raises InputError for those.
        """
        source = source_of(code)
        if name in self._parts and (name not in self.outside() or is_packaged(source)):
            raise refuse(self.what, name, f"a name that is not one of {', '.join(self._parts)}")
        self._parts[name], self._sources[name] = part, source

    def registering(self, name: str, part_of: Callable[[Any], Part]) -> Callable[[Code], Code]:
        """Decorates a function: what `part_of` makes of it is added under `name`, and it stays as it is."""

        def register(code: Code) -> Code:
            self.add(name, part_of(code), code)
            return code

        return register

    def remove(self, name: str) -> None:
        """Forgets a part of the user's. Raises InputError for a name that is none."""
        if name not in self.outside():
            raise refuse(self.what, name, "one that was registered from outside the package")
        del self._parts[name], self._sources[name]

    def source(self, name: str) -> Source:
        """Where a part is written."""
        self[name]
        return self._sources[name]

    def outside(self) -> dict[str, Part]:
        """The parts that are not the package's own."""
        return {name: part for name, part in self._parts.items() if not is_packaged(self._sources[name])}

    def __getitem__(self, name: str) -> Part:
        if name not in self._parts:
            _import_all(self.room)
        if name not in self._parts:
            raise refuse(self.what, name, "one of " + ", ".join(self._parts))
        return self._parts[name]

    def __iter__(self) -> Iterator[str]:
        _import_all(self.room)
        outside = self.outside()
        packaged = sorted((name for name in self._parts if name not in outside), key=self._sources.__getitem__)
        return iter([*packaged, *outside])  # whatever was imported first

    def __contains__(self, name: object) -> bool:
        return name in self._parts or name in iter(self)

    def __len__(self) -> int:
        return len(list(iter(self)))


def outside_sources() -> set[Source]:
    """Where the parts of every kind are written that are not the package's own."""
    return {registry.source(name) for registry in _ALL for name in registry.outside()}


def source_of(code: Callable[..., Any]) -> Source:
    """Where a function or class is written; of one without any text, typed at a prompt, what it was compiled to."""
    try:
        file = Path(inspect.getfile(code))
        return file.resolve() if file.is_file() else inspect.getsource(code)
    except (OSError, TypeError):
        compiled = getattr(code, "__code__", None)
        told = (code.__qualname__, compiled and compiled.co_code.hex(), compiled and repr(compiled.co_consts))
        return f"compiled = {told!r}"


def is_packaged(source: Source) -> bool:
    """Whether it is the package's own code."""
    return isinstance(source, Path) and source.is_relative_to(PACKAGE)


@lru_cache
def _import_all(room: str) -> None:
    """Every module of a room, and once what other distributions and the user have registered."""
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(package.__path__, f"{room}."):
        importlib.import_module(found.name)
    for entry in metadata.entry_points(group=GROUP):
        entry.load()


def load_parts(file: str) -> None:
    """Runs a file of the user's that registers parts. Raises InputError if there is none, or it cannot be run."""
    path = Path(file)
    if not path.is_file():
        raise refuse("with", file, "a Python file that registers defences, attacks, data or experiments")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise refuse("with", file, "a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    with in_one_line("with", "a file that runs", what=f"{file}, which raises "):
        spec.loader.exec_module(module)
    _LOADED.append(str(path.resolve()))


def loaded_parts() -> tuple[str, ...]:
    """The user's files that were run, for another process to run them too."""
    return tuple(dict.fromkeys(_LOADED))
