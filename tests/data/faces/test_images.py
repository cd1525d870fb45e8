"""One image of any kind: what is handled, what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from face_trees import picture
from PIL import Image

from rp_tutorial.data.faces import images
from rp_tutorial.data.faces.images import UnusableImageError, is_image_name, read_image


def array_of(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "tga"])
def test_lossless_formats_of_the_right_size_give_their_own_bytes(ending: str, tmp_path: Path) -> None:
    picture(0).save(tmp_path / f"a.{ending}")
    pixels, handled = read_image(tmp_path / f"a.{ending}", size=32)
    assert np.array_equal(pixels, array_of(picture(0)))
    assert pixels.shape == (3, 32, 32)
    assert pixels.dtype == np.uint8
    assert handled == ()


@pytest.mark.parametrize("ending", ["jpg", "webp", "gif", "jp2"])
def test_lossy_formats_come_close(ending: str, tmp_path: Path) -> None:
    picture(0).save(tmp_path / f"a.{ending}")
    pixels, _ = read_image(tmp_path / f"a.{ending}", size=32)
    assert np.abs(pixels.astype(int) - array_of(picture(0))).mean() < 12


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.jpg", format="png")
    assert np.array_equal(read_image(tmp_path / "a.jpg", size=32)[0], array_of(picture(0)))


def test_grey_is_copied_to_three_channels(tmp_path: Path) -> None:
    grey = picture(0).convert("L")
    grey.save(tmp_path / "a.pgm")
    pixels, handled = read_image(tmp_path / "a.pgm", size=32)
    assert handled == ("grey",)
    assert all(np.array_equal(channel, np.asarray(grey)) for channel in pixels)


def test_real_grey_faces_are_read(real_data: Path) -> None:
    path = real_data / "orl_faces" / "s1" / "1.pgm"
    pixels, handled = read_image(path, size=92)
    assert set(handled) == {"grey", "not square"}
    assert np.array_equal(pixels[0], np.asarray(Image.open(path))[10:102])  # 92x112: ten rows off above and below


@pytest.mark.parametrize("ending", ["png", "pgm", "tif"])
def test_sixteen_bits_are_rounded_to_eight(ending: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (32, 32), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{ending}")
    pixels, handled = read_image(tmp_path / f"a.{ending}", size=32)
    assert handled == ("grey", "16-bit")
    assert np.abs(pixels[0] - values / 257).max() <= 0.5


def test_alpha_is_laid_over_white(tmp_path: Path) -> None:
    image = picture(0).convert("RGBA")
    image.putalpha(Image.fromarray(np.repeat(np.uint8([[0, 255]]), 16, axis=1).repeat(32, axis=0)))
    image.save(tmp_path / "a.png")
    pixels, handled = read_image(tmp_path / "a.png", size=32)
    assert handled == ("alpha",)
    assert (pixels[:, :, :16] == 255).all()
    assert np.array_equal(pixels[:, :, 16:], array_of(picture(0))[:, :, 16:])


def test_a_transparent_colour_of_a_palette_is_alpha_too(tmp_path: Path) -> None:
    image = picture(0).quantize(8)
    image.save(tmp_path / "a.png", transparency=0)
    pixels, handled = read_image(tmp_path / "a.png", size=32)
    assert handled == ("alpha",)
    assert (pixels[:, np.asarray(image) == 0] == 255).all()


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_is_converted(ending: str, tmp_path: Path) -> None:
    picture(0).convert("CMYK").save(tmp_path / f"a.{ending}")
    pixels, handled = read_image(tmp_path / f"a.{ending}", size=32)
    assert handled == ("CMYK",)
    assert np.abs(pixels.astype(int) - array_of(picture(0))).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int, tmp_path: Path) -> None:
    upright = array_of(picture(0))
    stored = {  # the array as a camera that was held so would store it, by the EXIF standard
        1: upright,
        2: upright[:, :, ::-1],
        3: upright[:, ::-1, ::-1],
        4: upright[:, ::-1],
        5: upright.transpose(0, 2, 1),
        6: np.rot90(upright, 1, (1, 2)),
        7: upright[:, ::-1, ::-1].transpose(0, 2, 1),
        8: np.rot90(upright, -1, (1, 2)),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored.transpose(1, 2, 0))).save(tmp_path / "a.png", exif=exif)
    pixels, handled = read_image(tmp_path / "a.png", size=32)
    assert np.array_equal(pixels, upright)
    assert handled == (() if orientation == 1 else ("rotated",))


def test_the_first_of_several_frames_is_used(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.tif", save_all=True, append_images=[picture(1)])
    pixels, handled = read_image(tmp_path / "a.tif", size=32)
    assert handled == ("frames",)
    assert np.array_equal(pixels, array_of(picture(0)))


@pytest.mark.parametrize(("width", "height"), [(48, 32), (32, 48), (33, 32)])
def test_the_centred_square_is_used(width: int, height: int, tmp_path: Path) -> None:
    image = picture(0, width=width, height=height)
    image.save(tmp_path / "a.png")
    pixels, handled = read_image(tmp_path / "a.png", size=32)
    left, top = (width - 32) // 2, (height - 32) // 2
    assert handled == ("not square",)
    assert np.array_equal(pixels, array_of(image)[:, top : top + 32, left : left + 32])


def test_small_images_are_enlarged(tmp_path: Path) -> None:
    picture(0, width=16, height=16).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", size=32)[1] == ("enlarged",)


def test_the_crop_is_cut_before_it_is_scaled(tmp_path: Path) -> None:
    image = picture(0, width=60, height=70)
    image.save(tmp_path / "a.png")
    pixels, handled = read_image(tmp_path / "a.png", size=16, crop=40, exact=(60, 70))
    cut = image.crop((10, 15, 50, 55)).resize((16, 16), Image.Resampling.BILINEAR)
    assert handled == ()
    assert np.array_equal(pixels, array_of(cut))


def test_a_large_jpeg_decoded_at_a_fraction_looks_the_same(tmp_path: Path) -> None:
    image = picture(0, width=1000, height=800)
    image.save(tmp_path / "a.jpg")
    pixels, _ = read_image(tmp_path / "a.jpg", size=32)
    whole = image.crop((100, 0, 900, 800)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.abs(pixels.astype(int) - array_of(whole)).mean() < 3


def write_bad(path: Path) -> dict[str, Path]:
    """A bad file for every reason."""
    picture(0).save(path / "good.png")
    whole = (path / "good.png").read_bytes()
    (path / "is empty.png").write_bytes(b"")
    (path / "is truncated.png").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 2
    (path / "is corrupted.png").write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    (path / "is not an image.png").write_text("just words")
    (path / "cannot be read.png").mkdir()
    Image.fromarray(np.random.default_rng(0).random((32, 32), dtype=np.float32)).save(path / "has 32-bit values.tif")
    picture(0, width=7, height=40).save(path / "is 7x40.png")
    Image.new("RGB", (32, 32), "red").save(path / "has one colour.png")
    (path / "is not an image that Pillow reads.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    picture(0).save(path / "cut.jpg", quality=95)
    whole = (path / "cut.jpg").read_bytes()
    (path / "is truncated.jpg").write_bytes(whole[: len(whole) * 2 // 3])
    return {file.name: file for file in path.iterdir() if file.name not in ("good.png", "cut.jpg")}


def test_bad_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    for name, path in write_bad(tmp_path).items():
        with pytest.raises(UnusableImageError, match=path.stem):
            read_image(path, size=32)
        assert name


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableImageError, match="No such file"):
        read_image(tmp_path / "a.png", size=32)


def test_a_wrong_size_is_refused_where_one_is_demanded(tmp_path: Path) -> None:
    picture(0).save(tmp_path / "a.png")
    with pytest.raises(UnusableImageError, match="is 32x32, allowed is 178x218"):
        read_image(tmp_path / "a.png", size=32, exact=(178, 218))


def test_a_gigantic_header_is_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(0).save(tmp_path / "a.png")
    monkeypatch.setattr(images, "MOST_PIXELS", 1000)
    with pytest.raises(UnusableImageError, match="is 32x32"):
        read_image(tmp_path / "a.png", size=32)


def test_image_names_are_known_by_their_ending() -> None:
    assert all(map(is_image_name, ("a.jpg", "a.JPEG", "b.c.png", "x.pgm", "y.tiff", "z.webp")))
    assert not any(map(is_image_name, ("a", "a.txt", "Thumbs.db", ".a.jpg", "jpg", "a.eps", "a.pdf", "a.jpg.part")))
