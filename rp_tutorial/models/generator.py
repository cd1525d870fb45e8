"""Generators of face images: the published one for 64x64 and a small one for a laptop.

Both are DCGAN-like and map z ~ N(0, I) to images in [0, 1]. How they are trained is in `training/gan.py`; how an
attack sees them is in `priors.py`.
"""

from functools import partial

from torch import Tensor, nn

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.models.small_faces import check_size

WIDTH = {32: 128, 64: 192}  # channels behind the linear layer of the small generator; they halve as the side doubles


class Generator(nn.Module):
    """The published generator for 64x64: z [B, latent_dim] -> images float [B, 3, 64, 64] in [0, 1].

    A linear layer to 512x4x4, then four 5x5 transposed convolutions of stride 2 and a sigmoid. Tensor names and shapes
    are those of the published checkpoint. Initialised from `seed`. Raises InputError for a z of another shape.
    """

    def __init__(self, latent_dim: int = 100, *, seed: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.size = count("latent_dim", latent_dim), 64
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.l1 = nn.Sequential(
                nn.Linear(latent_dim, 512 * 4 * 4, bias=False), nn.BatchNorm1d(512 * 4 * 4), nn.ReLU()
            )
            self.l2_5 = nn.Sequential(
                *map(partial(_doubled, 5), (512, 256, 128), (256, 128, 64)),
                nn.ConvTranspose2d(64, 3, 5, 2, padding=2, output_padding=1),
                nn.Sigmoid(),
            )

    def forward(self, z: Tensor) -> Tensor:
        return self.l2_5(self.l1(check_latent(z, self.latent_dim)).unflatten(1, (512, 4, 4)))


class SmallGenerator(nn.Module):
    """A DCGAN generator for a laptop: z [B, latent_dim] -> images float [B, 3, size, size] in [0, 1].

    size is 32 or 64; `width` channels at 4x4, halved whenever the side doubles (by default 128 for 32x32, 192 for
    64x64). Kernels are 4x4 with stride 2, which cover the image evenly. Initialised from `seed`.
    Source of the design: Radford et al. 2016.
    """

    def __init__(self, latent_dim: int, *, size: int = 32, width: int | None = None, seed: int = 0) -> None:
        super().__init__()
        self.latent_dim, self.size = count("latent_dim", latent_dim), check_size(size)
        self.width = count("width", WIDTH[size] if width is None else width, minimum=8)
        widths = [self.width // 2**level for level in range(3 if size == 32 else 4)]
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.seed_layer = nn.Sequential(
                nn.Linear(latent_dim, widths[0] * 4 * 4, bias=False),
                nn.Unflatten(1, (widths[0], 4, 4)),
                nn.BatchNorm2d(widths[0]),
                nn.ReLU(),
            )
            self.upscale = nn.Sequential(
                *map(partial(_doubled, 4), widths[:-1], widths[1:]),
                nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1),
                nn.Sigmoid(),
            )

    def forward(self, z: Tensor) -> Tensor:
        return self.upscale(self.seed_layer(check_latent(z, self.latent_dim)))


def check_latent(z: Tensor, latent_dim: int) -> Tensor:
    """`z` itself, if its shape is [B, latent_dim]."""
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise refuse("z", tuple(z.shape), f"latent vectors of shape [B, {latent_dim}]")
    return z


def _doubled(kernel: int, inputs: int, width: int) -> nn.Sequential:
    """Twice the side: a transposed convolution with a kernel of 4 or 5, BN, ReLU."""
    odd = kernel % 2
    doubling = nn.ConvTranspose2d(inputs, width, kernel, 2, padding=1 + odd, output_padding=odd, bias=False)
    return nn.Sequential(doubling, nn.BatchNorm2d(width), nn.ReLU())
