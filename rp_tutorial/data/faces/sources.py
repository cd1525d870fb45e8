"""The one door to faces: "synthetic", "lfw", "folder:PATH", "celeba:PATH" or a source of the user's -> a `FaceTask`.

Checks the arguments and hands over to the source of that name (`registry.py`).
"""

from pathlib import Path

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.data.faces.files import MINIMUM_PEOPLE, MINIMUM_PUBLIC, Limits
from rp_tutorial.data.faces.images import SMALLEST_SIDE
from rp_tutorial.data.faces.registry import FACE_SOURCES
from rp_tutorial.data.faces.task import FaceTask

LARGEST_SIZE = 256


def face_sources() -> tuple[str, ...]:
    """Every source as a reader writes it: those without a path first, the drawn faces before all."""
    order = sorted(FACE_SOURCES.values(), key=lambda source: (source.with_path, source.name != "synthetic"))
    return tuple(f"{source.name}:PATH" if source.with_path else source.name for source in order)


def is_face_source(source: object) -> bool:
    """Whether `source` is written like one of `face_sources`. Says nothing about what lies at the path."""
    if not isinstance(source, str) or "\0" in source:
        return False
    name, colon, path = source.partition(":")
    if name not in FACE_SOURCES:
        return False
    return bool(path.strip()) if FACE_SOURCES[name].with_path else not colon


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
        raise refuse("data", source, "one of " + ", ".join(face_sources()))
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
    return FACE_SOURCES[name](path=path, size=size, limits=limits, seed=seed, download=download)
