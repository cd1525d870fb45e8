"""How students are counted and compared: shares with intervals, paired tests image by image, seeds joined, verdicts.

The hits of a student are kept image by image, eight to a byte, so that any two students of a run can be compared, and
several seeds be joined, from results.json alone. What a student is, and how it is made, is in `distillation.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from rp_tutorial.core.packed_bits import packed, unpacked
from rp_tutorial.statistics.joining import Joining, check_same_arms
from rp_tutorial.statistics.paired import paired_comparison, rate

MARGIN = 0.05  # a loss of the student below this, with its whole interval, is none: stated before any run
MEASURES = {
    "agreement": "with the undefended net, on public images that were not asked",
    "test_agreement": "with the undefended net, on private test images",
    "test_accuracy": "with the truth, on private test images",
}


def comparisons(teachers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The undefended student against every other, at equal budgets, on the same images: exact McNemar.

    `difference` is the share of the undefended net's student less that of the other: what the defence took from the
    copy. The row of "another student" says how much two students of the same labels differ, by training alone.
    """
    base, *others = teachers
    rows = []
    for other in others:
        for a, b in zip(base["students"], other["students"], strict=True):
            for measure in MEASURES:
                found = paired_comparison(*(hits_of(side, measure) for side in (a, b)))
                about = {"a": base["name"], "b": other["name"], "budget": b["budget"], "measure": measure}
                rows.append(about | vars(found))
    return rows


def claims(teachers: list[dict[str, Any]], constant: dict[str, float]) -> list[dict[str, Any]]:
    """The paper's claim, for every vote at the largest budget: does Robust Privacy prevent extraction, or hinder it?"""
    rows = {(row["b"], row["budget"], row["measure"]): row for row in comparisons(teachers)}
    found = []
    for teacher in (teacher for teacher in teachers if teacher["defense"] == "smoothing"):
        student, best = teacher["students"][-1], teachers[0]["students"][-1]
        for measure in MEASURES:
            row = rows[teacher["name"], student["budget"], measure]
            found.append(
                {
                    "teacher": teacher["name"],
                    "budget": student["budget"],
                    "measure": measure,
                    "student": student[measure],
                    "student_ci": student[f"{measure}_ci"],
                    "undefended_student": best[measure],
                    "constant_guess": constant[measure],
                    **{name: row[name] for name in ("difference", "low", "high", "p_value")},
                    "verdict": verdict(student[f"{measure}_ci"][0], constant[measure], row["low"], row["high"]),
                }
            )
    return found


def verdict(student_low: float, constant: float, low: float, high: float) -> str:
    """What a defence does to extraction, from three intervals; the rule was written before the runs.

    "prevented": the student is not shown to beat a constant guess. "not hindered": what it loses against the
    undefended student is below MARGIN with its whole interval. "hindered": it loses something. Else "open".
    """
    if student_low <= constant:
        return "prevented"
    if high < MARGIN:
        return "not hindered"
    return "hindered" if low > 0 else "open"


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one set of results: hits joined image by image, rates and tests on all of them.

    Every seed has its own faces, nets and students. Raises InputError if the runs have other teachers or budgets.
    """
    check_same_arms([[student | {"name": t["name"]} for t in run["teachers"] for student in t["students"]]
                     for run in results], by=("name", "budget"))  # fmt: skip
    teachers = [_joined_teacher(rows) for rows in zip(*(run["teachers"] for run in results), strict=True)]
    constant = {name: float(np.mean([run["constant_guess"][name] for run in results])) for name in MEASURES}
    joined = {"teachers": teachers, "comparisons": comparisons(teachers), "claims": claims(teachers, constant)}
    images = {name: sum(run[name] for run in results) for name in ("public_held_out", "test_images")}
    return results[0] | images | {"constant_guess": constant, "seeds": len(results)} | joined


def _joining(*rates: str, **others: tuple[str, ...]) -> Joining:
    """Of rates that stand beside their counts: what is right of how many images."""
    counted = {name: f"{name}_images" for name in rates}
    return Joining(counted, sums=tuple(f"{name}_hits" for name in rates), **others)


TEACHER = _joining("release_agreement", "release_accuracy", means=("abstention",))
STUDENT = _joining(*MEASURES, "own_agreement", by_seed=tuple(MEASURES))


def _joined_teacher(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    students = zip(*(row["students"] for row in rows), strict=True)
    return TEACHER(rows) | {"students": [_joined_student(cells) for cells in students]}


def _joined_student(cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    hits = {name: np.concatenate([hits_of(cell, name) for cell in cells]) for name in MEASURES}
    return STUDENT(cells) | {"hits": {name: packed(found) for name, found in hits.items()}}


def rated(name: str, hits: Tensor) -> dict[str, Any]:
    """A share with its exact 95 % interval and its counts, under names that begin with `name`; None of no images."""
    found = rate(hits.numpy())
    return found.told(name) | {f"{name}_hits": found.successes, f"{name}_images": found.trials}


def hits_of(student: dict[str, Any], measure: str) -> NDArray[np.bool_]:
    """The hits of a student, a bool for every image on which the measure was taken."""
    return unpacked(student["hits"][measure], student[f"{measure}_images"])
