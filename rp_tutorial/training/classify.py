"""Training a classifier of face images, and what it says of many.

The recipe is the usual short one: one learning-rate cycle (Smith and Topin 2019), mirrored and slightly shifted
images, and, where asked, Gaussian noise on the pixels, which makes a net that keeps its labels under the noise of
smoothing (Cohen et al. 2019, section 4). Tables are trained by `fit.py`; which nets there are is in `models`.
"""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from rp_tutorial.core.arguments import count, positive
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.labels import check_label_range
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.batches import device_of, over_batches
from rp_tutorial.training import image_batches
from rp_tutorial.training.objectives import Objective, cross_entropy

WEIGHT_DECAY = 1e-2


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
    objective: Objective = cross_entropy,
    device: str | torch.device = "cpu",
    autocast: torch.dtype | None = None,
) -> nn.Module:
    """Minimise `objective` of `net` on byte images; returns `net`, in eval mode, on `device`.

    images uint8 [N, 3, S, S]; labels int64 [N]. `learning_rate` is the peak of the cycle. `noise_sigma` is the
    standard deviation of the noise added to every training image, in pixel units [0, 1], not clipped, as in smoothing.
    `shifts`: largest shift in pixels. The optimiser is AdamW. `autocast`: dtype of products; weights stay float32.
    Layers whose parameters take no gradients stay as they are, the statistics of a batch normalisation included.
    The same seed, net, data and number of threads give the same weights on a CPU; the global generator is left alone.
    Raises InputError for images that are not bytes, labels that do not fit them, or settings out of range.
    """
    image_batches.check_labels(image_batches.check_images("images", images), labels)
    place, optimiser = check_device(device), _adamw(net, positive("learning_rate", learning_rate))
    steps = count("epochs", epochs) * image_batches.batches_an_epoch(len(images), batch_size)
    count("shifts", shifts, minimum=0)
    if noise_sigma != 0:
        positive("noise_sigma", noise_sigma)
    order, moves = (torch_generator(purpose, seed) for purpose in (Purpose.BATCH_ORDER, Purpose.AUGMENTATION))
    noise = torch_generator(Purpose.TRAINING_NOISE, seed, device=place)
    with global_stream(Purpose.LAYER_DRAWS, seed):
        net.to(place, memory_format=torch.channels_last)
        images, labels = images.to(place), labels.to(place)
        with torch.no_grad():  # one image in eval mode, which changes nothing in the net
            check_label_range(labels, net.eval()(to_float(images[:1])).shape[1])
        _learn(net)
        cycle = OneCycleLR(optimiser, learning_rate, total_steps=steps + 1, cycle_momentum=False)
        for step, rows in enumerate(image_batches.epoch_batches(len(images), batch_size, order, epochs=epochs)):
            x = image_batches.augmented(images, rows, flips=flips, shifts=shifts, generator=moves)
            if noise_sigma:
                x.add_(torch.randn(x.shape, generator=noise, device=place), alpha=noise_sigma)
            with torch.autocast(place.type, dtype=autocast, enabled=autocast is not None):
                x = x.contiguous(memory_format=torch.channels_last)
                loss = objective(net, x, labels[rows.to(place)], step / steps)
            image_batches.descend(optimiser, loss)
            cycle.step()
    return net.eval()


def image_logits(net: nn.Module, images: Tensor) -> Tensor:
    """Logits float32 [N, K] of byte images [N, 3, S, S], a batch at a time on the net's device; returned on the CPU."""
    image_batches.check_images("images", images)
    net.eval()

    def logits(x: Tensor) -> Tensor:
        return net(x.contiguous(memory_format=torch.channels_last)).float().cpu()

    return over_batches(logits, images, device=device_of(net))


def _learn(net: nn.Module) -> None:
    """Train mode, except in frozen layers, where it would move the statistics of batch normalisations."""
    net.train()
    for layer in net.modules():
        own = list(layer.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own):
            layer.eval()


def _adamw(net: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """Weight decay on weight matrices and kernels only: on biases, PReLU slopes and batch norm it does harm."""
    wide = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    narrow = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    groups = [{"params": wide, "weight_decay": WEIGHT_DECAY}, {"params": narrow, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.99))
