"""What the abstract of version 2 says about other defences, distillation and the leakage channel, claim by claim.

Read off the results of `frontier`, `replication`, `distillation` and `adaptive`. The claims on the paper's own tables
and figures are in `paper_claims.py`; what a claim is, is in `claim.py`.
"""

from functools import partial
from operator import itemgetter
from typing import Any

from rp_tutorial.ledger.claim import (
    MARGIN,
    OPEN,
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
)

FRONTIER, REPLICATION, DISTILLATION, ADAPTIVE = "frontier", "replication", "distillation", "adaptive"
WHERE = "Abstract v2"
RP, RR, DP_SGD = "smoothing", "randomized response", "DP-SGD"
ACCURACY, ASR = printed_as(0.984, 3), printed_as(0.21)
CELEBA = "a number of CelebA and FaceNet64: rp-tutorial run frontier --profile gpu --data celeba:PATH"
PICKED = f"accuracy as the paper has it, on the image of every person that the net is surest of; {CELEBA}"


def _points(results: dict[str, Any], family: str) -> list[dict[str, Any]]:
    return [point for point in results["points"] if point["family"].startswith(family)]


def _votes(results: dict[str, Any]) -> list[dict[str, Any]]:
    return [point for point in results["points"] if point["family"] == RP]


def _at_accuracy(results: dict[str, Any]) -> dict[str, Any] | None:
    """The vote that spends the most accuracy and still has the paper's, as printed."""
    votes = [vote for vote in _votes(results) if vote["paper_accuracy"] >= ACCURACY[0]]
    return min(votes, key=itemgetter("paper_accuracy"), default=None)


def _private_accuracy(results: dict[str, Any]) -> Measurement | None:
    """Accuracy of the DP-SGD net with the ASR nearest to the paper's for RP, if its interval meets that."""
    nets = [net for net in _points(results, DP_SGD) if net["asr_ci"][0] <= ASR[1] and ASR[0] <= net["asr_ci"][1]]
    nearest = min(nets, key=lambda net: abs(net["asr"] - sum(ASR) / 2), default=None)
    return nearest and share_of(nearest["paper_accuracy"], results["identities"] * results.get("seeds", 1))


def _dominates(results: dict[str, Any], *, family: str) -> Shown:
    """Whether at every setting of `family` that is as accurate as some vote, a vote beats it: see `_beaten`."""
    least = min((vote["test_accuracy"] for vote in _votes(results)), default=1.0)
    rivals = {point["name"] for point in _points(results, family) if point["test_accuracy"] >= least}
    return every(_beaten(row) for row in results["dominance"] if row["name"] in rivals)


def _beaten(row: dict[str, Any]) -> Shown:
    """Whether the vote is better in one of accuracy and ASR and not worse in the other, by the run's own tests.

    A vote that leaks more at the same price refutes it. What no test decides is open, and so is a vote that leaks more
    and is more accurate by more than that: one in between might win.
    """
    if row["verdict"] in ("shown", "contradicted"):
        return row["verdict"] == "shown"
    as_hard = row["rival"] is not None and row["asr_gain_ci"][1] < MARGIN
    return True if as_hard and row["accuracy_gain_ci"][0] > 0 else OPEN


def _costs_less(results: dict[str, Any]) -> Shown:
    """Whether every DP-SGD net with an ASR as low as that of some vote is less accurate than this vote."""
    pairs = [(v, net) for v in _votes(results) for net in _points(results, DP_SGD) if net["asr"] <= v["asr"]]
    return every(net["test_accuracy"] < vote["test_accuracy"] for vote, net in pairs)


def _extracted(results: dict[str, Any], *, verdicts: tuple[str, ...]) -> Shown:
    """Whether the student of every vote, at the largest budget and by every measure, has one of these verdicts."""
    return every(claim["verdict"] in verdicts for claim in results["claims"])


def _knowing_is_useless(results: dict[str, Any]) -> Shown:
    """Whether no attacker that knows the vote does better than BREP-MI: exact tests, corrected within each defence."""
    tests = [test for row in results["best"] if row["defense"].startswith(RP) for test in row["tests"]]
    return every(_negated(shown_above(test | {"p_value": test["p_holm"]})) for test in tests)


def _negated(shown: Shown) -> Shown:
    return not shown if isinstance(shown, bool) else shown


def _best_lowered(results: dict[str, Any]) -> Shown:
    """Whether the best attacker that knows the vote does worse than the best against the bare net, at every vote."""
    best = {row["defense"]: row["hits"] for row in results["best"]}
    return every(lowers(best["none"], hits) for name, hits in best.items() if name.startswith(RP))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        WHERE, "ASR (%) of RP at 98.4 % accuracy", "21", FRONTIER, lambda r: rate_of(_at_accuracy(r), "asr"),
        printed_as(21, 0), PICKED, "celeba:",
    ),
    Claim(
        WHERE, "accuracy (%) of DP-SGD at the ASR of RP", "61.7", FRONTIER, _private_accuracy,
        printed_as(61.7, 1), PICKED, "celeba:",
    ),
    *(
        Claim(
            WHERE, f"RP dominates {name} (ASR against accuracy)", "yes", FRONTIER,
            direction(partial(_dominates, family=name)),
            note="at every setting of theirs that is as accurate as some vote, a vote that has a lower ASR and is as "
                 "accurate, or is more accurate and has no higher ASR (by 5 points); exact tests, Holm, 5 %",
        )
        for name in (DP_SGD, RR)
    ),
    *(
        Claim(
            WHERE, f"RP has a lower ASR than {name} at equal accuracy, net by net", "yes", REPLICATION,
            direction(partial(net_by_net, asks=asks, apart=0.01)),
            note="one vote and one setting of theirs, found net by net; sign flips over nets, Holm",
        )
        for name, asks in ((f"{DP_SGD} (epsilon 8)", "Q6d"), (RR, "Q6a"))
    ),
    Claim(
        WHERE, "DP-SGD reaches the ASR of RP only at lower accuracy", "yes", FRONTIER, direction(_costs_less),
        note="point against point, without a test: every vote, and every DP-SGD net with an ASR no higher",
    ),
    Claim(
        WHERE, "RP does not prevent extraction by distillation", "yes", DISTILLATION,
        direction(partial(_extracted, verdicts=("not hindered", "hindered", "open"))),
        note="students of votes beat a constant guess at the largest budget, by every measure",
    ),
    Claim(
        WHERE, "RP does not even hinder extraction by distillation", "(not said)", DISTILLATION,
        direction(partial(_extracted, verdicts=("not hindered",))),
        note="what the student loses is below 5 points with its whole interval",
    ),
    Claim(
        WHERE, "RP masks the signals that inversion relies on: knowing the defence does not help", "yes", ADAPTIVE,
        direction(_knowing_is_useless),
        note="no attacker with the same budget beats BREP-MI behind a vote: exact tests, Holm; gains below 5 points",
    ),
    Claim(
        WHERE, "RP lowers the ASR of the best attacker that knows it", "yes", ADAPTIVE, direction(_best_lowered),
        note="chosen on half of the targets, judged on the other; every vote against the bare net, exact test at 5 %",
    ),
)  # fmt: skip
