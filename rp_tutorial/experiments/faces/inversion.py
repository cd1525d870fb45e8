"""Experiment `inversion`: the label-only inversion attack against every defence, from the same starting material.

Each arm puts one release mechanism in front of one net and lets the attack of Kahla et al. loose on it. All arms share
the targets, the pool of first points and the directions, so that two arms can be compared target by target. The arms
are chosen to settle one question (the paper's section 6): is it smoothing that stops the attack, or randomness?
The nets and the prior come from `lab`; what is drawn from the numbers is in `figures`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert
from rp_tutorial.attacks.inversion.registry import ATTACKS, Attacked
from rp_tutorial.attacks.inversion.settings import BREP_MI, BoundaryRepulsion, deviations
from rp_tutorial.attacks.inversion.verdicts import Judged, evaluate
from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.streams import Purpose
from rp_tutorial.data.faces.task import to_text
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces.defenses import Defense, with_registered
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER, SMOKE, FaceLab, FaceLabSettings, timed
from rp_tutorial.experiments.faces.private_nets import PRIVATE_TRAINING, PrivateTraining
from rp_tutorial.statistics.joining import Joining, join_rows
from rp_tutorial.statistics.paired import paired_comparison

Values = tuple[float, ...]  # of a setting, one an arm
SHOWN, THUMBNAIL = 8, 8  # thumbnails of real people: how many, and of how many pixels a side


@dataclasses.dataclass(frozen=True)
class Arm(Defense):
    """One defence and the attacker it meets."""

    repeats: int = 1  # queries the attacker spends on each probe

    @property
    def name(self) -> str:
        """Unique among the arms of a run, and what a reader sees."""
        return self.label + (f", {self.repeats} queries a probe" if self.repeats > 1 else "")

    @property
    def family(self) -> str:
        """What competes with what: the defence, how its net was trained, and whether a probe is asked repeatedly."""
        return super().family + (", repeated queries" if self.repeats > 1 else "")


@dataclasses.dataclass(frozen=True)
class InversionSettings(FaceLabSettings):
    """Settings of one run: the lab's, the attack's, and the arms."""

    arms: tuple[Arm, ...] = (Arm("none"),)
    targets: int = 40
    pool: int = 4000  # latents searched for a first point the oracle itself calls the target
    accuracy_images: int = 2000  # test images at most
    alpha: float = 0.01  # of PREDICT, in the abstaining arm
    attack: BoundaryRepulsion = BREP_MI
    attacker: str = "BREP-MI"  # a registered one; another than this departs from `attack`
    private: PrivateTraining = dataclasses.field(default_factory=PrivateTraining)  # of nets behind DP-SGD arms


def _arms(sigmas: Values, *, large_n: Values, control: Values, trained: Values = ()) -> tuple[Arm, ...]:
    """Every defence at every sigma, the costly N = 100 at `large_n`, and the control arms at `control`.

    At `trained`, too, stand nets trained under the noise they are smoothed with, as an operator would train them.
    """
    return (
        Arm("none"),
        *(Arm("plain noise", s) for s in sigmas),
        *(Arm("smoothing", s, 10) for s in sigmas),
        *(Arm("smoothing", s, 100) for s in large_n),
        *(Arm("fixed noise", s, 10) for s in control),
        *(Arm("plain noise", s, repeats=10) for s in control),
        *(Arm("smoothing", s, 10, repeats=3) for s in control),
        *(Arm("abstaining", s, 10) for s in control),
        *(Arm("none", s, augmented=True) for s in (*control, *trained)),
        *(Arm("smoothing", s, 10, augmented=True) for s in (*control, *trained)),
    )


def _paper_grid(sigmas: Values) -> tuple[Arm, ...]:
    """The paper's sigma and N on the net as it is; and at the largest sigma what tells smoothing from randomness."""
    return (
        Arm("none"),
        *(Arm("plain noise", s) for s in sigmas),
        *(Arm("smoothing", s, n) for n in (10, 100) for s in sigmas),
        Arm("fixed noise", sigmas[-1], 10),
        Arm("plain noise", sigmas[-1], repeats=10),
    )


