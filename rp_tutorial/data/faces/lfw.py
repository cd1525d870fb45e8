"""Labeled Faces in the Wild as scikit-learn fetches and stores it: press photographs of 5,749 real people.

scikit-learn downloads and checks the archive; the images are then read from where it unpacked them, because its own
loader would hold every image of the data set as floats. Private are the people with most images, as in `folder.py`.
Research use only; do not publish images. Source: Huang et al., Labeled Faces in the Wild (2007); funneled, Huang et
al., Unsupervised Joint Alignment (2007).
"""

import os
from pathlib import Path

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.files import Limits, Person, Reading, build_task
from rp_tutorial.data.faces.folder import by_count, people_inside
from rp_tutorial.data.faces.registry import face_source
from rp_tutorial.data.faces.task import FaceTask

PEOPLE, IMAGES = 5749, 13233
CROP = 116  # pixels of 250: the face without most of the background
SIDES = (250, 250)
_ARCHIVE = "lfw-funneled.tgz"


def lfw_folder() -> Path:
    """Where scikit-learn keeps the images: `lfw_home/lfw_funneled` in its data home ($SCIKIT_LEARN_DATA changes it)."""
    home = os.environ.get("SCIKIT_LEARN_DATA") or Path("~", "scikit_learn_data")
    return Path(home).expanduser() / "lfw_home" / "lfw_funneled"


@face_source("lfw")
def load_lfw(*, size: int, limits: Limits, seed: int, download: bool = True) -> FaceTask:
    """Private people (most images, at least 10 each) and public ones, the centre 116x116 of each 250x250 image scaled.

    Downloads 200 MB once, into scikit-learn's data home, if they are not there and `download` is true.
    `notes` say so where the folder does not hold the 5,749 people and 13,233 images of the original.
    Raises InputError, one line, if the data are absent and cannot be downloaded, or as `files.build_task`.
    """
    folder = lfw_folder()
    if not folder.is_dir():
        _download(folder, allowed=download)
    people, _ = people_inside(folder)  # lists of pairs lie beside the people: no images, nothing to tell of
    people = {name: files for name, files in people.items() if files}
    private, public = by_count(people, limits.identities)
    if not private:
        raise InputError(
            f"data: lfw: nobody of {len(people):,} people in {folder} has enough images, so it seems incomplete: "
            "remove it and run `rp-tutorial data fetch faces`"
        )
    images = sum(map(len, people.values()))
    notes = []
    if (len(people), images) != (PEOPLE, IMAGES):
        notes.append(f"{len(people):,} people and {images:,} images; the original has {PEOPLE:,} and {IMAGES:,}")
    chosen = [Person(name, private[name]) for name in sorted(private)]
    files = [file for name in sorted(public) for file in public[name]]
    reading = Reading(folder, size, crop=CROP, exact=SIDES)
    return build_task("lfw", chosen, files, reading=reading, limits=limits, seed=seed, notes=notes)


def _download(folder: Path, *, allowed: bool) -> None:
    """Let scikit-learn fetch, check and unpack the archive. The people it loads on top are only a few: 530 images."""
    by_hand = f"or put {_ARCHIVE} from scikit-learn's source into {folder.parent} by hand"
    if not allowed:
        raise InputError(f"data: lfw: is not in {folder}: run `rp-tutorial data fetch faces`, {by_hand}")
    from sklearn.datasets import fetch_lfw_people

    try:
        fetch_lfw_people(data_home=folder.parents[1], color=True, min_faces_per_person=500, n_retries=1)
    except (OSError, EOFError) as error:  # no network, a wrong checksum, a full disk, a broken archive
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"data: lfw: the download failed ({reason}): try again, {by_hand}") from error
