"""Counting votes: they have their law under both kinds of noise, depend on nothing but the seed, and fit in memory.

What the three rules make of the votes is in test_smoothing.py.
"""

import copy
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from known_nets import ERROR, Opaque, assert_binomial, at, bands, half_space
from scipy import stats
from torch import nn

from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.smoothing import Smoothing


def seeded(build, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build()


def conv_net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))


class ViewingNet(nn.Module):
    """Reshapes by `view(len(x), -1)`, as many nets do: it cannot take an empty batch."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(12, 3)

    def forward(self, x):
        return self.last(x.view(len(x), -1))


NETS = {
    "dense": (two_layer_net(20, num_classes=4, seed=3), 4, (20,)),
    "one feature": (half_space(direction=torch.tensor([0.0, 1.0, 0.0])), 2, (3,)),
    "opaque": (Opaque(two_layer_net(6, num_classes=3, seed=4)), 3, (6,)),
    "convolution": (seeded(conv_net), 3, (3, 8, 8)),
    "view": (seeded(ViewingNet), 3, (3, 4)),
    "linear over rows": (
        seeded(lambda: nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))),
        3,
        (3, 6),
    ),
}
NOISES = ["independent", "common"]
SHARED = ["common", "fixed"]


def smoothing_of(name: str, **options) -> Smoothing:
    net, num_classes, _ = NETS[name]
    return Smoothing(net, num_classes=num_classes, **{"sigma": 1.0, "seed": 5, **options})


def precise(name: str, **options) -> Smoothing:
    """In float64 no batch of another size moves a vote: 10,000 of them meet a tie with probability below 1e-9."""
    net, num_classes, _ = NETS[name]
    net = copy.deepcopy(net).double()
    return Smoothing(net, num_classes=num_classes, **{"sigma": 1.0, "seed": 5, **options})


def inputs_of(name: str, rows: int) -> torch.Tensor:
    return torch.randn(rows, *NETS[name][2], generator=torch.Generator().manual_seed(9))


@pytest.mark.parametrize("noise", [*NOISES, "fixed"])
@pytest.mark.parametrize("name", NETS)
def test_counts_do_not_depend_on_the_chunk_size(name, noise):
    for rows, n in ((5, 700), (1, 1), (37, 1), (1, 3001), (40, 33)):
        x = inputs_of(name, rows).double()
        expected = precise(name, noise=noise).counts(x, n)
        assert expected.dtype == torch.int64
        assert expected.shape == (rows, NETS[name][1])
        assert expected.sum(dim=1).tolist() == [n] * rows
        for chunk_mib in (1e-9, 0.003, 0.05, 1000):
            if chunk_mib > 1e-6 or rows * n < 100:  # one copy at a time is slow
                chunked = precise(name, noise=noise, chunk_mib=chunk_mib).counts(x, n)
                assert torch.equal(chunked, expected), f"{rows} inputs, n = {n}, {chunk_mib} MiB"


@pytest.mark.parametrize("noise", NOISES)
def test_counts_over_many_tiles_do_not_depend_on_the_chunk_size(noise):
    """More than 16 tiles of 131,072 rows: every part of the job draws more than once."""
    x = inputs_of("one feature", 3)
    expected = smoothing_of("one feature", noise=noise).counts(x, 800_001)
    assert torch.equal(smoothing_of("one feature", noise=noise, chunk_mib=0.3).counts(x, 800_001), expected)
    assert expected.sum(dim=1).tolist() == [800_001] * 3


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", NETS)
def test_no_input_gives_no_counts(name, noise):
    smoothing = smoothing_of(name, noise=noise)
    counts = smoothing.counts(inputs_of(name, 0), 10)
    assert counts.shape == (0, NETS[name][1])
    assert counts.dtype == torch.int64
    assert smoothing.predict(inputs_of(name, 0), n=10, alpha=0.01).shape == (0,)
    assert smoothing.vote(inputs_of(name, 0), n=10).dtype == torch.int64
    certificate = smoothing.certify(inputs_of(name, 0), n0=5, n=10, alpha=0.01)
    assert certificate.label.shape == certificate.radius.shape == certificate.p_low.shape == (0,)
    assert smoothing.forward_passes == 0


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", NETS)
def test_same_seed_same_counts_and_every_call_has_fresh_noise(name, noise):
    x = inputs_of(name, 20)
    first, again, other = (smoothing_of(name, noise=noise, seed=seed) for seed in (5, 5, 6))
    calls = [first.counts(x, 400) for _ in range(3)]
    assert all(torch.equal(again.counts(x, 400), counts) for counts in calls)
    assert not torch.equal(calls[0], calls[1])
    assert not torch.equal(calls[1], calls[2])
    assert not torch.equal(other.counts(x, 400), calls[0])


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("wrap", [nn.Identity(), Opaque], ids=["projected", "generic"])
def test_votes_on_a_half_space_are_binomial(wrap, noise):
    """Repeated calls at four distances: the pooled share, and the whole law by chi-square."""
    net, sigma, n, calls = half_space(), 0.7, 25, 1000
    net = net if isinstance(wrap, nn.Identity) else wrap(net)
    smoothing = Smoothing(net, num_classes=2, sigma=sigma, seed=1, noise=noise)
    distances = (-0.5, 0.0, 0.4, 1.2)
    # In one call under common noise the inputs share their votes, so each distance is judged on its own.
    votes = torch.stack([smoothing.counts(at(*distances), n)[:, 1] for _ in range(calls)]).numpy()
    for column, distance in enumerate(distances):
        p = stats.norm.cdf(distance / sigma)
        assert_binomial(int(votes[:, column].sum()), calls * n, p)
        edges = np.unique(stats.binom.ppf(np.linspace(0.05, 0.95, 10), n, p))
        expected = np.diff(stats.binom.cdf(edges, n, p), prepend=0, append=1) * calls
        observed = np.bincount(np.searchsorted(edges, votes[:, column]), minlength=len(edges) + 1)
        keep = expected > 5
        statistic = ((observed[keep] - expected[keep]) ** 2 / expected[keep]).sum()
        assert stats.chi2.sf(statistic, keep.sum() - 1) > ERROR


def test_independent_votes_of_identical_inputs_are_independent():
    """The variance of the sum over the inputs is the sum of their variances: scaled, chi-square over the calls."""
    calls, rows, n = 400, 50, 20
    smoothing = Smoothing(half_space(), num_classes=2, sigma=1, seed=2)
    sums = np.array([int(smoothing.counts(at(0.0).expand(rows, 3), n)[:, 1].sum()) for _ in range(calls)])
    statistic = ((sums - rows * n / 2) ** 2).sum() / (rows * n / 4)
    low, high = stats.chi2.ppf([ERROR / 2, 1 - ERROR / 2], calls)
    assert low < statistic < high  # with shared noise it would be 50 times as large


@pytest.mark.parametrize("noise", SHARED)
@pytest.mark.parametrize("name", NETS)
def test_shared_noise_gives_identical_inputs_identical_votes(name, noise):
    x = inputs_of(name, 1).double().expand(20, *NETS[name][2])
    counts = precise(name, noise=noise).counts(x, 500)
    assert (counts == counts[0]).all()
    independent = precise(name, noise="independent").counts(x, 500)
    assert not (independent == independent[0]).all()


@pytest.mark.parametrize("name", NETS)
def test_fixed_noise_makes_the_counts_a_function_of_the_input(name):
    """Whatever was asked before, in whatever company, and by whomever holds the seed."""
    x, smoothing, other = inputs_of(name, 12).double(), precise(name, noise="fixed"), precise(name, noise="fixed")
    together = smoothing.counts(x, 300)
    other.counts(x[:5], 77)
    assert torch.equal(smoothing.counts(x, 300), together)
    assert torch.equal(other.counts(x, 300), together)
    alone = torch.cat([smoothing.counts(row[None], 300) for row in x])
    assert torch.equal(alone, together)
    assert not torch.equal(precise(name, noise="fixed", seed=6).counts(x, 300), together)


def test_fixed_noise_for_fewer_votes_is_the_beginning_of_that_for_more():
    """So a vote more changes one count by one."""
    x, smoothing = inputs_of("dense", 30).double(), precise("dense", noise="fixed")
    before = smoothing.counts(x, 9)
    for n in range(10, 20):
        more = smoothing.counts(x, n)
        assert ((more - before).sort(dim=1).values == torch.tensor([0, 0, 0, 1])).all()
        before = more


def test_the_first_common_noise_set_is_the_fixed_one():
    x = inputs_of("convolution", 9)
    first = smoothing_of("convolution", noise="common").counts(x, 200)
    assert torch.equal(smoothing_of("convolution", noise="fixed").counts(x, 200), first)


def test_votes_under_a_fixed_set_are_binomial_over_the_draw_of_the_set():
    sets, n, sigma, distance = 2000, 25, 0.7, 0.4
    hits = 0
    for seed in range(sets):
        smoothing = Smoothing(half_space(), num_classes=2, sigma=sigma, seed=seed, noise="fixed")
        hits += int(smoothing.counts(at(distance), n)[0, 1])
    assert_binomial(hits, sets * n, stats.norm.cdf(distance / sigma))


def test_three_classes_get_their_normal_shares():
    points, sigma, n = (-1.0, 0.3, 4.0), 1.5, 200_000
    counts = Smoothing(bands(), num_classes=3, sigma=sigma, seed=3).counts(torch.tensor(points)[:, None], n)
    for row, z in zip(counts.tolist(), points, strict=True):
        below, above = stats.norm.cdf((-1 - z) / sigma), stats.norm.sf((1 - z) / sigma)
        for hits, p in zip(row, (below, 1 - below - above, above), strict=True):
            assert_binomial(hits, n, p)


@pytest.mark.parametrize("name", ["dense", "convolution"])
def test_projected_and_generic_votes_have_the_same_law(name):
    """Homogeneity of the two tables of votes, one chi-square an input."""
    net, num_classes, _ = NETS[name]
    x, n = inputs_of(name, 6), 20_000
    tables = [
        Smoothing(view, num_classes=num_classes, sigma=0.8, seed=s).counts(x, n)
        for s, view in enumerate([net, Opaque(net)])
    ]
    for pair in torch.stack(tables, dim=1).numpy():
        seen = pair[:, pair.sum(axis=0) > 10]
        assert seen.shape[1] < 2 or stats.chi2_contingency(seen).pvalue > ERROR / len(x)


def test_autocast_in_bfloat16_runs_and_returns_labels():
    smoothing = smoothing_of("dense", autocast=torch.bfloat16)
    counts = smoothing.counts(inputs_of("dense", 5), 1000)
    exact = smoothing_of("dense").counts(inputs_of("dense", 5), 1000)
    assert counts.sum(dim=1).tolist() == [1000] * 5
    assert (counts - exact).abs().max() < 100  # the same noise; only rounding moves a vote
    assert smoothing.vote(inputs_of("dense", 5), n=10).dtype == torch.int64


def test_a_net_in_double_precision_is_smoothed_too():
    net = two_layer_net(20, num_classes=4, seed=3)
    x = inputs_of("dense", 5)
    single = Smoothing(net, num_classes=4, sigma=1, seed=5).counts(x, 1000)
    for double in (net.double(), Opaque(net.double())):
        counts = Smoothing(double, num_classes=4, sigma=1, seed=5).counts(x.double(), 1000)
        assert counts.sum(dim=1).tolist() == [1000] * 5
    assert (Smoothing(net, num_classes=4, sigma=1, seed=5).counts(x.double(), 1000) - single).abs().max() <= 5


def test_dropout_is_off_while_votes_are_counted():
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.99), nn.Linear(2, 2)).train()
    Smoothing(net, num_classes=2, sigma=1).counts(at(1.0), 10)
    assert not any(module.training for module in net.modules())


def test_smoothing_leaves_the_callers_threads_and_inputs_alone():
    x, threads = inputs_of("dense", 5), torch.get_num_threads()
    before = x.clone()
    for noise in NOISES:
        smoothing_of("dense", noise=noise).counts(x, 100)
    assert torch.equal(x, before)
    assert torch.get_num_threads() == threads


THREADS = """
import sys, torch
from rp_tutorial.oracles.smoothing import Smoothing
torch.manual_seed(0)
torch.set_num_threads(int(sys.argv[1]))
nets = {
    (20,): torch.nn.Sequential(torch.nn.Linear(20, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3)),
    (3, 8, 8): torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 3)),
}
for shape, net in nets.items():
    net, x = net.double(), torch.randn(30, *shape).double()  # in float64 no batch of another size moves a vote
    for noise in ("independent", "common", "fixed"):
        smoothing = Smoothing(net, num_classes=3, sigma=1.0, seed=5, noise=noise)
        print(smoothing.counts(x, 700).tolist(), smoothing.vote(x, n=33, curtailed=True).tolist())
