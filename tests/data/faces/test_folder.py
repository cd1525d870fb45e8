"""Folders of faces: who is private, what is read, counted and left out, and that nobody is on both sides."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from face_trees import picture, write_people, write_person

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import FaceTask


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("people"))


@pytest.fixture
def own_people(tmp_path: Path) -> Path:
    """A tree that a test may spoil."""
    return write_people(tmp_path / "people")


def load(folder: Path, **counts: int) -> FaceTask:
    return load_faces(f"folder:{folder}", size=32, **counts)


def marks(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_subfolders_say_who_is_private(people: Path) -> None:
    task = load(people)
    assert task.num_classes == 3
    assert task.y_train.bincount().tolist() == [4, 4, 4]  # 6 images each, 20 / 70 of them for testing
    assert task.y_test.bincount().tolist() == [2, 2, 2]
    assert task.public.shape == (12, 3, 32, 32)
    assert {task.x_train.dtype, task.x_test.dtype, task.public.dtype} == {torch.uint8}
    assert {task.y_train.dtype, task.y_test.dtype} == {torch.int64}
    assert task.source == "folder:people0"
    assert task.real_people
    assert task.notes == ()


def test_training_test_and_public_images_are_disjoint(people: Path) -> None:
    task = load(people)
    sets = [marks(task.x_train), marks(task.x_test), marks(task.public)]
    assert len(set.union(*sets)) == sum(map(len, sets)) == 30


def test_labels_follow_the_alphabet(people: Path) -> None:
    task = load(people)
    for label in range(3):
        own = {bytes(torch_bytes(1000 * label + number)) for number in range(6)}
        assert marks(task.x_train[task.y_train == label]) | marks(task.x_test[task.y_test == label]) == own


def torch_bytes(seed: int) -> bytes:
    import numpy as np

    return np.ascontiguousarray(np.asarray(picture(seed)).transpose(2, 0, 1)).tobytes()


def test_the_seed_decides_the_split_and_the_threads_do_not(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(people)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert load(people).fingerprint == first.fingerprint
    assert load(people, seed=1).fingerprint != first.fingerprint


def test_the_fingerprint_depends_on_bytes_and_labels(people: Path, own_people: Path) -> None:
    before = load(own_people).fingerprint
    assert before == load(people).fingerprint
    (own_people / "private" / "p0").rename(own_people / "private" / "p9")
    assert load(own_people).fingerprint != before


def test_the_split_of_one_person_does_not_depend_on_the_others(own_people: Path) -> None:
    before = load(own_people)
    shutil.rmtree(own_people / "private" / "p0")
    after = load(own_people)
    assert marks(after.x_test[after.y_test == 0]) == marks(before.x_test[before.y_test == 1])


def test_counts_are_upper_limits(people: Path) -> None:
    task = load(people, identities=2, train_images=3, test_images=1, public_images=10)
    assert task.y_train.bincount().tolist() == [3, 3]
    assert task.y_test.bincount().tolist() == [1, 1]
    assert len(task.public) == 10


def test_without_subfolders_people_with_most_images_are_private(tmp_path: Path) -> None:
    for index, images in enumerate((3, 12, 14, 9, 5, 1)):
        write_person(tmp_path / f"n{index}", images, seed=index)
    task = load(tmp_path)
    assert task.num_classes == 2  # n1 and n2: ten images and more
    assert len(task.public) == 3 + 9 + 5 + 1


def test_never_more_than_half_are_private_by_count(tmp_path: Path) -> None:
    for index in range(5):
        write_person(tmp_path / f"n{index}", 10, seed=index)
    task = load(tmp_path)
    assert task.num_classes == 2
    assert len(task.public) == 30


def test_a_split_made_by_others_is_joined_and_said(tmp_path: Path) -> None:
    for index, images in enumerate((6, 7, 2, 3)):
        write_person(tmp_path / "train" / f"n{index}", images, seed=index)
        write_person(tmp_path / "Test" / f"n{index}", images, seed=100 + index)
    task = load(tmp_path)
    assert task.num_classes == 2  # n0 and n1: 12 and 14 images
    assert len(task.public) == 4 + 6
    assert any("train/ and test/ are one set here" in note for note in task.notes)


def test_a_folder_one_level_too_high_names_the_right_one(tmp_path: Path) -> None:
    for index in range(4):
        write_person(tmp_path / "faces" / f"n{index}", 12, seed=index)
    with pytest.raises(InputError, match=r"holds faces/ alone, with the people in it; allowed is that folder itself"):
        load(tmp_path)
    assert load(tmp_path / "faces").num_classes == 2


def test_a_link_back_to_the_folder_is_nobody(tmp_path: Path) -> None:
    for index in range(4):
        write_person(tmp_path / f"n{index}", 12, seed=index)
    whole = load(tmp_path).fingerprint
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "up").symlink_to(tmp_path.parent, target_is_directory=True)
    assert load(tmp_path).fingerprint == whole


def test_nobody_may_be_private_and_public(own_people: Path) -> None:
    (own_people / "private" / "p0").rename(own_people / "private" / "Ann_Marie Lee")
    write_person(own_people / "public" / "ann-marie lee", 1, seed=77)
    with pytest.raises(InputError, match="'ann-marie lee' is private and public at once"):
        load(own_people)


def test_a_private_person_beyond_the_limit_is_not_public_either(own_people: Path) -> None:
    write_person(own_people / "private" / "small", 2, seed=78)
    write_person(own_people / "public" / "small", 1, seed=79)
    with pytest.raises(InputError, match="'small' is private and public at once"):
        load(own_people, identities=2)


def test_a_private_image_under_another_name_does_not_reach_the_public_set(own_people: Path) -> None:
    copied = own_people / "private" / "p0" / "00.png"
    shutil.copy(copied, own_people / "public" / "q00" / "another.png")
    shutil.copy(copied, own_people / "private" / "p0" / "again.png")
    task = load(own_people)
    assert len(task.public) == 12
    assert torch_bytes(0) not in marks(task.public)
    assert marks(task.x_train).isdisjoint(marks(task.x_test))
    assert task.notes == ("images that are there twice, kept once: 2",)


def test_a_private_image_that_the_limits_leave_out_does_not_reach_the_public_set(own_people: Path) -> None:
    for number in range(6):
        shutil.copy(
            own_people / "private" / "p0" / f"{number:02}.png", own_people / "public" / "q00" / f"x{number}.png"
        )
    task = load(own_people, identities=2, train_images=1, test_images=1)
    assert len(task.public) == 12
    assert marks(task.public).isdisjoint(torch_bytes(number) for number in range(6))


def test_unusable_images_are_left_out_counted_and_named(own_people: Path) -> None:
    (own_people / "private" / "p1" / "00.png").write_bytes(b"")
    (own_people / "public" / "q03" / "00.png").write_text("words")
    task = load(own_people)
    assert task.num_classes == 3
    assert len(task.y_train) + len(task.y_test) == 17
    assert len(task.public) == 11
    place = os.path.join("private", "p1", "00.png")
    assert task.notes == (f"2 of 30 images cannot be used, the first {place!r} is empty: left out",)


def test_people_with_one_image_left_cannot_be_private(own_people: Path) -> None:
    write_person(own_people / "private" / "single", 1, seed=80)
    task = load(own_people)
    assert task.num_classes == 3
    assert task.notes == ("private people with fewer than 2 usable images, left out: 1, the first 'single'",)


def test_other_files_and_empty_people_are_counted_and_hidden_ones_ignored(own_people: Path) -> None:
    (own_people / "private" / "p0" / "notes.txt").write_text("x")
    (own_people / "public" / "loose.png").write_bytes(b"x")
    (own_people / "public" / ".DS_Store").write_text("x")
    (own_people / "public" / ".hidden").mkdir()
    (own_people / "public" / "nobody").mkdir()
    place = os.path.join("private", "p0", "notes.txt")
    assert load(own_people).notes == (
        f"files that are no images, left out: 2, the first {place!r}",
        "people without an image, left out: 1, the first 'nobody'",
    )


def test_images_may_lie_deeper_and_be_of_several_formats(tmp_path: Path) -> None:
    for ending in ("bmp", "tif"):
        write_people(tmp_path / ending, private=2, ending=ending)
        shutil.copytree(tmp_path / ending / "private" / "p0", tmp_path / "all" / "Private" / "p0" / ending)
        shutil.copytree(tmp_path / ending / "private" / "p1", tmp_path / "all" / "Private" / f"p1{ending}")
    shutil.copytree(tmp_path / "tif" / "public", tmp_path / "all" / "PUBLIC")
    task = load(tmp_path / "all")
    assert task.num_classes == 2, "p0 and one of the copies of p1"
    assert len(task.public) == 12


def test_real_faces_load_in_seconds(real_data: Path) -> None:
    started = time.process_time()
    task = load_faces(
        f"folder:{real_data / 'lfw64'}", size=32, train_images=5000, test_images=2000, public_images=20_000
    )
    seconds = time.process_time() - started
    assert task.num_classes == 62
    assert len(task.y_train) + len(task.y_test) == 3023
    assert len(task.public) == 10_210
    assert task.notes == ()
    assert seconds < 20, "of the processor; about 5 for 13,233 files, shared by all cores"


def test_real_grey_faces_are_split_by_count(real_data: Path) -> None:
    task = load_faces(f"folder:{real_data / 'orl_faces'}", size=32)
    assert task.num_classes == 20
    assert len(task.public) == 200
    assert "grey images, copied to three channels: 400" in task.notes
