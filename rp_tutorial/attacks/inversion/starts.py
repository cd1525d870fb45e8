"""Where an inversion starts: a latent that the *defended* oracle itself labels as the target.

Random latents, the candidates, are searched in order for all targets together. They come from a seed alone, so every
arm of a comparison walks through the same ones. The published code draws until each target is found; here the search
ends with the last candidate, and a target without a starting point is a failed attack, not a missing value.
"""

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import LatentQueries
from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.streams import Purpose, torch_generator

SEARCH_BLOCK = 256  # candidates asked at a time, as in the authors' code; the search ends with a whole block


def candidate_latents(size: int, latent_dim: int, *, seed: int, clamp: float | None = 1.5) -> Tensor:
    """`size` latents z ~ N(0, I), each coordinate cut at +-clamp as published: float32 [size, latent_dim].

    Give every arm of a comparison the same. clamp=None leaves the latents as drawn.
    """
    size, latent_dim = count("size", size), count("latent_dim", latent_dim)
    latents = torch.randn(size, latent_dim, generator=torch_generator(Purpose.CANDIDATES, seed))
    return latents if clamp is None else latents.clamp_(-positive("clamp", clamp), clamp)


def search_block(queries: LatentQueries, candidates: Tensor, begin: int, targets: Tensor, chosen: Tensor) -> int:
    """Ask one block of candidates and fill in `chosen` [T] (index of the first candidate of each target, or -1).

    Returns the number of candidates asked.
    """
    block = candidates[begin : begin + SEARCH_BLOCK]
    hits = queries.ask(block) == targets[:, None]  # [T, block]
    first = begin + hits.long().argmax(dim=1)
    new = (chosen < 0) & hits.any(dim=1)
    chosen[new] = first[new]
    return len(block)


def check_targets(targets: Tensor, num_classes: int) -> Tensor:
    """`targets`, if they are labels an oracle of `num_classes` can give."""
    if not isinstance(targets, Tensor) or targets.dtype != torch.int64 or targets.ndim != 1 or not len(targets):
        given = f"{targets.dtype} of shape {tuple(targets.shape)}" if isinstance(targets, Tensor) else targets
        raise refuse("targets", given, "an int64 tensor of at least one label")
    outside = targets[(targets < 0) | (targets >= num_classes)]
    if len(outside):
        raise refuse("targets", int(outside[0]), f"labels from 0 to {num_classes - 1}")
    return targets


def check_points(candidates: Tensor | None, start: Tensor | None, targets: int, latent_dim: int | None) -> Tensor:
    """The candidates or the starting points, whichever was given: exactly one must be."""
    if (candidates is None) == (start is None):
        raise refuse("candidates", "both or neither of candidates and start", "exactly one of the two")
    name, points = ("candidates", candidates) if start is None else ("start", start)
    if not isinstance(points, Tensor) or not points.is_floating_point() or points.ndim != 2 or not points.numel():
        given = tuple(points.shape) if isinstance(points, Tensor) else points
        raise refuse(name, given, "a float tensor of latents [number, latent_dim]")
    if latent_dim is not None and points.shape[1] != latent_dim:
        raise refuse(name, tuple(points.shape), f"latents of the prior's {latent_dim} dimensions")
    if start is not None and len(points) != targets:
        raise refuse(name, tuple(points.shape), f"one latent for each of the {targets} targets")
    if start is None and not bool(points.isfinite().all()):
        raise refuse(name, "NaN or infinite values", "finite latents")
    return points
