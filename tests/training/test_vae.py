"""The VAE: its divergence is the textbook's, its decoder learns the public images, and a run repeats exactly."""

import math

import pytest
import torch
from close import assert_close_to_scale
from torch.distributions import Independent, Normal, kl_divergence

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import DecoderPrior, new_prior
from rp_tutorial.training.vae import PIXEL_SIGMA, Encoder, fit_vae, kl_from_standard_normal

SETTINGS = {"epochs": 1, "batch_size": 20}


def public_images(rows: int = 60, *, seed: int = 0) -> torch.Tensor:
    """Two-factor pictures: a ramp whose height and slope vary."""
    generator = torch.Generator().manual_seed(seed)
    height, slope = 60 + 130 * torch.rand(2, rows, 1, 1, 1, generator=generator)
    ramp = torch.linspace(-0.4, 0.4, 32)
    return (height + (slope - 125) * ramp).expand(-1, 3, 32, -1).clamp(0, 255).to(torch.uint8)


def trained(images: torch.Tensor | None = None, **settings) -> DecoderPrior:
    images = public_images() if images is None else images
    return fit_vae(new_prior("vae", latent_dim=4), images, **SETTINGS | settings)


def test_divergence_is_that_of_two_gaussians():
    mean, log_variance = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    codes = Independent(Normal(mean, (log_variance / 2).exp()), 1)
    standard = Independent(Normal(torch.zeros(3), torch.ones(3)), 1)
    assert_close_to_scale(kl_from_standard_normal(mean, log_variance), kl_divergence(codes, standard))


def test_training_lowers_the_bound_and_the_decoder_gives_back_the_public_images():
    images, encoder, bounds = public_images(100), Encoder(4, width=8), []
    for epochs in (1, 12):
        prior = trained(images, encoder=encoder, epochs=epochs, learning_rate=5e-3)
        with torch.inference_mode():
            mean, log_variance = encoder(to_float(images))
            given_back = prior(mean)
        mismatch = (given_back - to_float(images)).square().sum() / (2 * PIXEL_SIGMA**2) / len(images)
        bounds.append(mismatch + kl_from_standard_normal(mean, log_variance).mean())
    assert bounds[1] < 0.2 * bounds[0]
    assert (given_back - to_float(images)).square().mean() < 0.25 * to_float(images).var(dim=0).mean()


def test_same_seed_same_decoder_whatever_its_first_weights_and_the_global_generator():
    first_prior = new_prior("vae", latent_dim=4)
    other_prior = new_prior("vae", latent_dim=4)
    with torch.no_grad():
        for value in other_prior.parameters():
            value.mul_(3)
    torch.manual_seed(1)
    fit_vae(first_prior, public_images(), seed=7, **SETTINGS)
    untouched = torch.rand(1)
    torch.manual_seed(2)
    fit_vae(other_prior, public_images(), seed=7, **SETTINGS)
    state, other = first_prior.state_dict(), other_prior.state_dict()
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert not torch.equal(trained(seed=8).state_dict()["decoder.upscale.2.weight"], state["decoder.upscale.2.weight"])
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), untouched)


def test_decoder_and_encoder_come_back_in_eval_mode():
    encoder = Encoder(4, width=8)
    prior = trained(encoder=encoder)
    assert not any(module.training for net in (prior, encoder) for module in net.modules())


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        *(("public", {"images": bad}) for bad in (public_images().float(), public_images()[..., :16, :16])),
        *(("epochs", {"epochs": bad}) for bad in (0, 1.5)),
        ("batch_size", {"batch_size": 0}),
        *(("learning_rate", {"learning_rate": bad}) for bad in (0, math.nan)),
        ("seed", {"seed": -1}),
        ("device", {"device": "abacus"}),
    ],
)
def test_bad_input_is_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        trained(**bad)
    assert len(str(error.value).splitlines()) == 1


def test_an_encoder_is_for_sizes_that_halve_down_to_4():
    assert Encoder(3, size=64, width=4)(torch.zeros(2, 3, 64, 64))[0].shape == (2, 3)
    for bad in (4, 48):
        with pytest.raises(InputError, match=r"^size: got "):
            Encoder(3, size=bad)
