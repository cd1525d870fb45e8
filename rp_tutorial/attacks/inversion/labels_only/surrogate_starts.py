"""A boundary walk that begins where a surrogate ends: what gradients found at home is checked, and moved, at the door.

A surrogate is inverted without a query, and where it is wrong nothing tells it so; the walk asks the release itself,
and loses most of its queries on the way from a poor first point. Here half of the budget teaches a shadow's last layer
(`surrogates.py`), whose inversion gives the starting points, and the other half walks from there
(`boundary_repulsion.py`), with the constants of an attacker who expects lies (`attackers.noise_aware`).
A starting point that the release does not call the target stays what the surrogate made of it: no sphere of it grows.
Source of the parts: Kahla et al. 2022 for the walk, Nguyen et al. 2023 for the surrogate.
"""

from dataclasses import replace
from pathlib import Path

from rp_tutorial.attacks.distillation import ask
from rp_tutorial.attacks.inversion.attackers import noise_aware
from rp_tutorial.attacks.inversion.boundary_repulsion import invert
from rp_tutorial.attacks.inversion.registry import Attacked, attack
from rp_tutorial.attacks.inversion.surrogates import SurrogateScene, inverted, transfer
from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.oracles.base import LabelOracle


@attack(
    "walk from a surrogate",
    needs=("images", "shadow", "accuracy"),
    exploits="that what a surrogate believes can be checked with a few labels, and a walk wants a good first point",
    guarantee="none, for the reasons of the surrogate and of the walk",
)
def walk_from_a_surrogate(oracle: LabelOracle, scene: SurrogateScene, state: Path | None) -> Attacked:
    seed, device, walking = child_seed(Purpose.SURROGATE, scene.seed), scene.settings.device, scene.budget // 2
    images = scene.images[: len(scene.images) - len(scene.targets) * walking]
    answers = ask(oracle, images)
    net = transfer(scene.shadow, images, answers.labels, scene.num_classes, seed=seed, device=device)
    home = inverted(scene, answers, net)
    settings = replace(noise_aware(scene.settings.attack).settings, query_limit=walking)
    start = home.inversion.latent
    walked = invert(oracle, scene.prior, scene.targets, start=start, settings=settings, seed=scene.seed, device=device)
    spent = {
        "queries": home.spent["queries"] + int(walked.queries.sum()),
        "forward_passes": home.spent["forward_passes"] + walked.forward_passes,
        "expansions": walked.kept_expansions.tolist(),
    }
    return Attacked(walked, home.spent | spent)
