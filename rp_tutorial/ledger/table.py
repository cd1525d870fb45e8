"""The paper's claims beside our measurements: one row a claim and a run, with an interval and a verdict.

A claim knows where the paper makes it, what it printed, and how to read our number off a results document. Runs come
from `published/` (longer runs stored with their provenance) and from any folder a reader has filled with
`rp-tutorial run`. Verdicts follow one rule each, written in `verdict`; nobody decides them by hand. The claims are
in `claims.py` and `comparison_claims.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from rp_tutorial.core.arguments import InputError
from rp_tutorial.ledger.comparison_claims import CLAIMS as COMPARISON_CLAIMS
from rp_tutorial.ledger.paper_claims import CLAIMS as PAPER_CLAIMS
from rp_tutorial.ledger.paper_claims import OPEN, TABLE1, Claim, Measurement

__all__ = ["OPEN", "TABLE1", "Claim", "Measurement", "published", "read_documents", "render", "table", "verdict"]
CLAIMS = (*PAPER_CLAIMS, *COMPARISON_CLAIMS)

REPRODUCED, IN_DIRECTION, NOT_REPRODUCED, NOT_COMPARABLE = (
    "reproduced",
    "in direction",
    "not reproduced",
    "not comparable",
)
COLUMNS = ("where", "claim", "paper", "ours", "interval", "verdict", "profile", "data", "note")


def verdict(claim: Claim, measured: Measurement | None) -> str:
    """The rule. A number is reproduced if the paper's printed value meets our interval, widened by sqrt(2) because
    the paper's number is a sample too. A direction is "in direction" if it holds, and open where a claim that
    something makes no difference meets too few trials to tell. No measurement: not comparable.
    """
    if measured is None:
        return NOT_COMPARABLE
    if measured.holds == OPEN:
        return OPEN
    if measured.holds is not None:
        return IN_DIRECTION if measured.holds else NOT_REPRODUCED
    low = measured.value - math.sqrt(2) * (measured.value - measured.low)
    high = measured.value + math.sqrt(2) * (measured.high - measured.value)
    return REPRODUCED if low <= claim.printed[1] and claim.printed[0] <= high else NOT_REPRODUCED


def table(documents: Iterable[dict[str, Any]] | None = None) -> pd.DataFrame:
    """Every claim against every document that speaks of it, in the paper's order; columns as COLUMNS.

    documents: results documents as the runner writes them; the published ones if not given.
    """
    found = _seeds_joined(published() if documents is None else documents)
    rows = []
    for claim in CLAIMS:
        about = [d for d in found if claim.measure and _speaks_of(d, claim)]
        rows += [_row(claim, claim.measure(d["results"]), d) for d in about] or [_row(claim, None, None)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


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


def render(claims: pd.DataFrame, form: str) -> str:
    """The table as text (notes left out, to fit a terminal), markdown, csv or json."""
    if form == "csv":
        return claims.to_csv(index=False).rstrip()
    if form == "json":
        return claims.to_json(orient="records", indent=2)
    if form == "markdown":
        lines = [claims.columns, ["---"] * len(claims.columns), *claims.itertuples(index=False)]
        return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    shown = claims.drop(columns="note").astype(str)
    widths = [max(len(name), *shown[name].str.len()) for name in shown]
    lines = [shown.columns, *shown.itertuples(index=False)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _speaks_of(document: dict[str, Any], claim: Claim) -> bool:
    return document["experiment"] == claim.experiment and document["data"].startswith(claim.only_data)


def _seeds_joined(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that differ in their seed only, as one document, where the experiment knows how to join them."""
    runs: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for document in documents:
        runs.setdefault((document["experiment"], document["profile"], document["data"]), []).append(document)
    return [joined for run in runs.values() for joined in (_pooled(run) if len(run) > 1 else run)]


def _pooled(run: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from rp_tutorial.experiments.engine.runner import experiment_module

    pool = getattr(experiment_module(run[0]["experiment"]), "pool", None)
    return run if pool is None else [run[0] | {"results": pool(run)}]


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


def _row(claim: Claim, measured: Measurement | None, document: dict[str, Any] | None) -> tuple[str, ...]:
    ours, interval = "", ""
    if measured is not None:
        said = {True: "yes", False: "no", OPEN: "open", None: f"{measured.value:.4g}"}
        ours = said[measured.holds]
        interval = f"{measured.low:.4g} to {measured.high:.4g}" if measured.holds is None else ""
    run = (document["profile"], document["data"]) if document else ("", "")
    return (claim.where, claim.text, claim.paper, ours, interval, verdict(claim, measured), *run, claim.note)
