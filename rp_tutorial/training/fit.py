"""Training a classifier on tensors that fit in memory, with the paper's l1 penalty done exactly.

The penalty is applied by its proximal step (soft thresholding) after every step of Adam, not by a subgradient. So
weights that it drives to zero *are* zero, and "the net reads BMI only" is a fact to check, not an impression.
"""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import islice

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.core.threads import one_thread

SMALL_NET = 100_000  # parameters


def fit(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    steps: int = 2400,
    batch_size: int = 512,
    learning_rate: float = 1e-2,
    l1: float = 0.0,
    l1_columns: Sequence[int] = (),
    seed: int = 0,
) -> nn.Module:
    """Minimise cross-entropy plus an l1 penalty on first-layer weights of `l1_columns`; returns `net`, in eval mode.

    x [N, ...] float, y [N] int64, on the device of the net. `steps` steps of Adam, the learning rate falling to 0
    along a cosine, order of the batches from `seed`. `l1_columns`: input columns of the first layer, which
    must be nn.Linear then. `l1` is in Adam's units: every step shrinks those weights by l1 times the learning rate, and
    Adam moves a weight by about one learning rate a step, so an l1 above 1 wins over whatever the data say.
    Raises InputError for empty data, lengths that differ, or l1_columns without such a layer or outside it.
    """
    if len(x) != len(y) or len(x) == 0:
        raise refuse("x, y", f"{len(x)} inputs and {len(y)} labels", "the same number of each, at least one")
    count("steps", steps)
    penalised = _penalised_weight(net, l1, l1_columns)
    order = torch_generator(Purpose.BATCH_ORDER, seed)
    optimiser = torch.optim.Adam(net.parameters(), lr=positive("learning_rate", learning_rate))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    net.train()
    small = sum(parameter.numel() for parameter in net.parameters()) < SMALL_NET
    with one_thread() if small else nullcontext():
        for batch in islice(_batches(len(x), count("batch_size", batch_size), order), steps):
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
            optimiser.step()
            if penalised is not None:
                _soft_threshold(penalised, l1_columns, l1 * schedule.get_last_lr()[0])
            schedule.step()
    return net.eval()


def _batches(rows: int, batch_size: int, order: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices, going through a new random order of all rows again and again."""
    while True:
        yield from torch.randperm(rows, generator=order).split(batch_size)


def _penalised_weight(net: nn.Module, l1: float, columns: Sequence[int]) -> Tensor | None:
    if l1 == 0 or not len(columns):
        return None
    positive("l1", l1)
    first = next((m for m in net.modules() if not list(m.children())), None)
    if not isinstance(first, nn.Linear):
        raise refuse("l1_columns", f"a net whose first layer is {type(first).__name__}", "a net that starts nn.Linear")
    outside = [column for column in columns if column not in range(first.in_features)]
    if outside:
        raise refuse("l1_columns", outside[0], f"columns 0 to {first.in_features - 1}")
    return first.weight


@torch.no_grad()
def _soft_threshold(weight: Tensor, columns: Sequence[int], amount: float) -> None:
    """The proximal operator of amount * |.|_1 on the given columns, in place."""
    weight[:, columns] = nn.functional.softshrink(weight[:, columns], amount)


@torch.inference_mode()
def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of rows on which the net's own label is y."""
    return float((net.eval()(x).argmax(dim=1) == y).double().mean())
