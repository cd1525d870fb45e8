"""Evolution on scores: the target's score rises, and every score is paid for."""

import latent_scene
import torch

from rp_tutorial.attacks.inversion.contrast.evolution import evolution
from rp_tutorial.attacks.inversion.contrast.opened import Scores


def test_the_score_of_the_target_rises_and_the_budget_holds() -> None:
    scene, oracle = latent_scene.scene(), latent_scene.oracle()
    seen = []
    handle = oracle.net.module.register_forward_hook(lambda net, x, out: seen.append(len(out)))
    attacked = evolution(oracle, scene, None)
    handle.remove()
    assert sum(seen) == attacked.spent["queries"] <= len(scene.candidates) + 3 * 330
    assert oracle.queries == 0
    found, scores = attacked.inversion, Scores(oracle, scene.prior)
    before, after = (scores.of_targets(z[:, None], scene.targets)[:, 0] for z in (found.start, found.latent))
    assert bool((after > before).all())
    assert torch.equal(evolution(oracle, scene, None).inversion.latent, found.latent)
