"""The radius by plurality: against every law of a vote of few, against the majority's, and the numbers of the book."""

import math

import numpy as np
import pytest
from scipy import special

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import upper_confidence_bound
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.plurality import deployable_radius, plurality_loss
from tests.helpers.piecewise import PiecewiseNet, count_vectors, vote_laws

SUM_OF_FLOATS = 1e-12


def worst_laws(rng: np.random.Generator, a: float, b: float, num_classes: int, rows: int) -> np.ndarray:
    """Laws [R, K] of one noisy label with p_A >= a and every other class at most b, A last; most of them extreme."""
    rivals = num_classes - 1
    laws = []
    for _ in range(rows):
        own = a if rng.random() < 0.6 else rng.uniform(a, 1)
        rest, shares = 1 - own, np.zeros(rivals)
        for c in rng.permutation(rivals):  # as much to the next class as it may have, or a random part of it
            shares[c] = min(b, rest) * (1 if rng.random() < 0.7 else rng.random())
            rest -= shares[c]
        if rest > 0:  # the rest has to go somewhere: to A
            own += rest
        laws.append(np.r_[shares, own])
    return np.array(laws)


@pytest.mark.parametrize("num_classes", [2, 3, 4])
def test_no_law_of_a_small_vote_loses_more_often(num_classes):
    """All multinomials of up to 12 votes: A with the highest index, so that every tie is lost."""
    rng = np.random.default_rng(num_classes)
    for n in range(1, 13):
        a, b = rng.uniform(0, 1), rng.uniform(0, 1)
        shift = rng.uniform(0, 0.5)
        here, there = (special.ndtr(special.ndtri(p) + by) for p, by in ((a, -shift), (b, shift)))
        bound = plurality_loss(a, b, shift, n_vote=n, num_classes=num_classes)
        lost = 1 - vote_laws(worst_laws(rng, here, there, num_classes, 40), n)[:, -1]
        assert lost.max() <= bound + SUM_OF_FLOATS


@pytest.mark.parametrize("num_classes", [3, 4])
def test_within_the_radius_a_vote_is_lost_with_probability_at_most_beta(num_classes):
    rng = np.random.default_rng(num_classes)
    beyond_majority = 0
    for _ in range(150):
        n, beta = int(rng.integers(1, 13)), float(rng.choice([0.05, 0.2, 0.5, 0.9]))
        a, b = rng.uniform(0.3, 0.95), rng.uniform(0.01, 0.4)
        radius = deployable_radius(a, b, sigma=1.0, n_vote=n, num_classes=num_classes, beta=beta)
        beyond_majority += radius > guarantees.deployable_radius(a, sigma=1.0, n_vote=n, beta=beta)
        if radius > 0:
            here, there = special.ndtr(special.ndtri(a) - radius), special.ndtr(special.ndtri(b) + radius)
            lost = 1 - vote_laws(worst_laws(rng, here, there, num_classes, 40), n)[:, -1]
            assert lost.max() <= beta + SUM_OF_FLOATS
    assert beyond_majority >= 15


def test_no_net_of_pieces_leaves_the_radius():
    rng, positive = np.random.default_rng(7), 0
    for _ in range(200):
        net, n, beta = PiecewiseNet(rng, 3), int(rng.integers(3, 13)), float(rng.choice([0.1, 0.3, 0.6]))
        x = rng.normal()
        shares = net.shares(np.array(x))
        a = int(shares.argmax())
        bounds = shares[a], np.delete(shares, a).max()
        radius = min(deployable_radius(*bounds, sigma=1.0, n_vote=n, num_classes=3, beta=beta), 5.0)
        laws = vote_laws(net.shares(x + np.linspace(-radius, radius, 21)), n)
        if radius > 0:
            positive += 1
            assert (1 - laws[:, a]).max() <= beta + SUM_OF_FLOATS
    assert positive > 50


def test_one_rival_is_counted_as_enumeration_counts_it():
    for n, a, b in ((1, 0.2, 0.1), (7, 0.4, 0.3), (12, 0.5, 0.5), (9, 0.0, 0.3), (5, 0.3, 0.0)):
        counts, ways = count_vectors(n, 3)
        law = ways * np.prod(np.array([a, b, 1 - a - b]) ** counts, axis=1)
        level = law[counts[:, 1] >= counts[:, 0]].sum()
        assert plurality_loss(a, b, 0.0, n_vote=n, num_classes=2) == pytest.approx(level, rel=1e-8)


def test_a_thousand_classes_get_the_radius_that_the_book_prints():
    thousand = {"sigma": 1.0, "num_classes": 1000, "beta": 0.01}
    radii = [deployable_radius(0.3, 0.02, n_vote=n, **thousand) for n in (100, 1000, 100_000)]
    assert radii[:2] == pytest.approx([0.207, 0.591], abs=5e-4)
    half_margin = (special.ndtri(0.3) - special.ndtri(0.02)) / 2
    assert half_margin == pytest.approx(0.765, abs=1e-3)
    assert radii[1] < radii[2] < half_margin
    assert guarantees.deployable_radius(0.3, sigma=1.0, n_vote=10**6, beta=0.01) == 0


@pytest.mark.parametrize("num_classes", [3, 4])
def test_the_bound_of_the_largest_other_count_covers_every_other_class(num_classes):
    """Its failures for the worst of 300 laws, by enumeration: at most alpha, with no correction for the classes."""
    rng, n, alpha = np.random.default_rng(8), 12, 0.1
    counts, ways = count_vectors(n, num_classes)
    bound = upper_confidence_bound(counts[:, :-1].max(axis=1), n, alpha=alpha)
    missed = []
    for _ in range(300):
        law = rng.dirichlet(np.full(num_classes, rng.choice([0.2, 1.0, 20.0])))
        fails = bound < law[:-1].max()
        missed.append((ways * np.prod(law**counts, axis=1))[fails].sum())
    assert alpha / 2 < max(missed) <= alpha + SUM_OF_FLOATS


def test_the_majority_is_never_lost_and_two_classes_are_the_majority():
    p = np.array([0.2, 0.6, 0.9, 0.999])
    majority = guarantees.deployable_radius(p, sigma=2.0, n_vote=101, beta=0.01)
    assert np.all(deployable_radius(p, 0.19, sigma=2.0, n_vote=101, num_classes=50, beta=0.01) >= majority)
    two = deployable_radius(p, 1 - p, sigma=2.0, n_vote=101, num_classes=2, beta=0.01)
    assert two == pytest.approx(majority, rel=1e-6)


def test_the_ends_of_the_range_and_one_clear_line():
    ends = deployable_radius([0, 1, 0.5, 1.0], [0, 0, 0.5, 1.0], sigma=1.0, n_vote=10, num_classes=3, beta=0.01)
    assert ends.tolist() == [0, math.inf, 0, math.inf]
    sure = deployable_radius(0.9, 0.0, sigma=1.0, n_vote=50, num_classes=5, beta=0.01)
    assert 0 < sure < math.inf
    assert isinstance(sure, float)
    good = {"p_a_low": 0.5, "p_b_high": 0.1, "sigma": 1.0, "n_vote": 10, "num_classes": 3, "beta": 0.01}
    for bad in ({"sigma": 0.0}, {"n_vote": 0}, {"num_classes": 1}, {"beta": 1.0}, {"p_a_low": 1.5}, {"p_b_high": -1.0}):
        with pytest.raises(InputError) as error:
            deployable_radius(**{**good, **bad})
        assert str(error.value).startswith(next(iter(bad)))
