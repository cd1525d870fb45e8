"""What a release leaves possible is what brute force finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bmi_line import BMI, DOMAIN, SCALE, net_of_three_classes, threshold_net, with_attribute
from scipy import special

from rp_tutorial.attributes.pieces import label_pieces
from rp_tutorial.attributes.rap import ape, inference_set, rap_set, release_level
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.attribute import AttributeSmoothing
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.statistics.binomial import clopper_pearson
from rp_tutorial.theory import halfspace


def test_inference_sets_of_a_net_are_what_its_own_queries_find():
    """Exact pieces against the plain oracle on a grid and on both sides of every end, for three classes."""
    net, x = net_of_three_classes()
    oracle = PlainOracle(net, num_classes=3)
    released = oracle(x)
    exact = inference_set(label_pieces(net, x, attribute=0), released, scale=SCALE, domain=DOMAIN)
    assert exact.unit == BMI
    assert exact.contains(SCALE.to_unit(x[:, 0].numpy())).all()
    grid = np.linspace(12, 50.4, 769)[:-1] + 1e-5
    answers = oracle(with_attribute(x, torch.from_numpy(grid)).flatten(0, 1)).view(len(x), -1)
    assert (exact[:, None].contains(grid) == (answers == released[:, None]).numpy()).all()
    for ends, outward in ((exact.low, -1e-7), (exact.high, 1e-7)):
        within = (ends > 12) & (ends < 50.4)
        record = np.nonzero(within)[0]
        assert len(record) > 10
        for step, same in ((-outward, True), (outward, False)):
            beside = with_attribute(x[record], torch.from_numpy(ends[within] + step)[:, None])[:, 0]
            assert ((oracle(beside) == released[record]) == same).all()


def test_ape_with_exact_radii_never_exceeds_the_preimage():
    """The tautology: certified balls around points of g^-1(y) lie in g^-1(y), and many of them fill it."""
    net = two_layer_net(2, num_classes=3, hidden=20, seed=5).double()
    with torch.no_grad():
        net[0].weight.mul_(4)
        net[2].bias.sub_(net(torch.randn(300, 2, generator=torch.Generator().manual_seed(1)).double()).mean(0))
    x = torch.randn(15, 2, generator=torch.Generator().manual_seed(0)).double()
    points = np.linspace(12, 50.4, 400)
    for sigma in (0.05, 0.5, 2.0):
        smoothing = AttributeSmoothing(net, attribute=0, sigma=sigma, scale=SCALE, domain=(12.0, 50.4))
        released = smoothing(x)
        preimage = smoothing.inference_set(x, released)
        probes = with_attribute(x, torch.from_numpy(points)).flatten(0, 1)
        low, high = (end.view(len(x), -1).numpy() for end in smoothing.constant_interval(probes))
        compatible = smoothing(probes).view(len(x), -1) == released[:, None]
        radius = np.minimum(points - low, high - points)
        balls = ape(np.where(compatible, points, np.nan), np.where(compatible, radius, np.nan), unit=BMI, domain=DOMAIN)
        assert (balls.difference(preimage).length() < 1e-9).all()
        assert (balls.length() <= preimage.length() + 1e-9).all()
        assert (balls.length() > preimage.length() - 0.4).all()


def test_on_a_half_space_the_inference_set_is_the_same_for_every_sigma():
    """There g = f, so v1's expansion of .4 to 1.0 is no widening of a fixed model's set."""
    net, x = threshold_net(1.28), torch.zeros(1, 1)
    expected = [(27 + 5 * 1.28, 50.4)]
    for sigma in (0.1, 1.0, 2.0, 3.0):
        found = AttributeSmoothing(net, attribute=0, sigma=sigma, scale=SCALE, domain=(12.0, 50.4)).inference_set(x, 1)
        np.testing.assert_allclose(found[0].pairs(), expected, rtol=1e-6)


@pytest.mark.parametrize("rule", ["vote", "predict"])
@pytest.mark.parametrize("n", [1, 10, 25, 100, 1000])
def test_release_levels_are_where_the_law_reaches_tau(rule, n):
    for tau in (0.01, 0.3, 0.5, 0.99):
        for label in (0, 1) if rule == "vote" else (ABSTAIN, 0, 1):
            level = release_level(tau, label=label, rule=rule, n=n, alpha=0.01)
            p = np.linspace(1e-6, 1 - 1e-6, 4001)  # of the label; of class 1 for ABSTAIN
            p_one = p if label else 1 - p
            law = halfspace.vote_law(p_one, n=n) if rule == "vote" else halfspace.predict_law(p_one, n=n, alpha=0.01)
            column = {"vote": {0: 0, 1: 1}, "predict": {0: 0, ABSTAIN: 1, 1: 2}}[rule][label]
            reached = law[:, column] >= tau
            if level is None:
                assert not reached.any()
            elif label == ABSTAIN:
                assert (reached == ((p >= level) & (1 - p >= level))).mean() > 0.999
            else:
                assert (reached == (p >= level)).mean() > 0.999


def test_rap_set_of_a_half_space_is_the_threshold_shifted_by_a_quantile():
    """{z : Phi((z - t) / sigma) >= q}: from t + sigma Phi^-1(q) on."""
    sigma, x = 1.5, torch.zeros(2, 1)
    base = label_pieces(threshold_net(0.5), x, attribute=0)
    for rule, n, tau in (("vote", 10, 0.05), ("vote", 101, 0.9), ("predict", 100, 0.2), ("predict", 1000, 0.05)):
        found = rap_set(base, 1, tau=tau, sigma=sigma, rule=rule, n=n, alpha=0.01)
        q = release_level(tau, label=1, rule=rule, n=n, alpha=0.01)
        np.testing.assert_allclose(found.low[:, 0], 0.5 + sigma * special.ndtri(q), atol=1e-9)
        assert (found.high == np.inf).all()
    silent = rap_set(base, ABSTAIN, tau=0.5, sigma=sigma, rule="predict", n=1000, alpha=0.01, scale=SCALE)
    q = release_level(0.5, label=ABSTAIN, rule="predict", n=1000, alpha=0.01)
    expected = 27 + 5 * (0.5 + sigma * special.ndtri([q, 1 - q]))
    np.testing.assert_allclose(silent[0].pairs()[0], expected, atol=1e-8)  # a narrow band around the threshold
    assert silent.length()[0] < 2
    assert rap_set(base, 1, tau=0.3, sigma=sigma, rule="predict", n=7, alpha=0.01).length().tolist() == [0, 0]
    assert rap_set(base, 1, tau=0.3, sigma=sigma).low[:, 0] == pytest.approx([0.5, 0.5])


def test_rap_sets_of_a_net_are_where_the_binomial_law_reaches_tau():
    net = two_layer_net(2, hidden=20, seed=7).double()
    with torch.no_grad():
        net[0].weight.mul_(5)
        net[2].bias.sub_(net(torch.randn(300, 2, generator=torch.Generator().manual_seed(1)).double()).mean(0))
    x = torch.randn(12, 2, generator=torch.Generator().manual_seed(0)).double()
    smoothing = AttributeSmoothing(net, attribute=0, sigma=0.4, scale=SCALE)
    base, grid = smoothing.base_intervals(x), np.linspace(12, 50.4, 301) + 1e-4
    p = (
        smoothing.class_probabilities(with_attribute(x, torch.from_numpy(grid)).flatten(0, 1))[:, 1]
        .view(12, -1)
        .numpy()
    )
    labels = torch.arange(12) % 3 - 1  # ABSTAIN, 0, 1 in one batch
    found = rap_set(base, labels, tau=0.1, sigma=0.4, rule="predict", n=100, alpha=0.01, scale=SCALE, domain=DOMAIN)
    law = halfspace.predict_law(p, n=100, alpha=0.01)
    column = np.array([1, 0, 2])[labels.numpy() + 1]
    expected = np.take_along_axis(law, column[:, None, None], axis=2)[..., 0] >= 0.1
    assert (found[:, None].contains(grid)[:, :-1] == expected[:, :-1]).mean() > 0.9995
    vote = rap_set(base, 0, tau=0.1, sigma=0.4, rule="vote", n=10, scale=SCALE, domain=DOMAIN)
    assert (
        vote[:, None].contains(grid)[:, :-1] == (halfspace.vote_law(p, n=10)[..., 0] >= 0.1)[:, :-1]
    ).mean() > 0.9995
    ideal = rap_set(base, 0, tau=0.1, sigma=0.4, scale=SCALE, domain=DOMAIN)
    assert (ideal[:, None].contains(grid) == (p < 0.5))[:, :-1].mean() > 0.9995


def test_a_vote_leaves_more_possible_than_the_ideal_classifier_and_less_as_n_grows():
    """At tau = .05 the RAP set of VOTE(n) is the preimage widened by sigma Phi^-1 of a quantile near 1/2."""
    base = label_pieces(threshold_net(1.0), torch.zeros(1, 1), attribute=0)
    lengths = [
        float(rap_set(base, 1, tau=0.05, sigma=1.0, rule="vote", n=n, scale=SCALE, domain=DOMAIN).length()[0])
        for n in (1, 10, 100, 1000, 10_000)
    ]
    ideal = float(rap_set(base, 1, tau=0.05, sigma=1.0, scale=SCALE, domain=DOMAIN).length()[0])
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] > ideal


@pytest.mark.parametrize("rule", ["vote", "predict"])
def test_rap_sets_are_where_the_oracle_itself_answers_that_often(rule):
    """Clopper-Pearson at every grid point, Bonferroni over the grid: all hold with probability 1 - 1e-6."""
    net, x, tau, repeats = threshold_net(0.5), torch.zeros(1, 1), 0.3, 240
    smoothing = Smoothing(net, num_classes=2, sigma=1.0, seed=3)
    oracle = VoteOracle(smoothing, n=10) if rule == "vote" else PredictOracle(smoothing, n=100, alpha=0.01)
    exact = rap_set(
        label_pieces(net, x, attribute=0), 1, tau=tau, sigma=1.0, rule=rule, n=oracle.n, alpha=0.01, scale=SCALE,
        domain=DOMAIN,
    )  # fmt: skip
    grid = np.linspace(12, 50.4, 97)
    probes = with_attribute(x, torch.from_numpy(grid))[0].float()
    hits = sum((oracle(probes) == 1).long() for _ in range(repeats)).numpy()
    lower, upper = clopper_pearson(hits, repeats, confidence=1 - 1e-6 / len(grid))
    assert exact[0].contains(grid[lower >= tau]).all()
    assert not exact[0].contains(grid[upper < tau]).any()
    assert ((lower < tau) & (upper >= tau)).sum() < 10  # of 97 points: the others are decided


@pytest.mark.parametrize(("label", "length"), [(ABSTAIN, 38.4), (0, 0.0), (1, 0.0)])
def test_a_predict_that_never_answers_leaves_every_value_possible(label, length):
    """Of 7 votes not even 7 to 0 are enough at alpha = .01."""
    base = label_pieces(threshold_net(), torch.zeros(1, 1), attribute=0)
    found = rap_set(base, label, tau=0.5, sigma=1, rule="predict", n=7, alpha=0.01, scale=SCALE, domain=DOMAIN)
    assert found.length() == pytest.approx(length)


def test_a_level_that_cannot_be_resolved_is_told_by_tau():
    base = label_pieces(threshold_net(), torch.zeros(1, 1), attribute=0)
    with pytest.raises(InputError, match=r"^tau: got 1e-09, allowed is one reached at p_y from 0\.001"):
        rap_set(base, 1, tau=1e-9, sigma=1, rule="vote", n=3)


def test_a_domain_in_another_unit_is_refused():
    with pytest.raises(InputError, match=r"^unit: "):
        inference_set(label_pieces(threshold_net(), torch.zeros(2, 1), attribute=0), 1, domain=DOMAIN)  # no scale: std


def test_bad_input_is_refused_in_one_line():
    base = label_pieces(threshold_net(), torch.zeros(1, 1), attribute=0)
    many = label_pieces(two_layer_net(1, num_classes=3), torch.zeros(1, 1), attribute=0)
    many = type(many)(many.low, many.high, many.label.clamp_min(2))
    for argument, call in (
        ("set", lambda: inference_set(base, 1).pairs()),
        ("radius", lambda: ape([1.0], [-1.0], unit=BMI)),
        ("tau", lambda: rap_set(base, 1, tau=0, sigma=1)),
        ("sigma", lambda: rap_set(base, 1, tau=0.5, sigma=-1)),
        ("rule", lambda: rap_set(base, 1, tau=0.5, sigma=1, rule="certify")),
        ("base", lambda: rap_set(many, 1, tau=0.5, sigma=1, rule="vote", n=10)),
        ("n", lambda: rap_set(base, 1, tau=0.5, sigma=1, rule="vote")),
        ("alpha", lambda: rap_set(base, 1, tau=0.5, sigma=1, rule="predict", n=10)),
        ("label", lambda: release_level(0.5, label=ABSTAIN, rule="vote", n=10)),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1
