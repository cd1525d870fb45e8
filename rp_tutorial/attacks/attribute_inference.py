"""Scenario I of the paper: infer a hidden attribute of one person from the label that was released about them.

The adversary knows all other attributes x_-1, sees one released label, and may query the same interface with inputs
of its own. It asks what would have been released for every candidate value and keeps those that agree. It sees labels
only, from any oracle of this package. What can be *proven* about such an adversary is not here.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rp_tutorial.core.arguments import count, in_one_line, refuse
from rp_tutorial.oracles.base import LabelOracle


@dataclass(frozen=True)
class Inference:
    """What the adversary concludes, one row a victim.

    `agreement` [B, G]: share of the queries at candidate g whose label equals the released one; 1 or 0 for an oracle
    that is a function. `candidates` [G]: attribute values, evenly spaced, in `unit`.
    """

    agreement: np.ndarray
    candidates: np.ndarray
    unit: str

    def compatible(self, *, level: float = 0.5) -> np.ndarray:
        """Candidates that would have produced the released label in at least `level` of the queries: bool [B, G]."""
        return self.agreement >= level

    def length(self, *, level: float = 0.5) -> np.ndarray:
        """Total length of the compatible set [B], in `unit`: the number of cells of the grid times their width."""
        return self.compatible(level=level).sum(axis=1) * np.diff(self.candidates).mean()

    def posterior_mean(self, prior: np.ndarray) -> np.ndarray:
        """Best guess of the attribute in squared error [B], from a prior over the candidates [G].

        The likelihood of the released label at a candidate is the agreement; where nothing agrees, the prior's mean.
        """
        prior = np.asarray(prior, dtype=float)
        if prior.shape != self.candidates.shape or not (prior.min() >= 0 and 0 < prior.sum() < np.inf):
            allowed = f"finite, non-negative weights of shape {self.candidates.shape}"
            raise refuse("prior", f"shape {prior.shape}", allowed)
        weight = self.agreement * prior
        nothing = weight.sum(axis=1, keepdims=True) == 0
        weight = np.where(nothing, prior, weight)
        return weight @ self.candidates / weight.sum(axis=1)


def infer_attribute(
    oracle: LabelOracle,
    known: Tensor,
    released: Tensor,
    *,
    candidates: np.ndarray,
    with_attribute: Callable[[Tensor, Tensor], Tensor],
    unit: str,
    repeats: int = 1,
    batch_rows: int = 65536,
) -> Inference:
    """Query the oracle at every candidate value beside the known attributes and compare with the released labels.

    known [B, d]: the victims' inputs; their own attribute value is overwritten and never read. released [B]: the
    labels seen. candidates [G]: increasing, evenly spaced values in `unit`. with_attribute(x, values) gives
    [B, G, d], as `ThresholdTask.with_attribute`. Costs B * G * repeats queries; repeat where the oracle is random.

    >>> oracle, grid = rp.PlainOracle(rp.models.half_space_net(), num_classes=2), [-1.5, -0.5, 0.5, 1.5]
    >>> def with_first(x, values):
    ...     return torch.stack([values.expand(len(x), -1), x[:, 1:].expand(-1, len(values))], dim=2)
    >>> x, y = torch.tensor([[2.0, 0.0]]), torch.tensor([1])
    >>> rp.infer_attribute(oracle, x, y, candidates=grid, with_attribute=with_first, unit="std").compatible()
    array([[False, False,  True,  True]])

    Chapter: foundations/side-channel.
    """
    candidates = np.asarray(candidates, dtype=float)
    if not _is_even_grid(candidates):
        raise refuse("candidates", f"shape {candidates.shape}", "at least 2 increasing, evenly spaced values")
    with in_one_line("known, released", "tensors or arrays of numbers"):
        known, released = torch.as_tensor(known), torch.as_tensor(released)
    if released.shape != known.shape[:1]:
        raise refuse("released", tuple(released.shape), f"one label for each of the {len(known)} victims")
    grid = torch.as_tensor(candidates, dtype=known.dtype)
    victims = max(1, batch_rows // len(candidates))
    agreement = [
        _agreement(oracle, with_attribute(x, grid), y, count("repeats", repeats))
        for x, y in zip(known.split(victims), released.split(victims), strict=True)
    ]
    return Inference(torch.cat(agreement).numpy(), candidates, unit)


def _is_even_grid(values: np.ndarray) -> bool:
    """Increasing in equal steps, up to the rounding of a float32 grid: lengths are counted in steps."""
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return steps.min() > 0 and np.allclose(steps, steps.mean(), rtol=1e-3, atol=0)


def _agreement(oracle: LabelOracle, probes: Tensor, released: Tensor, repeats: int) -> Tensor:
    """Share of `repeats` queries at each probe [B, G, d] whose label is the victim's released one: [B, G]."""
    hits = torch.zeros(probes.shape[:2], dtype=torch.float64)
    for _ in range(repeats):
        labels = oracle(probes.flatten(0, 1)).view(probes.shape[:2])
        hits += (labels == released[:, None]).cpu()
    return hits / repeats
