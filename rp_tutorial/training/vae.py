"""Training a VAE's decoder as a prior of faces (Kingma and Welling 2014), on public images.

The decoder is the prior; the encoder is what training needs beside it, and tells afterwards which latent the prior has
for a given image. Gaussian pixels of a fixed deviation: the smaller it is, the sharper the pictures and the further
the codes of real images lie from the N(0, I) that the attacker draws from.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.models.priors import DecoderPrior
from rp_tutorial.training import image_batches

FAST = torch.channels_last
PIXEL_SIGMA = 0.25  # of the decoder's pixels, in units [0, 1]
WARM_UP = 0.2  # share of the steps over which the KL term grows to its full weight, so that codes do not die early


class Encoder(nn.Module):
    """Images float [B, 3, size, size] in [0, 1] -> mean and log-variance of their codes, both [B, latent_dim]."""

    def __init__(self, latent_dim: int, *, size: int = 32, width: int = 32) -> None:
        super().__init__()
        halvings = round(math.log2(size / 4))
        if size != 4 * 2**halvings or halvings < 1:
            raise refuse("size", size, "8, 16, 32, 64 or another power of two")
        widths = [3, *(width * 2**level for level in range(halvings))]
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 16, 2 * latent_dim))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.layers(2 * x - 1).chunk(2, dim=1)
        return mean, log_variance.clamp(-12, 6)  # far outside what is ever right, and safe to exponentiate


def fit_vae(
    prior: DecoderPrior,
    public: Tensor,
    *,
    encoder: Encoder | None = None,
    epochs: int = 40,
    batch_size: int = 100,
    learning_rate: float = 2e-3,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> DecoderPrior:
    """Train `prior`, from fresh weights, as the decoder of a VAE on `public`; returns it in eval mode, on `device`.

    public uint8 [M, 3, S, S]. The loss is the negative evidence bound with pixels N(decoder(z), PIXEL_SIGMA^2).
    An `encoder` that is given is trained along, from fresh weights too. The images are mirrored at random.
    The same seed, images and number of threads give the same weights on a CPU.
    Raises InputError for images that are not bytes or not of the prior's size, or settings out of range.
    """
    image_batches.check_public(public, prior)
    place = check_device(device)
    steps = count("epochs", epochs) * image_batches.batches_an_epoch(len(public), batch_size)
    positive("learning_rate", learning_rate)
    purposes = Purpose.BATCH_ORDER, Purpose.AUGMENTATION, Purpose.CODE_NOISE
    order, moves, draws = (torch_generator(purpose, seed) for purpose in purposes)
    with global_stream(Purpose.LAYER_DRAWS, seed):
        encoder = Encoder(prior.latent_dim, size=public.shape[-1]) if encoder is None else encoder
        for net in (prior, encoder):
            image_batches.restarted(net).train().to(place, memory_format=FAST)
        public = public.to(place)
        optimiser = torch.optim.Adam([*prior.parameters(), *encoder.parameters()], lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for step, rows in enumerate(image_batches.epoch_batches(len(public), batch_size, order, epochs=epochs), 1):
            x = image_batches.augmented(public, rows, flips=True, shifts=0, generator=moves)
            x = x.contiguous(memory_format=FAST)
            mean, log_variance = encoder(x)
            noise = torch.randn(mean.shape, generator=draws).to(place)
            made = prior(mean + noise * (log_variance / 2).exp())
            mismatch = 1 / PIXEL_SIGMA**2 / 2 * (made - x).square().sum() / len(rows)
            divergence = kl_from_standard_normal(mean, log_variance).mean()
            image_batches.descend(optimiser, mismatch + min(1.0, step / (WARM_UP * steps)) * divergence)
            schedule.step()
    encoder.eval()
    return prior.eval()


def kl_from_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) in nats, one a row: [B, d] -> [B]."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
