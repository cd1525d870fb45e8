"""The benchmark runs and compares the same job; how fast it is, is printed there and never asserted here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_the_smoothing_benchmark_gives_everybody_the_same_job(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/smoothing.py", "--smoke"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    released = [
        [int(n) for n in re.findall(r": (\d+)", line.split("released")[1])]
        for line in done.stdout.splitlines()
        if "released" in line
    ]
    assert len(released) == 8  # four contestants on two nets
    for answers in (released[:4], released[4:]):
        assert all(sum(counts) == 60 for counts in answers)
        # All four see the same inputs; only those near the boundary can fall either way.
        assert all(abs(a - b) <= 8 for counts in answers for a, b in zip(counts, answers[0], strict=True))
    assert len(re.findall(r"against (?:loop|ART): [\d.]+x \(from [\d.]+ to [\d.]+\)", done.stdout)) == 8


def test_the_attribute_benchmark_compares_exact_and_sampled_smoothing() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/attribute.py", "--smoke"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rates = [[float(r) for r in re.findall(r"(?:accuracy|abstention) ([\d.]+)", s)] for s in done.stdout.splitlines()]
    rates = [pair for pair in rates if pair]
    assert len(rates) == 2 * 5 * 3  # two nets, five contestants, three sigma
    for found in (rates[:15], rates[15:]):
        exact, sampled = found[:3], found[6:9]  # the same smoothing: what is answered is answered alike
        for (accuracy, abstention), (voted, silent) in zip(exact, sampled, strict=True):
            assert abstention == 0
            assert abs(accuracy - voted - silent) < 0.03
    ratios = r"exact against [\w ,]+: \d+x \(from \d+ to \d+\)"
    assert len(re.findall(ratios, done.stdout)) == 8


def test_the_face_benchmark_gives_everybody_the_same_votes() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/faces.py", "--smoke"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = re.findall(r"agrees (\d+) of (\d+); votes taken (\d+) %", done.stdout)
    assert len(found) == 2 * 6  # two nets, six contestants
    for agreed, inputs, taken in ([int(part) for part in row] for row in found):
        assert agreed >= 0.7 * inputs  # ten votes of a net that was trained for seconds: a few fall either way
        assert 50 <= taken <= 100
    assert [int(taken) for _, _, taken in found[:5]] == [100] * 5
    assert len(re.findall(r"against [\w, ]+: [\d.]+x \(from [\d.]+ to [\d.]+\)", done.stdout)) == 2 * 7
    assert len(re.findall(r"memory \+\d+ MiB", done.stdout)) == 1


def test_the_benchmark_of_exact_noise_gives_both_samplers_the_same_job() -> None:
    done = subprocess.run(
        [sys.executable, "benchmarks/grid.py", "--smoke"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(re.findall(r"2 inputs; both agree on [12]$", done.stdout, re.MULTILINE)) >= 3
    assert len(re.findall(r"cost of exact noise: [\d.]+x \(from [\d.]+ to [\d.]+\)", done.stdout)) == 4
