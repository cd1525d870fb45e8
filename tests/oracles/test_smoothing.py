"""VOTE, PREDICT and CERTIFY: each rule is what it claims, on counts and on half-spaces where the truth is known.

How votes are counted is in test_vote_counting.py, what counts decide before a vote is over in test_votes.py.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch
from known_nets import ERROR, Opaque, at, bands, half_space
from scipy import stats

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle
from rp_tutorial.oracles.votes import plurality, significant_plurality
from rp_tutorial.statistics.binomial import max_certifiable_radius, min_certify_votes, min_predict_votes


def four_classes(*, sigma: float = 1.0) -> Smoothing:
    """A new one with the same noise, of a net with four classes."""
    return Smoothing(two_layer_net(20, num_classes=4, seed=3), num_classes=4, sigma=sigma, seed=5)


def inputs(rows: int) -> torch.Tensor:
    return torch.randn(rows, 20, generator=torch.Generator().manual_seed(9))


def test_ties_go_to_the_lowest_index():
    counts = torch.tensor([[5, 5, 0], [0, 5, 5], [3, 3, 3], [1, 2, 7], [4, 1, 4], [0, 0, 9]])
    assert plurality(counts).tolist() == [0, 1, 0, 2, 0, 2]
    rng = torch.Generator().manual_seed(0)
    random = torch.randint(0, 4, (2000, 5), generator=rng)
    assert plurality(random).tolist() == random.numpy().argmax(axis=1).tolist()


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize(("n", "alpha"), [(10, 0.01), (100, 0.05), (100, 0.001), (1000, 0.01)])
def test_predict_decides_as_scipys_two_sided_test_on_the_same_counts(classes, n, alpha):
    rng = np.random.default_rng(n)
    counts = np.stack([rng.multinomial(n, rng.dirichlet([0.7] * classes)) for _ in range(300)])
    decided = significant_plurality(torch.tensor(counts), alpha=alpha)
    for row, label in zip(counts, decided.tolist(), strict=True):
        runner_up, top = np.sort(row)[-2:]
        significant = stats.binomtest(int(top), int(top + runner_up), 0.5).pvalue <= alpha
        assert label == (row.argmax() if significant else ABSTAIN)
    assert len(set((decided == ABSTAIN).tolist())) == 2


def test_the_rules_decide_on_the_counts_that_were_drawn():
    x = inputs(30)
    counts = four_classes().counts(x, 100)
    assert four_classes().vote(x, n=100).tolist() == counts.numpy().argmax(axis=1).tolist()
    assert torch.equal(four_classes().predict(x, n=100, alpha=0.05), significant_plurality(counts, alpha=0.05))


def test_certify_chooses_on_other_samples_than_it_bounds():
    x = inputs(30)
    certificate, smoothing = four_classes().certify(x, n0=50, n=300, alpha=0.05), four_classes()
    chosen, counts = (smoothing._votes.count(x, n, certifying=True) for n in (50, 300))
    chosen, counts = plurality(chosen).numpy(), counts.numpy()
    assert (certificate.counts == counts).all()
    own = counts[np.arange(30), chosen]
    exact = stats.beta.ppf(0.05, own, 300 - own + 1)
    assert certificate.p_low == pytest.approx(np.where(own > 0, exact, 0), rel=1e-9)
    assert (certificate.label == np.where(exact > 0.5, chosen, ABSTAIN)).all()
    assert certificate.radius == pytest.approx(np.maximum(0, stats.norm.ppf(certificate.p_low)), rel=1e-9)
    assert (certificate.unit, certificate.n0, certificate.n, certificate.alpha) == ("std", 50, 300, 0.05)
    assert len(set(certificate.label.tolist())) > 2


def test_two_sided_certificate_is_equation_one_with_the_largest_rival_bounding_all():
    x, n, alpha = inputs(40), 300, 0.05
    certificate = four_classes(sigma=0.5).certify(x, n0=50, n=n, alpha=alpha, bound="two-sided")
    smoothing = four_classes(sigma=0.5)
    chosen, counts = (smoothing._votes.count(x, size, certifying=True) for size in (50, n))
    chosen, counts = plurality(chosen).numpy(), counts.numpy()
    for i, row in enumerate(counts):
        own, rival = row[chosen[i]], np.delete(row, chosen[i]).max()
        low = stats.beta.ppf(alpha / 2, own, n - own + 1) if own else 0
        high = stats.beta.isf(alpha / 2, rival + 1, n - rival) if rival < n else 1  # for all three
        radius = max(0, 0.25 * (stats.norm.ppf(low) - stats.norm.ppf(high)))
        assert certificate.radius[i] == pytest.approx(radius, rel=1e-9, abs=1e-12)
        assert certificate.label[i] == (chosen[i] if radius > 0 else ABSTAIN)


@pytest.mark.parametrize("bound", ["one-sided", "two-sided"])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("distance", [0.02, 0.6, 1.7])
def test_certificate_fails_no_more_often_than_alpha(distance, alpha, bound):
    """20,000 certificates at one point of a half-space, where the ideal classifier's radius is the distance.

    A failure is a wrong label or a radius above the distance. More failures than the binomial quantile at 1 - ERROR
    would refute a failure probability of alpha; the plug-in estimate, with no bound at all, is refuted at once.
    """
    trials, sigma, n = 20_000, 1.0, 150
    smoothing = Smoothing(half_space(), num_classes=2, sigma=sigma, seed=int(100 * distance))
    certificate = smoothing.certify(at(distance).expand(trials, 3), n0=11, n=n, alpha=alpha, bound=bound)
    wrong = (certificate.label != ABSTAIN) & ((certificate.label != 1) | (certificate.radius > distance))
    allowed = stats.binom.isf(ERROR, trials, alpha)
    assert wrong.sum() <= allowed
    plug_in = stats.norm.ppf(certificate.counts[:, 1] / n) > distance
    assert plug_in.sum() > allowed


@pytest.mark.parametrize("bound", ["one-sided", "two-sided"])
def test_certificates_of_three_classes_fail_no_more_often_than_alpha(bound):
    trials, alpha, sigma = 20_000, 0.05, 0.8
    smoothing = Smoothing(bands(), num_classes=3, sigma=sigma, seed=8)
    z = 0.5  # the middle class leads until p_1 falls to p_2
    certificate = smoothing.certify(torch.full((trials, 1), z), n0=11, n=150, alpha=alpha, bound=bound)
    grid = np.linspace(-3, 3, 60_001)
    below, above = stats.norm.cdf((-1 - grid) / sigma), stats.norm.sf((1 - grid) / sigma)
    rivals = grid[np.maximum(below, above) >= 1 - below - above]
    true_radius = np.abs(rivals - z).min()
    wrong = (certificate.label != ABSTAIN) & ((certificate.label != 1) | (certificate.radius > true_radius))
    assert (certificate.label == 1).any()
    assert wrong.sum() <= stats.binom.isf(ERROR, trials, alpha)


def test_predict_releases_a_wrong_label_no_more_often_than_alpha():
    trials, alpha = 20_000, 0.05
    smoothing = Smoothing(half_space(), num_classes=2, sigma=1, seed=4)
    for distance in (0.001, 0.1):
        released = smoothing.predict(at(distance).expand(trials, 3), n=60, alpha=alpha)
        assert (released == 0).sum() <= stats.binom.isf(ERROR, trials, alpha)


def test_unanimous_votes_certify_the_largest_certifiable_radius():
    smoothing = Smoothing(half_space(), num_classes=2, sigma=0.5, seed=0, unit="kg/m^2")
    certificate = smoothing.certify(at(100.0, -100.0), n0=10, n=100, alpha=0.01)
    assert certificate.counts.tolist() == [[0, 100], [100, 0]]
    assert certificate.label.tolist() == [1, 0]
    assert certificate.radius.tolist() == [max_certifiable_radius(100, alpha=0.01, sigma=0.5)] * 2
    assert certificate.unit == "kg/m^2"


def test_oracles_on_a_fixed_set_repeat_themselves_and_count_as_usual():
    smoothing = Smoothing(half_space(), num_classes=2, sigma=1, seed=7, noise="fixed")
    x = at(*np.linspace(-1, 1, 50).tolist())
    for oracle, n in ((VoteOracle(smoothing, n=25), 25), (PredictOracle(smoothing, n=40, alpha=0.01), 40)):
        labels = [oracle(x).tolist() for _ in range(3)]
        assert labels[0] == labels[1] == labels[2]
        assert len(set(labels[0])) > 1
        assert (oracle.queries, oracle.forward_passes) == (150, 150 * n)


def test_vote_and_predict_oracles_release_labels_and_count():
    smoothing = Smoothing(half_space(), num_classes=2, sigma=1, seed=7)
    vote, predict = VoteOracle(smoothing, n=25), PredictOracle(smoothing, n=40, alpha=0.01)
    assert vote(at(9.0, -9.0)).tolist() == [1, 0]
    assert predict(at(9.0, -9.0, 9.0)).tolist() == [1, 0, 1]
    close = predict(at(*[0.0] * 200))
    assert (close == ABSTAIN).sum() > 150
    assert (vote.queries, vote.forward_passes) == (2, 50)
    assert (predict.queries, predict.forward_passes) == (203, 203 * 40)
    assert smoothing.forward_passes == 50 + 203 * 40
    assert len({tuple(vote(at(*[0.0] * 50)).tolist()) for _ in range(3)}) == 3  # fresh noise for every query


BUILD = partial(Smoothing, half_space(), num_classes=2, sigma=1)
BAD = {
    "sigma": [partial(BUILD, sigma=bad) for bad in (0, -1, math.inf, math.nan, "1", None)],
    "num_classes": [partial(BUILD, num_classes=bad) for bad in (1, 2.0, None)],
    "noise": [partial(BUILD, noise=bad) for bad in ("shared", None)],
    "seed": [partial(BUILD, seed=bad) for bad in (-1, 0.5, "0")],
    "chunk_mib": [partial(BUILD, chunk_mib=bad) for bad in (0, -1, math.nan, "8")],
    "n": [
        *(partial(call, at(1.0), n=bad) for call in (BUILD().counts, BUILD().vote) for bad in (0, -5, 2.0, None)),
        partial(BUILD().predict, at(1.0), n=0, alpha=0.01),
        partial(BUILD().certify, at(1.0), n0=10, n=0, alpha=0.01),
        partial(VoteOracle, BUILD(), n=0),
        partial(PredictOracle, BUILD(), n=1.5, alpha=0.01),
    ],
    "n0": [partial(BUILD().certify, at(1.0), n0=0, n=10, alpha=0.01)],
    "alpha": [
        *(partial(BUILD().predict, at(1.0)[:rows], n=10, alpha=bad) for rows in (0, 1) for bad in (0, 1, None)),
        *(partial(BUILD().certify, at(1.0), n0=1, n=10, alpha=bad) for bad in (0, 1, math.nan)),
        partial(PredictOracle, BUILD(), n=10, alpha=1),
    ],
    "noise ": [partial(BUILD(noise="fixed").certify, at(1.0), n0=1, n=10, alpha=0.1)],
    "bound": [partial(BUILD().certify, at(1.0), n0=1, n=10, alpha=0.1, bound="both")],
    "x": [partial(BUILD().counts, bad, 10) for bad in (torch.ones(3), torch.ones(1, 3).long(), at(math.nan), None)],
    "net": [
        partial(Smoothing(net, num_classes=3, sigma=1).counts, at(1.0), 5)
        for net in (BUILD.args[0], Opaque(half_space()))
    ],
}


@pytest.mark.parametrize("argument", BAD)
def test_bad_input_is_refused_in_one_line(argument):
    for call in BAD[argument]:
        with pytest.raises(InputError, match=rf"^{argument.strip()}: got ") as error:
            call()
        assert len(str(error.value).splitlines()) == 1


def test_refused_certificate_costs_no_forward_pass():
    smoothing = BUILD()
    for options in ({"n": 0, "alpha": 0.01}, {"n": 10, "alpha": 1}):
        with pytest.raises(InputError):
            smoothing.certify(at(1.0), n0=10, **options)
        with pytest.raises(InputError):
            smoothing.predict(at(1.0), **options)
    assert smoothing.forward_passes == 0


@pytest.mark.parametrize("alpha", [0.5, 0.25, 0.1, 0.05, 1 / 32, 0.01, 0.001, 1 / 1024, 1e-6])
def test_a_number_of_votes_that_can_never_answer_is_refused_and_the_next_one_answers(alpha):
    """The least numbers by the rules themselves, on votes that all agree."""
    smoothing, x = Smoothing(half_space(), num_classes=2, sigma=1e-3, seed=0), at(5.0)
    predict = next(n for n in range(1, 99) if min_predict_votes(n, alpha=alpha) is not None)
    certify = next(n for n in range(1, 99) if min_certify_votes(n, alpha=alpha) is not None)
    assert smoothing.predict(x, n=predict, alpha=alpha).tolist() == [1]
    assert smoothing.certify(x, n0=5, n=certify, alpha=alpha).label.tolist() == [1]
    for ask in (
        lambda: smoothing.predict(x, n=predict - 1, alpha=alpha),
        lambda: PredictOracle(smoothing, n=predict - 1, alpha=alpha),
        lambda: smoothing.certify(x, n0=5, n=certify - 1, alpha=alpha),
        lambda: smoothing.certify(x, n0=5, n=certify, alpha=alpha, bound="two-sided"),
    ):
        with pytest.raises(InputError, match=r"^n: got \d+, allowed is at least \d+: of fewer votes"):
            ask()
