"""CERTIFY on half-spaces keeps its promise over 140,000 certificates, and what float rounding does to it far out.

A certificate fails if it names the wrong side or a radius above the true distance to the boundary. Every comparison
with alpha is one-sided: it fails a certificate that keeps its promise with probability at most ERROR.

Far from the origin a float32 coordinate lies on a grid of step 2^-23 |x|, and a net in float32 sees its boundary up to
`rounding(x)` away from where the real numbers have it. The radius is then true of the rounded function. Of the real
one it is true up to that distance, which is about 1e-6 for standardised features and grows in proportion to |x|:
nothing to see at |x| = 2^12 and sigma = .5, most certificates wrong at 2^20.
"""

import numpy as np
import pytest
import torch
from known_nets import ERROR, Opaque
from scipy import stats
from torch import nn

from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.smoothing import Smoothing

DIMENSION, SIGMA, N, ALPHA = 8, 0.5, 150, 0.05
OFFSETS = [2.0**0, 2.0**12, 2.0**20, 2.0**23]


def allowed(trials: int, alpha: float) -> int:
    return int(stats.binom.isf(ERROR, trials, alpha))


def half_space(weight: torch.Tensor, threshold: float) -> nn.Sequential:
    """Label 1 where weight . x > threshold, in the dtype of `weight`."""
    net = nn.Sequential(nn.Linear(len(weight), 2), nn.Identity()).to(weight.dtype)
    with torch.no_grad():
        net[0].weight.copy_(torch.stack([torch.zeros_like(weight), weight]))
        net[0].bias.copy_(torch.tensor([0.0, -threshold]))
    return net


def failures(certificate, distance: np.ndarray, *, slack: np.ndarray | float = 0.0) -> int:
    """Certificates that are wrong of the half-space at these signed distances, by more than `slack`."""
    side = np.where(certificate.label == 1, 1, -1)
    return int(((certificate.label != ABSTAIN) & (certificate.radius > side * distance + slack)).sum())


@pytest.mark.parametrize("share", [0.5000001, 0.6, 0.9, 0.97, 0.999])
@pytest.mark.parametrize(("n", "alpha"), [(100, 0.01), (1000, 0.001), (37, 0.1), (400, 0.05)])
def test_of_140000_certificates_no_more_fail_than_alpha(share, n, alpha):
    """7,000 at each of 20 settings, in eight dimensions, every distance to the boundary up to three sigma."""
    trials, generator = 7000, torch.Generator().manual_seed(n)
    weight = torch.randn(DIMENSION, generator=generator)
    weight /= weight.norm()
    distance = SIGMA * float(stats.norm.ppf(share))
    along = torch.randn(trials, DIMENSION, generator=generator)
    x = along - (along @ weight)[:, None] * weight + distance * weight
    smoothing = Smoothing(half_space(weight, 0.0), num_classes=2, sigma=SIGMA, seed=n)
    certificate = smoothing.certify(x, n0=20, n=n, alpha=alpha)
    true_distance = x.double().numpy() @ weight.double().numpy() / float(weight.double().norm())
    failed = failures(certificate, true_distance)
    assert failed <= allowed(trials, alpha)


def adversarial_inputs(weight: torch.Tensor, offset: float, trials: int) -> tuple[torch.Tensor, float, np.ndarray]:
    """Inputs at |coordinate| about `offset` for which float32 puts the boundary furthest on the wrong side.

    Of 40 candidates each the one whose float32 logit is largest above the true one; with it the true signed distances.
    """
    generator = torch.Generator().manual_seed(1)
    candidates = offset * (1 + torch.rand(trials, 40, DIMENSION, generator=generator))
    threshold = float(1.5 * offset * weight.double().sum())
    # Put every candidate at distance about 0: the last coordinate takes what is left.
    rest = candidates[..., :-1].double() @ weight[:-1].double()
    candidates[..., -1] = ((threshold - rest) / weight[-1].double()).float()
    exact = candidates.double() @ weight.double() - float(np.float32(threshold))  # 53 bits: errors below 1e-8 here
    net = half_space(weight, threshold)
    with torch.no_grad():
        seen = net(candidates.flatten(0, 1))[:, 1].view(trials, 40).double()
    worst = (seen - exact).argmax(dim=1)
    rows = torch.arange(trials)
    return candidates[rows, worst], threshold, (exact[rows, worst] / weight.double().norm()).numpy()


