"""Smoothing without a float between the input and the noise: inputs on a grid, noise drawn exactly, in integers.

A float cannot hold x + eps, so what a net is given depends on x in its last bits, and a net that looks at these tells
two inputs apart whatever sigma is. Inputs that lie on a grid anyway (bytes of an image, a measured value with one
decimal) are integers X, and so is the noise K = round(eps / step): the net sees step (X + K), a function of an integer
sum. Since round(x / step + eps / step) = X + round(eps / step), this *is* Gaussian smoothing, of the net behind a
rounding to the grid, and certificates and theorems hold as they stand, for all inputs on the grid. Nothing is left to
the arithmetic but the sampler's own error, which is bounded and counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import mpmath
import torch
from torch import Tensor

from rp_tutorial.core.arguments import InputError, in_one_line, refuse
from rp_tutorial.oracles.noise import NoisyView

FIRST_BITS, MORE_BITS = 31, 32  # of the uniform integers: drawn always, and where the first leave it open
BITS = FIRST_BITS + MORE_BITS
GUIDE_BITS = 16  # of the first, enough to know almost every value
FARTHEST = 9.5  # standard deviations: beyond them lies less than the resolution of the integers
MOST_STEPS = 4096  # in sigma, as a table holds 19 times as many
LARGEST = 2**30  # index of an input, so that a sum with noise is exact
OFF_GRID = 1e-3  # of a step: what float32 has left of x / step near the edge of an image or a table


@dataclass(frozen=True, eq=False)
class Grid:
    """Inputs of the form origin + step * integer, one step and origin for all features or one each (tensors [d]).

    Images of bytes / 255: `Grid(step=1 / 255)`. A column of a table measured in tenths and standardised by mean m and
    deviation s: step 0.1 / s, origin -m / s.
    Raises InputError for a step that is not positive and finite.
    """

    step: float | Tensor
    origin: float | Tensor = 0.0

    def __post_init__(self) -> None:
        with in_one_line("step", "a number, or one for each feature"):
            steps = torch.as_tensor(self.step, dtype=torch.float64)
        if steps.ndim > 1 or not bool(((steps > 0) & steps.isfinite()).all()):
            raise refuse("step", self.step, "one positive finite number, or one for each feature")

    def indices(self, x: Tensor) -> Tensor:
        """The integers behind x [B, ...], int32. Raises InputError for an x off the grid or 2^30 steps away."""
        with in_one_line("grid", f"a step and an origin for x of {tuple(x.shape[1:])}"):
            step, origin = (self._like(number, x).expand(x.shape[1:]) for number in (self.step, self.origin))
        place = (x.double() - origin) / step
        found = place.round()
        off = (place - found).abs() > OFF_GRID
        if bool(off.any()):
            raise InputError(f"x: got {float(x[off][0]):.9g} off the grid, allowed are whole numbers of steps")
        if bool((found.abs() >= LARGEST).any()):
            raise InputError("x: got a value 2^30 steps from the origin, allowed are nearer ones")
        return found.int()

    def values(self, indices: Tensor, dtype: torch.dtype) -> Tensor:
        """What the net is given: a function of the integers alone."""
        return indices.to(dtype) * self._like(self.step, indices).to(dtype) + self._like(self.origin, indices).to(dtype)

    def view(self, net: Callable[[Tensor], Tensor], sigma: float, dtype: torch.dtype) -> NoisyView:
        """The net as the vote counter takes it, with integers in place of floats."""
        sample = partial(self.sample, sigma=sigma)
        return NoisyView(self.indices, lambda indices: net(self.values(indices, dtype)), factor=None, sample=sample)

    def sample(self, shape: tuple[int, ...], generator: torch.Generator, *, sigma: float) -> Tensor:
        """Noise round(eps / step), int32 of `shape`, eps ~ N(0, sigma^2): independent, each from 63 random bits."""
        first = torch.empty(shape, dtype=torch.int32, device=generator.device).random_(generator=generator)
        tables = [_table(sigma / step) for step in self._steps()]

        def more(places: Tensor) -> Tensor:
            return torch.empty_like(places).random_(2**MORE_BITS, generator=generator)

        if len(tables) == 1:
            return tables[0].at(first, more)
        return torch.stack([table.at(part, more) for table, part in zip(tables, first.unbind(-1), strict=True)], -1)

    def sampling_error(self, sigma: float, features: int) -> float:
        """A bound on the total variation between one noisy copy of `features` numbers and its exact law.

        Of n copies, n times that. Smaller than 1e-10 for an image; add it to alpha and to beta.
        """
        errors = [_table(sigma / step).error for step in self._steps()]
        return features / len(errors) * sum(errors)

    def _steps(self) -> list[float]:
        return torch.as_tensor(self.step, dtype=torch.float64).view(-1).tolist()

    def _like(self, number: float | Tensor, x: Tensor) -> Tensor:
        return torch.as_tensor(number, dtype=torch.float64, device=x.device)


@dataclass(frozen=True)
class _Table:
    """Where the uniform integers change from one value of the noise to the next: P[K <= k] 2^63, rounded down.

    Most integers are decided by their highest bits (`guide`), and the others are looked up among the thresholds: only
    for these the lower bits have to be drawn at all.
    """

    thresholds: Tensor
    guide: Tensor
    lowest: int
    error: float

    def at(self, first: Tensor, more: Callable[[Tensor], Tensor]) -> Tensor:
        """K for integers uniform in [0, 2^63): `first` [...] holds their highest bits, more(places) the others."""
        high, guide = first.reshape(-1), self.guide.to(first.device)
        found = guide.index_select(0, high >> (FIRST_BITS - GUIDE_BITS))
        open_ones = (found < 0).nonzero().view(-1)
        uniform = (high[open_ones].long() << MORE_BITS) | more(open_ones)
        thresholds = self.thresholds.to(first.device)
        found[open_ones] = torch.searchsorted(thresholds, uniform, right=True, out_int32=True)
        return found.add_(self.lowest).view(first.shape)


@lru_cache(maxsize=256)
def _table(steps: float) -> _Table:
    """The law of round(eps / step) for `steps` = sigma / step: P[K <= k] = Phi((k + 1/2) / steps)."""
    if not 0 < steps <= MOST_STEPS:
        raise refuse("step", f"one of which sigma has {steps:.3g}", f"a grid on which sigma has at most {MOST_STEPS}")
    farthest = int(FARTHEST * steps) + 2
    with mpmath.workprec(160):
        exact = (mpmath.ncdf((k + mpmath.mpf(1) / 2) / mpmath.mpf(steps)) for k in range(-farthest, farthest))
        thresholds = torch.tensor([min(int(p * 2**BITS), 2**BITS - 1) for p in exact], dtype=torch.int64)
    first = torch.arange(2**GUIDE_BITS, dtype=torch.int64) << (BITS - GUIDE_BITS)
    low, high = (
        torch.searchsorted(thresholds, edge, right=True) for edge in (first, first + (1 << (BITS - GUIDE_BITS)) - 1)
    )
    guide = torch.where(low == high, low, -1).int()
    return _Table(thresholds, guide, -farthest, (len(thresholds) + 2) * 2.0 ** -(BITS + 1))
