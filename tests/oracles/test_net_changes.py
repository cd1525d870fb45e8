"""A net that changes, or runs where nobody expects it, after it was looked at."""

import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from torch import nn
from user_nets import build

from rp_tutorial.core.arguments import InputError
from rp_tutorial.oracles.abstaining import AbstainingOracle
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import PredictOracle, Smoothing, VoteOracle

X = torch.randn(5, 6, generator=torch.Generator().manual_seed(5))


def smoothing(net, **options):
    return Smoothing(net, num_classes=3, **{"sigma": 0.5, "seed": 1, **options})


def new_head(net):
    net[2] = nn.Linear(16, 3)
    with torch.no_grad():
        net[2].weight.copy_(torch.arange(48.0).view(3, 16).sin())


def vector_to_parameters(net):
    nn.utils.vector_to_parameters(-2 * nn.utils.parameters_to_vector(net.parameters()), net.parameters())


def swap(net):
    for weight in net.parameters():
        weight.data = -weight.data.roll(1)


def write(net):
    for weight in net.parameters():
        weight.data.copy_(-weight.data.roll(1))  # counted by nobody


def optimise(net):
    step = torch.optim.SGD(net.parameters(), lr=5.0)
    net(X).logsumexp(dim=1).sum().backward()
    step.step()


def add_hook(net):
    net[0].register_forward_hook(lambda _, inputs, output: -output)


@pytest.mark.parametrize("noise", ["independent", "common", "fixed"])
@pytest.mark.parametrize("change", [new_head, vector_to_parameters, swap, write, optimise, add_hook, nn.Module.train])
def test_after_a_change_the_votes_are_those_of_the_net_as_it_is(change, noise):
    net = build("plain")
    used = smoothing(net, noise=noise)
    before = used.counts(X, 400)
    change(net)
    fresh = smoothing(net, noise=noise)
    fresh.restore(used.state())
    after = used.counts(X, 400)
    assert torch.equal(after, fresh.counts(X, 400))
    assert change is nn.Module.train or not torch.equal(after, before)


def test_a_net_in_another_dtype_takes_inputs_of_it_and_says_so():
    net = build("plain")
    used = smoothing(net)
    used.counts(X, 10)
    net.double()
    assert used.counts(X.double(), 10).sum() == 50
    with pytest.raises(InputError, match=r"float64 weights take x of that dtype: here torch\.float32"):
        used.counts(X, 10)


def test_a_weight_that_becomes_nan_is_refused_wherever_it_shows():
    net = build("plain")
    oracles = [
        PlainOracle(net, num_classes=3),
        VoteOracle(smoothing(net), n=10),
        PredictOracle(smoothing(net), n=10, alpha=0.1),
        AbstainingOracle(net, num_classes=3, confidence=0.5),
    ]
    for oracle in oracles:
        oracle(X)
    net[2].weight.data[0, 0] = float("nan")
    for oracle in oracles:
        with pytest.raises(InputError, match="NaN or infinite logits"):
            oracle(X)


@pytest.mark.parametrize(
    "build_oracle", [lambda net: PlainOracle(net, num_classes=3), lambda net: VoteOracle(smoothing(net), n=20)]
)
def test_queries_between_steps_of_training_leave_the_running_statistics_alone(build_oracle):
    net = build("batch norm")
    oracle = build_oracle(net)
    first = oracle(X)
    net.train()
    before = net[1].running_mean.clone()
    assert torch.equal(oracle(X), first) or isinstance(oracle, VoteOracle)
    assert torch.equal(net[1].running_mean, before)
    assert not net.training


def test_float16_that_overflows_is_refused():
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        net[2].weight.mul_(1e6)
    with pytest.raises(InputError, match="NaN or infinite logits"):
        smoothing(net, autocast=torch.float16).certify(X, n0=10, n=100, alpha=0.05)


def test_votes_do_not_depend_on_the_callers_default_dtype_or_autocast():
    for name in ("module", "plain"):
        net = build(name)
        expected = smoothing(net).counts(X, 500)
        torch.set_default_dtype(torch.float64)
        try:
            assert torch.equal(smoothing(net).counts(X, 500), expected)
        finally:
            torch.set_default_dtype(torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(smoothing(net).counts(X, 500), expected)


def test_a_used_smoothing_can_be_pickled_and_goes_on():
    used = smoothing(build("plain"))
    used.counts(X, 10)
    loaded = pickle.loads(pickle.dumps(used))
    assert torch.equal(loaded.counts(X, 100), used.counts(X, 100))


def test_without_a_seed_two_oracles_have_different_noise():
    first, second = (smoothing(build("plain"), seed=None) for _ in range(2))
    assert not torch.equal(first.counts(X, 2000), second.counts(X, 2000))
    assert first.state()["seed"] != second.state()["seed"]


def test_a_certificate_and_a_release_share_no_sample():
    """One seed for both, as who certifies with one object and releases with another has it."""
    net, n = build("plain"), 4000
    released = smoothing(net).counts(X, n)
    certified = smoothing(net).certify(X, n0=n, n=n, alpha=0.05).counts
    assert not np.array_equal(certified, released.numpy())
    after = smoothing(net)
    after.certify(X, n0=10, n=n, alpha=0.05)
    assert torch.equal(after.counts(X, n), released)


@pytest.mark.parametrize(("argument", "options"), [
    ("device", {"device": "gpu"}), ("device", {"device": "cuda:99"}), ("autocast", {"autocast": "bfloat16"}),
    ("threads", {"threads": 0}), ("logits", {"logits": "logits"}), ("logits", {"logits": 3})])  # fmt: skip
def test_arguments_that_cannot_be_are_named(argument, options):
    with pytest.raises(InputError, match=rf"^{argument}: got [^\n]*$"):
        smoothing(build("module"), **options).counts(X, 10)
    with pytest.raises(InputError, match=r"^net: got 'function', allowed is a torch nn.Module$"):
        smoothing(lambda x: x)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_outputs_that_are_no_floats_are_refused_in_one_line(dtype):
    with pytest.raises(InputError, match=rf"^net: got 'a tensor of {dtype}', allowed is a float tensor of logits"):
        smoothing(build("module"), logits=lambda z: z.to(dtype)).counts(X, 10)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_the_number_of_threads_does_not_change_a_vote(threads):
    x = X.repeat(200, 1)
    assert torch.equal(
        smoothing(build("module"), threads=threads).counts(x, 300), smoothing(build("module")).counts(x, 300)
    )


def test_a_net_that_asks_a_smoothed_net_does_not_wait_for_itself():
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = smoothing(build("plain"), noise="fixed")

        def forward(self, x):
            return self.inner.counts(x, 11).to(x.dtype)

    assert smoothing(Nested(), sigma=0.1).counts(X, 50).sum() == 250


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_votes_after_its_parent_did():
    program = """
        import multiprocessing, sys
        sys.path.insert(0, "tests/helpers")
        import torch
        from user_nets import build
        from rp_tutorial.oracles.smoothing import Smoothing
        x = torch.ones(4, 6)
        smoothing = Smoothing(build("plain"), num_classes=3, sigma=0.5, seed=1)
        smoothing.vote(x, n=500)
        def ask(_):
            return smoothing.vote(x, n=500).tolist()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map_async(ask, range(4)).get(timeout=60))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("[") == 5, done.stderr
