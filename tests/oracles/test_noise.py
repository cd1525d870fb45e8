"""The noise: its stream is reproducible and normal, and what a net sees of it has the law of the full noise.

ERROR is the probability that a test of a law fails although the law holds.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from close import assert_close_to_scale
from scipy import stats
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.noise import NoiseSet, NoiseStream, NoisyView, noise_map, split_view, visible_factor

ERROR = 1e-6
CPU = torch.device("cpu")


def normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def one_column(rows: int, columns: int, at: int) -> torch.Tensor:
    weight = torch.zeros(rows, columns)
    weight[:, at] = normal(4, rows)
    return weight


WEIGHTS = {
    "tall": (normal(0, 64, 10), 10),
    "wide": (normal(1, 5, 40), 5),
    "square": (normal(2, 7, 7), 7),
    "rank deficient": (normal(3, 64, 3) @ normal(4, 3, 30), 30),
    "repeated row": (normal(5, 1, 6).repeat(8, 1), 6),
    "one column": (one_column(64, 90, 17), 1),
    "one by one": (torch.tensor([[2.0]]), 1),
    "zero": (torch.zeros(4, 9), 1),
    "tiny": (1e-20 * normal(6, 12, 5), 5),
    "huge": (1e15 * normal(7, 12, 5), 5),
    "ill-scaled": (torch.diag(torch.tensor([1e7, 1.0])), 2),
    "ill-scaled and wide": (torch.tensor([[1e12], [1.0], [1e-9]]) * normal(8, 3, 40), 3),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_visible_factor_has_the_covariance_of_the_noise_behind_the_weights(name):
    weight, rank = WEIGHTS[name]
    factor = visible_factor(weight)
    assert factor.shape == (rank, len(weight))
    assert factor.dtype == weight.dtype
    exact = weight.double() @ weight.double().T
    error = (factor.double().T @ factor.double() - exact).abs()
    size = exact.diag().sqrt()  # each output of the layer at its own scale, however large another one is
    assert bool((error <= 8 * torch.finfo(torch.float32).eps * size[:, None] * size).all())


def test_visible_factor_of_a_double_weight_is_double():
    weight = normal(0, 8, 5).double()
    factor = visible_factor(weight)
    assert_close_to_scale(factor.T @ factor, weight @ weight.T)


def test_projected_noise_has_the_law_of_the_full_noise():
    """Every coordinate and random projections: two-sample Kolmogorov-Smirnov, ERROR shared by the comparisons."""
    weight, rows = WEIGHTS["rank deficient"][0], 20_000
    full = normal(10, rows, weight.shape[1]) @ weight.T
    factor = visible_factor(weight)
    projected = normal(11, rows, len(factor)) @ factor
    directions = torch.cat([torch.eye(len(weight))[:10], normal(12, 10, len(weight))])
    for direction in directions:
        p_value = stats.ks_2samp((full @ direction).numpy(), (projected @ direction).numpy()).pvalue
        assert p_value > ERROR / len(directions)


class Shifted(nn.Sequential):
    """Not what its layers say: the forward pass is its own."""

    def forward(self, x):
        return super().forward(x + 1)


class Doubled(nn.Linear):
    """A linear layer by name only."""

    def forward(self, x):
        return super().forward(x).pow(2)


NETS = {
    "two layers": (two_layer_net(6, seed=1), (6,), True),
    "three layers": (
        nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 3)),
        (6,),
        True,
    ),
    "no bias": (nn.Sequential(nn.Linear(6, 4, bias=False), nn.ReLU(), nn.Linear(4, 2, bias=False)), (6,), True),
    "many outputs": (nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 40)), (6,), True),
    "normalised": (nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), (6,), True),
    "linear over rows": (nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)), (3, 6), True),
    "single layer": (nn.Sequential(nn.Linear(6, 2)), (6,), False),
    "bare layer": (nn.Linear(6, 2), (6,), False),
    "convolution": (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)), (3, 8, 8), False),
    "own forward": (Shifted(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,), False),
    "own first layer": (nn.Sequential(Doubled(6, 4), nn.ReLU(), nn.Linear(4, 2)), (6,), False),
    "own last layer": (nn.Sequential(nn.Linear(6, 4), nn.ReLU(), Doubled(4, 2)), (6,), True),
}


def noisy_view(net):
    return split_view(net, visible_factor) or NoisyView(encode=lambda x: x, head=net, factor=None)


@pytest.mark.parametrize("name", NETS)
@torch.inference_mode()
def test_view_without_noise_gives_the_nets_own_logits(name):
    net, shape, projected = NETS[name]
    view, x = noisy_view(net.eval()), normal(20, 11, *shape)
    assert (view.factor is not None) == projected
    encoded = view.encode(x).clone()
    silent = torch.zeros(len(x), *view.noise_shape(encoded))
    assert_close_to_scale(view.head(view.add_noise(encoded, silent, 3.0)), net(x))


@pytest.mark.parametrize("name", NETS)
@torch.inference_mode()
def test_noisy_logits_have_the_law_of_the_net_on_noisy_inputs(name):
    """Two-sample Kolmogorov-Smirnov on every logit, the view's own noise against noise on the input."""
    net, shape, _ = NETS[name]
    view, rows, sigma = noisy_view(net.eval()), 3000, 0.8
    x = normal(21, 1, *shape).expand(rows, *shape)
    encoded = view.encode(x).clone()
    seen = view.head(view.add_noise(encoded, normal(22, rows, *view.noise_shape(encoded)), sigma))
    full = net(x + sigma * normal(23, rows, *shape))
    for column in range(full.shape[1]):
        assert stats.ks_2samp(seen[:, column].numpy(), full[:, column].numpy()).pvalue > ERROR / full.shape[1]


