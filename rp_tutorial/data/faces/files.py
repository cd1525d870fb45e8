"""From lists of image files to a `FaceTask`: read in threads, drop and count what is unusable, split, fingerprint.

`folder.py`, `lfw.py` and `celeba.py` say which files belong to whom; `images.py` reads one of them.
Two rules hold for every source. An image that is there twice (equal bytes after scaling) is kept once, private people
before public ones, and a public file equal to a private one that is not used is left out: no private image reaches the
public set under another name. Unusable images are left out and
counted, but a source with more than 10 % of them is refused.
"""

import dataclasses
import hashlib
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, numpy_generator
from rp_tutorial.data.faces.images import UnusableImageError, read_image
from rp_tutorial.data.faces.task import FaceTask

UNUSABLE_SHARE = 0.1
MINIMUM_PEOPLE = 2
MINIMUM_PUBLIC = 10
_CHUNK = 64  # files a job of a thread
_HANDLED = {
    "grey": "grey images, copied to three channels",
    "alpha": "images with alpha, laid over white",
    "CMYK": "images in CMYK, converted",
    "16-bit": "images of 16 bits, rounded to 8",
    "rotated": "images turned upright by their EXIF tag",
    "frames": "images of several frames, the first used",
    "not square": "images that are not square, the centred square used",
    "enlarged": "images smaller than wanted, enlarged",
}


@dataclasses.dataclass(frozen=True)
class Limits:
    """Upper limits on what is read: private people, images of each for training and testing, public images."""

    identities: int
    train_images: int
    test_images: int
    public_images: int

    def test_share(self, images: int) -> int:
        """How many of a person's images are for testing: in the proportion of the limits, at least one."""
        share = images * self.test_images / (self.train_images + self.test_images)
        return min(self.test_images, max(1, round(share)))


@dataclasses.dataclass(frozen=True)
class Person:
    """A private person's files. With `test_files` the split is given, otherwise `files` are split by the limits."""

    name: str
    files: Sequence[Path]
    test_files: Sequence[Path] | None = None


@dataclasses.dataclass(frozen=True)
class Reading:
    """How files of this source are read: see `images.read_image`. `root` is left out of every message."""

    root: Path
    size: int
    crop: int | None = None
    exact: tuple[int, int] | None = None


def build_task(
    source: str,
    people: Sequence[Person],
    public: Sequence[Path],
    *,
    reading: Reading,
    limits: Limits,
    seed: int,
    withheld: Sequence[Path] = (),
    notes: Iterable[str] = (),
    keep_labels: bool = False,
) -> FaceTask:
    """The task of these people (label = position among those that stay) and of these public files.

    Reads at most what `limits` allow; which files is chosen by `seed` and by the person's name alone, so one person's
    split does not depend on the others. `withheld` are further images of private people, of whom nothing may be public.
    People left with fewer than two usable images are left out and counted; with `keep_labels` (labels have a meaning
    elsewhere) they are refused.
    Raises InputError, one line that starts with "data: SOURCE:".
    """
    private = [_chosen(person, limits, seed) for person in people]
    paths = _files(private)
    unused = set(_files(people)).union(withheld).difference(paths)
    drawn = some(public, limits.public_images, seed, "public images")
    shown = _without_copies(drawn, unused)
    images, usable, remarks = _read_all(source, paths + shown, reading)
    if len(shown) < len(drawn):
        remarks.append(f"public images that are copies of private ones, left out: {len(drawn) - len(shown):,}")
    first, copies = _first_of_copies(images, usable)
    remarks += [f"images that are there twice, kept once: {copies:,}"] if copies else []
    train, test, dropped = _split(private, first, limits)
    if dropped and keep_labels:
        raise InputError(f"data: {source}: identity {dropped[0]} has no usable image left for training or testing")
    if dropped:
        remarks.append(
            f"private people with fewer than 2 usable images, left out: {len(dropped):,}, the first {dropped[0]!r}"
        )
    kept = np.flatnonzero(first[len(paths) :]) + len(paths)
    _refuse_too_few(source, len(train), len(kept))
    arrays = images[np.concatenate(train)], _labels(train), images[np.concatenate(test)], _labels(test), images[kept]
    tensors = [torch.from_numpy(array) for array in arrays]
    mark = face_fingerprint((f"{tuple(tensor.shape)} {tensor.dtype}\n", tensor) for tensor in tensors)
    told = {"real_people": True, "notes": (*notes, *remarks)}
    return FaceTask(*tensors, len(train), reading.size, source, mark, **told)


def face_fingerprint(parts: Iterable[tuple[str, torch.Tensor]]) -> str:
    """sha256 (hex) over the heads and bytes of x_train, y_train, x_test, y_test and public, in this order."""
    digest = hashlib.sha256()
    for head, tensor in parts:
        digest.update(head.encode())
        digest.update(tensor.numpy().data)
    return digest.hexdigest()


