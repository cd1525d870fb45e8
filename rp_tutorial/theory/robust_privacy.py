"""A guarantee of (R, alpha)-Robust Privacy, which cannot be quoted without its parts: unit, norm, levels, dice.

And radii as they are printed, in it and elsewhere: never longer than what was proved.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rp_tutorial.core.arguments import closed_unit, refuse
from rp_tutorial.theory.guarantees import deployable_radius, deployable_radius_predict
from rp_tutorial.theory.profile import vote_profile

_FRESH = "the operator draws the certificate's samples and, independent of them, fresh noise for every release"
_EXACT_FLOOR = Context(prec=400, rounding=ROUND_FLOOR)  # room for every float


@dataclass(frozen=True)
class RobustPrivacy:
    """No adversary who sees one release tells x from any x' within `radius` with advantage above `advantage_bound`.

    `alpha` bounds the failure of the certificate (once, however much is released), `beta` the probability that a
    single release is not the certified label (anew for every release; 0 for a mechanism that is a function). So
    `advantage_bound` is a mean over certificates. *Given* the certificate there is confidence 1 - alpha in it, and an
    advantage of at most beta / 2 if it holds; `statement` says both. `calibrated_tv`: what `theory.calibration` proves
    the mean total variation to be at most, where that is less than alpha + beta.
    `unit` and `norm` belong to the radius. `randomness` says who draws what, `released` what the adversary sees.
    `profile`: the total variation at any distance, if the certificate holds; beyond the radius, too.
    Nothing is said about what the label says of the whole ball, or about many releases of *neighbours*.
    Source: the paper, Definition of (R, alpha)-RP and the alpha / 2 theorem, which is beta = 0.
    Raises InputError for a negative or NaN radius, or alpha, beta or calibrated_tv outside [0, 1].

    >>> kept = rp.RobustPrivacy(radius=0.5, alpha=0.01, unit="kg/m^2")
    >>> kept.tv_bound, kept.advantage_bound
    (0.01, 0.005)

    Chapter: foundations/robust-privacy.
    """

    radius: float
    alpha: float
    unit: str = "std"
    beta: float = 0.0
    norm: str = "L2"
    released: str = "one label"
    randomness: str = "the operator draws the certificate's samples; the release itself is a function of the input"
    calibrated_tv: float = 1.0
    profile: Callable[[ArrayLike], NDArray[np.float64]] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.radius, bool) or not self.radius >= 0:
            raise refuse("radius", self.radius, "a number of at least 0")
        for name in ("alpha", "beta", "calibrated_tv"):
            closed_unit(name, getattr(self, name))

    @classmethod
    def of_vote(
        cls, p_low: float, *, sigma: float, n_vote: int, alpha: float, beta: float, num_classes: int | None = None,
        **parts,
    ) -> Self:  # fmt: skip
        """What VOTE(n_vote) keeps at a point where CERTIFY found p_low with confidence 1 - alpha, with its profile.

        num_classes: as in `vote_profile`. parts: unit, norm, calibrated_tv.
        """
        at = {"sigma": sigma, "n_vote": n_vote}
        radius = float(deployable_radius(p_low, **at, beta=beta))
        profile = partial(vote_profile, **at, p_low=p_low, num_classes=num_classes)
        released = f"one VOTE({n_vote}) label"
        return cls(radius, alpha, beta=beta, released=released, randomness=_FRESH, profile=profile, **parts)

    @classmethod
    def of_predict(
        cls, p_low: float, *, sigma: float, n_vote: int, alpha: float, beta: float, test_alpha: float, **parts
    ) -> Self:
        """What PREDICT(n_vote, test_alpha) keeps at a point where CERTIFY found p_low with confidence 1 - alpha."""
        radius = float(deployable_radius_predict(p_low, sigma=sigma, n_vote=n_vote, beta=beta, alpha=test_alpha))
        released = f"one PREDICT({n_vote}, {test_alpha:g}) symbol, ABSTAIN included"
        return cls(radius, alpha, beta=beta, released=released, randomness=_FRESH, **parts)

    @property
    def tv_bound(self) -> float:
        """Total variation of one release at x and at x', at most, averaged over certificates: alpha + beta, or less."""
        return min(1.0, self.calibrated_tv, self.alpha + self.beta)

    @property
    def advantage_bound(self) -> float:
        """Advantage of any adversary who sees one release, at most: (alpha + beta) / 2, so alpha / 2 if beta is 0."""
        return self.tv_bound / 2

    def statement(self) -> str:
        """The guarantee in words; of its numbers radius and confidence are rounded down, advantages up."""
        radius, trust = _shown(self.radius, ROUND_FLOOR), _shown(1 - Decimal(repr(self.alpha)), ROUND_FLOOR)
        # .015 is a little more, as a float: that is not to be seen.
        given, mean = (_shown(half * (1 - 1e-12), ROUND_CEILING) for half in (self.beta / 2, self.advantage_bound))
        who = f"With confidence {trust} in the certificate, whoever" if self.alpha else "Whoever"
        average = f" On average over certificates, at most {mean}." if self.alpha else ""
        return (
            f"{who} sees {self.released} tells x from any x' within {radius} {self.unit} ({self.norm}) with advantage "
            f"at most {given}.{average} Randomness: {self.randomness}."
        )


def _shown(number: float | Decimal, rounding: str) -> str:
    return f"{float(Context(prec=4, rounding=rounding).create_decimal(number)):.4g}"


def rounded_down(radius: ArrayLike, digits: int = 2) -> float | np.ndarray:
    """A radius, or an array of them, to so many decimals, never up: what was proved within .678 holds within .67.

    Infinite ones and NaN stay as they are. A float of 0.3 is .3, though the number behind it is a little less.

    >>> rp.theory.rounded_down(0.6789), rp.theory.rounded_down([1.999, 0.3], digits=1)
    (0.67, array([1.9, 0.3]))

    Chapter: foundations/certified-robustness.
    """
    step = Decimal(1).scaleb(-digits)

    def down(value: float) -> float:
        return float(Decimal(repr(value)).quantize(step, context=_EXACT_FLOOR)) if math.isfinite(value) else value

    values = np.asarray(radius, dtype=float)
    found = np.array([down(value) for value in values.ravel().tolist()]).reshape(values.shape)
    return found if found.ndim else float(found)
