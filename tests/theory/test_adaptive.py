"""Adaptive neighbours and known noise against games solved exactly: every question, every answer, all moves ahead."""

import math

import numpy as np
import pytest
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory.adaptive import adaptive_tv, known_noise_tv, transcript_tv
from rp_tutorial.theory.guarantees import composition_tv, deployable_radius
from tests.helpers.piecewise import PiecewiseNet, shared_noise_differs, vote_laws

SUM_OF_FLOATS = 1e-12


def best_walk(here: np.ndarray, there: np.ndarray, queries: int, p=1.0, q=1.0) -> np.ndarray:
    """TV of the best adaptive strategy: laws [D, S] of the answer to each of D questions in the two worlds.

    p and q are the probabilities of the answers so far in the two worlds; the best next question is chosen for each.
    """
    if queries == 0:
        return np.abs(np.asarray(p) - q) / 2
    p, q = np.asarray(p)[..., None, None] * here, np.asarray(q)[..., None, None] * there
    return best_walk(here, there, queries - 1, p, q).sum(axis=-1).max(axis=-1)


def test_the_best_of_all_trees_of_six_questions_is_the_bound_where_one_half_space_is_as_bad_as_it_can_be():
    """At distance R_N - reach: the walker's answers at x are never lost, those at x' are as often as allowed."""
    for n_vote, beta, reach in ((11, 0.05, 0.3), (101, 0.01, 0.2), (1001, 0.01, 0.0)):
        p_low = 0.99
        radius = deployable_radius(p_low, sigma=1.0, n_vote=n_vote, beta=beta)
        s, u = radius - reach, special.ndtri(p_low)
        steps = np.linspace(-reach, reach, 3)
        worlds = []
        for place in (u, u - s):
            won = stats.binom.sf(n_vote // 2, n_vote, special.ndtr(place + steps))
            worlds.append(np.stack([1 - won, won], axis=-1))
        for m in range(1, 7):
            played = best_walk(*worlds, m)
            setting = {"reach": reach, "queries": m, "sigma": 1.0, "n_vote": n_vote, "p_low": p_low}
            for classes in (2, None):
                bound = adaptive_tv(s, num_classes=classes, **setting)
                assert played <= bound + SUM_OF_FLOATS
                assert bound <= composition_tv(0, beta, m) * (1 + 1e-8)
            assert played > 0.98 * composition_tv(0, beta, m)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_no_walk_around_a_net_of_pieces_tells_more(num_classes):
    """60 random nets, four questions, up to six answers: with what is known of x and without."""
    rng = np.random.default_rng(num_classes)
    for _ in range(60):
        net, n_vote = PiecewiseNet(rng, num_classes), int(rng.integers(1, 12))
        s, reach, x = float(rng.exponential(0.3)), float(rng.exponential(0.3)), rng.normal()
        steps = reach * np.array([-1, 0, 1, rng.uniform(-1, 1)])
        here, there = (vote_laws(net.shares(place + steps), n_vote) for place in (x, x + rng.choice([-s, s])))
        shares = net.shares(np.array(x))
        a = int(shares.argmax())
        known = [{}, {"p_low": shares[a]}]
        if num_classes > 2:
            known.append({"p_low": shares[a], "p_high": np.delete(shares, a).max()})
        for m in (1, 2, 6 if num_classes == 2 else 4):
            played = best_walk(here, there, m)
            for what in known:
                setting = {"reach": reach, "queries": m, "sigma": 1.0, "n_vote": n_vote, "num_classes": num_classes}
                assert played <= adaptive_tv(s, **setting, **what) + SUM_OF_FLOATS


def test_a_walk_of_no_reach_is_a_repeated_question():
    s, n_vote, beta = np.array([0.0, 0.1, 0.4]), 101, 0.02
    radius = deployable_radius(0.9, sigma=2.0, n_vote=n_vote, beta=beta)
    for m in (1, 5, 100):
        at_edge = adaptive_tv(radius, reach=0, queries=m, sigma=2.0, n_vote=n_vote, p_low=0.9)
        assert at_edge == pytest.approx(composition_tv(0, beta, m), rel=1e-8)
        found = adaptive_tv(s, reach=0.5, queries=m, sigma=2.0, n_vote=n_vote)
        noise = 2 * special.ndtr(math.sqrt(m * n_vote) * s / 4) - 1
        assert found == pytest.approx(noise, rel=1e-8, abs=1e-14)
        assert found[0] == 0


def unequal_walk(worlds: list[tuple[np.ndarray, np.ndarray]], p=1.0, q=1.0) -> np.ndarray:
    """TV of the best strategy: the k-th question is one of those with the laws worlds[k], chosen by the answers."""
    if not worlds:
        return np.abs(np.asarray(p) - q) / 2
    (here, there), *later = worlds
    p, q = np.asarray(p)[..., None, None] * here, np.asarray(q)[..., None, None] * there
    return unequal_walk(later, p, q).sum(axis=-1).max(axis=-1)


@pytest.mark.parametrize(("n_vote", "p_low"), [(1, None), (5, None), (11, 0.7), (101, 0.9)])
def test_no_strategy_tells_two_lists_of_questions_apart_beyond_the_bound(n_vote, p_low):
    """Half-spaces: all questions at least as sure as p_low, the other list nearer to the boundary by its distances."""
    distances = [0.1, 0.4, 0.0, 0.25, 0.6]
    sure = -1.5 if p_low is None else special.ndtri(p_low)
    places, worlds = sure + np.linspace(0, 3, 7), []
    for distance in distances:
        won = [stats.binom.sf(n_vote // 2, n_vote, special.ndtr(u)) for u in (places, places - distance)]
        worlds.append(tuple(np.stack([1 - win, win], axis=-1) for win in won))
    exact = float(unequal_walk(worlds))
    bound = transcript_tv(distances, sigma=1.0, n_vote=n_vote, p_low=p_low, num_classes=2)
    assert 0 < exact <= bound
    assert bound < 2.5 * exact, "and it is not far from what they tell"
    assert transcript_tv(np.array(distances) * 3, sigma=3.0, n_vote=n_vote, p_low=p_low, num_classes=2) == (
        pytest.approx(bound, rel=1e-9)
    )


def test_lists_of_equal_distances_are_those_of_the_walk_of_no_reach():
    for many in (1, 7, 40):
        at = {"sigma": 0.5, "n_vote": 11, "p_low": 0.8}
        found = transcript_tv([0.2] * many, **at)
        assert found == pytest.approx(float(adaptive_tv(0.2, reach=0.0, queries=many, **at)), rel=1e-9)
    assert transcript_tv([], sigma=1.0, n_vote=11) == 0
    assert transcript_tv([0.0, 1e9], sigma=1.0, n_vote=11) == 1


def test_an_adversary_who_knows_the_noise_gains_no_more_than_the_labels_differ():
    """80 random nets of two classes, x and x' on the same noise: labels differ as often as enumeration says."""
    rng, played = np.random.default_rng(4), []
    for _ in range(80):
        net, n_vote, s = PiecewiseNet(rng, 2), int(rng.integers(1, 9)), float(rng.exponential(0.4))
        x = rng.normal()
        differ = shared_noise_differs(net, x, x + rng.choice([-s, s]), n_vote)
        p_low = float(net.shares(np.array(x)).max())
        played.append(differ)
        assert differ <= known_noise_tv(s, p_low=p_low, sigma=1.0, n_vote=n_vote) + SUM_OF_FLOATS
    assert max(played) > 0.3


def test_within_the_deployable_radius_known_noise_costs_two_beta_for_each_draw():
    for n_vote, beta in ((10, 0.1), (101, 0.01)):
        radius = deployable_radius(0.95, sigma=1.0, n_vote=n_vote, beta=beta)
        one = known_noise_tv(radius, p_low=0.95, sigma=1.0, n_vote=n_vote)
        assert 0.9 * beta < one <= 2 * beta * (1 + 1e-9)
        many = known_noise_tv(radius, p_low=0.95, sigma=1.0, n_vote=n_vote, releases=7)
        assert many == pytest.approx(1 - (1 - one) ** 7, rel=1e-9)
    rival = {"p_low": 0.4, "p_high": 0.02, "num_classes": 100}
    assert (
        known_noise_tv(0.2, sigma=1.0, n_vote=1000, **rival)
        < 0.01
        < known_noise_tv(0.2, p_low=0.4, sigma=1.0, n_vote=1000)
    )


def test_for_a_pair_fixed_in_advance_certificate_and_vote_do_not_fail_both():
    """Promises that cover the pair times what the noise tells, exactly: at most the larger of alpha and 2 beta."""
    n_cert, n_vote, alpha, beta = 60, 31, 0.05, 0.02
    radius = deployable_radius(
        lower_confidence_bound(np.arange(n_cert + 1), n_cert, alpha=alpha), sigma=1.0, n_vote=n_vote, beta=beta
    )
    u = np.linspace(-1, 4, 600)
    weight = stats.binom.pmf(np.arange(n_cert + 1), n_cert, special.ndtr(u)[:, None])
    for s in (0.05, 0.3, 0.8):
        covers = weight @ (radius >= s)
        lost = stats.binom.cdf(n_vote // 2, n_vote, special.ndtr(u)) + stats.binom.cdf(
            n_vote // 2, n_vote, special.ndtr(u - s)
        )
        assert np.all(covers * np.minimum(1, lost) <= max(alpha, 2 * beta) + SUM_OF_FLOATS)


def test_what_is_not_allowed_is_refused_in_one_line():
    good = {"reach": 0.1, "queries": 3, "sigma": 1.0, "n_vote": 11, "p_low": 0.9}
    for bad in (
        {"reach": -0.1},
        {"reach": [0.1, 0.2]},
        {"queries": 0},
        {"p_low": 2.0},
        {"p_high": 0.1},
        {"sigma": 0.0},
        {"n_vote": 0},
    ):
        with pytest.raises(InputError) as error:
            adaptive_tv(0.1, **{**good, **bad})
        assert str(error.value).startswith(next(iter(bad)))
    for bad in ({"p_low": -1.0}, {"p_high": 0.1}, {"releases": 0}, {"n_vote": 0}):
        with pytest.raises(InputError) as error:
            known_noise_tv(0.1, **{"sigma": 1.0, "n_vote": 11, "p_low": 0.9, **bad})
        assert str(error.value).startswith(next(iter(bad)))
