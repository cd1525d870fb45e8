"""A soft black box: the search of `labels_only/cross_entropy.py` with scores for a fitness. It sees scores.

What a confidence beside the label is worth to somebody without gradients: the same clouds, the same budget, and of
every generation the surest quarter instead of whatever was called the target. Evolution on scores is the black box of
An et al. 2022 (Mirror); Han et al. 2023 learn the same by reinforcement.
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.contrast.opened import Scores
from rp_tutorial.attacks.inversion.labels_only.cross_entropy import Cloud, climb
from rp_tutorial.attacks.inversion.registry import Attacked, Scene, attack, points
from rp_tutorial.oracles.base import LabelOracle

CLOUD = Cloud(population=32, wanted=0.2)  # a fifth of steps forward: the rule of Rechenberg for evolution strategies


@attack(
    "evolution on scores",
    sees="scores",
    exploits="confidences, which rank questions that all have the same label",
    guarantee="none: for contrast only, as no defence of the release is asked",
)
def evolution(oracle: LabelOracle, scene: Scene, state: Path | None) -> Attacked:
    scores, targets = Scores(oracle, scene.prior), scene.targets.to(scene.settings.device)

    def judge(latents: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        sure = scores.of_targets(torch.cat([centre[:, None], latents], dim=1), targets)
        centre_sure, sure = sure[:, :1], sure[:, 1:]
        least = sure.topk(max(1, sure.shape[1] // 4), dim=1).values[:, -1:]
        return (sure >= least).float(), (sure > centre_sure).float().mean(dim=1)

    start = _surest(scores, scene, targets)
    generations = scene.budget // (CLOUD.population + 1)
    clamp = scene.settings.attack.latent_clamp
    end = climb(judge, start, generations=generations, cloud=replace(CLOUD, latent_clamp=clamp), seed=scene.seed)
    return Attacked(points(targets, end, start), {"queries": scores.queries, "search_queries": len(scene.candidates)})


def _surest(scores: Scores, scene: Scene, targets: Tensor) -> Tensor:
    """Of the pool the latent [d] of which the net is surest that it shows the target, for every target: [T, d]."""
    candidates = scene.candidates.to(targets.device, torch.float32)
    return candidates[scores(candidates)[:, targets].argmax(dim=0)]
