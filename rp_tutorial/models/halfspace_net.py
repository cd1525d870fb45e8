"""The half-space as a net: the one classifier whose releases have a law in closed form (`theory.halfspace`).

Audits and chapters put it behind the same oracles as any other net. Nothing is trained here.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

DIRECTION = (0.6, -0.8)  # of length 1, so that the inner product is the distance to the boundary


def half_space_net() -> nn.Sequential:
    """Logits [B, 2] from x [B, 2]: label 1 where DIRECTION . x > 0. So p_1(x) = Phi(distance / sigma) under noise."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Identity())
    direction = torch.tensor(DIRECTION)
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([-direction, direction]) / 2)
    return net


def at_distance(distance: ArrayLike) -> Tensor:
    """Inputs at these signed distances [...] from the boundary of `half_space_net`, positive for class 1: [..., 2]."""
    return torch.as_tensor(np.asarray(distance), dtype=torch.float32)[..., None] * torch.tensor(DIRECTION)
