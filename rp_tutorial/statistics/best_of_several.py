"""Which attacker is the best against a defence, without flattering it: chosen on some targets, judged on others.

The largest of several success rates on the same targets is biased upwards: some of what makes it the largest is luck.
So the targets of every seed are split in two; the attacker that does best on one half is judged on the other, and the
other way round. Every hit that is counted is one of an attacker that was chosen without this target. Also here: each
attacker against BREP-MI on the same targets, with p-values that pay for their number. Which attackers there are is in
`attacks.inversion.attackers`; who meets whom is in `experiments.faces.adaptive`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rp_tutorial.core.arguments import refuse
from rp_tutorial.statistics.families import holm
from rp_tutorial.statistics.paired import paired_comparison, rate

Hits = Mapping[str, np.ndarray]  # attacker -> bool [T], all over the same targets in the same order
TOLD = ("difference", "low", "high", "p_value")  # of a comparison


def cross_fitted(hits: Hits, halves: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    """Hits [T] of "the best attacker", each target's attacker chosen on the other half; and who was chosen.

    halves: bool [T], the half of every target. The names are those that judge the halves False and True. A tie goes
    to the attacker that stands first.
    """
    first = next(iter(hits.values()))
    halves = np.asarray(halves)
    if halves.dtype != bool or halves.shape != first.shape or halves.all() or not halves.any():
        allowed = f"a bool array of {len(first)} targets with both values"
        raise refuse("halves", f"{halves.dtype} {halves.shape}", allowed)
    chosen = tuple(max(hits, key=lambda name, half=half: hits[name][halves != half].sum()) for half in (False, True))
    return np.where(halves, hits[chosen[1]], hits[chosen[0]]), chosen


def alternating(targets: int) -> np.ndarray:
    """The half of every target of a run: they take turns. Targets are ordered by label, which says nothing else."""
    return np.arange(targets) % 2 == 1


def best_against(hits: Hits, reference: str, halves: np.ndarray) -> dict[str, Any]:
    """The best of all attackers but `reference`, beside `reference`, as JSON holds it.

    asr, asr_ci: cross-fitted, with the exact interval of that many independent trials; targets of two halves may have
    two attackers, and a sum of unlike trials varies less than the interval allows. difference, low, high, p_value: to
    the reference on the same targets (McNemar). largest: the attacker of the largest rate on all targets, and that
    rate, which is biased upwards. tests: every attacker against the reference, p_holm adjusted for their number.
    """
    others = {name: found for name, found in hits.items() if name != reference}
    if len(others) == len(hits) or not others:
        raise refuse("reference", reference, "one of several attackers: " + ", ".join(hits))
    best, chosen = cross_fitted(others, halves)
    base = rate(hits[reference])
    compared = paired_comparison(best, hits[reference])
    largest = max(others, key=lambda name: others[name].sum())
    return {
        "reference": reference,
        "reference_asr": base.value,
        "reference_ci": base.ci,
        **rate(best).told("asr"),
        "chosen": list(chosen),
        "largest": largest,
        "largest_asr": float(others[largest].mean()),
        "hits": best.astype(int).tolist(),
        **{name: getattr(compared, name) for name in (*TOLD, "only_a", "only_b")},
        "tests": _tests(others, hits[reference]),
    }


def _tests(others: Hits, reference: np.ndarray) -> list[dict[str, Any]]:
    found = [paired_comparison(hits, reference) for hits in others.values()]
    adjusted = holm([test.p_value for test in found])
    return [
        {"attacker": name, **{field: getattr(test, field) for field in TOLD}, "p_holm": p}
        for name, test, p in zip(others, found, adjusted, strict=True)
    ]
