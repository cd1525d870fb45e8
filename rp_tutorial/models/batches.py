"""A net over many images: a batch at a time on its own device, so that memory stays bounded."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rp_tutorial.data.faces.task import to_float

BATCH_ROWS = 500


@torch.no_grad()
def over_batches(
    call: Callable[[Tensor], Tensor], images: Tensor, *, device: torch.device | str, batch_size: int = BATCH_ROWS
) -> Tensor:
    """call(x) of all images [N, ...] in one tensor. x is a batch on `device`, bytes as floats on the grid k/255.

    The result may be trained on: it needs no gradient and is no inference tensor.
    """
    return torch.cat([call(as_floats(part.to(device))) for part in images.split(batch_size)])


def as_floats(images: Tensor) -> Tensor:
    """Images as nets take them: bytes become floats in [0, 1], floats stay as they are."""
    return to_float(images) if images.dtype == torch.uint8 else images


def device_of(net: nn.Module) -> torch.device:
    """Where the net's numbers lie; the CPU for a net without any."""
    return next((tensor.device for tensor in (*net.parameters(), *net.buffers())), torch.device("cpu"))
