"""The planner: what it plans keeps its promise on the half-space, is no dearer than it must be, and says why not."""

import math
from functools import partial

import numpy as np
import pytest
from scipy import special, stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory.calibration import worst_mean_tv
from rp_tutorial.theory.guarantees import (
    composition_tv,
    deployable_radius,
    deployable_radius_predict,
    halfspace_advantage,
)
from rp_tutorial.theory.halfspace import predict_law
from rp_tutorial.theory.planner import Plan, plan

WISHES = {
    "measured": {"p_a": 0.95, "sigma": 1.0},
    "measured, predict": {"p_a": 0.99, "sigma": 2.0, "rule": "predict"},
    "margin": {"margin": 1.0},
    "margin and sigma": {"margin": 1.0, "sigma": 0.6, "releases": 20},
    "margin, predict": {"margin": 1.2, "rule": "predict", "test_alpha": 0.05},
    "p alone": {"p_a": 0.9, "max_passes": 20_000},
}


@pytest.fixture(params=WISHES, scope="module")
def found(request) -> Plan:
    return plan(0.02, 0.5, **WISHES[request.param])


def test_the_plan_reaches_the_radius_within_the_target(found):
    kept = found.guarantee()
    assert kept.radius >= found.radius == 0.5
    assert found.advantage_bound <= found.target_advantage * (1 + 1e-12)
    assert kept.advantage_bound <= found.advantage_bound
    counts = lower_confidence_bound(np.arange(found.n + 1), found.n, alpha=found.alpha)
    radius = radius_of(found, counts)
    mechanism = {"n_vote": found.n_vote, "rule": found.rule, "test_alpha": found.test_alpha}
    worst = worst_mean_tv(radius / found.sigma, releases=found.releases, tolerance=1e-4, **mechanism)[1]
    assert worst / 2 <= found.target_advantage + 1e-4


def radius_of(found, p_low):
    at = {"sigma": found.sigma, "n_vote": found.n_vote, "beta": found.beta}
    if found.rule == "vote":
        return deployable_radius(p_low, **at)
    return deployable_radius_predict(p_low, **at, alpha=found.test_alpha)


@pytest.mark.parametrize("wish", WISHES)
def test_a_calibrated_plan_is_cheaper_for_the_same_promise(wish):
    found, classical = (plan(0.02, 0.5, **WISHES[wish], calibrated=how) for how in (True, False))
    assert composition_tv(classical.alpha, classical.beta, classical.releases) / 2 == pytest.approx(0.02)
    assert found.alpha > classical.alpha
    if wish == "p alone":
        assert found.sigma <= classical.sigma
    else:
        assert found.forward_passes < classical.forward_passes


def test_one_vote_less_for_the_certificate_would_not_do(found):
    p_low = lower_confidence_bound(found.certify_votes - 1, found.n, alpha=found.alpha)
    fewer = Plan(**{**vars(found), "certify_votes": found.certify_votes - 1})
    assert p_low < lower_confidence_bound(found.certify_votes, found.n, alpha=found.alpha)
    assert fewer.guarantee().radius < found.radius


def test_the_certificate_comes_as_often_as_said(found):
    exact = stats.binom.sf(found.certify_votes - 1, found.n, found.p_a)
    assert found.certify_probability == pytest.approx(exact, abs=1e-6)  # 100 samples choose the class
    assert found.certify_probability >= 0.95


def test_no_half_space_gives_more_away_than_planned(found):
    """Averaged over the certificate, exact: at the deployable radius of each count, all releases together."""
    counts = np.arange(found.n + 1)
    counts = counts[stats.binom.pmf(counts, found.n, found.p_a) > 1e-15]
    options = {"test_alpha": found.test_alpha}
    radii = [Plan(**{**vars(found), "certify_votes": int(k), **options}).guarantee().radius for k in counts[::7]]
    law = {"sigma": found.sigma, "n_vote": found.n_vote, "rule": found.rule, "alpha": found.test_alpha}
    advantage = halfspace_advantage(found.p_a, np.array(radii), releases=found.releases, **law)
    valid = lower_confidence_bound(counts[::7], found.n, alpha=found.alpha) <= found.p_a
    assert advantage[valid].max() <= composition_tv(0, found.beta, found.releases) / 2 + 1e-12


def test_costs_and_abstention_are_told(found):
    assert found.certify_passes == found.n0 + found.n
    assert found.release_passes == found.releases * found.n_vote
    assert found.forward_passes == found.certify_passes + found.release_passes
    if found.rule == "predict":
        exact = predict_law(found.p_a, n=found.n_vote, alpha=found.test_alpha)[1]
        assert found.abstention == pytest.approx(exact)
    else:
        assert found.abstention == 0
        assert found.n_vote % 2 == 1, "an even number of votes wastes one on ties"
    assert "p_A" in found.assumption


