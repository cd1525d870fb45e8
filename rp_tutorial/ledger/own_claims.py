"""What the book itself says of its stored runs: number, interval, chapter, run, and the verdict of one rule.

Each claim is an effect and the side of an edge on which the book says it lies; over nets the plan's tests decide. What
the paper says is in `paper_claims.py` and `comparison_claims.py`; what single sentences say is tested beside the
chapters.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from rp_tutorial.experiments.engine.documents import as_run_writes, published, seeds_joined
from rp_tutorial.ledger.claim import (
    HIGHER,
    MARGIN,
    OPEN,
    SAME,
    YES,
    Measurement,
    Reading,
    answer_of,
    in_points,
    net_by_net,
)
from rp_tutorial.statistics.paired import paired_comparison

SHOWN, CONTRADICTED = "shown", "contradicted"
COLUMNS = ("claim", "says", "ours", "interval", "verdict", "cell", "run")
DRAWN, PHOTOGRAPHS = "synthetic", "folder:lfw64"
TEN, LOUD, NOISE = "smoothing, sigma 0.18, N = 10", "smoothing, sigma 0.25, N = 10", "plain noise, sigma 0.18"
Results = dict[str, Any]


@dataclass(frozen=True)
class OwnClaim:
    """One outcome that the book states: `measure` lies above `above` and below `below`, in the unit of `unit`."""

    text: str
    cell: str  # chapter, and the section whose cell prints it
    experiment: str
    measure: Reading
    above: float = -math.inf
    below: float = math.inf
    unit: str = "points"
    data: str = DRAWN

    @property
    def says(self) -> str:
        edges = [f"above {self.above:g}"] * (self.above > -math.inf) + [f"below {self.below:g}"] * (
            self.below < math.inf
        )
        return f"{' and '.join(edges)} {self.unit}"

    def verdict(self, measured: Measurement) -> str:
        """Shown if the whole interval lies where the book says, contradicted if all of it lies elsewhere, else open.

        Unless the measurement has been judged already, with the net as unit: then that stands.
        """
        if measured.holds is not None:
            return {True: SHOWN, False: CONTRADICTED}.get(measured.holds, OPEN)
        if self.above < measured.low and measured.high < self.below:
            return SHOWN
        return CONTRADICTED if measured.high <= self.above or self.below <= measured.low else OPEN


def own_table(documents: Iterable[dict[str, Any]] | None = None) -> pd.DataFrame:
    """Every outcome that the book states, recomputed from the stored runs; columns as COLUMNS.

    documents: results documents as the runner writes them; the published ones if not given. A claim without a document
    has no row.

    >>> own = rp.ledger.own_table().set_index("claim")
    >>> own.loc["a vote of ten lowers ASR", ["ours", "verdict"]].tolist()
    ['11.56', 'shown']

    Chapter: appendix/ledger.
    """
    found = list(published() if documents is None else documents)
    seeds = {_about(d): [e["seed"] for e in found if _about(e) == _about(d)] for d in found}
    runs = [(d, ", ".join([*_about(d), f"seeds {seeds[_about(d)]}"])) for d in seeds_joined(found)]
    rows = [_row(claim, d, run) for claim in CLAIMS for d, run in runs
            if (d["experiment"], d["data"]) == (claim.experiment, claim.data)]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _about(document: dict[str, Any]) -> tuple[str, str, str]:
    return document["experiment"], document["profile"], document["data"]


def _row(claim: OwnClaim, document: dict[str, Any], run: str) -> tuple[str, ...]:
    with as_run_writes(document):
        measured = claim.measure(document["results"])
        interval = f"{measured.low:.4g} to {measured.high:.4g}"
        verdict = claim.verdict(measured)
    return claim.text, claim.says, f"{measured.value:.4g}", interval, verdict, claim.cell, run


# --- Readings ---


def _named(rows: Sequence[Results], name: str, key: str = "name") -> Results:
    return next(row for row in rows if row[key] == name)


def _difference(rows: Sequence[Results], a: str, b: str) -> Measurement:
    """ASR of a less that of b on the same targets."""
    hits = (np.array(_named(rows, name)["hits"], dtype=bool) for name in (a, b))
    found = paired_comparison(*hits)
    return in_points(found.difference, (found.low, found.high))


def _asr_lost(results: Results, *, a: str, b: str) -> Measurement:
    return _difference(results["arms"], a, b)


def _over_nets(results: Results, *, asks: str, says: str = YES) -> Measurement:
    """ASR of a less that of b with the net as unit, in the question of that number or wording, and its verdict."""
    row = answer_of(results, asks)
    holds = net_by_net(results, asks=asks, says=says)
    return replace(in_points(row["difference"], row["difference_ci"]), holds=holds)


def _kept(results: Results, *, asks: str) -> Measurement:
    """The share of a's accuracy that b keeps, with the net as unit."""
    row = answer_of(results, asks)
    return in_points(row["kept"], row["kept_ci"])


