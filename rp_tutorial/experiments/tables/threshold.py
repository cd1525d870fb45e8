"""Experiment `insurance-threshold`: the paper's section 5 and appendix A, from raw table to numbers.

A net decides whether BMI exceeds its 90th percentile; PREDICT releases, CERTIFY measures, and the trajectory
b' = B - j s asks how far left of the threshold a positive release is ever seen. Everything is set beside the closed
form of `halfspace`. The charts are in `figures`, the paper's own figures in `ledger`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rp_tutorial import figures
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.tables.insurance import load_at_most
from rp_tutorial.data.tables.tasks import ThresholdTask, threshold_task
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.models.mlp import two_layer_net
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing, significant_plurality
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.theory import halfspace
from rp_tutorial.training.fit import fit

TIERS = ("synthetic", "diabetes", "kaggle")  # or the path of a CSV file
PAPER_POSITIVES = 4000  # a tenth of the paper's 40,000 test rows: the records behind each offset of its Figure 1


@dataclass(frozen=True)
class ThresholdSettings:
    """Settings of one run. Noise scales are in std of the training rows, the trajectory is in kg/m^2."""

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
    "gpu": ThresholdSettings(rows=None, trajectory_records=None),
}


NEEDS = {
    "smoke": "2 cores, 2 GiB, seconds",
    "cpu": "2 cores, 2 GiB, about a minute",
    "gpu": "a CUDA device; every positive record moved, as the paper (about 6e9 noisy rows)",
}


def run(settings: ThresholdSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """Table 1, Figure 1 and the ablation of appendix A on one data set; every stage is remembered on its own."""
    task, fingerprint = load_task(settings, data=data, seed=seed)
    net = trained_net(settings, task, fingerprint=fingerprint, seed=seed, stages=stages)
    base = {"accuracy": float((PlainOracle(net, num_classes=2)(task.x_test) == task.y_test).double().mean())}
    bench = _Bench(settings, task, net, seed, stages, {"data": fingerprint, "seed": seed})
    return {
        "threshold_bmi": task.threshold,
        "n_train": len(task.x_train),
        "n_test": len(task.x_test),
        "attribute_std_bmi": task.attribute_std,
        "base": base,
        "smoothed": [bench.table_row(sigma) for sigma in settings.sigmas],
        "closed_form": [closed_form(settings, sigma) for sigma in settings.sigmas],
        "trajectory": bench.trajectory(),
        "ablation": bench.ablation(),
    }


def stage_count(settings: ThresholdSettings) -> int:
    """Stages of one run: the net, a row of Table 1 each, the trajectory, the ablation."""
    return len(settings.sigmas) + 3


def load_task(settings: ThresholdSettings, *, data: str, seed: int) -> tuple[ThresholdTask, str]:
    """The encoded task and the fingerprint of the rows behind it. A table smaller than `rows` is used whole."""
    table = load_at_most(data, settings.rows, seed=seed)
    task = threshold_task(table, quantile=settings.quantile, train_fraction=settings.train_fraction, seed=seed)
    return task, table.fingerprint


def trained_net(
    settings: ThresholdSettings, task: ThresholdTask, *, fingerprint: str, seed: int, stages: Stages
) -> nn.Module:
    """The paper's net: two layers, 64 hidden units, l1 penalty on the first-layer weights of every non-BMI input."""
    net = two_layer_net(len(task.feature_names), hidden=settings.hidden, seed=seed)
    others = [c for c in range(len(task.feature_names)) if c != task.attribute_column]
    key = {
        "data": fingerprint,
        "seed": seed,
        "split": [settings.quantile, settings.train_fraction],
        "training": [settings.hidden, settings.l1, settings.steps],
    }

    def train() -> None:
        fit(net, task.x_train, task.y_train, steps=settings.steps, l1=settings.l1, l1_columns=others, seed=seed)

    return stages.weights("net", key, net, train)


def closed_form(settings: ThresholdSettings, sigma: float) -> dict[str, float]:
    """Table 1's row for a normal attribute and a net that is exactly the threshold."""
    rates = halfspace.threshold_rates(
        sigma=sigma, n=settings.n, alpha=settings.alpha, quantile=settings.quantile, n0=settings.n0
    )
    return {"sigma": sigma, **vars(rates)}


