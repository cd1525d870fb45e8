"""The door that only attackers of contrast go through."""

import latent_scene
import pytest
import torch

from rp_tutorial.attacks.inversion.contrast.opened import Scores, weights_of
from rp_tutorial.attacks.inversion.registry import ATTACKS, attack
from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse


def test_scores_are_the_nets_own_and_counted() -> None:
    oracle, prior = latent_scene.oracle(), latent_scene.prior()
    scores, z = Scores(oracle, prior, chunk_rows=3), torch.eye(latent_scene.DIM)
    known = latent_scene.Nearest()(prior(z)).softmax(dim=1)
    torch.testing.assert_close(scores(z).exp(), known)
    torch.testing.assert_close(scores.of_targets(z[None], torch.tensor([2])).exp()[0], known[:, 2])
    assert (scores.queries, oracle.queries) == (2 * latent_scene.DIM, 0)


def test_logits_that_are_a_part_of_the_output_are_found_and_have_gradients() -> None:
    class Wrapped(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"scores": x @ torch.eye(4)[:, :3]}

    net = weights_of(PlainOracle(Wrapped(), num_classes=3, logits="scores"))
    x = torch.arange(8.0).view(2, 4).requires_grad_()
    assert torch.equal(net(x), x[:, :3])
    assert torch.autograd.grad(net(x)[0, 1], x)[0].tolist() == [[0, 1, 0, 0], [0, 0, 0, 0]]


def test_behind_a_defended_release_there_is_nothing_to_see() -> None:
    defended = RandomizedResponse(latent_scene.oracle(), epsilon=1.0, seed=0)
    with pytest.raises(InputError, match="oracle: got 'RandomizedResponse', allowed is a PlainOracle"):
        weights_of(defended)


def test_who_sees_more_than_labels_says_so_and_lives_in_this_room() -> None:
    more = {name for name in ATTACKS if ATTACKS[name].sees != "labels"}
    assert more == {name for name in ATTACKS if "contrast" in str(ATTACKS.source(name))}
    assert {ATTACKS[name].sees for name in more} == {"scores", "weights"}
    with pytest.raises(InputError, match="sees: got 'all'"):
        attack("peeks", exploits="", guarantee="", sees="all")
