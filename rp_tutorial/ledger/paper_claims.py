"""What the paper says in Table 1, its figures and section 6, claim by claim, and how to read ours off a document.

The claims on the comparisons of the abstract are in `comparison_claims.py`; what a claim is, is in `claim.py`.
"""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

from rp_tutorial.experiments.paper import FIGURE3, TABLE1
from rp_tutorial.ledger.claim import (
    Claim,
    Measurement,
    Shown,
    direction,
    every,
    lowers,
    net_by_net,
    printed_as,
    rate_of,
    share_of,
    shown_above,
    some,
)


def _row(rows: Iterable[dict[str, Any]], **wanted: Any) -> dict[str, Any] | None:
    """The row with these values, if there is one."""
    return next((row for row in rows if all(row[name] == value for name, value in wanted.items())), None)


def _smoothed_rate(results: dict[str, Any], *, quantity: str, sigma: float) -> Measurement:
    return share_of(_row(results["smoothed"], sigma=sigma)[quantity], results["n_test"])


def _radius(results: dict[str, Any], *, sigma: float) -> Measurement:
    """The mean radius over the inputs answered 1, with the interval of a mean."""
    row = _row(results["smoothed"], sigma=sigma)
    value, spread = row["mean_radius_std"], 1.96 * row["radius_standard_error_std"]
    return Measurement(value, value - spread, value + spread)


def _reach(results: dict[str, Any], *, sigma: float) -> Measurement:
    """The closed form's reach for the paper's number of records: the quantity that depends on that number."""
    row = _row(results["trajectory"]["classifiers"], sigma=sigma)
    return Measurement(row["expected_reach_paper"], *row["reach_range_paper"])


def _audit_cell(results: dict[str, Any], n_cert: int, n_vote: int) -> dict[str, Any]:
    return _row(results["table"], n_cert=n_cert, n_vote=n_vote, rule="vote")


def _advantage_at_the_edge(results: dict[str, Any]) -> Measurement:
    """The game as played against a deployed vote at the certified radius."""
    cell = _audit_cell(results, 100_000, 100)
    return Measurement(cell["advantage_played"], *cell["ci"])


def _increasing(values: Iterable[float]) -> Shown:
    return every(a < b for a, b in pairwise(values))


def _ablation_reach(results: dict[str, Any], n: int, alpha: float) -> float:
    return _row(results["ablation"], n=n, alpha=alpha)["reach"]


def _arm(results: dict[str, Any], defense: str, sigma: float = 0.0, n: int = 1) -> dict[str, Any] | None:
    """The arm of a plain attacker against a net that was not trained for the arm's own noise, if the run has it."""
    return _row(results["arms"], defense=defense, sigma=sigma, n=n, repeats=1, augmented=False)


def _asr(results: dict[str, Any], *, sigma: float, n: int) -> Measurement | None:
    """The ASR behind a vote at this sigma; without noise, that of the undefended net."""
    return rate_of(_arm(results, "smoothing", sigma, n) if sigma else _arm(results, "none"), "asr")


def _smoothed_arms(results: dict[str, Any], n: int | None = None) -> list[dict[str, Any]]:
    """Fresh-noise votes of the target as it is, in the order of sigma; of all N, or of one."""
    arms = [arm for arm in results["arms"] if arm["defense"] == "smoothing"]
    plain = [arm for arm in arms if arm["repeats"] == 1 and not arm["augmented"] and n in (None, arm["n"])]
    return sorted(plain, key=lambda arm: arm["sigma"])


