"""What no label oracle gives: the net behind an undefended release. For attackers of contrast, and for nobody else."""

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.starts import check_targets
from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.models.priors import Prior
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.oracles.net import CheckedNet
from rp_tutorial.oracles.plain import PlainOracle


class Logits(nn.Module):
    """The net of a release as a module from images to its logits [B, K], float32: the part of its output that holds
    them, with products in the net's own precision."""

    def __init__(self, checked: CheckedNet) -> None:
        super().__init__()
        self.module, self._checked = checked.module, checked

    def forward(self, x: Tensor) -> Tensor:
        return self._checked(x).float()


def weights_of(oracle: LabelOracle) -> Logits:
    """The net whose labels `oracle` releases, in eval mode, with gradients.

    Raises InputError for a release that changes labels: what lies behind it is not what it releases.
    """
    if not isinstance(oracle, PlainOracle):
        raise refuse("oracle", type(oracle).__name__, "a PlainOracle, as only an undefended net has scores to read")
    return Logits(oracle.net).eval()


class Scores:
    """Scores of latents, as an interface that returns them would: asked through the prior, counted, not differentiable.

    `queries` counts inputs.
    """

    def __init__(self, oracle: LabelOracle, prior: Prior, *, chunk_rows: int = 4096) -> None:
        self._net, self._prior, self._chunk_rows = weights_of(oracle), prior.eval(), count("chunk_rows", chunk_rows)
        self.queries = 0

    @torch.inference_mode()
    def __call__(self, latents: Tensor) -> Tensor:
        """Logarithms of the probabilities [B, K] of latents [B, d]."""
        self.queries += len(latents)
        parts = [self._net(self._prior(chunk)).log_softmax(dim=1) for chunk in latents.split(self._chunk_rows)]
        return torch.cat(parts).clone()

    def of_targets(self, latents: Tensor, targets: Tensor) -> Tensor:
        """Log-probability of each target int64 [T] at its own latents [T, P, d]: [T, P]."""
        shape = latents.shape[:2]
        scores = self(latents.flatten(0, 1))
        own = check_targets(targets, scores.shape[1]).to(scores.device).repeat_interleave(shape[1])
        return scores.gather(1, own[:, None]).view(shape)
