"""A conditional generator over a prior: for every target a normal law of latents, learnt through a net with gradients.

Published attacks train a class-conditional GAN (LOKT, PLG-MI) or a normal law in front of one (KED-MI). Over a prior
whose latents are N(0, I) the law alone does it, and no discriminator is needed: how far it may leave faces is a
divergence in closed form. Who owns the net decides what the attacker saw: a surrogate of its own
(`labels_only/knowledge_transfer.py`), or the very net (`contrast/distributions.py`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.priors import Prior


@dataclass(frozen=True)
class Fitted:
    """How the laws are learnt: steps of Adam, each on `draws` latents of every target."""

    steps: int = 60
    draws: int = 8
    learning_rate: float = 0.05
    divergence: float = 0.02  # weight of KL(law || prior) against the margin of the logits

    def __post_init__(self) -> None:
        count("steps", self.steps), count("draws", self.draws)
        positive("learning_rate", self.learning_rate), positive("divergence", self.divergence)


class ConditionalLatents(nn.Module):
    """For each of `targets` int64 [T] a law N(mean, spread^2) with independent coordinates, at first N(0, I)."""

    def __init__(self, targets: Tensor, latent_dim: int, *, seed: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(len(targets), latent_dim, device=targets.device))
        self.log_spread = nn.Parameter(torch.zeros_like(self.mean))
        self.targets, self._generator = targets, torch_generator(Purpose.CLOUD, seed)

    def draw(self, number: int) -> Tensor:
        """Latents of every target, new ones at every call: [number, T, d], differentiable in the law."""
        noise = torch.randn(number, *self.mean.shape, generator=self._generator).to(self.mean.device)
        return self.mean + self.log_spread.exp() * noise

    def divergence(self) -> Tensor:
        """KL of the laws to N(0, I), in nats [T]."""
        variance = (2 * self.log_spread).exp()
        return 0.5 * (variance + self.mean.square() - 1 - 2 * self.log_spread).sum(dim=1)

    def learn(self, net: nn.Module, prior: Prior, how: Fitted) -> "ConditionalLatents":
        """Raise the expected margin of each target's logit in `net`, less the weighted divergence; both stay as they
        are. The loss of Yuan et al. 2023 with a closed form for the prior's part. Returns itself."""
        net.eval(), prior.eval()
        optimiser = torch.optim.Adam(self.parameters(), lr=how.learning_rate)
        own = self.targets.repeat(how.draws)
        for _ in range(how.steps):
            logits = net(prior(self.draw(how.draws).flatten(0, 1)))
            margin = own_margin(logits, own).mean()
            loss = how.divergence * self.divergence().mean() - margin
            for parameter, slope in zip(
                self.parameters(), torch.autograd.grad(loss, list(self.parameters())), strict=True
            ):
                parameter.grad = slope
            optimiser.step()
        return self


def own_margin(logits: Tensor, own: Tensor) -> Tensor:
    """The logit of class own [B] less the largest other, of logits [B, K]: [B]."""
    others = logits.scatter(1, own[:, None], -torch.inf)
    return logits.gather(1, own[:, None])[:, 0] - others.amax(dim=1)