def _over_targets(measured: Results) -> Measurement:
    return Measurement(measured["value"], measured["low"], measured["high"])


def _explanation(results: Results, *, name: str, sigma: float = 0.18) -> Measurement:
    """What the verdict on an explanation rests on."""
    rows = [row for row in results["verdicts"][name]["rows"] if row["sigma"] == sigma and row.get("decides", True)]
    return _over_targets(rows[0])


def _area_lost(results: Results, *, family: str) -> Measurement:
    """Area under the front of a family less that of VOTE."""
    row = _named(results["areas"], family, "family")
    return in_points(row["difference"], row["difference_ci"])


def _guess_gained(results: Results, *, name: str) -> Measurement:
    """How much more often an onlooker's guess is right behind VOTE than behind `name`, at no better accuracy."""
    row = _named(results["insurance"]["dominance"], name)
    return in_points(row["success_gain"], row["success_gain_ci"])


def _copy_lost(results: Results, *, name: str) -> Measurement:
    """Agreement on private photographs that a student loses after the largest budget, against the undefended one."""
    row = next(c for c in results["claims"] if (c["teacher"], c["measure"]) == (name, "test_agreement"))
    return in_points(row["difference"], (row["low"], row["high"]))


def _knowing(results: Results, *, name: str) -> Measurement:
    """What the best attacker that knows the defence gains over the one that does not, chosen on other targets."""
    row = _named(results["best"], name, "defense")
    return in_points(row["difference"], (row["low"], row["high"]))


def _best_lost(results: Results, *, name: str) -> Measurement:
    hits = (np.array(_named(results["best"], n, "defense")["hits"], dtype=bool) for n in ("none", name))
    found = paired_comparison(*hits)
    return in_points(found.difference, (found.low, found.high))


def _radius_grown(results: Results) -> Measurement:
    first, *_, last = results["smoothed"]
    value = last["mean_radius_std"] - first["mean_radius_std"]
    half = 1.96 * math.hypot(*(row["radius_standard_error_std"] for row in (first, last)))
    return Measurement(value, value - half, value + half)


def _at_the_edge(results: Results) -> Measurement:
    row = next(r for r in results["table"] if (r["n_cert"], r["n_vote"], r["rule"]) == (100_000, 100, "vote"))
    return Measurement(row["advantage_played"], *row["ci"])


def _tight(results: Results) -> Measurement:
    """The least share of its bound that the adversary of the worst person gets."""
    others = [row for row in results["tightness"] if row["bound_of"] != "plurality"]  # sharp for two classes only
    row = min(others, key=lambda r: r["share_played"])
    return Measurement(100 * row["share_played"], *(100 * end for end in row["share_ci"]))


