"""Questions about latents, asked through an image prior and a label-only oracle: z -> prior -> oracle -> label.

This is the one place where an inversion attack touches the oracle. Here are the chunks that bound memory, the repeats
of a patient attacker and the counts. What is asked, and why, is in `starts.py` and `boundary_repulsion.py`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle

Decoder = Callable[[Tensor], Tensor]  # latents [B, d] -> inputs [B, ...]


class LatentQueries:
    """`ask(z)` gives the label the attacker believes of every latent, int64 [B].

    With repeats = 1 it is the released label. With more, every input is queried `repeats` times and the most frequent
    symbol counts; ABSTAIN is a symbol like any other, and a tie for the first place gives ABSTAIN ("no answer").
    At most `chunk_rows` latents become inputs at a time. `forward_passes` are those that the oracle spent here.
    """

    def __init__(
        self, oracle: LabelOracle, prior: Decoder, *, repeats: int, device: torch.device | str, chunk_rows: int = 4096
    ) -> None:
        self._oracle, self._prior = oracle, prior
        if isinstance(prior, nn.Module):
            prior.eval()  # batch statistics would make an image depend on the other latents of its chunk
        self.repeats, self._chunk_rows = count("repeats", repeats), count("chunk_rows", chunk_rows)
        self._device = torch.device(device)
        self.forward_passes = 0

    def ask(self, latents: Tensor, *, repeats: int | None = None) -> Tensor:
        """Labels [B] of latents [B, d], one query each, or `repeats` (those of the constructor if not given)."""
        return self.believed(self.answers(latents, repeats=repeats))

    def believed(self, answers: Tensor) -> Tensor:
        """The labels [B] that the attacker takes from answers [repeats, B]: the only one, or the strict plurality."""
        return answers[0] if len(answers) == 1 else strict_plurality(answers, self._oracle.num_classes)

    def answers(self, latents: Tensor, *, repeats: int | None = None) -> Tensor:
        """All that was released for latents [B, d], an answer a query: symbols [repeats, B]."""
        repeats = self.repeats if repeats is None else count("repeats", repeats)
        before = self._oracle.forward_passes
        with torch.inference_mode():
            parts = [self._answer_chunk(chunk, repeats) for chunk in latents.split(self._chunk_rows)]
        self.forward_passes += self._oracle.forward_passes - before
        return torch.cat(parts, dim=1).clone()  # a copy from outside the mode is an ordinary tensor

    def _answer_chunk(self, latents: Tensor, repeats: int) -> Tensor:
        x = self._prior(latents)
        if not isinstance(x, Tensor) or x.ndim < 2 or len(x) != len(latents):
            given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise refuse("prior", f"an output of shape {given}", f"inputs of shape [{len(latents)}, ...]")
        return torch.stack([self._oracle(x).to(self._device) for _ in range(repeats)])


def strict_plurality(answers: Tensor, num_classes: int) -> Tensor:
    """The most frequent symbol of each column of answers [repeats, B] as int64 [B]; ABSTAIN on a tie."""
    counts = answers.new_zeros(answers.shape[1], num_classes + 1)
    counts.scatter_add_(1, (answers - ABSTAIN).T, torch.ones_like(answers.T))  # column 0 holds the abstentions
    top = counts.topk(2, dim=1)
    return torch.where(top.values[:, 0] > top.values[:, 1], top.indices[:, 0] + ABSTAIN, ABSTAIN)
