"""What every face experiment stands on: a set of faces, a target net, a different net that judges, and a prior.

Nets are trained once for a data set, a seed and a recipe, and shared by all face experiments through the cache. With
published checkpoints at hand (`RP_TUTORIAL_CHECKPOINTS`) the paper's own nets stand in for ours. Which attack meets
which defence is decided in the experiments.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.core.arguments import one_of
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.packed_bits import packed
from rp_tutorial.core.registry import Source
from rp_tutorial.core.streams import Purpose, child_seed, numpy_generator, torch_generator
from rp_tutorial.data.faces.sources import face_sources, is_face_source, load_faces, source_name
from rp_tutorial.data.faces.task import FaceTask, to_float
from rp_tutorial.experiments.engine.experiment import Kind
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.faces.trained_nets import TRAINED_NETS
from rp_tutorial.models.checkpoints import check_accuracy, load_weights
from rp_tutorial.models.facenet import FaceClassifier, FaceNet, FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.generator import Generator
from rp_tutorial.models.priors import DecoderPrior, Prior, new_prior
from rp_tutorial.models.resized import Resized
from rp_tutorial.models.small_faces import SmallEvaluator, SmallFaceNet
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.statistics.paired import rate
from rp_tutorial.training.classify import fit_classifier, image_logits
from rp_tutorial.training.fill_prior import fill_prior
from rp_tutorial.training.objectives import Objective, cross_entropy
from rp_tutorial.training.prior_misfit import prior_misfit

FACES = Kind(face_sources, is_face_source, source_name)
CHECKPOINTS = "RP_TUTORIAL_CHECKPOINTS"  # a folder that holds the published files
PUBLISHED_FILES = {"target": "FaceNet64.tar", "evaluator": "FaceNet.tar", "prior": "Generator.tar"}
GANS, MOST_MISFIT = ("gan", "published"), 0.5  # halfway between the public images and one face for all
PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
UNIT = "pixel range"  # of sigma and of every radius: L2 between images with pixels in [0, 1]


@dataclass(frozen=True)
class FaceLabSettings:
    """Data, nets and prior of one run. Counts of a real data set are upper limits."""

    size: int = 32
    identities: int = 80
    train_images: int = 150
    test_images: int = 20
    public_images: int = 4000
    nets: str = "small"  # or "facenet": IR-50 at 64 judged by IR-50 at 112, as in the paper
    training_noise: float = 0.12  # who means to smooth a net trains it under some noise (Cohen et al. 2019)
    images_seen: int = 120_000  # in training, in as many passes through the private images as that takes
    evaluator_images_seen: int = 40_000
    batch_size: int = 64  # in training
    precision: str = "float32"  # of a net's products, in training and behind an oracle; or "bfloat16"
    prior: str = "pca"  # or "vae", "gan": better pictures for minutes of training
    latent_dim: int = 96
    prior_epochs: int | None = None  # of a vae or a gan
    device: str = "cpu"


SMOKE: dict[str, Any] = {  # the lab of every smoke profile: seconds
    "identities": 10, "train_images": 40, "test_images": 10, "public_images": 400, "images_seen": 8000,
    "evaluator_images_seen": 3200, "latent_dim": 24,
}  # fmt: skip
GPU: dict[str, Any] = {  # of every gpu profile: the paper's nets on as many faces as a card trains on in minutes
    "size": 64, "identities": 200, "train_images": 100, "public_images": 6000, "nets": "facenet", "training_noise": 0.0,
    "prior": "published", "latent_dim": 100, "images_seen": 200_000, "evaluator_images_seen": 100_000,
    "prior_epochs": 24, "batch_size": 256, "precision": "bfloat16",
}  # fmt: skip
PAPER: dict[str, Any] = {  # of every paper profile: the paper's sizes and nets
    "size": 64, "identities": 1000, "train_images": 1000, "test_images": 1000, "public_images": 30_000,
    "nets": "facenet", "training_noise": 0.0, "prior": "published", "latent_dim": 100, "images_seen": 1_500_000,
    "evaluator_images_seen": 1_500_000, "prior_epochs": 100,
}  # fmt: skip


class FaceLab(Lab):
    """The faces, nets and prior of one run; everything is made when first asked for, or read from the cache."""

    nets = "faces"

    def prepare(self) -> None:
        s, load = self.settings, _drawn if self.data == "synthetic" else load_faces
        counts = {n: getattr(s, n) for n in ("size", "identities", "train_images", "test_images", "public_images")}
        self.task: FaceTask = load(self.data, seed=self.seed, **counts)
        self.num_classes = self.task.num_classes
        self.people = {"identities": self.num_classes, "real_people": self.task.real_people}  # as results hold it
        self.key |= {"data": self.task.fingerprint, "nets": s.nets}
        self._targets: dict[tuple[float, str], nn.Module] = {}

    @cached_property
    def targets(self) -> Tensor:
        """The people who are attacked: `settings.targets` of them, drawn by the seed, in the order of their labels."""
        order = numpy_generator(Purpose.TARGETS, self.seed).permutation(self.num_classes)
        return torch.as_tensor(np.sort(order[: self.settings.targets]))

    @cached_property
    def candidates(self) -> Tensor:
        """The pool of latents in which first points are searched; the same for every attack of a run."""
        s = self.settings
        return candidate_latents(s.pool, self.prior.latent_dim, seed=self.seed, clamp=s.attack.latent_clamp)

    @cached_property
    def test_sample(self) -> tuple[Tensor, Tensor]:
        """`settings.accuracy_images` private test images at most, drawn by the seed: bytes [I, 3, S, S], labels [I]."""
        order = torch.randperm(len(self.task.x_test), generator=torch_generator(Purpose.TEST_IMAGES, self.seed))
        rows = order[: self.settings.accuracy_images]
        return self.task.x_test[rows], self.task.y_test[rows]

    @property
    def published_checkpoints(self) -> Path | None:
        """The folder of published files, where there is one and the run asks for the paper's nets."""
        folder = os.environ.get(CHECKPOINTS)
        return Path(folder) if folder and self.settings.nets == "facenet" else None

    @property
    def autocast(self) -> torch.dtype | None:
        """The dtype of a net's products where it is not that of its weights."""
        return PRECISIONS[one_of("precision", self.settings.precision, PRECISIONS)]

    def new_net(self, seed: int) -> FaceClassifier:
        """An untrained net of the target's family."""
        if self.settings.nets == "facenet":
            return FaceNet64(self.num_classes, seed=seed)
        return SmallFaceNet(self.num_classes, size=self.settings.size, seed=seed)

    def oracle(self, defense: Any, purpose: Purpose) -> LabelOracle:
        """The release mechanism of a `Defense`, with randomness of its own for every purpose.

        alpha of its test, where it has one, is that of the lab's settings.
        """
        seed, alpha = child_seed(purpose, self.seed), getattr(self.settings, "alpha", 0.01)
        return defense.kind.release(self, defense, seed=seed, alpha=alpha)

    def released(self, defense: Any) -> dict[str, Any]:
        """What a defence costs its honest users: its accuracy on test images, which it gets right, and its silence."""
        images, labels = self.test_sample
        answers = self.oracle(defense, Purpose.ACCURACY)(to_float(images))
        right = (answers == labels).numpy()
        return {
            **rate(right).told("test_accuracy"),
            "test_images": len(right),
            "right": packed(right),
            "abstention": float((answers == ABSTAIN).double().mean()),
        }

    def target(self, *, noise_sigma: float | None = None, recipe: str = "") -> nn.Module:
        """The net under attack, ready for inference, trained under noise of scale `noise_sigma` in [0, 1].

        None: the noise of the settings, which is the undefended target of every comparison. `recipe`: a registered way
        to train it otherwise (`trained_nets.py`). Raises InputError for one that there is not.
        """
        noise_sigma = self.settings.training_noise if noise_sigma is None else noise_sigma
        if (noise_sigma, recipe) not in self._targets:
            net = self._recipe_net(recipe, noise_sigma) if recipe else self._plain_net(noise_sigma)
            self._targets[noise_sigma, recipe] = folded(net).to(self.settings.device)
        return self._targets[noise_sigma, recipe]

    def _plain_net(self, noise_sigma: float) -> nn.Module:
        net = self._published(self.new_net(self.seed), "target")
        if self.published_checkpoints is None or noise_sigma != self.settings.training_noise:
            self._train(f"target-noise{noise_sigma:g}", net, self.settings.images_seen, noise_sigma=noise_sigma)
        return net

    def _recipe_net(self, recipe: str, noise_sigma: float) -> nn.Module:
        net, objective = TRAINED_NETS[recipe](self, self.new_net(self.seed))
        how = {"noise_sigma": noise_sigma, "objective": objective, "uses": [TRAINED_NETS.source(recipe)]}
        self._train(f"target-{recipe}-noise{noise_sigma:g}", net, self.settings.images_seen, **how)
        return net

    @cached_property
    def evaluator(self) -> nn.Module:
        """The net that says whether a reconstruction shows the target: same people, another family, never smoothed."""
        seed = child_seed(Purpose.EVALUATOR, self.seed)
        if self.settings.nets == "facenet":
            net: nn.Module = Resized(self._published(FaceNet(self.num_classes), "evaluator"), size=112)
        else:
            net = SmallEvaluator(self.num_classes, size=self.settings.size, seed=seed)
        if self.published_checkpoints is None:
            self._train("evaluator", net, self.settings.evaluator_images_seen, seed=seed)
        return folded(net).to(self.settings.device)

    @cached_property
    def prior(self) -> Prior:
        """What the attacker knows of faces, learnt from the public images alone."""
        return self._checked_prior[0]

    @property
    def prior_found(self) -> dict[str, Any]:
        """Which prior was asked for, which one is used, and how far each that was trained is from the public images."""
        return self._checked_prior[1]

    @cached_property
    def _checked_prior(self) -> tuple[Prior, dict[str, Any]]:
        """A generator that learnt no faces, as a GAN may without an error, gives way to the PCA prior."""
        s = self.settings
        if self.published_checkpoints is not None:
            generator = self._published(Generator(100), "prior", accuracy=False)
            return DecoderPrior(generator, 100).to(s.device), {"asked": s.prior, "used": "published", "misfit": {}}
        misfit = {}
        for kind in dict.fromkeys([s.prior, "pca"]):
            prior = self._trained_prior(kind)
            misfit[kind] = prior_misfit(prior, self.task.public, seed=self.seed)
            if kind not in GANS or misfit[kind] <= MOST_MISFIT:
                break
        return prior, {"asked": s.prior, "used": kind, "misfit": misfit}

    def _trained_prior(self, kind: str) -> Prior:
        s = self.settings
        prior = new_prior(kind, size=s.size, latent_dim=s.latent_dim)

        def train() -> None:
            fill_prior(prior, self.task.public, kind=kind, epochs=s.prior_epochs, seed=self.seed, device=s.device)

        recipe = {"prior": kind, "latent_dim": s.latent_dim, "epochs": s.prior_epochs}
        return self.weights(f"prior-{kind}", prior, train, recipe).to(s.device)

    @cached_property
    def private_images(self) -> tuple[Tensor, Tensor]:
        """All private images and their labels: what a reconstruction is compared with, never what it is made from."""
        return torch.cat([self.task.x_train, self.task.x_test]), torch.cat([self.task.y_train, self.task.y_test])

    @cached_property
    def cherry_picked(self) -> tuple[Tensor, Tensor]:
        """The paper's accuracy set: for each identity the one private image of which the target net is surest."""
        images, labels = self.private_images
        confidence = image_logits(self.target(), images).softmax(dim=1).gather(1, labels[:, None])[:, 0]
        best = [int(torch.where(labels == k, confidence, -1.0).argmax()) for k in range(self.num_classes)]
        return to_float(images[best]), labels[best]

    def _train(
        self,
        name: str,
        net: nn.Module,
        images_seen: int,
        *,
        noise_sigma: float = 0.0,
        seed: int | None = None,
        objective: Objective = cross_entropy,
        uses: Iterable[Source] = (),
    ) -> None:
        """`net` trained on the private images, or read from the cache that all face experiments share."""
        epochs = max(1, round(images_seen / len(self.task.x_train)))
        how = {"epochs": epochs, "noise_sigma": noise_sigma, "seed": self.seed if seed is None else seed}
        how["batch_size"] = self.settings.batch_size

        def train() -> None:
            images, labels = self.task.x_train, self.task.y_train
            place = {"device": self.settings.device, "autocast": self.autocast}
            fit_classifier(net, images, labels, flips=True, objective=objective, **place, **how)

        self.weights(name, net, train, how | {"precision": self.settings.precision}, uses=uses)

    def _published(self, net: nn.Module, part: str, *, accuracy: bool = True) -> nn.Module:
        """`net` with the published weights, refused if it is at chance on the private images; untouched without them.

        The accuracy check is what catches a file of the right shapes that belongs to other labels.
        """
        if self.published_checkpoints is None:
            return net
        load_weights(net, self.published_checkpoints / PUBLISHED_FILES[part])
        if accuracy:
            checked: Callable[[Tensor], Tensor] = net if part == "target" else Resized(net, size=112)
            check_accuracy(checked, to_float(self.task.x_test[:500]), self.task.y_test[:500])
        return net.eval()


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """work(), and the seconds it took."""
    started = time.perf_counter()
    return work(), round(time.perf_counter() - started, 2)


@lru_cache(maxsize=2)
def _drawn(data: str, **counts: int) -> FaceTask:
    """Drawn faces, shared by the labs of a process, as none of them changes one. Files may change: they are read."""
    return load_faces(data, **counts)
