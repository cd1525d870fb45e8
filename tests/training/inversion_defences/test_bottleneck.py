"""The information bottleneck: its price is the divergence that torch knows, and its code is noisy in training alone."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.variational_head import VariationalHead
from rp_tutorial.training.inversion_defences.bottleneck import InformationBottleneck, divergence


def draws(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_price_is_the_divergence_from_a_standard_normal() -> None:
    mean, spread = 4 * draws(6, 9) - 2, 3 * draws(6, 9, seed=1) + 1e-3
    torch.testing.assert_close(divergence(mean, spread), kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).sum(1))


def test_the_objective_is_cross_entropy_of_a_drawn_code_and_its_price() -> None:
    net, x, labels = SmallFaceNet(4, seed=0).eval(), draws(8, 3, 32, 32), torch.arange(8) % 4
    net.fc_layer = VariationalHead(128, 4, width=16, seed=1)
    torch.manual_seed(5)
    loss = InformationBottleneck(0.1)(net, x, labels, 0.0)
    torch.manual_seed(5)
    mean, spread = net.fc_layer.code(net.features(x))
    logits = net.fc_layer.scores(mean + spread * torch.randn(8, 16))
    price = kl_divergence(Normal(mean, spread), Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(loss, nn.functional.cross_entropy(logits, labels) + 0.1 * price)


@pytest.mark.parametrize("bad", [0, -1.0, float("nan")])
def test_a_price_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match=r"^price: got "):
        InformationBottleneck(bad)
