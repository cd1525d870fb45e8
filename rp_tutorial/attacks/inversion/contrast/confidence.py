"""The confidence attack: follow the gradient of the target's own confidence from a mean face. It sees weights.

Fredrikson, Jha and Ristenpart 2015 (MI-Face), the first inversion of a face recogniser, for contrast: who holds the net
needs no query. Their descent runs on pixels or, with an autoencoder, in its latent space ("Process-DAE"); here in that
of the run's prior, from its mean. One thing is added: a step that would lower the confidence is halved instead, so that
the confidence never falls.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.contrast.opened import weights_of
from rp_tutorial.attacks.inversion.registry import Attacked, Scene, attack, points
from rp_tutorial.attacks.inversion.starts import check_targets
from rp_tutorial.core.arguments import count
from rp_tutorial.models.priors import Prior
from rp_tutorial.oracles.base import LabelOracle

ENOUGH = 0.99  # confidence at which the published attack ends
FIRST_STEP = 1.0  # in latent standard deviations, along the gradient's direction


def raise_confidence(net: nn.Module, prior: Prior, targets: Tensor, start: Tensor, *, steps: int) -> list[Tensor]:
    """The path of latents [T, d] from `start`, at most `steps` longer: the confidence in targets [T] never falls on it.

    net: images -> logits. A target stands still once the net is `ENOUGH` sure of it. Every step costs one evaluation of
    the net with its gradient and one without.
    """

    def sure(z: Tensor) -> Tensor:
        return net(prior(z)).log_softmax(dim=1).gather(1, targets[:, None])[:, 0]

    path, length = [start], torch.full_like(start[:, :1], FIRST_STEP)
    for _ in range(count("steps", steps, minimum=0)):
        here = path[-1].clone().requires_grad_()
        now = sure(here)
        (slope,) = torch.autograd.grad(now.sum(), here)
        open_ = now.detach() < torch.log(torch.tensor(ENOUGH))
        if not bool(open_.any()):
            break
        with torch.no_grad():
            ahead = path[-1] + length * nn.functional.normalize(slope, dim=1)
            better = ((sure(ahead) >= now) & open_)[:, None]
            path.append(torch.where(better, ahead, path[-1]))
            length = torch.where(better, length, length / 2)
    return path


@attack(
    "confidence attack",
    sees="weights",
    exploits="gradients of the confidence in the target, which a label-only interface does not give",
    guarantee="none: for contrast only, as no defence of the release is asked",
)
def confidence_attack(oracle: LabelOracle, scene: Scene, state: Path | None) -> Attacked:
    device, prior, net = scene.settings.device, scene.prior.eval(), weights_of(oracle)
    targets = check_targets(scene.targets, oracle.num_classes).to(device)
    start = torch.zeros(len(targets), prior.latent_dim, device=device)
    path = raise_confidence(net, prior, targets, start, steps=scene.budget // 2)
    spent = {"queries": 2 * (len(path) - 1) * len(targets), "search_queries": 0}
    return Attacked(points(targets, path[-1], start), spent)
