"""Tests hold on any processor: none asks for more digits than a float keeps, for a wall clock, or for unseeded luck.

The whole suite as two other processors: `make test-anycpu`. Here a telling part of it, and the rules a reader of the
source can check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from close import assert_close_to_scale

from tools.any_cpu import ROOT, run_as

TESTS = sorted(ROOT.glob("tests/**/*.py"))
FRAGILE = (  # tests that failed on some processor, or whose comparisons cross batches of different sizes
    "tests/attacks/inversion/test_white_box.py",
    "tests/attacks/inversion/test_boundary_repulsion.py",
    "tests/models/test_fold.py",
    "tests/oracles/test_votes.py",
    "tests/training/test_classify.py",
)
PROCESSOR = """
import torch


def test_that_it_is_one():
    assert torch.get_num_threads() == 1
    assert torch.backends.cpu.get_cpu_capability() == "DEFAULT"
"""
DRAWS = {f"torch.{name}" for name in ("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial")}
FINEST = 1e-4  # absolute tolerance of a torch comparison; finer ones are relative to the scale, by helpers/close.py


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call, dict[str | None, ast.expr]]]:
    """All calls inside: dotted name, node, arguments by keyword."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node, {word.arg: word.value for word in node.keywords}


def fixed_digits(tree: ast.Module) -> Iterator[ast.Call]:
    """Tensors compared to within a number that does not know how large they are. 0 is a promise of bits."""
    for name, call, words in calls(tree):
        value = getattr(words.get("atol"), "value", None)
        if name in {"torch.allclose", "torch.isclose", "torch.testing.assert_close"} and value and value < FINEST:
            yield call


def wall_clocks(tree: ast.Module) -> Iterator[ast.Call]:
    """A busy machine fails what they say. A deadline, by `time.monotonic`, is not what a test asserts."""
    yield from (call for name, call, _ in calls(tree) if name in {"time.time", "time.perf_counter"})


def unseeded_draws(tree: ast.Module) -> Iterator[ast.Call]:
    """From the global generator, but in a function that seeds it."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    seeded = {call for f in functions if "manual_seed" in ast.unparse(f) for _, call, _ in calls(f)}
    yield from (c for name, c, words in calls(tree) if name in DRAWS and "generator" not in words and c not in seeded)


@pytest.mark.parametrize("rule", [fixed_digits, wall_clocks, unseeded_draws])
def test_no_test_rests_on_the_machine_it_runs_on(rule) -> None:
    found = [(path, node.lineno) for path in TESTS for node in rule(parsed(path))]
    assert not found, "\n".join(f"{path.relative_to(ROOT)}:{line}" for path, line in found)


@pytest.mark.parametrize(
    ("rule", "bad"),
    [
        (fixed_digits, "assert torch.allclose(a, b, atol=1e-5)"),
        (wall_clocks, "assert time.perf_counter() - start < 5"),
        (unseeded_draws, "x = torch.randn(3, 2)"),
    ],
)
def test_each_rule_finds_what_it_forbids(rule, bad: str) -> None:
    assert list(rule(ast.parse(bad)))


def test_fragile_tests_pass_without_vector_units_on_one_thread(tmp_path: Path) -> None:
    check = tmp_path / "test_processor.py"
    check.write_text(PROCESSOR)
    done = run_as("plain", str(check), *FRAGILE, quiet=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_a_margin_that_avx2_rounds_by_1e_5_passes_there() -> None:
    """So it does on processors of another maker, where this file once failed in every run."""
    done = run_as("avx2", FRAGILE[0], quiet=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_rounding_at_the_scale_of_the_values_passes_and_more_does_not() -> None:
    values = torch.tensor([[20.0, 1e-3, 19.0]])
    assert_close_to_scale(values + 2e-4, values)
    for other in (values * 1.001, values + 1e-3, values.where(values < 20, torch.nan)):
        with pytest.raises(AssertionError):
            assert_close_to_scale(other, values)
    assert_close_to_scale(values.double() + 1e-13, values.double())
    with pytest.raises(AssertionError):
        assert_close_to_scale(values.double() + 1e-10, values.double())
