"""Randomized smoothing: the votes of a net under Gaussian noise, and the three rules that turn votes into a release.

`Smoothing` holds a net and sigma and counts votes in memory-bounded chunks of inputs x noise, on the device of the
net. VOTE, PREDICT and CERTIFY are its methods, under the names of the literature; `VoteOracle` and `PredictOracle`
put the first two behind the label-only interface. The statistics are in `binomial.py`, the noise in `noise.py`, what
counts decide in `votes.py`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, open_unit, positive, refuse
from rp_tutorial.core.labels import ABSTAIN, argmax_labels, check_batch
from rp_tutorial.core.threads import worker_pool
from rp_tutorial.oracles.base import LabelOracle, state_entry
from rp_tutorial.oracles.noise import LANES, NoiseSet, NoiseStream, noisy_view
from rp_tutorial.oracles.votes import plurality, significant_plurality, votes_needed
from rp_tutorial.statistics.binomial import (
    certified_radius,
    certified_radius_two_bounds,
    lower_confidence_bound,
    upper_confidence_bound,
)

NOISES = ("independent", "common", "fixed")
CHUNK_MIB = {"cpu": 8, "cuda": 512}  # noisy inputs in memory at a time, for each thread

IMAGES_AT_ONCE = 40  # a tile holds 10 images of 64x64: too few for a small net, whose cost an image falls by a fifth


@dataclass(frozen=True)
class Certificate:
    """What CERTIFY found, one entry an input; arrays on the CPU.

    With probability at least 1 - alpha over the n samples, for each input on its own: the ideal smoothed classifier
    releases `label` everywhere within `radius` (in `unit`). `label` is ABSTAIN and `radius` 0 where nothing can be
    said. `p_low` is the lower bound on the probability of the class chosen; `counts` [B, K] the n certifying votes.
    """

    label: np.ndarray
    radius: np.ndarray
    unit: str
    p_low: np.ndarray
    counts: np.ndarray
    n0: int
    n: int
    alpha: float


class Smoothing:
    """The smoothed classifier of a net: g(x) = argmax_c Pr[net(x + eps) = c], eps ~ N(0, sigma^2 I), seen by samples.

    net maps [B, ...] to logits [B, num_classes] and is put into eval mode. `unit` names the unit of sigma and of
    every radius. A call draws fresh noise from the stream of `seed`. `chunk_mib` moves no draw, so it changes the
    result only where a net in batches of another size is rounded over a tie.

    noise="independent": every vote of every input has its own noise. The only choice for a deployed mechanism.
    noise="common": one noise set a call, shared by all its inputs. Each certificate is as valid on its own, but they
    are correlated, and a released label would tell about others. For evaluation only.
    noise="fixed": one noise set for every input and every call, the first n vectors of the stream of `seed`. Counts,
    and so labels, are a function of x (up to the rounding of a net in batches of another size): the control that tells
    what smoothing does from what randomness does. To ask again teaches nothing new, and no certificate exists: CERTIFY
    refuses, for its n samples would hold its n0, and PREDICT's alpha is over the draw of the set, for an input chosen
    without it. Who knows the seed and the net knows the function; keep the seed secret, but rest no claim on that.

    `autocast` runs the net in that dtype on the device: the classifier that is smoothed is then the rounded net.
    The same holds of float32: a radius is one of the net as computed, whose boundary is off by some 6e-8 * d * |x|.
    That is nothing for standardised features and breaks certificates from |x| of about 1e5 on: standardise, or pass
    net and x in float64.
    Raises InputError for sigma <= 0, a net with the wrong number of outputs, or an unknown `noise`.

    >>> smoothing = rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0)
    >>> certificate = smoothing.certify(rp.models.at_distance([3.0, -3.0]), n0=100, n=1000, alpha=0.001)
    >>> certificate.label, certificate.radius.shape
    (array([1, 0]), (2,))

    Chapter: foundations/certified-robustness.
    """

    def __init__(
        self,
        net: nn.Module,
        *,
        num_classes: int,
        sigma: float,
        seed: int = 0,
        noise: Literal["independent", "common", "fixed"] = "independent",
        unit: str = "std",
        device: torch.device | str | None = None,
        chunk_mib: float | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.num_classes = count("num_classes", num_classes, minimum=2)
        self.sigma = positive("sigma", sigma)
        self.noise = one_of("noise", noise, NOISES)
        self.unit = unit
        self.device = torch.device(device or "cpu")
        default_mib = CHUNK_MIB.get(self.device.type, 512)
        self.chunk_bytes = positive("chunk_mib", default_mib if chunk_mib is None else chunk_mib) * 2**20
        self.autocast = autocast
        self.forward_passes = 0
        self.net = net.to(self.device)
        self._weights_seen: tuple[int, ...] | None = None
        self._stream = NoiseStream(count("seed", seed, minimum=0), self.device)
        self._start = self._stream.state()

    @torch.inference_mode()
    def counts(self, x: Tensor, n: int) -> Tensor:
        """Votes of n noisy copies of every input: x [B, ...] -> int64 [B, K] on the device, each row summing to n."""
        x, n = check_batch(x), count("n", n)
        self.forward_passes += len(x) * n
        if not len(x):
            return self._no_votes(x)
        encoded = self._begin(x)
        if self.noise == "independent":
            return self._count_independent(encoded, len(x) * n, lambda row: row // n)
        return self._count_common(encoded, n, self._noise_set(encoded))

    def vote(self, x: Tensor, *, n: int, curtailed: bool = False) -> Tensor:
        """VOTE(n): the plurality label of every input, int64 [B]. Always a label, no guarantee. Ties: lowest index.

        curtailed=True stops counting an input once its leader cannot be overtaken. The law of the labels stays exactly
        that of VOTE(n), for noise="fixed" the very labels do (but for such a tie), and `forward_passes` counts the
        votes taken: half as many for a sure input, nearly all at a tie. That number tells the margin: for simulations,
        see `votes.py`.
        """
        counts = self._curtailed_counts if curtailed else self.counts
        return plurality(counts(x, n)).to(x.device)

    def predict(self, x: Tensor, *, n: int, alpha: float) -> Tensor:
        """PREDICT(n, alpha): with probability at least 1 - alpha, g(x) or ABSTAIN; int64 [B]. No radius.

        Source: Cohen et al. 2019, PREDICT: the two top counts must differ by the two-sided binomial test.
        """
        open_unit("alpha", alpha)
        return significant_plurality(self.counts(x, n), alpha=alpha).to(x.device)

    def certify(
        self, x: Tensor, *, n0: int, n: int, alpha: float, bound: Literal["one-sided", "two-sided"] = "one-sided"
    ) -> Certificate:
        """CERTIFY(n0, n, alpha): a label and a radius valid with probability at least 1 - alpha, or ABSTAIN.

        The class is chosen on n0 samples and bounded on n *other* samples.
        bound="one-sided": p_A from below at alpha, p_B <= 1 - p_A. Source: Cohen et al. 2019, CERTIFY.
        bound="two-sided": Equation 1 of the paper, p_A from below at alpha / 2 and every other class from above at
        alpha / (2 (K - 1)), so that all K bounds hold together with probability 1 - alpha.
        """
        n0, n, alpha = count("n0", n0), count("n", n), open_unit("alpha", alpha)
        one_of("bound", bound, ("one-sided", "two-sided"))
        if self.noise == "fixed":
            raise refuse("noise", self.noise, "'independent' or 'common' for a certificate")
        chosen = plurality(self.counts(x, n0)).cpu().numpy()
        counts = self.counts(x, n).cpu().numpy()
        p_low, radius = _bound_radius(chosen, counts, n, sigma=self.sigma, alpha=alpha, bound=bound)
        label = np.where(radius > 0, chosen, ABSTAIN)
        return Certificate(label, radius, self.unit, p_low, counts, n0, n, alpha)

    def state(self) -> dict[str, Any]:
        """What it takes to go on with the same votes: the state of the stream (see `LabelOracle.state`)."""
        stream = self._start if self.noise == "fixed" else self._stream.state()
        return {"noise": self.noise, "forward_passes": self.forward_passes, "stream": stream.clone()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`. Raises InputError if that is of another kind of noise or of device."""
        noise, passes, stream = (state_entry(state, key) for key in ("noise", "forward_passes", "stream"))
        if noise != self.noise:
            raise refuse("state", f"one of {noise} noise", f"one of {self.noise} noise")
        passes = count("forward_passes", passes, minimum=0)
        self._stream.restore(stream)
        self._start, self.forward_passes = self._stream.state(), passes

    def _look_again(self) -> None:
        """The view holds a factor of the first layer: a net that was trained since must be looked at anew."""
        weights = tuple(0 if w.is_inference() else w._version for w in self.net.parameters())
        if weights != self._weights_seen or self.net.training:
            self._view, self._weights_seen = noisy_view(self.net.eval()), weights

    @torch.inference_mode()
    def _curtailed_counts(self, x: Tensor, n: int) -> Tensor:
        """Votes [B, K] of every input up to the one that decides it: x and n as in `counts`.

        With noise of its own every input takes exactly what it needs. A shared set is taken in steps for all that are
        still open: what at least half of them need.
        """
        x, n = check_batch(x), count("n", n)
        votes, rows = self._no_votes(x), torch.arange(len(x), device=self.device)
        if not len(x):
            return votes
        encoded = self._begin(x)
        shared = None if self.noise == "independent" else self._noise_set(encoded)
        while len(rows):
            needed = votes_needed(votes[rows], n)
            rows, needed = rows[needed > 0], needed[needed > 0]
            if not len(rows):
                break
            if shared is not None:
                needed = needed.median().expand_as(needed)
                votes[rows] += self._count_common(encoded[rows], int(needed[0]), shared)
            else:
                ends = needed.cumsum(0)
                owner_of = partial(torch.searchsorted, ends, right=True)
                votes[rows] += self._count_independent(encoded[rows], int(ends[-1]), owner_of)
            self.forward_passes += int(needed.sum())
        return votes

    def _begin(self, x: Tensor) -> Tensor:
        """The batch as the view encodes it, with the view and the stream ready for a call."""
        self._look_again()
        if self.noise == "fixed":
            self._stream.restore(self._start)
        return self._view.encode(x.to(self.device))

    def _noise_set(self, encoded: Tensor) -> NoiseSet:
        return NoiseSet(self._stream, self._view.noise_shape(encoded))

    def _count_independent(self, encoded: Tensor, rows: int, owner_of: Callable[[Tensor], Tensor]) -> Tensor:
        """Row r of the flat list of all noisy copies is one of input owner_of(r), and meets row r of the stream."""
        tiles = range(-(-rows // self._stream.tile_rows(self._view.noise_shape(encoded))))
        lanes = [tiles[lane::LANES] for lane in range(min(LANES, len(tiles)))]
        return sum(self._map(lambda lane: self._count_tiles(encoded, rows, owner_of, lane), lanes))

    def _count_tiles(self, encoded: Tensor, rows: int, owner_of: Callable[[Tensor], Tensor], tiles: range) -> Tensor:
        """Votes [B, K] from the rows of the given tiles of one lane, piece by piece."""
        votes, shape = self._no_votes(encoded), self._view.noise_shape(encoded)
        at_least = IMAGES_AT_ONCE if encoded.ndim == 4 else 1
        pieces = self._stream.pieces(tiles, shape, rows=rows, at_least=at_least, at_most=self._chunk_rows(encoded))
        for row, z in pieces:
            owner = owner_of(row)
            noisy = self._view.add_noise(encoded.index_select(0, owner), z, self.sigma)
            self._add_votes(votes, owner, self._head_labels(noisy))
        return votes

    def _count_common(self, encoded: Tensor, n: int, noise: NoiseSet) -> Tensor:
        """The next n vectors of the one noise set meet all inputs; spans of inputs run side by side."""
        votes, chunk_rows = self._no_votes(encoded), self._chunk_rows(encoded)
        parts = min(LANES, len(encoded))  # no empty span: many nets cannot take an empty batch
        spans = list(zip(encoded.tensor_split(parts), votes.tensor_split(parts), strict=True))
        for z in noise.take(n, at_most=chunk_rows):
            shift = self._view.add_noise(encoded.new_zeros(len(z), *encoded.shape[1:]), z, self.sigma)
            self._map(lambda span, shift=shift: self._count_span(*span, shift, chunk_rows), spans)
        return votes

    def _count_span(self, encoded: Tensor, votes: Tensor, shift: Tensor, chunk_rows: int) -> None:
        """Adds to `votes` [S, K] those of the inputs [S, ...] under the shifts, a block of inputs at a time."""
        inputs = min(len(encoded), max(1, chunk_rows // len(shift)))
        owner = torch.arange(inputs, device=self.device).repeat_interleave(len(shift))
        for block, block_votes in zip(encoded.split(inputs), votes.split(inputs), strict=True):
            labels = self._head_labels((block[:, None] + shift).flatten(0, 1))
            self._add_votes(block_votes, owner[: len(labels)], labels)

    def _map(self, work: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        """`work` on every part: side by side on a CPU, in turn on a GPU, which is busy anyway."""
        run = torch.inference_mode()(work)  # the mode belongs to a thread
        return list((worker_pool().map if self.device.type == "cpu" else map)(run, parts))

    def _head_labels(self, noisy: Tensor) -> Tensor:
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            return argmax_labels(self._view.head(noisy), self.num_classes)

    def _no_votes(self, encoded: Tensor) -> Tensor:
        return torch.zeros(len(encoded), self.num_classes, dtype=torch.int64, device=self.device)

    def _add_votes(self, votes: Tensor, owner: Tensor, labels: Tensor) -> None:
        """votes[owner[i], labels[i]] += 1 on the device, without a synchronisation."""
        votes.view(-1).scatter_add_(0, owner * self.num_classes + labels, torch.ones_like(labels))

    def _chunk_rows(self, encoded: Tensor) -> int:
        """Noisy copies processed together."""
        return max(1, int(self.chunk_bytes // (encoded[0].numel() * encoded.element_size())))


class _SmoothedOracle(LabelOracle):
    """What the two oracles share. Oracles on one `Smoothing` share its stream, and so its state."""

    def __init__(self, smoothing: Smoothing, *, n: int) -> None:
        super().__init__(num_classes=smoothing.num_classes)
        self.smoothing, self.n = smoothing, count("n", n)

    def _release(self, x: Tensor) -> Tensor:
        before = self.smoothing.forward_passes
        labels = self._decide(x)
        self.forward_passes += self.smoothing.forward_passes - before
        return labels

    @abstractmethod
    def _decide(self, x: Tensor) -> Tensor:
        """Labels [B] by the rule of the oracle."""

    def _randomness(self) -> dict[str, Any]:
        return self.smoothing.state()

    def _set_randomness(self, randomness: dict[str, Any]) -> None:
        self.smoothing.restore(randomness)


class VoteOracle(_SmoothedOracle):
    """Releases VOTE(n) of a smoothed classifier, with the noise of the `Smoothing`: n forward passes each.

    curtailed=True: the same law for fewer passes, whose number tells the margin (`Smoothing.vote`).

    >>> oracle = rp.VoteOracle(rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0), n=100)
    >>> oracle(rp.models.at_distance([3.0, -3.0])), oracle.queries, oracle.forward_passes
    (tensor([1, 0]), 2, 200)

    Chapter: foundations/certified-robustness.
    """

    def __init__(self, smoothing: Smoothing, *, n: int, curtailed: bool = False) -> None:
        super().__init__(smoothing, n=n)
        self.curtailed = curtailed

    def _decide(self, x: Tensor) -> Tensor:
        return self.smoothing.vote(x, n=self.n, curtailed=self.curtailed)


class PredictOracle(_SmoothedOracle):
    """Releases PREDICT(n, alpha) of a smoothed classifier, with the noise of the `Smoothing`. May ABSTAIN.

    >>> smoothing = rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0)
    >>> rp.PredictOracle(smoothing, n=100, alpha=0.01)(rp.models.at_distance([3.0, -3.0]))
    tensor([1, 0])
    >>> rp.PredictOracle(smoothing, n=7, alpha=0.01)(rp.models.at_distance([3.0, -3.0]))  # even 7 : 0 is not enough
    tensor([-1, -1])

    Chapter: foundations/certified-robustness.
    """

    def __init__(self, smoothing: Smoothing, *, n: int, alpha: float) -> None:
        super().__init__(smoothing, n=n)
        self.alpha = open_unit("alpha", alpha)

    def _decide(self, x: Tensor) -> Tensor:
        return self.smoothing.predict(x, n=self.n, alpha=self.alpha)


def _bound_radius(
    chosen: np.ndarray, counts: np.ndarray, n: int, *, sigma: float, alpha: float, bound: str
) -> tuple[np.ndarray, np.ndarray]:
    """p_low [B] and radius [B] for the chosen classes, under either form of the certificate."""
    own = np.take_along_axis(counts, chosen[:, None], axis=1)[:, 0]
    if bound == "one-sided":
        p_low = lower_confidence_bound(own, n, alpha=alpha)
        return p_low, certified_radius(p_low, sigma=sigma)
    p_low = lower_confidence_bound(own, n, alpha=alpha / 2)
    others = np.where(np.arange(counts.shape[1]) == chosen[:, None], 0, counts)
    p_high = upper_confidence_bound(others.max(axis=1), n, alpha=alpha / (2 * (counts.shape[1] - 1)))
    return p_low, certified_radius_two_bounds(p_low, p_high, sigma=sigma)
