"""Priors: what an attacker knows about faces before the first query, as a map from a normal latent to an image.

A prior is made empty, from its sizes, and filled by training on public images (`training/fill_prior.py`) or by
`load_state_dict`. Which latent gives which person's label is the business of `attacks`, and so is any box on z.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, refuse
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.generator import Generator, SmallGenerator, check_latent


class Prior(nn.Module):
    """A map from latents z ~ N(0, I) to images: float32 [B, latent_dim] -> float32 [B, 3, S, S] in [0, 1].

    Subclasses define `forward`. Raises InputError for latents of another shape.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.latent_dim = count("latent_dim", latent_dim)

    @property
    def device(self) -> torch.device:
        """Where the prior's tensors are, and its latents have to be."""
        return next(iter((*self.parameters(), *self.buffers()))).device

    def latents(self, amount: int, *, seed: int) -> Tensor:
        """`amount` draws from N(0, I): [amount, latent_dim], the same for the same seed on every device."""
        generator = torch_generator(Purpose.LATENTS, seed)
        return torch.randn(count("amount", amount), self.latent_dim, generator=generator).to(self.device)


class PCAPrior(Prior):
    """The public mean plus a normal combination of the leading principal components, clipped to [0, 1].

    z_i is the score on component i in units of that component's standard deviation, so the prior has the mean and,
    up to the components left out and the clipping, the covariance of the public images.
    """

    def __init__(self, latent_dim: int = 64, *, size: int = 32) -> None:
        super().__init__(latent_dim)
        shape = (3, count("size", size), size)
        self.register_buffer("mean", torch.full(shape, 0.5))
        self.register_buffer("components", torch.zeros(latent_dim, *shape))  # orthonormal rows
        self.register_buffer("deviations", torch.ones(latent_dim))  # of the scores, largest first

    def forward(self, z: Tensor) -> Tensor:
        scores = check_latent(z, self.latent_dim) * self.deviations
        flat = torch.addmm(self.mean.flatten(), scores, self.components.flatten(1))
        return flat.view(len(z), *self.mean.shape).clamp(0, 1)

    def project(self, images: Tensor) -> Tensor:
        """Latents [B, latent_dim] of the nearest images in the span of the components (before clipping)."""
        return (images - self.mean).flatten(1) @ self.components.flatten(1).T / self.deviations


class DecoderPrior(Prior):
    """A net that maps latents to images in [0, 1], such as a GAN's generator or a VAE's decoder, as a Prior.

    `latent_dim` may be left out where the decoder has one itself. The weights may also be loaded into the decoder, as
    those of a published generator are.
    """

    def __init__(self, decoder: nn.Module, latent_dim: int | None = None) -> None:
        super().__init__(decoder.latent_dim if latent_dim is None else latent_dim)
        self.decoder = decoder

    def forward(self, z: Tensor) -> Tensor:
        return self.decoder(check_latent(z, self.latent_dim))


def new_prior(kind: str, *, size: int = 32, latent_dim: int = 64) -> Prior:
    """An empty prior of a kind, one of PRIORS, to be trained or to load a state dict into.

    "pca"; "vae" and "gan", a small generator trained in the one way or the other; "published", the generator of the
    paper's attack, for images of 64x64. Raises InputError for another kind or a size the kind does not have.
    """
    return PRIORS[one_of("kind", kind, PRIORS)](latent_dim, size=size)


def _published(latent_dim: int, *, size: int) -> Prior:
    if size != 64:
        raise refuse("size", size, "64, the only size of the published generator")
    return DecoderPrior(Generator(latent_dim))


def _small(latent_dim: int, *, size: int) -> Prior:
    return DecoderPrior(SmallGenerator(latent_dim, size=size))


PRIORS: dict[str, Callable[..., Prior]] = {"pca": PCAPrior, "vae": _small, "gan": _small, "published": _published}
