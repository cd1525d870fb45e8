"""Radii as they are printed: never longer than what was proved. A guarantee in words is `RobustPrivacy.statement`."""

import math
from decimal import ROUND_FLOOR, Context, Decimal

import numpy as np
from numpy.typing import ArrayLike

_FLOOR = Context(prec=400, rounding=ROUND_FLOOR)  # room for every float


def rounded_down(radius: ArrayLike, digits: int = 2) -> float | np.ndarray:
    """A radius, or an array of them, to so many decimals, never up: what was proved within .678 holds within .67.

    Infinite ones and NaN stay as they are. A float of 0.3 is .3, though the number behind it is a little less.

    >>> rp.theory.rounded_down(0.6789), rp.theory.rounded_down([1.999, 0.3], digits=1)
    (0.67, array([1.9, 0.3]))

    Chapter: foundations/certified-robustness.
    """
    step = Decimal(1).scaleb(-digits)

    def down(value: float) -> float:
        return float(Decimal(repr(value)).quantize(step, context=_FLOOR)) if math.isfinite(value) else value

    values = np.asarray(radius, dtype=float)
    found = np.array([down(value) for value in values.ravel().tolist()]).reshape(values.shape)
    return found if found.ndim else float(found)
