"""What reads files and settings of others either takes them or says in one line why not: a few hundred wrong inputs.

Longer runs, as long as one likes: `python -m tools.fuzz all --inputs 100000`.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, numpy_generator
from tools.book import ROOT
from tools.fuzz.__main__ import fuzz
from tools.fuzz.mutations import mutated, mutated_value
from tools.fuzz.readers import READERS


@pytest.mark.parametrize("reader", READERS)
def test_a_wrong_input_is_refused_in_one_line_or_is_right_after_all(reader: str) -> None:
    tally = fuzz(reader, 300, shown=3)
    assert dict(tally.first) == {}, f"the first seed of each fault: {tally.first}"
    assert tally.accepted + tally.refused == tally.inputs == 300
    assert tally.accepted > 0


def leave(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("attempt", "kind"),
    [
        (lambda rng: leave(KeyError("a")), "KeyError"),
        (lambda rng: leave(MemoryError()), "MemoryError"),
        (lambda rng: warnings.warn("odd", stacklevel=1), "AssertionError"),
        (lambda rng: Exception("two\nlines"), "AssertionError"),
    ],
)
def test_every_other_end_is_a_fault_with_the_seed_that_shows_it_again(attempt, kind, monkeypatch) -> None:
    monkeypatch.setitem(READERS, "odd", lambda folder: lambda rng: attempt(rng) if rng.random() < 0.5 else None)
    tally = fuzz("odd", 20)
    (found, first), *others = tally.first.items()
    assert found.startswith(kind)
    assert not others
    assert (tally.accepted, tally.refused, tally.faults.total()) == (20 - tally.faults[found], 0, tally.faults[found])
    assert fuzz("odd", 1, first).first == {found: first}


def test_a_reader_that_does_not_come_back_is_a_fault(monkeypatch) -> None:
    monkeypatch.setattr("tools.fuzz.__main__.SECONDS", 0.2)

    def endless(rng) -> None:
        while True:
            try:
                sum(range(1000))
            except Exception:
                raise InputError("a line of its own") from None

    monkeypatch.setitem(READERS, "endless", lambda folder: endless)
    assert next(iter(fuzz("endless", 1).faults)).startswith("TooSlowError")


def test_changes_follow_from_the_seed_and_leave_the_original_as_it_is() -> None:
    content, value = b"a,b\n1,2\n" * 5, {"a": [1, {"b": "text"}], "c": 2.5}
    before = repr(value)

    def changed(seed: int) -> str:
        rng = numpy_generator(Purpose.FUZZED_INPUTS, seed)
        return repr((mutated(content, rng), mutated_value(value, rng)))

    assert [changed(seed) for seed in range(50)] == [changed(seed) for seed in range(50)]
    assert len({changed(seed) for seed in range(50)}) > 40
    assert repr(value) == before


def test_the_table_of_a_run_says_what_became_of_the_inputs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.fuzz", "sealed", "--inputs", "40", "--seed", "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    head, line = done.stdout.splitlines()
    assert head.split() == ["reader", "inputs", "accepted", "refused", "faults", "seconds"]
    assert (line.split()[0], line.split()[1], line.split()[4]) == ("sealed", "40", "0")
    assert int(line.split()[2]) + int(line.split()[3]) == 40
