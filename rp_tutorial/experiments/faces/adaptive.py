"""Experiment `adaptive`: attackers that know the defence, against every defence, with the same number of queries.

The boundary attack of Kahla et al. stands beside attackers that differ in what they do about randomness, radius and
abstention, and beside two that walk along no boundary: they train a surrogate on the released labels and invert that.
All attackers of a defence have one budget, share targets, pool and directions, and what each really spent is reported.
Their settings, and which guarantee each one contradicts, are in `attacks.adaptive` and `attacks.surrogates`; what the
rows say together is in `adaptive_results`. The constants of the attackers were chosen on other people than those whom a
run attacks, of seed 1.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import Answers, ask, query_images, train_student
from rp_tutorial.attacks.inversion.attackers import PRESETS, Attacker, walk
from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion, deviations
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.attacks.inversion.surrogates import SURROGATES, transfer
from rp_tutorial.attacks.inversion.verdicts import evaluate
from rp_tutorial.attacks.inversion.white_box import WhiteBox, invert_white_box
from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.runner import Stages
from rp_tutorial.experiments.faces.adaptive_results import REFERENCE, best, best_table, table
from rp_tutorial.experiments.faces.adaptive_results import pool as pool
from rp_tutorial.experiments.faces.defenses import DP_SGD, Defense, release
from rp_tutorial.experiments.faces.inversion import BOUNDED, interval
from rp_tutorial.experiments.faces.lab import FaceLab, FaceLabSettings
from rp_tutorial.experiments.faces.private_nets import PRIVATE_TRAINING, PrivateTraining, public_net
from rp_tutorial.models.batches import over_batches
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.paired import rate

TIERS = ("synthetic", "lfw")  # or folder:PATH, celeba:PATH
DISTIL, TRANSFER = SURROGATES
ATTACK, ACCURACY = 0, 1  # what the randomness of an oracle is for; attackers meet one release each, drawn alike


@dataclasses.dataclass(frozen=True)
class AdaptiveSettings(FaceLabSettings):
    """Settings of one run: the lab's, the defences, and the budget of every attacker."""

    defenses: tuple[Defense, ...] = (Defense("none"),)
    targets: int = 18
    pool: int = 4000  # latents, asked once each at most, in search of first points: before the budget, for all targets
    budget: int = 1980  # queries a target: 60 passes of the published attack, about what it spends on its own
    attack: BoundaryRepulsion = BOUNDED
    white_box: WhiteBox = dataclasses.field(default_factory=WhiteBox)
    student_images_seen: int = 50_000  # above the total of queries, or some labels would be left out
    accuracy_images: int = 1000
    alpha: float = 0.01  # of PREDICT
    private: PrivateTraining = dataclasses.field(default_factory=PrivateTraining)


PROFILES = {
    "smoke": AdaptiveSettings(
        identities=10, train_images=40, test_images=10, public_images=400, images_seen=8000,
        evaluator_images_seen=3200, targets=4, pool=256, accuracy_images=100, latent_dim=24, budget=330,
        student_images_seen=2000, white_box=WhiteBox(restarts=2, steps=40), private=PRIVATE_TRAINING["smoke"],
        defenses=(Defense("none"), Defense("smoothing", 0.18, 10), Defense("plain noise", 0.18),
                  Defense("abstaining", 0.18, 10), Defense("memoised response", epsilon=3.0),
                  Defense(DP_SGD, epsilon=8.0)),
    ),
    "cpu": AdaptiveSettings(
        defenses=(Defense("none"), Defense("smoothing", 0.18, 10), Defense("smoothing", 0.25, 10),
                  Defense("plain noise", 0.18), Defense("abstaining", 0.18, 10),
                  Defense("randomized response", epsilon=6.5), Defense("memoised response", epsilon=6.5),
                  Defense(DP_SGD, epsilon=8.0, public=True)),
    ),
    "gpu": AdaptiveSettings(
        size=64, identities=1000, train_images=1000, test_images=1000, public_images=30_000, nets="facenet",
        training_noise=0.0, prior="published", latent_dim=100, images_seen=1_500_000,
        evaluator_images_seen=1_500_000, prior_epochs=100, targets=100, pool=100_000, budget=33_000,
        student_images_seen=5_000_000, private=PRIVATE_TRAINING["gpu"],
        attack=dataclasses.replace(BOUNDED, patience=1000, rejected_limit=1000, max_iterations=20_000),
        defenses=(Defense("none"), Defense("smoothing", 0.03, 10), Defense("smoothing", 0.1, 10),
                  Defense("plain noise", 0.03), Defense("abstaining", 0.03, 10),
                  Defense("randomized response", epsilon=9.0), Defense("memoised response", epsilon=9.0),
                  Defense(DP_SGD, epsilon=8.0, public=True)),
    ),
}  # fmt: skip
PUBLISHED_SEEDS = (0, 1, 2)

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, about a quarter of an hour; the extra dp",
    "gpu": "a CUDA device of 16 GiB, 100 targets at 64x64, hours; the extra dp",
}


