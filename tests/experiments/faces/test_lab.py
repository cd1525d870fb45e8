"""The face lab: published checkpoints stand in for our nets only if they fit and work; nets are shared and named."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.drawn import drawn_people
from rp_tutorial.data.faces.files import Limits
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import from_text, to_bytes, to_float, to_text
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces.lab import CHECKPOINTS, PUBLISHED_FILES, FaceLab, FaceLabSettings
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.generator import Generator

SMALL = FaceLabSettings(
    identities=4, train_images=12, test_images=6, public_images=60, images_seen=200, evaluator_images_seen=100,
    latent_dim=8,
)  # fmt: skip


def lab(settings: FaceLabSettings = SMALL, *, experiment: str = "inversion", seed: int = 0) -> FaceLab:
    return FaceLab(settings, data="synthetic", seed=seed, stages=Stages(experiment))


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path))
    return tmp_path


def in_published_format(net: torch.nn.Module, path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": value for name, value in net.state_dict().items()}}, path)


FACENET = dataclasses.replace(SMALL, size=64, nets="facenet", training_noise=0.0)


def test_a_published_file_at_chance_is_refused_in_one_line(checkpoints: Path) -> None:
    in_published_format(FaceNet64(4, seed=1), checkpoints / PUBLISHED_FILES["target"])
    with pytest.raises(InputError, match="allowed are nets better than chance"):
        lab(FACENET).target()


def test_a_missing_published_file_is_named(checkpoints: Path) -> None:
    with pytest.raises(InputError, match=r"FaceNet64\.tar"):
        lab(FACENET).target()


def test_the_published_generator_is_the_prior(checkpoints: Path) -> None:
    generator = Generator(100, seed=2).eval()
    in_published_format(generator, checkpoints / PUBLISHED_FILES["prior"])
    prior = lab(FACENET).prior
    z = prior.latents(2, seed=0)
    with torch.inference_mode():
        torch.testing.assert_close(prior(z), generator(z), atol=1e-4, rtol=0)


def test_small_nets_do_not_ask_for_published_files(checkpoints: Path) -> None:
    assert lab().published_checkpoints is None


def test_experiments_share_the_nets_of_one_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    first = lab().target()
    monkeypatch.setattr(
        "rp_tutorial.experiments.faces.lab.fit_classifier", lambda *_, **__: pytest.fail("trained twice")
    )
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(lab(experiment="face-smoothing").target()(x), first(x))
    assert lab().target(noise_sigma=SMALL.training_noise) is not None, "the target's own noise means the target"


def test_another_seed_is_another_set_of_people_and_nets() -> None:
    assert lab().key != lab(seed=1).key
    assert lab().task.fingerprint != lab(seed=1).task.fingerprint


def test_private_people_are_in_both_splits_and_never_public() -> None:
    counts = {"identities": 4, "train_images": 12, "test_images": 6, "public_images": 60}
    task = load_faces("synthetic", size=32, **counts)
    assert set(task.y_train.tolist()) == set(task.y_test.tolist()) == set(range(4))
    assert torch.cdist(*drawn_people(Limits(**counts), seed=0)).min() > 0.5


def test_images_survive_the_way_through_json() -> None:
    images = to_float(torch.randint(256, (2, 3, 5, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8))
    assert torch.equal(from_text(to_text(images)), images)
    assert torch.equal(to_float(to_bytes(images)), images)
