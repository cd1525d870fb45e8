"""LFW in scikit-learn's layout. Nothing is downloaded: the data home is a small one, built from real faces."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.sources import load_faces

FEW, SINGLES = 4, 12


@pytest.fixture(scope="module")
def data_home(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`lfw_home/lfw_funneled/NAME/NAME_0001.jpg`, 250x250, with real faces in the middle."""
    home = tmp_path_factory.mktemp("scikit_learn_data")
    people = [(path, 14) for path in sorted((real_data / "lfw64" / "private").iterdir())[:FEW]]
    people += [(path, 1) for path in sorted((real_data / "lfw64" / "public").iterdir())[:SINGLES]]
    for person, images in people:
        folder = home / "lfw_home" / "lfw_funneled" / person.name
        folder.mkdir(parents=True)
        for number, file in enumerate(sorted(person.iterdir())[:images], 1):
            whole = Image.new("RGB", (250, 250))
            whole.paste(Image.open(file).resize((116, 116)), (67, 67))
            whole.save(folder / f"{person.name}_{number:04}.jpg")
    for name in ("pairs.txt", "pairsDevTrain.txt", "pairsDevTest.txt"):
        (home / "lfw_home" / name).write_text("")
    (home / "lfw_home" / "lfw_funneled" / "pairs_01.txt").write_text("")
    return home


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise URLError("no network in the tests")

    monkeypatch.setattr(datasets, "fetch_lfw_people", refuse)


def test_people_with_most_images_are_private(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(data_home))
    task = load_faces("lfw", size=32)
    assert task.num_classes == FEW
    assert len(task.y_train) + len(task.y_test) == 14 * FEW
    assert len(task.public) == SINGLES
    assert task.real_people
    assert task.source == "lfw"
    assert task.notes == ("16 people and 68 images; the original has 5,749 and 13,233",)


def test_fewer_identities_leave_the_others_public(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(data_home))
    task = load_faces("lfw", size=32, identities=2)
    assert task.num_classes == 2
    assert len(task.public) == 14 * (FEW - 2) + SINGLES


def test_the_images_are_those_that_scikit_learn_loads(
    data_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(data_home))
    task = load_faces("lfw", size=116)
    middle = slice(67, 183)
    theirs = datasets.fetch_lfw_people(
        data_home=data_home, color=True, resize=None, slice_=(middle, middle), download_if_missing=False
    )
    ours = np.concatenate([task.x_train, task.x_test, task.public]).transpose(0, 2, 3, 1)
    scale = 255 if theirs.images.max() <= 1 else 1
    same = np.rint(theirs.images * scale).astype(np.uint8)
    assert {image.tobytes() for image in np.ascontiguousarray(ours)} == {image.tobytes() for image in same}


def test_absent_data_that_may_not_be_downloaded_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match="rp-tutorial data fetch faces"):
        load_faces("lfw", size=32, download=False)
    assert os.listdir(tmp_path) == []


def test_a_failed_download_is_one_line_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match=r"^data: lfw: the download failed \(.*no network.*by hand$"):
        load_faces("lfw", size=32)


def test_a_download_is_used_where_scikit_learn_puts_it(
    data_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(*, data_home: Path, **_: object) -> None:
        (Path(data_home) / "lfw_home").mkdir(parents=True)
        (Path(data_home) / "lfw_home" / "lfw_funneled").symlink_to(source / "lfw_home" / "lfw_funneled")

    source = data_home
    monkeypatch.setattr(datasets, "fetch_lfw_people", fetch)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    assert load_faces("lfw", size=32).num_classes == FEW


def test_an_incomplete_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lfw_home" / "lfw_funneled" / "Nobody").mkdir(parents=True)
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    with pytest.raises(InputError, match="seems incomplete"):
        load_faces("lfw", size=32)
