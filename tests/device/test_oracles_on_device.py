"""What holds of every oracle on the CPU holds on a CUDA device: its law, its seeds, its chunks, its state.

Run on the first CUDA device where there is one. Statistical thresholds are those of tests/helpers/known_nets.py.
"""

import copy

import numpy as np
import pytest
import torch
from known_nets import DIRECTION, ERROR, half_space
from scipy import stats
from torch import nn

from rp_tutorial.core.streams import Purpose, global_stream, torch_generator
from rp_tutorial.models.facenet import FaceNet64
from rp_tutorial.models.fold import folded
from rp_tutorial.models.small_faces import SmallFaceNet
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.abstaining import AbstainingOracle
from rp_tutorial.oracles.grid import Grid
from rp_tutorial.oracles.noise import NoiseStream, visible_factor
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.randomized_response import RandomizedResponse
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.oracles.vote_counting import NOISES

CLASSES, ROWS = 4, 6


def images(rows=ROWS, size=32):
    return torch.rand(rows, 3, size, size, generator=torch_generator(Purpose.BENCHMARK_INPUTS))


def table(rows=ROWS):
    return torch.randn(rows, 8, generator=torch_generator(Purpose.BENCHMARK_INPUTS))


def nets(device):
    small = SmallFaceNet(CLASSES, size=32, seed=1).eval()
    return {
        "table": (two_layer_net(8, num_classes=CLASSES, seed=3).to(device), table()),
        "images": (small.to(device), images()),
        "folded": (folded(small).to(device), images()),
    }


def smoothing(net, device, **options):
    return Smoothing(net, **{"num_classes": CLASSES, "sigma": 0.5, "seed": 7, "device": device} | options)


BUILDS = {
    "plain": lambda net, device: PlainOracle(net, num_classes=CLASSES, device=device),
    "abstaining": lambda net, device: AbstainingOracle(net, num_classes=CLASSES, confidence=0.3, device=device),
    "randomized response": lambda net, device: RandomizedResponse(
        PlainOracle(net, num_classes=CLASSES, device=device), epsilon=1.0, seed=5
    ),
    "memoised response": lambda net, device: RandomizedResponse(
        PlainOracle(net, num_classes=CLASSES, device=device), epsilon=1.0, seed=5, memoised=True
    ),
    "vote": lambda net, device: VoteOracle(smoothing(net, device), n=9),
    "curtailed vote": lambda net, device: VoteOracle(smoothing(net, device), n=9, curtailed=True),
    "vote on a grid": lambda net, device: VoteOracle(smoothing(net, device, grid=Grid(step=1 / 255)), n=9),
    "vote, fixed noise": lambda net, device: VoteOracle(smoothing(net, device, noise="fixed"), n=9),
    "vote, common noise": lambda net, device: VoteOracle(smoothing(net, device, noise="common"), n=9),
    "predict": lambda net, device: PredictOracle(smoothing(net, device), n=20, alpha=0.05),
}


@pytest.mark.parametrize("kind", ["table", "images", "folded"])
@pytest.mark.parametrize("noise", NOISES)
def test_counts_belong_to_the_seed_and_not_to_the_chunk(device, kind, noise):
    net, x = nets(device)[kind]
    whole, small = (smoothing(net, device, noise=noise, chunk_mib=mib).counts(x, 300).cpu() for mib in (None, 0.3))
    # A batch of another size may be rounded over a tie: of 1800 votes a handful, if any.
    assert int((whole - small).abs().sum()) <= 6
    assert whole.sum(dim=1).tolist() == [300] * ROWS


@pytest.mark.parametrize("kind", ["table", "images"])
@pytest.mark.parametrize("name", BUILDS)
def test_an_oracle_goes_on_from_its_state_and_answers_where_it_was_asked(device, kind, name):
    net, x = nets(device)[kind]
    if "grid" in name:
        x = (x * 255).round() / 255
    oracle, again = (BUILDS[name](net, device) for _ in range(2))
    first = oracle(x)
    state = copy.deepcopy(oracle.state())
    then = oracle(x)
    again.restore(state)
    assert torch.equal(again(x), then)
    assert first.device == x.device
    assert oracle(x.to(device)).device == torch.empty(0, device=device).device


def test_a_tile_of_noise_is_the_same_whoever_draws_it(device):
    stream = NoiseStream(3, device)
    tiles = [stream.draw(tile, (5,)) for tile in (0, 1, 2)]
    again = [NoiseStream(3, device).draw(tile, (5,)) for tile in (2, 0, 1)]
    assert all(torch.equal(tiles[number], again[at]) for at, number in enumerate((2, 0, 1)))
    assert not torch.equal(tiles[0], tiles[1])
    drawn = torch.cat(tiles).flatten()[:100_000].double().cpu()
    assert stats.kstest(drawn.numpy(), "norm").pvalue > ERROR


def test_votes_have_the_law_of_a_half_space(device):
    n, distances = 20_000, torch.tensor([-1.2, 0.0, 0.7])
    x = distances[:, None] * DIRECTION
    counts = Smoothing(half_space(), num_classes=2, sigma=1.0, seed=1, device=device).counts(x, n).cpu()
    for taken, distance in zip(counts[:, 1].tolist(), distances.tolist(), strict=True):
        assert stats.binomtest(taken, n, stats.norm.cdf(distance)).pvalue > ERROR


def test_a_certificate_of_a_half_space_holds(device):
    found = Smoothing(half_space(), num_classes=2, sigma=1.0, seed=2, device=device).certify(
        (torch.linspace(0.3, 2.0, 40)[:, None] * DIRECTION), n0=50, n=2000, alpha=1e-7
    )
    assert (found.radius <= np.linspace(0.3, 2.0, 40) + 1e-6).all()
    assert (found.radius > 0).mean() > 0.8


def test_what_a_net_sees_of_the_noise_has_its_covariance(device):
    weight = torch.randn(6, 30, generator=torch_generator(Purpose.BENCHMARK_INPUTS)).to(device)
    factor = visible_factor(weight)
    torch.testing.assert_close(factor.T @ factor, weight @ weight.T, rtol=1e-4, atol=1e-3)


@torch.inference_mode()
def test_a_folded_net_gives_the_logits_of_the_net(device):
    with global_stream(Purpose.INITIAL_WEIGHTS, 5):
        net = FaceNet64(10).eval()
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.7, 1.4)
    net, x = net.to(device), images(4, 64).to(device)
    plain, fast = net(x), folded(net)(x)
    # TF32, the default of convolutions on a card, keeps ten bits through fifty layers.
    assert float((plain - fast).abs().max()) <= (0.05 if device.type == "cuda" else 1e-3) * float(plain.abs().max())


@torch.inference_mode()
def test_labels_in_bfloat16_are_those_of_float32_but_for_near_ties(device):
    net, x = nets(device)["folded"]
    own, rounded = (smoothing(net, device, sigma=0.05, autocast=kind).counts(x, 500) for kind in (None, torch.bfloat16))
    margin = net(x.to(device)).topk(2).values
    clear = ((margin[:, 0] - margin[:, 1]) > 0.02 * margin[:, 0].abs()).cpu()
    moved = (own - rounded).abs().sum(dim=1).cpu() / 2 / 500
    assert float(moved[clear].max() if bool(clear.any()) else 0.0) <= 0.1