def _with_larger_n(results: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    pairs = [(_arm(results, "smoothing", arm["sigma"], 10), arm) for arm in _smoothed_arms(results, 100)]
    return [(smaller, larger) for smaller, larger in pairs if smaller is not None]


def _lowered_at(results: dict[str, Any], accuracy: str, least: float) -> Shown:
    """Whether some vote with at least this accuracy has an ASR below the undefended one, on the same targets."""
    bare = _arm(results, "none")
    return some(lowers(bare["hits"], arm["hits"]) for arm in _smoothed_arms(results) if arm[accuracy] >= least)


def _answered(results: dict[str, Any], question: str) -> Shown:
    """Whether the run's own paired tests say yes to this question, at every sigma."""
    return every(shown_above(row) for row in results["comparisons"] if row["question"] == question)


def falling(values: Iterable[float]) -> Shown:
    """Whether no value is above the one before."""
    return every(a >= b for a, b in pairwise(values))


def _longer(results: dict[str, Any]) -> Shown:
    """Whether the median set of some vote is longer than that of the net itself."""
    base = _row(results["oracles"], name="base")["median_length"]
    return some(row["median_length"] > base for row in results["oracles"] if row["name"] == "isotropic VOTE")


_THRESHOLD, _AUDIT, _INVERSION, _NETS = "insurance-threshold", "guarantee-audit", "inversion", "replication"
_CELEBA = "a number of CelebA and FaceNet64: rp-tutorial run inversion --profile gpu --data celeba:PATH"
_FRESH = (
    "CERTIFY on fresh samples. The paper's growth is what the true distance of the answered inputs does as abstention "
    "removes those near the boundary"
)
_REACH_NOTE = (
    "the furthest of some 2,000,000 noisy releases, from the closed form at the paper's 4,000 records and bins of 0.2: "
    "it grows with the number of records and vanishes with N"
)


CLAIMS: tuple[Claim, ...] = (
    Claim("Table 1", "base accuracy (%)", "100", _THRESHOLD,
        lambda r: share_of(r["base"]["accuracy"], r["n_test"]), (99.5, 100.0)),
    *(
        Claim(
            "Table 1", f"{what} (%), sigma = {s:g}", f"{paper[i]:.2f}", _THRESHOLD,
            partial(_smoothed_rate, quantity=what, sigma=s), printed_as(paper[i]),
        )
        for i, what in enumerate(("accuracy", "abstention"))
        for s, paper in TABLE1.items()
    ),
    *(
        Claim(
            "Table 1", f"average R (std), sigma = {s:g}", f"{r:.2f}", _THRESHOLD,
            partial(_radius, sigma=s), printed_as(r), _FRESH,
        )
        for s, (_, _, r) in TABLE1.items()
    ),
    Claim(
        "Table 1", "average R grows with sigma", "0.56 to 0.65", _THRESHOLD,
        direction(lambda r: _increasing(row["mean_radius_std"] for row in r["smoothed"])), note=_FRESH,
    ),
    *(
        Claim(
            "Figure 1", f"expansion (kg/m^2), sigma = {s:g}", f"{printed[1]}", _THRESHOLD,
            partial(_reach, sigma=s), printed, _REACH_NOTE,
        )
        for s, printed in {1.0: (0.2, 0.4), 3.0: (0.8, 1.0)}.items()
    ),
    Claim(
        "Figure 1", "expansion grows with sigma", "yes", _THRESHOLD,
        direction(lambda r: _increasing(row["reach"] for row in r["trajectory"]["classifiers"][1:])),
    ),
    Claim(
        "Figure 4", "a smaller N reaches further left (alpha = .01)", "yes", _THRESHOLD,
        direction(lambda r: _ablation_reach(r, 100, 0.01) > _ablation_reach(r, 1000, 0.01)),
        note="Monte-Carlo error, not privacy: the ideal classifier's set does not move",
    ),
    Claim(
        "Figure 4", "a larger alpha reaches further left (N = 1000)", "yes", _THRESHOLD,
        direction(lambda r: _ablation_reach(r, 1000, 0.99) > _ablation_reach(r, 1000, 0.01)),
        note="at alpha = .99 the bound lies above the estimate: an upper bound, not a certificate",
    ),
    Claim(
        "Abstract v2", "advantage at the certified radius, VOTE(100) released, n = 100,000", "<= 0.005", _AUDIT,
        _advantage_at_the_edge, (0.0, 0.005),
        "the theorem is about the ideal g, which nobody can run; a deployed vote keeps the deployable radius only",
    ),
    Claim(
        "Abstract v2", "advantage within the deployable radius stays below its bound", "yes", _AUDIT,
        direction(lambda r: r["summary"]["violations"] == 0), note="hundreds of games at random settings, error 1e-6",
    ),
    Claim(
        "Abstract v2", "a larger N strengthens privacy", "yes", _AUDIT,
        direction(lambda r: every(_increasing(_audit_cell(r, n, v)["deployable_radius"] for v in (100, 1000))
                                   for n in (1000, 100_000))),
        note="the deployable radius grows with N",
    ),
    Claim(
        "Abstract v2", "RP lengthens the median RAP-compatible interval", "23.50 to 29.96", "insurance-eligibility",
        direction(_longer),
        note="some vote, at some sigma and N: the abstract has neither task, domain, mechanism nor level, so that its "
             "lengths have no place beside ours; see the chapter on eligibility",
    ),
    *(
        Claim(
            "Figure 3", f"ASR (%), sigma = {f'{s:g}'[1:]}, N = {n}" if s else "ASR (%), undefended", f"{asr:g}",
            _INVERSION, partial(_asr, sigma=s, n=n), printed_as(asr, 0), _CELEBA, "celeba:",
        )
        for s, n, asr in ((row["sigma"], row["n"], row["asr"]) for row in FIGURE3)
    ),
    Claim(
        "Figure 3", "RP lowers ASR at 100 % accuracy on hand-picked images", "yes", _INVERSION,
        direction(lambda r: _lowered_at(r, "paper_accuracy", 0.995)),
        note="one image an identity, the one the net is surest of; a paired exact test at 5 %",
    ),
    Claim(
        "Figure 3", "RP lowers ASR at 99 % of the base test accuracy", "yes", _INVERSION,
        direction(lambda r: _lowered_at(r, "test_accuracy", 0.99 * _arm(r, "none")["test_accuracy"])),
        note="accuracy on test images, which the paper does not print; a paired exact test at 5 %",
    ),
    Claim(
        "Figure 3", "ASR falls monotonically as sigma grows (N = 10)", "yes", _INVERSION,
        direction(lambda r: falling(arm["asr"] for arm in (_arm(r, "none"), *_smoothed_arms(r, 10)))),
    ),
    Claim(
        "Figure 3", "a larger N lowers ASR", "yes", _INVERSION,
        direction(lambda r: every(a["asr"] > b["asr"] for a, b in _with_larger_n(r))),
        note="N = 10 against N = 100 at every sigma with both; the paired tests are in the chapter on the defended net",
    ),
    Claim(
        "Figure 3", "a larger N raises accuracy", "yes", _INVERSION,
        direction(lambda r: every(a["test_accuracy"] <= b["test_accuracy"] for a, b in _with_larger_n(r))),
    ),
    Claim(
        "Section 6", "it is invariance, not randomness, that stops the attack", "yes", _INVERSION,
        direction(lambda r: _answered(r, "does smoothing without randomness lower ASR?")),
        note="does smoothing with fixed noise, a function of the image, lower ASR? a paired exact test at 5 %",
    ),
    *(
        Claim(where, f"{text}, net by net", "yes", _NETS, direction(partial(net_by_net, asks=asks)), note=note)
        for where, text, asks, note in (
            ("Figure 3", "RP lowers ASR", "Q1", "N = 10; at what accuracy is in the chapter; sign flips, Holm"),
            ("Figure 3", "a larger N lowers ASR", "Q4", "N = 10 against N = 100; sign flips over nets, Holm"),
            ("Section 6", "it is invariance, not randomness, that stops the attack", "does fixed noise lower ASR?",
             "does smoothing with fixed noise lower ASR? sign flips over nets, Holm"),
        )
    ),
)  # fmt: skip
