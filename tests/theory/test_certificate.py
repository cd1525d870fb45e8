"""The radius that a release keeps of a certificate: calibrated, classical, and what a half-space gives away in it."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import at_distance, half_space_net
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.anytime import anytime_lower_bound
from rp_tutorial.statistics.binomial import lower_confidence_bound, upper_confidence_bound
from rp_tutorial.theory import plurality
from rp_tutorial.theory.calibrated_plurality import calibrated_plurality_radius
from rp_tutorial.theory.calibration import calibrated_radius
from rp_tutorial.theory.guarantees import deployable_radius, deployable_radius_predict
from tests.helpers.user_nets import build

AT = {"n_vote": 101, "target_tv": 0.02}


def certify(sigma=2.0, **options):
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=sigma, seed=0, **options)
    x = (at_distance(np.linspace(-4, 4, 41)) * 64).round() / 64
    return smoothing.certify(x, n0=50, n=300, alpha=0.001)


def test_the_radius_is_that_of_the_votes_for_the_chosen_class_whatever_alpha_was():
    found = certify()
    votes = np.where(found.chosen == 1, found.counts[:, 1], found.counts[:, 0])
    expected = calibrated_radius(votes, sigma=2.0, n_cert=300, num_classes=2, **AT)
    assert np.array_equal(found.deployable_radius(**AT), expected)
    p_low = lower_confidence_bound(votes, 300, alpha=0.01)
    classical = deployable_radius(p_low, sigma=2.0, n_vote=101, beta=0.01)
    assert np.allclose(found.deployable_radius(**AT, bound="classical"), classical, rtol=1e-12)
    predict = deployable_radius_predict(p_low, sigma=2.0, n_vote=101, beta=0.01, alpha=0.05)
    kept = found.deployable_radius(**AT, rule="predict", test_alpha=0.05, bound="classical")
    assert np.allclose(kept, predict, rtol=1e-12)


def test_the_calibrated_radius_is_never_shorter_and_mostly_longer():
    found = certify()
    kept, classical = (found.deployable_radius(**AT, bound=how) for how in ("calibrated", "classical"))
    assert np.all(kept >= classical)
    assert np.mean(kept[kept > 0] > classical[kept > 0]) == 1
    assert np.all(found.deployable_radius(**AT, releases=10) <= kept)


def test_on_the_worst_half_space_the_promise_is_used_up_and_not_exceeded():
    """The certificate drawn by the oracle, the neighbour at its radius, the law of the vote exact: the mean is .02."""
    u = np.linspace(0.2, 2.0, 61)
    rule = calibrated_radius(np.arange(101), sigma=1.0, n_cert=100, num_classes=2, **AT)
    wins = lambda at: stats.binom.sf(50, 101, special.ndtr(at))  # noqa: E731
    told = [stats.binom.pmf(np.arange(101), 100, special.ndtr(v)) @ (wins(v) - wins(v - rule)) for v in u]
    worst, tries = u[int(np.argmax(told))], 4000
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=1)
    found = smoothing.certify(at_distance(np.full(tries, worst)), n0=100, n=100, alpha=0.01)
    kept = found.deployable_radius(**AT)
    here = np.where(found.chosen == 1, worst, -worst)
    gap = wins(here) - wins(here - kept)
    assert max(told) == pytest.approx(0.02, rel=1e-3)
    assert gap.mean() == pytest.approx(0.02, abs=5 * gap.std() / np.sqrt(tries))


def test_many_classes_are_bounded_by_a_majority_and_a_grid_pays_for_its_sampler():
    net = build("plain")
    smoothing = Smoothing(net, num_classes=3, sigma=1.0, seed=2)
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    found = smoothing.certify(x, n0=50, n=200, alpha=0.01)
    votes = found.counts[np.arange(20), found.chosen]
    assert np.array_equal(
        found.deployable_radius(**AT), calibrated_radius(votes, sigma=1.0, n_cert=200, num_classes=None, **AT)
    )
    on_grid = certify(grid=Grid(step=2**-6))
    assert 0 < on_grid.sampler_error < 1e-9
    assert np.all(on_grid.deployable_radius(**AT) > 0, where=on_grid.radius > 2)
    with pytest.raises(InputError, match=r"^target_tv less the error of the sampler: [^\n]*$"):
        on_grid.deployable_radius(n_vote=101, target_tv=1e-14)


def test_by_plurality_there_is_a_radius_where_nobody_has_a_majority():
    """Ten classes, 35 in 100 for the first and at most 10 for any other: the loss is enumerated in tests/theory."""

    class Shares(torch.nn.Module):
        """Class 0 left of -.385, then nine equal strips of the normal law."""

        def forward(self, x):
            edges = torch.tensor(special.ndtri(0.35 + 0.65 * np.arange(9) / 9), dtype=x.dtype)
            return torch.nn.functional.one_hot(torch.bucketize(x[:, 0].contiguous(), edges), 10).to(x)

    smoothing = Smoothing(Shares(), num_classes=10, sigma=1.0, seed=3)
    found = smoothing.certify(torch.zeros(1, 2), n0=50, n=2000, alpha=0.01, bound="two-sided")
    at = {"n_vote": 1001, "target_tv": 0.02}
    assert found.label.tolist() == [0]
    assert found.deployable_radius(**at, bound="classical") == 0
    kept = found.deployable_radius(**at, bound="plurality")
    votes, rival = found.counts[0, 0], found.counts[0, 1:].max()
    p_low = lower_confidence_bound(votes, 2000, alpha=0.005)
    p_high = upper_confidence_bound(rival, 2000, alpha=0.005)
    expected = plurality.deployable_radius(p_low, p_high, sigma=1.0, n_vote=1001, num_classes=10, beta=0.01)
    assert 0 < kept[0] < found.radius[0]
    assert kept == pytest.approx(expected, rel=1e-9)


def test_calibrated_by_plurality_is_for_one_vote_of_counts_that_do_not_grow():
    found = Smoothing(build("plain"), num_classes=3, sigma=2.0, seed=2).certify(
        torch.zeros(1, 6), n0=50, n=25, alpha=0.01
    )
    at = {"n_vote": 10, "target_tv": 0.3}
    votes, rival = found.counts[0, found.chosen[0]], np.delete(found.counts[0], found.chosen[0]).max()
    expected = calibrated_plurality_radius(votes, rival, sigma=2.0, n_cert=25, num_classes=3, **at)
    kept = found.deployable_radius(**at, bound="calibrated-plurality")
    assert kept.tolist() == [expected]
    assert kept >= found.deployable_radius(**at, bound="plurality")
    for wish, argument in (
        ({"releases": 2}, "releases"),
        ({"rule": "predict"}, "rule"),
        ({"n_vote": 5000}, "n_cert, n_vote"),
    ):
        with pytest.raises(InputError, match=rf"^{argument}: got [^\n]*$"):
            found.deployable_radius(**{**at, **wish}, bound="calibrated-plurality")


def test_who_looks_and_goes_on_has_one_certificate():
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=4)
    x, how = at_distance([1.5, -0.4]), {"n0": 50, "alpha": 0.01, "anytime": True}
    first = smoothing.certify(x, n=100, **how)
    then = smoothing.certify(x, n=900, after=first, **how)
    assert (then.n, then.counts.sum(axis=1).tolist()) == (1000, [1000, 1000])
    assert np.all(then.counts >= first.counts)
    assert np.all(then.p_low >= first.p_low)
    votes = then.counts[np.arange(2), then.chosen]
    assert np.all(then.p_low >= anytime_lower_bound(votes, 1000, alpha=0.01))
    assert np.all(anytime_lower_bound(votes, 1000, alpha=0.01) < lower_confidence_bound(votes, 1000, alpha=0.01))
    at_two_percent = deployable_radius(anytime_lower_bound(votes, 1000, alpha=0.01), sigma=1.0, n_vote=101, beta=0.01)
    assert np.array_equal(then.deployable_radius(**AT, bound="classical"), at_two_percent)
    for argument, wish in (("bound", {}),):
        with pytest.raises(InputError, match=f"^{argument}: got [^\n]*$"):
            then.deployable_radius(**AT, **wish)


def test_a_bettor_who_stops_at_the_best_moment_fails_no_more_often_than_alpha():
    """On the boundary every radius is wrong. 3,000 certificates, looked at after every 10 samples up to 200."""
    people, alpha = 3000, 0.05
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=5)
    x = at_distance(np.zeros(people))
    found, fixed = None, np.zeros(people, dtype=bool)
    for _ in range(20):
        found = smoothing.certify(x, n0=5, n=10, alpha=alpha, anytime=True, after=found)
        votes = found.counts[np.arange(people), found.chosen]
        fixed |= lower_confidence_bound(votes, found.n, alpha=alpha) > 0.5
    allowed = stats.binom.isf(1e-6, people, alpha)
    assert (found.radius > 0).sum() <= allowed
    assert fixed.sum() > allowed, "the bound for a fixed n is broken by looking"


@pytest.mark.parametrize(
    ("argument", "change"),
    [("rows of x", {"x": at_distance([1.0])}), ("n0", {"n0": 6}), ("alpha", {"alpha": 0.02}),
     ("anytime", {"anytime": False}), ("bound", {"bound": "two-sided"})],
)  # fmt: skip
def test_what_is_no_continuation_is_refused_in_one_line(argument, change):
    smoothing = Smoothing(half_space_net(), num_classes=2, sigma=1.0, seed=4)
    how = {"x": at_distance([1.0, 2.0]), "n0": 5, "n": 50, "alpha": 0.01, "anytime": True}
    with pytest.raises(InputError, match=f"^{argument}: got [^\n]*$"):
        smoothing.certify(**{**how, "after": smoothing.certify(**how), **change})
    with pytest.raises(InputError, match=r"^anytime: got [^\n]*$"):
        Smoothing(half_space_net(), num_classes=2, sigma=1.0, grid=Grid(step=0.25)).certify(**how)
    fixed = smoothing.certify(**{**how, "anytime": False})
    with pytest.raises(InputError, match=r"^anytime: got [^\n]*$"):
        smoothing.certify(**{**how, "anytime": False}, after=fixed)


@pytest.mark.parametrize(
    ("argument", "wish"),
    [("rule", {"rule": "certify"}), ("test_alpha", {"rule": "predict"}), ("n_vote", {"n_vote": 0}),
     ("releases", {"releases": 0}), ("target_tv", {"target_tv": 1.5}), ("bound", {"bound": "best"})],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_in_one_line(argument, wish):
    with pytest.raises(InputError, match=rf"^{argument}[^\n]*: got [^\n]*$"):
        certify().deployable_radius(**{**AT, **wish})
