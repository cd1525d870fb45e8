"""Surrogates: nets of the attacker's own that stand in for the one behind a release, to be inverted white-box.

What such an attacker has: public images of other people, a prior made from them, and a label oracle. No private image,
and no label but the released ones. A *student* learns everything from those labels (`distillation.py`). A *shadow* is a
net that the attacker trained, undefended, on its public images (`training/pretrain.py`): it knows faces and none of
the targets, and only a last linear layer is fitted to released labels. Whoever had photos of the targets to train a
shadow on would not need the model.
The inversion of either is in `white_box.py`; how much a surrogate is like the target is in `experiments`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import answered_rows
from rp_tutorial.core.arguments import count
from rp_tutorial.models.facenet import FaceClassifier
from rp_tutorial.training.fit import fit
from rp_tutorial.training.pretrain import image_features

SURROGATES = {  # what each exploits, and what its success says about a guarantee
    "distil, then invert": {
        "exploits": "that released labels teach a student the function behind them, which may then be read at will",
        "guarantee": "none: Robust Privacy is about which input was asked, not about the function, and says so; "
        "epsilon of randomized response adds up over the queries; DP-SGD bounds what one training image changes, and "
        "what a class looks like is not one image",
    },
    "shadow and released labels": {
        "exploits": "that features of faces can be had without any private image, so that few labels do",
        "guarantee": "none, for the same reasons: only released labels tell it anything about the targets",
    },
}
HEAD_PASSES, HEAD_BATCH, HEAD_RATE = 20, 512, 3e-3  # of the last layer, through all released labels ...
HEAD_STEPS = 300  # ... and at least so many steps, where labels are few


class TransferredNet(nn.Module):
    """A shadow's features, standardised, with another last layer: images [B, 3, S, S] -> logits [B, num_classes]."""

    def __init__(self, shadow: FaceClassifier, features: Tensor, num_classes: int) -> None:
        super().__init__()
        self.shadow, self.head = shadow, nn.Linear(features.shape[1], num_classes)
        nn.init.zeros_(self.head.weight), nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", features.mean(dim=0))
        self.register_buffer("spread", features.std(dim=0).clamp_min(1e-6))

    def standardised(self, features: Tensor) -> Tensor:
        """Features [B, F] on the scale of the images that were asked about."""
        return (features - self.mean) / self.spread

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.standardised(self.shadow.features(x)))


def transfer(
    shadow: FaceClassifier,
    images: Tensor,
    labels: Tensor,
    num_classes: int,
    *,
    seed: int,
    device: str | torch.device = "cpu",
) -> TransferredNet:
    """The shadow with a last layer fitted to released labels int64 [N] of byte images [N, 3, S, S]; in eval mode.

    ABSTAIN is left out. So few weights meet the labels that random lies among them average out, and so few that what
    the shadow does not see of a face the labels cannot teach. Raises InputError where nothing was released.
    """
    answered = answered_rows(images, labels)
    features = image_features(shadow.to(device), images[answered])
    net = TransferredNet(shadow, features, count("num_classes", num_classes, minimum=2)).to(device)
    own = labels[answered].to(device)
    steps = max(HEAD_STEPS, -(-HEAD_PASSES * len(own) // HEAD_BATCH))
    recipe = {"steps": steps, "batch_size": HEAD_BATCH, "learning_rate": HEAD_RATE}
    fit(net.head, net.standardised(features), own, seed=seed, **recipe)
    return net.eval()
