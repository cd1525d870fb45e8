"""The frontier on a table: accuracy of the decision against how often the best guess of a hidden attribute is right.

The task is that of `eligibility`: a net decides from BMI and other attributes, and a decision is released. The
adversary knows everything about a person but BMI, the population, the mechanism and its law, and guesses whether BMI
is at least 30. No query and no simulation stands between it and Bayes' rule (`attacks.bayes_guess`), so a defence that
looks good here is not one that a cleverer guess breaks. It is a section of the experiment `frontier`, and on its own
`insurance-frontier`, which takes any table: of one with a schema the decision and the attribute are the schema's.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rp_tutorial.attacks.bayes_guess import band_success, law_of_releases, side_success
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.core.threads import one_thread
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.tables.eligibility import EligibilityLab, EligibilitySettings, Law, law_of, response_law
from rp_tutorial.experiments.tables.lab import tables_but
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.statistics.families import judged
from rp_tutorial.statistics.fronts import unbeaten
from rp_tutorial.statistics.joining import check_same_arms
from rp_tutorial.statistics.paired import paired_difference
from rp_tutorial.training.dp_sgd import PrivateNet, fit_privately

REPEATABLE = ("smoothing", "abstaining vote", "plain noise", "randomized response")  # fresh randomness every time
TASK = EligibilitySettings(rows=40_000, records=300, test_rows=5_000, ns=(10, 1000), n_estimate=1_000)
RP, OVER = "smoothing", ("DP-SGD", "randomized response", "plain noise")  # the claim, and whom it is about
ATTACKS = ("success", "band_success", "success_in_ten")
WORDS = {"sigma": "sigma {:g}", "n": "N = {}", "epsilon": "epsilon {:g}", "share": "{:.0%} silent"}  # in a name
Released = tuple[str, dict[str, Any], Callable[[Any], Law]]  # a defence, its settings, the law of its release


@dataclasses.dataclass(frozen=True)
class InsuranceFrontierSettings:
    """Settings of one run. sigma is in std of the training rows, BMI in kg/m^2."""

    task: EligibilitySettings = TASK
    response_epsilons: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    abstentions: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)  # shares of the test rows
    private_epsilons: tuple[float, ...] = (0.25, 1.0, 3.0, 8.0)
    delta: float = 1e-5  # below one over the training rows
    private_epochs: int = 20
    private_batch: int = 1024  # expected, of a Poisson sample
    clip: float = 0.5
    private_learning_rate: float = 1.0
    at_least: float | None = 30.0  # the bit that is guessed: BMI of at least this; None: the median of training rows
    within: float = 1.0  # the band: a guess of BMI that is off by at most this; in `near`, of a table with a schema
    releases: int = 10  # fresh releases about the same person, for the adversary that can have several

    @classmethod
    def smoke(cls) -> Self:
        """Seconds: a third of the sigmas, a handful of records."""
        small = EligibilitySettings(
            rows=6_000, records=40, test_rows=500, sigmas=(1.0,), ns=(10,), n_estimate=300, train_steps=600
        )
        few = {"response_epsilons": (2.0,), "abstentions": (0.1,), "private_epsilons": (1.0, 3.0, 8.0)}
        return cls(task=small, **few, private_epochs=4, private_batch=256, delta=1e-4)


@dataclasses.dataclass(frozen=True)
class TableFrontierSettings(InsuranceFrontierSettings):
    """The same of the experiment `insurance-frontier`, which does not know where the attribute's bit is."""

    at_least: float | None = None
    device: str = "cpu"