# The published attack has no bounds, and a random oracle would keep it busy for ever. A step of R instead of R / 3 gets
# as far in a third of the passes, and a PCA prior makes faces out to three standard deviations. Patience decides how
# far the attack gets at all, for every arm alike.
BOUNDED = dataclasses.replace(
    BREP_MI, step_fraction=1.0, latent_clamp=3.0, patience=20, rejected_limit=40, max_iterations=200
)
SIGMAS = (0.06, 0.12, 0.18, 0.25)
PAPER_SIGMAS = (0.01, 0.03, 0.05, 0.1)
CONTROL = 0.18  # where the vote of ten loses less than two points of accuracy: what lowers ASR here costs little

PROFILES = {
    "smoke": InversionSettings(
        **SMOKE, targets=6, pool=500, accuracy_images=100,
        arms=_arms((CONTROL,), large_n=(), control=(CONTROL,)), private=PRIVATE_TRAINING["smoke"],
        attack=dataclasses.replace(BOUNDED, patience=6, rejected_limit=6, max_iterations=30),
    ),
    "cpu": InversionSettings(
        arms=_arms(SIGMAS, large_n=(CONTROL,), control=(CONTROL,), trained=(0.25,)), attack=BOUNDED
    ),
    "gpu": InversionSettings(
        **GPU, targets=24, pool=20_000, attack=dataclasses.replace(BOUNDED, max_iterations=40),
        arms=_paper_grid(PAPER_SIGMAS),
    ),
    "paper": InversionSettings(
        **PAPER, targets=100, pool=100_000,
        arms=_arms((0.01, 0.02, 0.03, 0.05, 0.1), large_n=(0.01, 0.02, 0.03, 0.05, 0.1), control=(0.03, 0.1)),
        attack=dataclasses.replace(BREP_MI, rejected_limit=1000, max_iterations=20_000),
    ),
}  # fmt: skip
NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute",
    "cpu": "2 cores, 4 GiB, about a quarter of an hour",
    "gpu": "a CUDA device of 16 GiB, minutes (on an H100; on a smaller card estimated)",
    "paper": "a CUDA device of 16 GiB, 100 targets (celeba:PATH; RP_TUTORIAL_CHECKPOINTS for the paper's nets)",
}


class InversionLab(FaceLab):
    """The lab of the faces, and the attack run in it against one arm after the other."""

    settings: InversionSettings

    def arm(self, arm: Arm) -> dict[str, Any]:
        """One row of the results, computed or remembered; it resumes inside its attack."""
        uses = (arm, ATTACKS.source(self.settings.attacker))
        return self.stage(arm.name, lambda state: self._row(arm, state), without=("arms",), uses=uses)

    @property
    def budget(self) -> int:
        """Queries a target, for an attacker that ends by no rule of its own."""
        return (self.settings.attack.max_iterations or 20_000) * self.settings.attack.pass_queries

    def attack(self, arm: Arm, *, record: bool = False, state: Path | None = None) -> Inversion:
        """BREP-MI on one arm. Pool and directions come from the seed of the run, so all arms share them."""
        return invert(
            self.oracle(arm, Purpose.ATTACK),
            self.prior,
            self.targets,
            seed=self.seed,
            candidates=self.candidates,
            settings=dataclasses.replace(self.settings.attack, repeats=arm.repeats),
            record=record,
            state_path=state,
            device=self.settings.device,
        )

    def attacked(self, arm: Arm, state: Path | None = None) -> Attacked:
        """The attack of the settings on one arm, and what it spent."""
        if self.settings.attacker == "BREP-MI":
            found = self.attack(arm, state=state)
            return Attacked(found, spent(found))
        attacker = ATTACKS[self.settings.attacker]
        if missing := [name for name in attacker.needs if not hasattr(self, name)]:
            raise refuse("attacker", attacker.name, f"one that needs no {', '.join(missing)}, as in `adaptive`")
        oracle = self.oracle(arm, Purpose.ATTACK)
        made = attacker.run(oracle, self, state)
        return Attacked(made.inversion, {"forward_passes": oracle.forward_passes, **made.spent})

    def _row(self, arm: Arm, state: Path) -> dict[str, Any]:
        self.oracle(arm, Purpose.ATTACK), self.prior  # trained before the clock starts
        made, seconds = timed(lambda: self.attacked(arm, state))
        picked, named = self.cherry_picked
        return {
            **dataclasses.asdict(arm),
            "name": arm.name,
            **self.released(arm),
            "paper_accuracy": float((self.oracle(arm, Purpose.PICKED_IMAGES)(picked) == named).double().mean()),
            **judged(self, made.inversion),
            **made.spent,
            "seconds": seconds,
            **(self._aggregates(made.inversion) if self.task.real_people else {}),
        }

    def _aggregates(self, found: Any) -> dict[str, Any]:
        """All that may be shown of real people: means over the targets, and thumbnails too coarse to tell them by."""
        start, final = (self.prior(z[found.found].to(self.settings.device)) for z in (found.start, found.latent))
        if not len(final):
            return {}
        return {
            "mean_start": to_text(start.mean(dim=0, keepdim=True)),
            "mean_reconstruction": to_text(final.mean(dim=0, keepdim=True)),
            "thumbnails": to_text(nn.functional.adaptive_avg_pool2d(final[:SHOWN], THUMBNAIL)),
        }


