"""From what is wanted (an advantage at a radius) to what has to be run: sigma, n, N, alpha, beta and their cost.

Its own room, beside `guarantees`: that module holds what is true of a mechanism, this one searches among mechanisms. It
looks at every candidate on fixed ladders of sigma, n and N with exact binomial tails and keeps the cheapest that
works. At one common level of certificate and releases a harder wish only strikes candidates out, so it never comes
out cheaper; the level is then calibrated at what was found, and the search goes on from there. Nothing is sampled.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from rp_tutorial.core.arguments import InputError, count, one_of, open_unit, positive, refuse
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.calibration import calibrated_level
from rp_tutorial.theory.halfspace import predict_law, vote_law
from rp_tutorial.theory.robust_privacy import RobustPrivacy

QUANTILE_LADDER = np.geomspace(0.3, 6.0, 40)  # Phi^-1(p_A) = margin / sigma worth trying where sigma is free
CALIBRATED = 20_000  # samples of a certificate up to which a level is calibrated: seconds there, minutes at 100,000
HOPES = np.geomspace(1, 10, 16)  # levels over the target's own from which a search may start
SIGMA_STEPS = np.geomspace(1.02, 100.0, 120)  # sigma over the smallest that could ever do, where p_A is given alone


@dataclass(frozen=True)
class Plan:
    """The cheapest mechanism found, and what it costs. It holds only under `assumption`.

    Deploy it with the radius that CERTIFY(n0, n, alpha) and beta give, whatever that is: then the advantage against
    all releases together, the certificate known, is at most `advantage_bound`, *on average over certificates*. From
    `certify_votes` of n on the radius is at least the one wanted, and that many come with probability at least
    `certify_probability`. Given that they came, the bound is not the same: there is confidence 1 - alpha in the
    certificate, and an advantage of at most (1 - (1 - beta) ** releases) / 2 if it holds. Refusing to answer where
    they do not come is itself a release that depends on x. `abstention` is PREDICT's at x (0 for VOTE).
    Costs are forward passes: `certify_passes` once an input, `release_passes` for all its releases.
    """

    target_advantage: float
    radius: float
    unit: str
    rule: str
    releases: int
    sigma: float
    p_a: float
    n0: int
    n: int
    n_vote: int
    alpha: float
    beta: float
    test_alpha: float | None
    certify_votes: int
    certify_probability: float
    abstention: float
    assumption: str

    @property
    def certify_passes(self) -> int:
        return self.n0 + self.n

    @property
    def release_passes(self) -> int:
        return self.releases * self.n_vote

    @property
    def forward_passes(self) -> int:
        """Passes an input costs in all."""
        return self.certify_passes + self.release_passes

    @property
    def advantage_bound(self) -> float:
        """What is proven for all releases together, on average over certificates; at most the target."""
        return min(self.target_advantage, guarantees.composition_tv(self.alpha, self.beta, self.releases) / 2)

    def guarantee(self) -> RobustPrivacy:
        """What one release keeps at `certify_votes`: its radius is at least the one asked for."""
        p_low = float(lower_confidence_bound(self.certify_votes, self.n, alpha=self.alpha))
        common = {"sigma": self.sigma, "n_vote": self.n_vote, "alpha": self.alpha, "beta": self.beta}
        common |= {"unit": self.unit, "calibrated_tv": 2 * self.advantage_bound}
        if self.rule == "vote":
            return RobustPrivacy.of_vote(p_low, **common)
        return RobustPrivacy.of_predict(p_low, **common, test_alpha=self.test_alpha)


def plan(
    target_advantage: float,
    radius: float,
    p_a: float | None = None,
    *,
    sigma: float | None = None,
    margin: float | None = None,
    rule: str = "vote",
    releases: int = 1,
    certify_probability: float = 0.95,
    test_alpha: float = 0.01,
    n0: int = 100,
    max_passes: int = 200_000,
    calibrated: bool = True,
    unit: str = "std",
) -> Plan:
    """The cheapest mechanism found that keeps every adversary's advantage at most `target_advantage` within `radius`.

    Say what is known about the input, in one of four ways:
    `p_a` and `sigma`: the class has probability p_a at this sigma (measured). n and N are searched.
    `margin` and `sigma`: the input lies `margin` from a flat boundary, so p_a = Phi(margin / sigma).
    `margin` alone: sigma is searched as well, for the fewest passes.
    `p_a` alone: the smallest sigma within `max_passes` is searched, as if p_a were the same at every sigma; measure
    p_a again at the sigma that comes out. (For a fixed p_a more noise is always cheaper, so cost cannot decide.)

    `releases` answers to the same point are drawn with fresh noise; with memoised answers it is 1. Certificate and
    releases have one level: the one from `calibrated_level`, at which the worst net attains the target (mind that it
    is an average over certificates, see `Plan`), or, with calibrated=False and where more than 20,000 samples certify,
    half of the budget 2 * target each, which is dearer. `test_alpha` is the level of PREDICT's test; radius, margin and
    sigma share `unit`. At its level n is within a twentieth of the smallest, N within an eighth.

    Raises InputError, with the reason, where nothing within `max_passes` attains the target.

    >>> found = rp.plan(0.05, 0.5, margin=2.0, sigma=1.0)  # advantage, radius
    >>> found.n, found.n_vote, found.forward_passes
    (15, 5, 120)

    Chapter: practice/choosing-parameters.
    """
    target = positive("target_advantage", target_advantage)
    if target >= 0.5:
        raise refuse("target_advantage", target_advantage, "a number below 1/2, which every mechanism attains")
    radius = positive("radius", radius)
    one_of("rule", rule, guarantees.RULES)
    count("n0", n0)
    wish = _Wish(
        radius=radius,
        level=target,
        rule=rule,
        releases=count("releases", releases),
        power=open_unit("certify_probability", certify_probability),
        test_alpha=open_unit("test_alpha", test_alpha),
        n0=n0,
        max_passes=count("max_passes", max_passes, minimum=n0 + 2),
    )
    sigmas, shares, assumption = _candidates(radius, p_a, sigma, margin, unit)
    first = margin is None and sigma is None
    if calibrated:
        wish, found = _calibrate(wish, sigmas, shares, target_tv=2 * target, first=first) or (wish, None)
    else:
        found = _search(wish, sigmas, shares, first=first)
    if found is None:
        raise refuse("max_passes", max_passes, f"more, for a radius of {radius:g} at this advantage")
    row, n_vote, n = found
    sigma, p_a = float(sigmas[row]), float(shares[row])
    votes = int(_votes_needed(n, wish.needed_share(sigma, n_vote), wish.level))
    predicts = rule == "predict"
    return Plan(
        target_advantage=target, radius=radius, unit=unit, rule=rule, releases=releases, sigma=sigma, p_a=p_a, n0=n0,
        n=n, n_vote=n_vote, alpha=wish.level, beta=wish.beta, test_alpha=test_alpha if predicts else None,
        certify_votes=votes, certify_probability=float(_reach_probability(votes, n, p_a, n0)),
        abstention=float(predict_law(p_a, n=n_vote, alpha=test_alpha)[1]) if predicts else 0.0, assumption=assumption,
    )  # fmt: skip


@dataclass(frozen=True)
class _Wish:
    """What is asked for, at one level of the certificate and of all releases together."""

    radius: float
    level: float
    rule: str
    releases: int
    power: float
    test_alpha: float
    n0: int
    max_passes: int

    @property
    def beta(self) -> float:
        """Of a single release."""
        return -float(np.expm1(np.log1p(-self.level) / self.releases))

    def quantile(self, n_vote: int) -> float:
        """The price of deploying n_vote votes, in sigma."""
        if self.rule == "vote":
            return guarantees.vote_quantile(n_vote, self.beta)
        return guarantees.predict_quantile(n_vote, self.beta, alpha=self.test_alpha)

    def needed_share(self, sigma: float | NDArray[np.float64], n_vote: int) -> NDArray[np.float64]:
        """The lower bound on p_A from which the deployable radius reaches `radius`; a hair above, for rounding."""
        return special.ndtr(self.radius / sigma + self.quantile(n_vote) + 1e-9)


def _candidates(
    radius: float, p_a: float | None, sigma: float | None, margin: float | None, unit: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """The values of sigma to try, p_A at each, and the assumption in words. Refuses what no n and N can attain."""
    if (p_a is None) == (margin is None):
        raise InputError("p_a: give either p_a or margin, allowed is exactly one of the two")
    if sigma is not None:
        positive("sigma", sigma)
    if margin is not None:
        positive("margin", margin)
        if radius >= margin:
            raise refuse("radius", radius, f"less than the margin {margin:g}: beyond the boundary the label differs")
        sigmas = margin / QUANTILE_LADDER[::-1] if sigma is None else np.array([float(sigma)])
        assumption = f"the input lies {margin:g} {unit} from a flat boundary, so p_A = Phi(margin / sigma)"
        return sigmas, special.ndtr(margin / sigmas), assumption
    if not 0.5 < open_unit("p_a", p_a) < 1:
        raise refuse("p_a", p_a, "a number above 1/2: below, no class is certified")
    own_reach = float(special.ndtri(p_a))
    if sigma is None:
        sigmas = radius / own_reach * SIGMA_STEPS
        return sigmas, np.full(sigmas.shape, float(p_a)), f"p_A = {p_a:g} at the sigma found; measure it there"
    if radius >= sigma * own_reach:
        reason = f"less than {sigma * own_reach:.4g}: at p_A = {p_a:g} the ideal classifier itself reaches no further"
        raise refuse("radius", radius, reason)
    return np.array([float(sigma)]), np.array([float(p_a)]), f"p_A = {p_a:g} at sigma = {sigma:g} {unit}"


def _calibrate(
    wish: _Wish, sigmas: NDArray, shares: NDArray, *, target_tv: float, first: bool
) -> tuple[_Wish, tuple[int, int, int]] | None:
    """The wish at a calibrated level with the cheapest candidate found for it, index of sigma, N and n; or None.

    A level belongs to the sizes it was calibrated at, so what was found at one level is calibrated, and searched again
    at its own, until it comes back. A candidate counts if it keeps the power at the level of its own sizes.
    """
    best: tuple[tuple[int, int], _Wish, tuple[int, int, int]] | None = None
    seen: set[tuple[int, int, int]] = set()
    how = {"rule": wish.rule, "test_alpha": wish.test_alpha if wish.rule == "predict" else None}
    levels = np.minimum(0.5, wish.level * HOPES)
    found = next(filter(None, (_search(replace(wish, level=h), sigmas, shares, first=first) for h in levels)), None)
    while found and found not in seen:
        seen.add(found)
        row, n_vote, n = found
        if n > CALIBRATED:
            own = target_tv / 2
        else:
            own = calibrated_level(target_tv, n_cert=n, n_vote=n_vote, releases=wish.releases, **how)
        wish = replace(wish, level=own)
        votes = _votes_needed(n, wish.needed_share(sigmas[row], n_vote), own)
        cost = (row if first else 0, n + wish.releases * n_vote)
        if _reach_probability(votes, n, shares[row], wish.n0) >= wish.power and (best is None or cost < best[0]):
            best = cost, wish, found
        found = _search(wish, sigmas, shares, first=first)
    return best and best[1:]


def _search(
    wish: _Wish, sigmas: NDArray[np.float64], shares: NDArray[np.float64], *, first: bool
) -> tuple[int, int, int] | None:
    """Index of sigma, N and n of the cheapest candidate, or of the cheapest at the first sigma with one; or None."""
    if first:  # p_A is the same at every sigma, so what one sigma affords, a larger one does: bisect
        low, high = -1, len(sigmas) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if _cheapest(wish, sigmas[middle], shares[middle]) else (middle, high)
        rows = [high]
    else:
        rows = range(len(sigmas))
    best: tuple[int, int, int, int] | None = None
    for row in rows:
        cap = wish.max_passes if best is None else best[0] - 1
        found = _cheapest(wish, sigmas[row], shares[row], cap=cap)
        best = (found[0], row, *found[1:]) if found else best
    return best and best[1:]


def _cheapest(wish: _Wish, sigma: float, share: float, *, cap: int | None = None) -> tuple[int, int, int] | None:
    """Passes, N and n of the cheapest candidate at one sigma that costs at most `cap`; None if there is none."""
    cap, best = wish.max_passes if cap is None else cap, None
    votes = np.unique(_ladder(wish.max_passes // wish.releases, ratio=1.125) | 1)  # odd: no vote is lost to a tie
    samples = _ladder(wish.max_passes, ratio=1.05)
    for n_vote in votes:
        fixed = wish.n0 + wish.releases * int(n_vote)
        if fixed >= cap:
            break
        needed = float(wish.needed_share(sigma, int(n_vote)))
        n = _fewest_samples(samples[samples <= cap - fixed], needed, share, wish)
        if n:
            best = (fixed + n, int(n_vote), n)
            cap = best[0] - 1  # what follows has to be cheaper: nothing is missed, most is skipped
    return best


def _fewest_samples(ladder: NDArray[np.int64], needed: float, share: float, wish: _Wish) -> int:
    """The first n of the ladder at which CERTIFY reaches `needed` often enough; 0 if none does.

    The probability is a sawtooth in n, so the ladder is searched rung by rung. That also keeps the search monotone.
    """
    if needed >= share:
        return 0
    for part in np.array_split(ladder, max(1, len(ladder) // 16)):  # most searches end early
        good = _reach_probability(_votes_needed(part, needed, wish.level), part, share, wish.n0) >= wish.power
        if good.any():
            return int(part[good.argmax()])
    return 0


def _votes_needed(n: NDArray[np.int64] | int, needed: float, alpha: float) -> NDArray[np.int64]:
    """Smallest count out of n whose lower confidence bound reaches `needed`: Pr[Bin(n, needed) >= count] <= alpha."""
    return stats.binom.isf(alpha, n, needed).astype(np.int64) + 1


def _reach_probability(votes: NDArray[np.int64] | int, n: NDArray[np.int64] | int, share: float, n0: int) -> NDArray:
    """Probability that n0 samples choose the class and at least `votes` of n others are for it; 0 for votes > n."""
    for_it = special.betainc(votes, np.maximum(1, n - np.asarray(votes) + 1), share)  # binom.sf takes longer to call
    return _chosen(float(share), n0) * np.where(np.asarray(votes) > n, 0.0, for_it)


@lru_cache(maxsize=1024)  # of the shares of one search
def _chosen(share: float, n0: int) -> float:
    """Probability that n0 samples choose the class."""
    return float(vote_law(share, n=n0)[1])


def _ladder(top: int, *, ratio: float) -> NDArray[np.int64]:
    """Whole numbers from 1 to `top`, each about `ratio` times the one before; the same rungs for every `top`."""
    rungs = ratio ** np.arange(int(np.log(top) / np.log(ratio)) + 1)
    return np.unique(np.floor(rungs).astype(np.int64))
