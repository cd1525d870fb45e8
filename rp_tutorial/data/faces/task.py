"""What every face experiment starts from: private identities split into train and test, and public images of others.

Images are kept as bytes, so that a set of tens of thousands fits into memory, and become floats a batch at a time.
Where the images come from is in `drawn.py`, `folder.py`, `lfw.py` and `celeba.py`.
"""

import base64
import dataclasses

import numpy as np
import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class FaceTask:
    """Images of the identities a target model is trained on, and of other people, whom an attacker may have.

    x_train, x_test: uint8 [N, 3, size, size]; y_train, y_test: int64 [N], 0..num_classes-1, every identity in both.
    public: uint8 [M, 3, size, size], images of identities that are not among the private ones; no label.
    `real_people` says whether a picture of an image or of a reconstruction would show a real person.
    `notes` are one-line remarks on what was counted, converted or left out while reading.
    """

    x_train: Tensor
    y_train: Tensor
    x_test: Tensor
    y_test: Tensor
    public: Tensor
    num_classes: int
    size: int
    source: str
    fingerprint: str
    real_people: bool
    notes: tuple[str, ...] = ()


def to_float(images: Tensor) -> Tensor:
    """Bytes [..., 3, S, S] -> float32 in [0, 1] on the grid k/255: what every net of the book takes."""
    return images.to(torch.float32).div_(255)


def to_bytes(images: Tensor) -> Tensor:
    """Floats in [0, 1] -> bytes, rounded to the nearest k/255; values outside are clipped."""
    return images.mul(255).round_().clamp_(0, 255).to(torch.uint8)


def to_text(images: Tensor) -> dict[str, object]:
    """Floats [n, 3, S, S] in [0, 1] as JSON can hold them: the shape, and the bytes in base64."""
    pixels = to_bytes(images.detach().cpu().clone())
    return {"shape": list(images.shape), "base64": base64.b64encode(pixels.numpy().tobytes()).decode()}


def from_text(text: dict[str, object]) -> Tensor:
    """The images that `to_text` wrote, float32 [n, 3, S, S] on the grid k/255."""
    pixels = np.frombuffer(base64.b64decode(text["base64"]), dtype=np.uint8)
    return to_float(torch.from_numpy(pixels.reshape(text["shape"]).copy()))
