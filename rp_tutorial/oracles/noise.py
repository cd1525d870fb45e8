"""Where the Gaussian noise comes from: streams of fixed tiles, and the part of the noise a net can see.

Two facts carry the speed of `oracles/vote_counting.py`, and both are exact.

*Tiles.* Noise is always drawn in tiles of one fixed shape, each from a generator of its own. However many tiles are
processed together, in whatever order and by whichever core, the n-th tile is the same, so results do not depend on
the chunk size (a plain randn of another length would).

*What a net sees.* If the first layer is linear, W (x + sigma eps) = W x + sigma W eps, and W eps has the law of z F
with z ~ N(0, I_r) and F^T F = W W^T: the columns of W that are not zero, or, where these are more than its rows, the
triangle of a QR decomposition. Drawing z instead of eps costs r normals a sample instead of d, and the matrix product
of the first layer shrinks alike. A net whose first layer reads a single feature needs a single normal. Nothing is
approximated and no direction is dropped for being small: the law of every label stays what it was.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, in_one_line, refuse
from rp_tutorial.core.streams import Purpose, numbered_generator
from rp_tutorial.verification.reading import is_plain

TILE_VALUES = {"cpu": 2**17, "cuda": 2**22}  # normals in a tile: enough to pay for a call, few enough for a cache
THIN_OUTPUTS = 16


Sample = Callable[[tuple[int, ...], torch.Generator], Tensor]  # z of a shape, from a generator on the right device


def standard_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """In float32, whatever the caller's default is."""
    return torch.randn(shape, generator=generator, device=generator.device, dtype=torch.float32)


