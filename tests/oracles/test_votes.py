"""Curtailed voting: the label of the full vote, surely, for no more votes than it takes to know it.

ERROR is the probability that a comparison with a law fails although the law holds.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from known_nets import ERROR, Opaque, at, bands, half_space
from scipy import stats
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.smoothing import Smoothing, VoteOracle
from rp_tutorial.oracles.vote_counting import NOISES
from rp_tutorial.oracles.votes import plurality, votes_needed

SIZES = [(2, 1), (2, 2), (2, 9), (2, 10), (3, 7), (3, 8), (4, 6), (5, 5)]  # (classes, n)


def compositions(total: int, classes: int) -> list[tuple[int, ...]]:
    """All counts of `total` votes."""
    return [c for c in itertools.product(range(total + 1), repeat=classes) if sum(c) == total]


def winner(counts: tuple[int, ...]) -> int:
    return max(range(len(counts)), key=lambda c: (counts[c], -c))


def fewest_further_votes(classes: int, n: int) -> dict[tuple[int, ...], int]:
    """By brute force, for all counts of at most n votes: the fewest votes after which every ending agrees."""
    endings, fewest = {}, {}
    for cast in range(n, -1, -1):
        for counts in compositions(cast, classes):
            after = [tuple(v + (c == voted) for c, v in enumerate(counts)) for voted in range(classes)]
            endings[counts] = {winner(counts)} if cast == n else set.union(*(endings[a] for a in after))
            fewest[counts] = 0 if len(endings[counts]) == 1 else 1 + min(fewest[a] for a in after)
    return fewest


@pytest.mark.parametrize(("classes", "n"), SIZES)
def test_votes_needed_are_the_fewest_after_which_every_ending_agrees(classes, n):
    """For every count there is. With no vote cast it may ask for one more than that, and never for more than n."""
    fewest = fewest_further_votes(classes, n)
    needed = votes_needed(torch.tensor(list(fewest)), n).tolist()
    for (counts, least), asked in zip(fewest.items(), needed, strict=True):
        assert asked == (least if any(counts) else n // 2 + 1), counts
        assert asked + sum(counts) <= n


def curtailed_replay(votes: torch.Tensor, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The rule on recorded votes [S, n]: labels and how many votes were looked at, [S] each."""
    n, position = votes.shape[1], torch.arange(votes.shape[1])
    taken = torch.zeros(len(votes), dtype=torch.int64)
    while True:
        seen = nn.functional.one_hot(votes, classes) * (position < taken[:, None])[..., None]
        needed = votes_needed(seen.sum(dim=1), n)
        if not needed.any():
            return plurality(seen.sum(dim=1)), taken
        taken += needed