_CONTROLS, _PHOTOGRAPHS = "faces/defended: Smoothing or randomness?", "faces/defended: Photographs"
_NETS, _COST, _PATIENT, _ELSE = (f"comparisons/twelve-nets: {section}" for section in (
    "Nine questions, nine answers", "What the defences cost", "The patient attacker", "What else these arms say",
))  # fmt: skip
_VERDICTS, _AREA = "faces/mechanism: The verdicts", "comparisons/frontier: The area under the front"
_TABLE, _CLAIM = "comparisons/frontier: The same question on a table", "comparisons/distillation: The claim"
_BEST, _WORTH = "comparisons/adaptive: Who is the best?", "comparisons/adaptive: What a defence is worth now"
_SURROGATE = "what the best attacker that knows a vote of ten gains over the published one"
_POINTS = 100 * MARGIN
CLAIMS: tuple[OwnClaim, ...] = (
    OwnClaim("a deployed vote breaks alpha / 2 at the certified edge", "foundations/finite-samples: The broken bound",
             "guarantee-audit", _at_the_edge, above=0.005, unit="of advantage"),
    OwnClaim("share of its bound that the worst person's adversary gets, plurality aside",
             "foundations/sharper-bounds: Played against", "guarantee-audit", _tight, above=90, unit="%"),
    OwnClaim("the mean radius of a threshold grows with sigma by less than the paper's",
             "insurance/bmi-threshold: The radius: three numbers, two units", "insurance-threshold", _radius_grown,
             below=0.09, unit="std"),
    *(OwnClaim(text, _NETS, "replication", partial(_over_nets, asks=asks), above=0) for text, asks in (
        ("a vote of ten lowers ASR", "Q1"),
        ("a vote of ten lowers the ASR of a net that was trained under its noise", "Q3"),
        ("a vote of ten has a lower ASR than randomized response of equal accuracy", "Q6a"),
        ("a vote of ten has a lower ASR than an abstaining vote of equal accuracy", "Q6c"),
        ("the paper's noise lowers the ASR of a net trained without noise", "Q5"),
    )),
    *(OwnClaim(text, _NETS, "replication", partial(_over_nets, asks=asks, says=HIGHER), below=0) for text, asks in (
        ("a vote of ten has a higher ASR than one noisy label of equal accuracy", "Q6b"),
        ("a vote of ten has a higher ASR than DP-SGD of equal accuracy", "Q6d"),
    )),
    *(OwnClaim(text, _NETS, "replication", partial(_over_nets, asks=asks, says=SAME), -_POINTS, _POINTS)
      for text, asks in (
        ("fresh noise changes ASR beyond fixed noise by nothing that counts, in a vote of ten", "Q2"),
        ("a vote of a hundred changes ASR beyond a vote of ten by nothing that counts", "Q4"),
    )),
    OwnClaim("a vote of ten keeps accuracy, in shares of the undefended", _COST, "replication",
             partial(_kept, asks="Q1"), above=98.5, unit="%"),
    *(OwnClaim(text, _ELSE, "replication", partial(_over_nets, asks=asks), above=0) for text, asks in (
        ("one noisy label lowers ASR", "does one noisy label lower ASR?"),
        ("one noisy label lowers ASR more than a vote of ten", "does one noisy label lower ASR more than the vote?"),
        ("smoothing without randomness lowers ASR", "does fixed noise lower ASR?"),
        ("training under noise lowers ASR", "does training under noise lower ASR?"),
    )),
    *(OwnClaim(text, _PATIENT, "replication", partial(_over_nets, asks=asks), above=0) for text, asks in (
        ("a vote of ten lowers the ASR of a patient attacker", "does the vote lower the ASR of a patient attack?"),
        ("one noisy label lowers the ASR of a patient attacker", "does one noisy label lower it?"),
    )),
    OwnClaim("ten questions for one bring ASR back behind plain noise", _CONTROLS, "inversion",
             partial(_asr_lost, a=f"{NOISE}, 10 queries a probe", b=NOISE), above=0),
    OwnClaim("a vote of ten lowers the ASR of photographs by nothing that counts", _PHOTOGRAPHS, "inversion",
             partial(_asr_lost, a="none", b=TEN), below=_POINTS, data=PHOTOGRAPHS),
    OwnClaim("the attack's probes lie beyond the certified radius, share", _VERDICTS, "inversion-mechanism",
             partial(_explanation, name="probes within the certified radius"), above=0.5, unit="of probes"),
    OwnClaim("behind a vote of ten the direction is still better than a guess, cosine", _VERDICTS,
             "inversion-mechanism", partial(_explanation, name="direction destroyed"), above=0, unit="cosine"),
    OwnClaim("without a defence fewer labels of a sphere change than behind a vote of ten", _VERDICTS,
             "inversion-mechanism", partial(_explanation, name="boundary hidden"), below=0, unit="of probes"),
    *(OwnClaim(f"VOTE has a smaller area than {family}", _AREA, "frontier", partial(_area_lost, family=family), above=0)
      for family in ("none", "training under noise", "DP-SGD, from scratch", "DP-SGD, public pretraining",
                     "randomized response", "plain noise")),
    *(OwnClaim(f"on a table VOTE leaves the onlooker right more often than {name}", _TABLE, "frontier",
               partial(_guess_gained, name=name), above=0)
      for name in ("randomized response, epsilon 2", "plain noise, sigma 0.5")),
    OwnClaim("on a table VOTE leaves the onlooker right less often than DP-SGD, epsilon 3", _TABLE, "frontier",
             partial(_guess_gained, name="DP-SGD, epsilon 3"), below=0),
    OwnClaim("a copy of a vote of ten loses nothing that counts on private photographs", _CLAIM, "distillation",
             partial(_copy_lost, name=TEN), below=_POINTS),
    OwnClaim("a copy of the loud vote of ten loses on private photographs", _CLAIM, "distillation",
             partial(_copy_lost, name=LOUD), above=_POINTS),
    *(OwnClaim(f"{_SURROGATE}, sigma {sigma:g}", _BEST, "adaptive", partial(_knowing, name=name), above=0)
      for name, sigma in ((TEN, 0.18), (LOUD, 0.25))),
    OwnClaim("a vote of ten lowers the ASR of the best attacker that knows it by nothing that counts", _WORTH,
             "adaptive", partial(_best_lost, name=TEN), below=_POINTS),
)  # fmt: skip
