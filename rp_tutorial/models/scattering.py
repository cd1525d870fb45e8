"""Features that no data made: wavelet scattering of images, for classifiers that may learn a linear layer at most.

Each wavelet of a fixed bank sees one direction at one scale; its modulus says how much of it there is, wherever it
stands, and averages over places are what remains. A second pass over the moduli finds what the first average lost.
"""

import math
from itertools import product

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, refuse

FREQUENCY, SPREAD, SLANT = 3 * math.pi / 4, 0.8, 0.5  # of the finest wavelet, as in the usual bank
ALIASES = (-2 * math.pi, 0.0, 2 * math.pi)  # a filter on pixels has a periodic spectrum


class Scattering(nn.Module):
    """Images float [B, C, S, S] -> features [B, C P, side, side] of P = `paths` = 1 + J L + L^2 J (J - 1) / 2.

    Nothing is learnt. `scales` J and `directions` L of the wavelets: each scale is twice as wide as the one before.
    Averages over side x side fields of the image, which is continued periodically: of the image itself, of the moduli
    of its wavelets, and of the moduli of the wider wavelets of each of these.
    Raises InputError for numbers below 1, and for a side that does not divide S.
    Source: Bruna and Mallat 2013; before a private linear layer Tramer and Boneh 2021.

    >>> features = rp.models.Scattering(32, scales=2, directions=8, side=4)
    >>> features(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 243, 4, 4])

    Chapter: comparisons/dp-sgd.
    """

    def __init__(self, size: int, *, scales: int = 2, directions: int = 8, side: int = 4) -> None:
        super().__init__()
        self.size, self.directions = count("size", size), count("directions", directions)
        count("scales", scales)
        if size % count("side", side):
            raise refuse("side", side, f"a divisor of size, {size}")
        self.paths = 1 + scales * directions + scales * (scales - 1) // 2 * directions**2
        self.average = nn.AvgPool2d(size // side)
        angles = [math.pi * k / directions for k in range(directions)]
        bank = [_wavelet(size, 2.0**scale, angle) for scale, angle in product(range(scales), angles)]
        self.register_buffer("bank", torch.stack(bank), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        first = self._moduli(x[:, :, None], 0)
        wider = enumerate(first.split(self.directions, dim=2)[:-1], start=1)
        second = [self._moduli(moduli.flatten(1, 2)[:, :, None], scale) for scale, moduli in wider]
        shape = (len(x), x.shape[1], -1, self.size, self.size)
        paths = [x[:, :, None], first, *(moduli.reshape(shape) for moduli in second)]
        return self.average(torch.cat(paths, dim=2).flatten(1, 2))

    def _moduli(self, x: Tensor, scale: int) -> Tensor:
        """[B, C, 1, S, S] -> the moduli of its wavelets from `scale` on, [B, C, W, S, S]."""
        return torch.fft.ifft2(torch.fft.fft2(x) * self.bank[scale * self.directions :]).abs()


def _wavelet(size: int, width: float, angle: float) -> Tensor:
    """Spectrum [S, S] of a Morlet wavelet: a wave under a Gaussian, less the Gaussian that makes its mean 0."""
    frequency = FREQUENCY / width
    wave = _bell(size, width, angle, frequency)
    still = _bell(size, width, angle, 0.0)
    return (wave - wave[0, 0] / still[0, 0] * still).float()


def _bell(size: int, width: float, angle: float, frequency: float) -> Tensor:
    """Spectrum of a Gaussian around `frequency` along `angle`: SPREAD width pixels wide, and wider across."""
    axis = 2 * math.pi * torch.fft.fftfreq(size, dtype=torch.float64)
    total = torch.zeros(size, size, dtype=torch.float64)
    for down, right in product(ALIASES, ALIASES):
        y, x = torch.meshgrid(axis + down, axis + right, indexing="ij")
        along, across = math.cos(angle) * x + math.sin(angle) * y - frequency, math.cos(angle) * y - math.sin(angle) * x
        total += torch.exp(-((SPREAD * width) ** 2) * (along**2 + (across / SLANT) ** 2) / 2)
    return total
