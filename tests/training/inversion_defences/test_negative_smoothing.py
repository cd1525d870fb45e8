"""Negative label smoothing: the targets of the definition, the gradient of the softmax, and the schedule."""

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.training.inversion_defences.negative_smoothing import NegativeLabelSmoothing, smoothed_cross_entropy

CLASSES = 5


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, CLASSES, generator=generator, dtype=torch.float64, requires_grad=True)
    return logits, torch.randint(CLASSES, (7,), generator=generator)


def targets(labels: torch.Tensor, factor: float) -> torch.Tensor:
    return (1 - factor) * nn.functional.one_hot(labels, CLASSES).double() + factor / CLASSES


@pytest.mark.parametrize("factor", [-0.5, -0.05, 0.0, 0.3])
def test_the_loss_is_cross_entropy_to_the_targets_and_its_gradient_is_softmax_less_targets(factor: float) -> None:
    logits, labels = batch()
    loss = smoothed_cross_entropy(logits, labels, factor)
    wanted = -(targets(labels, factor) * logits.softmax(1).log()).sum(1).mean()
    torch.testing.assert_close(loss, wanted)
    (gradient,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(gradient, (logits.softmax(1) - targets(labels, factor)).detach() / len(labels))


def test_a_positive_factor_is_the_smoothing_of_torch() -> None:
    logits, labels = batch(1)
    wanted = nn.functional.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(smoothed_cross_entropy(logits, labels, 0.2), wanted)


def test_it_begins_as_cross_entropy_and_ends_at_its_strength() -> None:
    logits, labels = batch(2)
    logits = logits.detach().float()
    found = [NegativeLabelSmoothing(0.4)(nn.Identity(), logits, labels, done) for done in (0.0, 0.5, 0.7, 0.75, 0.99)]
    factors = (0.0, 0.0, -0.32, -0.4, -0.4)
    wanted = [smoothed_cross_entropy(logits, labels, factor) for factor in factors]
    torch.testing.assert_close(torch.stack(found), torch.stack(wanted))


@pytest.mark.parametrize("bad", [0, -0.1, float("inf")])
def test_a_strength_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(InputError, match=r"^strength: got "):
        NegativeLabelSmoothing(bad)
