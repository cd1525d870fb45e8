"""Stores whole runs with the package: `python -m tools.publish [CSV ...]`, after the code of an experiment changed.

Runs every experiment at the cpu profile, on the generated rows and on each CSV given, and writes the results document
into rp_tutorial/published/, where the ledger and the chapters read it. Aggregates only: no row of a CSV is stored.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rp_tutorial.experiments import runner
from rp_tutorial.experiments.runner import experiment_module, run_experiment

PUBLISHED = Path(__file__).resolve().parent.parent / "rp_tutorial" / "published"


def main(sources: list[str]) -> None:
    for experiment in runner.EXPERIMENTS:
        module = experiment_module(experiment)
        for data in ("synthetic", *(sources if runner.reads_tables(module) else ())):
            document = run_experiment(experiment, profile="cpu", data=data, force=True)
            for bulky in getattr(module, "BULKY", ()):  # what only a full run needs to hold
                del document["results"][bulky]
            path = PUBLISHED / f"{experiment}-{Path(document['data']).stem}-cpu.json"
            runner.write_atomically(path, json.dumps(_rounded(document), indent=1) + "\n")
            print(path.name, document["seconds"], "s")


def _rounded(value: object) -> object:
    """Nine significant digits: files that differ only where a result does."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(sys.argv[1:])
