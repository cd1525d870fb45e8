"""What votes decide: the rules that turn counts [B, K] into labels, and when a vote is decided before it is over.

Pure functions of counts. How votes are drawn is in `vote_counting.py`.

*Curtailed voting.* A leader that the others cannot overtake even with all the votes that are left has won. Stopping
there changes no label of VOTE(n), whatever the votes not taken would have been, and spends between n / 2 and n votes.
But the number of votes taken grows as the margin shrinks, and the time with it: who can time an answer, or read a
bill, sees a score through the label-only door. So simulate with it; a deployed mechanism has to pad every answer to
the time of n votes, and then saves nothing.
"""

import torch
from torch import Tensor

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.statistics.binomial import predict_thresholds


def plurality(counts: Tensor) -> Tensor:
    """Votes [B, K] -> the leading class [B]; among equals the lowest index, on every device."""
    return _ranking(counts).argmax(dim=1)


def significant_plurality(counts: Tensor, *, alpha: float) -> Tensor:
    """PREDICT's rule on votes [B, K]: the leader where the test against the runner-up rejects, else ABSTAIN.

    The p-values come from one table, for all inputs at once.
    """
    if not len(counts):
        return counts.new_empty(0)
    top, runner_up = counts.topk(2, dim=1).values.unbind(dim=1)
    table = torch.tensor(predict_thresholds(int(counts[0].sum()), alpha), device=counts.device)
    return torch.where(top >= table[top + runner_up], plurality(counts), ABSTAIN)


def votes_needed(counts: Tensor, n: int) -> Tensor:
    """For every input the fewest further votes that can decide VOTE(n): int64 [B], 0 exactly where it is decided.

    counts [B, K]: the votes so far, at most n an input. No course of the votes decides an input any earlier, so taking
    this many at a time, again and again, spends what asking for one vote at a time would, in about log2(n) rounds.
    Where no vote was counted yet it is n // 2 + 1: what every class needs but class 0, which wins its ties.
    """
    classes, cast = counts.shape[1], counts.sum(dim=1)
    top, runner_up = _ranking(counts).topk(2, dim=1).values.unbind(dim=1)
    open_by = (n - cast) * classes - (top - runner_up)  # above 0 if the runner-up could still win with all that is left
    needed = open_by // (2 * classes) + 1  # a vote for the leader adds to its lead and is lost to the others
    return needed.where(open_by > 0, 0).where(cast > 0, n // 2 + 1)


def _ranking(counts: Tensor) -> Tensor:
    """Integers that order the classes as the vote does: by count, and among equals the lowest index first."""
    classes = counts.shape[1]
    return counts * classes + (classes - 1 - torch.arange(classes, device=counts.device))