def judged(lab: FaceLab, found: Any) -> dict[str, Any]:
    """The evaluator's verdicts: rates with intervals, medians of distances, and the hits target by target."""
    images, labels = lab.private_images
    verdicts = evaluate(found, lab.prior, lab.evaluator, images, labels, device=lab.settings.device)
    return {
        **verdicts.asr().told("asr"),
        **verdicts.asr(top=5).told("asr_top5"),
        **verdicts.asr(of="start").told("asr_start"),
        "asr_published_rule": verdicts.asr(without_expansion="failure").value,
        "init_found": int(found.found.sum()),
        **_medians(verdicts.final),
        "hits": verdicts.hits().astype(int).tolist(),
        "start_hits": verdicts.hits(of="start").astype(int).tolist(),
    }


def spent(found: Inversion) -> dict[str, Any]:
    """What a walk spent, and how it ended, as results hold it."""
    return {
        "queries": int(found.queries.sum()) + found.search_queries,
        "search_queries": found.search_queries,
        "forward_passes": found.forward_passes,
        "iterations": int(found.iterations.sum()),
        "expansions": found.kept_expansions.tolist(),
        "stopped": {reason: found.stopped.count(reason) for reason in sorted(set(found.stopped))},
    }


def _medians(judged: Judged) -> dict[str, float | None]:
    """Median distances over the targets that have an image; None where none has."""
    values = {name: getattr(judged, name) for name in ("feature_distance", "nearest_feature", "nearest_pixel")}
    return {name: None if np.isnan(v).all() else float(np.nanmedian(v)) for name, v in values.items()}


