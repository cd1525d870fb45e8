"""The head behind a bottleneck: Gaussian codes in training, their mean afterwards, folding leaves its logits."""

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.variational_head import VariationalHead


def test_codes_have_the_mean_and_the_spread_that_the_head_states() -> None:
    """20,000 codes: a mean errs by under 5 of its standard errors, a spread by under 5 % (5 errors are 2.5 %)."""
    head = VariationalHead(3, 2, width=4, seed=0)
    head.scores = torch.nn.Identity()
    with torch.no_grad():
        head.statistics.bias[4:] = torch.tensor([5.0, 4.0, 6.0, 3.0])
        mean, spread = head.code(torch.ones(1, 3))
        torch.manual_seed(0)
        codes = head.train()(torch.ones(20_000, 3))
        released = head.eval()(torch.ones(1, 3))
    assert bool(((codes.mean(0) - mean[0]).abs() < 5 * spread[0] / 20_000**0.5).all())
    torch.testing.assert_close(codes.std(0), spread[0], rtol=0.05, atol=0)
    assert torch.equal(released, mean)


def test_a_folded_net_has_the_logits_of_the_mean() -> None:
    net = SmallFaceNet(3, seed=0)
    net.fc_layer = VariationalHead(128, 3, width=8)
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(folded(net)(x), net.eval()(x), rtol=1e-4, atol=1e-4)


def test_its_weights_are_drawn_from_the_seed_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    untouched = torch.rand(1)
    torch.manual_seed(1)
    first, other = (VariationalHead(5, 2, width=3, seed=seed).scores.weight for seed in (0, 1))
    assert torch.equal(torch.rand(1), untouched)
    assert torch.equal(VariationalHead(5, 2, width=3, seed=0).scores.weight, first)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("bad", [{"features": 0}, {"num_classes": 1}, {"width": 0}])
def test_bad_sizes_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"^{next(iter(bad))}: got "):
        VariationalHead(**{"features": 4, "num_classes": 2, "width": 3} | bad)
