"""Streams of random numbers: no two purposes draw the same, and a stream depends on its purpose and key alone."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import (
    Purpose,
    child_seed,
    global_stream,
    numbered_generator,
    numpy_generator,
    torch_generator,
    torch_seed,
)

ROOT = Path(__file__).resolve().parents[2]
SEEDING = {
    "manual_seed", "manual_seed_all", "default_rng", "SeedSequence", "RandomState", "fork_rng", "seed", "PCG64",
    "Philox", "MT19937", "Random", "check_random_state",
}  # fmt: skip
DRAWING = {"rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli", "poisson"}
IN_PLACE = {"normal_", "uniform_", "random_", "bernoulli_", "exponential_", "rand_like", "randn_like", "randint_like"}
SEEDS = (0, 1, 7, 2**32 - 1, 2**40 + 3)
PURPOSE = Purpose.COINS


def torch_draws(purpose: Purpose, *key: int) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=torch_generator(purpose, *key), dtype=torch.float64).tolist())


def numpy_draws(purpose: Purpose, *key: int) -> tuple[float, ...]:
    return tuple(numpy_generator(purpose, *key).random(4).tolist())


@pytest.mark.parametrize("draws", [torch_draws, numpy_draws, child_seed], ids=["torch", "numpy", "child"])
def test_no_two_purposes_draw_the_same_at_any_of_several_seeds(draws):
    drawn = {draws(purpose, seed) for purpose in Purpose for seed in SEEDS}
    assert len(drawn) == len(Purpose) * len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_purposes_of_one_key_have_seeds_that_a_cpu_generator_tells_apart(seed):
    assert len({torch_seed(purpose, seed) for purpose in Purpose}) == len(Purpose)
    assert all(0 <= torch_seed(purpose, seed) < 2**32 for purpose in Purpose)


@pytest.mark.parametrize("draws", [torch_draws, numpy_draws, child_seed], ids=["torch", "numpy", "child"])
def test_length_and_order_of_a_key_and_its_high_bits_are_part_of_it(draws):
    keys = [(), (0,), (0, 0), (11,), (11, 0), (0, 11), (11 + 2**32,), (11, 1), (1, 11), (2**32,), (0, 1), (1, 0), (1,)]
    drawn = [draws(PURPOSE, *key) for key in keys]
    assert all(a != b for a, b in itertools.combinations(drawn, 2))


@pytest.mark.parametrize("draws", [torch_draws, numpy_draws, child_seed], ids=["torch", "numpy", "child"])
def test_a_stream_is_the_same_whatever_was_drawn_before(draws):
    first = draws(PURPOSE, 3, 4)
    torch.rand(3, generator=torch.default_generator), torch_draws(Purpose.LIES, 3, 4), np.random.default_rng(3).random()
    assert draws(PURPOSE, 3, 4) == first


def test_streams_are_the_same_in_every_version():
    """Stored results rest on these draws: if they change, every stored run is stale."""
    assert torch_seed(Purpose.SMOOTHING_NOISE, 0) == 194972592
    assert child_seed(Purpose.COINS, 1, 2**40) == 1839761342821165795


def test_the_global_generator_is_lent_and_given_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with global_stream(Purpose.INITIAL_WEIGHTS, 8):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with global_stream(Purpose.INITIAL_WEIGHTS, 8):
        assert torch.equal(torch.rand(3), inside)
    assert torch.equal(inside, torch.rand(3, generator=torch_generator(Purpose.INITIAL_WEIGHTS, 8)))


@pytest.mark.parametrize("part", [-1, 0.5, True, "0"])
def test_a_part_of_a_key_that_is_no_count_is_refused(part):
    with pytest.raises(InputError):
        torch_generator(PURPOSE, part)


def of_module(function: ast.expr, module: str) -> bool:
    return isinstance(function, ast.Attribute) and ast.unparse(function.value) == module


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_numbered_generators_of_a_row_share_a_seed(seed):
    """Their seeds are an arithmetic progression of odd step, which meets no integer twice modulo a power of two."""
    row = [numbered_generator(number, PURPOSE, seed).initial_seed() for number in range(5000)]
    assert len(set(row)) == len(row)
    assert all(0 <= one < 2**32 for one in row)
    assert len({(b - a) % 2**32 for a, b in itertools.pairwise(row)}) == 1
    assert (row[1] - row[0]) % 2 == 1
    assert numbered_generator(2**32 - 1, PURPOSE, seed).initial_seed() == (2 * row[0] - row[1]) % 2**32


def test_rows_of_other_keys_and_purposes_have_other_starts_and_steps():
    """Else two streams would be shifts of one another, and share thousands of generators in a row."""
    keys = [(purpose, seed) for purpose in (PURPOSE, Purpose.SMOOTHING_NOISE, Purpose.LIES) for seed in range(50)]
    starts, nexts = ([numbered_generator(n, *key).initial_seed() for key in keys] for n in (0, 1))
    assert len(set(starts)) == len({(b - a) % 2**32 for a, b in zip(starts, nexts, strict=True)}) == len(keys)


@pytest.mark.parametrize("number", [-1, 2**32, 2**64])
def test_a_row_ends_before_its_seeds_would_come_again(number):
    with pytest.raises(InputError, match=r"^number: got -?\d+, allowed is a generator from 0 to 4294967295"):
        numbered_generator(number, PURPOSE, 0)


def seeding_calls(source: str, *, draws: bool) -> list[str]:
    """Calls that make or seed a generator; with `draws`, those too that draw from a global one."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        function, keywords = node.func, {keyword.arg for keyword in node.keywords}
        name = getattr(function, "attr", getattr(function, "id", ""))
        drawn = (of_module(function, "torch") and name in DRAWING) or name in IN_PLACE
        of_numpy = of_module(function, "np.random") or of_module(function, "numpy.random")
        seeded = name in SEEDING or "random_state" in keywords or ast.unparse(function) == "torch.Generator"
        if seeded or of_numpy or (draws and drawn and "generator" not in keywords):
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def test_no_other_file_seeds_a_generator_or_draws_from_a_global_one():
    """Benchmarks may draw from the global generator, as the peers do whose programs they time; they do not seed it."""
    found = {
        f"{path.relative_to(ROOT)}:{call}"
        for room in ("rp_tutorial", "benchmarks", "tools")
        for path in (ROOT / room).rglob("*.py")
        if path != ROOT / "rp_tutorial/core/streams.py"
        for call in seeding_calls(path.read_text(encoding="utf-8"), draws=room == "rp_tutorial")
    }
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "torch.manual_seed(0)", "torch.Generator().manual_seed(3)", "np.random.default_rng()", "np.random.seed(1)",
        "random.Random(1)", "default_rng(seed)", "KMeans(random_state=0)", "torch.randn(3)", "torch.rand_like(x)",
        "weight.normal_()", "np.random.rand(3)", "torch.cuda.manual_seed_all(1)",
    ],
)  # fmt: skip
def test_a_seeding_call_or_a_global_draw_is_found(source):
    assert seeding_calls(source, draws=True)


@pytest.mark.parametrize("source", ["torch.randn(3, generator=g)", "rng.normal(0, 1, 3)", "torch_generator(LIES, 3)"])
def test_a_draw_from_a_given_generator_is_allowed(source):
    assert not seeding_calls(source, draws=True)