@dataclass(frozen=True)
class _Bench:
    """One net on one task, and what is measured on it."""

    settings: ThresholdSettings
    task: ThresholdTask
    net: nn.Module
    seed: int
    stages: Stages
    key: dict[str, Any]

    def table_row(self, sigma: float) -> dict[str, Any]:
        """One row of Table 1: PREDICT on every test row, CERTIFY on those it answers with class 1."""
        return self._stage(f"table1-sigma{sigma:g}", {}, lambda: self._table_row(sigma))

    def trajectory(self) -> dict[str, Any]:
        """Figure 1: where the base net and PREDICT at every sigma release class 1."""
        return self._stage("trajectory", {}, self._trajectory)

    def ablation(self) -> list[dict[str, Any]]:
        """Figure 4: the same at one sigma for every pair (N, alpha)."""
        return self._stage("ablation", {}, self._ablation)

    def _stage(self, name: str, key: dict[str, Any], compute) -> Any:
        return self.stages.result(name, {**self.key, "settings": vars(self.settings), **key}, compute)

    def _smoothing(self, sigma: float, purpose: int) -> Smoothing:
        """Fresh noise for every purpose, all of it from the run's seed."""
        words = np.random.SeedSequence([self.seed, purpose, round(sigma * 1000)]).generate_state(1)
        return Smoothing(self.net, num_classes=2, sigma=sigma, seed=int(words[0]), device=self.settings.device)

    def _table_row(self, sigma: float) -> dict[str, Any]:
        s, task = self.settings, self.task
        smoothing = self._smoothing(sigma, purpose=1)
        released = smoothing.predict(task.x_test, n=s.n, alpha=s.alpha)
        if not bool((released == 1).any()):
            raise InputError(f"data: no test row is answered with class 1 at sigma = {sigma:g}; more rows are needed")
        right = int((released == task.y_test).sum())
        low, high = clopper_pearson(right, len(released))
        certificate = smoothing.certify(task.x_test[released == 1], n0=s.n0, n=s.n, alpha=s.alpha)
        radius = np.where(certificate.label == 1, certificate.radius, 0.0)
        return {
            "sigma": sigma,
            "n": s.n,
            "alpha": s.alpha,
            "accuracy": right / len(released),
            "accuracy_ci": [float(low), float(high)],
            "abstention": float((released == ABSTAIN).double().mean()),
            "error": float(((released != ABSTAIN) & (released != task.y_test)).double().mean()),
            "mean_radius_std": float(radius.mean()),
            "mean_radius_bmi": float(radius.mean()) * task.attribute_std,
            "radius_standard_error_std": float(radius.std() / np.sqrt(len(radius))),
        }

    def _trajectory(self) -> dict[str, Any]:
        s = self.settings
        positives, probes, offsets = self._augmented_set()
        records = len(probes) // len(offsets)
        plain = PlainOracle(self.net, num_classes=2)
        rows = [self._release_row("base", None, positives[plain(positives) == 1], plain(probes) == 1, offsets)]
        for sigma in s.sigmas:
            smoothing = self._smoothing(sigma, purpose=2)
            original, moved = (smoothing.predict(x, n=s.n, alpha=s.alpha) == 1 for x in (positives, probes))
            row = self._release_row(f"sigma = {sigma:g}", sigma, positives[original], moved, offsets)
            rows.append(row | self._expected_reach(sigma, s.n, s.alpha, offsets, records))
        return {"records": records, "positives": len(positives), "classifiers": rows}

    def _ablation(self) -> list[dict[str, Any]]:
        s = self.settings
        positives, probes, offsets = self._augmented_set()
        records, rows = len(probes) // len(offsets), []
        for n in s.ablation_n:
            smoothing = self._smoothing(s.ablation_sigma, purpose=10 + n)
            counts = [smoothing.counts(x, n).cpu() for x in (positives, probes)]
            for alpha in s.ablation_alpha:
                original, moved = (significant_plurality(c, alpha=alpha) == 1 for c in counts)
                name = f"N = {n}, alpha = {alpha:g}"
                row = self._release_row(name, s.ablation_sigma, positives[original], moved, offsets)
                rows.append(
                    {"n": n, "alpha": alpha} | row | self._expected_reach(s.ablation_sigma, n, alpha, offsets, records)
                )
        return rows

    def _augmented_set(self) -> tuple[Tensor, Tensor, np.ndarray]:
        """D_t,1 (test rows the base net answers with 1), the moved copies [R * J, d], and the offsets [J] in kg/m^2."""
        s, task = self.settings, self.task
        positives = task.x_test[PlainOracle(self.net, num_classes=2)(task.x_test) == 1]
        records = positives if s.trajectory_records is None else positives[: s.trajectory_records]
        offsets = np.arange(s.trajectory_points + 1) * s.trajectory_step
        probes = task.with_attribute(records, torch.as_tensor(task.threshold - offsets))
        return positives, probes.flatten(0, 1), offsets

    def _release_row(
        self, name: str, sigma: float | None, kept: Tensor, moved: Tensor, offsets: np.ndarray
    ) -> dict[str, Any]:
        """Histogram of the BMI of everything released as 1, and how far left of the threshold it reaches.

        kept [P, d]: the records of D_t,1 released as 1 as they are; moved [R * J]: which moved copies are.
        """
        moved_offset = np.tile(offsets, len(moved) // len(offsets))[moved.numpy()]
        bmi = np.concatenate([self.task.attribute_of(kept).numpy(), self.task.threshold - moved_offset])
        reach = float(moved_offset.max(initial=0.0))
        return {
            "classifier": name,
            "sigma": sigma,
            "reach_bmi": reach,
            "leftmost_bmi": self.task.threshold - reach,
            "histogram": _histogram(bmi, self.task.threshold, self.settings.bin_width),
        }

    def _expected_reach(self, sigma: float, n: int, alpha: float, offsets: np.ndarray, records: int) -> dict[str, Any]:
        """The closed form's reach: mean and 95 % range for our number of records, mean for the paper's."""
        std = self.task.attribute_std
        law = {"sigma": sigma, "n": n, "alpha": alpha, "offsets": offsets / std}
        return {
            "expected_reach_bmi": std * halfspace.expected_reach(**law, records=records),
            "reach_range_bmi": [std * edge for edge in halfspace.reach_range(**law, records=records)],
            "expected_reach_bmi_paper": std * halfspace.expected_reach(**law, records=PAPER_POSITIVES),
            "reach_range_bmi_paper": [std * edge for edge in halfspace.reach_range(**law, records=PAPER_POSITIVES)],
        }


def _histogram(bmi: np.ndarray, threshold: float, width: float) -> list[dict[str, Any]]:
    """Counts in bins of `width` that start at the threshold, left edges first; empty bins left out."""
    index = np.floor((bmi - threshold) / width + 1e-4).astype(int)  # float32 inputs lie beside their grid, not on it
    bins, counts = np.unique(index, return_counts=True)
    return [
        {"bin_left": round(threshold + int(i) * width, 4), "count": int(c)} for i, c in zip(bins, counts, strict=True)
    ]


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as tidy tables: `table1` (ours beside the closed form), `figure1` and `ablation` (histograms)."""
    table1 = pd.DataFrame(results["smoothed"]).merge(
        pd.DataFrame(results["closed_form"]), on="sigma", suffixes=("", "_closed_form")
    )
    return {
        "table1": table1,
        "figure1": _histogram_table(results["trajectory"]["classifiers"]),
        "ablation": _histogram_table(results["ablation"]),
    }


def _histogram_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    wide = pd.DataFrame(rows).explode("histogram", ignore_index=True)
    return pd.concat([wide.drop(columns="histogram"), pd.json_normalize(wide["histogram"])], axis=1)


def summary(document: dict[str, Any]) -> str:
    """Table 1 for a terminal."""
    table = pd.DataFrame(document["results"]["smoothed"])
    shown = table[["sigma", "accuracy", "abstention", "error", "mean_radius_std", "mean_radius_bmi"]]
    return f"base accuracy {document['results']['base']['accuracy']:.4f}\n{shown.round(4).to_string(index=False)}"


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: the tables as CSV and Figure 1 as a page."""
    found = tables(document["results"])
    threshold = document["results"]["threshold_bmi"]
    files = {f"{name}.csv": table.to_csv(index=False) for name, table in found.items()}
    return files | {"figure1.html": figures.page(figures.release_histogram(found["figure1"], threshold=threshold))}
