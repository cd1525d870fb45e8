"""What CERTIFY found, and the radius that a deployed release keeps of it. How it was counted is in `smoothing.py`."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from rp_tutorial.core.arguments import count, one_of, open_unit, refuse
from rp_tutorial.statistics.anytime import anytime_lower_bound
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory import guarantees, plurality
from rp_tutorial.theory.calibrated_plurality import calibrated_plurality_radius
from rp_tutorial.theory.calibration import calibrated_radius

BOUNDS = ("classical", "calibrated", "plurality", "calibrated-plurality")


@dataclass(frozen=True)
class Certificate:
    """What CERTIFY found, one entry an input; arrays on the CPU.

    With probability at least 1 - alpha over the n samples, for each input on its own: the ideal smoothed classifier
    releases `label` everywhere within `radius` (in `unit`, by `norm`). `label` is ABSTAIN and `radius` 0 where nothing
    can be said. `p_low` is the lower bound on the probability of the class `chosen` on n0 samples; `counts` [B, K] the
    n certifying votes; `anytime`: whether one may look and go on. `sampler_error`: of each vote, on a grid. What a
    *vote* keeps is `deployable_radius`.
    """

    label: np.ndarray
    radius: np.ndarray
    unit: str
    norm: str
    p_low: np.ndarray
    counts: np.ndarray
    n0: int
    n: int
    alpha: float
    chosen: np.ndarray
    sigma: float
    anytime: bool = False
    sampler_error: float = 0.0

    def refuse_unless_continued(self, *now: object) -> None:
        """InputError if what is asked now is another certificate: rows, classes, n0, alpha, anytime, sigma."""
        names = ("rows of x", "num_classes", "n0", "alpha", "anytime", "sigma")
        was = (*self.counts.shape, self.n0, self.alpha, self.anytime, self.sigma)
        for name, new, old in zip(names, now, was, strict=True):
            if new != old:
                raise refuse(name, new, f"{old!r}, as in the certificate that this one comes after")
        if not self.anytime:
            raise refuse("anytime", False, "True: a bound for a fixed n does not hold if one looks and goes on")

    def deployable_radius(
        self,
        *,
        n_vote: int,
        target_tv: float,
        rule: str = "vote",
        test_alpha: float | None = None,
        releases: int = 1,
        bound: Literal["calibrated", "classical", "plurality", "calibrated-plurality"] = "calibrated",
    ) -> np.ndarray:
        """Radius [B] in `unit` within which the releases have a mean TV of at most `target_tv`, certificate included.

        The mean is over certificates, for each input on its own. It rests on the counts alone, whatever alpha the
        certificate was asked for; the options are those of `theory.calibrated_level`, which says it in full.
        bound="classical": half of the target for the certificate and half for the releases, which is shorter.
        bound="plurality": classical, for VOTE, with the other classes bounded as well, so that no majority is needed.
        A certificate that is valid at any time has these two. bound="calibrated-plurality": never shorter than that,
        for one VOTE, where samples times votes are at most 100,000; what is not remembered takes up to half a minute.
        Raises InputError as `calibrated_level` does, and where a grid's sampler errs by more than the target.

        >>> smoothing = rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0, seed=0)
        >>> found = smoothing.certify(rp.models.at_distance([2.0]), n0=100, n=1000, alpha=0.01)
        >>> kept = {"n_vote": 101, "target_tv": 0.02}
        >>> found.deployable_radius(**kept)[0] > found.deployable_radius(**kept, bound="classical")[0] > 0
        np.True_

        Chapter: foundations/sharper-bounds.
        """
        one_of("bound", bound, BOUNDS[::2] if self.anytime else BOUNDS)
        error = self.sampler_error * (self.n0 + self.n + 2 * releases * n_vote)
        target = open_unit("target_tv less the error of the sampler", target_tv - error)
        own = np.arange(self.counts.shape[1]) == self.chosen[:, None]
        votes, rivals, classes = self.counts[own], np.where(own, 0, self.counts).max(axis=1), self.counts.shape[1]
        if not self.anytime and bound in ("calibrated", "classical"):
            sizes = {"n_cert": self.n, "n_vote": n_vote, "num_classes": 2 if classes == 2 else None}
            release = {"rule": rule, "test_alpha": test_alpha, "releases": releases}
            at = {"target_tv": target, "sigma": self.sigma, "calibrated": bound == "calibrated"}
            return calibrated_radius(votes, **at, **sizes, **release)
        one_of("rule", rule, ("vote",))
        if bound == "calibrated-plurality":
            if releases != 1:
                raise refuse("releases", releases, "1: of more, calibration by plurality says nothing")
            sizes = {"n_cert": self.n, "n_vote": n_vote, "num_classes": classes}
            return calibrated_plurality_radius(votes, rivals, target_tv=target, sigma=self.sigma, **sizes)
        level = target / 4 if bound == "plurality" else target / 2
        beta = -np.expm1(np.log1p(-target / 2) / count("releases", releases))
        at_least = anytime_lower_bound if self.anytime else lower_confidence_bound
        p_low = at_least(votes, self.n, alpha=level)
        if bound == "classical":
            return guarantees.deployable_radius(p_low, sigma=self.sigma, n_vote=n_vote, beta=beta)
        p_high = np.nextafter(1 - at_least(self.n - rivals, self.n, alpha=level), 2.0).clip(max=1.0)
        return plurality.deployable_radius(
            p_low, p_high, sigma=self.sigma, n_vote=n_vote, num_classes=classes, beta=beta
        )
