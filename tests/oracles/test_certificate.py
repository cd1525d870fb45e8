"""The radius that a release keeps of a certificate: calibrated, classical, and what a half-space gives away in it."""

import numpy as np
import pytest
import torch
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.halfspace_net import at_distance, half_space_net
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.statistics.binomial import lower_confidence_bound
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
    assert np.allclose(found.deployable_radius(**AT, calibrated=False), classical, rtol=1e-12)
    predict = deployable_radius_predict(p_low, sigma=2.0, n_vote=101, beta=0.01, alpha=0.05)
    kept = found.deployable_radius(**AT, rule="predict", test_alpha=0.05, calibrated=False)
    assert np.allclose(kept, predict, rtol=1e-12)


def test_the_calibrated_radius_is_never_shorter_and_mostly_longer():
    found = certify()
    kept, classical = (found.deployable_radius(**AT, calibrated=how) for how in (True, False))
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


@pytest.mark.parametrize(
    ("argument", "wish"),
    [("rule", {"rule": "certify"}), ("test_alpha", {"rule": "predict"}), ("n_vote", {"n_vote": 0}),
     ("releases", {"releases": 0}), ("target_tv", {"target_tv": 1.5})],
)  # fmt: skip
def test_what_cannot_be_kept_is_refused_in_one_line(argument, wish):
    with pytest.raises(InputError, match=rf"^{argument}[^\n]*: got [^\n]*$"):
        certify().deployable_radius(**{**AT, **wish})
