"""A sweep: the cells of a grid, computed side by side by an engine, each a stage that is remembered by its content.

A killed sweep goes on where it stopped: finished cells are read, and a cell that was cut off resumes inside its own
stages. A cell that fails is reported and stops nobody.
"""

import dataclasses
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from rp_tutorial.core.arguments import MESSAGE_LENGTH, InputError, one_line, one_of
from rp_tutorial.core.files import write_atomically
from rp_tutorial.core.registry import load_parts
from rp_tutorial.experiments.engine.engines import ENGINES, Resources
from rp_tutorial.experiments.engine.grid import Cell
from rp_tutorial.experiments.engine.runner import run_in, writable_folder, write_out
from rp_tutorial.experiments.engine.stages import Stages, cache_dir


@dataclasses.dataclass(frozen=True)
class Task:
    """A cell, and what the process that computes it has to know."""

    cell: Cell
    cache: str
    threads: int
    device: str | None
    parts: tuple[str, ...]


def sweep(
    cells: Sequence[Cell],
    *,
    engine: str = "local",
    out: str | os.PathLike[str] | None = None,
    jobs: int = 2,
    gpus: float = 0.0,
    address: str | None = None,
    device: str | None = None,
    parts: Sequence[str] = (),
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Compute the cells that are not remembered; a row a cell, in their order, with its document or why it failed.

    Row: `cell` (number), `at` (its place on the axes), `status` ("remembered", "finished" or "failed"), `reason`,
    `seconds`, `ended` (seconds after the sweep began), `document` (None where it failed). `progress` gets each row as
    it is known. out: a folder for CELL/results.json and tables, and for sweep.json, without the documents.
    engine: "local" runs `jobs` processes; "ray" hands cells to the cluster at `address` (its own, on this machine,
    where None), each with 1 CPU and `gpus` of a GPU. The cache is RP_TUTORIAL_CACHE, for every worker: a folder that
    all nodes see, or one of each node's own. parts: files of one's own parts, which every worker loads.
    Raises InputError for an unknown engine, one that is not installed, bad resources, or an `out` that is no folder.

    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp(), "grid.toml")
    >>> _ = file.write_text("[axes]" + chr(10) + "rows = [3000]")
    >>> cells = rp.experiments.read_grid(file, "insurance-threshold", profile="smoke")
    >>> [row["status"] in ("finished", "remembered") for row in rp.experiments.sweep(cells, jobs=1)]
    [True]

    Chapter: practice/scaling-out.
    """
    resources = Resources(jobs=jobs, gpus=gpus, address=address)
    compute_all = ENGINES[one_of("engine", engine, ENGINES)]
    folder = None if out is None else writable_folder(out)
    started, rows = time.monotonic(), {}

    def known(number: int, status: str, told: dict[str, Any]) -> None:
        row = {"cell": number, "at": cells[number].at, "status": status, "reason": None, "document": None} | told
        rows[number] = row | {"ended": round(time.monotonic() - started, 3)}
        if folder is not None and row["document"]:
            write_out(cells[number].experiment, row["document"], writable_folder(folder / f"{number:04d}"))
        if progress is not None:
            progress(rows[number])

    waiting = {}
    for number, cell in enumerate(cells):
        found = _remembered(cell)
        if found is not None:
            known(number, "remembered", {"document": found, "seconds": 0.0})
        else:
            threads = max(1, (os.cpu_count() or 1) // jobs) if engine == "local" else 1
            waiting[number] = Task(cell, str(cache_dir()), threads, device, tuple(parts))
    for number, told in compute_all(compute, waiting, resources):
        if told.get("document"):
            _remembered(cells[number], told["document"])  # of a node that keeps its cache to itself
        known(number, "finished" if told.get("document") else "failed", told)
    found = [rows[number] for number in range(len(cells))]
    if folder is not None:
        told = [{name: value for name, value in row.items() if name != "document"} for row in found]
        write_atomically(folder / "sweep.json", json.dumps(told, indent=1) + "\n")
    return found


def compute(task: Task) -> dict[str, Any]:
    """What a worker does with a cell: its document and seconds, or the reason why there is none."""
    os.environ["RP_TUTORIAL_CACHE"] = task.cache
    torch.set_num_threads(task.threads)
    started, cell = time.monotonic(), task.cell
    try:
        for file in task.parts:
            load_parts(file)
        stages = Stages(cell.experiment)
        about = {"profile": cell.profile, "data": cell.data, "schema": cell.schema, "seed": cell.seed}
        document = run_in(stages, **about, device=task.device, **cell.settings)
        told = {"document": _remembered(cell, document)}
    except Exception as error:  # whatever it is: it is this cell's, and the others go on
        told = {"reason": str(error) if isinstance(error, InputError) else one_line(repr(error))[:MESSAGE_LENGTH]}
    return told | {"seconds": round(time.monotonic() - started, 3)}


def _remembered(cell: Cell, document: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """The document of a cell from the cache, or `document`, kept there from now on; None where there is neither."""
    if cell.data != "synthetic":  # files may have changed, which its stages notice, and they are remembered
        return document

    def given(_: Path) -> dict[str, Any]:
        if document is None:
            raise LookupError
        return document

    try:
        return Stages(f"sweep of {cell.experiment}").result("cell", cell.key, given)
    except LookupError:
        return None
