"""Priors: one interface, images in [0, 1], made empty and filled from a state dict."""

import pytest
import torch
from close import assert_close_to_scale

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.generator import Generator
from rp_tutorial.models.priors import PRIORS, DecoderPrior, PCAPrior, new_prior

KINDS = [("pca", 32), ("vae", 32), ("gan", 32), ("gan", 64), ("published", 64)]


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_every_prior_maps_latents_to_images_between_0_and_1(kind, size):
    prior = new_prior(kind, size=size, latent_dim=10).eval()
    with torch.inference_mode():
        images = prior(5 * prior.latents(3, seed=0))
    assert images.shape == (3, 3, size, size)
    assert images.dtype == torch.float32
    assert 0 <= images.min() <= images.max() <= 1


@pytest.mark.parametrize(("kind", "size"), KINDS)
def test_an_empty_prior_takes_the_state_of_a_full_one_and_makes_its_images(kind, size):
    full, empty = (new_prior(kind, size=size, latent_dim=10).eval() for _ in range(2))
    for index, value in enumerate(full.state_dict().values()):
        if value.is_floating_point():
            generator = torch.Generator().manual_seed(index)
            value.copy_(torch.rand(value.shape, generator=generator))
    z = full.latents(2, seed=0)
    with torch.inference_mode():
        assert not torch.equal(empty(z), full(z))
        empty.load_state_dict(full.state_dict())
        assert torch.equal(empty(z), full(z))


def test_kinds_of_this_test_are_all_the_kinds_there_are():
    assert {kind for kind, _ in KINDS} == set(PRIORS)


def orthonormal_prior() -> PCAPrior:
    prior = PCAPrior(3, size=8)
    basis, _ = torch.linalg.qr(torch.randn(192, 3, generator=torch.Generator().manual_seed(1)))
    prior.components.copy_(basis.T.reshape(prior.components.shape))
    prior.deviations.copy_(torch.tensor([0.3, 0.2, 0.1]))
    return prior


def test_pca_prior_is_the_mean_plus_scaled_components():
    prior, z = orthonormal_prior(), torch.tensor([[1.0, -2.0, 0.5]])
    expected = 0.5 + 0.3 * prior.components[0] - 0.4 * prior.components[1] + 0.05 * prior.components[2]
    assert_close_to_scale(prior(z)[0], expected)


def test_projection_inverts_the_prior_and_finds_the_nearest_image():
    prior = orthonormal_prior()
    z = prior.latents(5, seed=2)
    assert torch.allclose(prior.project(prior(z)), z, atol=1e-4)
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    best = prior.project(image)
    residual = (image - (0.5 + torch.einsum("bi,icrs->bcrs", best * prior.deviations, prior.components))).flatten()
    assert_close_to_scale(prior.components.flatten(1) @ residual, torch.zeros(3), of=residual.norm())


def test_pixels_beyond_0_and_1_are_clipped():
    prior = orthonormal_prior()
    images = prior(torch.tensor([[100.0, 0.0, 0.0]]))
    assert images.min() == 0
    assert images.max() == 1


def test_latents_are_standard_normal_and_come_from_the_seed_alone():
    """64,000 values: mean and variance within 5 standard errors, missed with probability below 1e-6."""
    prior = PCAPrior(64, size=8)
    torch.manual_seed(0)
    z = prior.latents(1000, seed=4)
    torch.manual_seed(1)
    assert torch.equal(prior.latents(1000, seed=4), z)
    assert not torch.equal(prior.latents(1000, seed=5), z)
    assert abs(z.mean()) < 5 / 64_000**0.5
    assert abs(z.var() - 1) < 5 * (2 / 64_000) ** 0.5


def test_published_generator_is_a_prior_with_the_latent_size_of_its_checkpoint():
    prior = DecoderPrior(Generator(100, seed=1))
    assert prior.latent_dim == 100
    z = prior.latents(2, seed=0)
    with torch.inference_mode():
        assert torch.equal(prior.eval()(z), Generator(100, seed=1).eval()(z))


def test_latents_of_another_shape_are_refused_in_one_line():
    for bad in (torch.zeros(2, 4), torch.zeros(3), torch.zeros(1, 3, 1)):
        with pytest.raises(InputError, match=r"^z: got .*\[B, 3\]$"):
            PCAPrior(3, size=8)(bad)


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("kind", {"kind": "flow"}),
        ("latent_dim", {"latent_dim": 0}),
        ("size", {"size": 0}),
        ("size", {"kind": "gan", "size": 48}),
        ("size", {"kind": "published", "size": 32}),
    ],
)
def test_unknown_kinds_and_sizes_are_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        new_prior(**{"kind": "pca", "size": 32, "latent_dim": 4} | bad)
    assert len(str(error.value).splitlines()) == 1
