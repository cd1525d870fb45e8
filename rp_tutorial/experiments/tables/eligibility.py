"""Experiment `insurance-eligibility`: what a released decision says about BMI when it depends on several attributes.

On a table with a schema the decision and the private attribute are the schema's; on the insurance table:

Eligible for a weight programme: BMI >= 30, or BMI >= 27 with at least one of four conditions. A net learns the rule
without any penalty, so its smoothed versions differ from it, and the question of section 5 opens again: how much does
a label-only onlooker who knows everything but BMI learn from one release? Every mechanism is reduced to the *law* of
its release at (record, BMI), so all of them are measured by the same few lines. How the mechanisms work is in
`oracles/`; sets and posteriors are explained in `attributes/`.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from torch import Tensor

from rp_tutorial.attributes.pieces import label_pieces
from rp_tutorial.attributes.posterior import Posterior
from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.tasks import AttributeTask, labelled_task, table_task
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.tables.lab import TableLab, tables_but
from rp_tutorial.oracles.abstaining import AbstainingOracle, confidence_for_abstention
from rp_tutorial.oracles.attribute import AttributeSmoothing
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.theory import halfspace
from rp_tutorial.theory.response import epsilon_for_advantage, keep_probability

CONDITIONS = ("hypertension", "diabetes", "cardiovascular_disease")
HIGH_LDL = 160.0
NOISE = ("sigmas", "ns", "alpha", "n_estimate")  # settings that a mechanism without noise does not have
NEEDS = {
    "smoke": "2 cores, 2 GiB, seconds",
    "cpu": "2 cores, 2 GiB, about a minute",
    "gpu": "2 cores, 2 GiB, some minutes (estimated: more records; no GPU is used)",
    "paper": "as gpu",
}
Law = NDArray[np.float64]  # [..., 3]


@dataclass(frozen=True)
class EligibilitySettings:
    """Settings of one run. Noise scales are in std of the training rows, BMI in kg/m^2.

    Of a table with a schema, `domain` is the schema's and `step` counts in what it calls near.
    """

    rows: int | None  # rows kept of the data; None: all
    records: int  # test rows whose attribute is swept
    test_rows: int  # test rows that measure accuracy and abstention
    sigmas: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    ns: tuple[int, ...] = (100, 1000)
    alpha: float = 0.01
    n_estimate: int = 4000  # shared noise vectors behind an estimate of p_1; its error is at most .008 (one s.d.)
    domain: tuple[float, float] = (12.0, 50.4)
    step: float = 0.1  # the file writes BMI with one decimal, so these are all candidates there are
    tau: float = 0.05  # a value is compatible if it would release the label seen at least this often
    hidden: int = 64
    train_steps: int = 2400
    train_fraction: float = 0.6
    device: str = "cpu"


PROFILES = {
    "smoke": EligibilitySettings(rows=8_000, records=20, test_rows=1_000, sigmas=(0.5, 1.0)),
    "cpu": EligibilitySettings(rows=None, records=150, test_rows=5_000),
    "gpu": EligibilitySettings(rows=None, records=1_000, test_rows=40_000),
}
PROFILES["paper"] = PROFILES["gpu"]  # the paper has no such experiment


@dataclass(frozen=True)
class Mechanism:
    """One way to release a decision: a name, its settings, and the law of its release at any input."""

    name: str
    law: Callable[[Tensor], Law]
    sigma: float | None = None
    n: int | None = None
    certified_length: Callable[[Tensor], NDArray[np.float64]] | None = None  # length of the interval proven constant
    defense: str | None = None  # what the face experiments call it, where it can be released


def eligible(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """The rule of the programme: BMI >= 30, or BMI >= 27 with a condition or an LDL of at least 160. Shape [rows]."""
    needed = [name for name in ("bmi", "ldl", *CONDITIONS) if name not in frame]
    if needed:
        raise refuse(
            "data", f"a table without {', '.join(needed)}", "synthetic, kaggle or a CSV of the insurance schema"
        )
    bmi = frame["bmi"].to_numpy(dtype=float)
    comorbid = (frame[list(CONDITIONS)] == 1).any(axis=1).to_numpy() | (frame["ldl"].to_numpy(dtype=float) >= HIGH_LDL)
    return (bmi >= 30) | ((bmi >= 27) & comorbid)


class EligibilityLab(TableLab):
    """The records whose attribute is swept, and the measures that every mechanism goes through.

    records [B, d] are test rows, grid [G] the candidate values of the attribute, `step` apart, and edges [G + 1] the
    ends of their cells, truth [B] the cell of each record's own value, prior [G] the onlooker's; test_x [T, d] and
    test_y [T] measure accuracy. The net is the paper's, without the l1 penalty that made it read BMI only.
    """

    settings: EligibilitySettings

    def prepare(self) -> None:
        super().prepare()
        settings, task = self.settings, self.task
        (low, high), self.step = settings.domain, settings.step * self.near
        digits = 5 - math.floor(math.log10(self.step))  # so that a grid of tenths has tenths in it
        self.grid = np.round(np.arange(low, high + self.step / 2, self.step), digits)
        self.edges = np.append(self.grid, self.grid[-1] + self.step) - self.step / 2
        self.records = task.x_test[: settings.records]
        self.truth = np.searchsorted(self.grid, task.test_attribute[: settings.records].numpy() - self.step / 2)
        self.truth = self.truth.clip(0, len(self.grid) - 1)
        self.probes = task.with_attribute(self.records, torch.as_tensor(self.grid)).flatten(0, 1)  # [B * G, d]
        self.test_x, self.test_y = task.x_test[: settings.test_rows], task.y_test[: settings.test_rows].numpy()
        self.prior = self._prior()

    def new_task(self, table: PeopleTable) -> AttributeTask:
        split = {"train_fraction": self.settings.train_fraction, "seed": self.seed}
        if table.label is not None:
            return table_task(table, **split)
        return labelled_task(table, eligible(table.frame), meaning="eligible", **split)

    def said_by_schema(self, table: PeopleTable) -> dict[str, Any]:
        return {"domain": table.domain}

    @property
    def training(self) -> dict[str, Any]:
        return {"split": self.settings.train_fraction, "fit": {"steps": self.settings.train_steps}}

    def at_sigma(self, sigma: float) -> list[dict[str, Any]]:
        """Every mechanism that has a noise scale, at this one."""
        return self.stage(f"sigma{sigma:g}", lambda: self.measure_sigma(sigma), without=("sigmas",))

    def without_noise(self) -> list[dict[str, Any]]:
        """The mechanisms that have none."""
        return self.stage("base", lambda: [self.measure(m) for m in self.noiseless()], without=NOISE)

    def sweep(self, law: Callable[[Tensor], Law]) -> Law:
        """The law of the release about each record at every candidate value of the attribute: [B, G, 3]."""
        return law(self.probes).reshape(len(self.records), len(self.grid), 3)

    def measure(self, mechanism: Mechanism) -> dict[str, Any]:
        """Utility on the test rows; what one release about each swept record tells."""
        at_test, certified = mechanism.law(self.test_x), mechanism.certified_length  # [T, 3]
        return {
            "name": mechanism.name,
            "sigma": mechanism.sigma,
            "n": mechanism.n,
            "accuracy": float(at_test[np.arange(len(at_test)), self.test_y + 1].mean()),
            "abstention": float(at_test[:, 0].mean()),
            **self._privacy(self.sweep(mechanism.law)),
            "median_certified_length": float(np.median(certified(self.records))) if certified else None,
        }

    def noiseless(self) -> Iterator[Mechanism]:
        """The base net, and the same net with its exact certificate: one release, two names for what is known of it."""
        law = law_of(self.plain)
        yield Mechanism("base", law)
        yield Mechanism("deterministic certificate", law, certified_length=self._base_interval)

    def measure_sigma(self, sigma: float) -> list[dict[str, Any]]:
        """Every mechanism that has a noise scale, and the two comparators that are matched to one of them."""
        smoothed = [self.measure(mechanism) for mechanism in self.smoothed(sigma)]
        by_name = {(row["name"], row["n"]): row for row in smoothed}
        loudest = by_name["plain noise", 1]["largest_advantage_near"]
        silent = by_name["isotropic PREDICT", max(self.settings.ns)]["abstention"]
        return smoothed + [self.measure(mechanism) for mechanism in self._matched(sigma, loudest, silent)]

    def imputation(self) -> dict[str, Any]:
        """What the side information alone says about the attribute: a ridge regression, and the prior it amounts to."""
        task, column = self.task, self.task.attribute_column
        others = [c for c in range(task.x_train.shape[1]) if c != column]
        model = RidgeCV(alphas=np.logspace(-2, 4, 7)).fit(task.x_train[:, others], task.x_train[:, column])
        nothing = np.ones((1, len(self.grid)))  # a release that is always the same symbol
        return {
            "r_squared": float(model.score(task.x_test[:, others], task.x_test[:, column])),
            "median_length": float(len(self.grid) * self.step),
            "median_posterior_width": float(np.median(self._posterior(nothing).credible_width())),
        }

    def smoothed(self, sigma: float) -> Iterator[Mechanism]:
        """Every mechanism that has a noise scale of its own, at this one."""
        s, task = self.settings, self.task
        exact = AttributeSmoothing(self.net, attribute=task.attribute_column, sigma=sigma, scale=task)
        yield Mechanism(
            "attribute smoothing, exact", law_of(exact), sigma, defense="exact attribute smoothing",
            certified_length=lambda x: self._inside(exact.constant_interval(x)),
        )  # fmt: skip
        share = cache(lambda x: self._share_of_ones(x, sigma))  # asked about the same two batches again and again
        yield Mechanism("isotropic, ideal", lambda x: np.eye(3)[(share(x) > 0.5) + 1], sigma)
        for n in s.ns:
            yield Mechanism("isotropic VOTE", lambda x, n=n: _vote(share(x), n), sigma, n, defense="smoothing")
            yield Mechanism(
                "isotropic PREDICT",
                lambda x, n=n: halfspace.predict_law(share(x), n=n, alpha=s.alpha)[..., [1, 0, 2]],
                sigma,
                n,
                lambda x, n=n: self._certified_length(x, sigma, n),
                "abstaining vote",
            )
        yield Mechanism("plain noise", lambda x: _vote(share(x), 1), sigma, 1, defense="plain noise")

    def _matched(self, sigma: float, advantage: float, abstention: float) -> Iterator[Mechanism]:
        """Randomized response with plain noise's largest advantage nearby; a net as silent as PREDICT."""
        base = law_of(self.plain)
        epsilon = epsilon_for_advantage(float(np.clip(advantage, 1e-6, 0.5 - 1e-6)), 2)
        yield Mechanism("randomized response", lambda x: response_law(base(x), epsilon), sigma)
        yield Mechanism("abstaining net", law_of(self.abstaining(abstention)), sigma)

    def abstaining(self, share: float) -> AbstainingOracle:
        """The net itself, silent about that share of the test rows: those of which it is least sure."""
        confidence = confidence_for_abstention(self.net, self.test_x, num_classes=2, share=share)
        return AbstainingOracle(self.net, num_classes=2, confidence=confidence)

    def _share_of_ones(self, x: Tensor, sigma: float) -> NDArray[np.float64]:
        """p_1 at every input, estimated on one noise set for all (evaluation only), so it is smooth along a sweep."""
        smoothing = self.smoothing(sigma, Purpose.SHARED_NOISE, noise="common")
        return smoothing.counts(x, self.settings.n_estimate)[:, 1].cpu().numpy() / self.settings.n_estimate

    def _certified_length(self, x: Tensor, sigma: float, n: int) -> NDArray[np.float64]:
        """Twice CERTIFY's radius, in the attribute's unit: what a certificate over all features leaves."""
        certificate = self.smoothing(sigma, Purpose.CERTIFICATES, n).certify(x, n0=100, n=n, alpha=self.settings.alpha)
        return 2 * certificate.radius * self.task.attribute_std

    def _base_interval(self, x: Tensor) -> NDArray[np.float64]:
        """Length of the interval around each record's value on which the base net's label is constant, exactly."""
        pieces = label_pieces(self.net, x, attribute=self.task.attribute_column)
        low, high, _ = pieces.around(x[:, self.task.attribute_column].double())
        return self._inside((self.task.to_unit(low), self.task.to_unit(high)))

    def _inside(self, interval: tuple[Tensor, Tensor]) -> NDArray[np.float64]:
        """Length of the part of each interval, in the attribute's unit, that lies in its domain."""
        low, high = (end.numpy().clip(*self.settings.domain) for end in interval)
        return high - low

    def _privacy(self, law: Law) -> dict[str, Any]:
        """From the law [B, G, 3]: one release drawn at each record's own value, and what it leaves possible."""
        generator = numpy_generator(Purpose.DRAWN_RELEASES, self.seed)
        at_truth = law[np.arange(len(law)), self.truth]  # [B, 3]
        seen = (generator.random(len(law))[:, None] > at_truth.cumsum(axis=1)).sum(axis=1).clip(max=2)
        likelihood = np.take_along_axis(law, seen[:, None, None], axis=2)[..., 0]  # [B, G]
        compatible = likelihood >= self.settings.tau
        tv = self._tv_near(law)
        return {
            "median_length": float(np.median(compatible.sum(axis=1) * self.step)),
            "median_prior_mass": float(np.median(compatible @ self.prior)),
            "median_posterior_width": float(np.median(self._posterior(likelihood).credible_width())),
            "missed": float(1 - compatible[np.arange(len(law)), self.truth].mean()),
            "advantage_near": float(tv.mean() / 2),
            "largest_advantage_near": float(tv.max() / 2),
        }

    def _posterior(self, likelihood: NDArray[np.float64]) -> Posterior:
        """The onlooker's belief on the grid, a cell a candidate value; likelihood [B, G] of the release seen."""
        mass = likelihood * self.prior
        edges = np.broadcast_to(self.edges, (*mass.shape[:-1], len(self.edges)))
        return Posterior(edges, mass / mass.sum(axis=-1, keepdims=True), self.task.unit)

    def _tv_near(self, law: Law) -> NDArray[np.float64]:
        """Total variation between the release at a record's value and `near` away, the worse side: [B]."""
        shift, last = round(1 / self.settings.step), len(self.grid) - 1
        rows = np.arange(len(law))
        here = law[rows, self.truth]
        sides = [law[rows, (self.truth + side).clip(0, last)] for side in (-shift, shift)]
        return np.max([np.abs(here - there).sum(axis=1) / 2 for there in sides], axis=0)

    def _prior(self) -> NDArray[np.float64]:
        """The onlooker's prior: shares of the training rows on the grid, half a row added everywhere: [G]."""
        values = self.task.attribute_of(self.task.x_train).double().numpy()
        share = np.histogram(values, self.edges)[0] + 0.5
        return share / share.sum()