def test_looking_through_a_net_leaves_the_net_alone():
    net, x = two_layer_net(6, seed=1), normal(24, 5, 6)
    before = net(x)
    view = noisy_view(net)
    view.head(view.encode(x).clone())
    assert torch.equal(net(x), before)
    assert not net[1].inplace


def first_values(seed: int, tiles: int) -> torch.Tensor:
    """The first 16 values of each of the first tiles: enough to know a tile by, and drawn as in a whole one."""
    stream = NoiseStream(seed, CPU)
    return torch.stack([torch.randn(16, generator=stream._generator(tile)) for tile in range(tiles)])


def test_stream_is_the_same_for_the_same_seed_and_another_for_another():
    def tiles(seed: int) -> list[torch.Tensor]:
        stream = NoiseStream(seed, CPU)
        return [stream.draw(tile, (50,)) for tile in range(32)]

    for same, other, again in zip(tiles(3), tiles(4), tiles(3), strict=True):
        assert torch.equal(same, again)
        assert not torch.isclose(same, other).all()


def test_a_tile_is_the_same_in_any_order_and_from_any_thread():
    tiles = {tile: NoiseStream(5, CPU).draw(tile, (9,)) for tile in (0, 7, 1, 2**32 - 1)}
    stream = NoiseStream(5, CPU, tile=3)
    assert all(torch.equal(stream.draw(tile, (9,)), tiles[tile]) for tile in reversed(tiles))
    with ThreadPoolExecutor(4) as pool:
        drawn = pool.map(lambda tile: stream.draw(tile, (9,)), [*tiles] * 3)
    assert all(torch.equal(z, tiles[tile]) for tile, z in zip([*tiles] * 3, drawn, strict=True))
    assert stream.take(2) == range(3, 5)
    assert stream == NoiseStream(5, CPU, tile=5)


def test_no_two_of_thousands_of_tiles_are_the_same_in_a_stream_or_in_its_neighbour():
    """By their first values. Two float32 values agree by accident, 16 of them never."""
    seeds, tiles = range(6), 4000
    values = torch.cat([first_values(seed, tiles) for seed in seeds])
    assert len(values.unique(dim=0)) == len(seeds) * tiles


