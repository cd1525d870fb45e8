"""Experiment `replication`: the plan's questions, answered with the net as unit of replication.

A run is one net an arm: its seed decides faces, nets, prior and directions. What several seeds say together is an
answer, with the sign flips of `statistics/nets`: targets that share a net share the luck of its training. What is asked
is in `questions.py`, how rivals are brought to equal accuracy in `matching.py`, the attack in `faces/inversion`.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rp_tutorial.attacks.inversion.settings import BREP_MI, BoundaryRepulsion, deviations
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.inversion import BOUNDED, SEEDS, InversionLab, InversionSettings
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER
from rp_tutorial.experiments.faces.private_nets import PRIVATE_TRAINING, TO_THE_END
from rp_tutorial.experiments.replication.matching import matched
from rp_tutorial.experiments.replication.questions import ESTIMATE, NONE, Question, Scale, Side, questions, sides_of
from rp_tutorial.experiments.replication.questions import SEEDS as PLANNED
from rp_tutorial.statistics.joining import Row, join_rows
from rp_tutorial.statistics.nets import NetComparison, net_comparison, over_family
from rp_tutorial.statistics.sign_flips import interval
from rp_tutorial.statistics.studies import LEVEL

CPU_SCALE, GPU_SCALE = Scale(), Scale(0.1, 0.1, (0.15, 0.2), 0.15, (0.03, 0.01, 0.05))
# Of the publication, which knows no end: limits that few targets reach.
PATIENT = dataclasses.replace(BREP_MI, rejected_limit=1000, max_iterations=4000)


@dataclass(frozen=True)
class ReplicationSettings(InversionSettings):
    """Settings of one run: those of `inversion`, of which the arms follow from the questions.

    asked: numbers of questions; none for all of the plan.
    """

    targets: int = 80
    attack: BoundaryRepulsion = BOUNDED
    scale: Scale = CPU_SCALE
    patient: BoundaryRepulsion = PATIENT
    asked: tuple[str, ...] = ()

    @property
    def questions(self) -> tuple[Question, ...]:
        """Those of all that are asked in this run."""
        return tuple(q for q in questions(self.scale) if not self.asked or q.number in self.asked)


class ReplicationLab(Lab):
    """The labs of `inversion` in which the sides stand; they share nets and memory."""

    settings: ReplicationSettings

    def prepare(self) -> None:
        self._labs: dict[tuple[Any, ...], InversionLab] = {}

    def lab_of(self, side: Side) -> InversionLab:
        """The lab of a side, made when first asked for."""
        s, kind = self.settings, (side.clean, side.patient, side.targets)
        if kind not in self._labs:
            own: dict[str, Any] = {f.name: getattr(s, f.name) for f in dataclasses.fields(InversionSettings)}
            own |= {"training_noise": 0.0} if side.clean else {}
            own |= {"attack": s.patient} if side.patient else {}
            own |= {"targets": min(s.targets, side.targets)} if side.targets else {}
            how = {"data": self.data, "seed": self.seed, "stages": self.stages}
            self._labs[kind] = InversionLab(InversionSettings(**own), **how)
        return self._labs[kind]

    def attacked(self, side: Side) -> Row:
        """The row of a side, as `inversion` has it, under the side's name and with the people who were attacked."""
        lab = self.lab_of(side)
        arm = side.arm if side.at is None else matched(lab, side.arm, side.at)
        return lab.arm(arm) | {"name": side.name, "attacked": lab.targets.tolist()}


def answers(asked: Sequence[Row], runs: Sequence[Sequence[Row]]) -> list[Row]:
    """What the runs, one a seed, say to each question (`Question.told`), corrected within each family."""
    sides = [{row["name"]: row for row in run} for run in runs]
    pairs = [[(run[question["a"]], run[question["b"]]) for run in sides] for question in asked]
    found = [net_comparison(*_hits(pair)) for pair in pairs]
    for family in dict.fromkeys(question["family"] for question in asked if question["family"] != ESTIMATE):
        places = [place for place, question in enumerate(asked) if question["family"] == family]
        for place, corrected in zip(places, over_family([found[place] for place in places]), strict=True):
            found[place] = corrected
    return [question | _told(one, pair) for question, one, pair in zip(asked, found, pairs, strict=True)]


