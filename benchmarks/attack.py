"""The attack against the published algorithm run one target at a time: same oracle, same starting points, one run.

*The published algorithm* is that of the authors' code (Kahla et al. 2022, attack_single_target): one target after the
other, the 32 points of a sphere in one batch through prior and oracle, then the end of the step. It is spared the
evaluator, which the authors ask at every expansion; ours asks it once, at the end. Both have the settings of the
experiments, for fewer passes; directions are drawn anew, so the success rates are two samples of one law.
Behind VOTE(10) each answer costs ten passes of the net, and most of the time is spent there by either.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from benchmarks.rounds import compared, fastest, growth, measure
from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion, invert
from rp_tutorial.attacks.inversion.settings import BoundaryRepulsion
from rp_tutorial.attacks.inversion.verdicts import evaluate
from rp_tutorial.core.directions import on_sphere
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces.inversion import BOUNDED, PROFILES, Arm, InversionLab
from rp_tutorial.oracles.base import LabelOracle

DEFENCES = {"no defence": Arm("none"), "VOTE(10)": Arm("smoothing", 0.18, 10)}
TARGETS = (5, 10, 20, 40)


def lab_of(*, smoke: bool) -> InversionLab:
    """Drawn people, a net trained on them, an evaluator and a prior."""
    sizes = {"identities": 40, "train_images": 60, "public_images": 1000, "images_seen": 30_000,
             "evaluator_images_seen": 12_000, "targets": 40, "pool": 4000}  # fmt: skip
    few = {"images_seen": 1600, "evaluator_images_seen": 800, "targets": 4}
    attack = dataclasses.replace(BOUNDED, patience=10, rejected_limit=15, max_iterations=4 if smoke else 30)
    settings = dataclasses.replace(PROFILES["smoke"], **(few if smoke else sizes), attack=attack)
    return InversionLab(settings, data="synthetic", seed=0, stages=Stages("inversion"))


def published(
    oracle: LabelOracle, lab: InversionLab, target: int, z: Tensor, settings: BoundaryRepulsion, seed: int
) -> tuple[Tensor, int]:
    """The latent at the last expansion that was kept, and how many were."""
    generator = torch_generator(Purpose.BENCHMARK_NOISE, seed)
    radius, since, rejected, kept, found = settings.radius, 0, 0, 0, z

    def inside(points: Tensor) -> Tensor:
        return oracle(lab.prior(points)) == target

    for _ in range(settings.max_iterations):
        units = on_sphere(settings.directions, len(z), generator=generator)
        hits = inside(z + radius * units)
        step = min(radius * settings.step_fraction, settings.step_limit)
        grows = int(hits.sum()) >= settings.inside_needed
        before, radius = radius, radius * (settings.expansion if grows else 1)
        push = ((hits.float() - 1)[:, None] * before * units).mean(dim=0) / radius
        moved = (z + step * push).clamp(-settings.latent_clamp, settings.latent_clamp)
        if bool(inside(moved[None])[0]):
            z, rejected = moved, 0
            found, kept = (moved, kept + 1) if grows else (found, kept)
            since = 0 if grows else since + 1
        else:
            rejected, since = rejected + 1, 0 if grows else since
        if since >= settings.patience or rejected >= settings.rejected_limit:
            break
    return found, kept


@torch.inference_mode()
def one_by_one(oracle: LabelOracle, lab: InversionLab, starts: Inversion) -> Inversion:
    """The published algorithm on every target that has a starting point."""
    latent, kept = starts.start.clone(), torch.zeros_like(starts.kept_expansions)
    for row in starts.found.nonzero()[:, 0].tolist():
        target = int(starts.targets[row])
        latent[row], kept[row] = published(oracle, lab, target, starts.start[row], lab.settings.attack, row)
    return dataclasses.replace(starts, latent=latent, kept_expansions=kept)


def against_published(lab: InversionLab, defence: str, targets: int, rounds: int) -> dict[str, Any]:
    """A row: the ratio of times a target, and the success rates of both."""
    oracle, wanted, found = lab.oracle(DEFENCES[defence], Purpose.ATTACK), lab.targets[:targets], {}
    settings = dataclasses.replace(lab.settings.attack, max_iterations=1)
    starts = invert(oracle, lab.prior, wanted, seed=0, candidates=lab.candidates, settings=settings)

    def ours() -> None:
        how = {"start": starts.start, "settings": lab.settings.attack}
        found["ours"] = invert(oracle, lab.prior, wanted, seed=0, **how)

    def one_at_a_time() -> None:
        found["published"] = one_by_one(oracle, lab, starts)

    seconds = measure({"published": one_at_a_time, "ours": ours}, rounds, warm=False)
    row = compared(seconds, "published", "ours", case=defence, job="inversion", targets=len(wanted))
    for name, inversion in found.items():
        verdicts = evaluate(inversion, lab.prior, lab.evaluator, *lab.private_images)
        row |= verdicts.asr().told(f"asr_{name}")
        row[f"seconds_{name}"] = fastest(seconds[name]) / len(wanted)
    return row


def against_targets(lab: InversionLab, *, smoke: bool) -> dict[str, Any]:
    """Seconds of equally many passes for more and more targets, the fastest of some rounds."""
    sizes = TARGETS[:2] if smoke else TARGETS
    settings = dataclasses.replace(lab.settings.attack, patience=1000, rejected_limit=None, max_iterations=4)
    oracle, size = lab.oracle(DEFENCES["no defence"], Purpose.ATTACK), lab.prior.latent_dim
    start = 0.3 * torch.randn(TARGETS[-1], size, generator=torch_generator(Purpose.BENCHMARK_INPUTS))

    def attack(number: int) -> Inversion:
        targets = torch.arange(number) % lab.num_classes
        return invert(oracle, lab.prior, targets, seed=0, start=start[:number], settings=settings)

    jobs = {str(number): lambda number=number: attack(number) for number in sizes}
    seconds = measure(jobs, 1 if smoke else 7)
    times = [fastest(seconds[str(number)]) for number in sizes]
    return growth("seconds", "targets", sizes, times, case="attack, no defence")


def measured(*, smoke: bool) -> dict[str, list[dict[str, Any]]]:
    """Rows of ratios (`attacks`), and of growth."""
    lab = lab_of(smoke=smoke)
    sizes = {"no defence": (4, 1), "VOTE(10)": (4, 1)} if smoke else {"no defence": (40, 3), "VOTE(10)": (40, 1)}
    rows = [against_published(lab, defence, *size) for defence, size in sizes.items()]
    return {"attacks": rows, "growth": [against_targets(lab, smoke=smoke)]}
