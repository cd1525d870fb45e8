"""What a check is and how it reports: an answer goes in, a `Verdict` of one line comes out, whatever the answer does.

A check tries an answer on inputs drawn from a seed and judges what it does, never how it is written. It says what is
wrong (the input, too large or too small, the mistake if it is a known one), not what would be right. Nothing here knows
of privacy; what is checked stands in the other files of this room.
"""

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np
import torch

from rp_tutorial.core.arguments import MESSAGE_LENGTH, one_line
from rp_tutorial.core.streams import Purpose, numpy_generator

LONGEST = 6  # entries of an array that a line shows


@dataclass(frozen=True)
class Verdict:
    """Whether an answer passed, and why in one line. It is true where it passed, so `assert` takes it."""

    passed: bool
    line: str

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{'✓' if self.passed else '✗'} {self.line}"


class AnswerError(Exception):
    """Raised inside a check: what is wrong with the answer, in one line."""


def check(judge: Callable[..., str]) -> Callable[..., Verdict]:
    """A check from a function that returns the line of a right answer and raises `AnswerError` for any other.

    An exercise that is still as it was handed out, None or `...`, is said to be unanswered.
    """

    @wraps(judge)
    def checked(*answers: Any, seed: int = 0) -> Verdict:
        try:
            if any(answer is None or answer is Ellipsis for answer in answers):
                raise AnswerError("there is no answer yet")
            return Verdict(True, judge(*answers, seed=seed))
        except AnswerError as error:
            return Verdict(False, one_line(str(error)))

    return checked


def drawn(seed: int, *key: int) -> np.random.Generator:
    """The generator of a check's inputs: those of another seed are others, so that a grader can ask anew."""
    return numpy_generator(Purpose.FUZZED_INPUTS, seed, *key)


def ask(answer: Callable[..., Any], *inputs: Any) -> Any:
    """What the answer gives for copies of the inputs; raises `AnswerError` where it fails or gives nothing."""
    if not callable(answer):
        raise AnswerError(f"got {shown(answer)}, asked for is a function")
    try:
        found = answer(*(deepcopy(part) if isinstance(part, np.ndarray | torch.Tensor) else part for part in inputs))
    except NotImplementedError:
        found = None
    except Exception as error:
        said = " ".join(str(error).split())[:MESSAGE_LENGTH]
        raise AnswerError(f"for ({called(inputs)}) it raises {type(error).__name__}: {said}") from error
    if found is None or found is Ellipsis:
        raise AnswerError("there is no answer yet: it returns nothing")
    return found


def numbers(found: Any, shape: tuple[int, ...] = ()) -> np.ndarray:
    """What an answer gave as finite or infinite floats of this shape; raises `AnswerError` for anything else."""
    wanted = f"numbers of shape {shape}" if shape else "one number"
    try:
        values = np.asarray(_plain(found), dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        raise AnswerError(f"it returns {shown(found)}, asked for is {wanted}") from None
    if values.shape != shape and not (not shape and values.size == 1):
        raise AnswerError(f"it returns something of shape {values.shape}, asked for is {wanted}")
    if np.isnan(values).any():
        raise AnswerError(f"it returns {shown(found)}, asked for is {wanted}")
    return values.reshape(shape)


def compare(
    answer: Callable[..., Any],
    right: Callable[..., Any],
    questions: Iterable[tuple],
    *,
    slips: Mapping[str, Callable[..., Any]],
    tolerance: float = 1e-6,
    labels: bool = False,
) -> None:
    """Raises `AnswerError` unless the answer gives, for all questions, what `right` gives to the relative `tolerance`.

    slips: known mistakes, by what to say of them. The line is that of the first which gives what the answer gives;
    where it is none of them, the first input that goes wrong, and in which direction if answers are no `labels`.
    """
    questions = list(questions)
    wanted = [np.asarray(right(*q), dtype=np.float64) for q in questions]
    found = [numbers(ask(answer, *q), want.shape) for q, want in zip(questions, wanted, strict=True)]
    misses = [i for i, want in enumerate(wanted) if not _close(found[i], want, tolerance)]
    if not misses:
        return
    for said, slip in slips.items():
        mistaken = [np.asarray(slip(*q), dtype=np.float64) for q in questions]
        if all(_close(mine, theirs, tolerance) for mine, theirs in zip(found, mistaken, strict=True)):
            raise AnswerError(said)
    first = misses[0]
    way = "which is wrong" if labels else _way(found[first], wanted[first])
    raise AnswerError(f"for ({called(questions[first])}) it gives {shown(found[first])}, {way}")


def called(inputs: Iterable[Any]) -> str:
    """Inputs as a line shows them."""
    return ", ".join(shown(part) for part in inputs)


def shown(value: Any) -> str:
    """A value as a line shows it: numbers to four digits, arrays by their entries if these are few."""
    if isinstance(value, np.ndarray | torch.Tensor | np.generic):
        array = np.asarray(_plain(value))
        if array.size <= LONGEST:
            return shown(array.tolist())
        return f"an array of shape {array.shape}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(part) for part in value) + "]"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bool | int | str):
        return repr(value)
    return f"a {type(value).__name__}"


def _plain(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _close(found: np.ndarray, wanted: np.ndarray, tolerance: float) -> bool:
    scale = np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)
    return bool(np.allclose(found, wanted, rtol=tolerance, atol=tolerance * min(1.0, scale)))


def _way(found: np.ndarray, wanted: np.ndarray) -> str:
    if (found >= wanted).all():
        return "which is too large"
    return "which is too small" if (found <= wanted).all() else "of which some entries are too large, some too small"
