"""CelebA: the private rule on the real lists, the crop and the split on a small tree of aligned images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_trees import write_celeba
from PIL import Image

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.celeba import private_identities, read_identities
from rp_tutorial.data.faces.sources import load_faces


@pytest.fixture(scope="module")
def real_lists(real_data: Path) -> Path:
    folder = real_data / "celeba_splits"
    if not folder.is_dir():
        pytest.skip("real data are absent: no celeba_splits/ in the folder of real data")
    return folder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Identities 7 and 14 with 30 images, 21 to 49 with 2."""
    return write_celeba(tmp_path_factory.mktemp("celeba"))


@pytest.fixture
def listed(tree: Path, tmp_path: Path) -> Path:
    """The same images with lists beside them: 27 to train on and 3 to test on, two of each three public images."""
    (tmp_path / "img_align_celeba").symlink_to(tree / "img_align_celeba")
    (tmp_path / "identity_CelebA.txt").write_bytes((tree / "identity_CelebA.txt").read_bytes())
    private = [(f"{number:06}.jpg", int(number > 30)) for number in range(1, 61)]
    for name, rows in (("trainset", private[0:27] + private[30:57]), ("testset", private[27:30] + private[57:60])):
        (tmp_path / f"celeba_{name}.txt").write_text("".join(f"{file} {label}\n" for file, label in rows))
    (tmp_path / "celeba_ganset.txt").write_text("".join(f"{number:06}.jpg\n" for number in range(61, 71)))
    return tmp_path


def test_the_private_rule_gives_the_published_thousand(real_lists: Path) -> None:
    identity_of = read_identities(real_lists / "identity_CelebA.txt", "celeba")
    private = private_identities(identity_of)
    label_of = {identity: label for label, identity in enumerate(private)}
    assert len(identity_of) == 202_599
    assert len(private) == 1000
    assert sum(identity in label_of for identity in identity_of.values()) == 30_027
    for name, images in (("trainset", 27_018), ("testset", 3_009)):
        lines = (real_lists / f"celeba_{name}.txt").read_text().splitlines()
        assert len(lines) == images
        assert all(label_of[identity_of[file]] == int(label) for file, label in map(str.split, lines))
    public = (real_lists / "celeba_ganset.txt").read_text().split()
    assert len(public) == 30_000
    assert not any(identity_of[file] in label_of for file in public)


def test_without_lists_the_rule_and_the_seed_decide(tree: Path) -> None:
    task = load_faces(f"celeba:{tree}", size=64)
    assert task.num_classes == 2
    assert task.y_test.bincount().tolist() == [9, 9]  # 30 x 20 / 70, rounded
    assert task.y_train.bincount().tolist() == [21, 21]
    assert len(task.public) == 12
    assert task.notes == ("2 identities have 30 images or more; the original has 1,000",)
    assert load_faces(f"celeba:{tree}", size=64).fingerprint == task.fingerprint
    assert load_faces(f"celeba:{tree}", size=64, seed=1).fingerprint != task.fingerprint


@pytest.mark.parametrize("size", [32, 64, 112])
def test_the_centre_of_108_pixels_is_scaled(size: int, listed: Path) -> None:
    task = load_faces(f"celeba:{listed}", size=size)
    whole = np.asarray(Image.open(listed / "img_align_celeba" / "000001.jpg"))
    cut = Image.fromarray(whole[55:163, 35:143]).resize((size, size), Image.Resampling.BILINEAR)
    wanted = np.asarray(cut).transpose(2, 0, 1)
    of_label_0 = task.x_train[task.y_train == 0].numpy()
    assert any(np.array_equal(image, wanted) for image in of_label_0)
    assert task.size == size


def test_lists_beside_the_images_give_the_split(listed: Path) -> None:
    task = load_faces(f"celeba:{listed}", size=32)
    assert task.y_train.bincount().tolist() == [27, 27]
    assert task.y_test.bincount().tolist() == [3, 3]
    assert len(task.public) == 10
    assert "public images as celeba_ganset.txt says" in task.notes


def test_limits_cut_the_lists(listed: Path) -> None:
    task = load_faces(f"celeba:{listed}", size=32, train_images=5, test_images=2)
    assert task.y_train.bincount().tolist() == [5, 5]
    assert task.y_test.bincount().tolist() == [2, 2]


def test_private_people_who_are_not_used_stay_out_of_the_public_set(tmp_path: Path) -> None:
    root = write_celeba(tmp_path, private=3)
    task = load_faces(f"celeba:{root}", size=32, identities=2)
    assert task.num_classes == 2
    assert len(task.public) == 12


def test_the_folder_may_be_there_twice_and_the_list_in_anno(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "img_align_celeba").mkdir()
    (tmp_path / "img_align_celeba" / "img_align_celeba").symlink_to(tree / "img_align_celeba")
    (tmp_path / "Anno").mkdir()
    (tmp_path / "Anno" / "identity_CelebA.txt").write_bytes((tree / "identity_CelebA.txt").read_bytes())
    assert load_faces(f"celeba:{tmp_path}", size=32).fingerprint == load_faces(f"celeba:{tree}", size=32).fingerprint


def test_labels_keep_their_meaning_or_the_source_is_refused(tmp_path: Path) -> None:
    root = write_celeba(tmp_path, private=12)
    broken = root / "img_align_celeba"
    for number in range(1, 30):  # of the first identity one image is left
        (broken / f"{number:06}.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="identity 7 has no usable image left"):
        load_faces(f"celeba:{root}", size=32)


@pytest.mark.parametrize("odd", [b"\0", b"\xff"])
def test_a_list_that_holds_more_than_text_is_refused_in_one_line(odd: bytes, tmp_path: Path) -> None:
    root = write_celeba(tmp_path)
    path = root / "identity_CelebA.txt"
    path.write_bytes(path.read_bytes().replace(b"000070.jpg", b"0000" + odd + b"70.jpg"))
    with pytest.raises(InputError, match=r"identity_CelebA\.txt: is not plain text$"):
        load_faces(f"celeba:{root}", size=32)
