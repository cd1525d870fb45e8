"""Distillation: train a copy of a model on the labels that its interface releases.

The attacker has public images, a query budget and an empty net of its own. It asks, drops what was not answered, and
trains: function-level extraction, with labels only. What it may ask is `query_images`, the asking is `ask`, the
training `train_student`; `distil` is the three in a row. How good a copy is, only its owner could tell the attacker:
that comparison is in `experiments/distillation`. What can be done with a copy is in `inversion/white_box.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rp_tutorial.attacks.inversion.queries import LatentQueries
from rp_tutorial.core.arguments import InputError, count, refuse
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.core.streams import Purpose, torch_generator
from rp_tutorial.data.faces.task import to_bytes, to_float
from rp_tutorial.models.priors import Prior
from rp_tutorial.oracles.base import LabelOracle
from rp_tutorial.training.classify import fit_classifier
from rp_tutorial.training.image_batches import augmented, check_images, check_labels

CHUNK_ROWS = 2048  # images that are floats at a time
SHIFTS = 2  # pixels, as in training
BATCH = 64  # images a training step


@dataclass(frozen=True)
class Answers:
    """What the oracle said about a list of images: labels int64 [N], ABSTAIN where it gave none.

    `queries` is what that cost, with every repeat counted; `forward_passes` what it cost the operator.
    """

    labels: Tensor
    queries: int
    forward_passes: int

    @property
    def abstained(self) -> int:
        """Images without a label: they were paid for and teach the student nothing."""
        return int((self.labels == ABSTAIN).sum())

    @property
    def released(self) -> int:
        """Images with a label."""
        return len(self.labels) - self.abstained


@dataclass(frozen=True)
class Distilled(Answers):
    """A student, and the answers that it learnt from: `released` labels taught it, `abstained` images did not.

    `images_seen` counts the images of its training, each pass anew: the effort to hold equal between students.
    """

    student: nn.Module
    images_seen: int


def query_images(public: Tensor, budget: int, *, prior: Prior | None = None, copies: int = 1, seed: int) -> Tensor:
    """The images an attacker asks about, in the order in which it asks: uint8 [budget, 3, S, S].

    First the public images in a random order; then `copies` times all of them again, each mirrored or not and shifted
    by up to two pixels; then samples of `prior`, z ~ N(0, I), rounded to bytes as any image file is. A smaller budget
    is a prefix of a larger one, so budgets differ in the number of queries only. Never looks at private images.
    Raises InputError where the budget is above public images and copies, and there is no prior to draw the rest from.
    """
    check_images("public", public)
    budget, copies = count("budget", budget), count("copies", copies, minimum=0)
    known = len(public) * (1 + copies)
    if prior is None and budget > known:
        raise refuse("budget", budget, f"at most {known} without a prior: {len(public)} public images, {copies} copies")
    chunks, missing = [], budget
    for chunk in _chunks(public, prior, copies, seed):
        chunks.append(chunk[:missing].cpu())
        missing -= len(chunks[-1])
        if not missing:
            return torch.cat(chunks)
    raise AssertionError("the stream of a prior does not end")


def _chunks(public: Tensor, prior: Prior | None, copies: int, seed: int) -> Iterator[Tensor]:
    """The images in the order of `query_images`, without an end where there is a prior.

    Random numbers are drawn for whole chunks, whatever the budget: else a smaller one would not be a prefix.
    """
    order = torch.randperm(len(public), generator=torch_generator(Purpose.ASKED_ORDER, seed))
    moving, drawing = (torch_generator(purpose, seed) for purpose in (Purpose.ASKED_COPIES, Purpose.ASKED_SAMPLES))
    for rows in order.split(CHUNK_ROWS):
        yield public[rows.to(public.device)]
    for _ in range(copies):
        for rows in order.split(CHUNK_ROWS):
            yield to_bytes(augmented(public, rows, flips=True, shifts=SHIFTS, generator=moving))
    while prior is not None:
        yield _samples(prior, torch.randn(CHUNK_ROWS, prior.latent_dim, generator=drawing), public.shape[1:])


@torch.no_grad()
def _samples(prior: Prior, latents: Tensor, shape: torch.Size) -> Tensor:
    images = to_bytes(prior.eval()(latents.to(prior.device)))
    if images.shape[1:] != shape:
        raise refuse("prior", f"one that makes images {list(images.shape[1:])}", f"images as the public, {list(shape)}")
    return images


def ask(oracle: LabelOracle, images: Tensor, *, repeats: int = 1) -> Answers:
    """The labels of byte images [N, 3, S, S] on the grid k/255, in order, each asked `repeats` times.

    With repeats above 1 the most frequent symbol counts, ABSTAIN being a symbol, and a tie gives ABSTAIN: the patient
    attacker of `inversion/queries.py`. A release is drawn a query, so m repeats cost m.
    """
    # What a prior is to latents, the step from bytes to floats is to images.
    queries = LatentQueries(oracle, to_float, repeats=repeats, chunk_rows=CHUNK_ROWS, device="cpu")
    labels = queries.ask(check_images("images", images))
    return Answers(labels, len(images) * repeats, queries.forward_passes)


def train_student(
    student: nn.Module, images: Tensor, labels: Tensor, *, images_seen: int, seed: int, **recipe: Any
) -> int:
    """Fit `student` to labels int64 [N] of byte images [N, 3, S, S] in `images_seen` images; returns how many it saw.

    The effort does not depend on N, up to a batch: where N does not divide it, some images are put in once more, chosen
    at random. Images with the label ABSTAIN are left out. The recipe is that of `fit_classifier`, mirrored and
    shifted images included; `recipe` is what is set of it: noise_sigma, learning_rate, device. The student is
    left in eval mode on the device.
    Raises InputError where nothing was released, or more was than `images_seen` could show once.
    """
    answered = answered_rows(images, labels)
    rows, epochs = _rows_and_epochs(answered, images_seen, seed=seed)
    fit_classifier(student, images[rows], labels[rows], epochs=epochs, batch_size=BATCH, seed=seed, **recipe)
    return epochs * len(rows)


def answered_rows(images: Tensor, labels: Tensor) -> Tensor:
    """Rows, int64 [M], of the byte images that got a label; an InputError where no image did."""
    answered = (check_labels(check_images("images", images), labels) != ABSTAIN).nonzero()[:, 0]
    if not len(answered):
        raise InputError("labels: got ABSTAIN for every image, allowed is at least one released label")
    return answered


def _rows_and_epochs(answered: Tensor, images_seen: int, *, seed: int) -> tuple[Tensor, int]:
    """Every answered row, and some of them again, so that whole epochs of full batches are the effort asked for."""
    needed = -(-len(answered) // BATCH)
    steps = count("images_seen", images_seen, minimum=needed * BATCH) // BATCH
    epochs = steps // needed
    extra = steps // epochs * BATCH - len(answered)
    again = torch.randperm(len(answered), generator=torch_generator(Purpose.SHOWN_AGAIN, seed))
    return torch.cat([answered, answered[again.repeat(-(-extra // len(answered)))[:extra]]]), epochs


def distil(
    oracle: LabelOracle,
    images: Tensor,
    student: nn.Module,
    *,
    images_seen: int,
    seed: int,
    repeats: int = 1,
    **recipe: Any,
) -> Distilled:
    """Ask `oracle` about byte images [N, 3, S, S] and fit `student` to the labels it releases.

    Nothing but labels passes from the oracle to the student: two oracles that release the same labels give the same
    student, to the bit. Costs N * repeats queries. The student has as many outputs as the oracle has classes; it needs
    no other likeness to the net behind the oracle. See `ask` and `train_student` for the arguments and errors.
    Source: Tramer et al. 2016, section 6 (labels only); Jagielski et al. 2020 for agreement as the measure.

    >>> teacher, student = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)) for _ in range(2))
    >>> images = torch.arange(100 * 192).remainder(251).byte().view(100, 3, 8, 8)
    >>> copied = rp.distil(rp.PlainOracle(teacher, num_classes=2), images, student, images_seen=1000, seed=0)
    >>> copied.queries, copied.released
    (100, 100)

    Chapter: comparisons/distillation.
    """
    answers = ask(oracle, images, repeats=repeats)
    seen = train_student(student, images, answers.labels, images_seen=images_seen, seed=seed, **recipe)
    return Distilled(**vars(answers), student=student, images_seen=seen)
