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
    some,
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
    assert every([]) is some([]) is every([None]) is some([None]) is None
    assert [every(shown) for shown in ([True, False], [True, OPEN], [OPEN, False], [True, None])] == [
        False, OPEN, False, True,
    ]  # fmt: skip
    assert [some(shown) for shown in ([True, OPEN], [False, OPEN], [False, None])] == [True, OPEN, False]


def test_fewer_hits_by_chance_are_not_lower() -> None:
    many, few = [1] * 18 + [0] * 2, [1] * 4 + [0] * 16
    assert lowers(many, few) is True
    assert lowers(few, many) is False
    assert lowers([1, 1, 0, 1], [1, 0, 0, 1]) == OPEN
    assert lowers(many * 20, many * 20) is False, "a hundred targets that agree rule out five points"
