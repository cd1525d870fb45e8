"""Experiment `adaptive`: attackers that know the defence, against every defence, with the same number of queries.

The boundary attack of Kahla et al. stands beside attackers that differ in what they do about randomness, radius and
abstention, and beside others that walk along no boundary: they train surrogates on the released labels and invert
those, or search without gradients. Attackers who see scores or weights meet undefended nets only, for contrast.
All attackers of a defence have one budget, share targets, pool and directions, and what each really spent is reported.
Their settings, and which guarantee each one contradicts, are in `attacks/inversion`; what the
rows say together is in `adaptive_results`. The constants of the attackers were chosen on other people than those whom a
run attacks, of seed 1.
"""

import dataclasses
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import Answers, ask, query_images
from rp_tutorial.attacks.inversion.registry import ATTACKS, SEES
from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion
from rp_tutorial.attacks.inversion.white_box import WhiteBox
from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.streams import Purpose
from rp_tutorial.experiments.engine.experiment import Experiment, register
from rp_tutorial.experiments.faces.adaptive_results import REFERENCE, best, best_table, join, table
from rp_tutorial.experiments.faces.defenses import Defense, with_registered
from rp_tutorial.experiments.faces.inversion import BOUNDED, judged
from rp_tutorial.experiments.faces.inversion_defenses import INVERSION_DEFENSES
from rp_tutorial.experiments.faces.lab import FACES, GPU, PAPER, SMOKE, FaceLab, FaceLabSettings, timed
from rp_tutorial.experiments.faces.private_nets import DP_SGD, PRIVATE_TRAINING, PrivateTraining, public_net
from rp_tutorial.models.fold import folded
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.training.classify import image_logits


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
        **SMOKE, targets=4, pool=256, accuracy_images=100, budget=330,
        student_images_seen=2000, white_box=WhiteBox(restarts=2, steps=40), private=PRIVATE_TRAINING["smoke"],
        defenses=(Defense("none"), Defense("smoothing", 0.18, 10), Defense(DP_SGD, epsilon=8.0),
                  Defense("none", net=INVERSION_DEFENSES[2])),
    ),
    "cpu": AdaptiveSettings(
        defenses=(Defense("none"), Defense("smoothing", 0.18, 10), Defense("smoothing", 0.25, 10),
                  Defense("plain noise", 0.18), Defense("abstaining", 0.18, 10),
                  Defense("randomized response", epsilon=6.5), Defense("memoised response", epsilon=6.5),
                  Defense(DP_SGD, epsilon=8.0, public=True)),
    ),
    "gpu": AdaptiveSettings(
        **GPU, budget=3300, student_images_seen=400_000, private=PRIVATE_TRAINING["gpu"],
        defenses=(Defense("none"), Defense("smoothing", 0.03, 10), Defense("smoothing", 0.1, 10),
                  Defense("plain noise", 0.1), Defense("abstaining", 0.1, 10),
                  Defense("randomized response", epsilon=8.0), Defense("memoised response", epsilon=8.0),
                  Defense(DP_SGD, epsilon=8.0, public=True)),
    ),
    "paper": AdaptiveSettings(
        **PAPER, targets=100, pool=100_000, budget=33_000,
        student_images_seen=5_000_000, private=PRIVATE_TRAINING["paper"],
        attack=dataclasses.replace(BOUNDED, patience=1000, rejected_limit=1000, max_iterations=20_000),
        defenses=(Defense("none"), Defense("smoothing", 0.03, 10), Defense("smoothing", 0.1, 10),
                  Defense("plain noise", 0.03), Defense("abstaining", 0.03, 10),
                  Defense("randomized response", epsilon=9.0), Defense("memoised response", epsilon=9.0),
                  Defense(DP_SGD, epsilon=8.0, public=True)),
    ),
}  # fmt: skip

NEEDS = {
    "smoke": "2 cores, 2 GiB, under a minute; the extra dp",
    "cpu": "2 cores, 4 GiB, an hour (estimated); the extra dp",
    "gpu": "a CUDA device of 16 GiB, half an hour at most (estimated); the extra dp",
    "paper": "a CUDA device of 16 GiB, 100 targets at 64x64, hours; the extra dp",
}


