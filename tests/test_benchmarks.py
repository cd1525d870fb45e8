"""The benchmarks run and compare the same job; how fast it is, is printed there and never asserted here."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import file_name
from benchmarks.peers import lower_bound
from benchmarks.rounds import growth
from rp_tutorial.core.arguments import InputError
from rp_tutorial.experiments.benchmarks import benchmark_changes, benchmarks
from rp_tutorial.statistics.binomial import lower_confidence_bound
from tools.publish import PUBLISHED

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("benchmarks") / "document.json"
    command = [sys.executable, "-m", "benchmarks", "--smoke", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(out.read_text())


def test_everybody_does_the_same_job(smoke):
    """Only inputs near a boundary can fall either way: few of twenty, and more of ten votes of a net of seconds."""
    votes = smoke["votes"]
    assert len(votes) == 2 * 2 * 2 + 6  # two nets, two rules, two peers; six beside ours on faces
    assert all(row["agreement"] >= (0.6 if row["case"] == "SmallFaceNet" else 0.8) for row in votes)
    assert all(low <= row["ratio"] <= high for row in votes for low, high in [row["ratio_ci"]])
    assert {row["case"] for row in smoke["attacks"]} == {"no defence", "VOTE(10)"}


def test_the_parts_of_a_vote_are_its_whole(smoke):
    for row in smoke["parts"]:
        shares = [row[part] for part in ("noise", "copies", "net", "counting")]
        assert all(share > 0 for share in shares)
        assert sum(shares) == pytest.approx(1)


def test_memory_does_not_grow_with_the_number_of_votes(smoke):
    """A thousand times as many may add five parts in a hundred to all that a process holds."""
    (table,) = [row for row in smoke["growth"] if row["of"] == "MiB" and row["case"] == "table"]
    assert table["x"] == [100, 1000, 10_000, 100_000]
    assert table["growth"] <= 0.05


def test_a_document_names_its_machine_and_no_place(smoke):
    assert {"cpu", "cores", "threads", "toolbox", "versions"} <= set(smoke["machine"])
    for document in (smoke, *benchmarks()):
        text = json.dumps(document)
        assert str(ROOT) not in text
        assert "/" not in text.replace("GFLOP/s", "")


def test_the_stored_documents_hold_what_the_benchmarks_write(smoke):
    newest = benchmarks()[-1]
    for part, rows in smoke.items():
        if isinstance(rows, list):
            assert set(rows[0]) == set(newest[part][0]), part


def test_a_document_is_stored_under_its_release_and_processor():
    stored = {file.name: json.loads(file.read_text("utf-8")) for file in (PUBLISHED / "benchmarks").iterdir()}
    assert stored
    assert [name for name, document in stored.items() if name != file_name(document)] == []


def test_a_slower_release_shows():
    newest = benchmarks()[-1]
    worse = copy.deepcopy(newest)
    row = worse["votes"][0]
    row["ratio"], row["ratio_ci"] = row["ratio"] / 2, [row["ratio_ci"][0] / 4, row["ratio_ci"][0] / 2]
    changes = benchmark_changes(newest, worse)
    (lost,) = changes[changes["slower"]].to_dict("records")
    assert (lost["case"], lost["against"], lost["change"]) == (row["case"], row["against"], 0.5)
    assert not benchmark_changes(worse, newest)["slower"].any()
    with pytest.raises(InputError, match=r"^documents: "):
        benchmark_changes({}, newest)


def test_a_line_has_exponent_one_and_a_square_two():
    x = [1, 2, 4, 8]
    assert growth("s", "n", x, [3 * n for n in x])["exponent"] == pytest.approx(1)
    assert growth("s", "n", x, [3 * n for n in x])["r2"] == pytest.approx(1)
    square = growth("s", "n", x, [n * n for n in x])
    assert square["exponent"] == pytest.approx(2)
    assert square["r2"] < 0.97


def test_the_bound_of_the_peers_is_ours_but_for_the_outward_rounding():
    for votes in (0, 1, 700, 1000):
        assert lower_bound(votes, 1000, 0.001) == pytest.approx(float(lower_confidence_bound(votes, 1000, alpha=0.001)))


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
