"""Where inversions start: the first candidate that the defended oracle calls the target, the same for every arm."""

import math

import pytest
import torch
from cells import CENTRES, CLASSES, DIM, SHORT, TARGETS, CellOracle, identity, latents

from rp_tutorial.attacks.inversion.boundary_repulsion import invert
from rp_tutorial.attacks.inversion.starts import candidate_latents
from rp_tutorial.core.arguments import InputError


def test_the_start_is_the_first_candidate_that_the_defended_oracle_calls_the_target():
    candidates = latents()
    found = invert(CellOracle(), identity, TARGETS, candidates=candidates, settings=SHORT, seed=0)
    labels = CellOracle()(candidates)
    for target in range(CLASSES):
        first = int((labels == target).nonzero()[0])
        assert found.chosen[target] == first
        assert torch.equal(found.start[target], candidates[first])


def test_candidates_are_normal_draws_cut_as_published_and_the_same_for_every_arm():
    drawn, cut = (candidate_latents(4000, 5, seed=3, clamp=clamp) for clamp in (None, 1.5))
    assert torch.equal(drawn.clamp(-1.5, 1.5), cut)
    assert torch.equal(cut, candidate_latents(4000, 5, seed=3))
    assert abs(float(drawn.mean())) < 5 / math.sqrt(20000)


def test_a_target_that_is_never_found_is_reported_and_costs_no_walk():
    far_away = torch.cat([CENTRES, torch.tensor([[90.0, 90.0, 90.0]])])
    targets = torch.tensor([0, CLASSES])
    candidates = latents(600)
    found = invert(CellOracle(far_away), identity, targets, candidates=candidates, settings=SHORT, seed=0)
    assert found.found.tolist() == [True, False]
    assert found.stopped[1] == "not found"
    assert found.chosen[1] == -1
    assert (found.queries[1], found.iterations[1]) == (0, 0)
    assert found.latent[1].isnan().all()
    assert found.search_queries == 600
    none = invert(
        CellOracle(far_away), identity, targets[1:], candidates=candidates, settings=SHORT, seed=0, record=True
    )
    assert not none.found.any()
    assert none.trace.path.shape == (0, 1, DIM)


def test_candidates_of_other_dimensions_than_the_prior_s_are_refused():
    class Plane(torch.nn.Module):
        latent_dim = 2

    with pytest.raises(InputError, match="prior's 2 dimensions"):
        invert(CellOracle(), Plane(), TARGETS, candidates=latents(), seed=0)


@pytest.mark.parametrize("arguments", [{"size": 0}, {"latent_dim": 0}, {"seed": -1}, {"clamp": -1.0}])
def test_candidates_of_impossible_size_or_clamp_are_refused(arguments):
    with pytest.raises(InputError, match=next(iter(arguments))):
        candidate_latents(**({"size": 3, "latent_dim": 2, "seed": 0} | arguments))