"""


def test_counts_do_not_depend_on_the_number_of_threads():
    """In processes of their own, whose workers are started once: 1, 2 and 5 threads, OMP's and torch's."""

    def printed(threads: int) -> str:
        command = [sys.executable, "-c", THREADS, str(threads)]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout

    one, two, five = map(printed, (1, 2, 5))
    assert one.count("\n") == 6
    assert one == two == five


MEMORY = """
import sys, torch
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.smoothing import Smoothing

def peak():  # not getrusage: its maximum is inherited from the process that started this one
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

torch.set_num_threads(2)
net, x = two_layer_net(100, seed=0), torch.randn(10, 100)
smoothing = Smoothing(net, num_classes=2, sigma=1.0, seed=0, noise=sys.argv[1])
for n in (100, 1000, 10_000, 100_000):
    assert smoothing.counts(x, n).sum() == 10 * n
    print(n, peak())
with torch.inference_mode():
    net(x.repeat_interleave(100_000, dim=0))
print(0, peak())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak is read from /proc")
@pytest.mark.parametrize("noise", NOISES)
def test_peak_memory_does_not_grow_with_n(noise):
    """Peak resident memory of a process of its own, N = 1e3, 1e4, 1e5: it grows by less than 64 MiB over N = 100.

    As a control, all noisy copies of N = 1e5 are made at once in the end: 381 MiB at the input alone.
    """
    done = subprocess.run([sys.executable, "-c", MEMORY, noise], capture_output=True, text=True, check=True)
    peak = {int(n): float(mib) for n, mib in (line.split() for line in done.stdout.splitlines())}
    growth = {n: round(mib - peak[100], 1) for n, mib in peak.items()}
    print(f"{noise} noise: {peak[100]:.0f} MiB at N = 100, growth in MiB by N (0: all copies at once): {growth}")
    assert max(growth[n] for n in (1000, 10_000, 100_000)) < 64
    assert growth[0] > 381


def test_a_net_that_was_trained_since_is_looked_at_anew() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    smoothing = Smoothing(net, num_classes=2, sigma=1.0, seed=0)
    smoothing.counts(x, 10)
    net.train()
    with torch.no_grad():
        net[0].weight.mul_(-3.0)
    later = Smoothing(net, num_classes=2, sigma=1.0, seed=0)
    later.counts(x, 10)
    assert torch.equal(smoothing.counts(x, 1000), later.counts(x, 1000))
    assert not net.training
