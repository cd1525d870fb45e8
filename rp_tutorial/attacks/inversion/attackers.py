"""Attackers that know the defence: boundary repulsion with other settings, under one budget, and what they prove.

A defence that met one attack with one set of constants has not been tried (Tramer et al. 2020). Each attacker here is a
function of the settings of the attack it departs from, and says in one sentence which guarantee it contradicts, or why
it contradicts none: a lower success rate of BREP-MI is a measurement, and no theorem of this book promises it. Two
attackers that walk through no boundary, the surrogates, are in `surrogates.py`; the choice of a starting point is in
`sure_starts.py`, the walk in `boundary_repulsion.py`.
"""

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert
from rp_tutorial.attacks.inversion.queries import Decoder
from rp_tutorial.attacks.inversion.registry import ATTACKS, Attack, Attacked, Scene
from rp_tutorial.attacks.inversion.settings import BREP_MI, BoundaryRepulsion, deviations
from rp_tutorial.attacks.inversion.sure_starts import SureStart, sure_starts
from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.oracles.base import LabelOracle

NEVER = 10**9  # patience of an attacker whose walk only the budget ends


Preset = Callable[[BoundaryRepulsion], "Attacker"]


@dataclass(frozen=True)
class Attacker:
    """An attacker on the boundary: how it walks, where it starts, and what its success says about a guarantee."""

    name: str
    settings: BoundaryRepulsion
    start: SureStart | None  # None: the published rule, the first candidate that is labelled as the target
    exploits: str
    guarantee: str


def published(base: BoundaryRepulsion) -> Attacker:
    """BREP-MI as `base` has it. It gives up by its own rules, often with some of the budget unspent."""
    return Attacker(
        "BREP-MI",
        base,
        None,
        "nothing about the defence: the attack that the paper measures",
        "none: a success rate is a measurement, and no theorem of any defence here promises one",
    )


def patient(base: BoundaryRepulsion) -> Attacker:
    """BREP-MI that walks until the budget is spent: what more queries buy without a thought about the defence."""
    return Attacker(
        "patient BREP-MI",
        _to_the_end(base),
        None,
        "the whole budget, where the published rules give up early",
        "none: every guarantee here is about one release, or adds up over releases",
    )


def sure_start(base: BoundaryRepulsion, *, start: SureStart | None = None) -> Attacker:
    """The patient attacker, who looks around several candidates before it chooses where to begin."""
    return Attacker(
        "sure start",
        _to_the_end(base),
        start or SureStart(),
        "that a first label may be luck: shares of answers around a candidate tell how deep inside it lies",
        "none: the guarantee compares two inputs within R, and this attacker compares inputs far apart",
    )


def repeated_queries(base: BoundaryRepulsion, *, repeats: int = 5) -> Attacker:
    """Every probe is asked `repeats` times and the most frequent answer counts."""
    return Attacker(
        "repeated queries",
        replace(_to_the_end(base), repeats=count("repeats", repeats)),
        None,
        "fresh randomness, which averages out",
        "none: (R, alpha)-Robust Privacy and epsilon of randomized response hold for one release; of m, TV adds up to "
        "at most alpha + m beta, and epsilon to m epsilon. Against memoised answers it buys nothing",
    )


def larger_spheres(base: BoundaryRepulsion, *, factor: float = 2.0) -> Attacker:
    """The walk begins with spheres `factor` times as large: what moves a picture further than the noise does."""
    return Attacker(
        "larger spheres",
        replace(_to_the_end(base), radius=base.radius * factor),
        None,
        "a radius says nothing about what is beyond it",
        "none: the guarantee is about inputs within R of each other, and these probes are not",
    )


def noise_aware(
    base: BoundaryRepulsion, *, tolerance: float = 0.25, confirmations: int = 5, start: SureStart | None = None
) -> Attacker:
    """Spheres grow with up to a share `tolerance` of their points outside, and a step's end is asked several times.

    A wrong answer costs a walk little where it is one of 32 directions, and much where it decides on a step or lets
    one sphere in three fail the rule of 29 of 32. So queries go to the decisions, and the rule expects some lies.
    """
    needed = max(1, math.floor(base.directions * (1 - tolerance)))
    return Attacker(
        "noise-aware steps",
        replace(_to_the_end(base), inside_needed=needed, confirmations=confirmations),
        start or SureStart(),
        "two constants of the published attack that noise breaks: 29 of 32, and one answer at a step's end",
        "none: what a walk makes of released labels is post-processing, which no guarantee restricts",
    )


