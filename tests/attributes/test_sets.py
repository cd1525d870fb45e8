"""Interval sets obey set algebra, one by one and in batches, and never mix units."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rp_tutorial.attributes.sets import IntervalSet
from rp_tutorial.core.arguments import InputError

BMI = "kg/m^2"
DOMAIN = IntervalSet.of((12.0, 50.4), unit=BMI)
GRID = np.arange(-1, 21) / 2 + 0.25  # between the whole numbers, where no interval below ends
INTERVALS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=5)


def drawn(pairs) -> IntervalSet:
    return IntervalSet.of(*[(min(p), max(p)) for p in pairs], unit=BMI)


@settings(deadline=None, max_examples=150)
@given(a=INTERVALS, b=INTERVALS)
def test_the_operations_are_those_of_sets(a, b):
    """Membership on half-numbers, away from the end points, decides every law."""
    first, second, domain = drawn(a), drawn(b), IntervalSet.of((0, 9), unit=BMI)
    in_a, in_b, in_domain = first.contains(GRID), second.contains(GRID), domain.contains(GRID)
    assert (first.intersection(second).contains(GRID) == (in_a & in_b)).all()
    assert (first.difference(second).contains(GRID) == (in_a & ~in_b)).all()
    assert (first.complement(domain).contains(GRID) == (in_domain & ~in_a)).all()
    assert first.length() + first.complement(domain).length() == pytest.approx(9)
    rest, common = first.difference(second).length(), first.intersection(second).length()
    assert rest + common == pytest.approx(first.length())
    pairs = first.pairs()
    assert all(low <= high for low, high in pairs)
    assert all(one[1] < other[0] for one, other in itertools.pairwise(pairs))


@settings(deadline=None, max_examples=50)
@given(batch=st.lists(INTERVALS, min_size=1, max_size=4), other=INTERVALS)
def test_a_batch_does_what_its_sets_do_one_by_one(batch, other):
    sets, one = [drawn(pairs) for pairs in batch], drawn(other)
    width = max(len(s.low) for s in sets)
    filled = [np.stack([np.pad(getattr(s, end), (0, width - len(s.low)), constant_values=value) for s in sets])
              for end, value in (("low", np.inf), ("high", -np.inf))]  # fmt: skip
    together = IntervalSet(*filled, BMI)
    assert together.shape == (len(sets),)
    assert len(together) == len(sets)
    for i, alone in enumerate(sets):
        assert together[i].pairs() == alone.pairs()
        assert together.length()[i] == alone.length()
        assert together.mass(stats.norm(5, 2))[i] == pytest.approx(float(alone.mass(stats.norm(5, 2))))
        for name in ("intersection", "difference"):
            assert getattr(together, name)(one)[i].pairs() == getattr(alone, name)(one).pairs()
        assert together.complement(drawn([(0, 9)]))[i].pairs() == alone.complement(drawn([(0, 9)])).pairs()
        assert (together[:, None].contains(GRID)[i] == alone.contains(GRID)).all()
    assert together[::-1][0].pairs() == sets[-1].pairs()
    assert together[np.array([True] * len(sets))].shape == (len(sets),)


def test_touching_intervals_are_one_and_points_are_intervals():
    assert IntervalSet.of((1, 2), (2, 3), (5, 5), unit=BMI).pairs() == [(1, 3), (5, 5)]
    assert IntervalSet.of((1, 2), unit=BMI).intersection(IntervalSet.of((2, 3), unit=BMI)).pairs() == [(2, 2)]
    assert IntervalSet.of((5, 5), unit=BMI).complement(IntervalSet.of((0, 9), unit=BMI)).pairs() == [(0, 9)]
    assert IntervalSet.of(unit=BMI).pairs() == []
    assert IntervalSet.of(unit=BMI).complement(DOMAIN).pairs() == [(12.0, 50.4)]


def test_half_lines_have_infinite_length_and_finite_mass():
    line = IntervalSet.of((-np.inf, 27), unit=BMI)
    assert line.length() == np.inf
    assert line.mass(stats.norm(27, 5)) == pytest.approx(0.5)
    assert line.complement(IntervalSet.of((-np.inf, np.inf), unit=BMI)).pairs() == [(27, np.inf)]
    assert line.intersection(DOMAIN).pairs() == [(12.0, 27.0)]


def test_units_are_never_mixed():
    std, bmi = IntervalSet.of((0, 1), unit="std"), IntervalSet.of((0, 1), unit=BMI)
    for call in (std.intersection, std.difference, std.complement):
        with pytest.raises(InputError, match=r"^unit: got 'kg/m\^2'|^unit: got 'std'"):
            call(bmi)


def test_a_set_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        DOMAIN.low[0] = 0


def test_bad_input_is_refused_in_one_line():
    for argument, call in (
        ("low, high", lambda: IntervalSet(np.zeros(2), np.zeros(3), BMI)),
        ("low, high", lambda: IntervalSet(np.array([np.nan]), np.zeros(1), BMI)),
        ("pairs", lambda: IntervalSet.of((3, 1), unit=BMI)),
        ("other", lambda: DOMAIN.intersection([(1, 2)])),
    ):
        with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1
