"""One attribute in a unit of its own, a net that is a threshold in it, and an adversary's copies of records."""

import torch
from torch import nn

from rp_tutorial.attributes.sets import IntervalSet, StandardScale
from rp_tutorial.models.table_nets import two_layer_net

BMI = "kg/m^2"
SCALE = StandardScale(mean=27.0, std=5.0, unit=BMI)
DOMAIN = IntervalSet.of((12.0, 50.4), unit=BMI)


def threshold_net(at: float = 0.0) -> nn.Sequential:
    """Class 1 where the one input exceeds `at`."""
    net = nn.Sequential(nn.Linear(1, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[0.0], [1.0]]))
        net[0].bias.copy_(torch.tensor([0.0, -at]))
    return net


def net_of_three_classes() -> tuple[nn.Sequential, torch.Tensor]:
    """A float64 net of three inputs whose classes are all met along the attribute, and 25 records."""
    net = two_layer_net(3, num_classes=3, hidden=12, seed=2).double()
    with torch.no_grad():
        net[0].weight.mul_(3)
        net[2].bias.sub_(net(torch.randn(300, 3, generator=torch.Generator().manual_seed(1)).double()).mean(0))
    return net, torch.randn(25, 3, generator=torch.Generator().manual_seed(0)).double()


def with_attribute(x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Attribute 0, given in kg/m^2: the adversary's copies [B, G, d] in float64."""
    grid = values.double()
    copies = x.double()[:, None, :].repeat(1, grid.shape[-1], 1)
    copies[..., 0] = SCALE.to_std(grid)
    return copies
