"""CelebA by the protocol of the published model-inversion work: who is private, who is public, and the crop.

`PATH` holds the aligned images (178x218) in `img_align_celeba/`, `identity_CelebA.txt`, and optionally the lists that
were used with the published networks (`celeba_trainset.txt`, `celeba_testset.txt`, `celeba_ganset.txt`, with or without
`celeba_`). Nothing is downloaded here. Non-commercial research only. Source: Liu et al., Deep Learning Face Attributes
in the Wild (ICCV 2015); the protocol: Zhang et al., The Secret Revealer (CVPR 2020), Kahla et al., BREP-MI (CVPR 2022).
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.files import Limits, Person, Reading, build_task, some
from rp_tutorial.data.faces.registry import face_source
from rp_tutorial.data.faces.task import FaceTask

PRIVATE_PEOPLE, PRIVATE_MINIMUM = 1000, 30
PUBLIC_IMAGES = 30_000
CROP = 108  # of the aligned image: rows 55 to 162, columns 35 to 142
SIDES = (178, 218)
IMAGES, IDENTITIES = "img_align_celeba", "identity_CelebA.txt"
TRAIN, TEST, GAN = "trainset.txt", "testset.txt", "ganset.txt"
HOW_TO_GET = (
    "CelebA has to be fetched by hand, from mmlab.ie.cuhk.edu.hk/projects/CelebA.html, after reading its terms "
    f"(non-commercial research): unpack img_align_celeba.zip, put {IDENTITIES} beside the folder {IMAGES}/, and give "
    "celeba:PATH of the folder that holds both."
)


def private_identities(identity_of: Mapping[str, int]) -> list[int]:
    """The first 1,000 identity numbers, ascending, that have 30 images or more; label k is the k-th of them.

    `identity_of` maps every file name to its identity number. On the full list: 30,027 images.
    """
    counts = Counter(identity_of.values())
    return [identity for identity in sorted(counts) if counts[identity] >= PRIVATE_MINIMUM][:PRIVATE_PEOPLE]


def read_identities(path: Path, source: str) -> dict[str, int]:
    """File name -> identity number, from lines `000001.jpg 2880`. Raises InputError, naming the line."""
    return _pairs(path, source, "a file name and an identity number")


@face_source("celeba", with_path=True)
def load_celeba(path: str | os.PathLike[str], *, size: int, limits: Limits, seed: int) -> FaceTask:
    """Private people by `private_identities` (the first `limits.identities` of them), public images of all others.

    The centre 108x108 is scaled to `size`, bilinear. All 1,000 stay out of the public set, however many are used.
    With the lists trainset and testset the split is theirs, otherwise it is drawn by `seed`; with the list ganset the
    public images are from it, otherwise 30,000 are drawn. The counts in `limits` are upper limits, label k keeps its
    meaning under them.
    Raises InputError, one line: absent folder or lists, images on the lists that are missing, lists that disagree with
    the private rule, or as `files.build_task`.
    """
    root = Path(path).expanduser()
    source = f"celeba:{root.resolve().name}"
    if not root.is_dir():
        raise InputError(f"data: {source}: {'is a file' if root.exists() else 'no such folder'}; {HOW_TO_GET}")
    places = root / IMAGES / IMAGES, root / IMAGES  # some archives hold the folder twice
    folder = _first(places, Path.is_dir, source, f"folder {IMAGES}/")
    identities = _first((root / IDENTITIES, root / "Anno" / IDENTITIES), Path.is_file, source, IDENTITIES)
    identity_of = read_identities(identities, source)
    private = private_identities(identity_of)
    notes = []
    if len(private) < PRIVATE_PEOPLE:
        notes.append(f"{len(private):,} identities have {PRIVATE_MINIMUM} images or more; the original has 1,000")
    train, test, listed = _split_lists(root, source, identity_of, private)
    notes += listed
    used, reserved = private[: limits.identities], set(private)
    people = [
        Person(str(identity), _inside(folder, train[label]), _inside(folder, test[label]) if test else None)
        for label, identity in enumerate(used)
    ]
    names, listed = _public(root, source, identity_of, private, seed)
    public, notes = _inside(folder, names), [*notes, *listed]
    withheld = _inside(folder, [file for file, identity in identity_of.items() if identity in reserved])
    _refuse_missing(folder, source, [file for person in people for file in (*person.files, *(person.test_files or ()))])
    _refuse_missing(folder, source, public)
    told = {"withheld": withheld, "notes": notes, "keep_labels": True}
    reading = Reading(root, size, crop=CROP, exact=SIDES)
    return build_task(source, people, public, reading=reading, limits=limits, seed=seed, **told)


def _first(places: Sequence[Path], is_there: Callable[[Path], bool], source: str, what: str) -> Path:
    for place in filter(is_there, places):
        return place
    raise InputError(f"data: {source}: has no {what}; {HOW_TO_GET}")


def _list(root: Path, name: str) -> Path | None:
    return next((path for path in (root / name, root / f"celeba_{name}") if path.is_file()), None)


def _split_lists(
    root: Path, source: str, identity_of: Mapping[str, int], private: Sequence[int]
) -> tuple[dict[int, list[str]], dict[int, list[str]], list[str]]:
    """File names by label: those of trainset and of testset, or all of them and nothing where there are no lists."""
    train_list, test_list = _list(root, TRAIN), _list(root, TEST)
    if (train_list is None) != (test_list is None):
        there, absent = (TRAIN, TEST) if test_list is None else (TEST, TRAIN)
        raise InputError(f"data: {source}: has {there} but no {absent}; allowed are both or none")
    label_of = {identity: label for label, identity in enumerate(private)}
    if train_list is None:
        by_rule = {file: label_of[identity] for file, identity in identity_of.items() if identity in label_of}
        return _by_label(by_rule), {}, []
    lists = [_pairs(path, source, "a file name and a label") for path in (train_list, test_list)]
    for path, labels in zip((train_list, test_list), lists, strict=True):
        for file, label in labels.items():
            if label_of.get(identity_of.get(file)) != label:
                raise InputError(
                    f"data: {source}: {path.name}: {file} has label {label}, which is not what {IDENTITIES} says"
                )
        absent = sorted(set(range(len(private))) - set(labels.values()))
        if absent:
            raise InputError(f"data: {source}: {path.name}: has no image of label {absent[0]}")
    both = sorted(lists[0].keys() & lists[1].keys())
    if both:
        raise InputError(f"data: {source}: {both[0]} is in {train_list.name} and in {test_list.name}; allowed is one")
    return _by_label(lists[0]), _by_label(lists[1]), [f"split as {train_list.name} and {test_list.name} say"]


def _by_label(labels: Mapping[str, int]) -> dict[int, list[str]]:
    files: dict[int, list[str]] = defaultdict(list)
    for file in sorted(labels):
        files[labels[file]].append(file)
    return files


def _public(
    root: Path, source: str, identity_of: Mapping[str, int], private: Sequence[int], seed: int
) -> tuple[list[str], list[str]]:
    """The files of ganset, or 30,000 drawn from everybody who is not private."""
    reserved, path = set(private), _list(root, GAN)
    if path is None:
        others = sorted(file for file, identity in identity_of.items() if identity not in reserved)
        return sorted(some(others, PUBLIC_IMAGES, seed, GAN)), []
    files = [line.strip() for _, line in _lines(path, source)]
    for file in files:
        if file not in identity_of:
            raise InputError(f"data: {source}: {path.name}: {file[:60]!r} is not in {IDENTITIES}")
        if identity_of[file] in reserved:
            raise InputError(
                f"data: {source}: {path.name}: {file} shows identity {identity_of[file]}, which is private; "
                "allowed are private and public people that are disjoint"
            )
    return files, [f"public images as {path.name} says"]


def _inside(folder: Path, files: Sequence[str]) -> list[Path]:
    return [folder / file for file in files]


def _refuse_missing(folder: Path, source: str, files: Sequence[Path]) -> None:
    there = set(os.listdir(folder))
    missing = [file.name for file in files if file.name not in there]
    if missing:
        raise InputError(
            f"data: {source}: {len(missing):,} of {len(files):,} images on the lists are missing from {IMAGES}/, the "
            f"first {missing[0]}; allowed is the complete folder"
        )


def _lines(path: Path, source: str) -> list[tuple[int, str]]:
    """Numbered lines that are not blank. The official list ends its lines the Windows way."""
    try:
        text = path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise InputError(f"data: {source}: {path.name}: cannot be read ({error.strerror})") from None
    if "\0" in text:
        raise InputError(f"data: {source}: {path.name}: is not plain text")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise InputError(f"data: {source}: {path.name}: is empty")
    return lines


def _pairs(path: Path, source: str, meaning: str) -> dict[str, int]:
    pairs: dict[str, int] = {}
    for number, line in _lines(path, source):
        words = line.split()
        if len(words) != 2 or not words[1].isdigit() or os.path.basename(words[0]) != words[0]:
            raise InputError(f"data: {source}: {path.name}, line {number}: got {line[:60]!r}, allowed is {meaning}")
        if words[0] in pairs:
            raise InputError(f"data: {source}: {path.name}, line {number}: {words[0]} was there before")
        pairs[words[0]] = int(words[1])
    return pairs
