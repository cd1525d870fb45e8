"""Floats compared as finely as their type tells them apart.

Another processor, another number of threads or a batch of another size adds in another order: the last digits differ,
by an amount that grows with the values. An absolute tolerance below that asks for more than a float keeps. What is
exact by construction (draws, counts, copies, the same call twice) is compared bit for bit and needs nothing from here.
"""

import torch
from torch import Tensor

STEPS = 100  # last digits of the largest value: 1.2e-5 of it in float32, 2.2e-14 in float64


def rounding(values: Tensor, *, steps: int = STEPS) -> float:
    """How far rounding may move a result of values of this size: `steps` last digits of the largest."""
    return steps * torch.finfo(values.dtype).eps * float(values.detach().nan_to_num().abs().max())


def assert_close_to_scale(found: Tensor, expected: Tensor, *, of: Tensor | None = None, steps: int = STEPS) -> None:
    """Equal up to the rounding of the coarser of the two types, at the scale of the largest value.

    A sum is rounded at the scale of its terms: where they cancel, `of` holds them. NaN matches NaN alone.
    """
    coarser = max((found.dtype, expected.dtype), key=lambda dtype: torch.finfo(dtype).eps)
    slack = rounding((expected if of is None else of).to(coarser), steps=steps)
    torch.testing.assert_close(found, expected, rtol=0, atol=slack, equal_nan=True, check_dtype=False)
