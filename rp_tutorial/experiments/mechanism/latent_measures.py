"""What can be measured around a latent when the net is one's own: displacements, labels on spheres, true directions.

An attacker could compute none of the references here: they look inside the net, or ask it without noise a thousand
times. Each function takes many points at once and knows nothing of faces, so that a half-space behind a linear prior,
where every answer is known in closed form, can check it. Which points and which defences is in `probe`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import Decoder, LatentQueries
from rp_tutorial.core.arguments import closed_unit, count, refuse
from rp_tutorial.core.directions import on_sphere
from rp_tutorial.core.streams import torch_generator


def unit_vectors(points: int, directions: int, latent_dim: int, *, key: Sequence[int]) -> Tensor:
    """Directions uniform on the sphere, the same for the same key: float32 [points, directions, latent_dim]."""
    return on_sphere(points, directions, latent_dim, generator=torch_generator(*key))


def sphere(z: Tensor, radius: Tensor, units: Tensor) -> Tensor:
    """The probes z + R u: z [P, d], radius [P], units [P, D, d] -> [P, D, d]."""
    return z[:, None] + radius.to(z)[:, None, None] * units


@torch.inference_mode()
def displacement(prior: Decoder, z: Tensor, radius: Tensor, units: Tensor, *, chunk_points: int = 64) -> Tensor:
    """How far the attack's probes move the image: |G(z + R u) - G(z)|_2, float [P, D], in the unit of the inputs."""
    parts = []
    for centre, r, u in zip(*(t.split(chunk_points) for t in (z, radius, units)), strict=True):
        moved = prior(sphere(centre, r, u).flatten(0, 1)).flatten(1).view(*u.shape[:2], -1)
        parts.append(torch.linalg.vector_norm(moved - prior(centre).flatten(1)[:, None], dim=-1))
    return torch.cat(parts)


def sphere_labels(queries: LatentQueries, z: Tensor, radius: Tensor, units: Tensor) -> Tensor:
    """The released label of every probe, one query each: int64 [P, D]."""
    return queries.ask(sphere(z, radius, units).flatten(0, 1)).view(units.shape[:2])


def push(units: Tensor, outside: Tensor) -> Tensor:
    """The attack's estimate of the way inside, before it is scaled: -mean over all D probes of the u outside, [P, d].

    Zero where no probe is outside. Source: Kahla et al. 2022, with repulsion only, as in the authors' code.
    """
    return -(outside.to(units)[:, :, None] * units).mean(dim=1)


def cosine(a: Tensor, b: Tensor) -> NDArray[np.float64]:
    """Cosine of the angle between the rows of a and b [P, d]: [P], NaN where either row is zero."""
    a, b = a.double(), b.double()
    lengths = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    return torch.where(lengths > 0, (a * b).sum(dim=1) / lengths, torch.nan).clamp(-1, 1).cpu().numpy()


def margin_gradient(net: Callable[[Tensor], Tensor], prior: Decoder, z: Tensor, targets: Tensor) -> Tensor:
    """White box: the gradient in z [P, d] of the logit of `targets` [P] minus the largest other logit."""
    z = z.detach().clone().requires_grad_(True)
    logits = net(prior(z))
    own = logits.gather(1, targets[:, None])[:, 0]
    others = logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
    return torch.autograd.grad((own - others).sum(), z)[0].detach()


def pass_probability(outside_rate: ArrayLike, *, directions: int, needed: int) -> NDArray[np.float64]:
    """Chance that at least `needed` of `directions` probes are inside, if each is outside with that probability.

    Exact for probes that are outside independently at one rate. Any shape. Raises InputError for a rate that is no
    probability, or for needed above directions.
    """
    rates = np.asarray(outside_rate, dtype=np.float64)
    for rate in (rates.min(initial=0.0), rates.max(initial=0.0)):
        closed_unit("outside_rate", float(rate))
    if count("needed", needed) > count("directions", directions):
        raise refuse("needed", needed, f"an integer from 1 to directions = {directions}")
    return stats.binom.cdf(directions - needed, directions, rates)


def by_target(values: ArrayLike, owner: ArrayLike, targets: int) -> list[float | None]:
    """Means of `values` [P] over the points of each target (owner [P], 0 .. targets - 1); None where it has none.

    NaN is a point at which nothing could be measured.
    """
    values, owner = np.asarray(values, dtype=np.float64), np.asarray(owner)
    known = ~np.isnan(values)
    sums = np.bincount(owner[known], weights=values[known], minlength=targets)
    points = np.bincount(owner[known], minlength=targets)
    return [float(s / p) if p else None for s, p in zip(sums, points, strict=True)]


def over_targets(means: Sequence[float | None]) -> dict[str, Any]:
    """Mean over targets with a 95 % t interval; one value a target, since the points of a target are not independent.

    Fields: value, low, high, targets (those that have a value), by_target. None where there is too little to say.
    """
    known = np.array([mean for mean in means if mean is not None])
    value = float(known.mean()) if len(known) else None
    low = high = None
    if len(known) > 1:
        half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
        low, high = value - half, value + half
    return {"value": value, "low": low, "high": high, "targets": len(known), "by_target": list(means)}


def difference(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """a - b, two results of `over_targets`, target by target: over those that have both."""
    pairs = zip(a["by_target"], b["by_target"], strict=True)
    return over_targets([None if x is None or y is None else x - y for x, y in pairs])
