"""Experiment `frontier`: accuracy against attack success for every defence, under one attack and one budget.

The abstract says that Robust Privacy dominates DP-SGD and randomized response. Every defence here meets the same
targets, the same pool of first points, the same directions and the same limit on iterations, so points can be compared
target by target. Randomized response is calibrated three ways: by epsilon, to the accuracy of a vote, and to the
advantage that Robust Privacy states. Attackers that know the defence are in `adaptive`; the same question for the
insurance task is in `experiments/tables/frontier`; fronts and areas in `statistics/fronts`.
"""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pandas as pd

from rp_tutorial.attacks.inversion.settings import deviations
from rp_tutorial.core.streams import Purpose
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces import inversion
from rp_tutorial.experiments.faces.defenses import with_registered
from rp_tutorial.experiments.faces.inversion import BOUNDED, Arm, InversionLab, InversionSettings, Values
from rp_tutorial.experiments.faces.inversion_defenses import INVERSION_DEFENSES
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER
from rp_tutorial.experiments.faces.private_features import SCATTERING
from rp_tutorial.experiments.faces.private_nets import DP_SGD, EPSILONS, PRIVATE_TRAINING
from rp_tutorial.experiments.tables import frontier as on_tables
from rp_tutorial.experiments.tables.frontier import InsuranceFrontierSettings, InsuranceLab
from rp_tutorial.statistics.families import dominance, slices
from rp_tutorial.statistics.fronts import Outcome, areas, front, outcomes
from rp_tutorial.statistics.joining import join_rows
from rp_tutorial.theory.response import epsilon_for_accuracy, epsilon_for_advantage

RP, RR, MEMOISED = "smoothing", "randomized response", "memoised response"  # the claim is about the first two
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
    """Settings of one run: those of `inversion`, what is matched, and the insurance task."""

    targets: int = 24
    control: Arm = VOTE  # what randomized response is calibrated to
    insurance: InsuranceFrontierSettings = dataclasses.field(default_factory=InsuranceFrontierSettings)


