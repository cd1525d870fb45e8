"""Mutual-information regularisation (MID): what the last layer may learn of an image is priced.

The price is the variational bound of the information bottleneck. The layer itself is in `models/variational_head.py`.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.distributions import Normal

from rp_tutorial.core.arguments import positive
from rp_tutorial.models.facenet import FaceClassifier


@dataclass(frozen=True)
class InformationBottleneck:
    """The objective of MID. NO privacy guarantee comes with it: information is priced in training, not bounded.

    Cross-entropy + `price` * KL(code || standard normal), in nats, the mean over the batch. The net's `fc_layer` is a
    `VariationalHead`. Raises InputError for a price that is not above 0.
    Source: Wang, Zhang and Jia 2021 (AAAI), after Alemi et al. 2017. Chapter: comparisons/frontier.

    >>> net = rp.models.SmallFaceNet(4)
    >>> net.fc_layer = rp.models.VariationalHead(128, 4, width=8)
    >>> objective = rp.training.InformationBottleneck(0.01)
    >>> objective(net, torch.rand(8, 3, 32, 32), torch.arange(8) % 4, 0.0).isfinite().item()
    True
    """

    price: float

    def __post_init__(self) -> None:
        positive("price", self.price)

    def __call__(self, net: FaceClassifier, x: Tensor, labels: Tensor, progress: float) -> Tensor:
        mean, spread = net.fc_layer.code(net.features(x))
        logits = net.fc_layer.scores(Normal(mean, spread).rsample())
        cost = divergence(mean.float(), spread.float()).mean()
        return nn.functional.cross_entropy(logits.float(), labels) + self.price * cost


def divergence(mean: Tensor, spread: Tensor) -> Tensor:
    """KL(N(mean, spread^2) || N(0, 1)), summed over the numbers of a code: [B, width] twice -> [B].

    >>> rp.training.divergence(torch.zeros(1, 3), torch.ones(1, 3)).item()
    0.0
    """
    return (0.5 * (mean.square() + spread.square() - 1) - spread.log()).sum(dim=1)
