"""Surrogates: nets of the attacker's own that stand in for the one behind a release, to be inverted white-box.

What such an attacker has: public images of other people, a prior made from them, and a label oracle. No private image,
and no label but the released ones. A *student* learns everything from those labels (`distillation.py`). A *shadow* is a
net that the attacker trained, undefended, on images of its own; it knows faces and none of the targets, and only a last
linear layer is fitted to released labels. Whoever had photos of the targets for a shadow would not need the model.
The inversion of either is in `white_box.py`; how much a surrogate is like the target is in `experiments`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.arguments import InputError, count, refuse
from rp_tutorial.data.face_task import to_float
from rp_tutorial.models.facenet import FaceClassifier
from rp_tutorial.oracles.base import ABSTAIN
from rp_tutorial.training.classify import fit_classifier
from rp_tutorial.training.fit import fit
from rp_tutorial.training.image_batches import check_images

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
FEATURE_ROWS = 1000  # images whose features are computed at a time
HEAD_STEPS, HEAD_BATCH = 1500, 512


class TransferredNet(nn.Module):
    """A shadow's features with another last layer: images [B, 3, S, S] -> logits [B, num_classes]."""

    def __init__(self, shadow: FaceClassifier, head: nn.Linear) -> None:
        super().__init__()
        self.shadow, self.head = shadow, head

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.shadow.features(x))


def train_shadow(
    shadow: FaceClassifier, public: Tensor, *, images_seen: int, seed: int, device: str | torch.device = "cpu"
) -> FaceClassifier:
    """Train `shadow` to tell every public image from every other, mirrored and shifted; returns it in eval mode.

    public uint8 [N, 3, S, S], without labels: each image is a class of its own, so `shadow` needs N outputs. That
    makes features for telling faces apart from nobody's private image. `images_seen` counts passes of images.
    Source: exemplar training, Dosovitskiy et al. 2014.
    """
    check_images("public", public)
    if getattr(shadow, "num_classes", None) != len(public):
        raise refuse(
            "shadow", getattr(shadow, "num_classes", None), f"a face net of {len(public)} classes, one an image"
        )
    epochs = max(1, count("images_seen", images_seen) // len(public))
    own = torch.arange(len(public))
    return fit_classifier(shadow, public, own, epochs=epochs, seed=seed, shifts=3, device=device)


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
    check_images("images", images)
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (len(images),):
        given = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise refuse("labels", given, f"an int64 tensor [{len(images)}], one label an image")
    answered = labels != ABSTAIN
    if not bool(answered.any()):
        raise InputError("labels: got ABSTAIN for every image, allowed is at least one released label")
    features = _features(shadow.eval().to(device), images[answered], device)
    head = nn.Linear(features.shape[1], count("num_classes", num_classes, minimum=2))
    nn.init.zeros_(head.weight), nn.init.zeros_(head.bias)
    fit(
        head.to(device),
        features,
        labels[answered].to(device),
        steps=HEAD_STEPS,
        batch_size=HEAD_BATCH,
        learning_rate=3e-3,
        seed=seed,
    )
    return TransferredNet(shadow, head).eval()


def _features(shadow: FaceClassifier, images: Tensor, device: str | torch.device) -> Tensor:
    with torch.no_grad():  # not inference mode: the head is trained on these
        return torch.cat([shadow.features(to_float(part.to(device))) for part in images.split(FEATURE_ROWS)])
