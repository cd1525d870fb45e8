"""The PCA prior holds the public images' mean, leading components and deviations, as an exact solver finds them."""

import numpy as np
import pytest
import torch
from close import assert_close_to_scale
from sklearn.decomposition import PCA

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import PCAPrior
from rp_tutorial.training.pca import fit_pca

SIDE = 8


def public_images(rows: int = 1500, *, seed: int = 0) -> torch.Tensor:
    """Bytes whose covariance has a falling spectrum, as that of faces has."""
    generator = torch.Generator().manual_seed(seed)
    width = 3 * SIDE * SIDE
    turn, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    scores = torch.randn(rows, width, generator=generator) * 300 * torch.arange(1, width + 1) ** -0.8
    return (128 + scores @ turn.T).clamp(0, 255).to(torch.uint8).view(rows, 3, SIDE, SIDE)


def test_components_and_deviations_are_those_of_an_exact_solver():
    images = public_images()
    prior = fit_pca(PCAPrior(12, size=SIDE), images)
    exact = PCA(12, svd_solver="full").fit(to_float(images).flatten(1).double().numpy())
    assert np.allclose(prior.deviations, np.sqrt(exact.explained_variance_), rtol=1e-3)
    assert_close_to_scale(prior.mean.flatten(), torch.from_numpy(exact.mean_))
    overlap = prior.components.flatten(1).numpy() @ exact.components_.T
    assert np.allclose(np.abs(np.diag(overlap)), 1, atol=1e-3)


def test_components_are_orthonormal_and_their_largest_entry_is_positive():
    flat = fit_pca(PCAPrior(12, size=SIDE), public_images()).components.flatten(1)
    assert_close_to_scale(flat @ flat.T, torch.eye(12))
    assert (flat.gather(1, flat.abs().argmax(1, keepdim=True)) > 0).all()


def test_public_images_have_standard_latents():
    images = public_images()
    prior = fit_pca(PCAPrior(12, size=SIDE), images)
    z = prior.project(to_float(images))
    assert torch.allclose(z.mean(0), torch.zeros(12), atol=1e-4)
    assert torch.allclose(z.T @ z / (len(z) - 1), torch.eye(12), atol=2e-3)


def test_same_seed_same_prior_and_another_start_of_the_iteration_the_same_up_to_its_error():
    images = public_images(300)
    first, again, other = (fit_pca(PCAPrior(4, size=SIDE), images, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.buffers(), again.buffers(), strict=True))
    assert torch.allclose(first.components, other.components, atol=1e-3)
    assert not torch.equal(first.components, other.components)


def test_as_few_images_as_one_more_than_components_are_enough():
    images = public_images(6)
    prior = fit_pca(PCAPrior(5, size=SIDE), images)
    assert torch.allclose(prior(prior.project(to_float(images))), to_float(images), atol=1e-3)


def test_images_that_are_all_the_same_give_that_image():
    images = public_images(1).expand(10, -1, -1, -1)
    prior = fit_pca(PCAPrior(3, size=SIDE), images)
    assert torch.allclose(prior(prior.latents(4, seed=0)), to_float(images[:4]), atol=1e-4)


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("public", {"public": public_images(8).float()}),
        ("public", {"public": public_images(4)}),
        ("public", {"public": public_images(9)[..., :4, :4]}),
        ("seed", {"seed": -1}),
        ("device", {"device": "abacus"}),
    ],
)
def test_bad_input_is_refused_in_one_line(argument, bad):
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        fit_pca(PCAPrior(4, size=SIDE), **{"public": public_images(8)} | bad)
    assert len(str(error.value).splitlines()) == 1
