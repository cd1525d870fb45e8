"""WGAN-GP: the penalty is the paper's, the averaged generator has its own statistics, and a run repeats exactly."""

import math

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.generator import Generator
from rp_tutorial.models.priors import DecoderPrior, new_prior
from rp_tutorial.training import gan
from rp_tutorial.training.gan import Critic, _late_fall, _measure_batch_norm, fit_gan, gradient_penalty

SETTINGS = {"epochs": 1, "critic_steps": 4, "batch_size": 8, "critic_width": 4}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def public_images(rows: int = 64, *, seed: int = 0) -> torch.Tensor:
    """Reddish pictures of varying brightness: far from the grey that an untrained generator makes."""
    brightness = torch.rand(rows, 1, 1, 1, generator=generator(seed))
    colour = torch.tensor([200.0, 60.0, 30.0])[:, None, None]
    return (colour * (0.8 + 0.4 * brightness)).expand(-1, -1, 32, 32).clamp(0, 255).to(torch.uint8)


def trained(images: torch.Tensor | None = None, **settings) -> DecoderPrior:
    images = public_images() if images is None else images
    return fit_gan(new_prior("gan", latent_dim=4), images, **SETTINGS | settings)


class LinearCritic(nn.Module):
    """Its gradient is `weight` everywhere, whose norm is known."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((12,), norm / 12**0.5))

    def forward(self, x):
        return x.flatten(1) @ self.weight


@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_penalty_is_the_squared_distance_of_the_gradients_norm_from_1(norm):
    real, made = torch.rand(2, 5, 3, 2, 2, generator=generator())
    assert gradient_penalty(LinearCritic(norm), real, made, generator()).item() == pytest.approx((norm - 1) ** 2)


def test_penalty_is_taken_on_the_lines_between_real_and_made_images():
    seen = []

    def critic(x):
        seen.append(x.detach().clone())
        return x.square().flatten(1).sum(1)

    real, made = torch.zeros(50, 3, 2, 2), torch.ones(50, 3, 2, 2)
    penalty = gradient_penalty(critic, real, made, generator())
    points = seen[0].flatten(1)
    assert (points == points[:, :1]).all()
    assert 0 <= points.min() < 0.2
    assert 0.8 < points.max() <= 1
    norms = 2 * points.norm(dim=1)
    assert penalty.item() == pytest.approx((norms - 1).square().mean().item(), rel=1e-5)


def test_penalty_pulls_the_critics_gradient_to_norm_1():
    critic, start = LinearCritic(3.0), LinearCritic(3.0).weight.norm().item()
    player = torch.optim.SGD(critic.parameters(), lr=0.1)
    real, made = torch.rand(2, 5, 3, 2, 2, generator=generator())
    for _ in range(50):
        player.zero_grad()
        gradient_penalty(critic, real, made, generator()).backward()
        player.step()
    assert start == pytest.approx(3)
    assert critic.weight.norm().item() == pytest.approx(1, abs=1e-3)


def test_critic_judges_every_image_by_itself():
    with global_stream(Purpose.INITIAL_WEIGHTS, 0):
        critic = Critic(size=32, width=4)
    images = torch.rand(6, 3, 32, 32, generator=generator())
    together = critic(images)
    assert_close_to_scale(critic(images[2:3]), together[2:3], of=together)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in critic.modules())


def test_made_images_move_to_the_public_ones():
    images = public_images()
    prior = trained(images, epochs=20, critic_steps=2, batch_size=16, learning_rate=3e-3, average=0.8, critic_width=8)
    with torch.inference_mode():
        colour = prior(prior.latents(100, seed=0)).mean(dim=(0, 2, 3))
    assert (colour - to_float(images).mean(dim=(0, 2, 3))).abs().max() < 0.15


def test_same_seed_same_generator_whatever_its_first_weights_and_the_global_generator():
    first, second = new_prior("gan", latent_dim=4), new_prior("gan", latent_dim=4)
    with torch.no_grad():
        for value in second.parameters():
            value.mul_(3)
    torch.manual_seed(1)
    fit_gan(first, public_images(), seed=7, **SETTINGS)
    untouched = torch.rand(1)
    torch.manual_seed(2)
    fit_gan(second, public_images(), seed=7, **SETTINGS)
    state, other = first.state_dict(), second.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert not torch.equal(trained(seed=8).state_dict()["decoder.upscale.2.weight"], state["decoder.upscale.2.weight"])
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)


def test_statistics_of_batch_norm_are_measured_for_the_weights_kept():
    """In eval mode the first norm gives mean 0 and deviation 1 a channel, up to the sampling of the batches."""
    prior = new_prior("gan", latent_dim=4)
    outputs = []
    _measure_batch_norm(prior, 64, generator())
    prior.decoder.seed_layer[2].register_forward_hook(lambda module, inputs, output: outputs.append(output))
    with torch.inference_mode():
        prior.eval()(prior.latents(2000, seed=1))
    assert outputs[0].mean(dim=(0, 2, 3)).abs().max() < 0.1
    assert (outputs[0].std(dim=(0, 2, 3)) - 1).abs().max() < 0.1
    assert prior.decoder.seed_layer[2].momentum == 0.1


def test_learning_rate_is_whole_for_half_the_steps_and_then_falls_to_near_nothing():
    factor = _late_fall(100)
    assert [factor(step) for step in (0, 25, 50)] == [1, 1, 1]
    assert factor(75) == pytest.approx(0.5, abs=0.02)
    assert 0 < factor(99) < 0.05


def test_the_generator_comes_back_in_eval_mode():
    assert not any(module.training for module in trained().modules())


@pytest.mark.parametrize(("rows", "epochs", "critic_steps", "steps"), [(64, 3, 2, 12), (64, 1, 5, 1), (70, 2, 16, 1)])
def test_the_critic_sees_every_image_once_an_epoch(monkeypatch, rows, epochs, critic_steps, steps):
    seen = []
    monkeypatch.setattr(gan, "gradient_penalty", lambda *given: seen.append(len(given[1])) or gradient_penalty(*given))
    trained(public_images(rows), epochs=epochs, critic_steps=critic_steps)
    assert seen == [SETTINGS["batch_size"]] * (steps * critic_steps)


def test_the_published_generator_can_be_trained_as_well():
    prior = DecoderPrior(Generator(8))
    images = public_images(4).repeat(1, 1, 2, 2)
    before = prior.decoder.l1[0].weight.clone()
    fit_gan(prior, images, **SETTINGS)
    assert not torch.equal(prior.decoder.l1[0].weight, before)


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        *(("public", {"images": bad}) for bad in (public_images().float(), public_images()[..., :16, :16])),
        *(("epochs", {"epochs": bad}) for bad in (0, 1.5)),
        ("critic_steps", {"critic_steps": 0}),
        ("batch_size", {"batch_size": 0}),
        ("critic_width", {"critic_width": 0}),
        *(("learning_rate", {"learning_rate": bad}) for bad in (0, math.nan)),
        *(("average", {"average": bad}) for bad in (1, -0.1)),
        ("seed", {"seed": -1}),
        ("device", {"device": "abacus"}),
    ],
)
def test_bad_input_is_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        trained(**bad)
    assert len(str(error.value).splitlines()) == 1
