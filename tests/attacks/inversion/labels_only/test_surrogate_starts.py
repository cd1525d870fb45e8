"""A walk from a surrogate: it begins where the surrogate ended, and both share one budget."""

import latent_scene
import torch

from rp_tutorial.attacks.inversion.labels_only.surrogate_starts import walk_from_a_surrogate


def test_it_begins_at_the_surrogates_end_and_walks_with_what_is_left() -> None:
    scene, oracle = latent_scene.scene(budget=660), latent_scene.oracle()
    attacked = walk_from_a_surrogate(oracle, scene, None)
    found, taught = attacked.inversion, len(scene.images) - 3 * 330
    assert bool((found.queries <= 330).all())
    assert oracle.queries == attacked.spent["queries"] == taught + int(found.queries.sum())
    assert oracle(scene.prior(found.start)).tolist() == scene.targets.tolist()
    assert oracle(scene.prior(found.latent)).tolist() == scene.targets.tolist()
    assert attacked.spent["surrogate_accuracy"] > 0.6, "chance is one in five"
    again = walk_from_a_surrogate(latent_scene.oracle(), scene, None).inversion
    assert torch.equal(again.latent, found.latent)
