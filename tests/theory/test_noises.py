"""Other noise: nets of two features against the bound on p_A, the votes of half-spaces, and published radii."""

import math

import numpy as np
import pytest
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.theory import guarantees
from rp_tutorial.theory.noises import NOISES, deployable_radius, vote_tv
from rp_tutorial.theory.profile import vote_profile

LAWS = {"gauss": stats.norm(), "laplace": stats.laplace(), "uniform": stats.uniform(-1, 2)}
LENGTH = {"L1": lambda move: np.abs(move).sum(axis=-1), "L2": lambda move: np.sqrt((move**2).sum(axis=-1))}


@pytest.mark.parametrize("noise", NOISES)
def test_the_law_is_the_one_it_is_called(noise):
    p = np.linspace(0.001, 0.999, 101)
    assert NOISES[noise].cdf(LAWS[noise].ppf(p)) == pytest.approx(p, rel=1e-9)
    assert NOISES[noise].quantile(p) == pytest.approx(LAWS[noise].ppf(p), rel=1e-9, abs=1e-12)
    assert np.all(np.abs(NOISES[noise].cdf(np.array([-1e9, 1e9])) - [0, 1]) < 1e-12)


@pytest.mark.parametrize("noise", NOISES)
def test_on_random_nets_of_boxes_the_share_of_a_class_moves_no_faster_than_the_norm_allows(noise):
    """A grid of boxes in two features, each of class 0 or 1: the share of class 1 at x and x' in closed form."""
    rng, law, tightest = np.random.default_rng(0), NOISES[noise], np.inf
    for _ in range(300):
        cuts = [np.sort(rng.normal(0, 1, int(rng.integers(1, 5)))) for _ in range(2)]
        boxes = rng.integers(0, 2, [len(cut) + 1 for cut in cuts])
        if rng.random() < 0.5:
            boxes[:] = np.arange(boxes.shape[0])[:, None] == 0  # a half-space across the first feature
        x, move = rng.normal(0, 0.5, 2), rng.exponential(0.3, 2) * rng.choice([-1, 0, 1], 2)
        share = []
        for place in (x, x + move):
            sides = [np.diff(law.cdf(np.r_[-np.inf, cut, np.inf] - at)) for cut, at in zip(cuts, place, strict=True)]
            share.append(float(np.clip(sides[0] @ boxes @ sides[1], 0, 1)))
        lowest = law.cdf(law.quantile(np.float64(share[0])) - LENGTH[law.norm](move))
        tightest = min(tightest, share[1] - lowest)
        assert share[1] >= lowest - 1e-12
    assert tightest < 1e-12  # attained by a half-space


@pytest.mark.parametrize("noise", NOISES)
def test_at_the_radius_a_half_space_loses_its_vote_with_probability_beta(noise):
    for p, n, beta, scale in ((0.95, 101, 0.01, 2.0), (0.8, 1001, 0.05, 0.3), (0.99, 10, 0.1, 1.0)):
        radius = deployable_radius(p, noise=noise, scale=scale, n_vote=n, beta=beta)
        at_edge = LAWS[noise].cdf(LAWS[noise].ppf(p) - radius / scale)
        assert radius > 0
        assert stats.binom.cdf(n // 2, n, at_edge) == pytest.approx(beta, rel=1e-8)


@pytest.mark.parametrize("noise", NOISES)
def test_the_closed_form_is_the_largest_over_all_half_spaces(noise):
    rng, law = np.random.default_rng(5), LAWS[noise]
    for _ in range(200):
        n, s = 2 * int(rng.integers(0, 100)) + 1, float(rng.exponential(0.5))
        p_low = None if rng.random() < 0.3 else float(rng.random())
        first = -8.0 if p_low is None else float(law.ppf(p_low))
        low, high, best = first, max(first, s) + 8, 0.0
        for _ in range(6):
            u = np.linspace(low, high, 101)
            told = stats.binom.sf(n // 2, n, law.cdf(u)) - stats.binom.sf(n // 2, n, law.cdf(u - s))
            at = int(told.argmax())
            best, low, high = max(best, told[at]), u[max(0, at - 1)], u[min(100, at + 1)]
        assert vote_tv(s, noise=noise, scale=1.0, n_vote=n, p_low=p_low) == pytest.approx(best, abs=1e-7)


def test_gauss_is_what_the_rest_of_the_room_computes():
    p, s = np.array([0.4, 0.7, 0.999]), np.array([0.0, 0.2, 1.5])
    for n, beta in ((10, 0.01), (101, 0.2)):
        ours = deployable_radius(p, noise="gauss", scale=3.0, n_vote=n, beta=beta)
        assert ours == pytest.approx(guarantees.deployable_radius(p, sigma=3.0, n_vote=n, beta=beta), rel=1e-9)
    ours = vote_tv(s, noise="gauss", scale=1.0, n_vote=51, p_low=0.8)
    assert ours == pytest.approx(vote_profile(s, sigma=1.0, n_vote=51, p_low=0.8, num_classes=2), rel=1e-6, abs=1e-12)


def test_many_votes_give_the_published_l1_radii():
    """Teng et al.: -scale log(2 (1 - p)); Yang et al., uniform noise of half-width scale: scale (2 p - 1)."""
    p = np.array([0.6, 0.9, 0.999])
    many = {"scale": 2.0, "n_vote": 10**8 + 1, "beta": 0.01}
    assert deployable_radius(p, noise="laplace", **many) == pytest.approx(-2 * np.log(2 * (1 - p)), rel=3e-3)
    assert deployable_radius(p, noise="uniform", **many) == pytest.approx(2 * (2 * p - 1), rel=3e-3)


def test_laplace_noise_of_equal_variance_reaches_another_category_further_where_p_low_is_very_high():
    """Another category moves two entries by 1: sqrt 2 in l2, 2 in l1. With noise of standard deviation 1 in every entry
    the l2 radius covers more of such a move at p_low = .99, and the l1 radius at 1 - 1e-4: a tail is long, or not.
    """
    n = {"n_vote": 10_001, "beta": 0.01}
    gauss = [deployable_radius(p, noise="gauss", scale=1.0, **n) / math.sqrt(2) for p in (0.99, 1 - 1e-4)]
    laplace = [deployable_radius(p, noise="laplace", scale=1 / math.sqrt(2), **n) / 2 for p in (0.99, 1 - 1e-4)]
    assert laplace[0] < gauss[0]
    assert laplace[1] > gauss[1]


def test_what_is_not_allowed_is_refused_in_one_line():
    good = {"p_low": 0.9, "noise": "laplace", "scale": 1.0, "n_vote": 11, "beta": 0.1}
    for bad in ({"p_low": 1.5}, {"noise": "cauchy"}, {"scale": 0.0}, {"n_vote": 0}, {"beta": 0.0}):
        with pytest.raises(InputError) as error:
            deployable_radius(**{**good, **bad})
        assert str(error.value).startswith(next(iter(bad)))
    with pytest.raises(InputError, match="n_vote: got 10"):
        vote_tv(0.1, noise="gauss", scale=1.0, n_vote=10)
    assert deployable_radius(1.0, noise="laplace", scale=1.0, n_vote=11, beta=0.1) == math.inf
    assert deployable_radius([0.0, 1.0], noise="uniform", scale=1.0, n_vote=1001, beta=0.01).tolist()[0] == 0
    assert special.ndtri(0.5) == deployable_radius(0.5, noise="gauss", scale=1.0, n_vote=11, beta=0.1)
