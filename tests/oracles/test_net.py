"""Any net that a user has: what is counted agrees with a plain loop over net(x), or one line says why not."""

import copy

import pytest
import torch
from scipy import stats
from user_nets import FEATURES, LOGITS, NETS, OUTPUTS, build

from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.attribute import AttributeSmoothing
from rp_tutorial.oracles.deterministic import DeterministicRP
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing

ERROR = 1e-6  # a comparison fails with less than this probability where both sides have one law
N, SIGMA = 3000, 0.5
REFUSED = {  # by everything that is asked
    "batch norm over its batch", "dropout that is always on", "attention over the batch", "mean over the batch",
    "counts its calls", "NaN weight", "NaN weight, first layer", "infinite weight", "half", "double", "bfloat16",
    "squeezed", "quantised",  # whose scale is that of the whole batch
}  # fmt: skip
ONE_THREAD = {"keeps a tensor", "keeps a tensor in a deque", "keeps a tensor, underscored", "spectral norm",
              "spectral norm, trained and loaded", "weight norm", "pruned"}  # fmt: skip
READ = {"plain", "batch norm", "batch norm, fresh", "batch norm, not affine", "dropout", "tied logits", "ill-scaled",
        "in-place ReLU", "nested", "deep copy", "flattens"}  # fmt: skip


def rows(name: str) -> torch.Tensor:
    x = torch.randn(4, FEATURES, generator=torch.Generator().manual_seed(5))
    return torch.tensor([[0.0, 0.1], [2.0, -0.3]]) if name == "ill-scaled" else x


def settings(name: str) -> dict:
    return {"num_classes": OUTPUTS.get(name, 3), "logits": LOGITS.get(name)}


def truth(name: str, x: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Counts [B, K] of the labels of net(x + noise), in the way anybody would count them."""
    net, choose = build(name).eval(), LOGITS.get(name)
    with torch.no_grad():
        labels = []
        for row in x:
            found = net(row + noise)
            if callable(choose):
                found = choose(found)
            elif choose is not None:
                found = getattr(found, choose) if name == "dataclass" else found[choose]
            labels.append(found.argmax(dim=1))
    return torch.stack([row.bincount(minlength=OUTPUTS.get(name, 3)) for row in labels])


def assert_same_law(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Every class of every row by Fisher's exact test, ERROR shared by all."""
    for ours, theirs in zip(found.flatten().tolist(), expected.flatten().tolist(), strict=True):
        assert stats.fisher_exact([[ours, N - ours], [theirs, N - theirs]]).pvalue > ERROR / found.numel()


def noise(like: torch.Tensor, *, columns: slice = slice(None)) -> torch.Tensor:
    drawn = torch.randn(N, like.shape[1], generator=torch.Generator().manual_seed(77))
    kept = torch.zeros_like(drawn)
    kept[:, columns] = SIGMA * drawn[:, columns]
    return kept


@pytest.mark.parametrize("kind", ["independent", "common"])
@pytest.mark.parametrize("name", NETS)
def test_votes_have_the_law_of_a_plain_loop_or_are_refused_in_one_line(name, kind):
    x = rows(name)
    smoothing = Smoothing(build(name), sigma=SIGMA, seed=1, noise=kind, **settings(name))
    if name in REFUSED or name == "NaN under noise":
        for ask in (lambda: smoothing.certify(x, n0=50, n=N, alpha=0.01), lambda: smoothing.predict(x, n=50, alpha=0.1),
                    lambda: smoothing.vote(x, n=200), lambda: smoothing.vote(x, n=200, curtailed=True)):  # fmt: skip
            with pytest.raises(InputError, match=r"^(net|x): got [^\n]*$"):
                ask()
        return
    expected = truth(name, x, noise(x))
    assert_same_law(smoothing.counts(x, N), expected)
    assert_same_law(torch.tensor(smoothing.certify(x, n0=50, n=N, alpha=0.01).counts), expected)
    assert (smoothing._votes.net.threads == 1) == (name in ONE_THREAD)


@pytest.mark.parametrize("name", NETS)
def test_plain_labels_are_the_nets_own_or_are_refused_in_one_line(name):
    x = rows(name)
    oracle = PlainOracle(build(name), **settings(name))
    if name in REFUSED:
        with pytest.raises(InputError, match=r"^(net|x): got [^\n]*$"):
            oracle(x)
    elif name == "NaN under noise":
        with pytest.raises(InputError, match="NaN or infinite"):
            oracle(x - 10)
    else:
        own = truth(name, x, torch.zeros(1, x.shape[1])).argmax(dim=1)
        given = x.clone()
        assert torch.equal(oracle(x), own)
        assert torch.equal(x, given)
        assert torch.equal(PlainOracle(build(name), batch_size=1, **settings(name))(x), own)


@pytest.mark.parametrize("name", NETS)
def test_what_reads_the_weights_agrees_or_refuses_in_one_line(name):
    x = rows(name)
    net = build(name)
    if name not in READ and name not in ("half", "double", "bfloat16"):
        for ask in (lambda: DeterministicRP(net, num_classes=3), lambda: AttributeSmoothing(net, attribute=1, sigma=1)):
            with pytest.raises(InputError, match=r"^net: got [^\n]*$"):
                ask()(x)
        return
    net.eval()
    exact = AttributeSmoothing(net, attribute=1, sigma=SIGMA)
    with torch.no_grad():
        double = copy.deepcopy(net).double()
        assert torch.equal(DeterministicRP(net, num_classes=OUTPUTS.get(name, 3))(x), double(x.double()).argmax(dim=1))
        along = noise(x, columns=slice(1, 2)).double()
        expected = torch.stack(
            [double(row.double() + along).argmax(1).bincount(minlength=OUTPUTS.get(name, 3)) for row in x]
        )
    for p, seen in zip(exact.class_probabilities(x).flatten().tolist(), expected.flatten().tolist(), strict=True):
        assert stats.binomtest(seen, N, min(max(p, 0.0), 1.0)).pvalue > ERROR / expected.numel()
