"""Calibration by plurality: by force over both probabilities, on nets that were drawn, beside the classical rule."""

import numpy as np
import pytest
from scipy import special

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import lower_confidence_bound, upper_confidence_bound
from rp_tutorial.theory import plurality
from rp_tutorial.theory.calibrated_plurality import calibrated_plurality_level, calibrated_plurality_radius
from rp_tutorial.theory.guarantees import total_variation
from tests.helpers.piecewise import PiecewiseNet, count_vectors, vote_laws

SUM_OF_FLOATS = 1e-11


def all_radii(n_cert: int, **promise) -> np.ndarray:
    """The radius [n + 1, n + 1] of every pair of counts, in sigmas; 0 where there is no such pair."""
    own, other = np.meshgrid(np.arange(n_cert + 1), np.arange(n_cert + 1), indexing="ij")
    fits, found = own + other <= n_cert, np.zeros(own.shape)
    found[fits] = calibrated_plurality_radius(own[fits], other[fits], sigma=1.0, n_cert=n_cert, **promise)
    return found


def worst_of_two_numbers(radii: np.ndarray, n_vote: int, num_classes: int, points: int) -> float:
    """The largest mean over a grid of (p_A, p_c): the trinomial law of the counts and the vote, both enumerated."""
    counts, ways = count_vectors(len(radii) - 1, 3)
    votes, orders = count_vectors(n_vote, 3)
    lengths, which = np.unique(radii[counts[:, 0], counts[:, 1]], return_inverse=True)
    loses, minority = votes[:, 1] >= votes[:, 0], 2 * votes[:, 0] <= n_vote
    alone = 2 * special.ndtr(lengths * np.sqrt(n_vote) / 2) - 1
    best = 0.0
    for a in np.linspace(0, 1, points + 1)[1:]:
        for b in np.linspace((1 - a) / (num_classes - 1), 1 - a, points):
            there = special.ndtr(special.ndtri(a) - lengths)
            rival = np.minimum(special.ndtr(special.ndtri(b) + lengths), 1 - there)
            law = orders * np.prod(
                np.stack([there, rival, np.maximum(0, 1 - there - rival)], -1)[:, None] ** votes, axis=-1
            )
            lost = np.minimum((num_classes - 1) * law[:, loses].sum(axis=1), law[:, minority].sum(axis=1))
            weight = ways * np.prod(np.array([a, b, max(0.0, 1 - a - b)]) ** counts, axis=1)
            best = max(best, weight @ np.minimum(lost, alone)[which])
    return best


@pytest.mark.parametrize(
    ("n_cert", "n_vote", "num_classes", "target"),
    [(12, 5, 3, 0.1), (20, 10, 4, 0.3), (25, 11, 30, 0.05), (30, 4, 1000, 0.02), (9, 12, 10, 0.6)],
)
def test_no_two_probabilities_exceed_the_target_and_some_come_near(n_cert, n_vote, num_classes, target):
    promise = {"target_tv": target, "n_vote": n_vote, "num_classes": num_classes}
    worst = worst_of_two_numbers(all_radii(n_cert, **promise), n_vote, num_classes, points=30)
    assert 0.7 * target < worst <= target + SUM_OF_FLOATS


@pytest.mark.parametrize(("num_classes", "n_cert"), [(3, 14), (4, 10)])
def test_no_net_of_pieces_exceeds_the_target_whichever_class_was_chosen(num_classes, n_cert):
    """Certificates by enumeration, votes by enumeration, the worst x' within the radius of each certificate."""
    rng, n_vote, target, largest = np.random.default_rng(num_classes), 7, 0.2, 0.0
    radii = all_radii(n_cert, target_tv=target, n_vote=n_vote, num_classes=num_classes)
    counts, ways = count_vectors(n_cert, num_classes)
    offsets = np.linspace(-radii.max(), radii.max(), 121)
    for _ in range(100):
        net, x = PiecewiseNet(rng, num_classes), rng.normal()
        shares = net.shares(np.array(x))
        told = total_variation(vote_laws(shares, n_vote), vote_laws(net.shares(x + offsets), n_vote))
        weight = ways * np.prod(shares**counts, axis=1)
        for chosen in range(num_classes):
            found = radii[counts[:, chosen], np.delete(counts, chosen, axis=1).max(axis=1)]
            lengths, which = np.unique(found, return_inverse=True)
            worst = np.array([told[np.abs(offsets) <= r].max(initial=0.0) for r in lengths])
            mean = weight @ np.where(lengths > 0, worst, 0.0)[which]
            largest = max(largest, mean)
            assert mean <= target + SUM_OF_FLOATS
    assert largest > target / 5


@pytest.mark.parametrize(("n_cert", "n_vote", "num_classes"), [(30, 11, 5), (100, 10, 80)])
def test_no_radius_is_shorter_than_that_of_the_classical_rule(n_cert, n_vote, num_classes):
    target, counts = 0.02, np.arange(n_cert + 1)
    p_low, p_high = (
        bound(counts, n_cert, alpha=target / 4) for bound in (lower_confidence_bound, upper_confidence_bound)
    )
    at = {"sigma": 1.0, "n_vote": n_vote, "num_classes": num_classes, "beta": target / 2}
    classical = plurality.deployable_radius(p_low[:, None], p_high, **at)
    fits = counts[:, None] + counts <= n_cert
    radii = all_radii(n_cert, target_tv=target, n_vote=n_vote, num_classes=num_classes)
    assert np.all(radii[fits] >= classical[fits])
    assert (radii[fits] > 0).sum() > (classical[fits] > 0).sum()
    assert np.all(np.diff(radii[:, 0]) >= 0)
    assert np.all(np.diff(radii[n_cert // 2, : n_cert // 2]) <= 0)


def test_where_no_bracket_closes_the_level_is_what_adding_failures_allows():
    """A target below what floats can tell apart."""
    at = {"n_cert": 5, "n_vote": 3, "num_classes": 3}
    assert calibrated_plurality_level(1e-12, **at) == 5e-13
    assert calibrated_plurality_radius(5, 0, target_tv=1e-12, sigma=1.0, **at) == 0


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"target_tv": 0.0}, "target_tv"), ({"n_cert": 2001, "n_vote": 50}, "n_cert, n_vote"),
        ({"n_cert": 11, "n_vote": 10_000}, "n_cert, n_vote"),
        ({"n_vote": 0}, "n_vote"), ({"num_classes": 1}, "num_classes"), ({"largest_other": 6}, "largest_other"),
        ({"largest_other": -1}, "largest_other"), ({"sigma": 0.0}, "sigma"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_in_one_line(bad, named):
    at = {"largest_other": 1, "target_tv": 0.2, "sigma": 1.0, "n_cert": 10, "n_vote": 5, "num_classes": 3}
    with pytest.raises(InputError) as error:
        calibrated_plurality_radius(5, **{**at, **bad})
    assert str(error.value).startswith(f"{named}: ")
    assert "\n" not in str(error.value)
