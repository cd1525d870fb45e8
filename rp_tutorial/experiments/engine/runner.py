"""Runs an experiment once and writes what it found: tables first, results.json last, each whole or not at all."""

import dataclasses
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import metadata
from pathlib import Path
from typing import Any

import rp_tutorial
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.devices import device_name
from rp_tutorial.core.files import replacing
from rp_tutorial.experiments.engine.experiment import experiment
from rp_tutorial.experiments.engine.stages import Stages

VERSIONS_OF = ("torch", "numpy", "scipy", "pandas", "scikit-learn")


def run(
    name: str,
    *,
    profile: str = "cpu",
    data: str = "synthetic",
    schema: Any = None,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    device: str | None = None,
    progress: Callable[[str], None] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Run an experiment, or remember it, and return what results.json holds (and is written to `out`, if given).

    Fields: experiment, profile, data, seed, settings, results, seconds, versions, device, code; schema, where one was
    given: what a CSV of one's own means, a path or a dict (`load_table`). `changes` are settings other than the
    profile's (`Experiment.settings`). `force` computes every stage anew; `seconds` are those of this call, without what
    was remembered. `progress` is called with the name of every stage as it begins, remembered or not.
    Raises InputError for an unknown experiment, profile, setting, data or device, a bad seed, or an `out` that is not
    a folder.

    >>> small = {"random_settings": 2, "cells": ((100, 10),), "table_rounds": 100, "bound_settings": 1}
    >>> document = rp.run("guarantee-audit", profile="smoke", **small)
    >>> document["results"]["summary"]["violations"]
    0

    Chapter: insurance/bmi-threshold.
    """
    folder = None if out is None else writable_folder(out)
    stages = Stages(experiment(name).name, force=force, progress=progress)
    document = run_in(stages, profile=profile, data=data, schema=schema, seed=seed, device=device, **changes)
    if folder is not None:
        write_out(name, document, folder)
    return document


def run_in(
    stages: Stages, *, profile: str, data: str, schema: Any, seed: int, device: str | None, **changes: Any
) -> dict[str, Any]:
    """The document of a run of the experiment of these stages, as plain JSON gives it back."""
    asked, started = experiment(stages.experiment), time.perf_counter()
    lab = asked.lab(profile, seed, data=data, schema=schema, device=device, stages=stages, **changes)
    document = {
        "experiment": asked.name,
        "profile": profile,
        "data": asked.reads.shown(data),
        **({} if lab.schema is None else {"schema": dataclasses.asdict(lab.schema)}),
        "seed": seed,
        "settings": dataclasses.asdict(lab.settings),
        "results": asked.run(lab),
        "seconds": round(time.perf_counter() - started, 2),
        "versions": versions(),
        "device": device_name(lab.settings.device),
        "code": asked.code,
    }
    return json.loads(json.dumps(document))


def versions() -> dict[str, str]:
    """Versions a result depends on, by package."""
    found = {package: metadata.version(package) for package in VERSIONS_OF}
    return {"rp_tutorial": rp_tutorial.__version__, "python": platform.python_version(), **found}


def write_out(name: str, document: dict[str, Any], folder: Path, pages: Mapping[str, str] | None = None) -> None:
    """Tables and charts take their places once all are written, results.json last: where it stands, they are its own.

    pages: charts, by the name of their file.
    """
    results, tables = folder / "results.json", experiment(name).tables(document["results"])
    content = {"results.json": json.dumps(document, indent=2) + "\n", **(pages or {})}
    content |= {f"{name}.csv": table.to_csv(index=False) for name, table in tables.items()}
    try:
        with ExitStack() as parts:  # left from the last one to the first
            for file, text in content.items():
                parts.enter_context(replacing(folder / file)).write_bytes(text.encode())
            parts.callback(results.unlink, missing_ok=True)  # that of an older run, once all is written
    except OSError as error:
        raise InputError(f"out: got {str(folder)!r}, which cannot be written ({error.strerror})") from None


def writable_folder(out: str | os.PathLike[str]) -> Path:
    """Refused before the work, not after it; and made after the work, not before it."""
    folder = Path(out).absolute()
    existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))  # a link to nothing is there
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        reason = "is not a folder" if not existing.is_dir() else "cannot be written to"
        raise InputError(f"out: got {str(out)!r}, but {existing} {reason}; allowed is a folder to write in")
    if (folder / "results.json").is_dir():
        raise InputError(f"out: got {str(out)!r}, but its results.json is a folder; allowed is one for that file")
    return folder
