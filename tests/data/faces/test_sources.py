"""The one door to faces: what it takes, and one line with exit code 2 for everything that it does not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from face_trees import picture, write_celeba, write_people, write_person
from PIL import Image

from rp_tutorial.cli import main
from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.sources import is_face_source, load_faces, source_name


def test_sources_are_known_by_how_they_are_written() -> None:
    assert all(map(is_face_source, ("synthetic", "lfw", "folder:x", "folder:/a b/c", "celeba:..", "folder:C:\\faces")))
    assert not any(
        map(is_face_source, ("", "folder", "folder:", "celeba: ", "lfw:x", "kaggle", "x.csv", None, "folder:\0"))
    )


def test_a_published_name_does_not_say_where_the_data_lie(tmp_path: Path) -> None:
    assert source_name("synthetic") == "synthetic"
    assert source_name(f"folder:{tmp_path}/faces/") == "folder:faces"
    assert source_name(f"celeba:{tmp_path}/a/../b") == "celeba:b"


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("size", 7), ("size", 257), ("size", 32.0), ("size", True), ("seed", -1), ("identities", 1),
        ("train_images", 0), ("test_images", 0), ("public_images", 9), ("public_images", "all"),
    ],
)  # fmt: skip
def test_arguments_are_checked_before_anything_is_read(argument: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{argument}: got {value!r}, allowed is"):
        load_faces("folder:nowhere", **{"size": 32, argument: value})


def test_synthetic_faces_show_nobody() -> None:
    task = load_faces("synthetic", size=32, identities=4, train_images=3, test_images=2, public_images=12)
    assert not task.real_people
    assert task.num_classes == 4
    assert (len(task.y_train), len(task.y_test), len(task.public)) == (12, 8, 12)


@pytest.fixture(scope="module")
def good_people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_people(tmp_path_factory.mktemp("good"), private=2)


@pytest.fixture(scope="module")
def good_celeba(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_celeba(tmp_path_factory.mktemp("celeba"))


def every(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*.png"))


def overwrite(content: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Spoil every private picture."""

    def spoil(root: Path) -> None:
        for file in every(root / "private"):
            file.write_bytes(content(file.read_bytes()))

    return spoil


def draw(image: Image.Image) -> Callable[[Path], None]:
    """Replace every private picture by this one."""

    def spoil(root: Path) -> None:
        for file in every(root / "private"):
            image.save(file, format="TIFF")

    return spoil


def move(old: str, new: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / new).parent.mkdir(parents=True, exist_ok=True)
        (root / old).rename(root / new)

    return spoil


