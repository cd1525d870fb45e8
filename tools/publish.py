"""Stores whole runs with the package: `python -m tools.publish`, after the code of an experiment changed.

Runs experiments, at the cpu profile unless told otherwise, on the generated data and on each real source given (a CSV,
folder:PATH), and writes the results documents into rp_tutorial/published/, where the ledger and the chapters read them.
Aggregates only: no row of a CSV and no face is stored. A killed call resumes from the cache; for honest seconds start
from an empty one. Seeds of a study that is not complete wait in unfinished/, where nothing reads them (`--to`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rp_tutorial.core.files import write_atomically
from rp_tutorial.experiments.engine.documents import published, stale
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, PROFILES
from rp_tutorial.experiments.engine.runner import run

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED, UNFINISHED = ROOT / "rp_tutorial" / "published", ROOT / "unfinished"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sources", nargs="*", help="real data beside the generated ones: a CSV, folder:PATH, ...")
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, help="this experiment; may be repeated")
    parser.add_argument("--seed", action="append", type=int, help="these seeds instead of the experiment's own")
    parser.add_argument("--profile", default="cpu", choices=PROFILES)
    parser.add_argument("--to", type=Path, default=PUBLISHED, metavar="FOLDER", help="instead of the package's own")
    parser.add_argument("--only-sources", action="store_true", help="not on generated data")
    parser.add_argument("--stale", action="store_true", help="list stored runs that the code would compute differently")
    options = parser.parse_args(arguments)
    if options.stale:
        for document, reason in stale(published(profile=None)):
            print(f"{file_name(document)}: {reason}")
        return
    for name in options.only or EXPERIMENTS:
        for source in (*([] if options.only_sources else ["synthetic"]), *options.sources):
            if EXPERIMENTS[name].reads.takes(source):
                for seed in options.seed or (EXPERIMENTS[name].seeds if source == "synthetic" else (0,)):
                    publish(name, source, seed, profile=options.profile, folder=options.to)


def publish(name: str, source: str, seed: int, *, profile: str, folder: Path) -> None:
    """One run, one file."""
    document = run(name, profile=profile, data=source, seed=seed, progress=lambda stage: print(" ", stage, flush=True))
    for bulky in EXPERIMENTS[name].bulky:  # what only a full run needs to hold
        del document["results"][bulky]
    path = folder / file_name(document)
    write_atomically(path, json.dumps(rounded(document), indent=1) + "\n")
    print(path.name, document["seconds"], "s", flush=True)


def file_name(document: dict[str, Any]) -> str:
    """Experiment, data, profile, and the seed where it is not 0."""
    data, seed = Path(document["data"].replace(":", "-")).stem, document["seed"]
    return f"{document['experiment']}-{data}-{document['profile']}{f'-seed{seed}' if seed else ''}.json"


def rounded(value: object) -> object:
    """Nine significant digits: files that differ only where a result does."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main()
