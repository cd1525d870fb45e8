"""The profile against a search over all nets of one curve, against nets that were drawn, and against older bounds."""

import math

import numpy as np
import pytest
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.theory.guarantees import deployable_radius, halfspace_tv, hockey_stick, noise_tv, repeated_tv
from rp_tutorial.theory.profile import gaussian_delta, vote_profile
from tests.helpers.piecewise import PiecewiseNet, vote_laws

SUM_OF_FLOATS = 1e-12  # what adding the laws of an enumeration may be off by


def vote_curve(u, n: int) -> np.ndarray:
    return stats.binom.sf(n // 2, n, special.ndtr(u))


def by_grids(told, low: float, high: float) -> float:
    """The largest of told(u [U]) -> [U] between low and high: five grids, each around the best point of the last."""
    best = 0.0
    for _ in range(5):
        u = np.linspace(low, high, 101)
        values = told(u)
        at = int(values.argmax())
        best, low, high = max(best, values[at]), u[max(0, at - 1)], u[min(100, at + 1)]
    return best


def test_the_closed_form_is_the_largest_over_all_half_spaces():
    """3,000 random settings of one vote, with and without a certificate."""
    rng = np.random.default_rng(0)
    for _ in range(3000):
        n, s = 2 * int(rng.integers(0, 300)) + 1, float(rng.exponential(0.5))
        p_low = None if rng.random() < 0.3 else float(rng.random())
        first = -6.0 if p_low is None else float(special.ndtri(p_low))
        sup = by_grids(lambda u, n=n, s=s: vote_curve(u, n) - vote_curve(u - s, n), first, max(first, s) + 6)
        found = vote_profile(s, sigma=1.0, n_vote=n, p_low=p_low, num_classes=2)
        assert found == pytest.approx(sup, rel=0, abs=1e-9)
        peak = max(first, s / 2)
        assert found == pytest.approx(vote_curve(peak, n) - vote_curve(peak - s, n), rel=0, abs=1e-11)


def test_many_releases_and_every_epsilon_are_exact_too():
    """A pair of coins tossed m times; every event of their counts, both ways, ties for and against."""
    rng = np.random.default_rng(1)
    for _ in range(120):
        n, m, s = int(rng.integers(1, 60)), int(rng.integers(1, 7)), float(rng.exponential(0.4))
        epsilon = float(rng.choice([0.0, rng.exponential(0.5)]))
        p_low = None if rng.random() < 0.4 else float(rng.random())
        first = -5.0 if p_low is None else float(special.ndtri(p_low))

        def told(u, n=n, m=m, s=s, epsilon=epsilon):
            best = 0.0
            for against in (n // 2, (n - 1) // 2):
                coin, moved, back = (stats.binom.sf(against, n, special.ndtr(u + by)) for by in (0, -s, s))
                laws = [stats.binom.pmf(np.arange(m + 1), m, p[:, None]) for p in (coin, moved, back)]
                pairs = [hockey_stick(laws[0], other, epsilon=epsilon) for other in laws[1:]]
                best = np.maximum(best, np.maximum(*pairs))
            return best

        grid = np.linspace(first, max(first, s) + 5, 1001)
        values, step = np.r_[0, told(grid), 0], grid[1] - grid[0]
        high = values[1:-1] > 0.98 * values.max()
        peaks = grid[(values[1:-1] >= values[:-2]) & (values[1:-1] >= values[2:]) & high]
        sup = max((by_grids(told, max(first, peak - step), peak + step) for peak in peaks), default=0.0)
        setting = {"n_vote": n, "p_low": p_low, "num_classes": 2, "releases": m, "epsilon": epsilon}
        found = vote_profile(s, sigma=1.0, **setting)
        assert sup - SUM_OF_FLOATS <= found <= sup + 1e-7


@pytest.mark.parametrize("num_classes", [2, 3])
def test_no_net_of_pieces_tells_more(num_classes):
    """200 random nets: exact laws of VOTE at x and x', with what is known of x and without, for m and epsilon."""
    rng = np.random.default_rng(num_classes)
    for _ in range(200):
        net, n, s = PiecewiseNet(rng, num_classes), int(rng.integers(1, 13)), float(rng.exponential(0.6))
        x = rng.normal()
        shares = net.shares(np.array([x, x + s * rng.uniform(-1, 1)]))
        here, there = vote_laws(shares, n)
        a = int(shares[0].argmax())
        known = [{}, {"p_low": shares[0, a]}]
        if num_classes > 2:
            known.append({"p_low": shares[0, a], "p_high": np.delete(shares[0], a).max()})
        for m, epsilon in ((1, 0.0), (3, 0.0), (1, 0.3)):
            played = repeated_tv(here, there, m) if epsilon == 0 else hockey_stick(here, there, epsilon=epsilon)
            for what in known:
                setting = {"n_vote": n, "num_classes": num_classes, "releases": m, "epsilon": epsilon, **what}
                assert played <= vote_profile(s, sigma=1.0, **setting) + SUM_OF_FLOATS


def test_without_a_certificate_a_tenth_of_sigma_tells_what_the_book_prints():
    assert vote_profile(0.1, sigma=1.0, n_vote=101, num_classes=2) == pytest.approx(0.312, abs=5e-4)
    assert noise_tv(0.1, sigma=1.0, n_vote=101) == pytest.approx(0.385, abs=5e-4)
    s = np.linspace(0.01, 3, 50)
    for n in (1, 11, 101, 1001):
        for_all = vote_profile(s, sigma=2.0, n_vote=n, num_classes=2)
        assert for_all == pytest.approx(2 * vote_curve(s / 4, n) - 1, abs=1e-9)
        assert np.all(for_all <= noise_tv(s, sigma=2.0, n_vote=n) + 1e-12)
        assert vote_profile(s, sigma=2.0, n_vote=n) == pytest.approx(noise_tv(s, sigma=2.0, n_vote=n), rel=1e-9)


def test_more_classes_can_tell_more_than_two_ever_do():
    """A class on each side and the middle shared out among 98: a vote for the sides is a better estimate of place.

    R, whose index is the highest, is released only if it beats L, and is if it does and has more votes than any class
    of the middle. So the law of (N_L, N_R) and the tails of the rest bound what is told from below.
    """
    n, s, cut, middle = 101, 0.1, 0.6, 98
    right = [special.ndtr(at - cut) for at in (s / 2, -s / 2)]
    left = [special.ndtr(-at - cut) for at in (s / 2, -s / 2)]
    either = np.arange(n + 1)

    beats = [
        stats.binom.pmf(either, n, r + other) @ stats.binom.sf(either // 2, either, r / (r + other))
        for r, other in zip(right, left, strict=True)
    ]
    most = 2.5 * stats.norm.pdf(0) * cut / middle  # of a class in the middle, at x'
    crowded = middle * stats.binom.sf(11, n, most) + stats.binom.cdf(12, n, right[0])
    told = beats[0] - crowded - beats[1]
    bound = {"sigma": 1.0, "n_vote": n}
    assert vote_profile(s, **bound, num_classes=2) < told <= vote_profile(s, **bound, num_classes=100)


def test_the_deployable_radius_is_one_point_of_the_profile():
    for n, beta in ((100, 0.01), (1001, 0.05)):
        radius = deployable_radius(0.95, sigma=3.0, n_vote=n, beta=beta)
        assert vote_profile(radius, sigma=3.0, n_vote=n, p_low=0.95) == pytest.approx(beta, rel=1e-9)
        exact = vote_profile(radius, sigma=3.0, n_vote=n, p_low=0.95, num_classes=2)
        assert exact == pytest.approx(halfspace_tv(0.95, radius, sigma=3.0, n_vote=n), rel=1e-9)
        assert exact <= beta


def test_gaussian_noise_alone_at_every_epsilon():
    x = np.linspace(-12, 14, 200_001)
    for shift, epsilon in ((0.5, 0.0), (2.0, 0.7), (1.0, 3.0), (0.01, 0.1)):
        densities = stats.norm.pdf(x), stats.norm.pdf(x, loc=shift)
        delta = np.maximum(0, densities[0] - math.exp(epsilon) * densities[1]).sum() * (x[1] - x[0])
        assert gaussian_delta(shift, epsilon) == pytest.approx(delta, abs=1e-6)
    assert gaussian_delta(0.0, 0.5) == 0


def test_the_profile_takes_arrays_the_ends_and_one_clear_line():
    found = vote_profile(np.array([[0.0, 0.5], [3.0, 1e6]]), sigma=1.0, n_vote=11, p_low=0.9, num_classes=2)
    assert found.shape == (2, 2)
    assert found[0, 0] == 0
    assert np.all(np.diff(found.ravel()) > 0)
    assert found[1, 1] == pytest.approx(1)
    assert vote_profile(1.0, sigma=1.0, n_vote=11, p_low=1.0, num_classes=2) <= 1e-14
    assert vote_profile(1e300, sigma=1e-300, n_vote=11, num_classes=2) == 1
    for classes in (2, None):
        far = vote_profile([1e-300, 0.5, 40.0], sigma=1.0, n_vote=11, num_classes=classes, epsilon=1e4, releases=3)
        assert np.all((far >= 0) & (far <= 1))
    assert vote_profile(0.3, sigma=1.0, n_vote=11, p_low=0.0, num_classes=2) == pytest.approx(
        vote_profile(0.3, sigma=1.0, n_vote=11, num_classes=2)
    )
    for bad in (
        {"distance": -1.0}, {"distance": math.inf}, {"p_low": 1.5}, {"p_high": 0.1}, {"epsilon": -0.1}, {"n_vote": 0},
        {"sigma": 0.0}, {"num_classes": 1}, {"releases": 0}, {"releases": 20_000, "num_classes": 2},
    ):  # fmt: skip
        with pytest.raises(InputError) as error:
            vote_profile(**{"distance": 0.1, "sigma": 1.0, "n_vote": 11, **bad})
        assert str(error.value).startswith(next(iter(bad)))
