"""The misfit of a prior is 0 for the public images' own law and 1 for their mean face, as it is said to be."""

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import DecoderPrior, new_prior
from rp_tutorial.training.fill_prior import fill_prior
from rp_tutorial.training.prior_misfit import prior_misfit

SIZE = 32


@pytest.fixture(scope="module")
def public():
    few = {"identities": 5, "train_images": 4, "test_images": 2, "public_images": 800}
    return load_faces("synthetic", seed=3, size=SIZE, **few).public


class Drawing(nn.Module):
    """Makes a given image a latent, in turn."""

    latent_dim = 4

    def __init__(self, images):
        super().__init__()
        self.register_buffer("images", images)
        self.made = 0

    def forward(self, z):
        rows = torch.arange(self.made, self.made + len(z)) % len(self.images)
        self.made += len(z)
        return self.images[rows]


def misfit(images, public, **options):
    return prior_misfit(DecoderPrior(Drawing(images)), public, **options)


def test_the_public_images_themselves_have_none(public):
    assert misfit(to_float(public), public, samples=len(public)) < 1e-6


def test_other_public_images_have_little(public):
    assert misfit(to_float(public[:400]), public[400:]) < 0.3


def test_the_mean_face_alone_has_one(public):
    mean = to_float(public).mean(dim=0, keepdim=True)
    assert misfit(mean, public, samples=len(public)) == pytest.approx(1, abs=0.01)


def test_one_face_for_every_latent_has_more(public):
    assert misfit(to_float(public[:1]), public) > 1


def test_principal_components_fit_and_an_untrained_generator_does_not(public):
    assert prior_misfit(fill_prior(new_prior("pca", size=SIZE), public, kind="pca"), public) < 0.1
    assert prior_misfit(new_prior("gan", size=SIZE), public) > 1


def test_images_of_another_size_are_refused(public):
    with pytest.raises(InputError, match=r"^public: "):
        prior_misfit(new_prior("pca", size=64), public)
