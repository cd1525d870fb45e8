"""The last layer of a net that was pretrained on public images: features are whitened, cut to length 1, and scored.

Only the scores are trained privately. What whitens is computed from public images, in `training/pretrain.py`.
"""

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count


class WhitenedHead(nn.Module):
    """Features [B, F] -> logits [B, K]: the `kept` main directions, each of spread 1, cut to length 1 and scored.

    A unit vector bounds each record's gradient by the error of its probabilities, so that clipping hardly bites.
    `mean` [F] and `directions` [F, kept] are buffers; `scores`, without bias, starts at 0.
    """

    def __init__(self, features: int, num_classes: int, *, kept: int) -> None:
        super().__init__()
        kept = min(count("kept", kept), count("features", features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("directions", torch.eye(features)[:, :kept].clone())
        classes = count("num_classes", num_classes, minimum=2)
        self.scores = nn.utils.skip_init(nn.Linear, kept, classes, bias=False)  # draws nothing: the weights become 0
        nn.init.zeros_(self.scores.weight)

    def forward(self, features: Tensor) -> Tensor:
        return self.scores(self.unit(features))

    def unit(self, features: Tensor) -> Tensor:
        """[B, F] -> what `scores` reads, [B, kept], each row of length 1."""
        return nn.functional.normalize((features - self.mean) @ self.directions)

    @torch.no_grad()
    def whiten(self, features: Tensor) -> None:
        """Take mean and directions from `features` [M, F]: where they vary most, scaled to spread 1."""
        self.mean.copy_(features.mean(dim=0))
        centred = (features - self.mean).double()
        variance, directions = torch.linalg.eigh(centred.T @ centred / len(features))
        kept = slice(-self.directions.shape[1], None)
        floor = 1e-6 * variance[-1]  # fewer images than features: some directions have no spread to scale by
        self.directions.copy_(directions[:, kept] / variance[kept].clamp(min=floor).sqrt())
