"""Experiment `learning-curves`: was every rival trained to its end?

A rival that was stopped early flatters whoever is compared with it. Here each way to train is given shares and
multiples of the passes that it has in the comparisons, everything else as there, on a seed that no comparison uses.
What is trained is in `trained_nets.py`, `inversion_defenses.py` and `private_nets.py`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pandas as pd

from rp_tutorial.core.packed_bits import unpacked
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces.defenses import Defense
from rp_tutorial.experiments.faces.inversion_defenses import INVERSION_DEFENSES
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER, SMOKE, FaceLab, FaceLabSettings
from rp_tutorial.experiments.faces.private_features import SCATTERING, STEPS
from rp_tutorial.experiments.faces.private_nets import (
    DP_SGD,
    PRIVATE_TRAINING,
    TO_THE_END,
    PrivateSteps,
    PrivateTraining,
)
from rp_tutorial.statistics.paired import paired_comparison

SEED = 100  # that no comparison uses
WAYS = (
    Defense("none"), Defense("none", 0.18, augmented=True), *(Defense("none", net=net) for net in INVERSION_DEFENSES),
    *(Defense(DP_SGD, epsilon=epsilon) for epsilon in (3.0, 8.0)), Defense(DP_SGD, epsilon=8.0, public=True),
    Defense(SCATTERING, epsilon=8.0),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class CurveSettings(FaceLabSettings):
    """Settings of one run. times: multiples of the passes that a way to train has in the comparisons."""

    ways: tuple[Defense, ...] = WAYS
    times: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    accuracy_images: int = 1600
    private: PrivateTraining = dataclasses.field(default_factory=PrivateTraining)
    features: PrivateSteps = STEPS


class CurveLab(FaceLab):
    """A lab for each multiple of the passes, all on the same faces."""

    settings: CurveSettings

    def longer(self, times: float) -> FaceLab:
        """The same lab with so many times the passes, of nets trained privately as well."""

        def more(steps: PrivateSteps) -> PrivateSteps:
            return dataclasses.replace(steps, epochs=times * steps.epochs)

        s, own = self.settings, self.settings.private
        private = dataclasses.replace(own, scratch=more(own.scratch), public=more(own.public))
        seen = round(times * s.images_seen)
        return self.changed(images_seen=seen, private=private, features=more(s.features), times=(times,))

    def point(self, way: Defense, times: float) -> dict[str, Any]:
        """Accuracy of one way to train after so many times its passes, computed or remembered."""
        longer = self.longer(times)
        return {"name": way.label, "times": times} | longer.stage(
            f"{way.label}, {times:g}", lambda: longer.released(way), without=("ways",), uses=(way,)
        )


def gains(points: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the last doubling brought to each way to train: the share of test images it gets right more, paired."""
    return [
        {"name": name, "from": short["times"], "to": long["times"]}
        | paired_comparison(*(unpacked(p["right"], p["test_images"]) for p in (long, short))).told("gain")
        for name, short, long in _last_two(points)
    ]


def _last_two(points: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for name in dict.fromkeys(point["name"] for point in points):
        *_, short, long = sorted((p for p in points if p["name"] == name), key=lambda p: p["times"])
        yield name, short, long


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `points`, a way to train and a multiple of its passes a row, and `gains` of the last doubling."""
    return {
        "points": pd.DataFrame(results["points"]).drop(columns="right"),
        "gains": pd.DataFrame(results["gains"]),
    }


def summary(results: dict[str, Any]) -> str:
    """Accuracy by multiples of the passes, for a terminal."""
    points = tables(results)["points"]
    return points.pivot(index="name", columns="times", values="test_accuracy").round(3).to_string()


def run(lab: CurveLab) -> dict[str, Any]:
    """Every way to train at every multiple."""
    s = lab.settings
    points = [lab.point(way, times) for way in s.ways for times in s.times]
    return {**lab.people, "points": points, "gains": gains(points)}


PROFILES = {
    "smoke": CurveSettings(**SMOKE, ways=WAYS[:1], times=(0.5, 1.0), private=PRIVATE_TRAINING["smoke"]),
    "cpu": CurveSettings(private=TO_THE_END),
    "gpu": CurveSettings(**GPU, private=PRIVATE_TRAINING["gpu"]),
    "paper": CurveSettings(**PAPER, private=PRIVATE_TRAINING["paper"]),
}
NEEDS = {
    "smoke": "2 cores, 2 GiB, seconds",
    "cpu": "2 cores, 4 GiB, half an hour (estimated); the extra dp",
    "gpu": "a CUDA device of 16 GiB, an hour (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, days; the extra dp",
}
# SEED is named here once it is published.
EXPERIMENT = register(Experiment(
    "learning-curves", CurveLab, run, PROFILES, FACES, tables, summary, NEEDS, seeds=(),
))  # fmt: skip