def _arms(
    sigmas: Values,
    *,
    large_n: Values,
    augmented: Values,
    responses: Values,
    private: Values,
    features: Values = (),
    nets: Sequence[str] = (),
) -> tuple[Arm, ...]:
    """Every family over its own settings; abstention and memoising at one or two, since they ride on another family.

    A net of each recipe in `nets` releases its own labels, and stands behind the control vote.
    """
    return (
        Arm("none"),
        *(Arm(RP, s, 10) for s in sigmas),
        *(Arm(RP, s, 100) for s in large_n),
        *(Arm("plain noise", s) for s in sigmas),
        *(Arm("abstaining", s, 10) for s in sigmas[:2]),
        *(Arm("none", s, augmented=True) for s in augmented),
        *(Arm(RP, s, 10, augmented=True) for s in augmented),
        *(Arm(RR, epsilon=e) for e in responses),
        Arm(MEMOISED, epsilon=responses[len(responses) // 2]),
        *(Arm(DP_SGD, epsilon=e, public=public) for public in (True, False) for e in private),
        *(Arm(SCATTERING, epsilon=e) for e in features),
        *(dataclasses.replace(arm, net=net) for net in nets for arm in (Arm("none"), VOTE)),
    )


PROFILES = {
    "smoke": FrontierSettings(
        **vars(inversion.PROFILES["smoke"])
        | {"arms": _arms((0.18,), large_n=(), augmented=(), responses=(2.0,), private=(8.0,),
                         nets=INVERSION_DEFENSES[:1])},
        insurance=InsuranceFrontierSettings.smoke(),
    ),
    "cpu": FrontierSettings(
        arms=_arms((0.12, 0.18, 0.25, 0.35), large_n=(0.18,), augmented=(0.18, 0.25), responses=(3.5, 5.0, 6.5, 8.0),
                   private=EPSILONS),
        attack=BOUNDED,
    ),
    "gpu": FrontierSettings(
        **GPU, control=Arm(RP, 0.1, 10), attack=dataclasses.replace(BOUNDED, max_iterations=100),
        arms=_arms((0.03, 0.1), large_n=(0.1,), augmented=(0.1,), responses=(5.0, 7.0, 9.0), private=EPSILONS),
        private=PRIVATE_TRAINING["gpu"],
    ),
    "paper": FrontierSettings(
        **PAPER, targets=100, pool=100_000, control=Arm(RP, 0.03, 10),
        arms=_arms((0.01, 0.02, 0.03, 0.05, 0.1), large_n=(0.01, 0.03, 0.1), augmented=(0.03, 0.1),
                   responses=(5.0, 7.0, 9.0, 11.0), private=EPSILONS),
        private=PRIVATE_TRAINING["paper"],
        attack=dataclasses.replace(BOUNDED, patience=1000, rejected_limit=1000, max_iterations=20_000),
    ),
}  # fmt: skip

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, about twenty minutes (estimated); the extra dp",
    "gpu": "a CUDA device of 16 GiB, half an hour at most (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, 100 targets at 64x64, hours; the extra dp",
}


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


class FrontierLab(InversionLab):
    """The lab of `inversion`, whose arms are points of the plane."""

    settings: FrontierSettings

    @cached_property
    def insurance(self) -> InsuranceLab:
        """The lab of the same question about the insurance task, on generated rows."""
        return InsuranceLab(self.settings.insurance, data="synthetic", seed=self.seed, stages=self.stages)

    def point(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row of an arm as a point, with what its defence promises."""
        arm = Arm(**{field.name: row[field.name] for field in dataclasses.fields(Arm)})
        settings = {name: row[name] for name in ("sigma", "n", "augmented", "epsilon", "public", "net")}
        if arm.defense.startswith(DP_SGD):
            settings["privacy"] = dataclasses.asdict(self.oracle(arm, Purpose.ATTACK).net.module.privacy)
        left_out = {*settings, "repeats", "calibration", "expansions", *inversion.PICTURES}
        return {
            **{name: value for name, value in row.items() if name not in left_out},
            "family": arm.family,
            "settings": settings,
            "accuracy_ci": row["test_accuracy_ci"],
            **arm.promise(self.num_classes, self.settings.alpha),
        }


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


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one set of results: hits and test images joined, everything else computed anew."""
    runs = [run["points"] for run in results]
    points = join_rows(runs, inversion.SEEDS)
    return results[0] | {
        "targets": sum(run["targets"] for run in results),
        "seeds": len(results),
        "points": [row | {"accuracy_ci": row["test_accuracy_ci"], "right": None} for row in points],
        **summaries(runs),
        "insurance": on_tables.join_insurance([run["insurance"] for run in results]),
    }


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `points`, `areas`, `dominance` (the tests of the claim), and the points of `insurance`."""
    return {
        "points": inversion.rows_of(results["points"], "settings"),
        "areas": pd.DataFrame(results["areas"]),
        "dominance": pd.DataFrame(results["dominance"]),
        "insurance": pd.DataFrame(results["insurance"]["points"]),
    }


def summary(results: dict[str, Any]) -> str:
    """Accuracy and ASR of every defence, the most accurate first, for a terminal."""
    shown = tables(results)["points"].sort_values("test_accuracy", ascending=False)
    return inversion.told(shown[["name", "test_accuracy", "asr", "asr_ci", "asr_start", "queries", "seconds"]])


def run(lab: FrontierLab) -> dict[str, Any]:
    """Every defence as a point; each is remembered on its own, and resumes inside its attack."""
    rows = [lab.arm(arm) for arm in lab.settings.arms]
    rows += [lab.arm(arm) for arm in calibrated(lab.settings, rows, lab.num_classes)]
    points = [lab.point(row) for row in rows]
    return {
        "targets": len(lab.targets),
        **lab.people,
        "deviations": {name: list(pair) for name, pair in deviations(lab.settings.attack).items()},
        "points": points,
        **summaries([points]),
        "insurance": on_tables.run_insurance(lab.insurance),
    }


EXPERIMENT = register(Experiment(
    "frontier", FrontierLab, run, PROFILES, FACES, tables, summary, NEEDS,
    join=join, seeds=(0, 1, 2), completed=with_registered("arms"),
))  # fmt: skip
