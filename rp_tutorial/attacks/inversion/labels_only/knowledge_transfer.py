"""Knowledge transfer with a conditional generator: the surrogate chooses what to ask, so that labels fall on targets.

Of Nguyen et al. 2023 ("Label-Only Model Inversion Attacks via Knowledge Transfer", LOKT) this is the loop: a generator
conditioned on the person makes images, the release labels them, the labels teach a surrogate, and the surrogate
teaches the generator. Theirs is an ACGAN trained from nothing on images, and the surrogate is inverted once more in the
end; here the generator is a normal law a person over the run's own prior (`conditional.py`), whose mean is the result,
and the surrogate a shadow's features with another last layer (`surrogates.py`), so that the loop takes seconds.
Budget: the total of all attackers, half of it on public images and samples of the prior, the rest in equal rounds.
"""

from pathlib import Path

import torch
from torch import Tensor

from rp_tutorial.attacks.distillation import CHUNK_ROWS, Answers, ask
from rp_tutorial.attacks.inversion.conditional import ConditionalLatents, Fitted
from rp_tutorial.attacks.inversion.registry import Attacked, attack, points
from rp_tutorial.attacks.inversion.surrogates import SurrogateScene, spent_on, transfer
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.data.faces.task import to_bytes
from rp_tutorial.models.priors import Prior
from rp_tutorial.oracles.base import LabelOracle

ROUNDS = 2  # of asking about what the generator makes
ASKING = Fitted(steps=30, divergence=0.4)  # near the prior, where labels still differ and teach ...
LAST_WORD = Fitted(divergence=0.02)  # ... and far out in the end


@attack(
    "knowledge transfer",
    needs=("images", "shadow", "accuracy"),
    exploits="that a surrogate which knows a little can choose the questions whose labels it needs",
    guarantee="none: what is asked is the attacker's choice, and every guarantee here is about one input, or adds up "
    "over the queries",
)
def knowledge_transfer(oracle: LabelOracle, scene: SurrogateScene, state: Path | None) -> Attacked:
    seed, device, prior = child_seed(Purpose.SURROGATE, scene.seed), scene.settings.device, scene.prior
    laws = ConditionalLatents(scene.targets.to(device), prior.latent_dim, seed=seed)
    images, before = scene.images[: len(scene.images) // 2], oracle.forward_passes
    left, labels = len(scene.images) - len(images), ask(oracle, images).labels
    for done in range(ROUNDS + 1):
        net = transfer(scene.shadow, images, labels, scene.num_classes, seed=seed, device=device)
        laws.learn(net, prior, ASKING if done < ROUNDS else LAST_WORD)
        if done < ROUNDS:
            made = pictures(laws, prior, left // ROUNDS + (done < left % ROUNDS))
            images, labels = torch.cat([images, made]), torch.cat([labels, ask(oracle, made).labels])
    answers = Answers(labels, len(labels), oracle.forward_passes - before)
    found = points(scene.targets, laws.mean, torch.zeros_like(laws.mean))
    return Attacked(found, spent_on(answers, net, scene))


@torch.no_grad()
def pictures(laws: ConditionalLatents, prior: Prior, number: int) -> Tensor:
    """`number` images of the laws as bytes, every target in turn: uint8 [number, 3, S, S]."""
    latents = laws.draw(-(-number // len(laws.targets))).flatten(0, 1)[:number]
    return torch.cat([to_bytes(prior(chunk)).cpu() for chunk in latents.split(CHUNK_ROWS)])
