"""The best of several attackers is chosen on targets that it is not judged on."""

from __future__ import annotations

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.statistics.best_of_several import alternating, best_against, cross_fitted
from rp_tutorial.statistics.paired import paired_comparison

A = np.array([1, 0, 1, 0, 1, 0, 0, 0], dtype=bool)  # better on the even targets
B = np.array([0, 1, 0, 1, 0, 0, 0, 1], dtype=bool)  # better on the odd ones
NONE = np.zeros(8, dtype=bool)


def test_each_half_is_judged_with_the_attacker_that_the_other_half_chose() -> None:
    found, chosen = cross_fitted({"a": A, "b": B}, alternating(8))
    assert chosen == ("b", "a"), "the odd targets choose b for the even ones, and the other way round"
    assert not found.any(), "each was lucky on its own half only"


def test_of_equally_good_attackers_the_first_is_chosen() -> None:
    assert cross_fitted({"b": B, "also b": B.copy()}, alternating(8))[1] == ("b", "b")


def test_the_best_of_equal_attackers_is_not_flattered() -> None:
    """Six attackers that hit every target with probability .4: over 4000 rounds of 40 targets the cross-fitted rate has
    the mean .4 within five standard errors (error below 1e-6), while the largest of six rates is far above it."""
    draws = np.random.default_rng(0).random((4000, 6, 40)) < 0.4
    halves = alternating(40)
    honest = [cross_fitted(dict(enumerate(hits)), halves)[0].mean() for hits in draws]
    largest = draws.mean(axis=2).max(axis=1).mean()
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest) - 0.4) < 5 * error
    assert largest > 0.47


def test_an_attacker_that_is_better_everywhere_is_found_and_tested() -> None:
    rng = np.random.default_rng(1)
    good, weak = rng.random(200) < 0.8, rng.random(200) < 0.2
    found = best_against({"old": weak, "weak": weak, "good": good}, "old", alternating(200))
    assert found["chosen"] == ["good", "good"]
    assert (found["reference_asr"], found["asr"]) == (weak.mean(), good.mean())
    assert found["largest"] == "good"
    compared = paired_comparison(good, weak)
    assert (found["p_value"], found["difference"]) == (compared.p_value, compared.difference)
    by_name = {test["attacker"]: test for test in found["tests"]}
    assert by_name["good"]["p_holm"] == pytest.approx(2 * compared.p_value), "two attackers were tried"
    assert by_name["weak"]["p_holm"] == 1
    assert found["asr_ci"][0] < found["asr"] < found["asr_ci"][1]


def test_the_reference_is_never_its_own_rival() -> None:
    found = best_against({"old": ~NONE, "new": NONE}, "old", alternating(8))
    assert (found["chosen"], found["asr"], found["difference"]) == (["new", "new"], 0, -1)


@pytest.mark.parametrize("halves", [NONE, ~NONE, np.zeros(3, dtype=bool), np.arange(8)])
def test_halves_that_are_none_are_refused_in_one_line(halves: np.ndarray) -> None:
    with pytest.raises(InputError, match="halves: got"):
        cross_fitted({"a": A}, halves)


@pytest.mark.parametrize("reference", ["nobody", "a"])
def test_a_reference_needs_to_be_one_of_several(reference: str) -> None:
    with pytest.raises(InputError, match="reference: got"):
        best_against({"a": A}, reference, alternating(8))
