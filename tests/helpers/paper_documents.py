"""Results documents of the paper's own numbers, and of numbers clearly away from them, as the experiments write them.

A document is a stored one with its numbers replaced: arms, targets and budgets are those of the profile "paper", tests
and verdicts are computed by the experiment's own functions. What the paper does not print is set to what its sentences
say. The accuracy that it prints is of picked images; on test images its net does worse, and so do these documents.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import torch

from rp_tutorial.core.packed_bits import packed
from rp_tutorial.experiments.distillation import experiment as distillation
from rp_tutorial.experiments.distillation import students
from rp_tutorial.experiments.engine.documents import published
from rp_tutorial.experiments.faces import adaptive, frontier, inversion
from rp_tutorial.experiments.faces.adaptive_results import best
from rp_tutorial.experiments.faces.private_nets import DP_SGD
from rp_tutorial.experiments.paper import TABLE1
from rp_tutorial.experiments.replication import experiment as replication
from rp_tutorial.statistics.paired import rate

Document = dict[str, Any]
CELEBA = "celeba:CelebA"
TARGETS, PEOPLE, TEST_IMAGES = 100, 1000, 2000
ON_TEST_IMAGES = 0.88  # of the accuracy on picked images

# sigma -> ASR and accuracy in percent, of N = 10 and of N = 100
VOTES = {
    10: {0.01: (72, 100), 0.02: (61, 100), 0.03: (47, 99.9), 0.05: (21, 98.4), 0.1: (6, 56)},
    100: {0.01: (71, 100), 0.02: (58, 100), 0.03: (44, 100), 0.05: (19, 98.8), 0.1: (4, 59.4)},
}
RESPONSES = {"epsilon 5": (9, 13), "epsilon 7": (40, 52), "epsilon 9": (66, 89), "epsilon 11": (72, 98)}
PRIVATE = {1: (6, 20), 3: (12, 42), 8: (21, 61.7), 30: (60, 85)}


def nested(percent: float) -> list[int]:
    """So many of the targets hit, the first ones: two arms then differ in as few targets as they can."""
    return [1] * round(percent * TARGETS / 100) + [0] * (TARGETS - round(percent * TARGETS / 100))


def arm_row(template: dict[str, Any], asr: float, accuracy: float, **about: Any) -> dict[str, Any]:
    """A row of results with this ASR and this accuracy on picked images, both in percent."""
    hits = nested(asr)
    right = np.arange(TEST_IMAGES) < round(accuracy / 100 * ON_TEST_IMAGES * TEST_IMAGES)
    rates = {**rate(np.array(hits, dtype=bool)).told("asr"), **rate(right).told("test_accuracy")}
    counts = {"test_images": TEST_IMAGES, "right": packed(right), "paper_accuracy": accuracy / 100}
    return template | about | rates | counts | {"hits": hits}


def said(arm: Any, *, reverse: bool) -> tuple[float, float]:
    """ASR and accuracy of an arm as the paper has them, or the reverse: defences that make the attack easier."""
    asr, accuracy = (73.0, 100.0)
    if arm.defense == DP_SGD:
        asr, accuracy = PRIVATE[arm.epsilon] if arm.public else (PRIVATE[arm.epsilon][0], PRIVATE[arm.epsilon][1] - 10)
    elif "response" in arm.defense:
        asr, accuracy = RESPONSES.get(f"epsilon {arm.epsilon or 0:g}", (2, 3))
    elif arm.defense != "none":
        asr, accuracy = VOTES[100 if arm.n == 100 else 10][arm.sigma]
    if not reverse:
        return asr, accuracy
    if arm.defense == DP_SGD or "response" in arm.defense:
        return 21.0 if arm.public else 10.0, 99.9
    return (30.0, 100.0) if arm.defense == "none" else (100.0 - asr / 2, 99.9 - 0.3 * (arm.n == 100))


def document(name: str, data: str, **changed: Any) -> Document:
    """The stored run of an experiment with these parts of its results changed, as a run at the paper's scale."""
    found = copy.deepcopy(published(name, "synthetic")[0])
    return found | {"profile": "paper", "data": data, "results": found["results"] | changed}


def template(name: str, part: str) -> dict[str, Any]:
    return published(name, "synthetic")[0]["results"][part][0]


def of_inversion(reverse: bool) -> Document:
    like = template("inversion", "arms")
    arms = [
        arm_row(like, *said(arm, reverse=reverse), **dataclasses.asdict(arm), name=arm.name)
        for arm in inversion.PROFILES["paper"].arms
    ]
    found = {"arms": arms, "comparisons": inversion.comparisons(arms)}
    return document("inversion", CELEBA, targets=TARGETS, identities=PEOPLE, **found)


def of_frontier(reverse: bool) -> Document:
    like = template("frontier", "points")
    calibrated = [
        frontier.Calibrated(frontier.RR, epsilon=11.0, calibration="at the accuracy of the vote"),
        frontier.Calibrated(frontier.RR, epsilon=2.0, calibration="at advantage 0.005"),
    ]
    points = [
        arm_row(like, *said(arm, reverse=reverse), defense=arm.defense, name=arm.name)
        | {"family": arm.family, **arm.promise(PEOPLE, 0.01)}
        for arm in (*frontier.PROFILES["paper"].arms, *calibrated)
    ]
    found = {"points": points, **frontier.summaries([points])}
    return document("frontier", CELEBA, targets=TARGETS, identities=PEOPLE, **found)


