"""The confidence attack: the confidence never falls on its path, and rises to the best there is."""

from itertools import pairwise

import latent_scene
import torch

from rp_tutorial.attacks.inversion.contrast.confidence import ENOUGH, confidence_attack, raise_confidence


def test_the_confidence_never_falls_and_ends_high() -> None:
    net, prior, targets = latent_scene.Nearest(), latent_scene.prior(), torch.tensor([3, 0, 4])
    path = raise_confidence(net, prior, targets, torch.zeros(3, latent_scene.DIM), steps=60)
    sure = [net(prior(z)).softmax(dim=1)[torch.arange(3), targets] for z in path]
    assert all(bool((after >= before * (1 - 1e-5)).all()) for before, after in pairwise(sure))
    assert bool((sure[0] < 0.5).all() and (sure[-1] >= ENOUGH).all())


def test_it_spends_no_label_and_less_than_the_budget() -> None:
    scene, oracle = latent_scene.scene(), latent_scene.oracle()
    attacked = confidence_attack(oracle, scene, None)
    assert 0 < attacked.spent["queries"] <= 3 * 330
    assert oracle.queries == 0
    assert oracle(scene.prior(attacked.inversion.latent)).tolist() == scene.targets.tolist()
    assert float(attacked.inversion.start.abs().max()) == 0
