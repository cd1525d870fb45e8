"""Experiment `inversion`: the label-only inversion attack against every defence, from the same starting material.

Each arm puts one release mechanism in front of one net and lets the attack of Kahla et al. loose on it. All arms share
the targets, the pool of first points and the directions, so that two arms can be compared target by target. The arms
are chosen to settle one question (the paper's section 6): is it smoothing that stops the attack, or randomness?
The nets and the prior come from `face_lab`; what is drawn from the numbers is in `face_figures`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI, BoundaryRepulsion, Inversion, deviations, invert
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.attacks.inversion.verdicts import Judged, evaluate
from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.packed_bits import packed
from rp_tutorial.data.faces.task import to_float, to_text
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.experiments.faces.defenses import Defense, extra_nets, release
from rp_tutorial.experiments.faces.lab import FaceLab, FaceLabSettings
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.statistics.paired import Rate, paired_comparison, rate

SHOWN, THUMBNAIL = 8, 8  # thumbnails of real people: how many, and of how many pixels a side
TIERS = ("synthetic", "lfw")  # or folder:PATH, celeba:PATH


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


def _arms(
    sigmas: tuple[float, ...],
    *,
    large_n: tuple[float, ...],
    control: tuple[float, ...],
    trained: tuple[float, ...] = (),
) -> tuple[Arm, ...]:
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


# The published attack has no bounds, and a random oracle would keep it busy for ever. A step of R instead of R / 3 gets
# as far in a third of the passes, and a PCA prior makes faces out to three standard deviations. Patience decides how
# far the attack gets at all, for every arm alike.
BOUNDED = dataclasses.replace(
    BREP_MI, step_fraction=1.0, latent_clamp=3.0, patience=20, rejected_limit=40, max_iterations=200
)
SIGMAS = (0.06, 0.12, 0.18, 0.25)
CONTROL = 0.18  # where the vote of ten loses less than two points of accuracy: what lowers ASR here costs little

PROFILES = {
    "smoke": InversionSettings(
        identities=10, train_images=40, test_images=10, public_images=400, images_seen=8000,
        evaluator_images_seen=3200, targets=6, pool=500, accuracy_images=100, latent_dim=24,
        arms=_arms((CONTROL,), large_n=(), control=(CONTROL,)),
        attack=dataclasses.replace(BOUNDED, patience=6, rejected_limit=6, max_iterations=30),
    ),
    "cpu": InversionSettings(
        arms=_arms(SIGMAS, large_n=(CONTROL,), control=(CONTROL,), trained=(0.25,)), attack=BOUNDED
    ),
    "gpu": InversionSettings(
        size=64, identities=1000, train_images=1000, test_images=1000, public_images=30_000, nets="facenet",
        training_noise=0.0, prior="published", latent_dim=100, images_seen=1_500_000,
        evaluator_images_seen=1_500_000, prior_epochs=100, targets=100, pool=100_000,
        arms=_arms((0.01, 0.02, 0.03, 0.05, 0.1), large_n=(0.01, 0.02, 0.03, 0.05, 0.1), control=(0.03, 0.1)),
        attack=dataclasses.replace(BREP_MI, rejected_limit=1000, max_iterations=20_000),
    ),
}  # fmt: skip
PUBLISHED_SEEDS = (0, 1, 2)

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute",
    "cpu": "2 cores, 4 GiB, about a quarter of an hour",
    "gpu": "a CUDA device of 16 GiB, 100 targets at 64x64 (celeba:PATH; RP_TUTORIAL_CHECKPOINTS for the paper's nets)",
}


def run(settings: InversionSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """Every arm against the same targets; each arm is remembered on its own, and resumes inside it."""
    lab = FaceLab(settings, data=data, seed=seed, stages=stages)
    bench = Bench(lab, settings)
    arms = [bench.arm(arm) for arm in settings.arms]
    return {
        "targets": len(bench.targets),
        "target_labels": bench.targets.tolist(),
        "identities": lab.num_classes,
        "real_people": lab.task.real_people,
        "deviations": {name: list(pair) for name, pair in deviations(settings.attack).items()},
        "arms": arms,
        "comparisons": comparisons(arms),
    }


def stage_count(settings: InversionSettings) -> int:
    """Stages of one run: target, evaluator, prior, a net for every augmented sigma, and the arms."""
    return 3 + extra_nets(settings.arms) + len(settings.arms)


class Bench:
    """One lab, and the attack run in it against one arm after the other."""

    def __init__(self, lab: FaceLab, settings: InversionSettings) -> None:
        self.lab, self.settings = lab, settings
        chosen = np.random.default_rng(lab.seed).permutation(lab.num_classes)[: settings.targets]
        self.targets = torch.as_tensor(np.sort(chosen))

    def arm(self, arm: Arm) -> dict[str, Any]:
        """One row of the results, computed or remembered."""
        return self.lab.stages.result(arm.name, self.key(arm), lambda: self._row(arm))

    def key(self, arm: Arm) -> dict[str, Any]:
        """All that the row of `arm` depends on: every setting but the other arms."""
        settings = dataclasses.asdict(dataclasses.replace(self.settings, arms=(), device="any"))
        return self.lab.key | {"settings": settings, "arm": dataclasses.asdict(arm)}

    def attack(self, arm: Arm, *, record: bool = False, resume: bool = False) -> Inversion:
        """The attack on one arm. Pool and directions come from the seed of the run, so all arms share them."""
        prior, s = self.lab.prior, self.settings
        state = self.lab.stages.unfinished(arm.name, self.key(arm)) if resume else None
        found = invert(
            self.oracle(arm, purpose=0),
            prior,
            self.targets,
            seed=self.lab.seed,
            candidates=candidate_latents(s.pool, prior.latent_dim, seed=self.lab.seed, clamp=s.attack.latent_clamp),
            settings=dataclasses.replace(s.attack, repeats=arm.repeats),
            record=record,
            state_path=state,
            device=s.device,
        )
        if state is not None:
            state.unlink(missing_ok=True)
        return found

    def oracle(self, arm: Arm, *, purpose: int) -> LabelOracle:
        """The release mechanism of an arm; `purpose` keeps the noise of accuracy and attack apart."""
        return release(self.lab, arm, seed=4 * self.lab.seed + purpose, alpha=self.settings.alpha)

    def _row(self, arm: Arm) -> dict[str, Any]:
        self.oracle(arm, purpose=0), self.lab.prior  # trained before the clock starts
        started = time.perf_counter()
        found = self.attack(arm, resume=True)
        seconds = round(time.perf_counter() - started, 2)
        return {
            **dataclasses.asdict(arm),
            "name": arm.name,
            **self._accuracies(arm),
            **self._judged(found),
            "queries": int(found.queries.sum()) + found.search_queries,
            "search_queries": found.search_queries,
            "forward_passes": found.forward_passes,
            "iterations": int(found.iterations.sum()),
            "expansions": found.kept_expansions.tolist(),
            "stopped": {reason: found.stopped.count(reason) for reason in sorted(set(found.stopped))},
            "seconds": seconds,
            **(self._aggregates(found) if self.lab.task.real_people else {}),
        }

    def _aggregates(self, found: Inversion) -> dict[str, Any]:
        """All that may be shown of real people: means over the targets, and thumbnails too coarse to tell them by."""
        start, final = (
            self.lab.prior(z[found.found].to(self.settings.device)) for z in (found.start, found.latent)
        )  # fmt: skip
        if not len(final):
            return {}
        return {
            "mean_start": to_text(start.mean(dim=0, keepdim=True)),
            "mean_reconstruction": to_text(final.mean(dim=0, keepdim=True)),
            "thumbnails": to_text(nn.functional.adaptive_avg_pool2d(final[:SHOWN], THUMBNAIL)),
        }

    def _accuracies(self, arm: Arm) -> dict[str, Any]:
        """Accuracy of the release on test images, and the paper's, on one hand-picked image an identity."""
        task = self.lab.task
        order = torch.randperm(len(task.x_test), generator=torch.Generator().manual_seed(self.lab.seed))
        rows = order[: self.settings.accuracy_images]
        answers = self.oracle(arm, purpose=1)(to_float(task.x_test[rows]))
        hits = (answers == task.y_test[rows]).numpy()
        images, labels = self.lab.cherry_picked
        picked = (self.oracle(arm, purpose=2)(images) == labels).numpy()
        return {
            "test_accuracy": hits.mean(),
            "test_accuracy_ci": interval(rate(hits)),
            "test_images": len(hits),
            "right": packed(hits),
            "abstention": float((answers == ABSTAIN).double().mean()),
            "paper_accuracy": picked.mean(),
        }

    def _judged(self, found: Inversion) -> dict[str, Any]:
        """The evaluator's verdicts: rates with intervals, medians of distances, and the hits target by target."""
        images, labels = self.lab.private_images
        verdicts = evaluate(found, self.lab.prior, self.lab.evaluator, images, labels, device=self.settings.device)
        top1, top5, start = verdicts.asr(), verdicts.asr(top=5), verdicts.asr(of="start")
        return {
            "asr": top1.value,
            "asr_ci": interval(top1),
            "asr_top5": top5.value,
            "asr_top5_ci": interval(top5),
            "asr_published_rule": verdicts.asr(without_expansion="failure").value,
            "asr_start": start.value,
            "asr_start_ci": interval(start),
            "init_found": int(found.found.sum()),
            **_medians(verdicts.final),
            "hits": verdicts.hits().astype(int).tolist(),
            "start_hits": verdicts.hits(of="start").astype(int).tolist(),
        }


