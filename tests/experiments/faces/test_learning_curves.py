"""The experiment `learning-curves`: more passes and nothing else, on seeds that decide nothing."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rp_tutorial.core.packed_bits import packed
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import learning_curves
from rp_tutorial.experiments.faces.defenses import Defense
from rp_tutorial.experiments.faces.learning_curves import PROFILES, CurveLab, gains
from rp_tutorial.experiments.replication.questions import SEEDS

TINY = dataclasses.replace(
    PROFILES["smoke"], identities=4, train_images=20, test_images=8, public_images=40, images_seen=800,
    accuracy_images=32, ways=(Defense("none"), Defense("none", 0.2, augmented=True)),
)  # fmt: skip


def lab(**how: Any) -> CurveLab:
    return CurveLab(TINY, data="synthetic", seed=3, stages=Stages("learning-curves", **how))


def test_twice_the_passes_is_all_that_differs() -> None:
    one, two = (lab().longer(times).settings for times in (1.0, 2.0))
    assert one == dataclasses.replace(TINY, times=(1.0,))
    assert (two.images_seen, two.times) == (2 * TINY.images_seen, (2.0,))
    recipes = [(s.private.scratch, s.private.public, s.features) for s in (one, two)]
    for short, long in zip(*recipes, strict=True):
        assert long == dataclasses.replace(short, epochs=2 * short.epochs)
    back = {name: getattr(one, name) for name in ("images_seen", "times", "private", "features")}
    assert dataclasses.replace(two, **back) == one


def test_a_run_has_every_way_at_every_multiple_and_a_second_one_reads(own_cache: Path) -> None:
    seen: list[str] = []
    results = json.loads(json.dumps(learning_curves.run(lab())))
    assert [(p["name"], p["times"]) for p in results["points"]] == [
        (way.label, times) for way in TINY.ways for times in TINY.times
    ]
    again = learning_curves.run(lab(progress=seen.append))
    assert json.loads(json.dumps(again)) == results
    assert not [stage for stage in seen if stage.startswith("target")], "a net was trained or loaded again"


def test_a_gain_is_of_the_last_doubling_image_by_image() -> None:
    right = np.arange(40) < np.array([[20], [30], [36]])
    points = [
        {"name": "way", "times": times, "right": packed(row), "test_images": 40}
        for times, row in zip((2.0, 0.5, 1.0), right[[2, 0, 1]], strict=True)
    ]
    (found,) = gains(points)
    assert (found["from"], found["to"], found["gain"]) == (1.0, 2.0, pytest.approx(6 / 40))
    assert found["p_value"] == pytest.approx(2 * 0.5**6)


def test_no_comparison_uses_its_seeds() -> None:
    others = {seed for name, one in EXPERIMENTS.items() if name != "learning-curves" for seed in one.seeds}
    assert learning_curves.SEED not in others | set(SEEDS)
