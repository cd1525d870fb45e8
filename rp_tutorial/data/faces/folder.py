"""Faces from a folder of one's own: one subfolder a person, images of any format that Pillow reads.

Who is private is said by two subfolders, `private/` and `public/`, with the people below them; without them the people
with most images are private. Reading and splitting are in `files.py`.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.files import Limits, Person, Reading, build_task, refuse_shared_names
from rp_tutorial.data.faces.images import is_image_name
from rp_tutorial.data.faces.registry import face_source
from rp_tutorial.data.faces.task import FaceTask

MINIMUM_BY_COUNT = 10  # images that make a person worth attacking where nobody said who is private
SPLITS = {"train", "test", "val", "valid", "validation"}  # folders of data sets that others have split
_LAYOUT = "allowed is a folder with private/PERSON/ and public/PERSON/, or with PERSON/ for everybody"

People = Mapping[str, list[Path]]


@face_source("folder", with_path=True)
def load_folder(path: str | os.PathLike[str], *, size: int, limits: Limits, seed: int) -> FaceTask:
    """Private and public people from the folder, scaled to `size`; the counts in `limits` are upper limits.

    With `private/` and `public/` (in any case) the people in them are what they say, and of more private people than
    `limits.identities` those with most images stay. Without them, the people with most images are private, but only
    people with 10 images or more and never more than half of all; everybody else is public.
    A person's images may lie in subfolders. Labels follow the alphabet.
    Files that are no images are left out and counted, wherever they lie. Raises InputError, one line.
    """
    root = Path(path).expanduser()
    source = f"folder:{root.resolve().name}"
    private, public, notes = _people(root, source, limits.identities)
    refuse_shared_names(source, private, public)
    used = set(most_images(private, limits.identities))
    chosen = [Person(name, private[name]) for name in sorted(used)]
    withheld = [file for name in private if name not in used for file in private[name]]
    files = [file for name in sorted(public) for file in public[name]]
    reading = Reading(root, size)
    return build_task(source, chosen, files, reading=reading, limits=limits, seed=seed, withheld=withheld, notes=notes)


def people_inside(folder: Path) -> tuple[dict[str, list[Path]], list[Path]]:
    """Every subfolder with its image files, all in the alphabet's order, and the files that are no images."""
    people: dict[str, list[Path]] = {}
    others = []
    for entry in sorted(os.scandir(folder), key=lambda found: found.name):
        if entry.name.startswith(".") or folder.resolve().is_relative_to(Path(entry.path).resolve()):
            continue  # a link that leads back to where we are is nobody
        if not entry.is_dir():
            others.append(Path(entry.path))
            continue
        files = [
            Path(place, name)
            for place, _, names in sorted(os.walk(entry.path))
            for name in sorted(names)
            if not name.startswith(".")
        ]
        people[entry.name] = [file for file in files if is_image_name(file.name)]
        others += [file for file in files if not is_image_name(file.name)]
    return people, others


def most_images(people: People, most: int, *, minimum: int = 1) -> list[str]:
    """Names of the `most` people with most images, of those with `minimum` or more; the alphabet breaks ties."""
    enough = [name for name, files in people.items() if len(files) >= minimum]
    return sorted(enough, key=lambda name: (-len(people[name]), name))[:most]


def by_count(people: People, most: int) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Private: the people with most images, from 10 images and up to half of all. Public: everybody else."""
    names = set(most_images(people, min(most, len(people) // 2), minimum=MINIMUM_BY_COUNT))
    private = {name: files for name, files in people.items() if name in names}
    return private, {name: files for name, files in people.items() if name not in names}


def _people(root: Path, source: str, most: int) -> tuple[People, People, list[str]]:
    """Private people, public people, and remarks on what was left out."""
    sides = _sides(root, source)
    if {"train", "test"} <= sides.keys():
        found, notes = _joined(sides), ["train/ and test/ are one set here, split anew: a person's images are joined"]
    else:
        found, notes = {side: people_inside(folder) for side, folder in sorted(sides.items()) or [("", root)]}, []
    others = [file for _, files in found.values() for file in files]
    groups = []
    if others:
        first = os.path.relpath(others[0], root)
        notes.append(f"files that are no images, left out: {len(others):,}, the first {first!r}")
    for side, (people, _) in found.items():
        empty = [name for name, files in people.items() if not files]
        if len(empty) == len(people):
            raise InputError(f"data: {source}: {side and f'{side}/ '}holds no person with an image; {_LAYOUT}")
        if empty:
            notes.append(f"people without an image, left out: {len(empty):,}, the first {empty[0]!r}")
        groups.append({name: files for name, files in people.items() if files})
    private, public = groups if len(groups) == 2 else by_count(groups[0], most)
    inside = (
        [name for name in public if sum(entry.is_dir() for entry in os.scandir(root / name)) > 1] if not sides else []
    )
    if not private and len(public) == len(inside) == 1:
        raise InputError(
            f"data: {source}: holds {inside[0]}/ alone, with the people in it; allowed is that folder itself"
        )
    if not private:
        raise InputError(
            f"data: {source}: nobody of {len(public):,} people can be private: without private/ and public/ there "
            f"have to be two people or more, and those who are private need {MINIMUM_BY_COUNT} images"
        )
    return private, public, notes


def _joined(sides: Mapping[str, Path]) -> dict[str, tuple[People, list[Path]]]:
    """The people of folders that are parts of one data set, under one name each."""
    people: dict[str, list[Path]] = {}
    others = []
    for folder in sides.values():
        inside, left = people_inside(folder)
        others += left
        for name, files in inside.items():
            people[name] = people.get(name, []) + files
    return {"": (people, others)}


def _sides(root: Path, source: str) -> dict[str, Path]:
    """The folders private/ and public/, both or none; or those of a split made by others: train/, test/ and so on."""
    if not root.exists():
        raise InputError(f"data: {source}: no such folder; {_LAYOUT}")
    if not root.is_dir():
        raise InputError(f"data: {source}: is a file; {_LAYOUT}")
    try:
        folders = [Path(entry.path) for entry in os.scandir(root) if entry.is_dir()]
    except OSError as error:
        raise InputError(f"data: {source}: cannot be read ({error.strerror})") from None
    named = {folder.name.lower(): folder for folder in folders}
    if len(named) > 1 and named.keys() <= SPLITS and {"train", "test"} <= named.keys():
        return named
    sides = {side: named[side] for side in ("private", "public") if side in named}
    if len(sides) == 1:
        (found,) = sides
        missing = "public" if found == "private" else "private"
        raise InputError(f"data: {source}: has {found}/ but no {missing}/; {_LAYOUT}")
    return sides
