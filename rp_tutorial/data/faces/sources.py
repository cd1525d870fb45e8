"""The one door to faces: "synthetic", "lfw", "folder:PATH" or "celeba:PATH" -> a `FaceTask`.

Checks the arguments and hands over to the source's own file (`drawn.py`, `lfw.py`, `folder.py`, `celeba.py`).
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.data.faces.files import MINIMUM_PEOPLE, MINIMUM_PUBLIC, Limits
from rp_tutorial.data.faces.images import SMALLEST_SIDE
from rp_tutorial.data.faces.task import FaceTask

NAMED = ("synthetic", "lfw")
WITH_PATH = ("folder", "celeba")
SOURCES = (*NAMED, *(f"{name}:PATH" for name in WITH_PATH))
LARGEST_SIZE = 256


def is_face_source(source: object) -> bool:
    """Whether `source` is written like one of SOURCES. Says nothing about what lies at the path."""
    if not isinstance(source, str) or "\0" in source:
        return False
    name, colon, path = source.partition(":")
    return source in NAMED or (name in WITH_PATH and bool(colon) and bool(path.strip()))


def source_name(source: str) -> str:
    """`source` without where it lies: "folder:/data/lfw64" -> "folder:lfw64". What a published result may say."""
    name, colon, path = source.partition(":")
    return f"{name}:{Path(path).expanduser().resolve().name}" if colon else source


def load_faces(
    source: str,
    *,
    size: int,
    seed: int = 0,
    identities: int = 100,
    train_images: int = 50,
    test_images: int = 20,
    public_images: int = 4000,
    download: bool = True,
) -> FaceTask:
    """Private people split into training and test images, and images of other people, from `source`.

    Nobody is private and public at once, and no image is there twice: what would break this is refused or left out.
    For "synthetic" the counts are exact. For files they are upper limits: a person with fewer than
    `train_images` + `test_images` images is split in that proportion. Which images are taken, and the split, follow
    from `seed`. Images are uint8 [N, 3, size, size]; size from 8 to 256. What was converted or left out stands in
    `notes`. `download` allows "lfw" to be fetched (200 MB, once) if it is not there.
    Raises InputError, one line, where an argument is not allowed or the source cannot be used.

    >>> few = {"identities": 3, "train_images": 4, "test_images": 2, "public_images": 10}
    >>> task = rp.load_faces("synthetic", size=16, **few)
    >>> task.x_train.shape, task.y_test
    (torch.Size([12, 3, 16, 16]), tensor([0, 0, 1, 1, 2, 2]))

    Chapter: faces/label-only-inversion.
    """
    if not is_face_source(source):
        raise refuse("data", source, "one of " + ", ".join(SOURCES))
    size, seed = count("size", size, minimum=SMALLEST_SIDE), count("seed", seed, minimum=0)
    if size > LARGEST_SIZE:
        raise refuse("size", size, f"an integer from {SMALLEST_SIDE} to {LARGEST_SIZE}")
    limits = Limits(
        identities=count("identities", identities, minimum=MINIMUM_PEOPLE),
        train_images=count("train_images", train_images),
        test_images=count("test_images", test_images),
        public_images=count("public_images", public_images, minimum=MINIMUM_PUBLIC),
    )
    name, _, path = source.partition(":")
    if name == "synthetic":
        return _synthetic(limits, size=size, seed=seed)
    if name == "lfw":
        from rp_tutorial.data.faces.lfw import load_lfw

        return load_lfw(size=size, limits=limits, seed=seed, download=download)
    if name == "celeba":
        from rp_tutorial.data.faces.celeba import load_celeba

        return load_celeba(path, size=size, limits=limits, seed=seed)
    from rp_tutorial.data.faces.folder import load_folder

    return load_folder(path, size=size, limits=limits, seed=seed)


def _synthetic(limits: Limits, *, size: int, seed: int) -> FaceTask:
    from rp_tutorial.data.faces.drawn import synthetic_faces

    return synthetic_faces(size=size, seed=seed, **dataclasses.asdict(limits)).task
