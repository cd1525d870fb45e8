"""Experiment `insurance-threshold`: the paper's section 5 and appendix A, from raw table to numbers.

A net decides whether BMI exceeds its 90th percentile, or another attribute the threshold that a schema says; PREDICT
releases, CERTIFY measures, and the trajectory b' = B - j s asks how far left of the threshold a positive release is
ever seen. Everything is set beside the closed form of `halfspace`. The charts are in `figures`, the paper's own figures
in `ledger`.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rp_tutorial.core.arguments import InputError, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.tasks import ThresholdTask, table_task, threshold_task
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.tables.lab import TABLES, TableLab
from rp_tutorial.oracles.votes import significant_plurality
from rp_tutorial.statistics.paired import rate
from rp_tutorial.theory import halfspace
from rp_tutorial.theory.robust_privacy import rounded_down

PER_SIGMA = ("sigmas", "ablation_sigma", "ablation_n", "ablation_alpha")  # what a row at one sigma does not depend on
PAPER_POSITIVES = 4000  # a tenth of the paper's 40,000 test rows: the records behind each offset of its Figure 1


@dataclass(frozen=True)
class ThresholdSettings:
    """Settings of one run. Noise scales are in std of the training rows, the trajectory in kg/m^2 or, of a table with
    a schema, in what it calls near.
    """

    rows: int | None  # rows kept of the data; None: all of them (100,000 for the generator)
    trajectory_records: int | None  # positive test records moved along the trajectory; None: all, as the paper
    sigmas: tuple[float, ...] = (1.0, 2.0, 3.0)
    n: int = 1000
    alpha: float = 0.01
    n0: int = 100  # samples that choose the class before CERTIFY bounds it on n others
    quantile: float = 0.9
    train_fraction: float = 0.6
    hidden: int = 64
    l1: float = 3.0  # drives every non-BMI weight to exactly 0 within `steps`; the paper does not print its value
    steps: int = 2400
    trajectory_step: float = 0.01
    trajectory_points: int = 500
    bin_width: float = 0.2
    ablation_sigma: float = 3.0
    ablation_n: tuple[int, ...] = (100, 1000)
    ablation_alpha: tuple[float, ...] = (0.01, 0.99)
    device: str = "cpu"


PROFILES = {
    "smoke": ThresholdSettings(rows=8_000, trajectory_records=20),
    "cpu": ThresholdSettings(rows=None, trajectory_records=200),
    "gpu": ThresholdSettings(rows=None, trajectory_records=1000),
    "paper": ThresholdSettings(rows=None, trajectory_records=None),
}


NEEDS = {
    "smoke": "2 cores, 2 GiB, seconds",
    "cpu": "2 cores, 2 GiB, about a minute",
    "gpu": "a CUDA device, or minutes on 2 cores (estimated)",
    "paper": "a CUDA device; every positive record moved, as the paper (about 6e9 noisy rows)",
}


class ThresholdLab(TableLab):
    """The task "is the attribute above its 90th percentile?", the paper's net for it, and what is measured on both."""

    settings: ThresholdSettings
    task: ThresholdTask

    def new_task(self, table: PeopleTable) -> ThresholdTask:
        s = self.settings
        split = {"train_fraction": s.train_fraction, "seed": self.seed}
        if table.label is None:
            return threshold_task(table, quantile=s.quantile, **split)
        if table.label.column is not None:
            raise refuse(
                "schema", f"label.column = {table.label.column!r}",
                "label.quantile or label.above: insurance-threshold decides by the attribute alone",
            )  # fmt: skip
        return table_task(table, **split)

    def said_by_schema(self, table: PeopleTable) -> dict[str, Any]:
        """The quantile, and where a value was given instead the one that it is of the training rows."""
        rule = table.label
        return {"quantile": rule.quantile or float((self.task.y_train == 0).double().mean())}

    @property
    def training(self) -> dict[str, Any]:
        """An l1 penalty on the first-layer weights of every input but the attribute, as in the paper."""
        s, others = self.settings, [c for c in range(self.task.x_train.shape[1]) if c != self.task.attribute_column]
        return {"split": [s.quantile, s.train_fraction], "fit": {"steps": s.steps, "l1": s.l1, "l1_columns": others}}

    def at_sigma(self, sigma: float) -> dict[str, Any]:
        """A row of Table 1, and the release of PREDICT along the trajectory of Figure 1, at one sigma."""

        def measured() -> dict[str, Any]:
            return {"smoothed": self._table_row(sigma), "released": self._released(sigma)}

        return self.stage(f"sigma{sigma:g}", measured, without=PER_SIGMA)

    def base_release(self) -> dict[str, Any]:
        """Figure 1: where the base net releases class 1."""
        return self.stage("base", self._base_release, without=(*PER_SIGMA, "n", "alpha", "n0"))

    def ablation(self) -> list[dict[str, Any]]:
        """Figure 4: Figure 1 at one sigma for every pair (N, alpha)."""
        left_out, sizes = ("sigmas", "n", "alpha", "n0", "ablation_n"), self.settings.ablation_n
        found = (self.stage(f"ablation-{n}", lambda n=n: self._ablation(n), without=left_out) for n in sizes)
        return [row for rows in found for row in rows]

    def _table_row(self, sigma: float) -> dict[str, Any]:
        """PREDICT on every test row, CERTIFY on those it answers with class 1."""
        s, task = self.settings, self.task
        smoothing = self.smoothing(sigma, Purpose.THRESHOLD_TABLE)
        released = smoothing.predict(task.x_test, n=s.n, alpha=s.alpha)
        if not bool((released == 1).any()):
            raise InputError(f"data: no test row is answered with class 1 at sigma = {sigma:g}; more rows are needed")
        certificate = smoothing.certify(task.x_test[released == 1], n0=s.n0, n=s.n, alpha=s.alpha)
        radius = np.where(certificate.label == 1, certificate.radius, 0.0)
        return {
            "sigma": sigma,
            "n": s.n,
            "alpha": s.alpha,
            **rate((released == task.y_test).numpy()).told("accuracy"),
            "abstention": float((released == ABSTAIN).double().mean()),
            "error": float(((released != ABSTAIN) & (released != task.y_test)).double().mean()),
            "mean_radius_std": float(radius.mean()),
            "mean_radius": float(radius.mean()) * task.attribute_std,
            "radius_standard_error_std": float(radius.std() / np.sqrt(len(radius))),
        }

    def _released(self, sigma: float) -> dict[str, Any]:
        s, smoothing = self.settings, self.smoothing(sigma, Purpose.THRESHOLD_TRAJECTORY)
        positives, probes, _ = self.augmented_set
        original, moved = (smoothing.predict(x, n=s.n, alpha=s.alpha) == 1 for x in (positives, probes))
        row = self._release_row(f"sigma = {sigma:g}", sigma, positives[original], moved)
        return row | self._expected_reach(sigma, s.n, s.alpha)

    def _base_release(self) -> dict[str, Any]:
        positives, probes, _ = self.augmented_set
        return self._release_row("base", None, positives, self.plain(probes) == 1)

    def _ablation(self, n: int) -> list[dict[str, Any]]:
        s, rows = self.settings, []
        positives, probes, _ = self.augmented_set
        smoothing = self.smoothing(s.ablation_sigma, Purpose.THRESHOLD_ABLATION, n)
        counts = [smoothing.counts(x, n).cpu() for x in (positives, probes)]
        for alpha in s.ablation_alpha:
            original, moved = (significant_plurality(c, alpha=alpha) == 1 for c in counts)
            row = self._release_row(f"N = {n}, alpha = {alpha:g}", s.ablation_sigma, positives[original], moved)
            rows.append({"n": n, "alpha": alpha} | row | self._expected_reach(s.ablation_sigma, n, alpha))
        return rows

    @cached_property
    def augmented_set(self) -> tuple[Tensor, Tensor, np.ndarray]:
        """D_t,1 (test rows the base net answers with 1), the moved copies [R * J, d], and the offsets [J]."""
        s, task = self.settings, self.task
        positives = task.x_test[self.plain(task.x_test) == 1]
        records = positives if s.trajectory_records is None else positives[: s.trajectory_records]
        offsets = np.arange(s.trajectory_points + 1) * s.trajectory_step * self.near
        probes = task.with_attribute(records, torch.as_tensor(task.threshold - offsets))
        return positives, probes.flatten(0, 1), offsets

    def _release_row(self, name: str, sigma: float | None, kept: Tensor, moved: Tensor) -> dict[str, Any]:
        """Histogram of the attribute of everything released as 1, and how far left of the threshold it reaches.

        kept [P, d]: the records of D_t,1 released as 1 as they are; moved [R * J]: which moved copies are.
        """
        moved_offset = np.tile(self.augmented_set[2], self.records)[moved.numpy()]
        values = np.concatenate([self.task.attribute_of(kept).numpy(), self.task.threshold - moved_offset])
        reach = float(moved_offset.max(initial=0.0))
        return {
            "classifier": name,
            "sigma": sigma,
            "reach": reach,
            "leftmost": self.task.threshold - reach,
            "histogram": _histogram(values, self.task.threshold, self.bin_width),
        }

    @property
    def bin_width(self) -> float:
        """Of the histograms, in the attribute's unit."""
        return self.settings.bin_width * self.near

    @property
    def records(self) -> int:
        """How many records are moved along the trajectory."""
        _, probes, offsets = self.augmented_set
        return len(probes) // len(offsets)

    def _expected_reach(self, sigma: float, n: int, alpha: float) -> dict[str, Any]:
        """The closed form's reach: mean and 95 % range for our number of records, mean for the paper's."""
        std = self.task.attribute_std
        law = {"sigma": sigma, "n": n, "alpha": alpha, "offsets": self.augmented_set[2] / std}
        return {
            "expected_reach": std * halfspace.expected_reach(**law, records=self.records),
            "reach_range": [std * edge for edge in halfspace.reach_range(**law, records=self.records)],
            "expected_reach_paper": std * halfspace.expected_reach(**law, records=PAPER_POSITIVES),
            "reach_range_paper": [std * edge for edge in halfspace.reach_range(**law, records=PAPER_POSITIVES)],
        }