def disagreement(
    base: BoundaryRepulsion,
    *,
    repeats: int = 2,
    tolerance: float = 0.25,
    confirmations: int = 5,
    abstain_weight: float = 0.5,
    start: SureStart | None = None,
) -> Attacker:
    """Shares of answers instead of answers: a random release tells how near the boundary is by contradicting itself.

    A probe pulls by the share of its answers outside, and ABSTAIN, which is said near a boundary, is half outside.
    """
    aware = noise_aware(base, tolerance=tolerance, confirmations=confirmations, start=start)
    return replace(
        aware,
        name="disagreement as signal",
        settings=replace(aware.settings, repeats=repeats, weigh="share", abstain_weight=abstain_weight),
        exploits="that a random release contradicts itself near a boundary, and that an abstaining one is silent there",
        guarantee="none: PREDICT bounds how often a released label is wrong; its ABSTAIN is a symbol like any other, "
        "and with N = 10 no radius within which it is unlikely is positive",
    )


def _to_the_end(base: BoundaryRepulsion) -> BoundaryRepulsion:
    return replace(base, patience=NEVER, rejected_limit=None, max_iterations=None)


@dataclass(frozen=True)
class Walked:
    """An inversion and what it really cost: `queries` [T] a target, starting point included; `search_queries` shared
    by all targets; their total is `spent`."""

    inversion: Inversion
    queries: Tensor
    search_queries: int

    @property
    def spent(self) -> int:
        """All queries of all targets, the search included."""
        return int(self.queries.sum()) + self.search_queries

    def told(self) -> dict[str, Any]:
        """What it spent, and why it ended, as results hold it."""
        return {
            "queries": self.spent,
            "search_queries": self.search_queries,
            "queries_by_target": self.queries.tolist(),
            "expansions": self.inversion.kept_expansions.tolist(),
            "stopped": dict(sorted(Counter(self.inversion.stopped).items())),
        }


def walk(
    oracle: LabelOracle,
    prior: Decoder,
    targets: Tensor,
    attacker: Attacker,
    *,
    budget: int,
    seed: int,
    candidates: Tensor,
    state_path: str | os.PathLike[str] | None = None,
    device: torch.device | str = "cpu",
) -> Walked:
    """Let `attacker` loose on all targets with at most `budget` queries each, beyond one pass through `candidates`.

    prior, targets, candidates, state_path: as in `invert`. The budget covers the choice of a starting point, the walk,
    and every repeat; a published search asks `candidates` once whatever the attacker repeats later. So no attacker
    spends more than len(targets) * budget + len(candidates), and two of them with one seed see the same candidates
    and directions. Raises InputError for a budget below what the starting point and one pass cost.
    """
    left = count("budget", budget) - (attacker.start.queries if attacker.start else 0)
    if left < attacker.settings.pass_queries:
        least = budget - left + attacker.settings.pass_queries
        raise refuse("budget", budget, f"at least {least}, what {attacker.name} needs for its start and one pass")
    starts = sure_starts(oracle, prior, targets, candidates, rule=attacker.start, seed=seed, device=device)
    found = invert(
        oracle,
        prior,
        targets,
        start=starts.start,
        settings=replace(attacker.settings, query_limit=left),
        seed=seed,
        state_path=state_path,
        device=device,
    )
    return Walked(found, found.queries + starts.queries, starts.search_queries)


def register_walker(preset: Preset) -> Preset:
    """Registers a function of the settings of the attack that it departs from as an attacker of experiments."""
    usual = preset(BREP_MI)

    def run(oracle: LabelOracle, scene: Scene, state: Path | None) -> Attacked:
        found = walk(
            oracle,
            scene.prior,
            scene.targets,
            preset(scene.settings.attack),
            budget=scene.budget,
            seed=scene.seed,
            candidates=scene.candidates,
            state_path=state,
            device=scene.settings.device,
        )
        return Attacked(found.inversion, found.told())

    def about(base: BoundaryRepulsion) -> dict[str, Any]:
        attacker = preset(base)
        changed = {name: list(pair) for name, pair in deviations(attacker.settings).items()}
        return {"deviations": changed, "start": asdict(attacker.start) if attacker.start else None}

    ATTACKS.add(usual.name, Attack(usual.name, run, usual.exploits, usual.guarantee, about=about), preset)
    return preset


PRESETS = tuple(
    register_walker(preset)
    for preset in (published, patient, sure_start, repeated_queries, larger_spheres, noise_aware, disagreement)
)