def remove(*names: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        for name in names:
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()

    return spoil


def flat_public(root: Path) -> None:
    shutil.rmtree(root / "public")
    (root / "public").mkdir()
    for number in range(12):
        picture(number).save(root / "public" / f"{number}.png")


def by_count(images: int) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        shutil.rmtree(root)
        write_person(root / "a", images, seed=1)
        write_person(root / "b", images, seed=2)

    return spoil


FLOATS = Image.fromarray(np.random.default_rng(0).random((32, 32), dtype=np.float32))
BAD_FOLDERS = {
    "private/ alone": (remove("public"), "has private/ but no public/"),
    "public/ alone": (remove("private"), "has public/ but no private/"),
    "empty folder": (remove("public", "private"), "holds no person with an image"),
    "nobody in public/": (remove(*(f"public/q{index:02}" for index in range(12))), "public/ holds no person"),
    "public images without people": (flat_public, "public/ holds no person with an image"),
    "one private person": (remove("private/p0"), "got 1 private people"),
    "two public people": (remove(*(f"public/q{index:02}" for index in range(2, 12))), "got 2 usable images of public"),
    "somebody on both sides": (move("public/q00", "public/P1"), "'P1' is private and public at once"),
    "too few images to choose": (by_count(9), "nobody of 2 people can be private"),
    "empty files": (overwrite(lambda _: b""), "12 of 24 images cannot be used, the first 'private/p0/00.png' is empty"),
    "truncated files": (overwrite(lambda whole: whole[: len(whole) // 2]), "is truncated; allowed are up to 10%"),
    "corrupted files": (overwrite(lambda whole: whole[:400] + bytes(80) + whole[480:]), "is corrupted"),
    "words": (overwrite(lambda _: b"words"), "is not an image that Pillow reads"),
    "one colour": (draw(Image.new("RGB", (32, 32), "red")), "has one colour everywhere"),
    "tiny": (draw(picture(0, width=4, height=4)), "is 4x4, allowed are sides from 8"),
    "floats": (draw(FLOATS), "has 32-bit values"),
    "the same picture everywhere": (draw(picture(0)), "got 0 private people with 2 or more usable images"),
}


def lines(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        (root / name).write_text("\n".join(change((root / name).read_text().splitlines())))

    return spoil


def write(**lists: str) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        for name, text in lists.items():
            (root / f"{name}.txt").write_text(text.replace(",", "\n"))

    return spoil


def identities(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    return lines("identity_CelebA.txt", change)


SPLIT = {"trainset": "000001.jpg 0,000031.jpg 1", "testset": "000002.jpg 0,000032.jpg 1"}
BAD_CELEBA = {
    "no images": (remove("img_align_celeba"), "has no folder img_align_celeba/"),
    "no identities": (remove("identity_CelebA.txt"), "has no identity_CelebA.txt"),
    "empty list": (identities(lambda _: []), "identity_CelebA.txt: is empty"),
    "a list of one column": (identities(lambda old: [old[0].split()[0], *old[1:]]), "line 1: got '000001.jpg'"),
    "a number that is none": (identities(lambda old: [*old[:4], "000005.jpg seven"]), "line 5"),
    "a file twice": (identities(lambda old: [*old, old[0]]), "000001.jpg was there before"),
    "a path for a name": (identities(lambda old: [*old, "../x.jpg 7"]), "got '../x.jpg 7'"),
    "nobody with 30 images": (identities(lambda old: old[:29] + old[31:60]), "got 0 private people"),
    "a missing image": (remove("img_align_celeba/000003.jpg"), "1 of 60 images on the lists are missing"),
    "a missing public image": (remove("img_align_celeba/000061.jpg"), "the first 000061.jpg"),
    "trainset alone": (write(trainset="000001.jpg 0"), "has trainset.txt but no testset.txt"),
    "a wrong label": (write(**{**SPLIT, "testset": "000002.jpg 1"}), "000002.jpg has label 1, which is not what"),
    "a label without images": (write(**{**SPLIT, "testset": "000002.jpg 0"}), "has no image of label 1"),
    "an image on both lists": (
        write(trainset=SPLIT["trainset"], testset=SPLIT["trainset"]),
        "000001.jpg is in trainset",
    ),
    "private people in ganset": (write(ganset="000061.jpg,000001.jpg"), "shows identity 7, which is private"),
    "strangers in ganset": (write(ganset="999999.jpg"), "'999999.jpg' is not in identity_CelebA.txt"),
}


def refused(source: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that `data check faces` refuses the source with."""
    with pytest.raises(SystemExit) as left:
        main(["data", "check", "faces", source])
    out, err = capsys.readouterr()
    assert left.value.code == 2
    assert out == ""
    assert err.startswith("rp-tutorial: data: ")
    assert err.count("\n") == 1
    return err


@pytest.mark.parametrize("case", BAD_FOLDERS)
def test_a_bad_folder_is_one_line(
    case: str, good_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, told = BAD_FOLDERS[case]
    spoil(Path(shutil.copytree(good_people, tmp_path / "faces")))
    assert told in refused(f"folder:{tmp_path / 'faces'}", capsys)


@pytest.mark.parametrize("case", BAD_CELEBA)
def test_a_bad_celeba_is_one_line(
    case: str, good_celeba: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil, told = BAD_CELEBA[case]
    spoil(Path(shutil.copytree(good_celeba, tmp_path / "faces")))
    assert told in refused(f"celeba:{tmp_path / 'faces'}", capsys)


def test_images_that_are_not_aligned_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_celeba(tmp_path)
    for file in (root / "img_align_celeba").iterdir():
        picture(0, width=90, height=120).save(file)
    assert "is 90x120, allowed is 178x218" in refused(f"celeba:{root}", capsys)


@pytest.mark.parametrize(
    "source", ["orl", "folder", "folder:", "celeba", "celeba: ", "lfw:.", "kaggle", "LFW", "folder:{here}/nowhere"]
)
def test_what_is_no_source_is_one_line(source: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "allowed is" in refused(source.format(here=tmp_path), capsys)


def test_a_file_is_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    assert "is a file" in refused(f"folder:{tmp_path / 'a.png'}", capsys)
    assert "is a file" in refused(f"celeba:{tmp_path / 'a.png'}", capsys)


def test_lfw_is_not_downloaded_by_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    assert "rp-tutorial data fetch faces" in refused("lfw", capsys)


def test_a_check_prints_counts_notes_and_the_fingerprint(
    good_people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(good_people, tmp_path / "faces"))
    (root / "private" / "p0" / "00.png").write_bytes(b"")
    with pytest.raises(SystemExit) as left:
        main(["data", "check", "faces", f"folder:{root}"])
    out, err = capsys.readouterr()
    assert not left.value.code
    assert err == ""
    assert "folder:faces: 2 private people, 8 training and 3 test images; 12 images of other people" in out
    assert "real people: do not publish images" in out
    assert "note: 1 of 24 images cannot be used" in out
    assert "fingerprint at 32x32: " in out


def test_fetch_explains_celeba(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    folder = tmp_path / "lfw_home" / "lfw_funneled"
    for index in range(4):
        for number in range(12):
            (folder / f"P{index}").mkdir(parents=True, exist_ok=True)
            picture(100 * index + number, width=250, height=250).save(folder / f"P{index}" / f"{number}.jpg")
    with pytest.raises(SystemExit) as left:
        main(["data", "fetch", "faces"])
    out, _ = capsys.readouterr()
    assert not left.value.code
    assert "lfw: 2 private people" in out
    assert "unpack img_align_celeba.zip" in out