def comparisons(arms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The questions of the chapter as paired tests: arm a against arm b on the same targets, exact McNemar.

    `difference` is ASR of a minus ASR of b. A question is asked at every sigma at which a run has both arms.
    """
    rows = []
    for question, a, b in QUESTIONS:
        for sigma in sorted({arm["sigma"] for arm in arms}):
            first, second = (_find(arms, {"sigma": sigma} | wanted) for wanted in (a, b))
            if first and second and (first["sigma"], second["sigma"]) != (0.0, 0.0):
                found = paired_comparison(*(np.array(arm["hits"], dtype=bool) for arm in (first, second)))
                rows.append({"question": question, "a": first["name"], "b": second["name"], **vars(found)})
    return rows


def _find(arms: list[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any] | None:
    wanted = {"repeats": 1, "augmented": False, "net": ""} | wanted
    return next((arm for arm in arms if all(({"net": ""} | arm)[key] == value for key, value in wanted.items())), None)


_UNDEFENDED = {"defense": "none", "sigma": 0.0}
_AUGMENTED = {"defense": "none", "augmented": True}
_SMOOTHED = {"defense": "smoothing", "n": 10}
QUESTIONS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("does smoothing lower ASR?", _UNDEFENDED, _SMOOTHED),
    ("does plain noise lower ASR?", _UNDEFENDED, {"defense": "plain noise"}),
    ("does a larger N lower ASR?", _SMOOTHED, {"defense": "smoothing", "n": 100}),
    ("does smoothing without randomness lower ASR?", _UNDEFENDED, {"defense": "fixed noise", "n": 10}),
    ("does fresh noise lower ASR beyond fixed noise?", {"defense": "fixed noise", "n": 10}, _SMOOTHED),
    ("do repeated queries undo smoothing?", _SMOOTHED | {"repeats": 3}, _SMOOTHED),
    ("do repeated queries undo plain noise?", {"defense": "plain noise", "repeats": 10}, {"defense": "plain noise"}),
    ("does abstention lower ASR beyond voting?", _SMOOTHED, {"defense": "abstaining", "n": 10}),
    ("does training under noise alone lower ASR?", _UNDEFENDED, _AUGMENTED),
    ("does smoothing lower the ASR of a net trained under noise?", _AUGMENTED, _SMOOTHED | {"augmented": True}),
    ("do training under noise and smoothing together lower ASR?", _UNDEFENDED, _SMOOTHED | {"augmented": True}),
)


SEEDS = Joining(  # of the row of an arm
    rates={"asr": "hits", "asr_start": "start_hits", "test_accuracy": "test_images"},
    lists=("hits", "start_hits", "expansions"),
    sums=("init_found", "queries", "search_queries", "forward_passes", "iterations", "stopped"),
    means=("paper_accuracy", "abstention", "asr_top5", "asr_published_rule", "feature_distance", "seconds"),
    by_seed=("asr",),
)


def join(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds as one set of results: hits joined target by target, rates and tests on all of them.

    Every seed has its own faces, nets, prior and directions. Raises InputError if the runs have different arms.
    """
    arms = [arm | {"right": None} for arm in join_rows([run["arms"] for run in results], SEEDS)]  # of one run's images
    targets = sum(run["targets"] for run in results)
    return results[0] | {"targets": targets, "arms": arms, "comparisons": comparisons(arms), "seeds": len(results)}


PICTURES = ("mean_start", "mean_reconstruction", "thumbnails")


def rows_of(rows: list[dict[str, Any]], *also: str) -> pd.DataFrame:
    """Rows as a tidy table, without the columns that hold a value a target, a picture, or one of `also`."""
    return pd.DataFrame(rows).drop(columns=[*SEEDS.lists, "stopped", "right", *PICTURES, *also], errors="ignore")


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `arms` with their families, and `comparisons`, the paired tests."""
    arms = [Arm(**{f.name: row[f.name] for f in dataclasses.fields(Arm) if f.name in row}) for row in results["arms"]]
    return {
        "arms": rows_of(results["arms"]).assign(family=[arm.family for arm in arms]),
        "comparisons": pd.DataFrame(results["comparisons"]),
    }


def summary(results: dict[str, Any]) -> str:
    """ASR beside accuracy, arm by arm, for a terminal."""
    shown = tables(results)["arms"][
        ["name", "test_accuracy", "paper_accuracy", "asr", "asr_ci", "asr_start", "init_found", "queries", "seconds"]
    ]
    return told(shown)


def told(shown: pd.DataFrame) -> str:
    """A table with a column `asr_ci`, as text."""
    ci = [f"{low:.2f} to {high:.2f}" for low, high in shown["asr_ci"]]
    return shown.assign(asr_ci=ci).round(3).to_string(index=False)


def run(lab: InversionLab) -> dict[str, Any]:
    """Every arm against the same targets."""
    arms = [lab.arm(arm) for arm in lab.settings.arms]
    return {
        "targets": len(lab.targets),
        "target_labels": lab.targets.tolist(),
        **lab.people,
        "prior": lab.prior_found,
        "deviations": {name: list(pair) for name, pair in deviations(lab.settings.attack).items()},
        "arms": arms,
        "comparisons": comparisons(arms),
    }


EXPERIMENT = register(Experiment(
    "inversion", InversionLab, run, PROFILES, FACES, tables, summary, NEEDS,
    join=join, seeds=(0, 1, 2), completed=with_registered("arms"),
))  # fmt: skip
