"""A verdict follows its rule, and nothing else."""

from __future__ import annotations

import pytest

from rp_tutorial.ledger.claim import (
    IN_DIRECTION,
    NOT_COMPARABLE,
    NOT_REPRODUCED,
    OPEN,
    REPRODUCED,
    Claim,
    Measurement,
    every,
    lowers,
    verdict,
)


def claim(low: float, high: float) -> Claim:
    return Claim("Table 1", "a number", "x", "insurance-threshold", lambda results: None, (low, high))


@pytest.mark.parametrize(
    ("printed", "measured", "expected"),
    [
        ((96.355, 96.365), Measurement(96.5, 96.3, 96.7), REPRODUCED),
        ((96.775, 96.785), Measurement(96.5, 96.3, 96.7), REPRODUCED),  # 0.275 < sqrt(2) * 0.2
        ((96.795, 96.805), Measurement(96.5, 96.3, 96.7), NOT_REPRODUCED),  # 0.295 > sqrt(2) * 0.2
        ((96.195, 96.205), Measurement(96.5, 96.3, 96.7), NOT_REPRODUCED),
    ],
)
def test_a_number_is_reproduced_within_the_noise_of_two_samples(
    printed: tuple[float, float], measured: Measurement, expected: str
) -> None:
    assert verdict(claim(*printed), measured) == expected


def test_a_direction_holds_or_does_not() -> None:
    assert verdict(claim(0, 0), Measurement(holds=True)) == IN_DIRECTION
    assert verdict(claim(0, 0), Measurement(holds=False)) == NOT_REPRODUCED
    assert verdict(claim(0, 0), Measurement(holds=OPEN)) == OPEN


def test_what_nobody_measured_is_not_comparable() -> None:
    assert verdict(claim(0, 0), None) == NOT_COMPARABLE


def test_nothing_shown_is_no_evidence() -> None:
    assert every([]) is None
    assert every([True, False]) is False


def test_fewer_hits_by_chance_are_not_lower() -> None:
    assert lowers([1] * 18 + [0] * 2, [1] * 4 + [0] * 16)
    assert not lowers([1, 1, 0, 1], [1, 0, 0, 1])
    assert not lowers([1] * 4 + [0] * 16, [1] * 18 + [0] * 2)