def run(settings: AdaptiveSettings, *, data: str, seed: int, stages: Stages) -> dict[str, Any]:
    """Every attacker against every defence; each pair is remembered on its own, and a walk resumes inside it."""
    bench = AdaptiveBench(FaceLab(settings, data=data, seed=seed, stages=stages), settings)
    rows = [row for defense in settings.defenses for row in bench.rows(defense)]
    return {
        "targets": len(bench.targets),
        "target_labels": bench.targets.tolist(),
        "identities": bench.lab.num_classes,
        "real_people": bench.lab.task.real_people,
        "budget": {"a_target": settings.budget, "search": settings.pool, "total": bench.total},
        "reference": REFERENCE,
        "attackers": _described(settings.attack),
        "rows": rows,
        "best": best(rows),
    }


def stage_count(settings: AdaptiveSettings) -> int:
    """Stages of one run: target, evaluator, prior and public net, the private nets, every attacker at every defence."""
    private = {(defense.epsilon, defense.public) for defense in settings.defenses if defense.defense == DP_SGD}
    return 4 + len(private) + len(settings.defenses) * (len(PRESETS) + len(SURROGATES))


def _described(attack: BoundaryRepulsion) -> list[dict[str, Any]]:
    """What each attacker exploits and proves, and its deviations from the published settings."""
    walkers = [preset(attack) for preset in PRESETS]
    described = [
        {"name": a.name, "exploits": a.exploits, "guarantee": a.guarantee}
        | {"deviations": {name: list(pair) for name, pair in deviations(a.settings).items()}}
        | {"start": dataclasses.asdict(a.start) if a.start else None}
        for a in walkers
    ]
    return described + [{"name": name, **about} for name, about in SURROGATES.items()]


