"""Charts of the face chapters: the walk that a slider moves, and the paper's Figure 3 beside ours."""

from __future__ import annotations

import pytest
import torch
import vl_convert
from sample_charts import ARMS, label_at, walk

from rp_tutorial.figures import faces


def test_the_slider_moves_over_all_passes_and_the_picture_follows() -> None:
    spec = walk().to_dict()
    (slider,) = spec["params"]
    assert (slider["bind"]["min"], slider["bind"]["max"]) == (0, 3)
    drawn = {}
    for value in (0, 3):
        slider["value"] = value
        drawn[value] = vl_convert.vegalite_to_svg(spec)
        assert "ρ = 0.50, step taken" in drawn[value]
    assert drawn[0] != drawn[3]


def test_the_bars_of_the_regions_cover_the_rectangle_with_the_right_labels() -> None:
    bars = faces.label_regions(label_at, low=(-2.0, -2.0), high=(2.0, 2.0), cells=20)
    assert ((bars["x2"] - bars["x"]) * (bars["y2"] - bars["y"])).sum() == pytest.approx(16)
    middle = torch.as_tensor(bars[["x", "y"]].to_numpy() + bars[["x2", "y2"]].to_numpy()) / 2
    assert (label_at(middle).numpy() == bars["label"]).all()


def test_the_papers_printed_numbers_stand_beside_ours() -> None:
    svg = vl_convert.vegalite_to_svg(faces.asr_by_sigma(ARMS).to_json())
    names = {name for name in faces.PANELS.values() if f">{name}<" in svg}
    assert names == set(faces.PANELS.values())
    data = next(iter(faces.asr_by_sigma(ARMS).to_dict()["datasets"].values()))
    printed = {(row["sigma"], row["N"], row["value"]) for row in data if row["source"] == "paper"}
    assert {(0.03, "VOTE, N = 100", 0.44), (0.1, "VOTE, N = 10", 0.06), (0.1, "VOTE, N = 100", 0.594)} <= printed
    assert not any(row["source"] == "ours" and row["value"] == 0.6 for row in data), "fixed noise is no fresh noise"
