"""The integer sampler against the exact law, and what it is for: nets that look at the last bits of their inputs."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.grid import BITS, MORE_BITS, Grid, _table
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle

ERROR = 1e-6


def exact(steps: float, k: np.ndarray) -> np.ndarray:
    """P[round(eps / step) = k], from the tails, where doubles are accurate."""
    low = np.abs(k) - 0.5
    tails = stats.norm.sf(low / steps) - stats.norm.sf((low + 1) / steps)
    return np.where(k == 0, 1 - 2 * stats.norm.sf(0.5 / steps), tails)


@pytest.mark.parametrize("steps", [0.05, 0.3, 1.0, 2.7, 63.75, 700.0])
def test_thresholds_are_the_exact_law_within_the_stated_error(steps):
    table = _table(steps)
    edges = [0, *table.thresholds.tolist(), 2**BITS]
    assert edges == sorted(edges)
    drawn = np.array([(high - low) / 2**BITS for low, high in pairwise(edges)])
    law = exact(steps, np.arange(len(drawn)) + table.lowest)
    assert np.abs(drawn - law).sum() / 2 <= table.error + 1e-15 * len(law)  # what doubles have left
    assert table.error <= 2e-19 * (10 * steps + 3)


@pytest.mark.parametrize("steps", [0.05, 1.0, 63.75])
def test_the_guide_gives_what_a_search_would_at_every_threshold(steps):
    table = _table(steps)
    near = torch.cat([table.thresholds + shift for shift in (-1, 0, 1)] + [torch.tensor([0, 2**BITS - 1])])
    near = near[(near >= 0) & (near <= 2**BITS - 1)]
    found = table.at((near >> MORE_BITS).int(), lambda places: near[places] & (2**MORE_BITS - 1))
    assert torch.equal(found, torch.searchsorted(table.thresholds, near, right=True).int() + table.lowest)


@pytest.mark.parametrize("steps", [0.3, 1.0, 2.7])
def test_noise_has_the_exact_law_on_a_tiny_grid(steps):
    draws = Grid(step=1.0).sample((400_000,), torch.Generator().manual_seed(3), sigma=steps)
    k = np.arange(-int(4 * steps), int(4 * steps) + 1)
    seen = np.array([(draws == value).sum() for value in k.tolist()])
    expected = len(draws) * exact(steps, k)
    rest = [len(draws) - seen.sum()], [len(draws) - expected.sum()]
    assert stats.chisquare(np.append(seen, rest[0]), np.append(expected, rest[1])).pvalue > ERROR


def test_each_feature_has_its_own_step():
    grid = Grid(step=torch.tensor([0.5, 0.02]), origin=torch.tensor([0.25, -3.0]))
    x = torch.tensor([[1.25, -3.0], [-0.75, -2.96]])
    assert grid.indices(x).tolist() == [[2, 0], [-2, 2]]
    assert torch.allclose(grid.values(grid.indices(x), torch.float32), x)
    draws = grid.sample((100_000, 2), torch.Generator().manual_seed(4), sigma=1.0).double()
    for column, step in ((0, 0.5), (1, 0.02)):
        variance = float(draws[:, column].var()) * step**2
        assert variance == pytest.approx(1 + step**2 / 12, rel=6 * (2 / 1e5) ** 0.5)  # six standard errors


class LastBits(nn.Module):
    """Class 1 where every input is a multiple of 2^-24: no question about x, one about floats."""

    def forward(self, x):
        multiple = (x * 2**24 == (x * 2**24).round()).all(dim=1).to(x.dtype)
        return torch.stack([torch.full_like(multiple, 0.5), multiple], dim=1)


def test_a_net_that_reads_the_last_bits_breaks_floats_and_not_the_grid():
    """1 + eps is always such a multiple, eps seldom; the two inputs are 2 apart, and sigma is 1."""
    x = torch.stack([torch.ones(4), torch.zeros(4)])
    options = {"num_classes": 2, "sigma": 1.0, "seed": 2}
    certificate = Smoothing(LastBits(), **options).certify(x, n0=50, n=20_000, alpha=0.001)
    assert certificate.label.tolist() == [1, 0]
    assert certificate.radius[0] > 2  # and the other input, 2 away, has the other label: the certificate is wrong
    on_grid = Smoothing(LastBits(), grid=Grid(step=2**-10), **options)
    certificate = on_grid.certify(x, n0=50, n=20_000, alpha=0.001)
    assert certificate.label.tolist() == [1, 1]
    assert VoteOracle(on_grid, n=101)(x).tolist() == [1, 1]


class Threshold(nn.Module):
    """Class 1 beyond 1/4 in the first feature: on the grid of halves the boundary is where rounding changes."""

    def forward(self, x):
        return torch.stack([torch.full_like(x[:, 0], 0.25), x[:, 0]], dim=1)


@pytest.mark.parametrize(("alpha", "inputs"), [(0.05, 60_000), (0.01, 60_000)])
def test_of_100000_certificates_no_more_fail_than_alpha(alpha, inputs):
    """A failure is a label other than 1 or a radius beyond the distance .25 + .5; ERROR by the binomial law."""
    x = torch.tensor([[1.0, -3.5]]).expand(inputs, 2)
    smoothing = Smoothing(Threshold(), num_classes=2, sigma=1.0, seed=5, grid=Grid(step=0.5))
    found = smoothing.certify(x, n0=15, n=120, alpha=alpha)
    wrong = (found.label != ABSTAIN) & ((found.label != 1) | (found.radius > 0.75))
    assert wrong.sum() <= stats.binom.isf(ERROR, inputs, alpha)
    assert wrong.sum() >= stats.binom.ppf(ERROR, inputs, 0.1 * alpha)  # and the bound is not an empty one


@pytest.mark.parametrize("noise", ["independent", "common", "fixed"])
def test_votes_follow_the_law_of_the_net_behind_the_rounding(noise):
    x = torch.randint(0, 256, (3, 3, 8, 8), generator=torch.Generator().manual_seed(0)) / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    n, grid = 4000, Grid(step=1 / 255)
    ours = Smoothing(net, num_classes=3, sigma=0.25, seed=1, noise=noise, grid=grid).counts(x, n)
    drawn = 0.25 * torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        for row, counts in zip(x, ours, strict=True):
            rounded = ((row + drawn) * 255).round() / 255
            expected = net(rounded).argmax(dim=1).bincount(minlength=3)
            for a, b in zip(counts.tolist(), expected.tolist(), strict=True):
                assert stats.fisher_exact([[a, n - a], [b, n - b]]).pvalue > ERROR / 9


def test_the_error_of_the_sampler_is_stated_and_taken_from_alpha():
    grid = Grid(step=1 / 255)
    smoothing = Smoothing(nn.Flatten(), num_classes=3, sigma=0.25, grid=grid)
    x = torch.zeros(1, 3, 64, 64)
    assert 0 < smoothing.sampling_error(x, 1000) < 1e-8
    assert smoothing.sampling_error(x.numpy(), 1000) == smoothing.sampling_error(x, 1000)
    assert smoothing.sampling_error(x, 1000) == pytest.approx(1000 * 3 * 64 * 64 * _table(0.25 * 255).error)
    assert Smoothing(nn.Flatten(), num_classes=3, sigma=0.25).sampling_error(x, 1000) == 0
    with pytest.raises(InputError, match="alpha less the error of the sampler"):
        smoothing.certify(x, n0=10, n=100, alpha=1e-11)


def test_the_error_counts_every_feature_of_every_row_of_a_table():
    """Each of three rows has two features, each with its own step."""
    own = sum(Grid(step=step).sampling_error(1.0, 3) for step in (0.5, 0.02))
    assert Grid(step=torch.tensor([0.5, 0.02])).sampling_error(1.0, 6) == pytest.approx(own)


@pytest.mark.parametrize(("argument", "act"), [
    ("grid", lambda: Grid(step=torch.tensor([0.5, 0.2])).indices(torch.zeros(4, 3))),
    ("grid", lambda: Grid(step=torch.tensor([0.5, 0.2])).indices(torch.zeros(4, 1))),
    ("grid", lambda: Grid(step=0.5, origin=torch.zeros(2)).indices(torch.zeros(4, 1))),
    ("x", lambda: Grid(step=1 / 255).indices(torch.tensor([[0.3]]))),
    ("x", lambda: Grid(step=2**-24).indices(torch.tensor([[100.0]]))),
    ("step", lambda: Grid(step=0.0)),
    ("step", lambda: Grid(step="fine")),
    ("grid", lambda: Smoothing(nn.Flatten(), num_classes=3, sigma=0.25, grid=0.5)),
    ("step", lambda: Grid(step=float("nan"))),
    ("step", lambda: Grid(step=1e-6).sample((1,), torch.Generator(), sigma=1.0)),
])  # fmt: skip
def test_what_a_grid_cannot_hold_is_refused_in_one_line(argument, act):
    with pytest.raises(InputError, match=rf"^{argument}: got [^\n]*$"):
        act()
