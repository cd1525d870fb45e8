"""The law of randomized response: what it keeps, what it tells apart, and what accuracy is left."""

from __future__ import annotations

import math

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.theory.guarantees import hockey_stick, total_variation, tv_of_dp
from rp_tutorial.theory.response import (
    accuracy,
    advantage,
    epsilon_for_accuracy,
    epsilon_for_advantage,
    keep_probability,
    response_law,
)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_the_advantage_is_half_the_total_variation_of_two_true_labels(classes: int) -> None:
    kept = keep_probability(1.0, classes)
    other = (1 - kept) / (classes - 1)
    assert advantage(1.0, classes) == pytest.approx((kept - other) / 2)
    assert advantage(1.0, classes) == pytest.approx((math.e - 1) / (2 * (math.e + classes - 1)))
    assert epsilon_for_advantage(advantage(1.0, classes), classes) == pytest.approx(1.0)


@pytest.mark.parametrize("classes", [2, 10, 80])
def test_one_release_is_epsilon_private_and_not_less(classes: int) -> None:
    laws = [response_law(1.5, classes, label) for label in (0, classes - 1)]
    assert hockey_stick(*laws, epsilon=1.5) == pytest.approx(0.0, abs=1e-12)
    assert hockey_stick(*laws, epsilon=1.499) > 0
    assert total_variation(*laws) / 2 == pytest.approx(advantage(1.5, classes))
    assert advantage(1.5, classes) <= tv_of_dp(1.5) / 2 + 1e-12, "two classes attain what epsilon allows, more do not"


@pytest.mark.parametrize(("base", "classes"), [(1.0, 2), (0.6, 2), (0.98, 80), (0.1, 1000)])
def test_the_epsilon_for_an_accuracy_gives_that_accuracy(base: float, classes: int) -> None:
    for share in (0.001, 0.5, 0.999):
        target = 1 / classes + share * (base - 1 / classes)
        assert accuracy(epsilon_for_accuracy(target, base, classes), base, classes) == pytest.approx(target, abs=1e-12)


def test_accuracy_lies_between_chance_and_that_of_the_oracle_and_grows_with_epsilon() -> None:
    found = [accuracy(epsilon, 0.9, 10) for epsilon in (1e-9, 0.5, 1.0, 3.0, 50.0)]
    assert found == sorted(found)
    assert found[0] == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.9)
    assert accuracy(3.0, 0.1, 10) == pytest.approx(0.1), "at chance there is nothing to lose"


def test_bad_settings_are_refused() -> None:
    for target in (0.0, 0.5, float("nan")):
        with pytest.raises(InputError):
            epsilon_for_advantage(target, 2)
    for target, base in ((0.5, 0.9), (0.9, 0.9), (0.95, 0.9), (float("nan"), 0.9), (0.6, 0.5), (0.6, 1.1)):
        with pytest.raises(InputError, match="got"):
            epsilon_for_accuracy(target, base, 2)
    with pytest.raises(InputError, match="num_classes"):
        accuracy(1.0, 0.9, 1)
    with pytest.raises(InputError, match="label"):
        response_law(1.0, 3, 3)
