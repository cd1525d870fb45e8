"""A last layer behind a variational bottleneck: features become a code with noise, and the logits read the code.

How narrow the bottleneck is decides the weight of its information in the loss (`training/inversion_defences`).
"""

from torch import Tensor, nn
from torch.distributions import Normal

from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, global_stream

SHIFT = 5.0  # of the spread's argument, so that training begins with hardly any noise


class VariationalHead(nn.Module):
    """Features [B, F] -> logits [B, K] through a code of `width` numbers, Gaussian in training, its mean afterwards.

    A released label is therefore a function of the image. Initialised from `seed`; in train mode the noise comes from
    torch's global generator, as that of dropout does. Raises InputError for sizes below 1, or a single class.
    Source: Alemi et al. 2017 (VIB); Wang, Zhang and Jia 2021 (MID) put it before the last layer.

    >>> head = rp.models.VariationalHead(128, 10, width=64).eval()
    >>> features = torch.ones(2, 128)
    >>> head(features).shape, torch.equal(head(features), head(features))
    (torch.Size([2, 10]), True)
    """

    def __init__(self, features: int, num_classes: int, *, width: int, seed: int = 0) -> None:
        super().__init__()
        count("features", features), count("num_classes", num_classes, minimum=2), count("width", width)
        with global_stream(Purpose.INITIAL_WEIGHTS, seed, 1):  # another stream than that of the net in front
            self.statistics = nn.Linear(features, 2 * width)
            self.scores = nn.Linear(width, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        mean, spread = self.code(features)
        return self.scores(Normal(mean, spread).rsample() if self.training else mean)

    def code(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the code, each [B, width]."""
        mean, raw = self.statistics(features).chunk(2, dim=1)
        return mean, nn.functional.softplus(raw - SHIFT)