class AdaptiveBench:
    """One lab; every defence in it meets every attacker."""

    def __init__(self, lab: FaceLab, settings: AdaptiveSettings) -> None:
        self.lab, self.settings = lab, settings
        chosen = np.random.default_rng(lab.seed).permutation(lab.num_classes)[: settings.targets]
        self.targets = torch.as_tensor(np.sort(chosen))
        self.total = settings.pool + len(self.targets) * settings.budget
        self._answers: tuple[Defense, Answers] | None = None
        self._costs: dict[str, dict[str, Any]] = {}
        self._oracles: dict[tuple[Defense, int], tuple[LabelOracle, dict[str, Any]]] = {}

    def rows(self, defense: Defense) -> list[dict[str, Any]]:
        """All attackers against one defence, computed or remembered."""
        walkers = [self._remembered(defense, preset(self.settings.attack)) for preset in PRESETS]
        return walkers + [self._remembered(defense, name) for name in SURROGATES]

    def oracle(self, defense: Defense, *, purpose: int = ATTACK) -> LabelOracle:
        """The release that an attacker meets, at its beginning: the same draw of its randomness for each of them.

        There is one for each defence and purpose, so asking for it again turns back the one handed out before.
        """
        s, asked = self.settings, (defense, ATTACK if defense.defense == DP_SGD else purpose)  # one net, no randomness
        if asked not in self._oracles:
            made = release(self.lab, defense, seed=4 * self.lab.seed + purpose, alpha=s.alpha, recipe=s.private)
            self._oracles[asked] = (made, made.state())
        oracle, beginning = self._oracles[asked]
        oracle.restore(beginning)
        return oracle

    def key(self, defense: Defense, attacker: Attacker | str) -> dict[str, Any]:
        """All that the row of an attacker depends on: every setting but the other defences."""
        settings = dataclasses.asdict(dataclasses.replace(self.settings, defenses=(), device="any"))
        about = attacker if isinstance(attacker, str) else dataclasses.asdict(attacker)
        return self.lab.key | {"settings": settings, "defense": dataclasses.asdict(defense), "attacker": about}

    def _remembered(self, defense: Defense, attacker: Attacker | str) -> dict[str, Any]:
        name = attacker if isinstance(attacker, str) else attacker.name
        compute = self._by_surrogate if isinstance(attacker, str) else self._by_walk
        label = f"{defense.label} against {name}"
        self.oracle(defense), self.lab.prior, self.lab.evaluator  # trained before any clock starts
        return self.lab.stages.result(label, self.key(defense, attacker), lambda: compute(defense, attacker))

    def _by_walk(self, defense: Defense, attacker: Attacker) -> dict[str, Any]:
        s, prior, oracle = self.settings, self.lab.prior, self.oracle(defense)
        state = self.lab.stages.unfinished(f"{defense.label} against {attacker.name}", self.key(defense, attacker))
        started = time.perf_counter()
        found = walk(
            oracle,
            prior,
            self.targets,
            attacker,
            budget=s.budget,
            seed=self.lab.seed,
            candidates=candidate_latents(s.pool, prior.latent_dim, seed=self.lab.seed, clamp=s.attack.latent_clamp),
            state_path=state,
            device=s.device,
        )
        state.unlink(missing_ok=True)
        spent = {
            "queries": found.spent,
            "search_queries": found.search_queries,
            "queries_by_target": found.queries.tolist(),
            "expansions": found.inversion.kept_expansions.tolist(),
            "stopped": dict(sorted(Counter(found.inversion.stopped).items())),
        }
        return self._row(defense, attacker.name, found.inversion, oracle, spent, started)

    def _by_surrogate(self, defense: Defense, name: str) -> dict[str, Any]:
        """A surrogate from released labels, then white-box inversion: the net asks nothing any more."""
        s, oracle = self.settings, self.oracle(defense)
        started = time.perf_counter()
        answers = self._asked(defense, oracle)
        spent = {
            "queries": answers.queries,
            "search_queries": 0,
            "abstained": answers.abstained,
            "forward_passes": answers.forward_passes,
        }
        if answers.abstained == len(answers.labels):
            raise refuse("defenses", defense.label, "a defence that answers at least once")
        if name == DISTIL:
            surrogate = self._empty_net(self.lab.num_classes, seed=self.lab.seed + 2)
            seen = s.student_images_seen
            train_student(surrogate, self.images, answers.labels, images_seen=seen, seed=self.lab.seed, device=s.device)
        else:
            classes = self.lab.num_classes
            surrogate = transfer(self.shadow, self.images, answers.labels, classes, seed=self.lab.seed, device=s.device)
        found = invert_white_box(
            surrogate, self.lab.prior, self.targets, seed=self.lab.seed, num_candidates=s.pool, settings=s.white_box,
            device=s.device,
        )  # fmt: skip
        spent["surrogate_accuracy"] = self._accuracy(surrogate)
        return self._row(defense, name, found, oracle, spent, started)

    def _asked(self, defense: Defense, oracle: LabelOracle) -> Answers:
        """What the release says to all surrogate makers: they ask the same images, so they get the same answers."""
        if self._answers is None or self._answers[0] != defense:
            self._answers = (defense, ask(oracle, self.images))
        return self._answers[1]

    @cached_property
    def images(self) -> Tensor:
        """What a surrogate maker asks about: public images, moved copies, and samples of the prior."""
        return query_images(self.lab.task.public, self.total, prior=self.lab.prior, copies=1, seed=self.lab.seed)

    @cached_property
    def shadow(self) -> nn.Module:
        """A net that tells public images apart, defended by nobody: what DP-SGD starts from, made by the attacker."""
        return folded(public_net(self.lab, self.settings.private)).to(self.settings.device)

    def _empty_net(self, classes: int, *, seed: int) -> nn.Module:
        """The attacker's guess of the design is right: that is the cautious assumption."""
        if self.settings.nets == "facenet":
            return FaceNet64(classes, seed=seed)
        return SmallFaceNet(classes, size=self.settings.size, seed=seed)

    def _accuracy(self, net: nn.Module) -> float:
        images, labels = self._test_images
        logits = over_batches(lambda x: net(x).cpu(), images, device=self.settings.device)
        return float((logits.argmax(dim=1) == labels).double().mean())

    @cached_property
    def _test_images(self) -> tuple[Tensor, Tensor]:
        task = self.lab.task
        order = torch.randperm(len(task.x_test), generator=torch.Generator().manual_seed(self.lab.seed))
        rows = order[: self.settings.accuracy_images]
        return to_float(task.x_test[rows]), task.y_test[rows]

    def _released(self, defense: Defense) -> dict[str, Any]:
        """What the defence costs its honest users: accuracy of the release on test images, and its silence."""
        if defense.label not in self._costs:
            images, labels = self._test_images
            answers = self.oracle(defense, purpose=ACCURACY)(images)
            right = rate((answers == labels).numpy())
            self._costs[defense.label] = {
                "test_accuracy": right.value,
                "test_accuracy_ci": interval(right),
                "test_images": right.trials,
                "abstention": float((answers == ABSTAIN).double().mean()),
            }
        return self._costs[defense.label]

    def _row(
        self, defense: Defense, attacker: str, found: Any, oracle: LabelOracle, spent: dict[str, Any], started: float
    ) -> dict[str, Any]:
        seconds = round(time.perf_counter() - started, 2)
        images, labels = self.lab.private_images
        verdicts = evaluate(found, self.lab.prior, self.lab.evaluator, images, labels, device=self.settings.device)
        asr, start = verdicts.asr(), verdicts.asr(of="start")
        distance = verdicts.final.feature_distance
        return {
            "defense": defense.label,
            "attacker": attacker,
            **self._released(defense),
            "asr": asr.value,
            "asr_ci": interval(asr),
            "asr_top5": verdicts.asr(top=5).value,
            "asr_start": start.value,
            "asr_start_ci": interval(start),
            "feature_distance": None if np.isnan(distance).all() else float(np.nanmedian(distance)),
            "init_found": int(found.found.sum()),
            "hits": verdicts.hits().astype(int).tolist(),
            "start_hits": verdicts.hits(of="start").astype(int).tolist(),
            "forward_passes": oracle.forward_passes,
            **spent,
            "seconds": seconds,
        }


def summary(document: dict[str, Any]) -> str:
    """ASR of every attacker at every defence, and the best beside BREP-MI, for a terminal."""
    results = document["results"]
    rates = table(results).pivot(index="defense", columns="attacker", values="asr")
    names = dict.fromkeys(row["attacker"] for row in results["rows"])
    labels = dict.fromkeys(row["defense"] for row in results["rows"])
    shown = best_table(results)[["defense", "test_accuracy", "reference_asr", "asr", "asr_ci", "chosen", "p_value"]]
    return f"{rates.loc[list(labels), list(names)].round(3).to_string()}\n\n{shown.round(3).to_string(index=False)}"


def extra_files(document: dict[str, Any]) -> dict[str, str]:
    """What stands beside results.json: all pairs, the best of each defence, and the tests, as CSV."""
    results = document["results"]
    tests = [{"defense": row["defense"], **test} for row in results["best"] for test in row["tests"]]
    return {
        "attackers.csv": table(results).to_csv(index=False),
        "best.csv": best_table(results).to_csv(index=False),
        "tests.csv": pd.DataFrame(tests).to_csv(index=False),
    }
