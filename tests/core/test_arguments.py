"""The checks on arguments: what they let through, and that what they refuse is one line with all three parts."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from rp_tutorial.core.arguments import InputError, closed_unit, count, one_of, open_unit, positive, refuse

NOT_A_NUMBER = ["1", None, True, np.True_, 1j, [1.0], np.array([1.0]), torch.tensor(1.0), object()]


def assert_one_clear_line(error: pytest.ExceptionInfo, argument: str, given: object) -> None:
    text = str(error.value)
    assert text.startswith(f"{argument}: got ")
    assert ", allowed is " in text
    assert repr(given).splitlines()[0] in text
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("given", [*NOT_A_NUMBER, 0, -1.0, math.inf, -math.inf, math.nan])
def test_positive_refuses_all_but_finite_numbers_above_zero(given):
    with pytest.raises(InputError) as error:
        positive("sigma", given)
    assert_one_clear_line(error, "sigma", given)


@pytest.mark.parametrize("given", [*NOT_A_NUMBER, 0, 1, 0.0, 1.0, -0.1, 1.1, math.nan, math.inf])
def test_open_unit_refuses_its_ends_and_everything_outside(given):
    with pytest.raises(InputError) as error:
        open_unit("alpha", given)
    assert_one_clear_line(error, "alpha", given)


@pytest.mark.parametrize("given", [*NOT_A_NUMBER, -1e-300, np.nextafter(1, 2), math.nan, math.inf])
def test_closed_unit_refuses_everything_outside_zero_to_one(given):
    with pytest.raises(InputError) as error:
        closed_unit("p", given)
    assert_one_clear_line(error, "p", given)


@pytest.mark.parametrize("given", [*NOT_A_NUMBER, 0, -3, 3.0, np.float64(3), math.nan])
def test_count_refuses_what_is_not_an_integer_of_at_least_the_minimum(given):
    with pytest.raises(InputError) as error:
        count("n", given)
    assert_one_clear_line(error, "n", given)


@pytest.mark.parametrize("given", ["Vote", "", None, 1, ["vote"]])
def test_one_of_refuses_what_is_not_listed_and_lists_what_is(given):
    with pytest.raises(InputError, match="one of vote, predict") as error:
        one_of("rule", given, ("vote", "predict"))
    assert_one_clear_line(error, "rule", given)


def test_good_values_come_back_as_plain_python_numbers():
    for value in (positive("sigma", 2), positive("sigma", np.float32(0.5)), open_unit("alpha", Fraction(1, 4))):
        assert type(value) is float
    assert (closed_unit("p", 0), closed_unit("p", 1)) == (0.0, 1.0)
    assert type(count("n", np.int64(7))) is int
    assert count("seed", 0, minimum=0) == 0
    assert one_of("rule", "vote", ("vote", "predict")) == "vote"


def test_message_stays_one_line_for_a_value_whose_text_has_many():
    assert "\n" not in str(refuse("x", np.zeros((3, 3)), "a number"))


@pytest.mark.parametrize("odd", ["\n", "\r\n", "\x0b", "\x1e", "\x85", "\u2028", "\x1b[2J", "\udcff", "\0"])
def test_what_a_terminal_would_not_print_as_it_is_becomes_a_blank_in_every_message(odd):
    """The name of a file or of a column may be anything, and every message is one line."""
    said = str(InputError(f"data: a{odd}.csv: is empty"))
    assert said.isprintable()
    assert (said[:7], said[-14:]) == ("data: a", ".csv: is empty")
    assert str(InputError("data: Bücher  .csv: is empty")) == "data: Bücher  .csv: is empty"


def test_input_error_is_a_value_error():
    assert issubclass(InputError, ValueError)
