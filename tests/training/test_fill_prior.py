"""No private image reaches a prior: it is a function of the public images, the seed and the settings."""

import dataclasses
import inspect

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import FaceTask
from rp_tutorial.models.priors import PRIORS, PCAPrior, Prior, new_prior
from rp_tutorial.training.fill_prior import fill_prior

SHORT = {
    "pca": {},
    "vae": {"epochs": 1, "batch_size": 30},
    "gan": {"epochs": 1, "critic_steps": 1, "batch_size": 30, "critic_width": 4},
}


@pytest.fixture(scope="module")
def task() -> FaceTask:
    return load_faces("synthetic", size=32, identities=4, train_images=3, test_images=2, public_images=60, seed=0)


def prior_of(task: FaceTask, kind: str, **settings) -> Prior:
    return fill_prior(new_prior(kind, latent_dim=8), task.public, kind=kind, seed=3, **SHORT[kind] | settings)


def same(one: Prior, other: Prior) -> bool:
    state = other.state_dict()
    return all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("kind", SHORT)
def test_no_private_image_reaches_the_prior(kind, task):
    """Poisoning every private image and label leaves the prior as it was, bit by bit; one public image changes it."""
    poisoned = dataclasses.replace(
        task,
        x_train=torch.full_like(task.x_train, 255),
        y_train=task.y_train.flip(0),
        x_test=torch.zeros_like(task.x_test),
        y_test=task.y_test.flip(0),
    )
    clean = prior_of(task, kind)
    assert same(clean, prior_of(poisoned, kind))
    public = task.public.clone()
    public[0] = 255 - public[0]
    assert not same(clean, prior_of(dataclasses.replace(task, public=public), kind))


def test_what_trains_a_prior_takes_public_images_and_cannot_take_a_task(task):
    parameters = inspect.signature(fill_prior).parameters
    assert [name for name, parameter in parameters.items() if parameter.annotation is torch.Tensor] == ["public"]
    with pytest.raises(InputError, match=r"^public: got 'FaceTask'"):
        fill_prior(PCAPrior(8), task, kind="pca")


def test_no_image_is_both_public_and_private(task):
    public = {image.numpy().tobytes() for image in task.public}
    private = {image.numpy().tobytes() for image in (*task.x_train, *task.x_test)}
    assert len(public) == len(task.public)
    assert not public & private


@pytest.mark.parametrize("kind", SHORT)
def test_a_prior_that_is_handed_in_is_filled_as_a_new_one_would_be(kind, task):
    used = prior_of(task, kind)
    filled = fill_prior(used, task.public, kind=kind, seed=3, **SHORT[kind])
    assert filled is used
    assert same(filled, prior_of(task, kind))


def test_every_kind_of_prior_can_be_trained_here():
    assert {*SHORT, "published"} == set(PRIORS)


def test_epochs_are_those_of_the_vae_and_the_gan_and_mean_nothing_to_a_pca(task):
    for kind in SHORT:
        assert same(prior_of(task, kind, epochs=2), prior_of(task, kind)) == (kind == "pca")


GOOD = {"prior": PCAPrior(8), "kind": "pca"}
BAD = [
    ("kind", GOOD | {"kind": "flow"}),
    ("public", GOOD | {"public": None}),
    ("prior", GOOD | {"kind": "gan"}),
    ("prior", {"kind": "pca", "prior": new_prior("gan", latent_dim=8)}),
]


@pytest.mark.parametrize(("argument", "given"), BAD)
def test_bad_input_is_refused_in_one_line(argument, given, task):
    with pytest.raises(InputError, match=rf"^{argument}: got ") as error:
        fill_prior(**{"public": task.public} | given)
    assert len(str(error.value).splitlines()) == 1
