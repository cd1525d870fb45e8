"""Checks on arguments, in one voice: the argument, what was given, what is allowed.

Every public function of the package refuses bad input through these, so that a reader gets one clear line
and the command line can turn it into exit code 2. Nothing here knows about privacy or about torch.
"""

import math
from collections.abc import Collection
from numbers import Integral, Real


class InputError(ValueError):
    """Bad input from a caller. Its text is one line: argument, what was given, what is allowed.

    >>> rp.deployable_radius(0.9, sigma=-1.0, n_vote=100, beta=0.01)
    Traceback (most recent call last):
        ...
    rp_tutorial.core.arguments.InputError: sigma: got -1.0, allowed is a finite number above 0
    >>> issubclass(rp.InputError, ValueError)
    True

    Chapter: practice/choosing-parameters.
    """


def refuse(argument: str, given: object, allowed: str) -> InputError:
    """The error to raise: `raise refuse("sigma", sigma, "a number above 0")`."""
    return InputError(f"{argument}: got {given!r}, allowed is {allowed}".replace("\n", " "))


def positive(argument: str, value: float) -> float:
    """`value` as a finite float above 0."""
    if not _is_real(value) or not math.isfinite(value) or value <= 0:
        raise refuse(argument, value, "a finite number above 0")
    return float(value)


def open_unit(argument: str, value: float) -> float:
    """`value` as a float strictly between 0 and 1 (an error probability, for instance)."""
    if not _is_real(value) or not 0 < value < 1:
        raise refuse(argument, value, "a number strictly between 0 and 1")
    return float(value)


def closed_unit(argument: str, value: float) -> float:
    """`value` as a probability, 0 and 1 included."""
    if not _is_real(value) or not 0 <= value <= 1:
        raise refuse(argument, value, "a number from 0 to 1")
    return float(value)


def count(argument: str, value: int, *, minimum: int = 1) -> int:
    """`value` as an int of at least `minimum`. True and 3.0 are not counts."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < minimum:
        raise refuse(argument, value, f"an integer of at least {minimum}")
    return int(value)


def one_of(argument: str, value: str, allowed: Collection[str]) -> str:
    """`value` if it is one of `allowed`."""
    if value not in allowed:
        raise refuse(argument, value, "one of " + ", ".join(allowed))
    return value


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
