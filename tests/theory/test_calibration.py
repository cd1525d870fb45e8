"""The calibrated rule: on every half-space by brute force, on nets that were drawn, and beside the rule it replaces."""

import math

import numpy as np
import pytest
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import certified_radius, lower_confidence_bound
from rp_tutorial.theory.calibration import calibrated_level, calibrated_radius, worst_mean_tv
from rp_tutorial.theory.guarantees import deployable_radius, halfspace_tv, total_variation
from tests.helpers.piecewise import PiecewiseNet, vote_laws

SUM_OF_FLOATS = 1e-11
BY_GRIDS = 1e-5  # relative, what the last grid of the search by force may miss of a maximum


def mean_tv(radius: np.ndarray, u: np.ndarray, n_vote: int, **mechanism) -> np.ndarray:
    """Mean over the certificates of the TV on half-spaces with p_A = Phi(u), at the worse end of the ball: [U]."""
    p, n = special.ndtr(u), len(radius) - 1
    told = [halfspace_tv(p[:, None], by * radius, sigma=1.0, n_vote=n_vote, **mechanism) for by in (1, -1)]
    return (stats.binom.pmf(np.arange(n + 1), n, p[:, None]) * np.maximum(*told)).sum(axis=1)


def worst(radius: np.ndarray, n_vote: int, **mechanism) -> float:
    """The largest mean over half-spaces, by a grid and two finer ones around its best point."""
    low, high, best = -1.0, min(8.0, radius[-1] + 4), 0.0
    for points in (250, 61, 41):
        u = np.linspace(low, high, points)
        values = mean_tv(radius, u, n_vote, **mechanism)
        at = int(values.argmax())
        best, low, high = max(best, values[at]), u[max(0, at - 2)], u[min(points - 1, at + 2)]
    return best


@pytest.mark.parametrize(
    ("n_cert", "n_vote", "classical", "bar"),
    [(100, 101, 0.595, 0.85), (1000, 101, 0.866, 0.99), (1000, 1001, 1.064, 1.13)],
)
def test_the_same_promise_comes_with_a_longer_radius(n_cert, n_vote, classical, bar):
    """At p_A = .9 and a TV of .02; and the supremum is bracketed to a millionth, below the target."""
    counts, sizes = np.arange(n_cert + 1), {"n_cert": n_cert, "n_vote": n_vote}
    weight = stats.binom.pmf(counts, n_cert, 0.9)
    p_low = lower_confidence_bound(counts, n_cert, alpha=0.01)
    old = deployable_radius(p_low, sigma=1.0, n_vote=n_vote, beta=0.01)
    assert weight @ old == pytest.approx(classical, abs=5e-4)
    for classes in (2, None):
        new = calibrated_radius(counts, target_tv=0.02, sigma=1.0, num_classes=classes, **sizes)
        assert np.all(new >= old)
        assert weight @ new >= bar
        low, high = worst_mean_tv(new, n_vote=n_vote, num_classes=classes)
        assert 0.02 * (1 - 1e-3) <= low <= high <= 0.02
        assert high - low <= 1e-6
    low, high = worst_mean_tv(old, n_vote=n_vote, num_classes=2)
    assert high < 0.002  # promised: .02
    assert low * (1 - BY_GRIDS) <= worst(old, n_vote) <= high + SUM_OF_FLOATS


def test_in_two_hundred_settings_the_worst_half_space_reaches_the_target_and_none_exceeds_it():
    rng = np.random.default_rng(0)
    for _ in range(200):
        n_cert, n_vote = int(rng.integers(5, 60)), 2 * int(rng.integers(0, 40)) + 1
        target = float(rng.choice([0.005, 0.02, 0.1, 0.4]) * rng.uniform(0.5, 1.5))
        sizes = {"target_tv": target, "n_cert": n_cert, "n_vote": n_vote}
        radius = calibrated_radius(np.arange(n_cert + 1), sigma=1.0, num_classes=2, **sizes)
        found = worst(radius, n_vote)
        assert found <= target + SUM_OF_FLOATS
        assert found >= target * (1 - 2e-3)


@pytest.mark.parametrize(
    "mechanism",
    [
        {},
        {"rule": "predict", "test_alpha": 0.05},
        {"releases": 4},
        {"rule": "predict", "test_alpha": 0.05, "releases": 3},
    ],
)
@pytest.mark.parametrize("n_vote", [12, 61])
def test_ties_abstentions_and_many_releases_stay_below_the_target(mechanism, n_vote):
    counts = np.arange(61)
    radius = calibrated_radius(counts, target_tv=0.1, sigma=1.0, n_cert=60, n_vote=n_vote, **mechanism)
    played = {("alpha" if key == "test_alpha" else key): value for key, value in mechanism.items()}
    ties = ("against", "for") if "rule" not in mechanism else ("against",)
    assert 0.05 < max(worst(radius, n_vote, tie=tie, **played) for tie in ties) <= 0.1 + SUM_OF_FLOATS