@dataclass(frozen=True)
class NoisyView:
    """A net split where the noise enters: label logits of x + sigma eps are head(encode(x) + sigma z F).

    encode: [B, ...] -> [B, *shape]; factor F: [r, h] for a shape that ends in h (a linear layer acts on the last axis),
    or None where noise enters as it is (z has `shape` itself).
    """

    encode: Callable[[Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    factor: Tensor | None
    sample: Sample = standard_normal

    def noise_shape(self, encoded: Tensor) -> tuple[int, ...]:
        """Shape of one z, given the encoded batch."""
        return tuple(encoded.shape[1:]) if self.factor is None else (*encoded.shape[1:-1], self.factor.shape[0])

    def add_noise(self, encoded_rows: Tensor, z: Tensor, sigma: float) -> Tensor:
        """encoded_rows [R, *shape] plus sigma z F, in place. Integers z have the size of sigma already (`grid.py`)."""
        if self.factor is None:
            return encoded_rows.add_(z, alpha=sigma if z.is_floating_point() else 1)
        flat = encoded_rows.view(-1, encoded_rows.shape[-1])
        flat.addmm_(z.reshape(-1, z.shape[-1]).to(flat.dtype), self.factor, alpha=sigma)
        return encoded_rows


def split_view(net: nn.Module, factor_of: Callable[[Tensor], Tensor]) -> NoisyView | None:
    """The view of `net` through its first layer, if that is an nn.Linear with something behind it.

    Only layers of exactly that type, to which nothing was added: of a forward or a hook of their own the weights say
    nothing. Whoever has a net from somewhere else compares the view with the net before it counts (`oracles.net`).
    factor_of: `visible_factor`, or what else noise is seen as through a weight.
    """
    if not (is_plain(net, nn.Sequential) and len(net) > 1 and is_plain(net[0], nn.Linear)):
        return None
    first, *rest = net
    if is_plain(rest[0], nn.ReLU):
        rest[0] = nn.ReLU(inplace=True)  # the noisy rows are ours to overwrite
    return NoisyView(encode=first, head=_thin_head(nn.Sequential(*rest)), factor=factor_of(first.weight))


def _thin_head(head: nn.Sequential) -> Callable[[Tensor], Tensor]:
    """`head`, with a last linear layer of few outputs taken as W h^T: the shape in which the product is fast.

    Same numbers up to rounding; for 64 inputs and 2 outputs about four times faster than h W^T on a CPU.
    """
    last = head[-1]
    if not is_plain(last, nn.Linear) or last.out_features > THIN_OUTPUTS:
        return head
    body, bias = head[:-1], 0 if last.bias is None else last.bias[:, None]
    return lambda hidden: (last.weight @ body(hidden).T + bias).T


def noise_map(scale: ArrayLike) -> Tensor:
    """A [d, r] with noise sigma A z, float64: from one factor a feature [d], 0 for none, or from A itself [d, d].

    Raises InputError for other shapes, values that are not finite, factors below 0 and no noise at all.
    """
    with in_one_line(
        "noise_scale", "finite numbers [d] or a matrix [d, d], not all 0", what=f"{type(scale).__name__}: "
    ):
        found = torch.tensor(np.asarray(scale, dtype=np.float64))
    square = found.ndim == 2 and found.shape[0] == found.shape[1]
    if not (square or found.ndim == 1) or not bool(found.isfinite().all()) or not bool((found != 0).any()):
        raise refuse("noise_scale", f"shape {tuple(found.shape)}", "finite numbers [d] or a matrix [d, d], not all 0")
    if found.ndim == 1 and bool((found < 0).any()):
        raise refuse("noise_scale", float(found.min()), "factors from 0")
    return found if square else torch.diag(found)[:, found > 0]


def visible_factor(weight: Tensor) -> Tensor:
    """F [r, h] with eps W^T ~ z F in law, for W [h, d], eps ~ N(0, I_d), z ~ N(0, I_r).

    r is the number of columns of W that are not zero, at least 1 and at most h. A QR decomposition errs by the
    rounding of each row of W by itself, however much larger another row is.
    """
    weight = weight.detach()
    seen = weight[:, (weight != 0).any(dim=0)]
    if not seen.shape[1]:
        return torch.zeros_like(weight[:, :1].T)
    if seen.shape[1] <= len(weight):
        return seen.T.contiguous()
    return torch.linalg.qr(seen.T.to("cpu", torch.float64), mode="r").R.to(weight)  # an accelerator may lack float64


@dataclass
class NoiseStream:
    """Tiles of one fixed shape, standard normal or of another law.

    Tile t of a seed is the same whoever draws it, when and beside what.

    `tile` is the next that was not taken. With the seed it is all there is to know of a stream.
    Raises InputError for a seed below 0 and a tile that the seed does not have: there are 2^32 on a CPU.
    """

    seed: int
    device: torch.device
    tile: int = 0
    purpose: Purpose = Purpose.SMOOTHING_NOISE

    def __post_init__(self) -> None:
        self._generator(count("tile", self.tile, minimum=0))

    def tile_rows(self, shape: tuple[int, ...]) -> int:
        """Rows of a tile whose row has `shape`; depends on the shape and the kind of device only."""
        values = TILE_VALUES.get(self.device.type, TILE_VALUES["cuda"])
        return max(1, values // max(1, torch.Size(shape).numel()))

    def take(self, tiles: int) -> range:
        """The numbers of the next tiles, which nobody is given again."""
        first, self.tile = self.tile, self.tile + tiles
        return range(first, self.tile)

    def draw(self, tile: int, shape: tuple[int, ...], sample: Sample = standard_normal) -> Tensor:
        """Tile number `tile`: [tile_rows, *shape]."""
        return sample((self.tile_rows(shape), *shape), self._generator(tile))

    def _generator(self, tile: int) -> torch.Generator:
        return numbered_generator(tile, self.purpose, count("seed", self.seed, minimum=0), device=self.device)


class NoiseSet:
    """Vectors from the next tiles of a stream, in order, taken as they are needed; one tile is held at a time."""

    def __init__(self, stream: NoiseStream, shape: tuple[int, ...], sample: Sample = standard_normal) -> None:
        self._stream, self._shape, self._sample = stream, shape, sample
        self._left = torch.empty(0, *shape, device=stream.device)

    def take(self, n: int, *, at_most: int) -> Iterator[Tensor]:
        """The next n vectors, in pieces [<= at_most, *shape]."""
        while n:
            if not len(self._left):
                self._left = self._stream.draw(*self._stream.take(1), self._shape, self._sample)
            piece, self._left = self._left[: min(n, at_most)], self._left[min(n, at_most) :]
            n -= len(piece)
            yield piece