def test_the_first_values_of_the_tiles_of_a_stream_are_normal_and_uncorrelated():
    """The seeds of a stream are an arithmetic progression, which must not show: 20 lags, ERROR shared by them."""
    tiles, lags = 20_000, range(1, 21)
    first = first_values(8, tiles)[:, 0].double().numpy()
    assert stats.kstest(first, "norm").pvalue > ERROR
    largest = stats.norm.isf(ERROR / 2 / len(lags))
    for lag in lags:
        assert abs(np.corrcoef(first[:-lag], first[lag:])[0, 1]) * np.sqrt(tiles - lag) < largest


@pytest.mark.parametrize("tile", [-1, 2**32, 10**12, 0.5, "1", None])
def test_a_tile_that_a_seed_does_not_have_is_refused_and_none_comes_twice(tile):
    with pytest.raises(InputError, match=r"^(tile|number): got ") as error:
        NoiseStream(0, CPU, tile=tile)
    assert len(str(error.value).splitlines()) == 1


def test_a_stream_that_runs_out_says_so():
    stream = NoiseStream(0, CPU, tile=2**32 - 1)
    stream.draw(*stream.take(1), (3,))
    with pytest.raises(InputError, match=r"^number: got 4294967296, allowed is "):
        stream.draw(*stream.take(1), (3,))


def test_tiles_have_one_fixed_shape():
    stream = NoiseStream(0, CPU)
    for shape in ((1,), (64,), (3, 8, 8), (3, 400, 400)):
        assert stream.draw(0, shape).shape == (stream.tile_rows(shape), *shape)
    assert stream.tile_rows((3, 400, 400)) == 1


def test_a_noise_set_is_the_beginning_of_the_stream_however_it_is_taken():
    shape = (3, 64, 64)
    whole, stream = NoiseStream(5, CPU), NoiseStream(5, CPU)
    expected = torch.cat([whole.draw(tile, shape) for tile in range(4)])
    noise = NoiseSet(stream, shape)
    taken = [list(noise.take(n, at_most=6)) for n in (1, 0, 12, 20)]
    assert [sum(map(len, pieces)) for pieces in taken] == [1, 0, 12, 20]
    assert max(len(piece) for pieces in taken for piece in pieces) == 6
    assert torch.equal(torch.cat([piece for pieces in taken for piece in pieces]), expected[:33])


def test_noise_is_standard_normal_and_its_tiles_are_uncorrelated():
    stream = NoiseStream(6, CPU)
    tiles = torch.stack([stream.draw(tile, (1,))[:, 0] for tile in range(32)]).double().numpy()
    assert stats.kstest(tiles.ravel()[::8], "norm").pvalue > ERROR
    correlation = np.corrcoef(tiles)[np.triu_indices(len(tiles), k=1)]
    # sqrt(length) times the correlation of two independent tiles is standard normal.
    largest = stats.norm.isf(ERROR / 2 / len(correlation)) / np.sqrt(tiles.shape[1])
    assert np.abs(correlation).max() < largest


def test_a_noise_map_is_one_factor_a_feature_or_a_matrix():
    assert noise_map([2.0, 0.0, 0.5]).tolist() == [[2.0, 0.0], [0.0, 0.0], [0.0, 0.5]]
    assert noise_map(np.eye(2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    factors = np.array([2.0, 0.5])
    factors.flags.writeable = False  # as a column of pandas may come
    with warnings.catch_warnings(action="error"):
        assert noise_map(factors).tolist() == [[2.0, 0.0], [0.0, 0.5]]
    for bad in ([0.0, 0.0], [-1.0, 1.0], [float("nan"), 1.0], [[1.0, 2.0, 3.0]], 3.0):
        with pytest.raises(InputError, match=r"^noise_scale: got [^\n]*$"):
            noise_map(bad)