def _histogram(values: np.ndarray, threshold: float, width: float) -> list[dict[str, Any]]:
    """Counts in bins of `width` that start at the threshold, left edges first; empty bins left out."""
    index = np.floor((values - threshold) / width + 1e-4).astype(int)  # float32 inputs lie beside their grid, not on it
    pairs = zip(*(part.tolist() for part in np.unique(index, return_counts=True)), strict=True)
    digits = 3 - math.floor(math.log10(width))
    return [{"bin_left": round(threshold + bin_index * width, digits), "count": found} for bin_index, found in pairs]


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as tidy tables: `table1` (ours beside the closed form), `figure1` and `ablation` (histograms)."""
    ours, exact = pd.DataFrame(results["smoothed"]), pd.DataFrame(results["closed_form"])
    found = {
        "table1": ours.merge(exact, on="sigma", suffixes=("", "_closed_form")),
        "figure1": _histogram_table(results["trajectory"]["classifiers"]),
        "ablation": _histogram_table(results["ablation"]),
    }
    return {name: table.assign(unit=results["unit"]) for name, table in found.items()}


def _histogram_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    wide = pd.DataFrame(rows).explode("histogram", ignore_index=True)
    return pd.concat([wide.drop(columns="histogram"), pd.json_normalize(wide["histogram"])], axis=1)


def summary(results: dict[str, Any]) -> str:
    """Table 1 for a terminal."""
    columns = ["sigma", "accuracy", "abstention", "error", "mean_radius_std", "mean_radius"]
    shown = pd.DataFrame(results["smoothed"])[columns]
    radii = shown[columns[-2:]].apply(rounded_down, digits=4)
    shown = shown.round(4).assign(**radii).rename(columns={"mean_radius": f"mean_radius ({results['unit']})"})
    decided = f"{results['attribute']} above {results['threshold']:g} {results['unit']}"
    return f"{decided}: base accuracy {results['base']['accuracy']:.4f}\n{shown.to_string(index=False)}"


def closed_form(settings: ThresholdSettings, sigma: float) -> dict[str, float]:
    """Table 1's row for a normal attribute and a net that is exactly the threshold."""
    s = settings
    rates = halfspace.threshold_rates(sigma=sigma, n=s.n, alpha=s.alpha, quantile=s.quantile, n0=s.n0)
    return {"sigma": sigma, **vars(rates)}


def run(lab: ThresholdLab) -> dict[str, Any]:
    """Table 1, Figure 1 and the ablation of appendix A on one data set; every sigma is remembered on its own."""
    s, task = lab.settings, lab.task
    found = [lab.at_sigma(sigma) for sigma in s.sigmas]
    positives, _, _ = lab.augmented_set
    return {
        "attribute": lab.attribute,
        "unit": task.unit,
        "threshold": task.threshold,
        "bin_width": lab.bin_width,
        "n_train": len(task.x_train),
        "n_test": len(task.x_test),
        "attribute_std": task.attribute_std,
        "base": {"accuracy": float((lab.plain(task.x_test) == task.y_test).double().mean())},
        "smoothed": [row["smoothed"] for row in found],
        "closed_form": [closed_form(s, sigma) for sigma in s.sigmas],
        "trajectory": {
            "records": lab.records,
            "positives": len(positives),
            "classifiers": [lab.base_release(), *(row["released"] for row in found)],
        },
        "ablation": lab.ablation(),
    }


EXPERIMENT = register(Experiment(
    "insurance-threshold", ThresholdLab, run, PROFILES, TABLES, tables, summary, NEEDS,
))  # fmt: skip