def same_person(name: str) -> str:
    """A key that is equal for names that differ in case, in _ - or blanks, or in how accents are encoded."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().replace("_", " ").replace("-", " ").split())


def refuse_shared_names(source: str, private: Iterable[str], public: Iterable[str]) -> None:
    """Raise InputError if somebody is private and public at once."""
    known = {same_person(name): name for name in private}
    shared = [name for name in public if same_person(name) in known]
    if shared:
        more = f" (and {len(shared) - 1:,} more)" if len(shared) > 1 else ""
        raise InputError(
            f"data: {source}: {shared[0]!r}{more} is private and public at once; "
            "allowed are private and public people that are disjoint"
        )


def some(files: Sequence[Any], most: int, seed: int, name: str) -> list[Any]:
    """At most `most` of the files, in a random order that depends on the name of whose files they are."""
    whose = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest())
    order = numpy_generator(Purpose.FACE_FILES, seed, whose).permutation(len(files))[:most]
    return [files[index] for index in order]


def _chosen(person: Person, limits: Limits, seed: int) -> Person:
    most = limits.train_images if person.test_files is not None else limits.train_images + limits.test_images
    tests = person.test_files and some(person.test_files, limits.test_images, seed, person.name)
    return Person(person.name, some(person.files, most, seed, person.name), tests)


def _files(people: Iterable[Person]) -> list[Path]:
    return [path for person in people for path in (*person.files, *(person.test_files or ()))]


def _without_copies(files: Sequence[Path], private: Collection[Path]) -> list[Path]:
    """The files whose content is not that of a private one. Only files of equal length are compared."""
    length_of = {path: _length(path) for path in (*files, *private)}
    shared = {length_of[path] for path in files} & {length_of[path] for path in private} - {-1, 0}
    known = {_content(path) for path in private if length_of[path] in shared}
    return [path for path in files if length_of[path] not in shared or _content(path) not in known]


def _length(path: Path) -> int:
    """In bytes; -1 for a file that cannot be read, which is told of later if it matters."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _content(path: Path) -> bytes:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return os.fsencode(path)  # equal to no other


def _split(
    people: Sequence[Person], usable: np.ndarray, limits: Limits
) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Rows for training and for testing of every person who has both, and the names of the others."""
    train, test, dropped, start = [], [], [], 0
    for person in people:
        middle = start + len(person.files)
        end = middle + len(person.test_files or ())
        rows, tested = np.flatnonzero(usable[start:middle]) + start, np.flatnonzero(usable[middle:end]) + middle
        if person.test_files is None:
            n_test = limits.test_share(len(rows))
            rows, tested = rows[n_test:], rows[:n_test]
        start = end
        if len(rows) and len(tested):
            train.append(rows[: limits.train_images])
            test.append(tested)
        else:
            dropped.append(person.name)
    return train, test, dropped


def _labels(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.repeat(np.arange(len(rows), dtype=np.int64), [len(of_one) for of_one in rows])


def _refuse_too_few(source: str, people: int, public: int) -> None:
    for found, least, what in (
        (people, MINIMUM_PEOPLE, "private people with 2 or more usable images"),
        (public, MINIMUM_PUBLIC, "usable images of public people"),
    ):
        if found < least:
            raise InputError(f"data: {source}: got {found} {what}, allowed is at least {least}")


def _first_of_copies(images: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, int]:
    """Which rows are usable and no copy of an earlier one, and how many are copies."""
    seen: set[bytes] = set()
    first = usable.copy()
    for row in np.flatnonzero(usable):
        mark = hashlib.blake2b(images[row].data, digest_size=16).digest()
        first[row] = mark not in seen
        seen.add(mark)
    return first, int(usable.sum() - first.sum())


def _read_all(source: str, paths: Sequence[Path], reading: Reading) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """uint8 [N, 3, size, size], which rows are usable, and remarks. Peak memory: the result and an image a thread."""
    images = np.zeros((len(paths), 3, reading.size, reading.size), dtype=np.uint8)
    usable = np.zeros(len(paths), dtype=bool)
    problems: dict[int, str] = {}

    def work(start: int) -> Counter[str]:
        counted: Counter[str] = Counter()
        for row in range(start, min(start + _CHUNK, len(paths))):
            try:
                images[row], handled = read_image(paths[row], size=reading.size, crop=reading.crop, exact=reading.exact)
            except UnusableImageError as error:
                problems[row] = str(error)
            else:
                usable[row] = True
                counted.update(handled)
        return counted

    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count()) as workers:
        warnings.simplefilter("ignore")  # Pillow's, on odd EXIF and the like: what matters is counted
        counted = sum(workers.map(work, range(0, len(paths), _CHUNK)), Counter())
    remarks = [f"{text}: {counted[kind]:,}" for kind, text in _HANDLED.items() if counted[kind]]
    if problems:
        remarks.append(_unusable(source, paths, problems, reading.root))
    return images, usable, remarks


def _unusable(source: str, paths: Sequence[Path], problems: dict[int, str], root: Path) -> str:
    """The remark on unusable images, or the refusal where they are too many."""
    row = min(problems, key=lambda index: paths[index])
    place = os.path.relpath(paths[row], root)
    text = f"{len(problems):,} of {len(paths):,} images cannot be used, the first {place!r} {problems[row]}"
    if len(problems) > UNUSABLE_SHARE * len(paths):
        raise InputError(f"data: {source}: {text}; allowed are up to {UNUSABLE_SHARE:.0%}")
    return f"{text}: left out"
