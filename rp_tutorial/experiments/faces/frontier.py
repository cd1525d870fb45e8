"""Experiment `frontier`: accuracy against attack success for every defence, under one attack and one budget.

The abstract says that Robust Privacy dominates DP-SGD and randomized response. Every defence here meets the same
targets, the same pool of first points, the same directions and the same limit on iterations, so points can be compared
target by target. Randomized response is calibrated three ways: by epsilon, to the accuracy of a vote, and to the
advantage that Robust Privacy states. Attackers that know the defence are in `adaptive`; the same question for the
insurance task is in `insurance_frontier`; fronts and areas in `pareto`.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pandas as pd

from rp_tutorial.attacks.inversion.boundary_repulsion import deviations
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.experiments.faces.defenses import DP_SGD, RESPONSES, defended_net, extra_nets, release
from rp_tutorial.experiments.faces.inversion import (
    BOUNDED,
    PER_TARGET,
    PICTURES,
    Arm,
    Bench,
    InversionSettings,
    pooled_arms,
)
from rp_tutorial.experiments.faces.lab import FaceLab
from rp_tutorial.experiments.faces.private_nets import EPSILONS, PRIVATE_TRAINING, PrivateTraining
from rp_tutorial.experiments.tables.frontier import InsuranceFrontierSettings, pool_insurance, run_insurance
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.families import dominance, slices
from rp_tutorial.statistics.fronts import Outcome, areas, front, outcomes
from rp_tutorial.theory.response import advantage, epsilon_for_accuracy, epsilon_for_advantage

TIERS = ("synthetic", "lfw")  # or folder:PATH, celeba:PATH
RP, RR = "smoothing", RESPONSES[0]  # the two families that the claim of the abstract is about, beside DP-SGD
VOTE = Arm(RP, 0.18, 10)
LEVELS = (0.99, 0.95, 0.9, 0.6)  # of equal accuracy, shares of the undefended one; the last for DP-SGD from scratch
LOWEST = 0.5  # areas are averages over accuracies from this share of the undefended one


@dataclasses.dataclass(frozen=True)
class Calibrated(Arm):
    """Randomized response at an epsilon that the run itself decides; the name says by what."""

    calibration: str = ""

    @property
    def name(self) -> str:
        return f"{self.defense}, {self.calibration}"


@dataclasses.dataclass(frozen=True)
class FrontierSettings(InversionSettings):
    """Settings of one run: those of `inversion`, how private nets are trained, and the insurance task."""

    targets: int = 24
    control: Arm = VOTE  # what randomized response is calibrated to
    private: PrivateTraining = dataclasses.field(default_factory=PrivateTraining)
    insurance: InsuranceFrontierSettings = dataclasses.field(default_factory=InsuranceFrontierSettings)


def _arms(
    sigmas: tuple[float, ...],
    *,
    large_n: tuple[float, ...],
    augmented: tuple[float, ...],
    responses: tuple[float, ...],
    private: tuple[float, ...],
) -> tuple[Arm, ...]:
    """Every family over its own settings; abstention and memoising at one or two, since they ride on another family."""
    return (
        Arm("none"),
        *(Arm(RP, s, 10) for s in sigmas),
        *(Arm(RP, s, 100) for s in large_n),
        *(Arm("plain noise", s) for s in sigmas),
        *(Arm("abstaining", s, 10) for s in sigmas[:2]),
        *(Arm("none", s, augmented=True) for s in augmented),
        *(Arm(RP, s, 10, augmented=True) for s in augmented),
        *(Arm(RR, epsilon=e) for e in responses),
        Arm(RESPONSES[1], epsilon=responses[len(responses) // 2]),
        *(Arm(DP_SGD, epsilon=e, public=public) for public in (True, False) for e in private),
    )


PROFILES = {
    "smoke": FrontierSettings(
        identities=10, train_images=40, test_images=10, public_images=400, images_seen=8000,
        evaluator_images_seen=3200, targets=6, pool=500, accuracy_images=100, latent_dim=24,
        arms=_arms((0.18,), large_n=(), augmented=(), responses=(2.0,), private=(8.0,)),
        attack=dataclasses.replace(BOUNDED, patience=6, rejected_limit=6, max_iterations=30),
        private=PRIVATE_TRAINING["smoke"], insurance=InsuranceFrontierSettings.smoke(),
    ),
    "cpu": FrontierSettings(
        arms=_arms((0.12, 0.18, 0.25, 0.35), large_n=(0.18,), augmented=(0.18, 0.25), responses=(3.5, 5.0, 6.5, 8.0),
                   private=EPSILONS),
        attack=BOUNDED,
    ),
    "gpu": FrontierSettings(
        size=64, identities=1000, train_images=1000, test_images=1000, public_images=30_000, nets="facenet",
        training_noise=0.0, prior="published", latent_dim=100, images_seen=1_500_000,
        evaluator_images_seen=1_500_000, prior_epochs=100, targets=100, pool=100_000, control=Arm(RP, 0.03, 10),
        arms=_arms((0.01, 0.02, 0.03, 0.05, 0.1), large_n=(0.01, 0.03, 0.1), augmented=(0.03, 0.1),
                   responses=(5.0, 7.0, 9.0, 11.0), private=EPSILONS),
        private=PRIVATE_TRAINING["gpu"],
        attack=dataclasses.replace(BOUNDED, patience=1000, rejected_limit=1000, max_iterations=20_000),
    ),
}  # fmt: skip
PUBLISHED_SEEDS = (0, 1, 2)

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, about a quarter of an hour; the extra dp",
    "gpu": "a CUDA device of 16 GiB, 100 targets at 64x64, hours; the extra dp",
}


def run(settings: FrontierSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """Every defence as a point; each is remembered on its own, and resumes inside its attack."""
    bench = FrontierBench(FaceLab(settings, data=data, seed=seed, stages=stages), settings)
    rows = [bench.arm(arm) for arm in settings.arms]
    rows += [bench.arm(arm) for arm in calibrated(settings, rows, bench.lab.num_classes)]
    points = [bench.point(row) for row in rows]
    return {
        "targets": len(bench.targets),
        "identities": bench.lab.num_classes,
        "real_people": bench.lab.task.real_people,
        "deviations": {name: list(pair) for name, pair in deviations(settings.attack).items()},
        "points": points,
        **summaries([points]),
        "insurance": run_insurance(settings.insurance, seed=seed, stages=stages),
    }


def stage_count(settings: FrontierSettings) -> int:
    """Stages of one run: nets and prior, the arms with the two calibrated ones, and the insurance task's."""
    return 3 + extra_nets(settings.arms) + len(settings.arms) + 2 + settings.insurance.stage_count


