"""Attackers that experiments can let loose on a release: each registers itself by name, beside its code.

An attacker is a function of a label oracle and a scene, what it knows beside the labels. It says in one sentence what
it exploits and in another which guarantee its success contradicts, or why it contradicts none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import Decoder
from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion
from rp_tutorial.core.arguments import one_of
from rp_tutorial.core.registry import Registry
from rp_tutorial.oracles.base import LabelOracle


@dataclass(frozen=True)
class Found:
    """Where an attack began and ended, one latent a target, as `verdicts.evaluate` judges it.

    targets int64 [T]; start, latent float32 [T, d], rows of NaN for a target that was not found. kept_expansions
    int64 [T]: above 0 where the attack got away from its start.
    """

    targets: Tensor
    start: Tensor
    latent: Tensor

    @property
    def found(self) -> Tensor:
        return self.latent.isfinite().all(dim=1)

    @property
    def kept_expansions(self) -> Tensor:
        return (self.latent != self.start).any(dim=1).long()


@dataclass(frozen=True)
class Attacked:
    """What an attacker made of a release: `inversion`, a `Found` or something with its fields, and what it spent.

    `spent`: plain values for the results, `queries` (search_queries included) among them.
    """

    inversion: Any
    spent: dict[str, Any]


class Scene(Protocol):
    """What an attacker knows: prior of images, targets [T], pool of latents [P, d], queries a target, and a seed.

    `settings.attack` is the boundary attack of the run, `settings.device` where tensors live. Some scenes have more
    (`surrogates.py`); an attacker that needs it names it when it registers.
    """

    prior: Decoder
    targets: Tensor
    candidates: Tensor
    budget: int
    seed: int
    settings: Any


SEES = ("labels", "scores", "weights")
AttackerRun = Callable[[LabelOracle, Any, "Path | None"], Attacked]


@dataclass(frozen=True)
class Attack:
    """A registered attacker. about: base settings -> further facts for results. needs: attributes of the scene.

    sees: what of the model reaches it. Whoever sees more than labels meets undefended nets only, for contrast.
    """

    name: str
    run: AttackerRun
    exploits: str
    guarantee: str
    needs: tuple[str, ...] = ()
    sees: str = "labels"  # one of SEES
    about: Callable[[BoundaryRepulsion], dict[str, Any]] = field(default=lambda base: {})

    def described(self, base: BoundaryRepulsion) -> dict[str, Any]:
        """What results say of it."""
        told = {name: getattr(self, name) for name in ("name", "exploits", "guarantee", "sees")}
        return {**told, **self.about(base)}


ATTACKS: Registry[Attack] = Registry("attacker", "rp_tutorial.attacks.inversion")


def attack(
    name: str, *, exploits: str, guarantee: str, needs: tuple[str, ...] = (), sees: str = "labels"
) -> Callable[[AttackerRun], AttackerRun]:
    """Registers an attacker: `@attack("mine", exploits=..., guarantee=...)` above `def mine(oracle, scene, state)`.

    The function returns an `Attacked`; `state` is a path where a long attack may keep what it has. From then on the
    experiment `adaptive` sets it against every defence, and `--set attacker=mine` makes it the attack of `inversion`
    and `frontier`. sees: "labels", or for contrast "scores" or "weights". Raises InputError for a name that is taken.

    >>> @rp.attack("stays", exploits="nothing", guarantee="none")
    ... def stays(oracle, scene, state):
    ...     first = rp.attacks.inversion.points(scene.targets, scene.candidates[: len(scene.targets)])
    ...     return rp.attacks.inversion.Attacked(first, {"queries": 0})
    >>> rp.attacks.inversion.ATTACKS["stays"].exploits
    'nothing'

    Chapter: comparisons/adaptive.
    """
    one_of("sees", sees, SEES)
    return ATTACKS.registering(name, lambda run: Attack(name, run, exploits, guarantee, needs, sees))


def points(targets: Tensor, latents: Tensor, start: Tensor | None = None) -> Found:
    """A `Found` from latents [T, d], on the CPU; without `start` the attack is taken to have begun where it ended."""
    latents = latents.detach().to("cpu", torch.float32)
    return Found(targets.cpu(), latents if start is None else start.detach().to("cpu", torch.float32), latents)
