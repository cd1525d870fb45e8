"""Stores whole runs with the package: `python -m tools.publish`, after the code of an experiment changed.

Runs experiments at the cpu profile, on the generated data and on each real source given (a CSV, folder:PATH), and
writes the results documents into rp_tutorial/published/, where the ledger and the chapters read them. Aggregates only:
no row of a CSV and no face is stored. A killed call resumes from the cache; for honest seconds start from an empty one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rp_tutorial.experiments.engine import runner
from rp_tutorial.experiments.engine.runner import experiment_module, run_experiment

PUBLISHED = Path(__file__).resolve().parent.parent / "rp_tutorial" / "published"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", help="real data beside the generated ones: a CSV, folder:PATH, ...")
    parser.add_argument("--only", action="append", choices=runner.EXPERIMENTS, help="this experiment; may be repeated")
    parser.add_argument("--seed", action="append", type=int, help="these seeds instead of the experiment's own")
    options = parser.parse_args(arguments)
    for experiment in options.only or runner.EXPERIMENTS:
        module = experiment_module(experiment)
        for source in ("synthetic", *options.sources):
            if not runner.takes(module, source):
                continue
            drawn = getattr(module, "PUBLISHED_SEEDS", (0,))
            for seed in options.seed or (drawn if source == "synthetic" else (0,)):
                publish(experiment, source, seed)


def publish(experiment: str, source: str, seed: int) -> None:
    """One run, one file. The name says experiment, data, profile, and the seed where it is not 0."""
    document = run_experiment(experiment, profile="cpu", data=source, seed=seed)
    for bulky in getattr(experiment_module(experiment), "BULKY", ()):  # what only a full run needs to hold
        del document["results"][bulky]
    data = Path(document["data"].replace(":", "-")).stem
    path = PUBLISHED / f"{experiment}-{data}-cpu{f'-seed{seed}' if seed else ''}.json"
    runner.write_atomically(path, json.dumps(rounded(document), indent=1) + "\n")
    print(path.name, document["seconds"], "s", flush=True)


def rounded(value: object) -> object:
    """Nine significant digits: files that differ only where a result does."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
