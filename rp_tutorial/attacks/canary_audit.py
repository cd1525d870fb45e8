"""Auditing DP-SGD: how much epsilon an adversary can prove that one training run has spent, at least.

Canaries are records made to be found: the gradient of each has the full clipping norm and points along a coordinate of
its own, where no other record has anything. A fair coin decides whether a canary is in the training set. The adversary
sees the noisy gradients of every step, which is what the accountant assumes, and guesses the coins. Guessing too well
refutes a claimed epsilon; guessing badly proves nothing. What *cannot* be exceeded is computed in
`training/privacy_accounting.py`.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from rp_tutorial.core.arguments import closed_unit, count, open_unit, refuse
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.training.dp_sgd import PrivacyRecord, private_steps

LARGEST_EPSILON = 100  # where the search for a lower bound ends
LEARNING_RATE = 1.0  # of the net; what is released of a canary does not depend on it


@dataclass(frozen=True)
class CanaryAudit:
    """Guesses about canaries, and the epsilon they prove.

    With probability at least `confidence`, a run that is (epsilon, delta)-DP has epsilon >= `lower_bound`. `claimed` is
    the accountant's epsilon: `lower_bound` above it refutes the claim. `scores` [m]: how much of each canary the
    released gradients hold, in units of one appearance; `included` [m]: the coins.
    """

    guesses: int
    correct: int
    lower_bound: float
    claimed: float
    delta: float
    confidence: float
    scores: np.ndarray
    included: np.ndarray


def audit_with_canaries(
    net: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    record: PrivacyRecord,
    *,
    canaries: int = 1000,
    guessed: float = 0.1,
    confidence: float = 0.95,
    seed: int = 0,
    physical_batch: int = 64,
) -> CanaryAudit:
    """Train `net` by the steps of `record` with canaries among the records, and bound its epsilon from below.

    The guarantee is `lower_bound`'s, whatever the net and the records; it needs no second run. inputs float [N, ...],
    labels int64 [N]; `canaries`: m, each in the training set with probability 1/2. The adversary guesses "in" for the
    m `guessed` / 2 highest scores and "out" for as many of the lowest, and passes on the rest. `net` is trained.
    The rate of the canaries is that of `record`, so the run has the privacy parameters of the one it stands for.
    Raises InputError for arguments out of range and where Opacus is missing.
    Source: Steinke, Nasr and Jagielski 2023, Algorithm 1 with Dirac canaries.

    >>> common = {"delta": 1e-5, "steps": 20, "sample_rate": 0.5}
    >>> epsilon = rp.training.spent_epsilon(2.0, **common)
    >>> record = rp.training.PrivacyRecord(epsilon, noise_multiplier=2.0, clip=1.0, **common)
    >>> x, y = torch.zeros(100, 8), torch.arange(100) % 2
    >>> found = rp.audit_with_canaries(torch.nn.Linear(8, 2), x, y, record, canaries=400)
    >>> found.guesses, found.lower_bound <= epsilon
    (40, True)

    Chapter: comparisons/dp-sgd.
    """
    m, each = count("canaries", canaries), round(count("canaries", canaries) * closed_unit("guessed", guessed) / 2)
    if each < 1:
        raise refuse("guessed", guessed, f"a share of at least {2 / m:g}, which is one guess each way")
    open_unit("confidence", confidence)
    coins = numpy_generator(Purpose.CANARY_COINS, seed)
    included = coins.random(m) < 0.5
    with_canaries = _WithCanaries(net, m)
    scores = torch.zeros(m, dtype=torch.float64)
    real, present = len(inputs), torch.from_numpy(np.flatnonzero(included))
    unit = record.clip / (record.sample_rate * (real + len(present)))  # one appearance, as the optimiser scales it

    def mean_loss(model: nn.Module, rows: Tensor) -> Tensor:
        """Real records have the loss of their net; a canary's is linear in its coordinate, with slope `clip`."""
        is_real = rows < real
        x = inputs[torch.where(is_real, rows, 0)]
        marks = torch.zeros(len(rows), m)
        marks[torch.nonzero(~is_real)[:, 0], present[rows[~is_real] - real]] = 2 * record.clip  # cut to the norm
        logits, slopes = model(x, marks)
        losses = nn.functional.cross_entropy(logits, labels[torch.where(is_real, rows, 0)], reduction="none")
        return torch.where(is_real, losses, slopes).mean()

    def watch() -> None:
        scores.add_(with_canaries.coordinates.weight.grad[0].double() / unit)

    steps = {"learning_rate": LEARNING_RATE, "seed": seed, "physical_batch": physical_batch}
    private_steps(with_canaries, mean_loss, real + len(present), record, watch=watch, **steps)
    order = np.argsort(scores.numpy(), kind="stable")
    correct = int(included[order[m - each :]].sum() + (~included[order[:each]]).sum())
    bound = epsilon_lower_bound(m, 2 * each, correct, delta=record.delta, confidence=confidence)
    return CanaryAudit(2 * each, correct, bound, record.epsilon, record.delta, confidence, scores.numpy(), included)


def epsilon_lower_bound(canaries: int, guesses: int, correct: int, *, delta: float, confidence: float = 0.95) -> float:
    """With probability at least `confidence`, the epsilon of what was audited is at least this; 0 if nothing is proved.

    `correct` of `guesses` coins were guessed right, in one run with `canaries` fair and independent coins.
    It is the largest epsilon that the test of `guess_p_value` rejects, rounded down to a thousandth.
    """

    def p_value(thousandths: int) -> float:
        return guess_p_value(canaries, guesses, correct, epsilon=thousandths / 1000, delta=delta)

    # The p-value grows with epsilon, so this is how many thousandths are rejected, 0 among them.
    rejected = bisect_right(range(1000 * LARGEST_EPSILON), 1 - open_unit("confidence", confidence), key=p_value)
    return max(rejected - 1, 0) / 1000


def guess_p_value(canaries: int, guesses: int, correct: int, *, epsilon: float, delta: float) -> float:
    """At most this is the probability that an (epsilon, delta)-DP run lets as many coins be guessed right.

    Without delta each guess is right with probability at most e^eps / (1 + e^eps), whatever the others are; delta adds
    what `canaries` coins can gain from it at best.
    Source: Steinke, Nasr and Jagielski 2023, Theorem 5.2 and the computation in their appendix D.
    """
    m, r = count("canaries", canaries), count("guesses", guesses, minimum=0)
    v = count("correct", correct, minimum=0)
    if not v <= r <= m:
        raise refuse("correct", f"{v} of {r} guesses about {m} canaries", "correct <= guesses <= canaries")
    delta = closed_unit("delta", delta)
    right = 1 / (1 + np.exp(-epsilon))
    tail = stats.binom.sf(v - 1, r, right)
    below = np.cumsum(stats.binom.pmf(np.arange(v - 1, -1, -1), r, right))  # P[v - i <= B < v], i = 1 .. v
    steepest = np.max(below / np.arange(1, v + 1), initial=0.0)
    return float(min(1.0, tail + 2 * m * delta * steepest))


class _WithCanaries(nn.Module):
    """A net beside `m` coordinates that nothing else uses. (x, marks [B, m]) -> logits [B, K], marks . weight [B]."""

    def __init__(self, net: nn.Module, m: int) -> None:
        super().__init__()
        self.net = net
        place = next(net.parameters()).device
        self.coordinates = nn.Linear(m, 1, bias=False, device=place)
        nn.init.zeros_(self.coordinates.weight)

    def forward(self, x: Tensor, marks: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(x), self.coordinates(marks.to(x.device))[:, 0]
