"""Counting the votes of a net under Gaussian noise: noise, chunks of memory, cores, and when an input needs no more.

The engine under `smoothing.py`, where the rules are that turn votes into a release; this file knows none of them. The
noise and the part of it that a net can see are in `noise.py`, when a vote is decided in `votes.py`.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, positive, refuse
from rp_tutorial.core.labels import check_batch, labels_or_undecided, refuse_undecided
from rp_tutorial.core.streams import Purpose, unknown_seed
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.oracles.base import state_entry
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.net import CheckedNet
from rp_tutorial.oracles.noise import NoiseSet, NoiseStream, NoisyView, noise_map, split_view, visible_factor
from rp_tutorial.oracles.votes import votes_needed

NOISES = ("independent", "common", "fixed")
CHUNK_MIB = {"cpu": 8, "cuda": 512}  # noisy inputs in memory at a time, for each thread
# Of a table: what some layers make of it stays in a core's cache; a net of 8-128-128-10 takes two fifths less time.
TABLE_MIB = {"cpu": 1, "cuda": 512}
PARTS = 16  # of a job, for as many cores; a constant, or the rounding of a net in batches would depend on cores
# Of images several tiles go through a net together, and at least so many images: 168 of 32x32, of which one tile holds
# 42, take a small net a sixth less time an image, and on a card kernels would be over before the next are launched.
TILES_AT_ONCE, IMAGES_AT_ONCE = 4, {"cpu": 40, "cuda": 1024}


class VoteCounter:
    """Votes of `net`, which maps [B, ...] to logits [B, num_classes] and is put into eval mode, at x + sigma eps.

    The arguments are those of `Smoothing`, and checked there or here. The counts depend on the seed and on what was
    counted before, and not on `chunk_mib` or on cores.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        sigma: float,
        seed: int | None,
        noise: str,
        chunk_mib: float | None,
        grid: Grid | None,
        noise_scale: ArrayLike | None,
        **how: Any,
    ) -> None:
        if not isinstance(grid, Grid | None):
            raise refuse("grid", grid, "a Grid, or None")
        if grid is not None and noise_scale is not None:
            raise refuse("noise_scale", "one beside a grid", "one of the two")
        self.net, self.sigma = CheckedNet(net, **how), positive("sigma", sigma)
        self.noise = one_of("noise", noise, NOISES)
        self.device, self.num_classes, self.grid = self.net.device, self.net.num_classes, grid
        self._spread = None if noise_scale is None else noise_map(noise_scale)  # on the CPU: float64
        self.chunk_mib = None if chunk_mib is None else positive("chunk_mib", chunk_mib)
        self.forward_passes, self._split_holds = 0, False
        self._view: NoisyView | None = None
        self._weight, self._factor = torch.empty(0), torch.empty(0)
        self._begin(unknown_seed() if seed is None else seed)

    def __getstate__(self) -> dict[str, Any]:
        """For pickle: a view is made anew at the next call."""
        return {**vars(self), "_view": None}

    @torch.inference_mode()
    def count(self, x: Tensor, n: int, *, curtailed: bool = False, certifying: bool = False) -> Tensor:
        """Votes of n noisy copies of every input: x [B, ...] -> int64 [B, K] on the device, each row summing to n.

        curtailed: only up to the vote that decides an input. With noise of its own every input takes exactly what it
        needs; a shared set is taken in steps for all that are still open: what at least half of them need.
        certifying: with samples that no release ever meets.
        Raises InputError for a net that does not stand up to `CheckedNet.check`, or whose logits are not finite.
        """
        x, n = check_batch(self.net.as_batch(x)), count("n", n)
        if not len(x):
            return self._no_votes(x)[:, :-1]
        self._look_again(x)
        stream = self._for_certificates if certifying else self._stream
        with torch.autocast(self.device.type, enabled=False):  # a caller's own is not the net's
            return self._count(self._view.encode(x.to(self.device)), n, stream, curtailed=curtailed)

    def _count(self, encoded: Tensor, n: int, stream: NoiseStream, *, curtailed: bool) -> Tensor:
        """The votes of `count` for encoded inputs."""
        votes, rows = self._no_votes(encoded), torch.arange(len(encoded), device=self.device)
        stream = copy(stream) if self.noise == "fixed" else stream  # a copy: the next call begins there too
        shape, sample = self._view.noise_shape(encoded), self._view.sample
        shared = None if self.noise == "independent" else NoiseSet(stream, shape, sample)
        while True:
            refuse_undecided(int(votes[:, -1].sum()), int(votes.sum()))
            needed = votes_needed(votes[rows, :-1], n) if curtailed else n - votes[rows].sum(dim=1)
            rows, needed = rows[needed > 0], needed[needed > 0]
            if not len(rows):
                return votes[:, :-1]
            if shared is None:
                ends = needed.cumsum(0)
                owner_of = partial(torch.searchsorted, ends, right=True) if curtailed else lambda row: row // n
                votes[rows] += self._count_independent(encoded[rows], int(ends[-1]), owner_of, stream)
            else:
                needed = needed.median().expand_as(needed)
                votes[rows] += self._count_shared(encoded[rows], int(needed[0]), shared)
            self.forward_passes += int(needed.sum())

    def state(self) -> dict[str, Any]:
        """What it takes to go on with the same votes: the seed, where its two streams stand, what they belong to."""
        setting = {"noise": self.noise, "device": self.device.type, "forward_passes": self.forward_passes}
        tiles = {"tile": self._stream.tile, "certificate_tile": self._for_certificates.tile}
        return {**setting, "seed": self._stream.seed, **tiles}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, and changes nothing if it raises: InputError for another kind of noise or of device."""
        names = ("noise", "device", "forward_passes", "seed", "tile", "certificate_tile")
        noise, device, passes, *place = (state_entry(state, name) for name in names)
        given, own = f"one of {noise} noise on {device}", f"one of {self.noise} noise on {self.device.type}"
        if given != own:
            raise refuse("state", given, own)
        passes = count("forward_passes", passes, minimum=0)
        self._begin(*place)
        self.forward_passes = passes

    def _begin(self, seed: int, tile: int = 0, certificate_tile: int = 0) -> None:
        """The two streams of a seed, from the given tiles on."""
        stream = NoiseStream(seed, self.device, tile)
        self._for_certificates = NoiseStream(seed, self.device, certificate_tile, Purpose.CERTIFICATE_NOISE)
        self._stream = stream

    def _look_again(self, x: Tensor) -> None:
        """A net may have been trained since, or have got another layer: it is checked, and so is the view of it."""
        looked = self.net.check(x, spread=self.sigma)
        spread = None if self._spread is None else self._spread.T.to(self.device, x.dtype)
        if spread is not None and x.shape[1:] != spread.shape[1:]:
            raise refuse("noise_scale", f"one of {spread.shape[1]} features", f"one of x, {tuple(x.shape[1:])}")
        factor_of = self._remembered if self.grid is None else lambda weight: weight  # on a grid all noise is drawn
        split = None if self.net.logits else split_view(self.net.module, factor_of)

        def in_two_steps(rows: Tensor) -> Tensor:
            return split.head(split.encode(rows))

        if looked:
            self._split_holds = split is not None and self.net.agrees_with(in_two_steps, x, spread=self.sigma)
        holds = split is not None and self._split_holds
        if self.grid:
            self._view = self.grid.view(in_two_steps if holds else self.net, self.sigma, x.dtype)
        else:
            self._view = split if holds else NoisyView(encode=lambda x: x, head=self.net, factor=spread)

    def _remembered(self, weight: Tensor) -> Tensor:
        """What is seen of the noise through `weight`, looked for again when any number of it is another."""
        old, given = self._weight, weight.detach()
        if (old.device, old.dtype) != (given.device, given.dtype) or not torch.equal(old, given):
            seen = given if self._spread is None else given.to("cpu", torch.float64) @ self._spread
            self._weight, self._factor = given.clone(), visible_factor(seen).to(given)
        return self._factor

    def _count_independent(
        self, encoded: Tensor, copies: int, owner_of: Callable[[Tensor], Tensor], stream: NoiseStream
    ) -> Tensor:
        """In the flat list of all noisy copies number r is one of input owner_of(r), and meets row r of the noise."""
        shape, most = self._view.noise_shape(encoded), self._chunk_rows(encoded)
        tile_rows = stream.tile_rows(shape)
        tiles = stream.take(-(-copies // tile_rows))
        parts = min(PARTS, len(tiles))
        images = max(IMAGES_AT_ONCE.get(self.device.type, IMAGES_AT_ONCE["cuda"]), TILES_AT_ONCE * tile_rows)
        at_once = min(most, images if encoded.ndim == 4 else tile_rows)

        def count_part(part: int) -> Tensor:
            first, last = (len(tiles) * edge // parts for edge in (part, part + 1))
            noise = NoiseSet(replace(stream, tile=tiles[first]), shape, self._view.sample)
            numbers = torch.arange(first * tile_rows, min(copies, last * tile_rows), device=self.device)
            votes, memory = self._no_votes(encoded), encoded.new_empty(min(at_once, len(numbers)), *encoded.shape[1:])
            for owner in map(owner_of, numbers.split(at_once)):
                noisy = torch.index_select(encoded, 0, owner, out=memory[: len(owner)])
                at = 0
                for z in noise.take(len(owner), at_most=len(owner)):
                    self._view.add_noise(noisy[at : at + len(z)], z, self.sigma)
                    at += len(z)
                self._add_votes(votes, owner, noisy)
            return votes

        return sum(self._side_by_side(count_part, range(parts)))

    def _count_shared(self, encoded: Tensor, n: int, noise: NoiseSet) -> Tensor:
        """The next n vectors of the one noise set meet all inputs; spans of inputs run side by side."""
        votes, most = self._no_votes(encoded), self._chunk_rows(encoded)
        parts = min(PARTS, len(encoded))  # no empty span: many nets cannot take an empty batch
        spans = list(zip(encoded.tensor_split(parts), votes.tensor_split(parts), strict=True))
        for z in noise.take(n, at_most=most):
            shift = self._view.add_noise(encoded.new_zeros(len(z), *encoded.shape[1:]), z, self.sigma)
            self._side_by_side(lambda span, shift=shift: self._count_span(*span, shift, most), spans)
        return votes

    def _count_span(self, encoded: Tensor, votes: Tensor, shift: Tensor, most: int) -> None:
        """Adds to `votes` [S, K] those of the inputs [S, ...] under the shifts, a block of inputs at a time."""
        inputs = min(len(encoded), max(1, most // len(shift)))
        owner = torch.arange(inputs, device=self.device).repeat_interleave(len(shift))
        for block, block_votes in zip(encoded.split(inputs), votes.split(inputs), strict=True):
            of_block = owner[: len(block) * len(shift)]
            self._add_votes(block_votes, of_block, (block[:, None] + shift).flatten(0, 1))

    def _add_votes(self, votes: Tensor, owner: Tensor, noisy: Tensor) -> None:
        """votes[owner[i], label of noisy[i]] += 1 on the device, without a synchronisation."""
        labels = labels_or_undecided(self.net.in_own_precision(self._view.head, noisy), self.num_classes)
        votes.view(-1).scatter_add_(0, owner * votes.shape[1] + labels, torch.ones_like(labels))

    def _no_votes(self, encoded: Tensor) -> Tensor:
        """[B, K + 1]: the last column is for rows without a finite largest logit."""
        return torch.zeros(len(encoded), self.num_classes + 1, dtype=torch.int64, device=self.device)

    def _side_by_side(self, work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        return side_by_side(work, parts, device=self.device, threads=self.net.threads)

    def _chunk_rows(self, encoded: Tensor) -> int:
        """Noisy copies processed together."""
        default = TABLE_MIB if encoded.ndim == 2 else CHUNK_MIB
        mib = self.chunk_mib or default.get(self.device.type, default["cuda"])
        return max(1, int(mib * 2**20 // (encoded[0].numel() * encoded.element_size())))
