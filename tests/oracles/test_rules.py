"""VOTE, PREDICT and CERTIFY: each rule is what it claims, on counts and on half-spaces where the truth is known."""

import numpy as np
import pytest
import torch
from known_nets import ERROR, at, bands, half_space
from scipy import stats

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.models.mlp import two_layer_net
from rp_tutorial.oracles.smoothing import Smoothing, plurality, significant_plurality
from rp_tutorial.statistics.binomial import max_certifiable_radius


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
    chosen, counts = plurality(smoothing.counts(x, 50)).numpy(), smoothing.counts(x, 300).numpy()
    assert (certificate.counts == counts).all()
    own = counts[np.arange(30), chosen]
    exact = stats.beta.ppf(0.05, own, 300 - own + 1)
    assert certificate.p_low == pytest.approx(np.where(own > 0, exact, 0), rel=1e-9)
    assert (certificate.label == np.where(exact > 0.5, chosen, ABSTAIN)).all()
    assert certificate.radius == pytest.approx(np.maximum(0, stats.norm.ppf(certificate.p_low)), rel=1e-9)
    assert (certificate.unit, certificate.n0, certificate.n, certificate.alpha) == ("std", 50, 300, 0.05)
    assert len(set(certificate.label.tolist())) > 2


def test_two_sided_certificate_is_equation_one_with_alpha_split_over_all_bounds():
    x, n, alpha = inputs(40), 300, 0.05
    certificate = four_classes(sigma=0.5).certify(x, n0=50, n=n, alpha=alpha, bound="two-sided")
    smoothing = four_classes(sigma=0.5)
    chosen, counts = plurality(smoothing.counts(x, 50)).numpy(), smoothing.counts(x, n).numpy()
    for i, row in enumerate(counts):
        own, rival = row[chosen[i]], np.delete(row, chosen[i]).max()
        low = stats.beta.ppf(alpha / 2, own, n - own + 1) if own else 0
        high = stats.beta.isf(alpha / 6, rival + 1, n - rival) if rival < n else 1  # three rivals
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
