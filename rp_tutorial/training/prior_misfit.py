"""How far a prior is from the public images that it learnt from: one number that tells a face from noise or collapse.

A GAN may fail without an error: its generator makes one face for every latent, or none. So what it makes is looked at
in the coordinates in which faces vary most. Training is in `fill_prior.py`; what a prior is good for, an attack says.
"""

import torch
from torch import Tensor

from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.models.batches import BATCH_ROWS, over_batches
from rp_tutorial.models.priors import PCAPrior, Prior
from rp_tutorial.training.image_batches import check_public
from rp_tutorial.training.pca import fit_pca

COMPONENTS = 24


@torch.no_grad()
def prior_misfit(prior: Prior, public: Tensor, *, samples: int = 2000, seed: int = 0) -> float:
    """Distance of what `prior` makes from `public`: 0 for the same mean and covariance, 1 for the mean face alone.

    The squared Frechet distance between `samples` made images and `samples` of the public ones, over the leading
    principal components of the public images, each in units of its own standard deviation, and divided by their number.
    So noise around the mean face has about 1, one face for every latent more than 1, and a second half of the public
    images some hundredths. public uint8 [M, 3, S, S]. The draws are those of the seed; on the prior's device.
    Raises InputError for images that are not bytes or not of the prior's size.

    Source: the Frechet distance of Dowson and Landau 1982, as Heusel et al. 2017 use it, with linear features.
    """
    check_public(public, prior)
    kept = min(COMPONENTS, len(public) - 1)
    axes = fit_pca(PCAPrior(kept, size=public.shape[-1]), public, seed=seed, device=prior.device)
    order = torch.randperm(len(public), generator=torch_generator(Purpose.TEST_IMAGES, seed))
    latents = prior.latents(count("samples", samples, minimum=2), seed=seed)
    made = torch.cat([axes.project(prior(part)) for part in latents.split(BATCH_ROWS)])
    real = over_batches(axes.project, public[order[:samples]], device=prior.device)
    return float(_frechet(made.double().cpu(), real.double().cpu())) / kept


def _frechet(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of the normal laws with the means and covariances of the rows of a and b."""
    covariances = a.T.cov(), b.T.cov()
    root = _root(covariances[0])
    cross = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp_min(0).sqrt().sum()
    return (a.mean(0) - b.mean(0)).square().sum() + sum(c.trace() for c in covariances) - 2 * cross


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T
