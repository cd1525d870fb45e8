"""The search without gradients: it finds the middle of a region from labels alone, and spends what it says."""

import latent_scene
import pytest
import torch

from rp_tutorial.attacks.inversion.conditional import own_margin
from rp_tutorial.attacks.inversion.labels_only.cross_entropy import Cloud, climb, cross_entropy
from rp_tutorial.core.arguments import InputError

CENTRE = torch.tensor([[1.0, -2.0, 0.5, 0.0]])


def in_a_ball(latents: torch.Tensor, centre: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    inside = ((latents - CENTRE[:, None]).norm(dim=2) < 2).float()
    return inside, inside.mean(dim=1)


def test_from_the_edge_of_a_ball_it_climbs_to_its_middle() -> None:
    edge = CENTRE + torch.tensor([1.9, 0.0, 0.0, 0.0])
    end = climb(in_a_ball, edge, generations=60, cloud=Cloud(population=60), seed=3)
    # A generation's centre is a mean of some 30 latents with a spread below 2, halved: 0.3 a coordinate, 0.6 in all.
    assert float((end - CENTRE).norm()) < 0.9


def test_without_any_label_of_the_target_it_stays() -> None:
    def outside(latents: torch.Tensor, centre: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(latents.shape[:2]), torch.zeros(len(latents))

    assert torch.equal(climb(outside, CENTRE, generations=5, cloud=Cloud(), seed=0), CENTRE)


def test_people_whom_the_release_names_are_found_deeper_inside_than_the_mean_of_their_candidates() -> None:
    scene, oracle = latent_scene.scene(budget=990), latent_scene.oracle()
    attacked = cross_entropy(oracle, scene, None)
    found = attacked.inversion
    before, after = (
        own_margin(latent_scene.Nearest()(scene.prior(z)), scene.targets) for z in (found.start, found.latent)
    )
    assert bool((after > before.clamp_min(0)).all())
    assert oracle.queries == attacked.spent["queries"] <= len(scene.candidates) + 3 * 990
    again = cross_entropy(latent_scene.oracle(), scene, None).inversion
    assert torch.equal(again.latent, found.latent)


def test_who_is_never_named_is_not_found_and_costs_nothing() -> None:
    scene, oracle = latent_scene.scene(pool=300), latent_scene.oracle()
    scene.candidates = scene.candidates[oracle(scene.prior(scene.candidates)) != 0]
    oracle.queries = 0
    attacked = cross_entropy(oracle, scene, None)
    assert attacked.inversion.found.tolist() == [True, False, True]
    assert oracle.queries == attacked.spent["queries"] == len(scene.candidates) + 2 * 330


@pytest.mark.parametrize("wrong", [{"population": 0}, {"rate": 2.0}, {"growth": 0.9}, {"spread": 0.0}])
def test_a_cloud_that_cannot_be_is_refused_in_one_line(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: got"):
        Cloud(**wrong)