def test_no_net_of_pieces_exceeds_the_target():
    """200 random nets of two and three classes: exact certificates of the class chosen, exact votes, the worst x'."""
    rng, largest = np.random.default_rng(1), 0.0
    for _ in range(200):
        num_classes = int(rng.choice([2, 3]))
        net, n_vote, n_cert, target = PiecewiseNet(rng, num_classes), int(rng.integers(1, 12)), 40, 0.2
        counts = np.arange(n_cert + 1)
        radius = calibrated_radius(counts, target_tv=target, sigma=1.0, n_cert=n_cert, n_vote=n_vote)
        x = rng.normal()
        offsets = np.linspace(-radius[-1], radius[-1], 121) if radius[-1] > 0 else np.zeros(1)
        shares = net.shares(np.array(x))
        told = total_variation(vote_laws(shares, n_vote), vote_laws(net.shares(x + offsets), n_vote))
        at_count = [told[np.abs(offsets) <= r].max(initial=0.0) for r in radius]
        for p in shares:  # whichever class was chosen
            mean = stats.binom.pmf(counts, n_cert, p) @ at_count
            largest = max(largest, mean)
            assert mean <= target + SUM_OF_FLOATS
    assert largest > target / 4  # the nets come near enough to be a test


def test_the_level_is_at_least_what_adding_two_failures_allows_and_grows_with_the_target():
    levels = [calibrated_level(target, n_cert=50, n_vote=31) for target in (0.001, 0.01, 0.1, 0.5)]
    assert levels == sorted(levels)
    assert all(level > target / 2 for level, target in zip(levels, (0.001, 0.01, 0.1, 0.5), strict=True))
    assert calibrated_level(0.02, n_cert=50, n_vote=31) <= calibrated_level(0.02, n_cert=50, n_vote=31, num_classes=2)


@pytest.mark.parametrize("num_classes", [2, None])
@pytest.mark.parametrize(("n_cert", "n_vote", "target"), [(1, 1, 0.9), (100, 3, 1e-6), (10, 101, 1e-9), (40, 7, 0.999)])
def test_few_samples_and_extreme_targets_are_met_as_well(n_cert, n_vote, target, num_classes):
    sizes = {"target_tv": target, "n_cert": n_cert, "n_vote": n_vote, "num_classes": num_classes}
    radius = calibrated_radius(np.arange(n_cert + 1), sigma=1.0, **sizes)
    found = worst(radius, n_vote)
    assert found <= target * (1 + 1e-9)
    assert num_classes is None or found >= target * (1 - 5e-3)


def test_any_rule_that_does_not_fall_can_be_bracketed():
    """The certified radius itself, whose edge the book's first table shows: half of a quarter and more."""
    counts = np.arange(101)
    edge = certified_radius(lower_confidence_bound(counts, 100, alpha=0.01), sigma=1.0)
    low, high = worst_mean_tv(edge, n_vote=101, num_classes=2, tolerance=1e-5)
    assert low * (1 - BY_GRIDS) <= worst(edge, 101) <= high + SUM_OF_FLOATS
    assert worst_mean_tv(np.zeros(11), n_vote=5) == (0.0, 0.0)
    constant = np.full(11, 0.3)
    low, high = worst_mean_tv(constant, n_vote=5, num_classes=2)
    assert low <= 2 * stats.binom.sf(2, 5, special.ndtr(0.15)) - 1 <= high


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"target_tv": 0.0}, "target_tv"), ({"target_tv": 1.0}, "target_tv"), ({"n_cert": 0}, "n_cert"),
        ({"n_vote": 2.5}, "n_vote"), ({"rule": "certify"}, "rule"), ({"rule": "predict"}, "test_alpha"),
        ({"test_alpha": 0.01}, "test_alpha"), ({"num_classes": 1}, "num_classes"), ({"releases": 0}, "releases"),
        ({"rule": "predict", "test_alpha": 0.01, "n_vote": 7}, "n_vote"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_in_one_line(bad, named):
    with pytest.raises(InputError) as error:
        calibrated_level(**{"target_tv": 0.02, "n_cert": 10, "n_vote": 11, **bad})
    assert str(error.value).startswith(f"{named}: ")


@pytest.mark.parametrize("radius", [[0.2, 0.1], [0.1], [[0.1, 0.2]], [0.1, math.inf], [-0.1, 0.2]])
def test_a_rule_that_falls_is_refused(radius):
    with pytest.raises(InputError, match="tolerance"):
        worst_mean_tv([0.1, 0.2], n_vote=5, tolerance=1e-12)
    with pytest.raises(InputError, match="not falling"):
        worst_mean_tv(radius, n_vote=5)
