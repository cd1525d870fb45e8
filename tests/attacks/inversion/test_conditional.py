"""A normal law a target: its divergence, and the optimum of its loss where that is known."""

import latent_scene
import torch
from torch import nn

from rp_tutorial.attacks.inversion.conditional import ConditionalLatents, Fitted, own_margin

TARGETS = torch.tensor([1, 0])


def test_the_divergence_is_that_of_two_normal_laws() -> None:
    laws = ConditionalLatents(TARGETS, 3, seed=0)
    assert laws.divergence().tolist() == [0, 0]
    with torch.no_grad():
        laws.mean.normal_(generator=torch.Generator().manual_seed(1))
        laws.log_spread.normal_(std=0.3, generator=torch.Generator().manual_seed(2))
    normal = torch.distributions.Normal
    own = normal(laws.mean, laws.log_spread.exp())
    known = torch.distributions.kl_divergence(own, normal(torch.zeros(3), torch.ones(3))).sum(dim=1)
    torch.testing.assert_close(laws.divergence(), known)


def test_before_a_linear_net_the_law_reaches_the_optimum_that_calculus_gives() -> None:
    """Logits a.z and -a.z: the margin is +-2 a.z, so the mean is +-2 a over the weight, and the spread stays 1."""
    slope = torch.tensor([0.3, -0.1, 0.2])
    net = nn.Linear(3, 2, bias=False).requires_grad_(False)
    net.weight.copy_(torch.stack([slope, -slope]))
    laws = ConditionalLatents(TARGETS, 3, seed=0)
    laws.learn(net, nn.Identity(), Fitted(steps=400, draws=64, learning_rate=0.02, divergence=0.5))
    known = torch.stack([-4 * slope, 4 * slope])
    torch.testing.assert_close(laws.mean.detach(), known, atol=0.05, rtol=0)
    torch.testing.assert_close(laws.log_spread.exp().detach(), torch.ones(2, 3), atol=0.05, rtol=0)


def test_a_margin_is_the_own_logit_less_the_largest_other() -> None:
    assert own_margin(torch.tensor([[1.0, 5.0, 3.0], [4.0, 2.0, 1.0]]), torch.tensor([1, 2])).tolist() == [2, -3]


def test_draws_of_a_learnt_law_are_called_the_target_and_the_net_stays() -> None:
    net, prior = latent_scene.Nearest(), latent_scene.prior()
    targets = torch.tensor([3, 0, 4])
    laws = ConditionalLatents(targets, latent_scene.DIM, seed=4).learn(net, prior, Fitted(steps=120))
    drawn = laws.draw(100).detach()
    named = net(prior(drawn.flatten(0, 1))).argmax(dim=1).view(100, 3)
    assert float((named == targets).double().mean()) > 0.8, "the prior's own draws are so in one of five"
    assert all(parameter.grad is None for parameter in net.parameters())
