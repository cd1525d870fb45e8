"""Bools as text: they come back as they were, and a text of another size is refused."""

from __future__ import annotations

import numpy as np
import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.packed_bits import packed, unpacked


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1601])
def test_bools_survive_being_packed(size: int) -> None:
    bools = np.random.default_rng(size).random(size) < 0.5
    assert (unpacked(packed(bools), size) == bools).all()
    assert len(packed(bools)) <= size / 4 + 2


def test_a_text_of_another_size_is_refused() -> None:
    with pytest.raises(InputError, match="text: got '2 characters', allowed is the packed bools of 9 images"):
        unpacked("ff", 9)