def test_the_margin_is_the_half_spaces():
    found = plan(0.02, 0.5, margin=1.0)
    assert found.p_a == pytest.approx(special.ndtr(1.0 / found.sigma))
    fixed = [plan(0.02, 0.5, margin=1.0, sigma=s).forward_passes for s in (0.2, 0.3, 0.42, 0.6, 1.0)]
    assert found.forward_passes <= min(fixed) * 1.1, "sigma is searched on a ladder of ratio 1.08"


def test_p_alone_finds_the_smallest_sigma_within_the_budget():
    found = plan(0.02, 0.5, 0.9, max_passes=20_000)
    assert found.forward_passes <= 20_000
    assert plan(0.02, 0.5, 0.9, sigma=found.sigma, max_passes=20_000).forward_passes == found.forward_passes
    with pytest.raises(InputError, match=r"^max_passes: "):
        plan(0.02, 0.5, 0.9, sigma=found.sigma / 1.05, max_passes=20_000)
    assert plan(0.02, 0.5, 0.9, max_passes=2000).sigma > found.sigma


@pytest.mark.parametrize(
    ("argument", "easier_to_harder"),
    [
        ("target_advantage", [0.2, 0.1, 0.05, 0.02, 0.01, 0.004, 0.001]),
        ("radius", [0.05, 0.2, 0.4, 0.6, 0.8]),
        ("releases", [1, 2, 5, 20, 100]),
        ("certify_probability", [0.5, 0.8, 0.95, 0.999]),
    ],
)
@pytest.mark.parametrize("rule", ["vote", "predict"])
def test_a_harder_wish_is_never_cheaper(argument, easier_to_harder, rule):
    wish = {"target_advantage": 0.02, "radius": 0.5, "margin": 1.0, "sigma": 0.5, "rule": rule}
    costs = [plan(**{**wish, argument: value}, calibrated=False).forward_passes for value in easier_to_harder]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]


def test_more_queries_cost_a_smaller_beta():
    one, many = (plan(0.02, 0.5, margin=1.0, releases=m) for m in (1, 50))
    assert one.beta == pytest.approx(one.alpha)
    assert many.beta < many.alpha / 40


PLAN = partial(plan, 0.02, 0.5)
BAD = {
    "target_advantage": [partial(plan, bad, 0.5, 0.9, sigma=1) for bad in (0, -1, 0.5, math.nan, None)],
    "radius": [partial(plan, 0.02, bad, 0.9, sigma=1) for bad in (0, math.nan, math.inf, "1")]
    + [partial(plan, 0.02, 1.3, 0.9, sigma=1), partial(plan, 0.02, 1.0, margin=1.0)],  # no n and N can reach them
    "p_a": [partial(PLAN, bad, sigma=1) for bad in (0.5, 0.2, 1.0, math.nan)] + [PLAN, partial(PLAN, 0.9, margin=1)],
    "sigma": [partial(PLAN, 0.9, sigma=bad) for bad in (0, -1, math.nan)],
    "margin": [partial(PLAN, margin=bad) for bad in (0, -1, math.nan)],
    "rule": [partial(PLAN, 0.9, sigma=1, rule="certify")],
    "releases": [partial(PLAN, 0.9, sigma=1, releases=bad) for bad in (0, 1.5)],
    "certify_probability": [partial(PLAN, 0.9, sigma=1, certify_probability=bad) for bad in (0, 1)],
    "test_alpha": [partial(PLAN, 0.9, sigma=1, test_alpha=bad) for bad in (0, 1, math.nan)],
    "n0": [partial(PLAN, 0.9, sigma=1, n0=0)],
    "max_passes": [partial(PLAN, 0.9, sigma=1, max_passes=bad) for bad in (0, 50, 150, 1e5)]
    + [partial(plan, 1e-6, 0.99, margin=1.0), partial(plan, 0.02, 1.28, 0.9, sigma=1)],  # attainable, at a price
}


@pytest.mark.parametrize("argument", BAD)
def test_what_cannot_be_planned_is_refused_with_the_reason(argument):
    for call in BAD[argument]:
        with pytest.raises(InputError, match=f"^{argument}: ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1


def test_the_reason_names_what_limits_the_radius():
    with pytest.raises(InputError, match=r"1\.282"):
        plan(0.02, 1.3, 0.9, sigma=1)
    with pytest.raises(InputError, match="margin 1"):
        plan(0.02, 1.3, margin=1.0)