@pytest.mark.parametrize(("classes", "n"), SIZES)
def test_on_every_sequence_of_votes_the_curtailed_label_is_that_of_the_full_vote(classes, n):
    votes = torch.tensor(list(itertools.product(range(classes), repeat=n)))
    labels, taken = curtailed_replay(votes, classes)
    assert torch.equal(labels, plurality(nn.functional.one_hot(votes, classes).sum(dim=1)))
    fewest = fewest_further_votes(classes, n)
    for sequence, stop in zip(votes.tolist(), taken.tolist(), strict=True):
        earliest = next(t for t in range(n + 1) if fewest[tuple(sequence[:t].count(c) for c in range(classes))] == 0)
        assert earliest <= stop <= max(earliest, n // 2 + 1)


class Recorder(nn.Module):
    """Votes of `bands()` for inputs that are a thousand apart, written down in the order in which they are taken."""

    def __init__(self) -> None:
        super().__init__()
        self.net, self.votes = bands(), {}

    def forward(self, x):
        owners = (x / 1000).round()
        logits = self.net(x - 1000 * owners)
        for owner, label in zip(owners[:, 0].tolist(), logits.argmax(dim=1).tolist(), strict=True):
            self.votes.setdefault(int(owner), []).append(label)
        return logits


@pytest.mark.parametrize("n", [1, 2, 10, 31, 100])
def test_what_is_released_follows_from_the_votes_that_were_taken_one_at_a_time(n):
    """Fewer than 131,072 copies are one tile of the stream, so that the votes are taken in order."""
    net, rows = Recorder(), 90
    x = 1000.0 * torch.arange(rows)[:, None] + torch.linspace(-1.5, 1.5, rows)[:, None]
    oracle = VoteOracle(Smoothing(net, num_classes=3, sigma=1.0, seed=n), n=n, curtailed=True)
    oracle(x[:1])  # the net is looked at
    net.votes.clear()
    oracle = VoteOracle(oracle.smoothing, n=n, curtailed=True)
    before = oracle.smoothing.forward_passes
    labels = oracle(x).tolist()
    assert oracle.forward_passes == oracle.smoothing.forward_passes - before == sum(map(len, net.votes.values()))
    for row in range(rows):
        votes = net.votes[row]
        for taken in range(len(votes) + 1):
            first, second = sorted(((votes[:taken].count(c), -c) for c in range(3)), reverse=True)[:2]
            lead, left = first[0] - second[0], n - taken
            if lead > left or (lead == left and first[1] > second[1]):
                break
        assert len(votes) in (taken, max(taken, n // 2 + 1))
        assert labels[row] == -first[1]


def law_of_the_vote(p: list[float], n: int) -> np.ndarray:
    """Pr[VOTE(n) = c] by summing the multinomial law over all counts."""
    law = np.zeros(len(p))
    for counts in compositions(n, len(p)):
        law[winner(counts)] += stats.multinomial.pmf(counts, n, p)
    return law


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("n", [3, 10])
def test_the_curtailed_vote_has_the_law_of_the_full_vote(n, noise):
    """Three classes, against the exact law, by chi-square. Shared noise: one input a call, or a set."""
    z, sigma, trials = -0.8, 1.5, {"independent": 20_000, "common": 800, "fixed": 400}[noise]
    below, above = stats.norm.cdf((-1 - z) / sigma), stats.norm.sf((1 - z) / sigma)
    law = law_of_the_vote([below, 1 - below - above, above], n)
    if noise == "independent":
        smoothing = Smoothing(bands(), num_classes=3, sigma=sigma, seed=n)
        labels = smoothing.vote(torch.full((trials, 1), z), n=n, curtailed=True).tolist()
    else:
        seeds = range(trials if noise == "fixed" else 1)
        sets = [Smoothing(bands(), num_classes=3, sigma=sigma, seed=seed, noise=noise) for seed in seeds]
        x, calls = torch.full((1, 1), z), trials // len(sets)
        labels = [int(one.vote(x, n=n, curtailed=True)) for one in sets for _ in range(calls)]
    observed = np.bincount(labels, minlength=3)
    assert stats.chisquare(observed, law * trials).pvalue > ERROR


def test_on_a_half_space_the_curtailed_vote_is_binomial_at_n_100():
    """A second law, where the class that wins ties is the rarer one; and the votes it takes save what they should."""
    p, n, trials = 0.55, 100, 20_000
    smoothing = Smoothing(half_space(), num_classes=2, sigma=1, seed=3)
    x = at(float(stats.norm.ppf(p))).expand(trials, 3)
    hits = int(smoothing.vote(x, n=n, curtailed=True).sum())
    assert stats.binomtest(hits, trials, stats.binom.sf(n // 2, n, p)).pvalue > ERROR
    taken = smoothing.forward_passes / trials
    # One at a time: stop at 51 votes for class 1 or 50 for class 0, or at 51 votes, the first look.
    votes = np.random.default_rng(0).random((trials, n)) < p
    decided = (votes.cumsum(axis=1) >= 51) | ((~votes).cumsum(axis=1) >= 50)
    expected = np.maximum(decided.argmax(axis=1) + 1, 51)
    error = math.sqrt(2 * expected.var() / trials) * stats.norm.isf(ERROR / 2)
    assert abs(taken - expected.mean()) < error


with global_stream(Purpose.INITIAL_WEIGHTS, 6):
    IMAGES = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
NETS = {
    "dense": (two_layer_net(20, num_classes=4, seed=3), 4, (20,)),
    "opaque": (Opaque(two_layer_net(6, num_classes=3, seed=4)), 3, (6,)),
    "images": (IMAGES, 3, (3, 8, 8)),
}


def smoothing_of(name: str, **options) -> Smoothing:
    net, classes, _ = NETS[name]
    return Smoothing(net.double(), num_classes=classes, **{"sigma": 1.0, "seed": 5, **options})


def inputs_of(name: str, rows: int) -> torch.Tensor:
    """In float64, as the nets: there no batch of another size moves a vote."""
    return torch.randn(rows, *NETS[name][2], generator=torch.Generator().manual_seed(9)).double()


@pytest.mark.parametrize("n", [1, 2, 10, 101, 1500])
@pytest.mark.parametrize("name", NETS)
def test_under_a_fixed_set_the_curtailed_labels_are_those_of_the_full_vote(name, n):
    x, smoothing = inputs_of(name, 60), smoothing_of(name, noise="fixed")
    full = smoothing.vote(x, n=n)
    spent = smoothing.forward_passes
    assert torch.equal(smoothing.vote(x, n=n, curtailed=True), full)
    assert smoothing.forward_passes - spent <= spent == 60 * n
    assert len(set(full.tolist())) > 1


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", NETS)
def test_curtailed_labels_and_passes_do_not_depend_on_the_chunk_size(name, noise):
    x = inputs_of(name, 40)
    whole, pieces = smoothing_of(name, noise=noise), smoothing_of(name, noise=noise, chunk_mib=0.01)
    for n in (10, 33, 400):
        assert torch.equal(whole.vote(x, n=n, curtailed=True), pieces.vote(x, n=n, curtailed=True))
        assert whole.forward_passes == pieces.forward_passes


@pytest.mark.parametrize("noise", NOISES)
def test_a_sure_input_costs_half_the_votes_and_one(noise):
    for n, cost in ((1, 1), (2, 2), (10, 6), (100, 51), (101, 51)):
        oracle = VoteOracle(Smoothing(half_space(), num_classes=2, sigma=0.1, seed=0, noise=noise), n=n, curtailed=True)
        assert oracle(at(9.0, -9.0, 5.0)).tolist() == [1, 0, 1]
        assert (oracle.queries, oracle.forward_passes) == (3, 3 * cost)


@pytest.mark.parametrize("noise", NOISES)
def test_no_input_takes_no_vote(noise):
    smoothing = smoothing_of("images", noise=noise)
    labels = smoothing.vote(inputs_of("images", 0), n=10, curtailed=True)
    assert (labels.shape, labels.dtype, smoothing.forward_passes) == ((0,), torch.int64, 0)


def test_the_stopping_time_tells_the_margin():
    """Why a deployed mechanism has to pad it: the passes of one query order the inputs by their margin."""
    smoothing, spent = Smoothing(half_space(), num_classes=2, sigma=1, seed=0), []
    for distance in (0.0, 0.5, 1.0, 3.0):
        before = smoothing.forward_passes
        smoothing.vote(at(distance).expand(400, 3), n=100, curtailed=True)
        spent.append((smoothing.forward_passes - before) / 400)
    assert spent == sorted(spent, reverse=True)
    assert spent[0] > 85
    assert spent[-1] < 52


@pytest.mark.parametrize("n", [0, -1, 2.5, None, True])
def test_bad_n_is_refused_in_one_line(n):
    smoothing = smoothing_of("dense")
    with pytest.raises(InputError, match=r"^n: got "):
        smoothing.vote(inputs_of("dense", 3), n=n, curtailed=True)
    assert smoothing.forward_passes == 0
