"""How well an inversion did, in the eyes of someone who has the private images and a second net: the evaluator.

Verdicts and distances for each target, attack success rates with exact intervals, and the paired comparison of two
arms. The attacker of `boundary_repulsion.py` can compute none of this, and nothing here goes back to it.
"""

import math
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.boundary_repulsion import Inversion
from rp_tutorial.attacks.inversion.queries import Decoder
from rp_tutorial.core.arguments import one_of, refuse
from rp_tutorial.models.batches import as_floats, over_batches
from rp_tutorial.statistics.paired import Rate, rate

BATCH_ROWS = 512  # images that are judged at a time
TOP = 5  # besides the first place; fewer where the evaluator has fewer classes


@dataclass(frozen=True)
class Judged:
    """Verdicts on one image a target, [T] each: False and NaN where there is no image.

    top1, top5: the evaluator names the target first, or among its first five. feature_distance: L2 from the image's
    evaluator features to the centroid of those of the target's private images. nearest_feature: L2 to the nearest of
    them. nearest_pixel: root mean squared pixel difference to the nearest private image of the target.
    """

    top1: np.ndarray
    top5: np.ndarray
    feature_distance: np.ndarray
    nearest_feature: np.ndarray
    nearest_pixel: np.ndarray


@dataclass(frozen=True)
class Verdicts:
    """What the evaluator says about one inversion, one entry a target.

    `final` judges `Inversion.latent`, `start` the starting points alone: what the attack got without walking.
    `expanded`: whether an expansion was ever accepted. The authors' code counts a target without one as a failure,
    while `final` judges its starting point, so `asr` has both rules.
    """

    expanded: np.ndarray
    final: Judged
    start: Judged

    def hits(self, *, top: int = 1, of: str = "final", without_expansion: str = "start") -> np.ndarray:
        """Which targets count as inverted, bool [T]: by the first place or, top=5, by the first five, at the end of the
        attack or, of="start", at its beginning. without_expansion="failure" is the rule of the authors' code."""
        one_of("of", of, ("final", "start"))
        one_of("without_expansion", without_expansion, ("start", "failure"))
        if top not in (1, TOP):
            raise refuse("top", top, f"1 or {TOP}")
        hits = getattr(getattr(self, of), f"top{top}")
        return hits & self.expanded if of == "final" and without_expansion == "failure" else hits

    def asr(self, **which: Any) -> Rate:
        """Attack success rate with an exact interval, of the `hits` of these arguments.

        Over every target, one without a starting point being a failure: a rate over the others only would be that of a
        different and easier set in every arm, so not to be compared between arms.
        """
        return rate(self.hits(**which))


def evaluate(
    inversion: Inversion,
    prior: Decoder,
    evaluator: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    device: torch.device | str = "cpu",
) -> Verdicts:
    """Judge an inversion by a net the attack has not seen.

    evaluator: images -> logits [B, K], with `.features(images)` -> [B, F]; put into eval mode and onto `device`,
    where the prior has to be. images: the private ones, uint8 (k stands for k / 255) or float as the prior makes them,
    [N, ...]; labels int64 [N]; every target needs at least one. Images go to `device` in batches.
    A target that was not found is False and NaN throughout.
    """
    reference = _Reference(evaluator, images, labels, inversion.targets, device)
    return Verdicts(
        expanded=(inversion.kept_expansions > 0).numpy(),
        final=reference.judge(prior, inversion.latent),
        start=reference.judge(prior, inversion.start),
    )


class _Reference:
    """The evaluator and the private images of the targets, ready to judge one latent a target."""

    def __init__(
        self, evaluator: nn.Module, images: Tensor, labels: Tensor, targets: Tensor, device: torch.device | str
    ) -> None:
        if not callable(getattr(evaluator, "features", None)):
            raise refuse("evaluator", type(evaluator).__name__, "a net with .features(images) beside its logits")
        if not isinstance(images, Tensor) or images.ndim < 2:
            raise refuse("images", getattr(images, "shape", type(images).__name__), "a tensor [N, ...] of images")
        if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
            given = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
            raise refuse("labels", given, f"int64 labels of the {len(images)} images")
        missing = targets[~torch.isin(targets, labels.cpu())]
        if len(missing):
            raise refuse("labels", f"none of target {int(missing[0])}", "at least one private image of every target")
        self.evaluator, self.device, self.targets = evaluator.eval().to(device), device, targets
        own = torch.isin(labels.cpu(), targets).nonzero()[:, 0]
        self.images, self.labels = images.cpu()[own], labels.cpu()[own]
        self.features = over_batches(self._features, self.images, device=device, batch_size=BATCH_ROWS)

    def judge(self, prior: Decoder, latents: Tensor) -> Judged:
        """latents [T, d], NaN rows where there is nothing to judge."""
        there = latents.isfinite().all(dim=1)
        rows = there.nonzero()[:, 0]
        columns = {field.name: np.full(len(latents), np.nan) for field in fields(Judged)}
        with torch.inference_mode():
            for batch in rows.split(BATCH_ROWS) if len(rows) else ():
                for name, values in self._judge_batch(prior(latents[batch].to(self.device)), batch).items():
                    columns[name][batch.numpy()] = values.double().cpu().numpy()
        for name in ("top1", "top5"):
            columns[name] = columns[name] == 1  # NaN, "no image", becomes False
        return Judged(**columns)

    def _judge_batch(self, made: Tensor, rows: Tensor) -> dict[str, Tensor]:
        targets = self.targets[rows]
        if made.shape[1:] != self.images.shape[1:]:
            raise refuse("images", tuple(self.images.shape), f"images as the prior makes them, {tuple(made.shape[1:])}")
        logits = self.evaluator(made).cpu()
        if logits.ndim != 2 or int(self.targets.max()) >= logits.shape[1]:
            given = f"outputs of shape {tuple(logits.shape)}"
            raise refuse("evaluator", given, "logits with a column for every target")
        order = logits.topk(min(TOP, logits.shape[1]), dim=1).indices == targets[:, None]
        own = self.labels == targets[:, None]  # [B, N]
        features = self._features(made)
        centroids = (own.to(features.dtype) @ self.features) / own.sum(dim=1, keepdim=True)
        return {
            "top1": order[:, 0],
            "top5": order.any(dim=1),
            "feature_distance": (features - centroids).norm(dim=1),
            "nearest_feature": self._nearest(features, own, self.features),
            "nearest_pixel": self._nearest(made, own, self.images) / math.sqrt(made[0].numel()),
        }

    def _nearest(self, made: Tensor, own: Tensor, private: Tensor) -> Tensor:
        """L2 from each of made [B, ...] to the nearest of its target's own images, own [B, N]: [B].

        Only these pairs are formed, and by plain subtraction: near duplicates are the question.
        """
        nearest = made.new_full((len(made),), torch.inf)
        for pairs in own.nonzero().to(made.device).split(BATCH_ROWS):
            row, image = pairs.unbind(dim=1)
            distances = (made[row] - as_floats(private[image.cpu()].to(made.device))).flatten(1).norm(dim=1)
            nearest.scatter_reduce_(0, row, distances, "amin")
        return nearest

    def _features(self, images: Tensor) -> Tensor:
        return self.evaluator.features(images).flatten(1).cpu()
