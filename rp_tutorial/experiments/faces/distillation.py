"""Experiment `distillation`: what a student learns from the labels that each defence releases, query by query.

Every teacher is asked about the same public images in the same order; a smaller budget is a prefix of a larger one, and
every student is trained on the same number of images, with the same recipe. Students are compared image by image with
the student of the undefended net. The claim of the paper is the other way round from the rest of the book: Robust
Privacy does *not* prevent function-level extraction. What a student is good for afterwards is in `adaptive`.
"""

from __future__ import annotations

import base64
import dataclasses
import time
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import ask, query_images, train_student
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.packed_bits import packed
from rp_tutorial.core.streams import keyed_generator
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.experiments.faces.defenses import DP_SGD, RESPONSES, Defense, extra_nets, release
from rp_tutorial.experiments.faces.lab import FaceLab, FaceLabSettings
from rp_tutorial.experiments.faces.private_nets import PRIVATE_TRAINING, PrivateTraining
from rp_tutorial.experiments.faces.students import MEASURES, claims, comparisons, pool, rated
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.training.classify import image_logits

TIERS = ("synthetic", "lfw")  # or folder:PATH, celeba:PATH
HELD_OUT = 30  # what a stream of random numbers is for: no two purposes share one
STUDENT_SEEDS = 100  # no student starts from the weights that a target of the book started from
ASKED, MEASURED = 0, 1  # whom a release's noise is for: the attacker, or the measurement


@dataclasses.dataclass(frozen=True)
class Teacher(Defense):
    """One defence and the attacker who learns from its labels."""

    repeats: int = 1  # queries an image; the images are fewer, so that the budget is the same
    student: int = 0  # 1: the same labels, another student, which says what chance alone does

    @property
    def name(self) -> str:
        """Unique among the teachers of a run, and what a reader sees."""
        again = f", {self.repeats} queries an image" if self.repeats > 1 else ""
        return self.label + again + (", another student" if self.student else "")


@dataclasses.dataclass(frozen=True)
class DistillationSettings(FaceLabSettings):
    """Settings of one run: the lab's, who teaches, how often may be asked, and the effort of a student."""

    teachers: tuple[Teacher, ...] = (Teacher("none"),)
    budgets: tuple[int, ...] = (256, 1024, 4096, 16_384)  # queries
    copies: int = 1  # times that the public images are asked again, moved, before the prior's own images are
    held_out: int = 1000  # public images never asked; at most a quarter of all
    accuracy_images: int = 2000  # private test images at most
    student_images_seen: int = 32_768  # by every student, of every teacher and budget
    alpha: float = 0.01  # of PREDICT, where a teacher abstains
    private: PrivateTraining = dataclasses.field(default_factory=PrivateTraining)


def _teachers(sigmas: tuple[float, ...], *, response: float, private: float, repeats: int = 4) -> tuple[Teacher, ...]:
    """The undefended net twice, votes at all sigmas, and every other defence at one setting.

    Memoised answers stand beside fresh ones where an image is asked several times: they are the same where it is not.
    """
    fresh, memoised = RESPONSES
    return (
        Teacher("none"),
        Teacher("none", student=1),
        *(Teacher("smoothing", s, 10) for s in sigmas),
        Teacher("plain noise", sigmas[0]),
        Teacher("abstaining", sigmas[0], 10),
        Teacher(fresh, epsilon=response),
        *(Teacher(kind, epsilon=response, repeats=repeats) for kind in (fresh, memoised)),
        Teacher(DP_SGD, epsilon=private, public=True),
    )


PROFILES = {
    "smoke": DistillationSettings(
        identities=10, train_images=40, test_images=10, public_images=400, images_seen=8000,
        evaluator_images_seen=3200, latent_dim=24, held_out=100, accuracy_images=100, budgets=(128, 512),
        student_images_seen=2560, private=PRIVATE_TRAINING["smoke"],
        teachers=_teachers((0.18,), response=2.0, private=8.0),
    ),
    "cpu": DistillationSettings(teachers=_teachers((0.18, 0.25), response=5.0, private=8.0)),
    "gpu": DistillationSettings(
        size=64, identities=1000, train_images=1000, test_images=1000, public_images=30_000, nets="facenet",
        training_noise=0.0, prior="published", latent_dim=100, images_seen=1_500_000,
        evaluator_images_seen=1_500_000, prior_epochs=100, held_out=2000, budgets=(5000, 20_000, 80_000, 320_000),
        student_images_seen=1_500_000, private=PRIVATE_TRAINING["gpu"],
        teachers=_teachers((0.03, 0.1), response=9.0, private=8.0),
    ),
}  # fmt: skip
PUBLISHED_SEEDS = (0, 1, 2)
__all__ = ["PROFILES", "extra_files", "pool", "run", "stage_count", "summary"]  # what runner and ledger call

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, under ten minutes; the extra dp",
    "gpu": "a CUDA device of 16 GiB, days: every student is a FaceNet64; the extra dp",
}