def law_of(oracle: LabelOracle) -> Callable[[Tensor], Law]:
    """The law of an oracle that is a function: all mass on the symbol it releases."""
    return lambda x: np.eye(3)[oracle(x).numpy() + 1]


def response_law(law: Law, epsilon: float) -> Law:
    """The law of randomized response on top of a release without ABSTAIN: the label kept or, as the rest, flipped."""
    kept = keep_probability(epsilon, 2)
    return law @ np.array([[1, 0, 0], [0, kept, 1 - kept], [0, 1 - kept, kept]])


def _vote(p_one: NDArray[np.float64], n: int) -> Law:
    law = halfspace.vote_law(p_one, n=n)
    return np.concatenate([np.zeros_like(law[..., :1]), law], axis=-1)


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The results as one tidy table, a row a mechanism."""
    return {"oracles": pd.DataFrame(results["oracles"]).assign(unit=results["unit"])}


def summary(results: dict[str, Any]) -> str:
    """The table of mechanisms for a terminal."""
    shown = ["name", "sigma", "n", "accuracy", "abstention", "median_length", "median_posterior_width"]
    with_unit = {name: f"{name} ({results['unit']})" for name in shown[-2:]}
    told = f"what a release says about {results['attribute']}; {results['positive']:.1%} of the test rows are decided 1"
    return f"{told}\n{tables(results)['oracles'][shown].round(3).rename(columns=with_unit).to_string(index=False)}"


def run(lab: EligibilityLab) -> dict[str, Any]:
    """All mechanisms against sigma and N, beside what the side information alone says."""
    oracles = [*lab.without_noise(), *(row for sigma in lab.settings.sigmas for row in lab.at_sigma(sigma))]
    return {
        "attribute": lab.attribute,
        "unit": lab.task.unit,
        "near": lab.near,
        "n_train": len(lab.task.x_train),
        "n_test": len(lab.task.x_test),
        "positive": float(lab.task.y_test.double().mean()),
        "records": len(lab.records),
        "tau": lab.settings.tau,
        "domain": list(lab.settings.domain),
        "imputation": lab.stage("imputation", lab.imputation, without=NOISE),
        "oracles": oracles,
    }


EXPERIMENT = register(Experiment(
    "insurance-eligibility", EligibilityLab, run, PROFILES, tables_but("diabetes"), tables, summary, NEEDS
))  # fmt: skip
