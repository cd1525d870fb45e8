"""Surrogates: made of public images and released labels, and of nothing else."""

from __future__ import annotations

import pytest
import torch

from rp_tutorial.attacks.inversion.registry import ATTACKS
from rp_tutorial.attacks.inversion.surrogates import transfer
from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import FaceTask, to_float
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.whitened_head import WhitenedHead
from rp_tutorial.training.pretrain import fit_exemplars


@pytest.fixture(scope="module")
def task() -> FaceTask:
    return load_faces("synthetic", identities=6, train_images=20, test_images=10, public_images=120, size=32, seed=4)


@pytest.fixture(scope="module")
def shadow(task: FaceTask) -> SmallFaceNet:
    net = SmallFaceNet(2, seed=1)
    net.fc_layer = WhitenedHead(128, 2, kept=24)
    return fit_exemplars(net, task.public, epochs=25, batch_size=40, seed=1)


def test_a_transferred_net_learns_the_labels_and_leaves_the_shadow_as_it_is(
    task: FaceTask, shadow: SmallFaceNet
) -> None:
    """Labels of images of six people the shadow has not seen; half of the images teach, the others are new to it."""
    before = {name: value.clone() for name, value in shadow.state_dict().items()}
    net = transfer(shadow, task.x_train, task.y_train, 6, seed=0)
    with torch.no_grad():
        right = (net(to_float(task.x_test)).argmax(dim=1) == task.y_test).double().mean()
    assert float(right) > 0.5, "chance is one in six"
    assert all(torch.equal(value, before[name]) for name, value in shadow.state_dict().items())
    torch.testing.assert_close(
        transfer(folded(shadow), task.x_train, task.y_train, 6, seed=0).head.weight,
        net.head.weight,
        rtol=0.05,
        atol=0.05,
    )


def test_what_was_not_answered_does_not_matter(task: FaceTask, shadow: SmallFaceNet) -> None:
    labels = task.y_train.clone()
    labels[::3] = ABSTAIN
    partly = transfer(shadow, task.x_train, labels, 6, seed=0)
    without = transfer(shadow, task.x_train[labels != ABSTAIN], labels[labels != ABSTAIN], 6, seed=0)
    assert torch.equal(partly.head.weight, without.head.weight)


def test_a_surrogate_can_be_differentiated(task: FaceTask, shadow: SmallFaceNet) -> None:
    net = transfer(folded(shadow), task.x_train, task.y_train, 6, seed=0)
    x = to_float(task.x_test[:2]).requires_grad_()
    net(x).sum().backward()
    assert bool((x.grad != 0).any())


def test_every_surrogate_says_what_it_proves() -> None:
    assert {name for name, attack in ATTACKS.items() if attack.needs and attack.exploits and attack.guarantee} == {
        "distil, then invert",
        "shadow and released labels",
        "knowledge transfer",
        "walk from a surrogate",
    }


@pytest.mark.parametrize("labels", [torch.zeros(3).long(), torch.zeros(120), [0]])
def test_labels_that_do_not_fit_are_refused_in_one_line(task: FaceTask, shadow: SmallFaceNet, labels: object) -> None:
    with pytest.raises(InputError, match="labels: got"):
        transfer(shadow, task.public, labels, 6, seed=0)


def test_silence_teaches_nothing_and_is_refused(task: FaceTask, shadow: SmallFaceNet) -> None:
    with pytest.raises(InputError, match="ABSTAIN for every image"):
        transfer(shadow, task.public, torch.full((120,), ABSTAIN), 6, seed=0)
