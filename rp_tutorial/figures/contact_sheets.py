"""Contact sheets: rows of small images with their labels, as HTML with the pictures inside.

A sheet needs no network and no file beside the page, every picture has its text, and the same pixels give the same
bytes. Pictures of real people are never shown as they are. Charts are in the other files.
"""

import base64
import html
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor
from torch.nn import functional

from rp_tutorial.core.arguments import refuse
from rp_tutorial.data.faces.task import to_bytes

THUMBNAIL = 8  # pixels a side: what is left of a picture of a real person
TILE = 64  # CSS pixels a side: what every picture is shown at
_HEAD = "padding:2px 6px;text-align:left;font-weight:normal"


@dataclass(frozen=True)
class ContactSheet:
    """Rows of small images with their labels; shown by Jupyter, Colab and the book, as text where there is no HTML."""

    markup: str
    description: str

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/html": self.markup, "text/plain": self.description}


def contact_sheet(
    rows: Mapping[str, Tensor], *, columns: Sequence[str], description: str, real_people: bool
) -> ContactSheet:
    """A table of images, a row an entry of `rows`: floats [n, 3, S, S] in [0, 1], as many as there are `columns`.

    Every image is enlarged to TILE CSS pixels without smoothing. An image with a NaN is missing: a dash. Rows may
    have images of different sizes. With `real_people`, whether a picture would show a real person (the field of the
    FaceTask), every image is reduced by `blurred` first. A sheet of nothing but `mean_image`s shows nobody.
    Raises InputError for images of another shape or number, or an empty description.
    """
    if not rows:
        raise refuse("rows", "no row", "at least one row of images")
    if len(description.strip()) < 20:
        raise refuse("description", description, "a sentence that says what the pictures show")
    drawn = {name: _checked(name, images, len(columns)) for name, images in rows.items()}
    if real_people:
        drawn = {name: blurred(images) for name, images in drawn.items()}
        description = f"{description} Real people: reduced to {THUMBNAIL} by {THUMBNAIL} pixels."
    heads = "".join(f'<th scope="col" style="{_HEAD}">{html.escape(column)}</th>' for column in columns)
    body = "".join(_sheet_row(name, images, columns) for name, images in drawn.items())
    markup = (
        f'<div class="rp-sheet" role="group" tabindex="0" aria-label="{html.escape(description)}" '
        'style="overflow-x:auto">'
        f'<table style="border-collapse:collapse;width:auto"><thead><tr><td></td>{heads}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
    return ContactSheet(markup, description)


def blurred(images: Tensor) -> Tensor:
    """What may be shown of real people: means over THUMBNAIL x THUMBNAIL cells, [n, 3, S, S] -> [n, 3, 8, 8].

    That is not anonymous to someone who has the photograph and compares; it is for looking at, not for releasing data.
    """
    return functional.adaptive_avg_pool2d(_checked("images", images, len(images)), THUMBNAIL)


def mean_image(images: Tensor) -> Tensor:
    """The mean of many images, without those with a NaN: [n, 3, S, S] -> [1, 3, S, S]; NaN if none is left."""
    images = _checked("images", images, len(images))
    return images[images.isfinite().flatten(1).all(dim=1)].mean(dim=0, keepdim=True)


def _checked(name: str, images: Tensor, number: int) -> Tensor:
    """`images` as a float tensor on the CPU, if they are `number` colour images."""
    if not isinstance(images, Tensor) or not images.is_floating_point() or images.ndim != 4 or images.shape[1] != 3:
        given = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise refuse(name, given, "float images [n, 3, S, S] in [0, 1]")
    if len(images) != number:
        raise refuse(name, f"{len(images)} images", f"{number}, one a column")
    return images.detach().cpu()


def _sheet_row(name: str, images: Tensor, columns: Sequence[str]) -> str:
    cells = "".join(_tile(image, f"{name}, {column}") for image, column in zip(images, columns, strict=True))
    return f'<tr><th scope="row" style="{_HEAD}">{html.escape(name)}</th>{cells}</tr>'


def _tile(image: Tensor, text: str) -> str:
    if not bool(image.isfinite().all()):
        return '<td style="text-align:center">&ndash;</td>'
    style = f"width:{TILE}px;height:{TILE}px;max-width:none;margin:0;padding:0;display:block;image-rendering:pixelated"
    source = f"data:image/png;base64,{_png(image)}"
    # The class keeps the theme from framing and dimming pictures on dark pages.
    picture = f'<img class="dark-light" src="{source}" alt="{html.escape(text)}" style="{style}">'
    return f'<td style="padding:2px">{picture}</td>'


def _png(image: Tensor) -> str:
    """One image [3, S, S] as a base64 PNG without a time stamp: the same bytes for the same pixels."""
    file = io.BytesIO()
    Image.fromarray(to_bytes(image).permute(1, 2, 0).contiguous().numpy()).save(file, format="PNG", compress_level=9)
    return base64.b64encode(file.getvalue()).decode("ascii")
