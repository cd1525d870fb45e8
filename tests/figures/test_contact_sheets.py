"""Contact sheets: pixels kept, a text for every picture, and no real person shown."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from close import assert_close_to_scale
from PIL import Image

from rp_tutorial.core.arguments import InputError
from rp_tutorial.figures import contact_sheets

WORDS = "Two made-up pictures in each of two rows, for a test."


def pictures(n: int = 2, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def sheet(**changes: object) -> contact_sheets.ContactSheet:
    given = {"rows": {"target": pictures(), "found": pictures(seed=1)}, "columns": ["a & b", "c"]}
    given |= {"description": WORDS, "real_people": False} | changes
    return contact_sheets.contact_sheet(given.pop("rows"), **given)


def decoded(markup: str) -> list[np.ndarray]:
    sources = re.findall(r'src="data:image/png;base64,([^"]+)"', markup)
    return [np.asarray(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def test_a_sheet_holds_the_very_pixels() -> None:
    shown = decoded(sheet().markup)
    expected = (torch.cat([pictures(), pictures(seed=1)]) * 255).round().permute(0, 2, 3, 1).numpy()
    assert len(shown) == 4
    assert all((image == wanted).all() for image, wanted in zip(shown, expected, strict=True))


def test_every_picture_of_a_sheet_has_a_text_and_the_sheet_a_description() -> None:
    page = BeautifulSoup(sheet().markup, "html.parser")
    assert [image["alt"] for image in page.find_all("img")] == [
        "target, a & b",
        "target, c",
        "found, a & b",
        "found, c",
    ]
    assert page.div["aria-label"] == WORDS
    assert sheet()._repr_mimebundle_()["text/plain"] == WORDS


def test_a_sheet_asks_for_nothing_from_outside_and_is_not_smoothed() -> None:
    page = BeautifulSoup(sheet().markup, "html.parser")
    assert all(image["src"].startswith("data:") for image in page.find_all("img"))
    assert all("image-rendering:pixelated" in image["style"] for image in page.find_all("img"))
    assert not page.find_all(["script", "link", "style"])


def test_the_same_pictures_give_the_same_bytes() -> None:
    assert sheet().markup == sheet().markup


def test_a_missing_picture_is_a_dash() -> None:
    rows = {"found": torch.stack([torch.full((3, 4, 4), torch.nan), pictures(1)[0]])}
    assert len(decoded(sheet(rows=rows).markup)) == 1
    assert "&ndash;" in sheet(rows=rows).markup


def test_real_people_are_never_shown_as_they_are() -> None:
    shown = sheet(rows={"target": pictures(size=32)}, real_people=True)
    assert [image.shape for image in decoded(shown.markup)] == [(8, 8, 3)] * 2
    assert "8 by 8 pixels" in shown.description


def test_blurring_keeps_the_mean_and_the_mean_image_leaves_missing_ones_out() -> None:
    images = pictures(3, size=32)
    assert_close_to_scale(contact_sheets.blurred(images).mean(dim=(2, 3)), images.mean(dim=(2, 3)))
    missing = torch.cat([images, torch.full((1, 3, 32, 32), torch.nan)])
    assert torch.equal(contact_sheets.mean_image(missing), images.mean(dim=0, keepdim=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": {}}, "rows: got 'no row'"),
        ({"rows": {"found": pictures(3)}}, "found: got '3 images', allowed is 2, one a column"),
        ({"rows": {"found": pictures()[:, :1]}}, "found: got 'torch.float32 (2, 1, 4, 4)'"),
        ({"rows": {"found": (pictures() * 255).byte()}}, "float images [n, 3, S, S] in [0, 1]"),
        ({"description": "faces"}, "a sentence that says what the pictures show"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        sheet(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
