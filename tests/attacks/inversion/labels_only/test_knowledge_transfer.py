"""Knowledge transfer: labels fall on targets, the surrogate agrees with the release, and the budget is one."""

import latent_scene
import torch

from rp_tutorial.attacks.inversion.conditional import ConditionalLatents, Fitted
from rp_tutorial.attacks.inversion.labels_only.knowledge_transfer import knowledge_transfer, pictures


def test_the_surrogate_agrees_with_the_release_on_images_that_it_never_saw() -> None:
    scene, oracle = latent_scene.scene(), latent_scene.oracle()
    attacked = knowledge_transfer(oracle, scene, None)
    assert attacked.spent["surrogate_accuracy"] > 0.7, "chance is one in five, or the commonest label's share"
    assert oracle.queries == attacked.spent["queries"] == len(scene.images) == 400 + 3 * 330
    assert oracle(scene.prior(attacked.inversion.latent)).tolist() == scene.targets.tolist()
    again = knowledge_transfer(latent_scene.oracle(), scene, None)
    assert torch.equal(again.inversion.latent, attacked.inversion.latent)


def test_pictures_of_learnt_laws_are_of_the_targets_in_turn() -> None:
    net, prior, targets = latent_scene.Nearest(), latent_scene.prior(), torch.tensor([3, 0, 4])
    laws = ConditionalLatents(targets, latent_scene.DIM, seed=0).learn(net, prior, Fitted(steps=120))
    made = pictures(laws, prior, 50)
    assert (made.shape, made.dtype) == ((50, 3, 8, 8), torch.uint8)
    named = net(made / 255).argmax(dim=1)
    assert float((named == targets.repeat(17)[:50]).double().mean()) > 0.8
