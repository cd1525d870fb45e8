"""Negative label smoothing: a net is trained to be more than certain.

Ordinary label smoothing asks for a little probability on every other class, and so draws the images of a class
together; an inversion finds them the more easily. With a negative factor the net is pushed away from all other classes.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from rp_tutorial.core.arguments import positive

STARTS, FULL = 0.5, 0.75  # shares of the training: as in the source, plain cross-entropy comes first


@dataclass(frozen=True)
class NegativeLabelSmoothing:
    """The objective of negative label smoothing. NO privacy guarantee comes with it: what it makes hard is one attack.

    `strength` a > 0 stands for the smoothing factor -a: with K classes the target of a label is 1 + a - a/K at the
    label and -a/K elsewhere. The factor is 0 in the first half of the training, grows to -a in the next quarter, and
    stays. Unlike cross-entropy it has no lower bound. Raises InputError for a strength that is not above 0.
    Source: Struppek, Hintersdorf and Kersting 2024. Chapter: comparisons/frontier.

    >>> logits, labels = torch.tensor([[2.0, 0.0]]), torch.tensor([0])
    >>> negative = rp.training.NegativeLabelSmoothing(0.5)
    >>> [round(float(negative(torch.nn.Identity(), logits, labels, done)), 3) for done in (0.0, 0.625, 1.0)]
    [0.127, -0.123, -0.373]
    """

    strength: float

    def __post_init__(self) -> None:
        positive("strength", self.strength)

    def __call__(self, net: nn.Module, x: Tensor, labels: Tensor, progress: float) -> Tensor:
        grown = min(max((progress - STARTS) / (FULL - STARTS), 0.0), 1.0)
        return smoothed_cross_entropy(net(x).float(), labels, -self.strength * grown)


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, factor: float) -> Tensor:
    """Mean cross-entropy to the targets (1 - factor) one-hot + factor / K; the factor may be negative, in torch not."""
    log_probabilities = logits.log_softmax(dim=1)
    return (1 - factor) * nn.functional.nll_loss(log_probabilities, labels) - factor * log_probabilities.mean()
