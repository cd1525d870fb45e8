"""Experiment `distillation`: what a student learns from the labels that each defence releases, query by query.

Every teacher is asked about the same public images in the same order; a smaller budget is a prefix of a larger one, and
every student is trained on the same number of images, with the same recipe. Students are compared image by image with
the student of the undefended net. The claim of the paper is the other way round from the rest of the book: Robust
Privacy does *not* prevent function-level extraction. What a student is good for afterwards is in `adaptive`.
"""

import dataclasses
from functools import cached_property
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import ask, query_images, train_student
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.packed_bits import packed
from rp_tutorial.core.streams import Purpose, child_seed, torch_generator
from rp_tutorial.experiments.distillation.students import MEASURES, claims, comparisons, join, rated
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces.defenses import Defense, with_registered
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER, SMOKE, FaceLab, FaceLabSettings, timed
from rp_tutorial.experiments.faces.private_nets import DP_SGD, PRIVATE_TRAINING, PrivateTraining
from rp_tutorial.models.fold import folded
from rp_tutorial.training.classify import image_logits


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
    fresh, memoised = "randomized response", "memoised response"
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
        **SMOKE, held_out=100, accuracy_images=100, budgets=(128, 512),
        student_images_seen=2560, private=PRIVATE_TRAINING["smoke"],
        teachers=_teachers((0.18,), response=2.0, private=8.0),
    ),
    "cpu": DistillationSettings(teachers=_teachers((0.18, 0.25), response=5.0, private=8.0)),
    "gpu": DistillationSettings(
        **GPU, held_out=1000, budgets=(1000, 8000), student_images_seen=100_000,
        private=PRIVATE_TRAINING["gpu"],
        teachers=_teachers((0.1,), response=8.0, private=8.0),
    ),
    "paper": DistillationSettings(
        **PAPER, held_out=2000, budgets=(5000, 20_000, 80_000, 320_000),
        student_images_seen=1_500_000, private=PRIVATE_TRAINING["paper"],
        teachers=_teachers((0.03, 0.1), response=9.0, private=8.0),
    ),
}  # fmt: skip
NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, under ten minutes; the extra dp",
    "gpu": "a CUDA device of 16 GiB, half an hour at most (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, days: every student is a FaceNet64; the extra dp",
}


