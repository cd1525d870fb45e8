"""Directions have length one, and none is more likely than another."""

import torch
from close import assert_close_to_scale
from scipy import stats

from rp_tutorial.core.directions import on_sphere


def test_directions_are_uniform_on_the_sphere():
    """In three dimensions every coordinate of such a vector is uniform on [-1, 1] (Archimedes)."""
    units = on_sphere(2000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close_to_scale(units.norm(dim=-1), torch.ones(2000, dtype=torch.float64))
    for coordinate in units.T.numpy():
        assert stats.kstest(coordinate, stats.uniform(-1, 2).cdf).pvalue > 1e-6
