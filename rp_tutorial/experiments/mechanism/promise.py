"""What the theorem on votes promises about the questions of a walk: how far apart they are, and what bounds say there.

The theorem's adversary tells an input from another within a radius. An inversion asks about pictures of its own making,
and learns from which of them got another answer; so each pair of such pictures is a pair of the theorem. Distances are
measured in the inputs of the net, in the unit of sigma. Labels are in `latent_measures`, the lab in `probe`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion
from rp_tutorial.attacks.inversion.queries import Decoder
from rp_tutorial.experiments.mechanism.latent_measures import over_targets, sphere
from rp_tutorial.statistics.binomial import lower_confidence_bound
from rp_tutorial.theory.adaptive import transcript_tv
from rp_tutorial.theory.calibration import calibrated_radius
from rp_tutorial.theory.profile import vote_profile

PAIRS = {
    "centre": "a probe and the centre of its sphere",
    "successive": "a probe and the next one on the same sphere",
    "step": "the centre before and after a step that was taken",
    "ends": "where the walk began and the attack's result",
}
Distances = Mapping[str, Sequence[NDArray[np.float64]]]  # kind of pair -> one array a target
ENDS = 1e-3  # relative width of the bracket of a sigma


@torch.inference_mode()
def walk_distances(
    prior: Decoder, walk: Inversion, units: Callable[[int], Tensor], *, most_passes: int, device: str = "cpu"
) -> Distances:
    """L2 between the pictures of every pair of `PAIRS`, a target without a first point has none.

    walk: an attack with its trace. units: pass -> its directions [T, D, d]. Of a longer walk than `most_passes` the
    passes are evenly spaced, so that what is composed over them is a part of the walk.
    """
    trace, targets = walk.trace, len(walk.targets)
    passes = len(trace.path)
    centres = torch.cat([trace.path, walk.z[None]])
    found: dict[str, list[list[Tensor]]] = {kind: [[] for _ in range(targets)] for kind in PAIRS}

    def pictures(z: Tensor) -> Tensor:
        return prior(z.to(device)).flatten(1)

    for k in np.unique(np.linspace(0, passes - 1, min(passes, most_passes)).round()).astype(int) if passes else ():
        rows = (walk.found & (walk.iterations > k)).nonzero()[:, 0]
        u = units(int(k))[rows].to(device)
        probes = pictures(sphere(trace.path[k, rows].to(device), trace.radius[k, rows].to(device), u).flatten(0, 1))
        probes, centre = probes.view(*u.shape[:2], -1), pictures(trace.path[k, rows])
        moved = (pictures(centres[k + 1, rows]) - centre).norm(dim=-1)
        for i, row in enumerate(rows.tolist()):
            found["centre"][row].append((probes[i] - centre[i]).norm(dim=-1))
            found["successive"][row].append((probes[i, 1:] - probes[i, :-1]).norm(dim=-1))
            found["step"][row] += [moved[i : i + 1]] * bool(trace.accepted[k, row])
    rows = (walk.kept_expansions > 0).nonzero()[:, 0]  # else the result is the beginning
    ends = (pictures(walk.latent[rows]) - pictures(walk.start[rows])).norm(dim=-1) if len(rows) else ()
    for row, distance in zip(rows.tolist(), ends, strict=True):
        found["ends"][row].append(distance[None])
    return {kind: [_array(parts) for parts in per_target] for kind, per_target in found.items()}


def promised(
    distances: Distances, *, sigma: float, n_vote: int, target_tv: float, alpha: float, samples: Sequence[int]
) -> dict[str, Any]:
    """What VOTE(n_vote) at sigma keeps of these pairs, for the surest net there could be.

    longest_radius: the calibrated radius of so many unanimous certifying samples; no certificate of as many is longer.
    within_longest: share of the pairs within it. one_label, walk: advantage (half the TV) over a guess that the bounds
    leave to whoever tells the probes from their centres, by one label and by all of them together; "anybody" holds for
    every net and every picture, "surest" where every centre is as sure as the most unanimous samples can show.
    """
    at = {"sigma": sigma, "n_vote": n_vote}
    surest = {"p_low": most_sure(max(samples), alpha)}
    probes = distances["centre"]
    longest = {str(n): longest_radius(n, target_tv=target_tv, **at) for n in samples}
    return {
        **at,
        "longest_radius": longest,
        "within_longest": {
            kind: {n: each(per_target, lambda d, r=r: (d <= r).mean()) for n, r in longest.items()}
            for kind, per_target in distances.items()
        },
        "one_label": {
            "anybody": each(probes, lambda d: vote_profile(d, **at).mean() / 2),
            "surest": each(probes, lambda d: vote_profile(d, **at, **surest).mean() / 2),
        },
        "walk": {
            "anybody": each(probes, lambda d: transcript_tv(d, **at) / 2),
            "surest": each(probes, lambda d: transcript_tv(d, **at, **surest) / 2),
        },
    }


def needed(distances: Distances, *, n_vote: int, target_tv: float, alpha: float, samples: int) -> dict[str, Any]:
    """The sigma from which on the promise is kept, where all certifying samples are unanimous whatever the noise.

    one_label: half of a walk's probes are within the longest calibrated radius of their centres. walk: all answers of
    the walk together have a TV of at most target_tv, by `transcript_tv`.
    """
    reach, probes = longest_radius(samples, target_tv=target_tv, sigma=1.0, n_vote=n_vote), distances["centre"]
    at = {"n_vote": n_vote, "p_low": most_sure(samples, alpha)}
    return {
        "n_vote": n_vote,
        "samples": samples,
        "one_label": each(probes, lambda d: np.median(d) / reach),
        "walk": each(probes, lambda d: needed_sigma(d, target_tv=target_tv, **at)),
    }


def needed_sigma(distances: NDArray[np.float64], *, target_tv: float, n_vote: int, p_low: float) -> float:
    """The least sigma at which `transcript_tv` is at most `target_tv`, rounded up by at most a thousandth."""
    at, low = {"n_vote": n_vote, "p_low": p_low}, float(distances.max())
    high = low
    while transcript_tv(distances, sigma=high, **at) > target_tv:
        low, high = high, 2 * high
    while transcript_tv(distances, sigma=low, **at) <= target_tv:
        low, high = low / 2, low
    while high > low * (1 + ENDS):
        middle = (low * high) ** 0.5
        kept = transcript_tv(distances, sigma=middle, **at) <= target_tv
        low, high = (low, middle) if kept else (middle, high)
    return high


def longest_radius(samples: int, *, target_tv: float, sigma: float, n_vote: int) -> float:
    """The calibrated radius where all certifying samples agree."""
    return float(calibrated_radius([samples], target_tv=target_tv, sigma=sigma, n_cert=samples, n_vote=n_vote)[0])


def most_sure(samples: int, alpha: float) -> float:
    """The lower bound on p_A of so many unanimous samples."""
    return float(lower_confidence_bound(samples, samples, alpha=alpha))


def each(per_target: Sequence[NDArray[np.float64]], measure: Callable[[NDArray[np.float64]], Any]) -> dict[str, Any]:
    """`measure` of every target's distances, and its mean over targets; None where a target has none."""
    return over_targets([float(measure(d)) if len(d) else None for d in per_target])


def _array(parts: Sequence[Tensor]) -> NDArray[np.float64]:
    return torch.cat(list(parts)).double().cpu().numpy() if parts else np.zeros(0)
