"""Small trees of picture files for the tests of face sources: people, splits, and CelebA's and LFW's layouts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, *, width: int = 32, height: int = 32) -> Image.Image:
    """A smooth colour picture, another one for every seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def write_person(folder: Path, images: int, *, seed: int, ending: str = "png") -> None:
    folder.mkdir(parents=True)
    for number in range(images):
        picture(1000 * seed + number).save(folder / f"{number:02}.{ending}")


def write_people(root: Path, *, private: int = 3, images: int = 6, public: int = 12, ending: str = "png") -> Path:
    """`private/p0` ... with `images` pictures each, and `public/q0` ... with one each."""
    for index in range(private):
        write_person(root / "private" / f"p{index}", images, seed=index, ending=ending)
    for index in range(public):
        write_person(root / "public" / f"q{index:02}", 1, seed=500 + index, ending=ending)
    return root


def write_celeba(root: Path, *, private: int = 2, public: int = 6, numbers: Iterable[int] | None = None) -> Path:
    """`private` identities of 30 images and `public` ones of 2, numbered 7, 14, ... , in CelebA's layout."""
    folder = root / "img_align_celeba"
    folder.mkdir(parents=True)
    numbers = list(numbers or range(7, 7 * (private + public) + 1, 7))
    lines = []
    for index, identity in enumerate(numbers):
        for _ in range(30 if index < private else 2):
            name = f"{len(lines) + 1:06}.jpg"
            picture(len(lines), width=178, height=218).save(folder / name, quality=90)
            lines.append(f"{name} {identity}")
    (root / "identity_CelebA.txt").write_bytes("\r\n".join(lines).encode() + b"\r\n")
    return root
