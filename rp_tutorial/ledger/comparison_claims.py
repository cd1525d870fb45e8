"""What the abstract of version 2 says about other defences, distillation and the leakage channel, claim by claim.

Read off the results of `frontier`, `distillation` and `adaptive`. The claims on the paper's own tables and figures
are in `paper_claims.py`; what a claim is, is in `claim.py`.
"""

from functools import partial
from operator import itemgetter
from typing import Any

from rp_tutorial.ledger.claim import OPEN, Claim, Measurement, direction, every, lowers, printed_as, rate_of

FRONTIER, DISTILLATION, ADAPTIVE = "frontier", "distillation", "adaptive"
WHERE = "Abstract v2"
NO_GAIN = 0.05  # what an attacker may gain in ASR before it counts
RP, RR, DP_SGD = "smoothing", "randomized response", "DP-SGD"
CELEBA = "a number of CelebA and FaceNet64: rp-tutorial run frontier --profile gpu --data celeba:PATH"


def _points(results: dict[str, Any], family: str) -> list[dict[str, Any]]:
    return [point for point in results["points"] if point["family"].startswith(family)]


def _at_accuracy(results: dict[str, Any], accuracy: float) -> Measurement | None:
    """ASR of the vote that spends the most accuracy and still has at least `accuracy`."""
    votes = [p for p in results["points"] if p["family"] == RP and p["test_accuracy"] >= accuracy]
    return rate_of(min(votes, key=itemgetter("test_accuracy"), default=None), "asr")


def _private_at_asr(results: dict[str, Any], asr: float) -> Measurement | None:
    """Accuracy of the most accurate DP-SGD net with an ASR of at most `asr`."""
    nets = [p for p in _points(results, DP_SGD) if p["asr"] <= asr]
    return rate_of(max(nets, key=itemgetter("test_accuracy"), default=None), "test_accuracy")


def _dominates(results: dict[str, Any], *, family: str) -> bool | None:
    """Whether at every setting of `family` a vote of at least its accuracy has a lower ASR, by corrected tests."""
    return every(row["verdict"] == "shown" for row in results["dominance"] if row["family"].startswith(family))


def _costs_less(results: dict[str, Any]) -> bool | None:
    """Whether every DP-SGD net with an ASR as low as that of some vote is less accurate than this vote."""
    votes = [point for point in results["points"] if point["family"] == RP]
    pairs = [(v, net) for v in votes for net in _points(results, DP_SGD) if net["asr"] <= v["asr"]]
    return every(net["test_accuracy"] < vote["test_accuracy"] for vote, net in pairs)


def _extracted(results: dict[str, Any], *, verdicts: tuple[str, ...]) -> bool | None:
    """Whether the student of every vote, at the largest budget and by every measure, has one of these verdicts."""
    return every(claim["verdict"] in verdicts for claim in results["claims"])


def _knowing_is_useless(results: dict[str, Any]) -> bool | str | None:
    """Whether no attacker that knows the vote does better than BREP-MI: exact tests, corrected within each defence.

    Too few targets for a test to find anything are no evidence for the claim: every gain has to be below NO_GAIN with
    its whole interval.
    """
    tests = [test for row in results["best"] if row["defense"].startswith(RP) for test in row["tests"]]
    if any(test["difference"] > 0 and test["p_holm"] < 0.05 for test in tests):
        return False
    small = every(test["high"] < NO_GAIN for test in tests)
    return OPEN if small is False else small


def _best_lowered(results: dict[str, Any]) -> bool | None:
    """Whether the best attacker that knows the vote does worse than the best against the bare net, at every vote."""
    best = {row["defense"]: row["hits"] for row in results["best"]}
    return every(lowers(best["none"], hits) for name, hits in best.items() if name.startswith(RP))


CLAIMS: tuple[Claim, ...] = (
    Claim(
        WHERE, "ASR (%) of RP at 98.4 % accuracy", "21", FRONTIER, lambda r: _at_accuracy(r, 0.984),
        printed_as(21, 0), CELEBA, "celeba:",
    ),
    Claim(
        WHERE, "accuracy (%) of DP-SGD at the ASR of RP", "61.7", FRONTIER, lambda r: _private_at_asr(r, 0.21),
        printed_as(61.7, 1), CELEBA, "celeba:",
    ),
    *(
        Claim(
            WHERE, f"RP dominates {name} (ASR against accuracy)", "yes", FRONTIER,
            direction(partial(_dominates, family=name)),
            note="at every setting of theirs, a vote at least as accurate with a lower ASR; exact tests, Holm, 5 %",
        )
        for name in (DP_SGD, RR)
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
