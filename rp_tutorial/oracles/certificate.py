"""What CERTIFY found, and the radius that a deployed release keeps of it. How it was counted is in `smoothing.py`."""

from dataclasses import dataclass

import numpy as np

from rp_tutorial.core.arguments import open_unit
from rp_tutorial.theory.calibration import calibrated_radius


@dataclass(frozen=True)
class Certificate:
    """What CERTIFY found, one entry an input; arrays on the CPU.

    With probability at least 1 - alpha over the n samples, for each input on its own: the ideal smoothed classifier
    releases `label` everywhere within `radius` (in `unit`, by `norm`). `label` is ABSTAIN and `radius` 0 where nothing
    can be said. `p_low` is the lower bound on the probability of the class `chosen` on n0 samples; `counts` [B, K] the
    n certifying votes. `sampler_error`: of each vote, on a grid. What a *vote* keeps is `deployable_radius`.
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
    sampler_error: float = 0.0

    def deployable_radius(
        self,
        *,
        n_vote: int,
        target_tv: float,
        rule: str = "vote",
        test_alpha: float | None = None,
        releases: int = 1,
        calibrated: bool = True,
    ) -> np.ndarray:
        """Radius [B] in `unit` within which the releases have a mean TV of at most `target_tv`, certificate included.

        The mean is over certificates, for each input on its own: `theory.calibrated_level` says it in full, with the
        options. calibrated=False: the classical radius, with target_tv / 2 for the certificate and for the releases,
        which is shorter. Both are of the counts alone, whatever alpha the certificate itself was asked for.
        Raises InputError as `calibrated_level` does, and where a grid's sampler errs by more than the target.

        >>> smoothing = rp.Smoothing(rp.models.half_space_net(), num_classes=2, sigma=1.0, seed=0)
        >>> found = smoothing.certify(rp.models.at_distance([2.0]), n0=100, n=1000, alpha=0.01)
        >>> kept = [found.deployable_radius(n_vote=101, target_tv=0.02, calibrated=how)[0] for how in (True, False)]
        >>> kept[0] > kept[1] > 0
        np.True_

        Chapter: foundations/sharper-bounds.
        """
        error = self.sampler_error * (self.n0 + self.n + 2 * releases * n_vote)
        target = open_unit("target_tv less the error of the sampler", target_tv - error)
        votes = self.counts[np.arange(len(self.chosen)), self.chosen]
        mechanism = {"rule": rule, "test_alpha": test_alpha, "releases": releases, "calibrated": calibrated}
        sizes = {"n_cert": self.n, "n_vote": n_vote, "num_classes": 2 if self.counts.shape[1] == 2 else None}
        return calibrated_radius(votes, target_tv=target, sigma=self.sigma, **sizes, **mechanism)
