"""Face nets trained with DP-SGD, from nothing or from public images, shared by all face experiments through the cache.

Pretrained on public images, a net has its last layer trained privately (`public_layers`): its other layers have learnt
what faces are from other people. From nothing, all layers have to be. DP-SGD itself is in `training/dp_sgd.py`,
pretraining in `training/pretrain.py`; how the nets fare against an attacker is in `frontier.py`.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from rp_tutorial.core.arguments import one_of, positive
from rp_tutorial.experiments.faces.lab import FaceLab
from rp_tutorial.models.facenet import FaceClassifier, FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.whitened_head import WhitenedHead
from rp_tutorial.training.dp_sgd import BATCH_NORMS, PrivateNet, fit_privately, with_group_norm
from rp_tutorial.training.pretrain import fit_exemplars, image_features

EPSILONS = (1.0, 3.0, 8.0, 30.0)
PUBLIC_LAYERS = ("last", "all")
PHYSICAL_BATCH = {"images": 64, "features": 500}  # records at a time: gradients of 64 nets, or of 500 last layers


@dataclasses.dataclass(frozen=True)
class PrivateSteps:
    """The private part of a recipe. Each of round(epochs / sample_rate) steps takes a record with that probability."""

    epochs: float
    sample_rate: float
    learning_rate: float
    clip: float = 1.0
    shifts: int = 0  # largest shift of an image in pixels; a mirror as well where it is above 0


@dataclasses.dataclass(frozen=True)
class PrivateTraining:
    """How private nets are trained. Neighbours differ by one image, which is not all there is of a person.

    The settings were chosen once, on drawn faces. What that choice reveals is not in epsilon, here as in most papers.
    """

    delta: float = 1e-5  # below one over the number of private images
    scratch: PrivateSteps = PrivateSteps(epochs=3, sample_rate=1 / 12, learning_rate=2.0)
    public: PrivateSteps = PrivateSteps(epochs=17, sample_rate=1 / 6, learning_rate=8.0)
    public_layers: str = "last"  # or "all", on the stored statistics of the batch normalisations
    public_images_seen: int = 100_000  # in pretraining
    kept: int = 64  # directions of the public features on which the last layer stands


PRIVATE_TRAINING = {
    "smoke": PrivateTraining(public_images_seen=8000, kept=24),
    "cpu": PrivateTraining(),
    "gpu": PrivateTraining(
        delta=1e-7,
        scratch=PrivateSteps(epochs=20, sample_rate=1 / 100, learning_rate=2.0),
        public_images_seen=3_000_000,
        kept=512,
    ),
}


def private_target(lab: FaceLab, recipe: PrivateTraining, *, epsilon: float, public: bool) -> PrivateNet:
    """A net of the lab's faces that is (`epsilon`, recipe.delta)-DP for each private image; `.privacy` is its record.

    `public`: pretrained on the lab's public images first. Images float [B, 3, S, S] -> logits [B, K]; ready for
    inference, on the lab's device. Trained once for each data set, seed, recipe and epsilon, then read from the cache.
    Raises InputError for an epsilon or settings out of range, and where the extra `dp` is not installed.
    """
    positive("epsilon", epsilon), one_of("public_layers", recipe.public_layers, PUBLIC_LAYERS)
    net = PrivateNet(public_net(lab, recipe) if public else _net_from_nothing(lab))
    steps = recipe.public if public else recipe.scratch
    rows = len(lab.task.x_train)

    def train() -> None:
        trained, inputs = net.net, lab.task.x_train
        if public and recipe.public_layers == "last":  # the rest is a fixed function of the image: computed once
            trained, inputs = net.net.fc_layer.scores, net.net.fc_layer.unit(image_features(net.net, inputs))
        elif public:
            _freeze_norms(net.net)
        record = fit_privately(
            trained,
            inputs,
            lab.task.y_train,
            epsilon=epsilon,
            delta=recipe.delta,
            epochs=steps.epochs,
            batch_size=max(1, round(steps.sample_rate * rows)),
            clip=steps.clip,
            learning_rate=steps.learning_rate,
            shifts=steps.shifts,
            flips=steps.shifts > 0,
            seed=lab.seed,
            physical_batch=PHYSICAL_BATCH["images" if inputs.dtype == torch.uint8 else "features"],
            device=lab.settings.device,
        ).record
        net.record.copy_(record)

    start = "public" if public else "scratch"
    key = lab.key | {"recipe": dataclasses.asdict(recipe), "epsilon": epsilon, "start": start}
    lab.stages.weights(f"private-{start}-epsilon{epsilon:g}", key, net, train, owner="faces")
    if public:
        net.net = folded(net.net)
    return net.to(lab.settings.device).requires_grad_(False).eval()


def public_net(lab: FaceLab, recipe: PrivateTraining) -> FaceClassifier:
    """The lab's target net with features learnt from public images, and scores that know no private class yet."""
    s, public = lab.settings, lab.task.public
    net = _new_net(lab)
    net.fc_layer = WhitenedHead(net.fc_layer.in_features, lab.num_classes, kept=recipe.kept)
    epochs = max(1, round(recipe.public_images_seen / len(public)))

    def train() -> None:
        fit_exemplars(net, public, epochs=epochs, seed=lab.seed, device=s.device)

    key = lab.key | {"epochs": epochs, "kept": recipe.kept}
    return lab.stages.weights("public-features", key, net, train, owner="faces")


def _new_net(lab: FaceLab) -> FaceClassifier:
    if lab.settings.nets == "facenet":
        return FaceNet64(lab.num_classes, seed=lab.seed)
    return SmallFaceNet(lab.num_classes, size=lab.settings.size, seed=lab.seed)


def _net_from_nothing(lab: FaceLab) -> nn.Module:
    """The target's design with group normalisation, and with the slopes of its PReLU left where they start.

    Per record, a slope's gradient costs as much time as a convolution's, and it has next to nothing to learn.
    """
    net = with_group_norm(_new_net(lab))
    for module in net.modules():
        if isinstance(module, nn.PReLU):
            module.requires_grad_(False)
    return net


def _freeze_norms(net: nn.Module) -> None:
    """All layers are trained, but batch normalisations keep their parameters and their public statistics."""
    net.requires_grad_(True)
    for module in net.modules():
        if isinstance(module, (*BATCH_NORMS, nn.PReLU)):
            module.requires_grad_(False)