def interval(share: Rate) -> list[float]:
    """The exact 95 % interval of a rate, as JSON holds it."""
    return [share.low, share.high]


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
            if first is None or second is None or (first["sigma"], second["sigma"]) == (0.0, 0.0):
                continue
            found = paired_comparison(*(np.array(arm["hits"], dtype=bool) for arm in (first, second)))
            rows.append({"question": question, "a": first["name"], "b": second["name"], **vars(found)})
    return rows


def _find(arms: list[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any] | None:
    wanted = {"repeats": 1, "augmented": False} | wanted
    return next((arm for arm in arms if all(arm[key] == value for key, value in wanted.items())), None)


_UNDEFENDED = {"defense": "none", "sigma": 0.0}
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
    ("does training under noise alone lower ASR?", _UNDEFENDED, {"defense": "none", "augmented": True}),
    (
        "does smoothing lower the ASR of a net trained under noise?",
        {"defense": "none", "augmented": True},
        _SMOOTHED | {"augmented": True},
    ),
    ("do training under noise and smoothing together lower ASR?", _UNDEFENDED, _SMOOTHED | {"augmented": True}),
)


def pool(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Several seeds of one run as one set of results: hits joined target by target, rates and tests on all of them.

    Every seed has its own faces, nets, prior and directions. Raises InputError if the runs have different arms.
    """
    results = [document["results"] for document in documents]
    names = [[arm["name"] for arm in result["arms"]] for result in results]
    if any(other != names[0] for other in names):
        raise refuse("documents", names, "runs of the same arms")
    arms = pooled_arms([result["arms"] for result in results])
    targets = sum(result["targets"] for result in results)
    return results[0] | {"targets": targets, "arms": arms, "comparisons": comparisons(arms), "seeds": len(results)}


def pooled_arms(runs: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The rows of several runs of the same arms, joined arm by arm."""
    return [_pooled_arm(list(rows)) for rows in zip(*runs, strict=True)]


def _pooled_arm(rows: list[dict[str, Any]]) -> dict[str, Any]:
    means = ("paper_accuracy", "abstention", "asr_top5", "asr_published_rule", "feature_distance", "seconds")
    return rows[0] | {
        "right": None,  # of one run's images
        **pooled_rates(rows),
        **{name: _mean(row[name] for row in rows) for name in means},
        **{name: sum(row[name] for row in rows) for name in ("init_found", "queries", "forward_passes")},
    }


def pooled_rates(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What several runs of one arm say together: hits joined target by target, ASR and accuracy over all of them."""
    hits, start = ([hit for row in rows for hit in row[key]] for key in ("hits", "start_hits"))
    total, begun = (rate(np.array(joined, dtype=bool)) for joined in (hits, start))
    right = sum(round(row["test_accuracy"] * row["test_images"]) for row in rows)
    images = sum(row["test_images"] for row in rows)
    return {
        "hits": hits,
        "start_hits": start,
        "asr": total.value,
        "asr_ci": interval(total),
        "asr_by_seed": [row["asr"] for row in rows],
        "asr_start": begun.value,
        "asr_start_ci": interval(begun),
        "test_accuracy": right / images,
        "test_accuracy_ci": [float(edge) for edge in clopper_pearson(right, images)],
        "test_images": images,
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


PER_TARGET = ("hits", "start_hits", "expansions", "stopped", "right")
PICTURES = ("mean_start", "mean_reconstruction", "thumbnails")


def table(results: dict[str, Any]) -> pd.DataFrame:
    """The arms as a tidy table with their families, without the columns that hold a list a target."""
    fields = [field.name for field in dataclasses.fields(Arm)]
    arms = [Arm(**{name: row[name] for name in fields if name in row}) for row in results["arms"]]
    table = pd.DataFrame(results["arms"]).drop(columns=[*PER_TARGET, *PICTURES], errors="ignore")
    return table.assign(family=[arm.family for arm in arms])


def summary(document: dict[str, Any]) -> str:
    """ASR beside accuracy, arm by arm, for a terminal."""
    shown = table(document["results"])[
        ["name", "test_accuracy", "paper_accuracy", "asr", "asr_ci", "asr_start", "init_found", "queries", "seconds"]
    ]
    shown["asr_ci"] = [f"{low:.2f} to {high:.2f}" for low, high in shown["asr_ci"]]
    return shown.round(3).to_string(index=False)


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: the arms and the paired tests as CSV."""
    tests = pd.DataFrame(document["results"]["comparisons"])
    return {"arms.csv": table(document["results"]).to_csv(index=False), "comparisons.csv": tests.to_csv(index=False)}
