"""A white box that learns where a person's faces lie: a normal law of latents, through the net itself. It sees weights.

The step from GMI (one latent by gradients, Zhang et al. 2020, which is `white_box.py`) to KED-MI (a law of latents,
Chen et al. 2021) and PLG-MI (its loss, the margin of the logits, Yuan et al. 2023). A law cannot hide in one odd point
of the net; its mean is the result. For contrast: the very loop of `labels_only/knowledge_transfer.py`,
had its surrogate been the net.
"""

from dataclasses import replace
from pathlib import Path

import torch

from rp_tutorial.attacks.inversion.conditional import ConditionalLatents, Fitted
from rp_tutorial.attacks.inversion.contrast.opened import weights_of
from rp_tutorial.attacks.inversion.registry import Attacked, Scene, attack, points
from rp_tutorial.attacks.inversion.starts import check_targets
from rp_tutorial.oracles.base import LabelOracle

FITTED = Fitted(steps=120)


@attack(
    "distributional white box",
    sees="weights",
    exploits="gradients of the net, and that a whole law of faces has to be called the target",
    guarantee="none: for contrast only, as no defence of the release is asked",
)
def distributional(oracle: LabelOracle, scene: Scene, state: Path | None) -> Attacked:
    device, prior, net = scene.settings.device, scene.prior, weights_of(oracle)
    targets = check_targets(scene.targets, oracle.num_classes).to(device)
    how = replace(FITTED, steps=min(FITTED.steps, max(1, scene.budget // FITTED.draws)))
    laws = ConditionalLatents(targets, prior.latent_dim, seed=scene.seed).learn(net, prior, how)
    spent = {"queries": how.steps * how.draws * len(targets), "search_queries": 0}
    return Attacked(points(targets, laws.mean, torch.zeros_like(laws.mean)), spent)
