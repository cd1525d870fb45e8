"""Checks on arguments, in one voice: the argument, what was given, what is allowed.

Every public function of the package refuses bad input through these, so that a reader gets one clear line
and the command line can turn it into exit code 2. Nothing here knows about privacy or about torch.
"""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from numbers import Integral, Real

MESSAGE_LENGTH = 200  # of what code that is not ours says


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

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def one_line(text: str) -> str:
    """`text` with a blank for whatever a terminal would not print as it is: line breaks, escape codes, half characters.

    What it holds may be somebody else's: the name of a file, a cell of a table.
    """
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)


def refuse(argument: str, given: object, allowed: str) -> InputError:
    """The error to raise: `raise refuse("sigma", sigma, "a number above 0")`."""
    return InputError(f"{argument}: got {given!r}, allowed is {allowed}")


@contextmanager
def in_one_line(argument: str, allowed: str, *, what: str = "") -> Iterator[None]:
    """Inside runs code that is not ours and may raise anything: its kind and its text become an InputError.

    What is an InputError already stays as it is. what: put in front, where the argument has a name to show.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:MESSAGE_LENGTH]
        raise refuse(argument, f"{what}{type(error).__name__} ({said})", allowed) from error


def positive(argument: str, value: float) -> float:
    """`value` as a finite float above 0."""
    return _real(argument, value, lambda number: 0 < number < math.inf, "a finite number above 0")


def open_unit(argument: str, value: float) -> float:
    """`value` as a float strictly between 0 and 1 (an error probability, for instance)."""
    return _real(argument, value, lambda number: 0 < number < 1, "a number strictly between 0 and 1")


def closed_unit(argument: str, value: float) -> float:
    """`value` as a probability, 0 and 1 included."""
    return _real(argument, value, lambda number: 0 <= number <= 1, "a number from 0 to 1")


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


def _real(argument: str, value: float, fits: Callable[[float], bool], allowed: str) -> float:
    """`value` as a float, if it is a number that fits; True is none."""
    if not isinstance(value, Real) or isinstance(value, bool) or not fits(value):
        raise refuse(argument, value, allowed)
    return float(value)
