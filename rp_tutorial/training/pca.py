"""Fitting the PCA prior to public images, by orthogonal iteration over batches of bytes.

The images never exist as floats all at once: 30,000 public images of 64 x 64 pixels would be 1.5 GB. Every pass
multiplies a thin basis by the covariance matrix, batch by batch; the matrix itself is never formed.
"""

import torch
from torch import Tensor

from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import PCAPrior
from rp_tutorial.training.image_batches import check_public

BATCH = 1000
PASSES = 8
SPARE = 32  # directions iterated beside those kept: the error shrinks with the ratio of the variances across the gap


def fit_pca(prior: PCAPrior, public: Tensor, *, seed: int = 0, device: str | torch.device = "cpu") -> PCAPrior:
    """Fill `prior` with the mean, leading components and standard deviations of `public`; returns it, on `device`.

    public uint8 [M, 3, S, S] with M above latent_dim. Variances are those of the sample (divided by M - 1). The
    components are exact up to an error that falls geometrically with PASSES (Halko, Martinsson and Tropp 2011,
    section 4.5); of each, the largest entry is positive. `seed` is the start of the iteration.
    Raises InputError for images that are not bytes, of another size than the prior's, or too few.
    """
    check_public(public, prior)
    if len(public) <= prior.latent_dim:
        raise refuse("public", f"{len(public)} images", f"more images than the {prior.latent_dim} components")
    place = check_device(device)
    batches = [batch.to(place) for batch in public.flatten(1).split(BATCH)]
    mean = (sum(batch.sum(0, dtype=torch.float64) for batch in batches) / (255 * len(public))).float()
    directions, variances = _leading(batches, mean, prior.latent_dim, seed)
    prior.to(place)
    prior.mean.copy_(mean.view_as(prior.mean))
    prior.components.copy_(directions.T.reshape(prior.components.shape))
    prior.deviations.copy_(variances.clamp_min(torch.finfo(torch.float32).tiny).sqrt())
    return prior.eval()


def _leading(batches: list[Tensor], mean: Tensor, kept: int, seed: int) -> tuple[Tensor, Tensor]:
    """Orthonormal [D, kept] and the variances [kept] along it, largest first."""
    rows, width = sum(map(len, batches)), mean.numel()
    generator = torch_generator(Purpose.PCA_BASIS, seed)
    basis = torch.randn(width, min(kept + SPARE, rows - 1, width), generator=generator).to(mean.device)
    for _ in range(PASSES):
        basis, _ = torch.linalg.qr(_covariance_times(batches, mean, basis))
    inside = basis.T @ _covariance_times(batches, mean, basis)
    variances, turns = torch.linalg.eigh((inside + inside.T) / 2)  # smallest first
    directions = basis @ turns.flip(1)[:, :kept]
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    return directions * largest.sign(), variances.flip(0)[:kept]


def _covariance_times(batches: list[Tensor], mean: Tensor, basis: Tensor) -> Tensor:
    total = torch.zeros_like(basis)
    for batch in batches:
        centred = to_float(batch).sub_(mean)
        total.addmm_(centred.T, centred @ basis)
    return total / (sum(map(len, batches)) - 1)
