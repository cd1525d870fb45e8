"""A release mechanism at a point of a half-space, where every law is known: the exact side of the guarantee audit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.halfspace import vote_law

RULES = ("vote", "predict")
N0 = 100  # samples that choose the class before CERTIFY bounds it on others
RadiusOf = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Mechanism:
    """One release mechanism on one half-space point, and what its certificate takes."""

    rule: str
    p_a: float
    sigma: float
    n_vote: int
    n_cert: int
    alpha: float  # of the certificate, and of PREDICT's test
    beta: float

    def certified(self, p_low: NDArray[np.float64]) -> NDArray[np.float64]:
        """The radius of the ideal classifier."""
        return certified_radius(p_low, sigma=self.sigma)

    def deployable(self, p_low: NDArray[np.float64]) -> NDArray[np.float64]:
        """The radius of this rule at N votes."""
        common = {"sigma": self.sigma, "n_vote": self.n_vote, "beta": self.beta}
        if self.rule == "vote":
            return guarantees.deployable_radius(p_low, **common)
        return guarantees.deployable_radius_predict(p_low, **common, alpha=self.alpha)

    def law_options(self) -> dict[str, Any]:
        """Arguments of the half-space laws of `theory`. Class A is class 1, against which a tied vote goes."""
        test = {"alpha": self.alpha} if self.rule == "predict" else {}
        return {"sigma": self.sigma, "n_vote": self.n_vote, "rule": self.rule, **test}

    def bound(self, releases: int = 1) -> float:
        """The proven advantage at the deployable radius."""
        return guarantees.composition_tv(self.alpha, self.beta, releases) / 2

    def certificate_law(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Every p_low that CERTIFY(N0, n_cert, alpha) can find here, and its probability; 1e-12 of it left out."""
        few, many = stats.binom.ppf([5e-13, 1 - 5e-13], self.n_cert, self.p_a).astype(int)
        ones = np.arange(few, many + 1)
        weight, chosen = stats.binom.pmf(ones, self.n_cert, self.p_a), vote_law(self.p_a, n=N0)
        p_low = lower_confidence_bound(np.concatenate([self.n_cert - ones, ones]), self.n_cert, alpha=self.alpha)
        return p_low, np.concatenate([chosen[0] * weight, chosen[1] * weight])

    def mean(self, of: RadiusOf) -> float:
        """Exact mean of a function of p_low over the certificate's samples."""
        p_low, weight = self.certificate_law()
        return float(weight @ of(p_low))

    def exact(self, radius: RadiusOf, *, releases: int = 1, tie: str = "against") -> float:
        """Best advantage against `releases` releases at that radius of each certificate, averaged exactly."""
        options = {**self.law_options(), "releases": releases, "tie": tie}
        return self.mean(lambda p_low: guarantees.halfspace_advantage(self.p_a, radius(p_low), **options))

    def exact_abstention(self, radius: RadiusOf) -> float:
        """The same for an adversary who only sees whether PREDICT abstains; a vote never does."""
        if self.rule == "vote":
            return 0.0

        def advantage(p_low: NDArray[np.float64]) -> NDArray[np.float64]:
            laws = guarantees.halfspace_laws(self.p_a, radius(p_low), **self.law_options())
            abstains = [np.stack([law[..., 1], 1 - law[..., 1]], axis=-1) for law in laws]
            return guarantees.total_variation(*abstains) / 2

        return self.mean(advantage)
