"""The paper's claims beside our measurements: one row a claim and a run, with an interval and a verdict.

The rule behind a verdict is in `claim.py`, the claims in `paper_claims.py` and `comparison_claims.py`; documents come
from `experiments/engine`.
"""

import html
from collections.abc import Iterable
from typing import Any

import pandas as pd

from rp_tutorial.core.arguments import one_line
from rp_tutorial.experiments.engine.documents import as_run_writes, published, seeds_joined
from rp_tutorial.ledger.claim import OPEN, Claim, Measurement, verdict
from rp_tutorial.ledger.comparison_claims import CLAIMS as COMPARISON_CLAIMS
from rp_tutorial.ledger.paper_claims import CLAIMS as PAPER_CLAIMS

CLAIMS = (*PAPER_CLAIMS, *COMPARISON_CLAIMS)
FORMULA = ("=", "+", "@", "\t", "\r")  # what a spreadsheet would compute; no cell of ours begins so
COLUMNS = ("where", "claim", "paper", "ours", "interval", "verdict", "profile", "data", "note")


def table(documents: Iterable[dict[str, Any]] | None = None) -> pd.DataFrame:
    """Every claim against every document that speaks of it, in the paper's order; columns as COLUMNS.

    documents: results documents as the runner writes them; the published ones if not given.
    """
    found = seeds_joined(published() if documents is None else documents)
    rows = []
    for claim in CLAIMS:
        about = [d for d in found if _speaks_of(d, claim)]
        rows += [_measured(claim, d) for d in about] or [_row(claim, None, None)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def render(claims: pd.DataFrame, form: str) -> str:
    """The table as text (notes left out, to fit a terminal), markdown, csv or json."""
    if form == "csv":
        return claims.map(lambda cell: f"'{cell}" if str(cell)[:1] in FORMULA else cell).to_csv(index=False).rstrip()
    if form == "json":
        return claims.to_json(orient="records", indent=2)
    if form == "markdown":
        lines = [claims.columns, ["---"] * len(claims.columns), *claims.itertuples(index=False)]
        return "\n".join("| " + " | ".join(map(_inert, line)) + " |" for line in lines)
    shown = claims.drop(columns="note").astype(str)
    widths = [max(len(name), *shown[name].str.len()) for name in shown]
    lines = [shown.columns, *shown.itertuples(index=False)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def _inert(cell: object) -> str:
    """Text that stays in its cell and is none of HTML's, wherever its document comes from."""
    return html.escape(str(cell), quote=False).replace("|", "\\|")


def _measured(claim: Claim, document: dict[str, Any]) -> tuple[str, ...]:
    with as_run_writes(document):
        return _row(claim, claim.measure(document["results"]), document)


def _speaks_of(document: dict[str, Any], claim: Claim) -> bool:
    """A run on a table with a schema decides something else than the paper does."""
    ours = "schema" not in document
    return ours and document["experiment"] == claim.experiment and document["data"].startswith(claim.only_data)


def _row(claim: Claim, measured: Measurement | None, document: dict[str, Any] | None) -> tuple[str, ...]:
    ours, interval = "", ""
    if measured is not None:
        said = {True: "yes", False: "no", OPEN: "open", None: f"{measured.value:.4g}"}
        ours = said[measured.holds]
        interval = f"{measured.low:.4g} to {measured.high:.4g}" if measured.holds is None else ""
    run = (one_line(document["profile"]), one_line(document["data"])) if document else ("", "")
    return (claim.where, claim.text, claim.paper, ours, interval, verdict(claim, measured), *run, claim.note)
