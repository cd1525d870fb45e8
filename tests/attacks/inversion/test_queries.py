"""Questions about latents: counted one by one, asked in bounded chunks, repeated where one answer is not enough."""

from dataclasses import replace

import pytest
import torch
from cells import CLASSES, DIM, SHORT, TARGETS, CellOracle, identity, latents, same

from rp_tutorial.attacks.inversion.boundary_repulsion import BREP_MI, invert
from rp_tutorial.attacks.inversion.queries import strict_plurality
from rp_tutorial.attacks.inversion.starts import SEARCH_BLOCK
from rp_tutorial.core.labels import ABSTAIN


@pytest.mark.parametrize("repeats", [1, 3])
def test_queries_and_forward_passes_are_counted_exactly(repeats):
    oracle = CellOracle()
    settings = replace(SHORT, repeats=repeats)
    found = invert(oracle, identity, TARGETS, candidates=latents(), settings=settings, seed=0)
    assert oracle.queries == int(found.queries.sum()) + found.search_queries
    assert oracle.forward_passes == found.forward_passes == 2 * oracle.queries
    assert found.search_queries == SEARCH_BLOCK * repeats
    assert torch.equal(found.queries, 33 * repeats * found.iterations)


def test_all_running_targets_share_one_call_and_no_call_is_above_the_chunk():
    oracle = CellOracle()
    found = invert(oracle, identity, TARGETS, candidates=latents(), settings=SHORT, seed=0)
    assert oracle.batches[1:3] == [32 * CLASSES, CLASSES]
    assert len(oracle.batches) == 1 + 2 * int(found.iterations.max())
    chunked = CellOracle()
    same(found, invert(chunked, identity, TARGETS, candidates=latents(), settings=SHORT, seed=0, chunk_rows=50))
    assert max(chunked.batches) == 50


def test_one_target_and_a_prior_that_makes_images():
    def prior(z):
        return torch.stack([z, -z], dim=1)[:, :, :, None]  # [B, 2, d, 1]

    class Images(CellOracle):
        def _release(self, x):
            assert x.shape[1:] == (2, DIM, 1)
            return super()._release(x[:, 0, :, 0])

    image = invert(Images(), prior, TARGETS[2:3], candidates=latents(), settings=SHORT, seed=0)
    same(image, invert(CellOracle(), identity, TARGETS[2:3], candidates=latents(), settings=SHORT, seed=0))


def test_a_prior_with_batch_statistics_is_put_into_eval_mode():
    prior = torch.nn.Sequential(torch.nn.BatchNorm1d(DIM))
    one_call, chunked = (
        invert(CellOracle(), prior.train(), TARGETS, candidates=latents(), settings=SHORT, seed=0, chunk_rows=rows)
        for rows in (4096, 20)
    )
    same(one_call, chunked)
    assert not prior.training


def test_repeated_queries_take_the_strict_plurality_and_a_tie_is_no_answer():
    answers = torch.tensor([[2, 0, ABSTAIN, 1], [2, 1, ABSTAIN, 1], [0, 2, 1, 0], [1, 0, 1, ABSTAIN]])
    assert strict_plurality(answers, 3).tolist() == [2, 0, ABSTAIN, 1]
    assert strict_plurality(answers[:3], 3).tolist() == [2, ABSTAIN, ABSTAIN, 1]


def test_repeats_recover_what_noise_hides():
    """Centres 8 apart, noise of 2: with 15 answers a probe the walk ends deeper in its cell."""
    centres = 8 * torch.eye(3)
    start = torch.tensor([[1.5, 0.9, 0.9]])
    settings = replace(BREP_MI, radius=1.0, latent_clamp=8.0, patience=30, rejected_limit=30, max_iterations=80)
    depths = []
    for repeats in (1, 15):
        oracle = CellOracle(centres, noise=2.0)
        found = invert(
            oracle, identity, TARGETS[:1], start=start, settings=replace(settings, repeats=repeats), seed=0
        )  # fmt: skip
        depths.append(int(found.expansions[0]))
    assert depths[1] > depths[0]
