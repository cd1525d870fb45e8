"""Readers of pictures for `tools.fuzz`: one file, a folder of people, the lists of CelebA; as in `readers.py`."""

from __future__ import annotations

import io
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image

from rp_tutorial.data.faces.celeba import load_celeba
from rp_tutorial.data.faces.files import Limits
from rp_tutorial.data.faces.folder import load_folder
from rp_tutorial.data.faces.images import UnusableImageError, read_image
from rp_tutorial.data.faces.task import FaceTask
from tools.fuzz.mutations import mutated, one_of

Try = Callable[[Generator], Exception | None]
LIMITS = Limits(identities=3, train_images=3, test_images=2, public_images=12)
SIDE = 8


def image(folder: Path) -> Try:
    """One file of a picture."""
    path, files = folder / "picture", [content for seed in range(3) for content in _pictures(seed)]

    def attempt(rng: Generator) -> UnusableImageError | None:
        path.write_bytes(mutated(one_of(files, rng), rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as where files are read: in threads, for all of them at once
                pixels, _ = read_image(path, size=SIDE)
        except UnusableImageError as error:
            return error
        assert (pixels.shape, pixels.dtype) == ((3, SIDE, SIDE), np.uint8)
        return None

    return attempt


def image_folder(folder: Path) -> Try:
    """A folder of people: files damaged, renamed, copied, linked in circles, folders where files are expected."""
    trees = _trees()

    def attempt(rng: Generator) -> None:
        root = folder / "people"
        try:
            _write_tree(root, _mutated_tree(one_of(trees, rng), rng))
            _check_faces(load_folder(root, size=SIDE, limits=LIMITS, seed=0))
        finally:
            shutil.rmtree(root, ignore_errors=True)

    return attempt


def split_lists(folder: Path) -> Try:
    """The lists of CelebA, beside images that are as they should be."""
    images = folder / "img_align_celeba"
    images.mkdir()
    numbers = [7] * 30 + [14] * 30 + [21] * 8 + [28] * 8
    for index in range(len(numbers)):
        _picture(index, (178, 218)).save(images / f"{index:06}.jpg", quality=50)
    names = [f"{index:06}.jpg" for index in range(len(numbers))]
    lists = {
        "identity_CelebA.txt": [f"{name} {number}" for name, number in zip(names, numbers, strict=True)],
        "trainset.txt": [f"{names[i]} {i // 30}" for i in (*range(20), *range(30, 50))],
        "testset.txt": [f"{names[i]} {i // 30}" for i in (*range(20, 25), *range(50, 55))],
        "ganset.txt": names[60:],
    }
    texts = {name: "\r\n".join(lines).encode() for name, lines in lists.items()}

    def attempt(rng: Generator) -> None:
        wrong = one_of(list(texts), rng)
        for name, text in texts.items():
            (folder / name).unlink(missing_ok=True)
            if name == "identity_CelebA.txt" or rng.random() < 0.8 or name == wrong:
                (folder / name).write_bytes(mutated(text, rng) if name == wrong else text)
        _check_faces(load_celeba(folder, size=SIDE, limits=LIMITS, seed=0))

    return attempt


def _picture(seed: int, size: tuple[int, int] = (12, 12)) -> Image.Image:
    """Another smooth picture for every seed below 256."""
    ramp = np.add.outer(np.arange(4) * 16, np.arange(4) * 8)[..., None] + np.array([seed, 3 * seed, 7 * seed])
    return Image.fromarray((ramp % 256).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def _pictures(seed: int) -> list[bytes]:
    """One picture in the formats and modes that people have."""
    whole, files = _picture(seed), []
    for mode, form in (
        ("RGB", "PNG"), ("RGB", "JPEG"), ("CMYK", "JPEG"), ("RGB", "BMP"), ("P", "GIF"), ("RGBA", "PNG"), ("L", "TIFF"),
        ("I;16", "PNG"), ("1", "PNG"), ("RGB", "WEBP"), ("RGB", "PPM"), ("RGB", "TGA"), ("RGBA", "ICO"),
    ):  # fmt: skip
        memory = io.BytesIO()
        shown = whole.convert("L").convert("I").point(lambda v: v * 257).convert(mode) if mode == "I;16" else whole
        shown.convert(mode).save(memory, form)
        files.append(memory.getvalue())
    return files


Tree = dict[bytes, bytes | tuple[str, bytes]]  # content, or a kind of special file with its target


def _trees() -> list[Tree]:
    """Layouts that are right: private and public people, everybody together, a split by others."""
    files = [_pictures(seed)[seed % 5] for seed in range(60)]
    sides: Tree = {f"private/p{i // 5}/{i}.png".encode(): files[i] for i in range(15)}
    sides |= {f"public/q{i}/{i}.jpg".encode(): files[i] for i in range(15, 29)}
    flat: Tree = {f"p{i // 10}/{i}.png".encode(): files[i] for i in range(20)}
    flat |= {f"q{i // 4}/{i}.bmp".encode(): files[i] for i in range(20, 36)}
    split: Tree = {f"{('train', 'test')[i % 2]}/p{i // 11}/{i}.png".encode(): files[i] for i in range(44)}
    return [sides, flat, split]


def _mutated_tree(tree: Tree, rng: Generator) -> Tree:
    tree = dict(tree)
    for _ in range(int(rng.integers(1, 6))):
        path, other, how = one_of(list(tree), rng), one_of(list(tree), rng), rng.random()
        content = tree[path]
        if how < 0.4 and isinstance(content, bytes):
            tree[path] = mutated(content, rng)
        elif how < 0.6:
            tree[mutated(path, rng, most=1)] = tree.pop(path)
        elif how < 0.7:
            tree[mutated(path, rng, most=1)] = content
        elif how < 0.75:
            tree[path] = tree[other]
        elif how < 0.85:
            tree[path] = ("link", one_of((b"/", b"..", b".", b"nowhere", path, b"../..", b"../../" + other), rng))
        elif how < 0.9:
            tree[path] = ("fifo", b"")
        elif how < 0.95:
            tree[path + b"/deeper/" + os.path.basename(other)] = tree.pop(path)
        else:
            folder = os.path.dirname(path)
            tree = {name: value for name, value in tree.items() if os.path.dirname(name) != folder} or tree
    return tree


def _write_tree(root: Path, tree: Tree) -> None:
    """As much of it as a file system takes."""
    root.mkdir()
    for name, content in tree.items():
        parts = [part for part in name.replace(b"\0", b"").split(b"/") if part not in (b"", b".", b"..")]
        path = os.path.join(os.fsencode(root), *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if isinstance(content, bytes):
                with open(path, "wb") as file:
                    file.write(content)
            elif content[0] == "link":
                os.symlink(content[1], path)
            else:
                os.mkfifo(path)
        except OSError:
            continue


def _check_faces(task: FaceTask) -> None:
    for images, labels in ((task.x_train, task.y_train), (task.x_test, task.y_test)):
        assert images.shape == (len(labels), 3, SIDE, SIDE)
        assert images.dtype == torch.uint8
        assert set(labels.tolist()) == set(range(task.num_classes))
    private = {row.numpy().tobytes() for row in (*task.x_train, *task.x_test)}
    assert len(private) == len(task.x_train) + len(task.x_test), "an image is there twice"
    assert not private & {row.numpy().tobytes() for row in task.public}, "private and public"
    assert len(task.public) >= 10
