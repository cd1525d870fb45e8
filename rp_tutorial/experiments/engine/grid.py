"""The grid of a sweep: axes in a TOML file, and the cells that they span, each one run of an experiment.

A cell is plain data that any process can be handed. What it depends on, the code included, is its key: cells of equal
keys are one result. How cells are computed is in `sweep.py`, by whom in `engines.py`.
"""

import dataclasses
import itertools
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import joblib

from rp_tutorial.core.arguments import InputError, in_one_line, refuse
from rp_tutorial.experiments.engine.experiment import Experiment, experiment
from rp_tutorial.experiments.engine.overrides import INNER

ALLOWED = ("profile", "data", "schema", "seed", "fixed", "axes")
MOST_CELLS = 100_000  # a grid beyond is a slip of the pen


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a sweep: its experiment, data, seed and changed settings; `at` says where on the axes it stands."""

    experiment: str
    profile: str
    data: str
    schema: str | None
    seed: int
    settings: dict[str, Any]
    at: dict[str, str]

    @property
    def name(self) -> str:
        """In words: seed = 0, arms = none."""
        return ", ".join(f"{axis} = {value}" for axis, value in self.at.items()) or "the only cell"

    @property
    def key(self) -> dict[str, Any]:
        """All that its result depends on, but for what the files hold that `data` and `schema` name."""
        content = dataclasses.asdict(self)
        del content["at"]
        return content | {"code": experiment(self.experiment).code}


def read_grid(
    file: str | os.PathLike[str],
    name: str,
    *,
    profile: str = "cpu",
    data: str = "synthetic",
    schema: str | None = None,
) -> list[Cell]:
    """The cells of a grid, every combination of its axes, the last one fastest; each setting checked by then.

    file: TOML with `seed` (one or a list), `[axes]` (a setting and the list of its values), `[fixed]` (settings of
    every cell), and if wanted `profile`, `data` and `schema` in place of those given here. Names of settings are those
    of `--set`; "attack.patience" is quoted.
    Raises InputError for a file that is none, an unknown name, a value that its setting cannot have, or equal cells.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "grid.toml")
    >>> _ = file.write_text("seed = [0, 1]" + chr(10) + "[axes]" + chr(10) + "targets = [4, 6]")
    >>> [cell.name for cell in rp.experiments.read_grid(file, "inversion", profile="smoke")][:2]
    ['seed = 0, targets = 4', 'seed = 0, targets = 6']

    Chapter: practice/scaling-out.
    """
    asked, grid = experiment(name), _read(file)
    axes = {"seed": _listed("seed", grid.get("seed", 0)), **{k: _listed(k, v) for k, v in grid.get("axes", {}).items()}}
    common = {"profile": grid.get("profile", profile), "data": grid.get("data", data)}
    common["schema"] = grid.get("schema", schema)
    many = math.prod(map(len, axes.values()))
    if many > MOST_CELLS:
        raise refuse("grid", f"{many:,} cells", f"at most {MOST_CELLS:,}")
    cells: dict[str, Cell] = {}
    for values in itertools.product(*axes.values()):
        settings = grid.get("fixed", {}) | dict(zip(axes, values, strict=True))
        cell = _cell(asked, settings, tuple(axes), seed=settings.pop("seed"), **common)
        if cells.setdefault(joblib.hash((cell.seed, cell.settings)), cell) is not cell:
            raise refuse("grid", f"two equal cells ({cell.name})", "axes whose values differ")
    return list(cells.values())


def _read(file: str | os.PathLike[str]) -> dict[str, Any]:
    with in_one_line("grid", "a TOML file that can be read", what=f"{os.fspath(file)}: "):
        grid = tomllib.loads(Path(file).read_text(encoding="utf-8"))
    for key in grid:
        if key not in ALLOWED:
            raise refuse("grid", key, "one of " + ", ".join(ALLOWED))
    for table in ("fixed", "axes"):
        if not isinstance(grid.get(table, {}), dict):
            raise refuse("grid", f"{table} = {grid[table]!r}", f"a table [{table}] of settings")
    return grid


def _listed(axis: str, values: Any) -> list[Any]:
    found = values if isinstance(values, list) else [values]
    if not found:
        raise refuse("grid", f"{axis} = []", "an axis with a value or more")
    return found


def _cell(asked: Experiment, settings: Mapping[str, Any], axes: Sequence[str], **common: Any) -> Cell:
    named = {name.replace(".", INNER): value for name, value in settings.items()}
    try:
        checked = asked.settings(common["profile"], **named)
    except InputError as error:
        raise InputError(f"grid: {error}") from None
    at = {"seed": str(common["seed"])} | {
        axis: _shown(checked, axis.replace(".", INNER)) for axis in axes if axis != "seed"
    }
    return Cell(asked.name, settings=named, at=at, **common)


def _shown(settings: Any, name: str) -> str:
    """The value of a setting as a reader knows it: arms by their names, all else as it is written."""
    value = settings
    for part in name.split(INNER):
        value = getattr(value, part)
    parts = value if isinstance(value, tuple) else (value,)
    return ", ".join(str(getattr(part, "name", part)) for part in parts)
