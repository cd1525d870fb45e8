"""Attackers that know the defence: boundary repulsion with other settings, under one budget, and what they prove.

A defence that met one attack with one set of constants has not been tried (Tramer et al. 2020). Each attacker here is a
function of the settings of the attack it departs from, and says in one sentence which guarantee it contradicts, or why
it contradicts none: a lower success rate of BREP-MI is a measurement, and no theorem of this book promises it. Two
attackers that walk through no boundary, the surrogates, are in `surrogates.py`; the choice of a starting point is in
`sure_starts.py`, the walk in `boundary_repulsion.py`.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert
from rp_tutorial.attacks.inversion.queries import Decoder
from rp_tutorial.attacks.inversion.registry import ATTACKS, Attack, Attacked, Scene
from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion, deviations
from rp_tutorial.attacks.inversion.sure_starts import SureStart, sure_starts
from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.oracles.base import LabelOracle

NEVER = 10**9  # patience of an attacker whose walk only the budget ends
Settings = Callable[[BoundaryRepulsion], BoundaryRepulsion]


@dataclass(frozen=True)
class Attacker:
    """An attacker on the boundary: how it walks, and where it starts."""

    name: str
    settings: BoundaryRepulsion
    start: SureStart | None  # None: the published rule, the first candidate that is labelled as the target


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
    state_path: str | Path | None = None,
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


def walker(
    name: str, *, exploits: str, guarantee: str, start: SureStart | None = None
) -> Callable[[Settings], Callable[[BoundaryRepulsion], Attacker]]:
    """Registers an attacker of experiments by its settings, a function of those of the attack that it departs from.

    `exploits` and `guarantee`: what its success says, as in `registry.attack`. The function becomes one that gives the
    `Attacker`.
    """

    def register(settings: Settings) -> Callable[[BoundaryRepulsion], Attacker]:
        @wraps(settings)
        def preset(base: BoundaryRepulsion) -> Attacker:
            return Attacker(name, settings(base), start)

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
            changed = {field: list(pair) for field, pair in deviations(settings(base)).items()}
            return {"deviations": changed, "start": start and asdict(start)}

        ATTACKS.add(name, Attack(name, run, exploits, guarantee, about=about), settings)
        return preset

    return register


def _to_the_end(base: BoundaryRepulsion) -> BoundaryRepulsion:
    return replace(base, patience=NEVER, rejected_limit=None, max_iterations=None)


@walker(
    "BREP-MI",
    exploits="nothing about the defence: the attack that the paper measures",
    guarantee="none: a success rate is a measurement, and no theorem of any defence here promises one",
)
def published(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """BREP-MI as `base` has it. It gives up by its own rules, often with some of the budget unspent."""
    return base


@walker(
    "patient BREP-MI",
    exploits="the whole budget, where the published rules give up early",
    guarantee="none: every guarantee here is about one release, or adds up over releases",
)
def patient(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """BREP-MI that walks until the budget is spent: what more queries buy without a thought about the defence."""
    return _to_the_end(base)


@walker(
    "sure start",
    exploits="that a first label may be luck: shares of answers around a candidate tell how deep inside it lies",
    guarantee="none: the guarantee compares two inputs within R, and this attacker compares inputs far apart",
    start=SureStart(),
)
def sure_start(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """The patient attacker, who looks around several candidates before it chooses where to begin."""
    return _to_the_end(base)


@walker(
    "repeated queries",
    exploits="fresh randomness, which averages out",
    guarantee="none: (R, alpha)-Robust Privacy and epsilon of randomized response hold for one release; of m, TV adds "
    "up to at most alpha + m beta, and epsilon to m epsilon. Against memoised answers it buys nothing",
)
def repeated_queries(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """Every probe is asked five times and the most frequent answer counts."""
    return replace(_to_the_end(base), repeats=5)


@walker(
    "larger spheres",
    exploits="a radius says nothing about what is beyond it",
    guarantee="none: the guarantee is about inputs within R of each other, and these probes are not",
)
def larger_spheres(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """The walk begins with spheres twice as large: what moves a picture further than the noise does."""
    return replace(_to_the_end(base), radius=2 * base.radius)


@walker(
    "noise-aware steps",
    exploits="two constants of the published attack that noise breaks: 29 of 32, and one answer at a step's end",
    guarantee="none: what a walk makes of released labels is post-processing, which no guarantee restricts",
    start=SureStart(),
)
def noise_aware(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """Spheres grow with up to a quarter of their points outside, and a step's end is asked five times.

    A wrong answer costs a walk little where it is one of 32 directions, and much where it decides on a step or lets
    one sphere in three fail the rule of 29 of 32. So queries go to the decisions, and the rule expects some lies.
    """
    needed = max(1, math.floor(0.75 * base.directions))
    return replace(_to_the_end(base), inside_needed=needed, confirmations=5)


@walker(
    "disagreement as signal",
    exploits="that a random release contradicts itself near a boundary, and that an abstaining one is silent there",
    guarantee="none: PREDICT bounds how often a released label is wrong; its ABSTAIN is a symbol like any other, "
    "and with N = 10 no radius within which it is unlikely is positive",
    start=SureStart(),
)
def disagreement(base: BoundaryRepulsion) -> BoundaryRepulsion:
    """Shares of answers instead of answers: a random release tells how near the boundary is by contradicting itself.

    A probe pulls by the share of its answers outside, and ABSTAIN, which is said near a boundary, is half outside.
    """
    return replace(noise_aware(base).settings, repeats=2, weigh="share", abstain_weight=0.5)
