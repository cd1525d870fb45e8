"""The nets of the tables: the paper's two layers (section 5), and the half-space, whose releases have a law.

The half-space is the one classifier of which `theory.halfspace` knows every release in closed form. Audits and chapters
put it behind the same oracles as any other net; nothing of it is trained.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, global_stream

DIRECTION = (0.6, -0.8)  # of length 1, so that the inner product is the distance to the boundary


def two_layer_net(num_inputs: int, *, num_classes: int = 2, hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """Logits [B, num_classes] from [B, num_inputs]; 64 hidden units as in the paper. Initialised from `seed`.

    An nn.Sequential on purpose: the smoothing looks through its first layer, the exact methods through all of it.
    """
    count("num_inputs", num_inputs)
    count("num_classes", num_classes, minimum=2)
    count("hidden", hidden)
    with global_stream(Purpose.INITIAL_WEIGHTS, seed):
        return nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


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