def of_distillation(reverse: bool) -> Document:
    """Students of votes that lose nothing, or that learn nothing."""
    constant, like = {name: 0.01 for name in students.MEASURES}, template("distillation", "teachers")
    teachers = []
    for teacher in distillation.PROFILES["paper"].teachers:
        learnt = 0.01 if reverse and teacher.defense == "smoothing" else 0.6
        hits = torch.arange(TEST_IMAGES) < learnt * TEST_IMAGES
        measured = {key: value for name in students.MEASURES for key, value in students.rated(name, hits).items()}
        measured["hits"] = {name: packed(hits) for name in students.MEASURES}
        budgets = distillation.PROFILES["paper"].budgets
        taught = [like["students"][0] | {"budget": budget} | measured for budget in budgets]
        teachers.append(like | dataclasses.asdict(teacher) | {"name": teacher.name, "students": taught})
    found = {"comparisons": students.comparisons(teachers), "claims": students.claims(teachers, constant)}
    return document("distillation", CELEBA, constant_guess=constant, teachers=teachers, **found)


def of_adaptive(reverse: bool) -> Document:
    """Attackers that gain nothing by knowing a vote, or a great deal."""
    like, attackers = template("adaptive", "rows"), published("adaptive", "synthetic")[0]["results"]["attackers"]
    rows = []
    for defense in adaptive.PROFILES["paper"].defenses:
        asr, accuracy = said(inversion.Arm(**dataclasses.asdict(defense)), reverse=False)
        for attacker in (row["name"] for row in attackers):
            gained = 90 - asr if reverse and defense.defense != "none" and attacker != adaptive.REFERENCE else 0
            who = {"defense": defense.label, "attacker": attacker}
            rows.append(arm_row(like, asr + gained, accuracy, **who))
    return document("adaptive", CELEBA, targets=TARGETS, identities=PEOPLE, rows=rows, best=best(rows))


def of_replication(reverse: bool) -> Document:
    """Twelve nets on each of which the votes stand as in Figure 3, or where the attack is better off with them."""
    like = published("replication", "synthetic")[0]["results"]
    rows = []
    for row in like["rows"]:
        voted = row["name"].startswith(("smoothing", "fixed noise"))
        asr, _ = VOTES[100 if "N = 100" in row["name"] else 10][0.05] if voted else (73, 100)
        hits = nested(100 - asr if reverse else asr)
        rows.append(row | {"hits": hits, "attacked": list(range(TARGETS)), "test_accuracy": ON_TEST_IMAGES})
    return document("replication", CELEBA, rows=rows, answers=replication.answers(like["asked"], [rows] * 12))


def of_threshold(reverse: bool) -> Document:
    results = published("insurance-threshold", "synthetic")[0]["results"]
    smoothed, moved = copy.deepcopy(results["smoothed"]), copy.deepcopy(results["trajectory"])
    for i, row in enumerate(smoothed):
        accuracy, abstention, radius = TABLE1[row["sigma"]]
        row |= {"accuracy": accuracy / 100, "abstention": abstention / 100, "mean_radius_std": radius}
        if reverse:
            row |= {"accuracy": 0.5, "abstention": 0.4, "mean_radius_std": 2.0 - 0.1 * i}
        reach = 5.0 - i if reverse else 0.3 * (i + 1)
        spread = {"expected_reach_paper": reach, "reach_range_paper": [reach - 0.1, reach + 0.1]}
        moved["classifiers"][i + 1] |= {"reach": reach, "expected_reach": reach, **spread}
    reaches = {(100, 0.01): 1.0, (1000, 0.01): 0.6, (1000, 0.99): 3.0, (100, 0.99): 3.4}
    sign = -1 if reverse else 1
    ablation = [row | {"reach": 4 + sign * reaches[row["n"], row["alpha"]]} for row in results["ablation"]]
    found = {"base": {"accuracy": 0.9 if reverse else 1.0}, "smoothed": smoothed, "ablation": ablation}
    return document("insurance-threshold", "csv:medical_insurance.csv", trajectory=moved, **found)


def of_audit(reverse: bool) -> Document:
    results = published("guarantee-audit")[0]["results"]
    edge = {"advantage_played": 0.2, "ci": [0.19, 0.21]} if reverse else {"advantage_played": 0.004, "ci": [0, 0.008]}
    table = [row | edge for row in results["table"]]
    for row in table:
        row["deployable_radius"] = 1.0 + (-0.1 if reverse else 0.1) * (row["n_vote"] > 100)
    return document("guarantee-audit", "synthetic", table=table,
                    summary=results["summary"] | {"violations": 5 if reverse else 0})  # fmt: skip


def of_eligibility(reverse: bool) -> Document:
    oracles = copy.deepcopy(published("insurance-eligibility", "synthetic")[0]["results"]["oracles"])
    for row in oracles:
        row["median_length"] = (17.0 if reverse else 29.96) if row["name"] == "isotropic VOTE" else 23.5
    return document("insurance-eligibility", "synthetic", oracles=oracles)


OF = {
    "inversion": of_inversion, "frontier": of_frontier, "distillation": of_distillation, "adaptive": of_adaptive,
    "replication": of_replication,
    "insurance-threshold": of_threshold, "guarantee-audit": of_audit, "insurance-eligibility": of_eligibility,
}  # fmt: skip
