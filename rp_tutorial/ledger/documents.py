"""Results documents: those shipped with the package, each with its provenance, and those in a folder of the reader's.

What a document says of the paper's claims is in `verdicts.py`; how one is made is in `experiments/engine`.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from rp_tutorial.core.arguments import InputError


def published(experiment: str | None = None, data: str | None = None) -> list[dict[str, Any]]:
    """The runs shipped with the package, each a whole results document with its settings and versions.

    experiment, data: those of one experiment, or on one data set, only; the seeds of a run stand together.
    """
    files = sorted(resources.files("rp_tutorial").joinpath("published").iterdir(), key=lambda file: file.name)
    found = [json.loads(file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".json")]
    return [d for d in found if experiment in (None, d["experiment"]) and data in (None, d["data"])]


def read_documents(folder: str | Path) -> list[dict[str, Any]]:
    """All results.json below a folder. Raises InputError if there is none or one is not a results document."""
    paths = sorted(Path(folder).rglob("results.json"))
    if not paths:
        raise InputError(
            f"results: got {str(folder)!r}, which holds no results.json; allowed is a folder written by run"
        )
    return [_document(path) for path in paths]


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        missing = [field for field in ("experiment", "profile", "data", "results") if field not in document]
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"results: {path} cannot be read as JSON ({type(error).__name__}); allowed is what run writes"
        ) from None
    if missing:
        raise InputError(f"results: {path} lacks {', '.join(missing)}; allowed is what `rp-tutorial run` writes")
    return document