class AdaptiveLab(FaceLab):
    """The lab of the faces; every defence in it meets every attacker, and is what an attacker knows of it."""

    settings: AdaptiveSettings

    def prepare(self) -> None:
        super().prepare()
        self.budget = self.settings.budget  # queries a target, beyond one pass through the pool
        self._oracles: dict[tuple[Defense, Purpose], tuple[LabelOracle, dict[str, Any]]] = {}
        self.cost = cache(self.released)  # once for all attackers
        self._asked: tuple[LabelOracle, Answers] | None = None

    def rows(self, defense: Defense) -> list[dict[str, Any]]:
        """All attackers against one defence, computed or remembered; a walk resumes inside it."""
        self.oracle(defense), self.prior, self.evaluator  # trained before any clock starts
        return [
            self.stage(
                f"{defense.label} against {name}",
                lambda state, name=name: self._row(defense, name, state),
                without=("defenses",),
                uses=(defense, name, ATTACKS.source(name)),
            )
            for name in self.attackers(defense)
        ]

    def attackers(self, defense: Defense) -> list[str]:
        """Who meets a defence, those with labels first. Scores and weights are seen where nothing defends the net."""
        bare = isinstance(self.oracle(defense), PlainOracle)
        met = [name for name in ATTACKS if bare or ATTACKS[name].sees == "labels"]
        return sorted(met, key=lambda name: SEES.index(ATTACKS[name].sees))

    @property
    def total(self) -> int:
        """Queries of all targets, the pool included."""
        return self.settings.pool + len(self.targets) * self.budget

    def oracle(self, defense: Defense, purpose: Purpose = Purpose.ATTACK) -> LabelOracle:
        """The release that an attacker meets, at its beginning: the same draw of its randomness for each of them.

        There is one for each defence and purpose, so asking for it again turns back the one handed out before.
        """
        asked = (defense, Purpose.ATTACK if defense.defense == DP_SGD else purpose)  # one net, no randomness
        if asked not in self._oracles:
            made = super().oracle(defense, purpose)
            self._oracles[asked] = (made, made.state())
        oracle, beginning = self._oracles[asked]
        oracle.restore(beginning)
        return oracle

    # --- What a maker of surrogates has ---

    @cached_property
    def images(self) -> Tensor:
        """What it asks about: public images, moved copies, and samples of the prior."""
        return query_images(self.task.public, self.total, prior=self.prior, copies=1, seed=self.seed)

    def answers(self, oracle: LabelOracle) -> Answers:
        """What the release says to all of them: they ask the same images, so they get the same answers."""
        if self._asked is None or self._asked[0] is not oracle:
            self._asked = (oracle, ask(oracle, self.images))
        found = self._asked[1]
        if found.abstained == len(found.labels):
            raise refuse("defenses", "one that never answers", "defences that answer at least once")
        return found

    @cached_property
    def shadow(self) -> nn.Module:
        """A net that tells public images apart, defended by nobody: what DP-SGD starts from, made by the attacker."""
        return folded(public_net(self, self.settings.private)).to(self.settings.device)

    def accuracy(self, net: nn.Module) -> float:
        """Of a net of the attacker's, on private test images."""
        images, labels = self.test_sample
        return float((image_logits(net, images).argmax(dim=1) == labels).double().mean())

    # --- What is measured ---

    def _row(self, defense: Defense, name: str, state: Path) -> dict[str, Any]:
        oracle = self.oracle(defense)
        made, seconds = timed(lambda: ATTACKS[name].run(oracle, self, state))
        told = ("test_accuracy", "test_accuracy_ci", "test_images", "abstention")
        return {
            "defense": defense.label,
            "attacker": name,
            "sees": ATTACKS[name].sees,
            **{field: self.cost(defense)[field] for field in told},
            **judged(self, made.inversion),
            "forward_passes": oracle.forward_passes,
            **made.spent,
            "seconds": seconds,
        }


def tables(results: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Tidy tables: `attackers`, a row a pair; `best` of every defence; `tests` of every attacker against BREP-MI."""
    tests = [{"defense": row["defense"], **test} for row in results["best"] for test in row["tests"]]
    return {"attackers": table(results), "best": best_table(results), "tests": pd.DataFrame(tests)}


def summary(results: dict[str, Any]) -> str:
    """ASR of every attacker at every defence it meets, and the best beside BREP-MI, for a terminal."""
    rows = table(results)
    rates = rows.pivot(index="defense", columns="attacker", values="asr")
    rates = rates.loc[rows["defense"].unique(), rows["attacker"].unique()]
    shown = best_table(results)[["defense", "test_accuracy", "reference_asr", "asr", "asr_ci", "chosen", "p_value"]]
    return f"{rates.round(3).to_string(na_rep='')}\n\n{shown.round(3).to_string(index=False)}"


def run(lab: AdaptiveLab) -> dict[str, Any]:
    """Every attacker against every defence; each pair is remembered on its own."""
    rows = [row for defense in lab.settings.defenses for row in lab.rows(defense)]
    return {
        "targets": len(lab.targets),
        "target_labels": lab.targets.tolist(),
        **lab.people,
        "budget": {"a_target": lab.budget, "search": lab.settings.pool, "total": lab.total},
        "reference": REFERENCE,
        "attackers": [attack.described(lab.settings.attack) for attack in ATTACKS.values()],
        "rows": rows,
        "best": best(rows),
    }


EXPERIMENT = register(Experiment(
    "adaptive", AdaptiveLab, run, PROFILES, FACES, tables, summary, NEEDS,
    join=join, seeds=(0, 1, 2), completed=with_registered("defenses"),
))  # fmt: skip
