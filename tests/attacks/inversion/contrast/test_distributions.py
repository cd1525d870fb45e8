"""The distributional white box: its law lies at the person's centre, and no label is asked."""

import latent_scene
import torch

from rp_tutorial.attacks.inversion.contrast.distributions import distributional


def test_the_surest_draw_is_the_target_and_the_budget_holds() -> None:
    scene, oracle = latent_scene.scene(), latent_scene.oracle()
    attacked = distributional(oracle, scene, None)
    assert attacked.spent["queries"] <= 3 * 330
    assert oracle.queries == 0
    assert oracle(scene.prior(attacked.inversion.latent)).tolist() == scene.targets.tolist()
    assert torch.equal(distributional(oracle, scene, None).inversion.latent, attacked.inversion.latent)
