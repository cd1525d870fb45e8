"""Private face nets: kept with their record, shared, ready to be asked, and pretrained on public images alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.experiment import PROFILES
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import private_nets
from rp_tutorial.experiments.faces.lab import FaceLab, FaceLabSettings
from rp_tutorial.experiments.faces.private_nets import PRIVATE_TRAINING, PrivateSteps, PrivateTraining, private_target
from rp_tutorial.models.small_faces import SmallFaceNet

SMALL = FaceLabSettings(identities=4, train_images=12, test_images=6, public_images=60)
QUICK = PrivateTraining(
    public_images_seen=120,
    kept=8,
    scratch=PrivateSteps(epochs=0.5, sample_rate=1 / 4, learning_rate=1.0),
    public=PrivateSteps(epochs=2, sample_rate=1 / 4, learning_rate=8.0),
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    with one_thread():
        yield


def lab(*, experiment: str = "frontier", seed: int = 0) -> FaceLab:
    return FaceLab(SMALL, data="synthetic", seed=seed, stages=Stages(experiment))


@pytest.mark.parametrize("public", [False, True])
def test_a_net_carries_its_record_and_is_trained_once_for_all_experiments(monkeypatch, public):
    net = private_target(lab(), QUICK, epsilon=8.0, public=public)
    images = to_float(lab().task.x_test)
    logits = net(images)
    assert logits.shape == (24, 4)
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    record = net.privacy
    assert 7.9 < record.epsilon <= 8.0
    assert (record.delta, record.clip, record.sample_rate) == (1e-5, 1.0, 0.25)
    assert record.steps == (8 if public else 2)

    def refuse(*_, **__):
        raise AssertionError("trained a second time")

    monkeypatch.setattr(private_nets, "fit_privately", refuse)
    monkeypatch.setattr(private_nets, "fit_exemplars", refuse)
    again = private_target(lab(experiment="distillation"), QUICK, epsilon=8.0, public=public)
    assert again.privacy == record
    assert_close_to_scale(again(images), logits)


def test_public_features_do_not_depend_on_private_images():
    one, other = lab(), lab()
    other.task = dataclasses.replace(other.task, x_train=255 - other.task.x_train, y_train=other.task.y_train.flip(0))
    other.key = other.key | {"data": "other"}  # so that it is not read from the cache of the first
    first, second = (private_nets.public_net(each, QUICK).state_dict() for each in (one, other))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_last_layer_alone_is_trained_after_public_pretraining():
    before = private_nets.public_net(lab(), QUICK)
    images = to_float(lab().task.x_test)
    net = private_target(lab(), QUICK, epsilon=8.0, public=True)
    with torch.inference_mode():
        wanted = net.net.fc_layer.scores(before.fc_layer.unit(before.features(images)))
    torch.testing.assert_close(net(images), wanted, atol=1e-3, rtol=1e-3)
    assert float(net.net.fc_layer.scores.weight.abs().max()) > 0


def test_from_nothing_no_record_mixes_and_no_public_image_is_used(monkeypatch):
    monkeypatch.setattr(private_nets, "fit_exemplars", None)
    net = private_target(lab(), QUICK, epsilon=8.0, public=False)
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    widths = [(m.in_channels, m.out_channels) for m in net.modules() if isinstance(m, nn.Conv2d)]
    reference = SmallFaceNet(4, size=32, seed=0)
    assert widths == [(m.in_channels, m.out_channels) for m in reference.modules() if isinstance(m, nn.Conv2d)]


def test_every_profile_has_a_recipe_with_a_delta_below_one_over_its_images():
    from rp_tutorial.experiments.faces.inversion import PROFILES as SETTINGS

    assert set(PRIVATE_TRAINING) == set(PROFILES)
    for profile, recipe in PRIVATE_TRAINING.items():
        assert recipe.delta < 1 / (SETTINGS[profile].identities * SETTINGS[profile].train_images)


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match=r"^epsilon: got 0"):
        private_target(lab(), QUICK, epsilon=0, public=True)