class DistillationLab(FaceLab):
    """The lab of the faces, the images that are asked, and the students of one teacher after the other."""

    settings: DistillationSettings

    def prepare(self) -> None:
        super().prepare()
        images = self.task.public
        order = torch.randperm(len(images), generator=torch_generator(Purpose.HELD_OUT, self.seed))
        kept = min(self.settings.held_out, len(images) // 4)
        self.held_out, self.public = images[order[:kept]], images[order[kept:]]

    @cached_property
    def asked(self) -> Tensor:
        """The images of the largest budget, in the order in which they are asked."""
        s = self.settings
        return query_images(self.public, max(s.budgets), prior=self.prior, copies=s.copies, seed=self.seed)

    @cached_property
    def undefended(self) -> dict[str, Tensor]:
        """What the undefended net says about the images of the measurement."""
        oracle, (images, labels) = self.oracle(Teacher("none"), Purpose.MEASUREMENT), self.test_sample
        return {
            "agreement": ask(oracle, self.held_out).labels,
            "test_agreement": ask(oracle, images).labels,
            "test_accuracy": labels,
        }

    def constant_guess(self) -> dict[str, float]:
        """For each measure what a student gets who always says the same, and knows what to say."""
        return {name: int(truth.bincount().max()) / len(truth) for name, truth in self.undefended.items()}

    def teacher(self, teacher: Teacher) -> dict[str, Any]:
        """One row of the results, computed or remembered: the release itself, and its students."""
        lessons = self.stage(
            f"{teacher.name}, labels", lambda: self._lessons(teacher), without=("teachers",), uses=(teacher,)
        )
        students = [
            self.stage(
                f"{teacher.name}, {budget} queries",
                lambda budget=budget: self._student(teacher, budget, lessons),
                without=("teachers",),
                uses=(teacher, budget),
            )
            for budget in self.settings.budgets
        ]
        about = {name: value for name, value in lessons.items() if name not in ("labels", "held_out")}
        return {**dataclasses.asdict(teacher), "name": teacher.name, **about, "students": students}

    def _lessons(self, teacher: Teacher) -> dict[str, Any]:
        """What the teacher releases: to the attacker, in order, and to the measurement."""
        images = self.asked[: max(self.settings.budgets) // teacher.repeats]
        oracle = self.oracle(teacher, Purpose.LESSONS)  # its net is trained before the clock starts
        answers, seconds = timed(lambda: ask(oracle, images, repeats=teacher.repeats))
        measured, (tested, truth) = self.oracle(teacher, Purpose.MEASUREMENT), self.test_sample
        held_out, test = ask(measured, self.held_out).labels, ask(measured, tested).labels
        return {
            "labels": answers.labels.tolist(),
            "held_out": held_out.tolist(),
            "queries": answers.queries,
            "forward_passes": answers.forward_passes,
            "abstention": answers.abstained / len(images),
            **rated("release_agreement", held_out == self.undefended["agreement"]),
            **rated("release_accuracy", test == truth),
            "seconds": seconds,
        }

    def _student(self, teacher: Teacher, budget: int, lessons: dict[str, Any]) -> dict[str, Any]:
        """Train one student on a prefix of the lessons, and measure it. Who is told nothing stays untrained."""
        images = self.asked[: budget // teacher.repeats]
        labels = torch.tensor(lessons["labels"])[: len(images)]
        released = int((labels != ABSTAIN).sum())
        about = {"budget": budget, "queries": len(images) * teacher.repeats, "released": released}
        student = self.new_student(teacher.student)
        seed = child_seed(Purpose.STUDENT, self.seed, teacher.student)
        taught = {"images_seen": self.settings.student_images_seen, "seed": seed, "device": self.settings.device}
        seen, seconds = timed(lambda: train_student(student, images, labels, **taught) if released else 0)
        return about | {"images_seen": seen, **self._measured(student, lessons), "seconds": seconds}

    def new_student(self, which: int = 0) -> nn.Module:
        """An empty net of the attacker's. That it is of the target's family is a favour to the attacker."""
        return self.new_net(child_seed(Purpose.STUDENT, self.seed, which))

    def _measured(self, student: nn.Module, lessons: dict[str, Any]) -> dict[str, Any]:
        """Shares with exact intervals over images, and the hits image by image."""
        net = folded(student).to(self.settings.device)
        says = {"agreement": image_logits(net, self.held_out).argmax(dim=1)}
        says["test_agreement"] = says["test_accuracy"] = image_logits(net, self.test_sample[0]).argmax(dim=1)
        hits = {name: says[name] == truth for name, truth in self.undefended.items()}
        release_said = torch.tensor(lessons["held_out"])
        answered = release_said != ABSTAIN
        return {
            **{key: value for name in MEASURES for key, value in rated(name, hits[name]).items()},
            **rated("own_agreement", (says["agreement"] == release_said)[answered]),
            "hits": {name: packed(hits[name]) for name in MEASURES},
        }


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `students` (a row a teacher and budget), `comparisons`, `claims`."""
    students = pd.DataFrame(
        {"name": teacher["name"], "defense": teacher["defense"], **student}
        for teacher in results["teachers"]
        for student in teacher["students"]
    ).drop(columns="hits")
    return {"students": students} | {name: pd.DataFrame(results[name]) for name in ("comparisons", "claims")}


def summary(results: dict[str, Any]) -> str:
    """Agreement and accuracy of every student, for a terminal."""
    shown = ["name", "budget", "released", "agreement", "own_agreement", "test_agreement", "test_accuracy", "seconds"]
    return tables(results)["students"][shown].round(3).to_string(index=False)


def run(lab: DistillationLab) -> dict[str, Any]:
    """Every teacher and every budget; labels and students are remembered one by one."""
    teachers = [lab.teacher(teacher) for teacher in lab.settings.teachers]
    return {
        **lab.people,
        "public_asked": len(lab.public),
        "public_held_out": len(lab.held_out),
        "test_images": len(lab.test_sample[1]),
        "constant_guess": lab.constant_guess(),
        "teachers": teachers,
        "comparisons": comparisons(teachers),
        "claims": claims(teachers, lab.constant_guess()),
    }


EXPERIMENT = register(Experiment(
    "distillation", DistillationLab, run, PROFILES, FACES, tables, summary, NEEDS,
    join=join, seeds=(0, 1, 2), completed=with_registered("teachers"),
))  # fmt: skip
