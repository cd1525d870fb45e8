"""Directions that no coordinate is special for: what attacks step along, drawn from a generator of the caller's."""

import torch
from torch import Tensor


def on_sphere(*shape: int, generator: torch.Generator, dtype: torch.dtype = torch.float32) -> Tensor:
    """Vectors [..., d] of length 1, independent and uniform on the sphere, on the generator's device."""
    gaussian = torch.randn(*shape, generator=generator, dtype=dtype, device=generator.device)
    return gaussian / torch.linalg.vector_norm(gaussian, dim=-1, keepdim=True)
