"""A search without gradients: for every target a normal law of latents that learns where its label lies.

The cross-entropy method, with labels for a fitness: the centre moves to the mean of the latents that were called the
target, and the spread grows while most of them are. So it climbs the share of the target among the answers around a
centre, which is the target's score behind a random release and a smoothed indicator of its region behind an honest one.
The walk of `boundary_repulsion.py` learns from what is outside of a sphere, this one from what is inside of a cloud.
`climb` knows nothing of labels: `contrast/evolution.py` runs it on scores.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import LatentQueries
from rp_tutorial.attacks.inversion.registry import Attacked, Scene, attack, points
from rp_tutorial.attacks.inversion.starts import check_targets
from rp_tutorial.core.arguments import closed_unit, count, positive, refuse
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.oracles.base import LabelOracle

Judge = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Cloud:
    """How the normal law of a target learns."""

    population: int = 66  # latents a generation
    rate: float = 0.5  # of the way to the mean of the chosen latents
    spread: float = 1.0  # first standard deviation: that of the prior
    growth: float = 1.1  # of the spread after a generation in which more than `wanted` were good, else it shrinks by it
    wanted: float = 0.3  # so that the cloud is wider than the region, and its middle shows
    latent_clamp: float | None = 3.0  # the centre stays where the prior makes good images

    def __post_init__(self) -> None:
        count("population", self.population), closed_unit("rate", self.rate), closed_unit("wanted", self.wanted)
        positive("spread", self.spread)
        if positive("growth", self.growth) < 1:
            raise refuse("growth", self.growth, "a number of at least 1")


CLOUD = Cloud()


def climb(judge: Judge, centre: Tensor, *, generations: int, cloud: Cloud, seed: int) -> Tensor:
    """Centres [T, d] after so many generations of `cloud.population` latents a target around the centres given.

    judge: latents [T, P, d] and centres [T, d] -> the weight of every latent, at least 0, [T, P], and the share of good
    ones [T]. A generation in which nothing of a target has weight leaves its centre. The draws depend on seed and
    generation alone.
    """
    spread = torch.full_like(centre[:, :1], cloud.spread)
    shape = len(centre), cloud.population, centre.shape[1]
    for generation in range(count("generations", generations, minimum=0)):
        drawn = torch.randn(*shape, generator=torch_generator(Purpose.CLOUD, seed, generation)).to(centre.device)
        latents = centre[:, None] + spread[:, None] * drawn
        weights, share = judge(latents, centre)
        total = weights.sum(dim=1, keepdim=True)
        mean = (weights[:, :, None] * latents).sum(dim=1) / total.clamp_min(1e-12)
        centre = torch.where(total > 0, centre + cloud.rate * (mean - centre), centre)
        if cloud.latent_clamp is not None:
            centre = centre.clamp(-cloud.latent_clamp, cloud.latent_clamp)
        spread = torch.where((share > cloud.wanted)[:, None], spread * cloud.growth, spread / cloud.growth)
    return centre


@attack(
    "cross-entropy search",
    exploits="that labels of many latents, averaged, tell where a region's middle is, lies among them or not",
    guarantee="none: what a search makes of released labels is post-processing, which no guarantee restricts",
)
def cross_entropy(oracle: LabelOracle, scene: Scene, state: Path | None) -> Attacked:
    device, targets = scene.settings.device, check_targets(scene.targets, oracle.num_classes)
    own, queries = targets.to(device), LatentQueries(oracle, scene.prior, repeats=1, device=device)

    def judge(latents: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
        inside = (queries.ask(latents.flatten(0, 1)).view(latents.shape[:2]) == own[:, None]).float()
        return inside, inside.mean(dim=1)

    start = _middles(queries, scene.candidates.to(device, torch.float32), own)
    known = start.isfinite().all(dim=1)
    own, cloud = own[known], replace(CLOUD, latent_clamp=scene.settings.attack.latent_clamp)
    generations = scene.budget // cloud.population
    end = start.clone()
    end[known] = climb(judge, start[known], generations=generations, cloud=cloud, seed=scene.seed)
    asked = len(scene.candidates) + generations * cloud.population * len(own)
    spent = {"queries": asked, "search_queries": len(scene.candidates), "forward_passes": queries.forward_passes}
    return Attacked(points(targets, end, start), spent)


def _middles(queries: LatentQueries, candidates: Tensor, targets: Tensor) -> Tensor:
    """The mean [T, d] of the candidates that the release calls each target; NaN where it calls none so."""
    called = (queries.ask(candidates) == targets[:, None]).float()
    return (called @ candidates) / called.sum(dim=1, keepdim=True)
