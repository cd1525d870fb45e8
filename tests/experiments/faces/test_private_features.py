"""DP-SGD on scattering features: a linear layer over what no data made, kept with its record."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from close import assert_close_to_scale

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose
from rp_tutorial.core.threads import one_thread
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.experiments.faces import private_features
from rp_tutorial.experiments.faces.defenses import Defense
from rp_tutorial.experiments.faces.lab import FaceLab, FaceLabSettings
from rp_tutorial.experiments.faces.private_features import SCATTERING, ScatteringNet, private_scattering_net
from rp_tutorial.experiments.faces.private_nets import PrivateSteps

QUICK = PrivateSteps(epochs=2, sample_rate=1 / 4, learning_rate=8.0)


@dataclasses.dataclass(frozen=True)
class Settings(FaceLabSettings):
    features: PrivateSteps = QUICK


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(tmp_path))
    with one_thread():
        yield


def lab() -> FaceLab:
    settings = Settings(identities=4, train_images=12, test_images=6, public_images=60)
    return FaceLab(settings, data="synthetic", seed=0, stages=Stages("frontier"))


def test_the_layer_is_trained_by_the_labs_recipe_once_and_keeps_its_record(monkeypatch):
    net = private_scattering_net(lab(), 8.0)
    images = to_float(lab().task.x_test)
    assert 7.9 < net.privacy.epsilon <= 8.0
    assert (net.privacy.steps, net.privacy.sample_rate, net.privacy.delta) == (8, 0.25, 1e-5)
    assert float(net.net.fc_layer.weight.abs().max()) > 0
    assert not any(parameter.requires_grad for parameter in net.parameters())

    monkeypatch.setattr(private_features, "take_private_steps", None)
    again = private_scattering_net(lab(), 8.0)
    assert again.privacy == net.privacy
    assert_close_to_scale(again(images), net(images))


def test_the_release_is_the_label_of_that_net_and_its_promise_is_about_training_sets():
    way = Defense(SCATTERING, epsilon=8.0)
    images = to_float(lab().task.x_test)
    released = lab().oracle(way, Purpose.ATTACK)(images)
    assert torch.equal(released, private_scattering_net(lab(), 8.0)(images).argmax(dim=1))
    assert way.label == "DP-SGD on scattering features, epsilon 8"
    assert way.promise(4, 0.01) == Defense("DP-SGD", epsilon=8.0).promise(4, 0.01)


def test_what_the_layer_reads_of_an_image_has_length_one_and_depends_on_no_other_image():
    net = ScatteringNet(4, 32)
    images = to_float(lab().task.x_test)
    features = net.features(images)
    assert_close_to_scale(features.norm(dim=1), torch.ones(len(images)))
    assert_close_to_scale(net.features(images[:1]), features[:1])


def test_an_image_without_structure_is_taken():
    assert bool(ScatteringNet(4, 32)(torch.zeros(1, 3, 32, 32)).isfinite().all())


def test_a_bad_epsilon_is_refused():
    with pytest.raises(InputError, match=r"^epsilon: got 0"):
        private_scattering_net(lab(), 0.0)
