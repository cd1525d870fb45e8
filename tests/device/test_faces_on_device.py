"""Training, priors and the attack on a CUDA device: they learn, they resume, and they judge as on a CPU."""

import dataclasses

import pytest
import torch

from rp_tutorial.attacks.inversion.boundary_repulsion import invert
from rp_tutorial.attacks.inversion.settings import BREP_MI
from rp_tutorial.attacks.inversion.verdicts import evaluate
from rp_tutorial.data.faces.sources import load_faces
from rp_tutorial.data.faces.task import to_float
from rp_tutorial.models.priors import new_prior
from rp_tutorial.models.small_faces import SmallEvaluator, SmallFaceNet
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle
from rp_tutorial.training.classify import fit_classifier
from rp_tutorial.training.fill_prior import fill_prior
from rp_tutorial.training.prior_misfit import prior_misfit

PEOPLE = 5
SHORT = dataclasses.replace(BREP_MI, step_fraction=1.0, patience=5, rejected_limit=5, max_iterations=8)


@pytest.fixture(scope="module")
def task():
    return load_faces(
        "synthetic", seed=3, size=32, identities=PEOPLE, train_images=40, test_images=10, public_images=300
    )


@pytest.fixture(scope="module")
def net(task, device):
    return fit_classifier(SmallFaceNet(PEOPLE, seed=1), task.x_train, task.y_train, epochs=20, device=device)


@pytest.fixture(scope="module")
def prior(task, device):
    return fill_prior(new_prior("pca", latent_dim=16), task.public, kind="pca", device=device)


def accuracy(net, task, device, **options):
    labels = PlainOracle(net, num_classes=PEOPLE, device=device, **options)(to_float(task.x_test))
    return float((labels == task.y_test).double().mean())


def test_a_net_learns_on_the_device(net, task, device):
    assert accuracy(net, task, device) >= 0.6  # chance is .2


def test_a_net_learns_in_bfloat16_and_answers_in_it(task, device):
    half = {"autocast": torch.bfloat16}
    net = fit_classifier(SmallFaceNet(PEOPLE, seed=1), task.x_train, task.y_train, epochs=20, device=device, **half)
    assert {weight.dtype for weight in net.parameters()} == {torch.float32}
    assert accuracy(net, task, device, **half) >= 0.6  # chance is .2


def test_training_under_noise_draws_it_on_the_device(task, device):
    nets = [
        fit_classifier(SmallFaceNet(PEOPLE, seed=1), task.x_train, task.y_train, epochs=1, noise_sigma=s, device=device)
        for s in (0.1, 0.2)
    ]
    weights = [torch.cat([w.flatten() for w in net.parameters()]) for net in nets]
    assert bool(torch.stack(weights).isfinite().all())
    assert not torch.equal(*weights)


@pytest.mark.parametrize("kind", ["pca", "vae", "gan"])
def test_a_prior_is_made_on_the_device_and_makes_images_there(task, device, kind):
    made = fill_prior(new_prior(kind, latent_dim=32), task.public, kind=kind, epochs=1, device=device)
    faces = made(made.latents(6, seed=0))
    assert faces.device.type == device.type
    assert bool(((faces >= 0) & (faces <= 1)).all())
    misfit = prior_misfit(made, task.public, samples=200)
    assert misfit <= 0.2 if kind == "pca" else misfit >= 0.2  # one epoch of a generator is no face yet


@pytest.mark.parametrize("defended", [False, True], ids=["undefended", "behind votes"])
def test_a_killed_attack_goes_on_to_the_same_result(tmp_path, net, prior, device, defended):
    def oracle():
        if not defended:
            return PlainOracle(net, num_classes=PEOPLE, device=device)
        return VoteOracle(Smoothing(net, num_classes=PEOPLE, sigma=0.1, seed=4, device=device), n=3, curtailed=True)

    def attack(settings=SHORT, **options):
        candidates = prior.latents(300, seed=1)
        how = {"candidates": candidates, "seed": 0, "device": device, "save_every": 1} | options
        return invert(oracle(), prior, torch.arange(PEOPLE), settings=settings, **how)

    whole, state = attack(), tmp_path / "attack.pt"

    passes = iter(range(4))

    def dying(z):
        if next(passes, None) is None:
            raise KeyboardInterrupt
        return prior(z)

    with pytest.raises(KeyboardInterrupt):
        invert(oracle(), dying, torch.arange(PEOPLE), settings=SHORT, candidates=prior.latents(300, seed=1), seed=0,
               device=device, save_every=1, state_path=state)  # fmt: skip
    resumed = attack(state_path=state)
    assert torch.equal(resumed.latent.nan_to_num(), whole.latent.nan_to_num())
    assert torch.equal(resumed.iterations, whole.iterations)
    assert resumed.forward_passes == whole.forward_passes


def test_the_evaluator_judges_as_on_a_cpu(task, net, prior, device):
    judge = fit_classifier(SmallEvaluator(PEOPLE, seed=2), task.x_train, task.y_train, epochs=4, device=device)
    oracle = PlainOracle(net, num_classes=PEOPLE, device=device)
    found = invert(oracle, prior, torch.arange(PEOPLE), candidates=prior.latents(300, seed=1), settings=SHORT, seed=0,
                   device=device)  # fmt: skip
    here = evaluate(found, prior, judge, task.x_train, task.y_train, device=device)
    there = evaluate(found, prior.cpu(), judge.cpu(), task.x_train, task.y_train, device="cpu")
    prior.to(device)
    assert (here.hits() == there.hits()).mean() >= 0.6  # chance is .2
    agreed = abs(here.final.feature_distance - there.final.feature_distance)
    assert (agreed[found.found.numpy()] <= 0.02 * there.final.feature_distance[found.found.numpy()]).all()
