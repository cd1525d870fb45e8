"""One image file of any kind -> three channels of bytes, square, of the wanted size; or one reason why not.

What is handled is said with the image, so that a loader can count it: grey, alpha, CMYK, 16 bits, rotation by EXIF,
several frames, not square, enlarged. Which files are read, and what becomes of the unusable, is in `files.py`.
"""

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

SMALLEST_SIDE = 8  # pixels: below it there is no face to see
MOST_PIXELS = 64_000_000  # of a file's header; bounds what one decoder thread may allocate
# EPS starts an interpreter, the others are stubs that recognise a file but cannot decode it.
_REFUSED_FORMATS = frozenset({"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"})
_KINDS = {"1": "grey", "L": "grey", "LA": "grey", "La": "grey", "CMYK": "CMYK"}


class UnusableImageError(Exception):
    """The file is no image that can be used; the text is the reason, a few words."""


def is_image_name(name: str) -> bool:
    """Whether the file's ending is that of a format that is read here. Hidden files are none."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in _endings()


def read_image(
    path: Path, *, size: int, crop: int | None = None, exact: tuple[int, int] | None = None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The image as uint8 [3, size, size], and what had to be done to it besides scaling.

    The centred square of `crop` pixels is scaled to `size` (bilinear, with antialiasing); with crop=None the largest
    centred square. `exact` = (width, height) is what the file must have. Handled and reported: "grey" (copied to three
    channels), "alpha" (laid over white), "CMYK" (converted), "16-bit" (its high 8 bits, rounded), "rotated" (turned
    upright as its EXIF tag says), "frames" (the first of several), "not square" (its sides cut off), "enlarged".
    Colour profiles are ignored.
    Raises UnusableImageError: no such file, empty, not an image, truncated or corrupted, 32-bit values (their white is
    unknown), a side below 8 pixels, over 64 million pixels, other than `exact`, or one colour everywhere.
    Damage that the decoder does not notice (most in the middle of a JPEG) cannot be told from a good image.
    """
    try:
        if os.path.getsize(path) == 0:
            raise UnusableImageError("is empty")
        with Image.open(path, formats=_formats()) as image:
            _check_size(image.size, crop, exact)
            # MPO is a JPEG with a preview behind it, which is no second frame to tell of.
            handled = ["frames"] if image.format != "MPO" and getattr(image, "n_frames", 1) > 1 else []
            if crop is None:
                image.draft(image.mode, (2 * size, 2 * size))  # JPEG alone: decoded at 1/2, 1/4 or 1/8 where enough
            upright = _upright(image, handled)
            upright = upright if upright.mode == "RGB" else _to_rgb(upright, handled)
            return _scaled(upright, size, crop, handled), tuple(handled)
    except UnusableImageError:
        raise
    except UnidentifiedImageError:
        raise UnusableImageError("is not an image that Pillow reads") from None
    except OSError as error:
        raise UnusableImageError(_reason(error)) from None
    except Exception as error:  # broken files make decoders raise anything: SyntaxError, struct.error, IndexError ...
        raise UnusableImageError(f"is corrupted ({type(error).__name__})") from None


def _check_size(found: tuple[int, int], crop: int | None, exact: tuple[int, int] | None) -> None:
    width, height = found
    if exact is not None and found != exact:
        raise UnusableImageError(f"is {width}x{height}, allowed is {exact[0]}x{exact[1]}")
    if min(found) < max(SMALLEST_SIDE, crop or 0):
        raise UnusableImageError(f"is {width}x{height}, allowed are sides from {max(SMALLEST_SIDE, crop or 0)}")
    if width * height > MOST_PIXELS:
        raise UnusableImageError(f"is {width}x{height}, allowed are up to {MOST_PIXELS // 10**6} million pixels")


def _upright(image: Image.Image, handled: list[str]) -> Image.Image:
    if image.getexif().get(ExifTags.Base.Orientation, 1) in (None, 1):
        return image
    handled.append("rotated")
    return ImageOps.exif_transpose(image)


def _to_rgb(image: Image.Image, handled: list[str]) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _from_wide(image, handled)
    if image.mode in _KINDS:
        handled.append(_KINDS[image.mode])
    if image.has_transparency_data:
        handled.append("alpha")
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _from_wide(image: Image.Image, handled: list[str]) -> Image.Image:
    """Grey of more than 8 bits. Files of 16 bits are opened as I;16 or, some of them, as 32-bit I."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise UnusableImageError("has 32-bit values, allowed are 8 or 16 bits a channel")
    handled += ["grey", "16-bit"]
    return Image.fromarray(np.rint(values / 257).astype(np.uint8)).convert("RGB")  # 65535 = 255 x 257


def _scaled(image: Image.Image, size: int, crop: int | None, handled: list[str]) -> np.ndarray:
    width, height = image.size
    side = crop or min(width, height)
    if crop is None and width != height:
        handled.append("not square")
    if side < size:
        handled.append("enlarged")
    left, top = (width - side) // 2, (height - side) // 2
    if (width, height) != (side, side):
        image = image.crop((left, top, left + side, top + side))  # cut first: `box` would look beyond the edges
    if side != size:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    if (pixels == pixels[0, 0]).all():
        raise UnusableImageError("has one colour everywhere")
    return pixels.transpose(2, 0, 1)


def _reason(error: OSError) -> str:
    if error.strerror:
        return f"cannot be read ({error.strerror})"
    text = " ".join(str(error).split())
    return "is truncated" if "truncated" in text else f"is corrupted ({text[:80]})"


@lru_cache(maxsize=1)
def _endings() -> frozenset[str]:
    allowed = _formats()
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in allowed)


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    Image.init()
    common = ("JPEG", "PNG", "PPM")  # tried first: most files are one of them
    return common + tuple(sorted(set(Image.OPEN) - _REFUSED_FORMATS - set(common)))
