"""Batches of byte images for training: every epoch in a new order, flipped, shifted and noisy where asked.

Images stay bytes until their batch is taken, so a set of tens of thousands fits into memory. All randomness is drawn
from generators that are given. What is done with a batch is in `classify.py`, `pca.py`, `vae.py` and `gan.py`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import Prior


def check_images(argument: str, images: Tensor) -> Tensor:
    """`images` if it is uint8 [N, 3, S, S] with N at least 1; else an InputError that names `argument`."""
    allowed = "a uint8 tensor [N, 3, S, S] with at least one image"
    if not isinstance(images, Tensor):
        raise refuse(argument, type(images).__name__, allowed)
    square = images.ndim == 4 and images.shape[1] == 3 and images.shape[2] == images.shape[3]
    if images.dtype != torch.uint8 or not square or images.numel() == 0:
        raise refuse(argument, f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}", allowed)
    return images


def check_labels(records: Tensor, labels: Tensor) -> Tensor:
    """`labels` if they are int64 [N], one for each of N `records`."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != records.shape[:1]:
        given = list(labels.shape) if isinstance(labels, Tensor) else type(labels).__name__
        raise refuse("labels", given, f"an int64 tensor [{len(records)}], one label a record")
    return labels


def check_public(public: Tensor, prior: Prior) -> Tensor:
    """`public` if these are byte images of the size that `prior` makes."""
    check_images("public", public)
    with torch.no_grad():
        made = list(prior.eval()(prior.latents(1, seed=0)).shape[1:])
    if list(public.shape[1:]) != made:
        raise refuse("public", list(public.shape), f"images {made}, the size of the prior")
    return public


def restarted(net: nn.Module) -> nn.Module:
    """`net` with the weights its layers draw when they are made, from the global generator."""
    for layer in net.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    return net


def batches_an_epoch(rows: int, batch_size: int) -> int:
    """Full batches in `rows`, or 1 where not even one is full: a short rest would upset the batch statistics."""
    return max(1, rows // count("batch_size", batch_size))


def epoch_batches(rows: int, batch_size: int, generator: torch.Generator, *, epochs: int) -> Iterator[Tensor]:
    """Indices of epochs, each in a new random order: `batches_an_epoch` batches, the rest left for other epochs."""
    for _ in range(epochs):
        order = torch.randperm(rows, generator=generator)
        for batch in range(batches_an_epoch(rows, batch_size)):
            yield order[batch * batch_size : (batch + 1) * batch_size]


def descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    """One step of the optimiser down the gradient of `loss`."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def augmented(images: Tensor, rows: Tensor, *, flips: bool, shifts: int, generator: torch.Generator) -> Tensor:
    """Images uint8 [N, 3, S, S] at `rows` [B] as floats [B, 3, S, S], each with its own mirror and shift.

    A mirror has probability 1/2, a shift is uniform on -shifts..shifts in both axes, and pixels that come in at an
    edge repeat that edge. `generator` is on the CPU, so that the draws do not depend on the device of the images.
    """
    if not flips and not shifts:
        return to_float(images[rows.to(images.device)])
    size, amount = images.shape[-1], len(rows)
    down, right = torch.randint(-shifts, shifts + 1, (2, amount, 1), generator=generator)
    mirrored = torch.rand(amount, 1, generator=generator) < (0.5 if flips else 0.0)
    pixels = torch.arange(size)
    at_row = (pixels + down).clamp_(0, size - 1)
    at_column = (pixels + right).clamp_(0, size - 1)
    at_column = torch.where(mirrored, size - 1 - at_column, at_column)
    at_image, at_row, at_column = (index.to(images.device) for index in (rows, at_row, at_column))
    taken = images[at_image[:, None, None], :, at_row[:, :, None], at_column[:, None, :]]  # [B, S, S, 3]
    return to_float(taken.permute(0, 3, 1, 2).contiguous())
