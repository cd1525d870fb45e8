"""Where the Gaussian noise comes from: streams of fixed tiles, and the part of the noise a net can see.

Two facts carry the speed of `oracles/smoothing.py`, and both are exact.

*Tiles.* Noise is always drawn in tiles of one fixed shape, in order. However many tiles are processed together, the
n-th tile is the same, so results do not depend on the chunk size (a plain randn of another length would).

*What a net sees.* If the first layer is linear, W (x + sigma eps) = W x + sigma W eps, and W eps has the law of
z F with z ~ N(0, I_r), r = rank W and F the r non-zero rows of S V^T. Drawing z instead of eps costs r normals a
sample instead of d, and the matrix product of the first layer shrinks alike. A net whose first layer reads a single
feature needs a single normal. Nothing is approximated: the law of every label stays what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import refuse

LANES = 16  # generators taken in turn, so that as many cores can draw; a constant, or results would depend on cores
TILE_VALUES = {"cpu": 2**17, "cuda": 2**22}  # normals in a tile: enough to pay for a call, few enough for a cache
THIN_OUTPUTS = 16


@dataclass(frozen=True)
class NoisyView:
    """A net split where the noise enters: label logits of x + sigma eps are head(encode(x) + sigma z F).

    encode: [B, ...] -> [B, *shape]; factor F: [r, h] for a shape that ends in h (a linear layer acts on the last axis),
    or None where noise enters as it is (z has `shape` itself).
    """

    encode: Callable[[Tensor], Tensor]
    head: Callable[[Tensor], Tensor]
    factor: Tensor | None

    def noise_shape(self, encoded: Tensor) -> tuple[int, ...]:
        """Shape of one z, given the encoded batch."""
        return tuple(encoded.shape[1:]) if self.factor is None else (*encoded.shape[1:-1], self.factor.shape[0])

    def add_noise(self, encoded_rows: Tensor, z: Tensor, sigma: float) -> Tensor:
        """encoded_rows [R, *shape] plus sigma z F, in place."""
        if self.factor is None:
            return encoded_rows.add_(z, alpha=sigma)
        flat = encoded_rows.view(-1, encoded_rows.shape[-1])
        flat.addmm_(z.reshape(-1, z.shape[-1]).to(flat.dtype), self.factor, alpha=sigma)
        return encoded_rows


def noisy_view(net: nn.Module) -> NoisyView:
    """The cheapest exact view of `net`: through its first layer if that is an nn.Linear, else the input itself.

    Exact types only: a subclass may have a forward of its own, of which the weights say nothing.
    """
    if not (type(net) is nn.Sequential and len(net) > 1 and type(net[0]) is nn.Linear):
        return NoisyView(encode=lambda x: x, head=net, factor=None)
    first = net[0]
    rest = list(net[1:])
    if type(rest[0]) is nn.ReLU:
        rest[0] = nn.ReLU(inplace=True)  # the noisy rows are ours to overwrite
    return NoisyView(encode=first, head=_thin_head(nn.Sequential(*rest)), factor=visible_factor(first.weight))


def _thin_head(head: nn.Sequential) -> Callable[[Tensor], Tensor]:
    """`head`, with a last linear layer of few outputs taken as W h^T: the shape in which the product is fast.

    Same numbers up to rounding; for 64 inputs and 2 outputs about four times faster than h W^T on a CPU.
    """
    last = head[-1]
    if type(last) is not nn.Linear or last.out_features > THIN_OUTPUTS:
        return head
    body, bias = head[:-1], 0 if last.bias is None else last.bias[:, None]
    return lambda hidden: (last.weight @ body(hidden).T + bias).T


def visible_factor(weight: Tensor) -> Tensor:
    """F [r, h] with eps W^T ~ z F in law, for W [h, d], eps ~ N(0, I_d), z ~ N(0, I_r), r = rank W (at least 1).

    Directions whose singular value is below the rounding of a float32 product are dropped; W = 0 gives one zero row.
    """
    _, singular, vt = torch.linalg.svd(weight.detach().double().T, full_matrices=False)  # W^T = U S V^T
    floor = torch.finfo(torch.float32).eps * singular[0]
    rank = max(1, int((singular > floor).sum()))
    return (singular[:rank, None] * vt[:rank]).to(weight)


class NoiseStream:
    """Standard normal tiles of one fixed shape, the same sequence for the same seed whatever is asked at a time.

    Tile t comes from lane t modulo LANES; each lane is a generator of its own, so lanes can be drawn by different
    threads. Within a lane tiles must be drawn in order, by one thread at a time.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self.device = device
        lane_seeds = torch.randint(2**31, (LANES,), generator=torch.Generator().manual_seed(seed)).tolist()
        self._generators = [torch.Generator(device).manual_seed(lane_seed) for lane_seed in lane_seeds]

    def tile_rows(self, shape: tuple[int, ...]) -> int:
        """Rows of a tile whose row has `shape`; depends on the shape and the kind of device only."""
        values = TILE_VALUES.get(self.device.type, TILE_VALUES["cuda"])
        return max(1, values // max(1, torch.Size(shape).numel()))

    def draw(self, tile: int, shape: tuple[int, ...]) -> Tensor:
        """The next tile of its lane: [tile_rows, *shape]."""
        rows = self.tile_rows(shape)
        return torch.randn((rows, *shape), generator=self._generators[tile % LANES], device=self.device)

    def pieces(
        self, tiles: range, shape: tuple[int, ...], *, rows: int, at_least: int, at_most: int
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The tiles of one lane in pieces of at_most rows: their numbers in the whole stream [R], and z [R, *shape].

        Tiles smaller than at_least rows come several to a piece. No row from number `rows` on is given.
        """
        tile_rows = self.tile_rows(shape)
        together = -(-min(at_least, at_most) // tile_rows)
        for first in range(0, len(tiles), together):
            drawn = [self._numbered(tile, shape, rows) for tile in tiles[first : first + together]]
            row, z = drawn[0] if len(drawn) == 1 else map(torch.cat, zip(*drawn, strict=True))
            yield from zip(row.split(at_most), z.split(at_most), strict=True)

    def _numbered(self, tile: int, shape: tuple[int, ...], rows: int) -> tuple[Tensor, Tensor]:
        z, start = self.draw(tile, shape), tile * self.tile_rows(shape)
        z = z[: rows - start]
        return torch.arange(start, start + len(z), device=self.device), z

    def state(self) -> Tensor:
        """Where every lane stands: uint8 [LANES, bytes of a generator], on the CPU. There is nothing else to know."""
        return torch.stack([generator.get_state() for generator in self._generators])

    def restore(self, state: Tensor) -> None:
        """Goes back, or on, to where the lanes stood. Raises InputError for the state of another kind of device."""
        given = tuple(state.shape) if isinstance(state, Tensor) else type(state).__name__
        if not isinstance(state, Tensor) or state.ndim != 2 or len(state) != LANES:
            raise refuse("state", given, f"the noise stream's, of shape [{LANES}, bytes]")
        self._generators = [generator_from(lane, self.device) for lane in state]


class NoiseSet:
    """Vectors from the first tiles of a stream, in order, taken as they are needed; one tile is held at a time."""

    def __init__(self, stream: NoiseStream, shape: tuple[int, ...]) -> None:
        self._stream, self._shape, self._tile = stream, shape, 0
        self._left = torch.empty(0, *shape, device=stream.device)

    def take(self, n: int, *, at_most: int) -> Iterator[Tensor]:
        """The next n vectors, in pieces [<= at_most, *shape]."""
        while n:
            if not len(self._left):
                self._left, self._tile = self._stream.draw(self._tile, self._shape), self._tile + 1
            piece, self._left = self._left[: min(n, at_most)], self._left[min(n, at_most) :]
            n -= len(piece)
            yield piece


def generator_from(state: Tensor, device: torch.device) -> torch.Generator:
    """A generator on `device` that goes on from what `get_state` gave. Raises InputError for anything else."""
    generator = torch.Generator(device)
    expected = generator.get_state()
    if not isinstance(state, Tensor) or (state.dtype, state.shape) != (expected.dtype, expected.shape):
        given = f"{state.dtype} {tuple(state.shape)}" if isinstance(state, Tensor) else type(state).__name__
        raise refuse("state", given, f"the {len(expected)} bytes of a generator on {device.type}")
    try:
        generator.set_state(state.cpu().clone())  # of its own: torch 2.14 crashes on a row of a larger tensor
    except RuntimeError as error:
        raise refuse("state", str(error), f"what a generator on {device.type} has given") from error
    return generator
