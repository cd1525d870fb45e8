"""Public pretraining: what a net can learn about faces from images of people who are not in the private set.

The public images carry no labels, so the net learns to tell them apart from one another under everything that changes a
photograph and not the person: pose in the plane, light, colour, background (exemplar training, Dosovitskiy et al.
2014). No private image comes in here, so no privacy is spent. What is then learnt privately is in `dp_sgd.py`.
"""

import torch
from torch import Tensor, nn

from rp_tutorial.core.arguments import count, positive, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.batches import device_of, over_batches
from rp_tutorial.models.facenet import FaceClassifier
from rp_tutorial.models.whitened_head import WhitenedHead
from rp_tutorial.training import image_batches

ROTATION, SCALE, SHIFT = 0.25, 0.15, 0.15  # radians, log of the factor, halves of the image: largest, either way
LIGHT, SLOPE, COLOUR, OFFSET = 0.35, 0.25, 0.08, 0.05  # largest relative change, and shift of the level
PIXEL_NOISE = 0.05
FACE_WIDTH, FACE_HEIGHT, FACE_EDGE = 0.75, 0.9, 8.0  # the ellipse in which aligned faces lie, in halves of the image


def fit_exemplars(
    net: FaceClassifier,
    public: Tensor,
    *,
    epochs: int = 25,
    batch_size: int = 128,
    learning_rate: float = 4e-3,
    seed: int = 0,
    device: str | torch.device = "cpu",
) -> FaceClassifier:
    """Train the features of `net` on `public` alone, and let its last layer, a `WhitenedHead`, whiten by them.

    public uint8 [M, 3, S, S], M at least 2; each image is a class of its own, and each time it is seen it is changed as
    in `changed`. The scores of the head are left alone: 0 in a new one, which knows no private class yet. `net` is
    trained in place, and returned in eval mode on `device`. Everything random is from `seed`.
    Raises InputError for images that are not bytes, another last layer, and settings out of range.
    Source: Dosovitskiy et al. 2014, with a background taken from another image.
    """
    count("len(public)", len(image_batches.check_images("public", public)), minimum=2)
    place, head = check_device(device), getattr(net, "fc_layer", None)
    if not isinstance(head, WhitenedHead):
        raise refuse("net", f"a last layer {type(head).__name__}", "a face net whose fc_layer is a WhitenedHead")
    steps = count("epochs", epochs) * image_batches.batches_an_epoch(len(public), batch_size)
    order, changes = (torch_generator(purpose, seed) for purpose in (Purpose.BATCH_ORDER, Purpose.CHANGED_IMAGES))
    with global_stream(Purpose.LAYER_DRAWS, seed):
        public = public.to(place)
        net.fc_layer = nn.Linear(len(head.mean), len(public))
        net.to(place).train()
        chosen = torch.optim.AdamW(net.parameters(), lr=positive("learning_rate", learning_rate), weight_decay=1e-2)
        cycle = torch.optim.lr_scheduler.OneCycleLR(chosen, learning_rate, total_steps=steps + 1, cycle_momentum=False)
        for rows in image_batches.epoch_batches(len(public), batch_size, order, epochs=epochs):
            x = changed(to_float(public[rows.to(place)]), changes)
            image_batches.descend(chosen, nn.functional.cross_entropy(net(x), rows.to(place)))
            cycle.step()
    net.fc_layer = head.to(place)
    head.whiten(image_features(net, public))
    return net.eval()


def image_features(net: FaceClassifier, images: Tensor) -> Tensor:
    """`net.features` of byte images [N, 3, S, S], float32 [N, F], in eval mode, on the device of the net."""
    return over_batches(net.eval().features, images, device=device_of(net))


def changed(x: Tensor, generator: torch.Generator) -> Tensor:
    """Floats [B, 3, S, S] as other photographs of the same people, each with its own draws from `generator` (CPU).

    Mirrored with probability 1/2, turned, scaled, shifted; lit more or less, from one side, in another tint; outside an
    ellipse around the middle it shows the background of another image of the batch; pixel noise. Nothing is clipped.
    """
    for change in (_moved, _relit, _elsewhere):
        x = change(x, generator)
    return x + PIXEL_NOISE * torch.randn(x.shape, generator=generator).to(x.device)


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror, rotation, scale and shift; what comes in at an edge repeats that edge."""
    angle, size, mirror, right, down = _uniform(5, len(x), generator=generator)
    factor = torch.exp(SCALE * size)
    cosine, sine, side = factor * torch.cos(ROTATION * angle), factor * torch.sin(ROTATION * angle), torch.sign(mirror)
    rows = (torch.stack([side * cosine, -sine, SHIFT * right], 1), torch.stack([side * sine, cosine, SHIFT * down], 1))
    grid = nn.functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False).to(x.device)
    return nn.functional.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _relit(x: Tensor, generator: torch.Generator) -> Tensor:
    """Brightness, a slope of it across the image, a factor for each colour, and a level."""
    down, right = _places(x.shape[-1])
    level, slope_down, slope_right, offset = _uniform(4, len(x), 1, 1, 1, generator=generator)
    light = 1 + LIGHT * level + SLOPE * (slope_down * down + slope_right * right)
    tint = 1 + COLOUR * _uniform(len(x), 3, 1, 1, generator=generator)
    return x * (light * tint).to(x.device) + (OFFSET * offset).to(x.device)


def _elsewhere(x: Tensor, generator: torch.Generator) -> Tensor:
    """The face before the background of another image: without it, the background would tell images apart best."""
    down, right = _places(x.shape[-1])
    radius = (right / FACE_WIDTH).square() + (down / FACE_HEIGHT).square()
    edge = 1 + 0.2 * _uniform(len(x), 1, 1, 1, generator=generator)
    outside = torch.sigmoid(FACE_EDGE * (radius - edge)).to(x.device)
    other = x[torch.randperm(len(x), generator=generator).to(x.device)]
    return x * (1 - outside) + other * outside


def _places(size: int) -> tuple[Tensor, Tensor]:
    """Row and column of every pixel in [-1, 1], each [size, size]."""
    line = torch.linspace(-1, 1, size)
    return torch.meshgrid(line, line, indexing="ij")


def _uniform(*shape: int, generator: torch.Generator) -> Tensor:
    """Uniform on [-1, 1]."""
    return 2 * torch.rand(*shape, generator=generator) - 1
