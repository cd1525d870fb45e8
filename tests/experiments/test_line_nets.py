"""Nets of the line: the laws of their votes against enumeration, and the nets themselves behind the real smoothing."""

import numpy as np
import pytest
from scipy import stats

from rp_tutorial.experiments.line_nets import CLASSES, LineNet, Release, largest_other_law, vote_law
from rp_tutorial.theory.halfspace import predict_law
from tests.helpers.piecewise import count_vectors, vote_laws

SUM_OF_FLOATS = 1e-13


@pytest.mark.parametrize(("num_classes", "n"), [(2, 9), (3, 1), (3, 12), (4, 8), (6, 5)])
def test_the_law_of_a_vote_is_that_of_all_counts_enumerated(num_classes, n):
    shares = np.random.default_rng(n).dirichlet(np.ones(num_classes), (2, 3))
    shares[0, 0, 1:] = 0
    shares[0, 0, 0] = 1
    assert np.abs(vote_law(shares, n) - vote_laws(shares, n)).max() < SUM_OF_FLOATS


@pytest.mark.parametrize(("num_classes", "n"), [(3, 1), (3, 12), (4, 8), (5, 6)])
def test_the_joint_law_of_a_count_and_the_largest_other_is_that_of_all_counts_enumerated(num_classes, n):
    shares = np.random.default_rng(n).dirichlet(np.ones(num_classes))
    counts, ways = count_vectors(n, num_classes)
    for own in range(num_classes):
        law = np.zeros((n + 1, n + 1))
        largest = np.delete(counts, own, axis=1).max(axis=1)
        np.add.at(law, (counts[:, own], largest), ways * np.prod(shares**counts, axis=1))
        assert np.abs(largest_other_law(shares, own, n) - law).max() < SUM_OF_FLOATS


def test_votes_of_a_hundred_classes_come_as_often_as_their_law_says():
    """200,000 votes drawn by their counts; a chi-square over the classes at 1e-6."""
    rng = np.random.default_rng(0)
    shares, n, votes = rng.dirichlet(np.ones(100)), 25, 200_000
    won = np.bincount(rng.multinomial(n, shares, votes).argmax(axis=1), minlength=100)
    law = vote_law(shares, n)
    assert law.sum() == pytest.approx(1, abs=1e-12)
    often = law * votes > 10
    observed, expected = np.append(won[often], won[~often].sum()), np.append(law[often], law[~often].sum()) * votes
    assert stats.chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-6


@pytest.mark.parametrize("num_classes", CLASSES)
def test_the_net_behind_the_real_smoothing_has_the_shares_that_its_pieces_have(num_classes):
    """40,000 noisy labels; each class within an exact interval that misses once in 1e8."""
    rng, n = np.random.default_rng(num_classes), 40_000
    for seed in range(3):
        net, place = LineNet.drawn(rng, num_classes), rng.normal()
        assert len(set(net.classes)) >= 2
        counts = net.smoothing(seed).counts(net.inputs([place]), n)[0].numpy()
        low, high = stats.binom.interval(1 - 1e-8, n, net.shares(place))
        assert np.all((low <= counts) & (counts <= high))


def test_a_release_has_its_abstentions_last():
    net = LineNet([0.0], [0, 1], 2, 0.5)
    zero, abstains, one = predict_law(0.8413447460685429, n=20, alpha=0.05)
    assert Release(net, 20, 0.05).law(1.0) == pytest.approx([zero, one, abstains], abs=1e-12)
    assert Release(net, 21).law(1.0)[-1] == 0
    labels = Release(net, 20, 0.05).oracle(net.smoothing(1))(net.inputs(np.full(2000, 0.5))).numpy()
    law = Release(net, 20, 0.05).law(0.5)
    for symbol in (0, 1, -1):
        low, high = stats.binom.interval(1 - 1e-8, 2000, law[symbol])
        assert low <= (labels == symbol).sum() <= high
