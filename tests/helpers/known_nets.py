"""Nets whose noisy labels have a law in closed form, and the test of a share against it. Shared by the tests here.

ERROR is the probability that a comparison with a law fails although the law holds.
"""

import torch
from scipy import stats
from torch import nn

ERROR = 1e-6
DIRECTION = torch.tensor([0.6, 0.0, -0.8])  # of length 1, so that w x - t is the distance to the boundary


class Opaque(nn.Module):
    """The same net, but nothing to look through: noise has to enter at the input."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


def half_space(threshold: float = 0.0, *, direction: torch.Tensor = DIRECTION) -> nn.Sequential:
    """Label 1 where direction . x > threshold."""
    net = nn.Sequential(nn.Linear(len(direction), 2), nn.ReLU(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([-direction, direction]))
        net[0].bias.copy_(torch.tensor([threshold, -threshold]))
        net[2].weight.copy_(torch.eye(2))
    return net


def bands() -> nn.Sequential:
    """Three classes along one axis: 0 below -1, 1 between -1 and 1, 2 above 1. As the largest of three lines."""
    net = nn.Sequential(nn.Linear(1, 3), nn.Identity())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[-1.0], [0.0], [1.0]]))
        net[0].bias.copy_(torch.tensor([-1.0, 0.0, -1.0]))
    return net


def at(*distances: float) -> torch.Tensor:
    """Inputs at these signed distances from the boundary of `half_space()`, off the axis elsewhere."""
    return torch.tensor(distances)[:, None] * DIRECTION + torch.tensor([8.0, 5.0, 6.0])


def assert_binomial(hits: int, trials: int, p: float) -> None:
    low, high = stats.binom.ppf([ERROR / 2, 1 - ERROR / 2], trials, p)
    assert low <= hits <= high, f"{hits} of {trials} where {p} was claimed"