def calibrated(settings: FrontierSettings, rows: list[dict[str, Any]], classes: int) -> list[Calibrated]:
    """Randomized response with the accuracy of the control vote, and with the advantage Robust Privacy states for it.

    Where the vote costs no accuracy there is nothing to match: one test image fewer stands in.
    """
    accuracy = {row["name"]: row["test_accuracy"] for row in rows}
    base, images = accuracy["none"], rows[0]["test_images"]
    matched = min(accuracy[settings.control.name], base - 1 / images)
    stated = settings.alpha / 2
    return [
        Calibrated(RR, epsilon=epsilon_for_accuracy(matched, base, classes), calibration="at the accuracy of the vote"),
        Calibrated(RR, epsilon=epsilon_for_advantage(stated, classes), calibration=f"at advantage {stated:g}"),
    ]


class FrontierBench(Bench):
    """The bench of `inversion`, with private nets, and rows turned into points."""

    settings: FrontierSettings

    def oracle(self, arm: Arm, *, purpose: int) -> LabelOracle:
        seed = 4 * self.lab.seed + purpose
        return release(self.lab, arm, seed=seed, alpha=self.settings.alpha, recipe=self.settings.private)

    def point(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row of an arm as a point of the plane, with what its defence promises."""
        arm = Arm(**{field.name: row[field.name] for field in dataclasses.fields(Arm)})
        settings = {name: row[name] for name in ("sigma", "n", "augmented", "epsilon", "public")}
        if arm.defense == DP_SGD:
            net = defended_net(self.lab, arm, recipe=self.settings.private)
            settings["privacy"] = dataclasses.asdict(net.privacy)
        left_out = {*settings, "repeats", "calibration", "expansions", *PICTURES}
        return {
            **{name: value for name, value in row.items() if name not in left_out},
            "family": arm.family,
            "settings": settings,
            "accuracy_ci": row["test_accuracy_ci"],
            **promise(arm, self.lab.num_classes, self.settings.alpha),
        }


def promise(arm: Arm, classes: int, alpha: float) -> dict[str, Any]:
    """The advantage that a defence's own theorem allows, and for which pairs: the three are not interchangeable."""
    if arm.defense in (RP, "abstaining"):
        return {"advantage": alpha / 2, "pairs": "inputs within R, for the ideal classifier that no vote is"}
    if arm.defense in RESPONSES:
        return {"advantage": advantage(arm.epsilon, classes), "pairs": "any two inputs, one release"}
    if arm.defense == DP_SGD:
        return {"advantage": math.tanh(arm.epsilon / 2) / 2, "pairs": "training sets that differ in one image"}
    return {"advantage": None, "pairs": ""}


def summaries(runs: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """Front, areas, slices and the claim of dominance, from the points of one run or of several seeds together."""
    points: list[Outcome] = outcomes(*runs)
    base = next(point.accuracy for point in points if point.name == "none")
    rivals = sorted({p.family for p in points if p.family == RR or p.family.startswith(DP_SGD)})
    stated = next(row["advantage"] for row in runs[0] if row["family"] == RP)
    return {
        "front": front(points),
        "areas": areas(points, reference="none", low=LOWEST * base, against=RP),
        "slices": [
            *slices(points, [share * base for share in LEVELS], against=RP),
            *slices(points, [stated], against=RP, along="advantage"),
        ],
        "dominance": dominance(points, of=RP, over=rivals),
    }


def pool(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds of one run as one set of results: hits and test images joined, everything else computed anew."""
    results = [document["results"] for document in documents]
    runs = [result["points"] for result in results]
    points = pooled_arms(runs)
    return results[0] | {
        "targets": sum(result["targets"] for result in results),
        "seeds": len(results),
        "points": [point | {"accuracy_ci": point["test_accuracy_ci"]} for point in points],
        **summaries(runs),
        "insurance": pool_insurance([result["insurance"] for result in results]),
    }


def table(results: dict[str, Any]) -> pd.DataFrame:
    """The points as a tidy table, without the columns that hold a value a target or an image."""
    return pd.DataFrame(results["points"]).drop(columns=[*PER_TARGET, "settings"], errors="ignore")


def summary(document: dict[str, Any]) -> str:
    """Accuracy and ASR of every defence, the most accurate first, for a terminal."""
    shown = table(document["results"]).sort_values("test_accuracy", ascending=False)
    shown["asr_ci"] = [f"{low:.2f} to {high:.2f}" for low, high in shown["asr_ci"]]
    columns = ["name", "test_accuracy", "asr", "asr_ci", "asr_start", "queries", "seconds"]
    return shown[columns].round(3).to_string(index=False)


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: the points, the areas and the tests of the claim as CSV."""
    results = document["results"]
    return {
        "points.csv": table(results).to_csv(index=False),
        "areas.csv": pd.DataFrame(results["areas"]).to_csv(index=False),
        "dominance.csv": pd.DataFrame(results["dominance"]).to_csv(index=False),
        "insurance.csv": pd.DataFrame(results["insurance"]["points"]).to_csv(index=False),
    }
