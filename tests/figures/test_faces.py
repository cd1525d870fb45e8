"""Charts and pictures of the face chapters: alt text everywhere, pixels kept, and no real person shown."""

from __future__ import annotations

import base64
import inspect
import io
import re

import altair as alt
import numpy as np
import pandas as pd
import pytest
import torch
import vl_convert
from bs4 import BeautifulSoup
from PIL import Image

from rp_tutorial.core.arguments import InputError
from rp_tutorial.figures import contact_sheets
from rp_tutorial.figures import faces as face_figures

WORDS = "Two made-up pictures in each of two rows, for a test."


def arm(name: str, defense: str, sigma: float, n: int, asr: float, **more: object) -> dict[str, object]:
    return {
        "name": name,
        "defense": defense,
        "sigma": sigma,
        "n": n,
        "repeats": 1,
        "augmented": False,
        "asr": asr,
        "asr_ci": [max(asr - 0.1, 0.0), min(asr + 0.1, 1.0)],
        "asr_start": 0.1,
        "test_accuracy": 1 - sigma,
        "test_accuracy_ci": [0.98 - sigma, min(1.0, 1.01 - sigma)],
        "paper_accuracy": 1.0,
    } | more


ARMS = pd.DataFrame(
    [
        arm("none", "none", 0.0, 1, 0.7),
        arm("plain noise, sigma 0.1", "plain noise", 0.1, 1, 0.1),
        arm("smoothing, sigma 0.1, N = 10", "smoothing", 0.1, 10, 0.4),
        arm("fixed noise, sigma 0.1, N = 10", "fixed noise", 0.1, 10, 0.6),
        arm("smoothing, 5 queries", "smoothing", 0.1, 10, 0.5, repeats=5),
        arm("abstaining", "abstaining", 0.1, 10, 0.2),
        arm("none, augmented", "none", 0.1, 1, 0.6, augmented=True),
    ]
)


def label_at(z: torch.Tensor) -> torch.Tensor:
    return (z[:, 0] > 0).long() + 2 * (z[:, 1] > 0).long()


def walk() -> alt.LayerChart:
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    centres = pd.DataFrame({"pass": range(4), "x": 0.2, "y": [0.2, 0.4, 0.6, 0.8], "R": 0.5})
    probes = centres.merge(pd.DataFrame({"cos": np.cos(turn), "sin": np.sin(turn)}), how="cross")
    probes["x"], probes["y"] = probes["x"] + 0.5 * probes["cos"], probes["y"] + 0.5 * probes["sin"]
    probes["inside"] = (probes["x"] > 0) & (probes["y"] > 0)
    inside = probes.groupby("pass")["inside"].sum().to_numpy()
    return face_figures.latent_walk(
        face_figures.label_regions(label_at, low=(-2.0, -2.0), high=(2.0, 2.0), cells=20),
        probes[["pass", "x", "y", "inside"]],
        centres.assign(inside=inside, accepted=True),
        target=3,
        description="Four passes upwards in the top right quarter of the plane.",
    )


CHARTS = {
    "latent_walk": walk,
    "asr_against_accuracy": lambda: face_figures.asr_against_accuracy(ARMS),
    "asr_by_sigma": lambda: face_figures.asr_by_sigma(ARMS),
    "asr_arms": lambda: face_figures.asr_arms(ARMS),
    "flip_rates": lambda: face_figures.flip_rates(
        pd.DataFrame(
            {"defense": ["none", "none", "smoothing"], "radius": [0, 1, 1], "rate": 0.2, "low": 0.1, "high": 0.3}
        ),
        description="The share of labels that change grows with the distance.",
    ),
}
each_chart = pytest.mark.parametrize("name", CHARTS)


@each_chart
def test_a_chart_says_in_words_what_it_shows(name: str) -> None:
    assert len(CHARTS[name]().to_dict()["description"]) > 30


