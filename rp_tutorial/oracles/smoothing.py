"""Randomized smoothing: the votes of a net under Gaussian noise, and the three rules that turn votes into a release.

VOTE, PREDICT and CERTIFY are methods of `Smoothing`, under the names of the literature; `VoteOracle` and
`PredictOracle` put the first two behind the label-only interface. How votes are counted is in `vote_counting.py`, what
counts decide in `votes.py`, the statistics in `statistics/binomial.py`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, open_unit, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.net import Logits
from rp_tutorial.oracles.vote_counting import VoteCounter
from rp_tutorial.oracles.votes import plurality, significant_plurality
from rp_tutorial.statistics import binomial
from rp_tutorial.statistics.anytime import anytime_lower_bound
from rp_tutorial.theory.certificate import Certificate

L2 = "|x' - x|"
SCALED = "|A^-1 (x' - x)| for noise sigma A z; features without noise unchanged"


class Smoothing:
    """The smoothed classifier of a net: g(x) = argmax_c Pr[net(x + eps) = c], eps ~ N(0, sigma^2 I), seen by samples.

    net maps [B, ...] to logits [B, num_classes], row by row; it is put into eval mode, stays on its device unless
    `device` says otherwise, and is checked before it is trusted (`oracles.net.CheckedNet`, also for `logits`, which
    chooses them from a tuple or dict, for `threads`, and for what cannot be checked). `unit` names the unit of sigma
    and of every radius. A call draws fresh noise, CERTIFY from a stream of its own, so that no release shares a sample
    with a certificate. Without a `seed` it comes from the operating system: who knows the seed of a deployed mechanism
    knows its noise, so a seed is for experiments. `chunk_mib` moves no draw, so it changes the result only where a net
    in batches of another size is rounded over a tie.

    noise="independent": every vote of every input has its own noise. The only choice for a deployed mechanism.
    noise="common": one noise set a call, shared by all its inputs. Each certificate is as valid on its own, but they
    are correlated, and a released label would tell about others. For evaluation only.
    noise="fixed": one noise set for every input and every call, the first n vectors of the stream of `seed`. Counts,
    and so labels, are a function of x (up to the rounding of a net in batches of another size): the control that tells
    what smoothing does from what randomness does. To ask again teaches nothing new, and no certificate exists: CERTIFY
    refuses, for its n samples would hold its n0, and PREDICT's alpha is over the draw of the set, for an input chosen
    without it. Who knows the seed and the net knows the function; keep the seed secret, but rest no claim on that.

    `autocast` runs the net in that dtype on the device: the classifier that is smoothed is then the rounded net.
    The same holds of float32: a radius is one of the net as computed, whose boundary is off by some 6e-8 * d * |x|,
    which breaks certificates from |x| of about 1e5 on: standardise, or pass net and x in float64. A net that looks at
    the last bits of its inputs can tell x from x' by how sums are rounded, whatever sigma is; no radius covers that.

    grid=Grid(step=...): for inputs on a grid, as bytes / 255, there is no such net. Noise is drawn in integers, and
    what the net sees is a function of an integer sum, so that certificates and theorems hold as they stand for all
    inputs on the grid. `sampling_error` says by how much the sampler may be off; CERTIFY takes it from alpha.
    noise_scale: one factor a feature [d] for the noise on it, 0 for none; or a matrix A [d, d], for noise sigma A z.
    Radii are then by |A^-1 (x' - x)|: with noise on a single feature, in its own unit over its factor. They hold for
    inputs that differ in nothing that has no noise, so that what is not to be protected (or, as a one-hot group, has
    no neighbours at a distance) is best left without.

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
        seed: int | None = None,
        noise: Literal["independent", "common", "fixed"] = "independent",
        unit: str = "std",
        device: torch.device | str | None = None,
        chunk_mib: float | None = None,
        autocast: torch.dtype | None = None,
        logits: Logits | None = None,
        threads: int | None = None,
        grid: Grid | None = None,
        noise_scale: ArrayLike | None = None,
    ) -> None:
        self._votes = VoteCounter(
            net, num_classes=num_classes, sigma=sigma, seed=seed, noise=noise, device=device,
            chunk_mib=chunk_mib, autocast=autocast, logits=logits, threads=threads, grid=grid,
            noise_scale=noise_scale,
        )  # fmt: skip
        self.num_classes, self.sigma, self.noise, self.unit = num_classes, self._votes.sigma, noise, unit
        self.grid, self.norm = grid, L2 if noise_scale is None else SCALED

    @property
    def forward_passes(self) -> int:
        """How often the net was evaluated, for the operator."""
        return self._votes.forward_passes

    def as_batch(self, x: Tensor | ArrayLike) -> Tensor:
        """x as the net takes it: a tensor as it is, an array or data frame of numbers in the net's dtype."""
        return self._votes.net.as_batch(x)

    def counts(self, x: Tensor, n: int) -> Tensor:
        """Votes of n noisy copies of every input: x [B, ...] -> int64 [B, K] on the device, each row summing to n."""
        return self._votes.count(x, n)

    def vote(self, x: Tensor, *, n: int, curtailed: bool = False) -> Tensor:
        """VOTE(n): the plurality label of every input, int64 [B]. Always a label, no guarantee. Ties: lowest index.

        curtailed=True stops counting an input once its leader cannot be overtaken. The law of the labels stays exactly
        that of VOTE(n), for noise="fixed" the very labels do (but for such a tie), and `forward_passes` counts the
        votes taken: half as many for a sure input, nearly all at a tie. That number tells the margin: for simulations,
        see `votes.py`.
        """
        x = self.as_batch(x)
        return plurality(self._votes.count(x, n, curtailed=curtailed)).to(x.device)

    def predict(self, x: Tensor, *, n: int, alpha: float) -> Tensor:
        """PREDICT(n, alpha): with probability at least 1 - alpha, g(x) or ABSTAIN; int64 [B]. No radius.

        Source: Cohen et al. 2019, PREDICT: the two top counts must differ by the two-sided binomial test.
        """
        x, n = self.as_batch(x), _enough("PREDICT", n, 1 + _halvings(open_unit("alpha", alpha)))
        return significant_plurality(self.counts(x, n), alpha=alpha).to(x.device)

    def certify(
        self,
        x: Tensor,
        *,
        n0: int,
        n: int,
        alpha: float,
        bound: Literal["one-sided", "two-sided"] = "one-sided",
        anytime: bool = False,
        after: Certificate | None = None,
    ) -> Certificate:
        """CERTIFY(n0, n, alpha): a label and a radius valid with probability at least 1 - alpha, or ABSTAIN.

        The class is chosen on n0 samples and bounded on n *other* samples.
        bound="one-sided": p_A from below at alpha, p_B <= 1 - p_A. Source: Cohen et al. 2019, CERTIFY.
        bound="two-sided": Equation 1 of the paper, p_A from below and the largest other count from above, which bounds
        every other class, at alpha / 2 each.

        Who certifies again because a radius came out short has spent alpha twice. anytime=True: a bound that is valid
        after any number of samples, a little lower, so that one may look, stop, or go on: `after`, the certificate of
        the same x so far, adds n samples to it (the class stays). All looks together err with probability alpha.
        """
        x = self.as_batch(x)
        n0, n, alpha = count("n0", n0), count("n", n), open_unit("alpha", alpha)
        one_of("bound", bound, ("one-sided", "two-sided") if not anytime else ("one-sided",))
        if self.noise == "fixed":
            raise refuse("noise", self.noise, "'independent' or 'common' for a certificate")
        if anytime and self.grid is not None:
            raise refuse("anytime", anytime, "False on a grid: the error of its sampler grows with every look")
        if after is not None:
            after.refuse_unless_continued(len(x), self.num_classes, n0, alpha, anytime, self.sigma)
        total = n if after is None else after.n + n
        left = open_unit("alpha less the error of the sampler", alpha - self.sampling_error(x, n0 + total))
        if after is None:
            _enough("CERTIFY", n, 1 if anytime else _halvings(left if bound == "one-sided" else left / 2) + 1e-9)
            chosen, before, proved = plurality(self._votes.count(x, n0, certifying=True)).cpu().numpy(), 0, 0.0
        else:
            chosen, before, proved = after.chosen, after.counts, after.p_low
        counts = before + self._votes.count(x, n, certifying=True).cpu().numpy()
        p_low, radius = _bounds(counts, chosen, total, left, self.sigma, bound=bound, anytime=anytime, proved=proved)
        label = np.where(radius > 0, chosen, ABSTAIN)
        return Certificate(
            label, radius, self.unit, self.norm, p_low, counts, n0, total, alpha, chosen, self.sigma, anytime,
            self.sampling_error(x, 1),
        )  # fmt: skip

    def sampling_error(self, x: Tensor, n: int) -> float:
        """With a `grid`, a bound on the total variation of n votes of an input as x [B, ...] from their exact law.

        Add it to beta, and to alpha where a bound of yours is not CERTIFY's. Without a grid: 0, as nothing is claimed.
        """
        return 0.0 if self.grid is None else n * self.grid.sampling_error(self.sigma, self.as_batch(x)[:1].numel())

    def state(self) -> dict[str, Any]:
        """What it takes to go on with the same votes: the state of the stream (see `LabelOracle.state`)."""
        return self._votes.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`. Raises InputError if that is of another kind of noise or of device."""
        self._votes.restore(state)


class _SmoothedOracle(LabelOracle):
    """A rule of a `Smoothing` as an oracle. Oracles on one `Smoothing` share its stream, and so its state."""

    def __init__(self, smoothing: Smoothing, rule: Callable[..., Tensor], *, n: int) -> None:
        super().__init__(num_classes=smoothing.num_classes)
        self.smoothing, self._rule, self.n = smoothing, rule, count("n", n)

    def _release(self, x: Tensor) -> Tensor:
        before = self.smoothing.forward_passes
        labels = self._rule(x, n=self.n)
        self.forward_passes += self.smoothing.forward_passes - before
        return labels

    def as_batch(self, x: Tensor) -> Tensor:
        return self.smoothing.as_batch(x)

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
        super().__init__(smoothing, partial(smoothing.vote, curtailed=curtailed), n=n)


class PredictOracle(_SmoothedOracle):
    """Releases PREDICT(n, alpha) of a smoothed classifier, with the noise of the `Smoothing`. May ABSTAIN.

    >>> smoothing = rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0, seed=0)
    >>> rp.PredictOracle(smoothing, n=100, alpha=0.01)(rp.models.at_distance([3.0, -3.0]))
    tensor([1, 0])
    >>> rp.PredictOracle(smoothing, n=8, alpha=0.01)(rp.models.at_distance([9.0, 0.5]))  # even 7 : 1 is not enough
    tensor([ 1, -1])

    Chapter: foundations/certified-robustness.
    """

    def __init__(self, smoothing: Smoothing, *, n: int, alpha: float) -> None:
        super().__init__(smoothing, partial(smoothing.predict, alpha=alpha), n=n)
        _enough("PREDICT", n, 1 + _halvings(open_unit("alpha", alpha)))


def _bounds(
    counts: np.ndarray, chosen: np.ndarray, n: int, alpha: float, sigma: float, *, bound: str, anytime: bool,
    proved: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """p_low and radius of each row of counts, together valid with probability at least 1 - alpha; `proved` stays so."""
    own, lower = np.arange(counts.shape[1]) == chosen[:, None], alpha if bound == "one-sided" else alpha / 2
    at_least = anytime_lower_bound if anytime else binomial.lower_confidence_bound
    p_low = np.maximum(at_least(counts[own], n, alpha=lower), proved)
    if bound == "one-sided":
        return p_low, binomial.certified_radius(p_low, sigma=sigma)
    p_high = binomial.upper_confidence_bound(np.where(own, 0, counts).max(axis=1), n, alpha=lower)
    return p_low, binomial.certified_radius_two_bounds(p_low, p_high, sigma=sigma)


def _halvings(alpha: float) -> float:
    return -math.log2(alpha)


def _enough(rule: str, n: int, needed: float) -> int:
    """n, if as many votes for one label could ever be an answer: 2^-n against alpha, or 2^(1-n) two-sided."""
    if count("n", n) < needed:
        raise refuse("n", n, f"at least {math.ceil(needed)}: of fewer votes {rule} never answers at this alpha")
    return n
