"""Counting the votes of a net under Gaussian noise: noise, chunks of memory, cores, and when an input needs no more.

The engine under `smoothing.py`, where the rules are that turn votes into a release; this file knows none of them. The
noise and the part of it that a net can see are in `noise.py`, when a vote is decided in `votes.py`.
"""

from collections.abc import Callable
from copy import copy
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, positive, refuse
from rp_tutorial.core.labels import argmax_labels, check_batch
from rp_tutorial.core.threads import side_by_side
from rp_tutorial.oracles.base import state_entry
from rp_tutorial.oracles.noise import NoiseSet, NoiseStream, noisy_view
from rp_tutorial.oracles.votes import votes_needed

NOISES = ("independent", "common", "fixed")
CHUNK_MIB = {"cpu": 8, "cuda": 512}  # noisy inputs in memory at a time, for each thread
PARTS = 16  # of a job, for as many cores; a constant, or the rounding of a net in batches would depend on cores
IMAGES_AT_ONCE = 40  # a tile holds 10 images of 64x64: too few for a small net, whose cost an image falls by a fifth


class VoteCounter:
    """Votes of `net`, which maps [B, ...] to logits [B, num_classes] and is put into eval mode, at x + sigma eps.

    The arguments are those of `Smoothing`, and checked there or here. The counts depend on the seed and on what was
    counted before, and not on `chunk_mib` or on cores.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int,
        sigma: float,
        seed: int,
        noise: str,
        device: torch.device | str | None,
        chunk_mib: float | None,
        autocast: torch.dtype | None,
    ) -> None:
        self.num_classes, self.sigma = count("num_classes", num_classes, minimum=2), positive("sigma", sigma)
        self.noise, self.device, self.autocast = one_of("noise", noise, NOISES), torch.device(device or "cpu"), autocast
        default_mib = CHUNK_MIB.get(self.device.type, CHUNK_MIB["cuda"])
        self.chunk_bytes = positive("chunk_mib", default_mib if chunk_mib is None else chunk_mib) * 2**20
        self.net, self.forward_passes = net.to(self.device), 0
        self._weights_seen: tuple[int, ...] | None = None
        self._stream = NoiseStream(seed, self.device)

    @torch.inference_mode()
    def count(self, x: Tensor, n: int, *, curtailed: bool = False) -> Tensor:
        """Votes of n noisy copies of every input: x [B, ...] -> int64 [B, K] on the device, each row summing to n.

        curtailed: only up to the vote that decides an input. With noise of its own every input takes exactly what it
        needs; a shared set is taken in steps for all that are still open: what at least half of them need.
        """
        x, n = check_batch(x), count("n", n)
        votes, rows = self._no_votes(x), torch.arange(len(x), device=self.device)
        if not len(x):
            return votes
        self._look_again()
        encoded = self._view.encode(x.to(self.device))
        stream = copy(self._stream) if self.noise == "fixed" else self._stream  # a copy: the next call begins there too
        shared = None if self.noise == "independent" else NoiseSet(stream, self._view.noise_shape(encoded))
        while True:
            needed = votes_needed(votes[rows], n) if curtailed else n - votes[rows].sum(dim=1)
            rows, needed = rows[needed > 0], needed[needed > 0]
            if not len(rows):
                return votes
            if shared is None:
                ends = needed.cumsum(0)
                owner_of = partial(torch.searchsorted, ends, right=True) if curtailed else lambda row: row // n
                votes[rows] += self._count_independent(encoded[rows], int(ends[-1]), owner_of)
            else:
                needed = needed.median().expand_as(needed)
                votes[rows] += self._count_shared(encoded[rows], int(needed[0]), shared)
            self.forward_passes += int(needed.sum())

    def state(self) -> dict[str, Any]:
        """What it takes to go on with the same votes: two integers for the noise, and what they belong to."""
        setting = {"noise": self.noise, "device": self.device.type}
        return {**setting, "forward_passes": self.forward_passes, "seed": self._stream.seed, "tile": self._stream.tile}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`, and changes nothing if it raises: InputError for another kind of noise or of device."""
        names = ("noise", "device", "forward_passes", "seed", "tile")
        noise, device, passes, seed, tile = (state_entry(state, name) for name in names)
        if (noise, device) != (self.noise, self.device.type):
            raise refuse(
                "state", f"one of {noise} noise on {device}", f"one of {self.noise} noise on {self.device.type}"
            )
        passes = count("forward_passes", passes, minimum=0)
        self._stream, self.forward_passes = NoiseStream(seed, self.device, tile), passes

    def _look_again(self) -> None:
        """The view holds a factor of the first layer: a net that was trained since must be looked at anew."""
        weights = tuple(0 if w.is_inference() else w._version for w in self.net.parameters())
        if weights != self._weights_seen or self.net.training:
            self._view, self._weights_seen = noisy_view(self.net.eval()), weights

    def _count_independent(self, encoded: Tensor, copies: int, owner_of: Callable[[Tensor], Tensor]) -> Tensor:
        """In the flat list of all noisy copies number r is one of input owner_of(r), and meets row r of the noise."""
        shape, most = self._view.noise_shape(encoded), self._chunk_rows(encoded)
        tile_rows = self._stream.tile_rows(shape)
        tiles = self._stream.take(-(-copies // tile_rows))
        parts = min(PARTS, len(tiles))
        together = -(-min(most, IMAGES_AT_ONCE if encoded.ndim == 4 else 1) // tile_rows)

        def count_block(votes: Tensor, block: range) -> None:
            drawn = [self._stream.draw(tiles[number], shape) for number in block]
            noise = drawn[0] if len(drawn) == 1 else torch.cat(drawn)
            row = torch.arange(block[0] * tile_rows, min(copies, block.stop * tile_rows), device=self.device)
            for numbers, z in zip(row.split(most), noise[: len(row)].split(most), strict=True):
                owner = owner_of(numbers)
                self._add_votes(votes, owner, self._view.add_noise(encoded.index_select(0, owner), z, self.sigma))

        def count_part(part: int) -> Tensor:
            votes, own = self._no_votes(encoded), range(len(tiles) * part // parts, len(tiles) * (part + 1) // parts)
            for at in range(0, len(own), together):
                count_block(votes, own[at : at + together])  # a function, so that nothing of a block outlives it
            return votes

        return sum(side_by_side(count_part, range(parts), device=self.device))

    def _count_shared(self, encoded: Tensor, n: int, noise: NoiseSet) -> Tensor:
        """The next n vectors of the one noise set meet all inputs; spans of inputs run side by side."""
        votes, most = self._no_votes(encoded), self._chunk_rows(encoded)
        parts = min(PARTS, len(encoded))  # no empty span: many nets cannot take an empty batch
        spans = list(zip(encoded.tensor_split(parts), votes.tensor_split(parts), strict=True))
        for z in noise.take(n, at_most=most):
            shift = self._view.add_noise(encoded.new_zeros(len(z), *encoded.shape[1:]), z, self.sigma)
            side_by_side(lambda span, shift=shift: self._count_span(*span, shift, most), spans, device=self.device)
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
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            labels = argmax_labels(self._view.head(noisy), self.num_classes)
        votes.view(-1).scatter_add_(0, owner * self.num_classes + labels, torch.ones_like(labels))

    def _no_votes(self, encoded: Tensor) -> Tensor:
        return torch.zeros(len(encoded), self.num_classes, dtype=torch.int64, device=self.device)

    def _chunk_rows(self, encoded: Tensor) -> int:
        """Noisy copies processed together."""
        return max(1, int(self.chunk_bytes // (encoded[0].numel() * encoded.element_size())))