def rounding(x: torch.Tensor, weight: torch.Tensor, threshold: float) -> np.ndarray:
    """How far from its place float32 may see the boundary, in the unit of x: [B].

    (d + 1) roundings of the running sum of d products and a bias, and one of each noisy coordinate.
    """
    terms = x.abs().double() @ weight.abs().double() + abs(threshold)
    unit_roundoff = torch.finfo(torch.float32).eps / 2
    return ((len(weight) + 2) * unit_roundoff * terms / weight.double().norm()).numpy()


@pytest.fixture(scope="module")
def weight() -> torch.Tensor:
    drawn = torch.randn(DIMENSION, generator=torch.Generator().manual_seed(3)).abs() + 0.2
    return drawn / drawn.norm()


@pytest.mark.parametrize("wrap", [nn.Identity, Opaque], ids=["projected", "generic"])
@pytest.mark.parametrize("offset", OFFSETS)
def test_adversarially_rounded_inputs_fail_no_more_often_beyond_the_rounding(weight, offset, wrap):
    """True at every offset, whether noise enters after the first layer or at the input: rounding bounds the harm."""
    trials = 4000
    x, threshold, distance = adversarial_inputs(weight, offset, trials)
    net = half_space(weight, threshold)
    smoothing = Smoothing(net if wrap is nn.Identity else wrap(net), num_classes=2, sigma=SIGMA, seed=4)
    certificate = smoothing.certify(x, n0=20, n=N, alpha=ALPHA)
    slack = rounding(x, weight, threshold)
    assert failures(certificate, distance, slack=slack) <= allowed(trials, ALPHA)
    if offset <= 2**12:
        assert slack.max() < 0.06 * SIGMA
        assert failures(certificate, distance) <= allowed(trials, ALPHA), "no slack is needed near the origin"


def test_far_out_rounding_breaks_the_guarantee_of_the_real_half_space(weight):
    """The finding: inputs built for it at |x| near 2^20 get certificates of which most are wrong, at alpha = .05."""
    trials = 4000
    x, threshold, distance = adversarial_inputs(weight, 2.0**20, trials)
    smoothing = Smoothing(half_space(weight, threshold), num_classes=2, sigma=SIGMA, seed=5)
    failed = failures(smoothing.certify(x, n0=20, n=N, alpha=ALPHA), distance)
    assert failed > trials / 2


@pytest.mark.parametrize("offset", OFFSETS)
def test_float64_is_a_remedy_at_the_same_inputs(weight, offset):
    """The unit roundoff falls from 6e-8 to 1e-16, and with it the slack: nothing fails beyond alpha."""
    trials = 4000
    x, threshold, distance = adversarial_inputs(weight, offset, trials)
    net = half_space(weight.double(), float(np.float32(threshold)))
    smoothing = Smoothing(net, num_classes=2, sigma=SIGMA, seed=6)
    certificate = smoothing.certify(x.double(), n0=20, n=N, alpha=ALPHA)
    assert failures(certificate, distance, slack=1e-6) <= allowed(trials, ALPHA)


def test_a_declared_grid_is_a_remedy_without_float64(weight):
    """Inputs and weights on a declared grid on which every sum fits 24 bits: float32 is exact, and so is the radius.

    Here coordinates are k / 256 below 2^10, weights 1 to 4, as bytes of an image are k / 255. The radius is that of the
    input on the grid; an input off the grid is moved by up to sqrt(d) / 512 first, which is known and can be taken off.
    """
    trials, step = 8000, 1 / 256
    generator = torch.Generator().manual_seed(7)
    weights = torch.randint(1, 5, (DIMENSION,), generator=generator).float()
    weights[-1] = 1.0  # so that the last coordinate can put the sum anywhere on the grid
    raw = 512 * (1 + torch.rand(trials, DIMENSION, generator=generator)) / 8
    x = torch.round(raw / step) * step
    assert float((x - raw).norm(dim=1).max()) <= np.sqrt(DIMENSION) * step / 2 + 1e-6
    threshold = 2048.0
    x[:, -1] = threshold - x[:, :-1] @ weights[:-1] + step * torch.randint(-2, 3, (trials,), generator=generator)
    exact = x.double() @ weights.double() - threshold
    net = half_space(weights, threshold)
    with torch.no_grad():
        assert torch.equal(net(x)[:, 1].double(), exact), "no rounding at all"
    certificate = Smoothing(net, num_classes=2, sigma=SIGMA, seed=8).certify(x, n0=20, n=N, alpha=ALPHA)
    distance = (exact / weights.double().norm()).numpy()
    assert failures(certificate, distance) <= allowed(trials, ALPHA)
