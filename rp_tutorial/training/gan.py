"""Training a GAN's generator as a prior of faces, on public images: Wasserstein loss with gradient penalty.

Gulrajani et al. 2017, "Improved training of Wasserstein GANs", algorithm 1: a critic whose gradient is pulled to norm 1
on lines between real and made images, and which has no batch norm, since the penalty is meant image by image. The
generator kept is a running average of the one trained, which is steadier where training is short.
"""

import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.models.priors import DecoderPrior
from rp_tutorial.training import image_batches

FAST = torch.channels_last
PENALTY = 10.0  # lambda of the paper
STATISTICS_BATCHES = 40  # batches on which the averaged generator's batch norm is measured


class Critic(nn.Module):
    """Images float [B, 3, size, size] in [-1, 1] -> a score [B], higher for what looks real. No normalisation."""

    def __init__(self, *, size: int = 32, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs, side = 3, count("width", width), size
        while side > 4:
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
            inputs, outputs, side = outputs, 2 * outputs, side // 2
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(inputs * side * side, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).squeeze(1)


def fit_gan(
    prior: DecoderPrior,
    public: Tensor,
    *,
    epochs: int = 40,
    critic_steps: int = 3,
    batch_size: int = 64,
    learning_rate: float = 5e-4,
    critic_width: int = 32,
    average: float = 0.99,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> DecoderPrior:
    """Train `prior`, from fresh weights, as a WGAN-GP generator on `public`; returns it in eval mode, on `device`.

    public uint8 [M, 3, S, S]. The critic sees all images `epochs` times; after every `critic_steps` of its steps the
    generator takes one. Adam with betas 0 and 0.9 as in the paper, the learning rate falling to 0 over the second half.
    `average` is the weight of the past in the running average of the generator. The images are mirrored at random.
    The same seed, images and number of threads give the same weights on a CPU.
    Raises InputError for images that are not bytes or not of the prior's size, or settings out of range.
    """
    image_batches.check_public(public, prior)
    place = check_device(device)
    count("critic_width", critic_width)
    critic_batches = count("epochs", epochs) * image_batches.batches_an_epoch(len(public), batch_size)
    steps = max(1, critic_batches // count("critic_steps", critic_steps))
    positive("learning_rate", learning_rate)
    if not isinstance(average, int | float) or not 0 <= average < 1:
        raise refuse("average", average, "a number from 0 to below 1")
    purposes = Purpose.BATCH_ORDER, Purpose.AUGMENTATION, Purpose.GAN_LATENTS, Purpose.GAN_PENALTY
    order, moves, latents, points = (torch_generator(purpose, seed) for purpose in purposes)
    with global_stream(Purpose.LAYER_DRAWS, seed):
        critic = Critic(size=public.shape[-1], width=critic_width).to(place, memory_format=FAST)
        image_batches.restarted(prior).to(place, memory_format=FAST).train()
        kept = copy.deepcopy(prior)
        players = [torch.optim.Adam(net.parameters(), lr=learning_rate, betas=(0.0, 0.9)) for net in (prior, critic)]
        falling = [torch.optim.lr_scheduler.LambdaLR(player, _late_fall(steps)) for player in players]
        real_batches = _endless(public.to(place), batch_size, order, moves)
        for step in range(1, steps + 1):
            for _ in range(critic_steps):
                real = next(real_batches)
                with torch.no_grad():
                    made = _made(prior, len(real), latents)
                distance = critic(real).mean() - critic(made).mean()
                penalty = gradient_penalty(critic, real, made, points)
                image_batches.descend(players[1], PENALTY * penalty - distance)
            critic.requires_grad_(False)
            image_batches.descend(players[0], -critic(_made(prior, batch_size, latents)).mean())
            critic.requires_grad_(True)
            for schedule in falling:
                schedule.step()
            _average_into(kept, prior, min(average, step / (step + 10)))
        _measure_batch_norm(kept, batch_size, latents)
        prior.load_state_dict(kept.state_dict())
    return prior.eval()


def gradient_penalty(critic: nn.Module, real: Tensor, made: Tensor, generator: torch.Generator) -> Tensor:
    """Mean of (|gradient of the critic| - 1)^2 at one point, uniform on the line, between each real and made image.

    real, made [B, ...]; the norm is L2 over all of an image. A scalar that can itself be differentiated.
    """
    share = torch.rand(len(real), *[1] * (real.ndim - 1), generator=generator).to(real.device)
    between = (share * real + (1 - share) * made).detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def _endless(public: Tensor, batch_size: int, order: torch.Generator, moves: torch.Generator) -> Iterator[Tensor]:
    """Batches of real images in [-1, 1], epoch after epoch."""
    while True:
        for rows in image_batches.epoch_batches(len(public), batch_size, order, epochs=1):
            real = image_batches.augmented(public, rows, flips=True, shifts=0, generator=moves)
            yield (2 * real - 1).contiguous(memory_format=FAST)


def _made(prior: DecoderPrior, amount: int, generator: torch.Generator) -> Tensor:
    """Made images in [-1, 1]."""
    z = torch.randn(amount, prior.latent_dim, generator=generator).to(prior.device)
    return 2 * prior(z) - 1


def _late_fall(steps: int) -> Callable[[int], float]:
    return lambda step: min(1.0, 2 * (1 - step / (steps + 1)))


@torch.no_grad()
def _average_into(kept: nn.Module, trained: nn.Module, past: float) -> None:
    for mine, new in zip(kept.parameters(), trained.parameters(), strict=True):
        mine.lerp_(new, 1 - past)


def _measure_batch_norm(net: DecoderPrior, batch_size: int, generator: torch.Generator) -> None:
    """Batch norm's statistics for the weights as they now are: those of an average are not the average of those."""
    batches = (torch.randn(batch_size, net.latent_dim, generator=generator) for _ in range(STATISTICS_BATCHES))
    update_bn(batches, net, device=net.device)
