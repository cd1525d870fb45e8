"""Inference and RAP sets by queries alone, against the exact ones of nets whose pieces are known."""

import numpy as np
import pytest
import torch
from bmi_line import BMI, DOMAIN, SCALE, net_of_three_classes, threshold_net, with_attribute

from rp_tutorial.attributes.pieces import label_pieces
from rp_tutorial.attributes.rap import inference_set, rap_set
from rp_tutorial.attributes.sampled import sampled_inference_set, sampled_rap_set
from rp_tutorial.attributes.sets import IntervalSet
from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle


def test_inference_sets_of_a_net_are_what_its_own_queries_find():
    """Exact pieces against grid and bisection on the plain oracle, for three classes."""
    net, x = net_of_three_classes()
    oracle = PlainOracle(net, num_classes=3)
    released = oracle(x)
    exact = inference_set(label_pieces(net, x, attribute=0), released, scale=SCALE, domain=DOMAIN)
    sampled = sampled_inference_set(
        oracle, x, released, domain=DOMAIN, with_attribute=with_attribute, spacing=0.05, tolerance=1e-6
    )
    assert sampled.unit == BMI
    np.testing.assert_allclose(sampled.length(), exact.length(), atol=2e-5)
    assert (sampled.difference(exact).length() < 1e-9).all()  # reported ends lie inside
    assert exact.contains(SCALE.to_unit(x[:, 0].numpy())).all()
    nobody = sampled_inference_set(
        oracle, x[:0], released[:0], domain=DOMAIN, with_attribute=with_attribute, spacing=1, tolerance=1e-3
    )
    assert nobody.shape == (0,)
    none = sampled_inference_set(
        PlainOracle(threshold_net().double(), num_classes=2), x[:, :1], 1, domain=IntervalSet.of((12, 20), unit=BMI),
        with_attribute=with_attribute, spacing=1, tolerance=1e-3,
    )  # fmt: skip
    assert (none.length() == 0).all()


@pytest.mark.parametrize("rule", ["vote", "predict"])
def test_sampled_rap_sets_enclose_the_exact_one(rule):
    net, x = threshold_net(0.5), torch.zeros(4, 1)
    smoothing = Smoothing(net, num_classes=2, sigma=1.0, seed=3)
    oracle = VoteOracle(smoothing, n=10) if rule == "vote" else PredictOracle(smoothing, n=100, alpha=0.01)
    inner, outer = sampled_rap_set(
        oracle, x, 1, tau=0.3, domain=DOMAIN, with_attribute=lambda x, v: with_attribute(x, v).float(),
        spacing=0.4, repeats=60, confidence=1 - 1e-6,
    )  # fmt: skip
    exact = rap_set(
        label_pieces(net, x, attribute=0), 1, tau=0.3, sigma=1.0, rule=rule, n=oracle.n, alpha=0.01, scale=SCALE,
        domain=DOMAIN,
    )  # fmt: skip
    assert (inner.difference(exact).length() < 0.2 + 1e-9).all()  # half a cell
    assert (exact.difference(outer).length() < 0.2 + 1e-9).all()
    assert (outer.length() < exact.length() + 6).all()


def test_bad_input_is_refused_in_one_line():
    endless = IntervalSet.of((0, np.inf), unit=BMI)
    common = {"domain": DOMAIN, "with_attribute": with_attribute, "spacing": 1.0}
    oracle, x = PlainOracle(threshold_net().double(), num_classes=2), torch.zeros(1, 1)
    for argument, call in (
        ("domain", lambda: sampled_inference_set(oracle, x, 1, **{**common, "domain": endless}, tolerance=0.1)),
        ("spacing", lambda: sampled_inference_set(oracle, x, 1, **{**common, "spacing": 0}, tolerance=0.1)),
        ("tolerance", lambda: sampled_inference_set(oracle, x, 1, **common, tolerance=0)),
        ("repeats", lambda: sampled_rap_set(oracle, x, 1, tau=0.5, **common, repeats=0)),
    ):  # fmt: skip
        with pytest.raises(InputError, match=rf"^{argument}: got [^\n]*$"):
            call()
