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
from rp_tutorial.experiments.faces.inversion import BOUNDED, CONTROL, SEEDS, InversionLab, InversionSettings
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER
from rp_tutorial.experiments.replication.matching import matched
from rp_tutorial.experiments.replication.questions import ASKED, NONE, Question, Side, questions, sides_of
from rp_tutorial.statistics.joining import Row, join_rows
from rp_tutorial.statistics.nets import NetComparison, net_comparison, over_family

# Of the publication, which knows no end: limits that few targets reach.
PATIENT = dataclasses.replace(BREP_MI, rejected_limit=1000, max_iterations=4000)


@dataclass(frozen=True)
class ReplicationSettings(InversionSettings):
    """Settings of one run: those of `inversion`, of which the arms follow from the questions."""

    targets: int = 80
    attack: BoundaryRepulsion = BOUNDED
    control: float = CONTROL
    larger: tuple[float, ...] = (0.25, 0.35)
    published: tuple[float, ...] = (0.03, 0.05, 0.1)
    epsilon: float = 8.0
    patient: BoundaryRepulsion = PATIENT
    patient_targets: int = 16
    asked: tuple[str, ...] = ASKED

    @property
    def questions(self) -> tuple[Question, ...]:
        """Those of all that are asked in this run."""
        every = questions(self.control, larger=self.larger, published=self.published, epsilon=self.epsilon)
        return tuple(question for question in every if question.number in self.asked)


class ReplicationLab(Lab):
    """The labs of `inversion` in which the sides stand; they share nets and memory."""

    settings: ReplicationSettings

    def prepare(self) -> None:
        self._labs: dict[tuple[bool, bool], InversionLab] = {}

    def lab_of(self, side: Side) -> InversionLab:
        """The lab of a side, made when first asked for."""
        s, kind = self.settings, (side.clean, side.patient)
        if kind not in self._labs:
            own: dict[str, Any] = {f.name: getattr(s, f.name) for f in dataclasses.fields(InversionSettings)}
            own |= {"training_noise": 0.0} if side.clean else {}
            own |= {"attack": s.patient, "targets": min(s.targets, s.patient_targets)} if side.patient else {}
            how = {"data": self.data, "seed": self.seed, "stages": self.stages}
            self._labs[kind] = InversionLab(InversionSettings(**own), **how)
        return self._labs[kind]

    def attacked(self, side: Side) -> Row:
        """The row of a side, as `inversion` has it, under the side's name."""
        lab = self.lab_of(side)
        arm = side.arm if side.at is None else matched(lab, side.arm, side.at)
        return lab.arm(arm) | {"name": side.name}


def answers(asked: Sequence[Row], runs: Sequence[Sequence[Row]]) -> list[Row]:
    """What the runs, one a seed, say to each question (`Question.told`); the primary ones are one family."""
    sides = [{row["name"]: row for row in run} for run in runs]
    found = [net_comparison(*(_hits(question[letter], sides) for letter in "ab")) for question in asked]
    family = [place for place, question in enumerate(asked) if question["primary"]]
    for place, corrected in zip(family, over_family([found[place] for place in family]), strict=True):
        found[place] = corrected
    return [_answer(question, one, sides) for question, one in zip(asked, found, strict=True)]


def _hits(name: str, sides: Sequence[dict[str, Row]]) -> np.ndarray:
    return np.array([run[name]["hits"] for run in sides], dtype=bool)


def _answer(question: Row, found: NetComparison, sides: Sequence[dict[str, Row]]) -> Row:
    means = {
        f"{measure}_{letter}": float(np.mean([run[question[letter]][measure] for run in sides]))
        for measure in ("asr", "test_accuracy")
        for letter in "ab"
    }
    told = found.told("difference")
    return question | means | told | {"spread": None if math.isnan(told["spread"]) else told["spread"]}


PROFILES = {
    "smoke": ReplicationSettings(
        **vars(inversion.PROFILES["smoke"]), asked=("Q1", "Q2"), patient_targets=3,
        patient=dataclasses.replace(PATIENT, patience=10, rejected_limit=10, max_iterations=40),
    ),
    "cpu": ReplicationSettings(),
    "gpu": ReplicationSettings(
        **GPU, pool=20_000, attack=dataclasses.replace(BOUNDED, max_iterations=40), control=0.1, larger=(0.15, 0.2),
        published=(0.01, 0.03, 0.05), patient=dataclasses.replace(PATIENT, max_iterations=400),
        private=inversion.PROFILES["gpu"].private,
    ),
    "paper": ReplicationSettings(
        **PAPER, targets=100, pool=100_000, attack=inversion.PROFILES["paper"].attack, control=0.1, larger=(0.15, 0.2),
        published=(0.01, 0.03, 0.05), private=inversion.PROFILES["paper"].private,
    ),
}  # fmt: skip
NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute",
    "cpu": "2 cores, 4 GiB, some 35 minutes a seed (estimated); the extra dp",
    "gpu": "a CUDA device of 16 GiB, some 30 minutes a seed (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, 100 targets, days; the extra dp",
}


def run(lab: ReplicationLab) -> dict[str, Any]:
    """Every side once, and what one net says to each question, which is never an answer."""
    asked = lab.settings.questions
    rows = [lab.attacked(side) for side in sides_of(asked)]
    base, told = lab.lab_of(Side(NONE)), [question.told for question in asked]
    return {
        "targets": len(base.targets),
        **base.people,
        "deviations": {name: list(pair) for name, pair in deviations(lab.settings.attack).items()},
        "asked": told,
        "rows": rows,
        "answers": answers(told, [rows]),
    }


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one study: each is a net an arm, with faces of its own."""
    asked, runs = results[0]["asked"], [one["rows"] for one in results]
    rows = [row | {"right": None} for row in join_rows(runs, SEEDS)]  # of one run's images
    return results[0] | {"rows": rows, "answers": answers(asked, runs), "seeds": len(results)}


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `sides`, a row an arm, and `answers`, a row a question."""
    return {"sides": inversion.rows_of(results["rows"]), "answers": pd.DataFrame(results["answers"])}


def summary(results: dict[str, Any]) -> str:
    """The verdicts, for a terminal."""
    shown = tables(results)["answers"][["question", "a", "b", "asr_a", "asr_b", "difference", "p_value", "verdict"]]
    return shown.round(3).to_string(index=False)


EXPERIMENT = register(Experiment(
    "replication", ReplicationLab, run, PROFILES, FACES, tables, summary, NEEDS, join=join, seeds=tuple(range(10)),
))  # fmt: skip
