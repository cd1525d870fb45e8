"""The head of a pretrained net: it whitens by public features, cuts to length 1, and bounds each record's gradient."""

import pytest
import torch
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.whitened_head import WhitenedHead


def correlated(rows: int, features: int = 12, *, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(features, features, generator=generator)
    return torch.randn(rows, features, generator=generator) @ mixing + 5


def test_whitened_features_are_uncorrelated_and_of_spread_one_on_what_they_were_taken_from():
    features, head = correlated(400), WhitenedHead(12, 3, kept=5)
    head.whiten(features)
    kept = (features - head.mean) @ head.directions
    torch.testing.assert_close(kept.T @ kept / len(kept), torch.eye(5), atol=1e-3, rtol=0)


def test_the_directions_kept_are_those_of_most_variance():
    features, head = correlated(400), WhitenedHead(12, 3, kept=5)
    head.whiten(features)
    centred = features - features.mean(dim=0)
    _, _, main = torch.linalg.svd(centred, full_matrices=False)
    assert torch.linalg.matrix_rank(torch.cat([main[:5], head.directions.T]), rtol=1e-3) == 5


def test_fewer_images_than_features_leave_everything_finite():
    head = WhitenedHead(12, 3, kept=12)
    head.whiten(correlated(4))
    assert bool(torch.isfinite(head(correlated(50, seed=1))).all())


def test_scores_start_at_zero_and_read_unit_vectors():
    head = WhitenedHead(12, 3, kept=5)
    head.whiten(correlated(400))
    assert not head(correlated(7)).any()
    torch.testing.assert_close(head.unit(correlated(7)).norm(dim=1), torch.ones(7))


def test_the_gradient_of_a_record_is_no_longer_than_the_square_root_of_two():
    """Its norm is |probabilities - one-hot| times 1: so a clipping norm of 1 cuts wrong answers only."""
    head = WhitenedHead(12, 3, kept=5)
    head.whiten(correlated(400))
    nn.init.normal_(head.scores.weight, std=30, generator=torch.Generator().manual_seed(0))
    for row in correlated(40, seed=2):
        loss = nn.functional.cross_entropy(head(row[None]), torch.tensor([0]))
        (gradient,) = torch.autograd.grad(loss, [head.scores.weight])
        assert float(gradient.norm()) <= 2**0.5 + 1e-5


def test_a_new_head_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    untouched = torch.rand(1)
    torch.manual_seed(1)
    WhitenedHead(12, 3, kept=5)
    assert torch.equal(torch.rand(1), untouched)


def test_it_keeps_no_more_directions_than_there_are_features():
    assert WhitenedHead(6, 3, kept=100).directions.shape == (6, 6)


@pytest.mark.parametrize("bad", [{"features": 0}, {"num_classes": 1}, {"kept": 0}])
def test_bad_input_is_refused(bad):
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got "):
        WhitenedHead(**{"features": 12, "num_classes": 3, "kept": 5} | bad)