@each_chart
def test_a_chart_draws_marks_and_leaves_the_page_its_colour(name: str) -> None:
    chart = CHARTS[name]()
    assert vl_convert.vegalite_to_svg(chart.to_json()).count("<path") > 3
    assert chart.to_dict()["config"]["background"] == "transparent"


def test_every_chart_function_of_the_module_is_tested_here() -> None:
    charts = {
        name
        for name, function in inspect.getmembers(face_figures, inspect.isfunction)
        if function.__module__ == face_figures.__name__ and not name.startswith("_")
    }
    assert charts - {"label_regions"} == set(CHARTS)


def test_the_slider_moves_over_all_passes_and_the_picture_follows() -> None:
    spec = walk().to_dict()
    (slider,) = spec["params"]
    assert (slider["bind"]["min"], slider["bind"]["max"]) == (0, 3)
    drawn = {}
    for value in (0, 3):
        slider["value"] = value
        drawn[value] = vl_convert.vegalite_to_svg(spec)
        assert "R = 0.50, step taken" in drawn[value]
    assert drawn[0] != drawn[3]


def test_the_bars_of_the_regions_cover_the_rectangle_with_the_right_labels() -> None:
    bars = face_figures.label_regions(label_at, low=(-2.0, -2.0), high=(2.0, 2.0), cells=20)
    assert ((bars["x2"] - bars["x"]) * (bars["y2"] - bars["y"])).sum() == pytest.approx(16)
    middle = torch.as_tensor(bars[["x", "y"]].to_numpy() + bars[["x2", "y2"]].to_numpy()) / 2
    assert (label_at(middle).numpy() == bars["label"]).all()


def test_every_arm_has_a_family_with_a_colour() -> None:
    families = set(face_figures._arms(ARMS)["family"])
    assert families == set(face_figures.FAMILIES)


def test_the_papers_printed_numbers_stand_beside_ours() -> None:
    svg = vl_convert.vegalite_to_svg(face_figures.asr_by_sigma(ARMS).to_json())
    names = {name for name in face_figures.PANELS.values() if f">{name}<" in svg}
    assert names == set(face_figures.PANELS.values())
    data = next(iter(face_figures.asr_by_sigma(ARMS).to_dict()["datasets"].values()))
    printed = {(row["sigma"], row["N"], row["value"]) for row in data if row["source"] == "paper"}
    assert {(0.03, "N = 100", 0.44), (0.1, "N = 10", 0.06), (0.1, "N = 100", 0.04), (0.1, "N = 100", 0.594)} <= printed
    assert not any(row["source"] == "ours" and row["value"] == 0.6 for row in data), "fixed noise is no fresh noise"


def pictures(n: int = 2, size: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def sheet(**changes: object) -> contact_sheets.ContactSheet:
    given = {"rows": {"target": pictures(), "found": pictures(seed=1)}, "columns": ["a & b", "c"]}
    given |= {"description": WORDS, "real_people": False} | changes
    return face_figures.contact_sheet(given.pop("rows"), **given)


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
    assert torch.allclose(face_figures.blurred(images).mean(dim=(2, 3)), images.mean(dim=(2, 3)), atol=1e-6)
    missing = torch.cat([images, torch.full((1, 3, 32, 32), torch.nan)])
    assert torch.equal(face_figures.mean_image(missing), images.mean(dim=0, keepdim=True))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": {}}, "rows: got 'no row'"),
        ({"rows": {"found": pictures(3)}}, "found: got '3 images', allowed is 2, one a column"),
        ({"rows": {"found": pictures()[:, :1]}}, "found: got 'torch.float32 (2, 1, 4, 4)'"),
        ({"rows": {"found": (pictures() * 255).byte()}}, "float images [n, 3, S, S] in [0, 1]"),
        ({"description": "faces"}, "a sentence that says what the pictures show"),
        ({"tile": 0}, "tile: got 0"),
    ],
)
def test_bad_input_is_one_line(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        sheet(**changes)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
