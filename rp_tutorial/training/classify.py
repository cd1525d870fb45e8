"""Training a classifier of face images, and counting how often it is right.

The recipe is the usual short one: one learning-rate cycle (Smith and Topin 2019), mirrored and slightly shifted
images, and, where asked, Gaussian noise on the pixels, which makes a net that keeps its labels under the noise of
smoothing (Cohen et al. 2019, section 4). Tables are trained by `fit.py`; which nets there are is in `models`.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, one_of, positive, refuse
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.batches import device_of, over_batches
from rp_tutorial.training.image_batches import (
    augmented,
    batches_an_epoch,
    check_device,
    check_images,
    check_labels,
    epoch_batches,
)

EVALUATION_BATCH = 500


def fit_classifier(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    epochs: int = 12,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    noise_sigma: float = 0.0,
    flips: bool = True,
    shifts: int = 2,
    optimiser: str = "adamw",
    weight_decay: float = 1e-2,
    label_smoothing: float = 0.0,
    device: str | torch.device = "cpu",
    progress: Callable[[str], None] | None = None,
) -> nn.Module:
    """Minimise the cross-entropy of `net` on byte images; returns `net`, in eval mode, on `device`.

    images uint8 [N, 3, S, S]; labels int64 [N]. `learning_rate` is the peak of the cycle. `noise_sigma` is the
    standard deviation of the noise added to every training image, in pixel units [0, 1], not clipped, as in smoothing.
    `shifts`: largest shift in pixels. `optimiser`: "adamw", or "sgd" (Nesterov momentum 0.9; take about ten times the
    learning rate and weight_decay 5e-4). `progress` is called with one line after every epoch.
    The same seed, net, data and number of threads give the same weights on a CPU; the global generator is left alone.
    Raises InputError for images that are not bytes, labels that do not fit them, or settings out of range.
    """
    _check_classified(images, labels)
    place = check_device(device)
    chosen = _optimiser(net, one_of("optimiser", optimiser, ("adamw", "sgd")), learning_rate, weight_decay)
    steps = count("epochs", epochs) * batches_an_epoch(len(images), batch_size)
    _check_augmentation(noise_sigma, shifts, label_smoothing)
    order, moves = (torch_generator(purpose, seed) for purpose in (Purpose.BATCH_ORDER, Purpose.AUGMENTATION))
    noise = torch_generator(Purpose.TRAINING_NOISE, seed, device=place)
    with global_stream(Purpose.LAYER_DRAWS, seed):
        net.to(place, memory_format=torch.channels_last).train()
        images, labels = images.to(place), labels.to(place)
        _check_classes(net, images, labels)
        cycle = torch.optim.lr_scheduler.OneCycleLR(chosen, learning_rate, total_steps=steps + 1, cycle_momentum=False)
        for epoch in range(epochs):
            total = 0.0
            for rows in epoch_batches(len(images), batch_size, order):
                x = augmented(images, rows, flips=flips, shifts=shifts, generator=moves)
                if noise_sigma:
                    x.add_(torch.randn(x.shape, generator=noise, device=place), alpha=noise_sigma)
                logits = net(x.contiguous(memory_format=torch.channels_last))
                loss = nn.functional.cross_entropy(logits, labels[rows.to(place)], label_smoothing=label_smoothing)
                chosen.zero_grad(set_to_none=True)
                loss.backward()
                chosen.step()
                cycle.step()
                total += loss.detach()
            if progress is not None:
                mean_loss = float(total) / batches_an_epoch(len(images), batch_size)
                progress(f"epoch {epoch + 1} of {epochs}: loss {mean_loss:.3f}")
    return net.eval()


def image_logits(net: nn.Module, images: Tensor, *, batch_size: int = EVALUATION_BATCH) -> Tensor:
    """Logits float32 [N, K] of byte images [N, 3, S, S], a batch at a time on the net's device; returned on the CPU."""
    check_images("images", images)
    net.eval()

    def logits(x: Tensor) -> Tensor:
        return net(x.contiguous(memory_format=torch.channels_last)).float().cpu()

    return over_batches(logits, images, device=device_of(net), batch_size=count("batch_size", batch_size))


def image_accuracy(net: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = EVALUATION_BATCH) -> float:
    """Share of byte images [N, 3, S, S] on which the net's own label is the one in `labels` int64 [N]."""
    _check_classified(images, labels)
    logits = image_logits(net, images, batch_size=batch_size)
    return float((logits.argmax(dim=1) == labels.cpu()).double().mean())


def class_accuracy(
    net: nn.Module, images: Tensor, labels: Tensor, num_classes: int, *, batch_size: int = EVALUATION_BATCH
) -> Tensor:
    """For every class, the share of its images that the net labels right: float64 [num_classes], nan where none is."""
    _check_classified(images, labels)
    count("num_classes", num_classes, minimum=int(labels.max()) + 1)
    right = (image_logits(net, images, batch_size=batch_size).argmax(dim=1) == labels.cpu()).double()
    hits = torch.bincount(labels.cpu(), right, minlength=num_classes)
    return hits / torch.bincount(labels.cpu(), minlength=num_classes)


def _check_classified(images: Tensor, labels: Tensor) -> None:
    if int(check_labels(check_images("images", images), labels).min()) < 0:
        raise refuse("labels", int(labels.min()), "labels of at least 0")


@torch.no_grad()
def _check_classes(net: nn.Module, images: Tensor, labels: Tensor) -> None:
    """One image in eval mode, which changes nothing in the net, tells how many classes it has."""
    classes = net.eval()(to_float(images[:1])).shape[1]
    net.train()
    if int(labels.max()) >= classes:
        raise refuse("labels", int(labels.max()), f"labels from 0 to {classes - 1}, the classes of the net")


def _check_augmentation(noise_sigma: float, shifts: int, label_smoothing: float) -> None:
    if noise_sigma != 0:
        positive("noise_sigma", noise_sigma)
    count("shifts", shifts, minimum=0)
    if not isinstance(label_smoothing, int | float) or not 0 <= label_smoothing < 1:
        raise refuse("label_smoothing", label_smoothing, "a number from 0 to below 1")


def _optimiser(net: nn.Module, name: str, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Weight decay on weight matrices and kernels only: on biases, PReLU slopes and batch norm it does harm."""
    positive("learning_rate", learning_rate)
    if not isinstance(weight_decay, int | float) or not 0 <= weight_decay < math.inf:
        raise refuse("weight_decay", weight_decay, "a finite number of at least 0")
    wide = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    narrow = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    groups = [{"params": wide, "weight_decay": weight_decay}, {"params": narrow, "weight_decay": 0.0}]
    groups = [group for group in groups if group["params"]]
    if name == "sgd":
        return torch.optim.SGD(groups, lr=learning_rate, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99))
