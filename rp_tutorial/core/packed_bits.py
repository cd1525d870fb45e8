"""A bool for every image as text, so that results.json can keep them all: tests and joined seeds need each of them.

A list of thousands of zeros and ones would be most of the file; eight to a byte, in hex, they are a quarter of a
character each. What the bools mean is decided by those who keep them.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rp_tutorial.core.arguments import refuse


def packed(bools: ArrayLike) -> str:
    """Bools [N] as a text of 2 ceil(N / 8) characters."""
    return np.packbits(np.asarray(bools, dtype=bool)).tobytes().hex()


def unpacked(text: str, size: int) -> NDArray[np.bool_]:
    """The `size` bools behind a text of `packed`. Raises InputError if the text is of another length."""
    if len(text) != 2 * -(-size // 8):
        raise refuse("text", f"{len(text)} characters", f"the packed bools of {size} images")
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8), count=size).astype(bool)
