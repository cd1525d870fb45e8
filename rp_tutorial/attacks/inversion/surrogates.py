"""Surrogates: nets of the attacker's own that stand in for the one behind a release, to be inverted white-box.

What such an attacker has: public images of other people, a prior made from them, and a label oracle. No private image,
and no label but the released ones. A *student* learns everything from those labels (`distillation.py`). A *shadow* is a
net that the attacker trained, undefended, on its public images (`training/pretrain.py`): it knows faces and none of
the targets, and only a last linear layer is fitted to released labels. Whoever had photos of the targets to train a
shadow on would not need the model.
The inversion of either is in `white_box.py`; how much a surrogate is like the target is in `experiments`.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.distillation import Answers, answered_rows, train_student
from rp_tutorial.attacks.inversion.registry import Attacked, Scene, attack
from rp_tutorial.attacks.inversion.white_box import invert_white_box
from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.models.facenet import FaceClassifier
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.training.fit import fit
from rp_tutorial.training.pretrain import image_features

HEAD_PASSES, HEAD_BATCH, HEAD_RATE = 20, 512, 3e-3  # of the last layer, through all released labels ...
HEAD_STEPS = 150  # ... and at least so many steps, where labels are few


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


class SurrogateScene(Scene, Protocol):
    """A scene of an attacker who makes a surrogate: what it can ask about, and what it can train.

    images: bytes [N, 3, S, S], public ones and samples of the prior. `answers(oracle)`: the labels of all of them, the
    same for every maker of surrogates. shadow: a net of public images. `new_net(seed)`: an empty one of the target's
    design, which is the cautious assumption. `accuracy(net)`: on images that the attacker does not have.
    """

    images: Tensor
    shadow: FaceClassifier
    num_classes: int

    def answers(self, oracle: LabelOracle) -> Answers: ...

    def new_net(self, seed: int) -> nn.Module: ...

    def accuracy(self, net: nn.Module) -> float: ...


NEEDS = ("images", "answers", "new_net", "shadow", "accuracy")


@attack(
    "distil, then invert",
    needs=NEEDS,
    exploits="that released labels teach a student the function behind them, which may then be read at will",
    guarantee="none: Robust Privacy is about which input was asked, not about the function, and says so; "
    "epsilon of randomized response adds up over the queries; DP-SGD bounds what one training image changes, and "
    "what a class looks like is not one image",
)
def distil_and_invert(oracle: LabelOracle, scene: SurrogateScene, state: Path | None) -> Attacked:
    answers, seed, s = scene.answers(oracle), child_seed(Purpose.SURROGATE, scene.seed), scene.settings
    taught = {"images_seen": s.student_images_seen, "seed": seed, "device": s.device}
    student = scene.new_net(seed)
    train_student(student, scene.images, answers.labels, **taught)
    return inverted(scene, answers, student)


@attack(
    "shadow and released labels",
    needs=NEEDS,
    exploits="that features of faces can be had without any private image, so that few labels do",
    guarantee="none, for the same reasons: only released labels tell it anything about the targets",
)
def transfer_and_invert(oracle: LabelOracle, scene: SurrogateScene, state: Path | None) -> Attacked:
    answers, seed, device = scene.answers(oracle), child_seed(Purpose.SURROGATE, scene.seed), scene.settings.device
    net = transfer(scene.shadow, scene.images, answers.labels, scene.num_classes, seed=seed, device=device)
    return inverted(scene, answers, net)


def inverted(scene: SurrogateScene, answers: Answers, surrogate: nn.Module) -> Attacked:
    """White-box inversion of a surrogate made from released labels: it asks nothing any more."""
    s = scene.settings
    found = invert_white_box(
        surrogate,
        scene.prior,
        scene.targets,
        seed=scene.seed,
        num_candidates=s.pool,
        settings=s.white_box,
        device=s.device,
    )
    return Attacked(found, spent_on(answers, surrogate, scene))


def spent_on(answers: Answers, surrogate: nn.Module, scene: SurrogateScene) -> dict[str, Any]:
    """What a surrogate cost, and how often it is right."""
    return {
        "queries": answers.queries,
        "search_queries": 0,
        "abstained": answers.abstained,
        "forward_passes": answers.forward_passes,
        "surrogate_accuracy": scene.accuracy(surrogate),
    }