def _hits(pairs: Sequence[tuple[Row, Row]]) -> np.ndarray:
    """Hits of both arms on the people whom both met, bool [2, nets, targets]."""
    found = []
    for pair in pairs:
        of = [dict(zip(row["attacked"], row["hits"], strict=True)) for row in pair]
        found.append([[hits[person] for person in of[0] if person in of[1]] for hits in of])
    return np.array(found, dtype=bool).swapaxes(0, 1)


def _told(found: NetComparison, pairs: Sequence[tuple[Row, Row]]) -> Row:
    """An answer beside the rates on those people, and the share of its right labels that b keeps of a's, net by net."""
    kept = np.array([b["test_accuracy"] / a["test_accuracy"] for a, b in pairs])
    asr, accuracy = _hits(pairs).mean(axis=(1, 2)), np.array([[r["test_accuracy"] for r in pair] for pair in pairs])
    means = {f"asr_{arm}": float(value) for arm, value in zip("ab", asr, strict=True)}
    means |= {f"test_accuracy_{arm}": float(value) for arm, value in zip("ab", accuracy.mean(axis=0), strict=True)}
    told = found.told("difference")
    spread = None if math.isnan(told["spread"]) else told["spread"]
    return (
        means | {"kept": float(kept.mean()), "kept_ci": list(interval(kept, level=LEVEL))} | told | {"spread": spread}
    )


PROFILES = {
    "smoke": ReplicationSettings(
        **vars(inversion.PROFILES["smoke"]), asked=("Q1", "Q2"), scale=Scale(hundred=3, few=3),
        patient=dataclasses.replace(PATIENT, patience=10, rejected_limit=10, max_iterations=40),
    ),
    "cpu": ReplicationSettings(private=TO_THE_END),
    "gpu": ReplicationSettings(
        **GPU, pool=20_000, attack=dataclasses.replace(BOUNDED, max_iterations=40), scale=GPU_SCALE,
        patient=dataclasses.replace(PATIENT, max_iterations=400), private=PRIVATE_TRAINING["gpu"],
    ),
    "paper": ReplicationSettings(
        **PAPER, targets=100, pool=100_000, attack=inversion.PROFILES["paper"].attack, scale=GPU_SCALE,
        private=PRIVATE_TRAINING["paper"],
    ),
}  # fmt: skip
NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute",
    "cpu": "an hour of one core and 4 GiB a seed; the extra dp",
    "gpu": "a CUDA device of 16 GiB, some 30 minutes a seed (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, 100 targets, days; the extra dp",
}


def run(lab: ReplicationLab) -> dict[str, Any]:
    """Every side once, and what one net says to each question, which is never an answer."""
    asked = [question.told for question in lab.settings.questions]
    rows = [lab.attacked(side) for side in sides_of(lab.settings.questions)]
    base = lab.lab_of(Side(NONE))
    return {
        "targets": len(base.targets),
        **base.people,
        "deviations": {name: list(pair) for name, pair in deviations(lab.settings.attack).items()},
        "asked": asked,
        "rows": rows,
        "answers": answers(asked, [rows]),
    }


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one study: each is a net an arm, with faces of its own."""
    asked, runs = results[0]["asked"], [one["rows"] for one in results]
    rows = [row | {"right": None, "attacked": None} for row in join_rows(runs, SEEDS)]  # of one run's images and people
    return results[0] | {"rows": rows, "answers": answers(asked, runs), "seeds": len(results)}


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `sides`, a row an arm, and `answers`, a row a question."""
    return {"sides": inversion.rows_of(results["rows"], "attacked"), "answers": pd.DataFrame(results["answers"])}


def summary(results: dict[str, Any]) -> str:
    """The verdicts, for a terminal."""
    shown = tables(results)["answers"][["question", "a", "b", "asr_a", "asr_b", "difference", "p_value", "verdict"]]
    return shown.round(3).to_string(index=False)


EXPERIMENT = register(Experiment(
    "replication", ReplicationLab, run, PROFILES, FACES, tables, summary, NEEDS, join=join,
    seeds=tuple(PLANNED),  # those of the plan
))  # fmt: skip