def run(settings: DistillationSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """Every teacher and every budget; labels and students are remembered one by one."""
    school = School(FaceLab(settings, data=data, seed=seed, stages=stages), settings)
    teachers = [school.teacher(teacher) for teacher in settings.teachers]
    return {
        "identities": school.lab.num_classes,
        "real_people": school.lab.task.real_people,
        "public_asked": len(school.public),
        "public_held_out": len(school.held_out),
        "test_images": len(school.test_labels),
        "constant_guess": school.constant_guess(),
        "teachers": teachers,
        "comparisons": comparisons(teachers),
        "claims": claims(teachers, school.constant_guess()),
    }


def stage_count(settings: DistillationSettings) -> int:
    """Stages of one run: target and prior, the private nets, every teacher's labels, every student."""
    return 2 + extra_nets(settings.teachers) + len(settings.teachers) * (1 + len(settings.budgets))


class School:
    """One lab, the images that are asked, and the students of one teacher after the other."""

    def __init__(self, lab: FaceLab, settings: DistillationSettings) -> None:
        self.lab, self.settings = lab, settings
        images = lab.task.public
        order = torch.randperm(len(images), generator=keyed_generator(HELD_OUT, lab.seed))
        kept = min(settings.held_out, len(images) // 4)
        self.held_out, self.public = images[order[:kept]], images[order[kept:]]
        shuffled = torch.randperm(len(lab.task.x_test), generator=torch.Generator().manual_seed(lab.seed))
        rows = shuffled[: settings.accuracy_images]
        self.test_images, self.test_labels = lab.task.x_test[rows], lab.task.y_test[rows]

    @cached_property
    def asked(self) -> Tensor:
        """The images of the largest budget, in the order in which they are asked."""
        s = self.settings
        return query_images(self.public, max(s.budgets), prior=self.lab.prior, copies=s.copies, seed=self.lab.seed)

    @cached_property
    def undefended(self) -> dict[str, Tensor]:
        """What the undefended net says about the images of the measurement."""
        oracle = self.oracle(Teacher("none"), purpose=MEASURED)
        return {
            "agreement": ask(oracle, self.held_out).labels,
            "test_agreement": ask(oracle, self.test_images).labels,
            "test_accuracy": self.test_labels,
        }

    def oracle(self, teacher: Teacher, *, purpose: int) -> LabelOracle:
        """The release mechanism of a teacher; `purpose` keeps the noise of lessons and measurement apart."""
        s = self.settings
        return release(self.lab, teacher, seed=4 * self.lab.seed + purpose, alpha=s.alpha, recipe=s.private)

    def constant_guess(self) -> dict[str, float]:
        """For each measure what a student gets who always says the same, and knows what to say."""
        return {name: int(truth.bincount().max()) / len(truth) for name, truth in self.undefended.items()}

    def teacher(self, teacher: Teacher) -> dict[str, Any]:
        """One row of the results: the release itself, and its students."""
        stages, key = self.lab.stages, self.key(teacher)
        lessons = stages.result(f"{teacher.name}, labels", key, lambda: self._lessons(teacher))
        students = [
            stages.result(
                f"{teacher.name}, {budget} queries",
                key | {"budget": budget},
                lambda budget=budget: self._student(teacher, budget, lessons),
            )
            for budget in self.settings.budgets
        ]
        about = {name: value for name, value in lessons.items() if name not in ("labels", "held_out")}
        return {**dataclasses.asdict(teacher), "name": teacher.name, **about, "students": students}

    def key(self, teacher: Teacher) -> dict[str, Any]:
        """All that the labels of `teacher` depend on: every setting but the other teachers."""
        settings = dataclasses.asdict(dataclasses.replace(self.settings, teachers=(), device="any"))
        return self.lab.key | {"settings": settings, "teacher": dataclasses.asdict(teacher)}

    def _lessons(self, teacher: Teacher) -> dict[str, Any]:
        """What the teacher releases: to the attacker, in order, and to the measurement."""
        images = self.asked[: max(self.settings.budgets) // teacher.repeats]
        oracle = self.oracle(teacher, purpose=ASKED)  # its net is trained before the clock starts
        started = time.perf_counter()
        answers = ask(oracle, images, repeats=teacher.repeats)
        seconds = round(time.perf_counter() - started, 2)
        measured = self.oracle(teacher, purpose=MEASURED)
        said = {"agreement": ask(measured, self.held_out).labels, "test": ask(measured, self.test_images).labels}
        released = said["agreement"] == self.undefended["agreement"]
        return {
            "labels": _to_text(answers.labels.to(torch.int16)),
            "held_out": _to_text(said["agreement"].to(torch.int16)),
            "queries": answers.queries,
            "forward_passes": answers.forward_passes,
            "abstention": answers.abstained / len(images),
            **rated("release_agreement", released),
            **rated("release_accuracy", said["test"] == self.test_labels),
            "seconds": seconds,
        }

    def _student(self, teacher: Teacher, budget: int, lessons: dict[str, Any]) -> dict[str, Any]:
        """Train one student on a prefix of the lessons, and measure it. Who is told nothing stays untrained."""
        images = self.asked[: budget // teacher.repeats]
        labels = _from_text(lessons["labels"])[: len(images)]
        released = int((labels != ABSTAIN).sum())
        about = {"budget": budget, "queries": len(images) * teacher.repeats, "released": released}
        started = time.perf_counter()
        student = self.new_student(teacher.student)
        seed, effort = self.lab.seed + STUDENT_SEEDS * (1 + teacher.student), self.settings.student_images_seen
        taught = {"images_seen": effort, "seed": seed, "device": self.settings.device}
        seen = train_student(student, images, labels, **taught) if released else 0
        seconds = round(time.perf_counter() - started, 2)
        return about | {"images_seen": seen, **self._measured(student, lessons), "seconds": seconds}

    def new_student(self, which: int = 0) -> nn.Module:
        """An empty net of the attacker's. That it is of the target's family is a favour to the attacker."""
        seed = self.lab.seed + STUDENT_SEEDS * (1 + which)
        if self.settings.nets == "facenet":
            return FaceNet64(self.lab.num_classes)
        return SmallFaceNet(self.lab.num_classes, size=self.settings.size, seed=seed)

    def _measured(self, student: nn.Module, lessons: dict[str, Any]) -> dict[str, Any]:
        """Shares with exact intervals over images, and the hits image by image."""
        net = folded(student).to(self.settings.device)
        says = {"agreement": image_logits(net, self.held_out).argmax(dim=1)}
        says["test_agreement"] = says["test_accuracy"] = image_logits(net, self.test_images).argmax(dim=1)
        hits = {name: says[name] == truth for name, truth in self.undefended.items()}
        release_said = _from_text(lessons["held_out"])
        answered = release_said != ABSTAIN
        return {
            **{key: value for name in MEASURES for key, value in rated(name, hits[name]).items()},
            **rated("own_agreement", (says["agreement"] == release_said)[answered]),
            "hits": {name: packed(hits[name]) for name in MEASURES},
        }


def _to_text(values: Tensor) -> str:
    return base64.b64encode(values.numpy().tobytes()).decode()


def _from_text(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=np.int16).astype(np.int64))


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `students` (a row a teacher and budget), `comparisons`, `claims`."""
    students = [
        {"name": teacher["name"], "defense": teacher["defense"]}
        | {key: value for key, value in student.items() if key != "hits"}
        for teacher in results["teachers"]
        for student in teacher["students"]
    ]
    rows = {"students": students, "comparisons": results["comparisons"], "claims": results["claims"]}
    return {name: pd.DataFrame(part) for name, part in rows.items()}


def summary(document: dict[str, Any]) -> str:
    """Agreement and accuracy of every student, for a terminal."""
    shown = ["name", "budget", "released", "agreement", "own_agreement", "test_agreement", "test_accuracy", "seconds"]
    return tables(document["results"])["students"][shown].round(3).to_string(index=False)


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: students, paired tests and verdicts as CSV."""
    return {f"{name}.csv": table.to_csv(index=False) for name, table in tables(document["results"]).items()}
