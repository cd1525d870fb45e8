"""Starting points for an attacker who knows that the release may lie: ask around a candidate before walking from it.

The published search takes the first latent that is labelled as the target (`starts.py`). Behind a random
release that label may be luck, and even an honest one says nothing about how deep inside the region the latent lies.
Here every target has a few such candidates, some queries are spent on a sphere around each, and the walk begins at the
one of which most answers were the target. No score is read: the shares are counts of released labels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rp_tutorial.attacks.inversion.queries import Decoder, LatentQueries
from rp_tutorial.attacks.inversion.starts import SEARCH_BLOCK, check_points, check_targets
from rp_tutorial.core.arguments import count, positive
from rp_tutorial.core.directions import on_sphere
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.oracles.base import LabelOracle


@dataclass(frozen=True)
class SureStart:
    """How an attacker chooses where to begin. The points asked differ, so memoised answers are no answer to it."""

    candidates: int = 8  # a target: the first that the release calls so
    probes: int = 12  # queries around each
    radius: float = 2.0  # of the sphere they lie on: that of the walk's first sphere

    def __post_init__(self) -> None:
        count("candidates", self.candidates), count("probes", self.probes), positive("radius", self.radius)

    @property
    def queries(self) -> int:
        """The most that a target's choice costs beyond the search that all targets share."""
        return self.candidates * self.probes


@dataclass(frozen=True)
class Starts:
    """Where the walks begin, one entry a target; tensors on the CPU.

    start: float32 [T, d], NaN where no candidate was found. queries [T]: spent on the choice; search_queries: on the
    candidates, shared by all.
    """

    start: Tensor
    queries: Tensor
    search_queries: int


def sure_starts(
    oracle: LabelOracle,
    prior: Decoder,
    targets: Tensor,
    candidates: Tensor,
    *,
    rule: SureStart | None,
    seed: int,
    device: torch.device | str = "cpu",
) -> Starts:
    """Choose a starting point for every target through labels alone: of its first candidates the surest.

    prior: latents [B, d] -> inputs of the oracle, on `device`. targets int64 [T]. candidates: float [P, d], as
    `candidate_latents` gives them. They are asked in order, once each, until every target has `rule.candidates` of
    them or it ends; then `rule.probes` points on a sphere around each. A tie goes to the earlier candidate.
    rule=None is the published rule: the first candidate, no more asked about it.
    """
    targets = check_targets(targets, oracle.num_classes)
    check_points(candidates, None, len(targets), getattr(prior, "latent_dim", None))
    queries = LatentQueries(oracle, prior, repeats=1, device=device)
    candidates = candidates.to(device, torch.float32)
    wanted = rule or SureStart(candidates=1)
    labels = _labelled(queries, candidates, targets.to(device), wanted.candidates)
    asked = candidates[: len(labels)]
    far = torch_generator(Purpose.FAR_DIRECTIONS, seed)
    units = on_sphere(wanted.probes, candidates.shape[1], generator=far).to(device)
    own = [asked[labels == target][: wanted.candidates] for target in targets.to(device)]
    best = [_surest(queries, points, target, rule, units) for points, target in zip(own, targets, strict=True)]
    start, spent = zip(*best, strict=True)
    return Starts(torch.stack(start).cpu(), torch.tensor(spent), len(labels))


def _labelled(queries: LatentQueries, candidates: Tensor, targets: Tensor, wanted: int) -> Tensor:
    """Released labels of the first candidates, as many blocks of them as it takes."""
    labels = targets.new_empty(0)
    while len(labels) < len(candidates) and bool(((labels == targets[:, None]).sum(dim=1) < wanted).any()):
        labels = torch.cat([labels, queries.ask(candidates[len(labels) : len(labels) + SEARCH_BLOCK])])
    return labels


def _surest(
    queries: LatentQueries, own: Tensor, target: Tensor, rule: SureStart | None, units: Tensor
) -> tuple[Tensor, int]:
    """Of the candidates `own` [C, d] of one target: the surest, and the queries spent."""
    if not len(own):
        return units.new_full(units.shape[1:], torch.nan), 0
    if rule is None:
        return own[0], 0
    around = (own[:, None] + rule.radius * units).flatten(0, 1)
    shares = (queries.ask(around) == target.to(around.device)).double().view(len(own), -1).mean(dim=1)
    return own[int(shares.argmax())], len(around)