class InsuranceLab(Lab):
    """The people of `eligibility`, every defence in front of one net or a private one, and what is guessed of them."""

    settings: InsuranceFrontierSettings

    @cached_property
    def bench(self) -> EligibilityLab:
        """The records whose attribute is guessed, and the net."""
        given = {"data": self.data, "seed": self.seed, "stages": self.stages, "schema": self.schema}
        return EligibilityLab(self.settings.task, **given)

    @cached_property
    def at_least(self) -> float:
        """Where the bit begins that is guessed, in the attribute's unit."""
        if self.settings.at_least is not None:
            return self.settings.at_least
        task = self.bench.task
        return float(task.attribute_of(task.x_train).median())

    @cached_property
    def above(self) -> NDArray[np.bool_]:
        """Which candidate values have the bit."""
        return self.bench.grid >= self.at_least - 1e-6 * self.bench.step

    def points(self) -> list[dict[str, Any]]:
        """Every defence as a point, computed or remembered kind by kind; a further noise scale is a kind of its own."""
        s = self.settings
        found = self._kind("none", self.undefended)
        for sigma in s.task.sigmas:
            found += self._kind(f"sigma{sigma:g}", lambda sigma=sigma: self.noisy(sigma))
        found += self._kind("response", self.responses)
        found += self._kind("abstaining", self.abstaining)
        return found + self._kind("private", self.private)

    def _kind(self, name: str, defenses: Callable[[], Iterator[Released]]) -> list[dict[str, Any]]:
        def points() -> list[dict[str, Any]]:
            return [self.point(*released) for released in defenses()]

        task = dataclasses.asdict(self.settings.task) | {"sigmas": None}
        return self.stage(f"insurance-{name}", points, without=("task",), uses=(task, self.bench.key))

    def undefended(self) -> Iterator[Released]:
        yield "none", {}, law_of(self.bench.plain)

    def noisy(self, sigma: float) -> Iterator[Released]:
        """The mechanisms of `eligibility` that can be released, at one noise scale."""
        for mechanism in self.bench.smoothed(sigma):
            if mechanism.defense is not None:
                votes = {} if mechanism.n in (None, 1) else {"n": mechanism.n}
                yield mechanism.defense, {"sigma": sigma} | votes, mechanism.law

    def responses(self) -> Iterator[Released]:
        base = law_of(self.bench.plain)
        for epsilon in self.settings.response_epsilons:
            yield "randomized response", {"epsilon": epsilon}, lambda x, e=epsilon: response_law(base(x), e)

    def abstaining(self) -> Iterator[Released]:
        for share in self.settings.abstentions:
            yield "abstaining net", {"share": share}, law_of(self.bench.abstaining(share))

    def private(self) -> Iterator[Released]:
        for epsilon in self.settings.private_epsilons:
            net = self.private_net(epsilon)
            spent = {"epsilon": epsilon, "privacy": dataclasses.asdict(net.privacy)}
            yield "DP-SGD", spent, law_of(PlainOracle(net, num_classes=2))

    def private_net(self, epsilon: float) -> PrivateNet:
        """The two-layer net of the task, trained by DP-SGD on the same rows, or read from the cache."""
        s, task = self.settings, self.bench.task
        recipe = {"delta": s.delta, "epochs": s.private_epochs, "batch_size": s.private_batch, "clip": s.clip,
                  "learning_rate": s.private_learning_rate, "epsilon": epsilon}  # fmt: skip
        net = PrivateNet(two_layer_net(len(task.feature_names), hidden=s.task.hidden, seed=self.seed))

        def train() -> None:
            seed = child_seed(Purpose.PRIVATE_NET, self.seed)
            with one_thread():
                trained = fit_privately(net.net, task.x_train, task.y_train, seed=seed, physical_batch=2048, **recipe)
            net.record.copy_(trained.record)

        return self.weights(f"private-insurance-{epsilon:g}", net, train, recipe | {"rows": self.bench.key})

    def point(self, defense: str, settings: dict[str, Any], law_at: Callable[[Any], Law]) -> dict[str, Any]:
        """One row of the results."""
        at_test, law = law_at(self.bench.test_x), self.bench.sweep(law_at)
        right = at_test[np.arange(len(at_test)), self.bench.test_y + 1]
        once = often = self._guess(law)
        if defense in REPEATABLE:
            spoken = law if law[..., 0].any() else law[..., 1:]  # two symbols make far fewer sequences than three
            often = self._guess(law_of_releases(spoken, self.settings.releases))
        rates = {"test_accuracy": right, **once, "success_in_ten": often["success"]}
        name = ", ".join([defense, *(WORDS[key].format(value) for key, value in settings.items() if key in WORDS)])
        row = {"defense": defense, "settings": settings, "name": name, "abstention": float(at_test[:, 0].mean())}
        for rate, values in rates.items():
            row |= _told(rate, float(values.mean()), len(values))
        return row | {"by_record": once["success"].round(3).tolist()}

    def prior_guess(self) -> dict[str, float]:
        """The same guesses by somebody to whom nothing is released."""
        silent = self._guess(np.ones((len(self.bench.records), len(self.bench.grid), 1)))
        rates = {name: float(values.mean()) for name, values in silent.items()}
        return rates | {"success_in_ten": rates["success"]}

    def _guess(self, law: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Probability that each guess about each record is right: [B] each."""
        prior, truth = self.bench.prior, self.bench.truth
        cells = round(self.settings.within / self.settings.task.step)
        return {
            "success": side_success(law, prior, truth, above=self.above),
            "band_success": band_success(law, prior, truth, cells=cells),
        }


def interval_of_mean(mean: float, trials: int) -> list[float]:
    """A 95 % interval for a mean of probabilities, of one release each: Clopper-Pearson's, widened to whole counts.

    The mean of numbers in [0, 1] varies at most as much as that of coin flips with the same mean, so it is wide.
    """
    low, _ = clopper_pearson(int(np.floor(mean * trials + 1e-9)), trials)
    _, high = clopper_pearson(int(np.ceil(mean * trials - 1e-9)), trials)
    return [float(low), float(high)]


def _told(name: str, mean: float, trials: int) -> dict[str, Any]:
    """A rate and its interval, as a point holds them."""
    return {name: mean, f"{name.removeprefix('test_')}_ci": interval_of_mean(mean, trials)}


def _summaries(points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The points with their difference from the undefended net, the front, and the claim of dominance."""
    base = next(point for point in points if point["defense"] == "none")
    accuracy, success = (np.array([point[what] for point in points]) for what in ("test_accuracy", "success"))
    return {
        "points": [point | _versus(point, base, "difference") for point in points],
        "front": [points[i]["name"] for i in unbeaten(accuracy, success)],
        "dominance": _dominance(points),
    }


def _dominance(points: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every point of the families OVER against the least accurate vote that is at least as accurate."""
    rows = []
    for b in (point for point in points if point["defense"] in OVER):
        able = [p for p in points if p["defense"] == RP and p["test_accuracy"] >= b["test_accuracy"]]
        rival = min(able, key=lambda p: p["test_accuracy"], default=None)
        row = {"family": b["defense"], "name": b["name"], "rival": None if rival is None else rival["name"]}
        if rival is not None:
            row["accuracy_gain"] = rival["test_accuracy"] - b["test_accuracy"]
            row |= _versus(rival, b, "success_gain", p_value=True)
        rows.append(row)
    return judged(rows, gain="success_gain")


def _versus(a: dict[str, Any], b: dict[str, Any], name: str, *, p_value: bool = False) -> dict[str, Any]:
    """Success against a minus success against b, record by record, with Student's interval."""
    test = paired_difference(*(np.array(point["by_record"], dtype=float) for point in (a, b)))
    found = {name: test.difference, f"{name}_ci": [test.low, test.high]}
    return found | ({"p_value": test.p_value} if p_value else {})


def _pooled(rows: Sequence[dict[str, Any]], sizes: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    """One point of several seeds."""
    pooled = rows[0] | {"by_record": [value for row in rows for value in row["by_record"]]}
    pooled["abstention"] = float(np.average([row["abstention"] for row in rows], weights=sizes["test_rows"]))
    for name in ("test_accuracy", *ATTACKS):
        over = sizes["test_rows" if name == "test_accuracy" else "records"]
        pooled |= _told(name, float(np.average([row[name] for row in rows], weights=over)), int(over.sum()))
    return pooled


def run_insurance(lab: InsuranceLab) -> dict[str, Any]:
    """Every defence as a point, and the front of (accuracy up, success of the guess of obesity down).

    A point: defense, settings, name, test_accuracy, accuracy_ci, abstention (counted as wrong), and for each of
    ATTACKS its rate and rate_ci over the records: success (is BMI >= `at_least`?), band_success (BMI within `within`),
    success_in_ten (the first, after `releases` fresh releases), and by_record (the first, for each record, so that
    points can be compared in pairs). difference and difference_ci: success minus that against the undefended net.
    Beside the points: records, test_rows, prior (the three rates of a guess without any release), front, and dominance
    (the claim about RP's vote at each point of the other families, as in `families.dominance`).
    """
    return {
        "records": len(lab.bench.records),
        "test_rows": len(lab.bench.test_x),
        "prior": lab.prior_guess(),
        **_summaries(lab.points()),
    }


def join_insurance(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds of `run_insurance` as one set of results: other rows, nets and records, rates on all of them.

    Raises InputError if the runs have different points.
    """
    check_same_arms([run["points"] for run in runs])
    sizes = {what: np.array([run[what] for run in runs]) for what in ("records", "test_rows")}
    points = [_pooled(rows, sizes) for rows in zip(*(run["points"] for run in runs), strict=True)]
    prior = {attack: float(np.average([run["prior"][attack] for run in runs], weights=sizes["records"]))
             for attack in ATTACKS}  # fmt: skip
    return {
        **{what: int(size.sum()) for what, size in sizes.items()},
        "prior": prior,
        **_summaries(points),
        "seeds": len(runs),
    }


class TableFrontierLab(InsuranceLab):
    """The same lab as an experiment of its own, whose settings say what was read in the schema."""

    settings: TableFrontierSettings

    def prepare(self) -> None:
        on_device = dataclasses.replace(self.settings.task, device=self.settings.device)
        self.settings = dataclasses.replace(self.settings, task=on_device)
        self.settings = dataclasses.replace(self.settings, task=self.bench.settings)


PROFILES = {
    "smoke": TableFrontierSettings.smoke(),
    "cpu": TableFrontierSettings(),
    "gpu": TableFrontierSettings(task=dataclasses.replace(TASK, rows=None, records=1_000, test_rows=40_000)),
}
PROFILES["paper"] = PROFILES["gpu"]  # the paper has no such experiment
NEEDS = {
    "smoke": "2 cores, 2 GiB, seconds; the extra dp",
    "cpu": "2 cores, 2 GiB, some minutes; the extra dp",
    "gpu": "2 cores, 4 GiB, more records (no GPU is needed); the extra dp",
    "paper": "as gpu",
}


def run(lab: TableFrontierLab) -> dict[str, Any]:
    """What `run_insurance` finds, and which bit of which attribute is guessed."""
    about = {"attribute": lab.bench.attribute, "unit": lab.bench.task.unit, "at_least": lab.at_least}
    return about | {"within": lab.settings.within * lab.bench.near} | run_insurance(lab)


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """The points, and the tests of the claim about votes, as tidy tables."""
    return {
        name: pd.DataFrame(results[name]).drop(columns="by_record", errors="ignore") for name in ("points", "dominance")
    }


def summary(results: dict[str, Any]) -> str:
    """Accuracy and success of every defence, the most accurate first, for a terminal."""
    shown = tables(results)["points"].sort_values("test_accuracy", ascending=False)
    bit = f"{results['attribute']} of at least {results['at_least']:g} {results['unit']}"
    rows = shown[["name", "test_accuracy", *ATTACKS]].round(3).to_string(index=False)
    return f"guessed: {bit}; without a release right for {results['prior']['success']:.1%}\n{rows}"


EXPERIMENT = register(Experiment(
    "insurance-frontier", TableFrontierLab, run, PROFILES, tables_but("diabetes"), tables, summary, NEEDS,
    seeds=(),  # published as a section of `frontier`
))  # fmt: skip
