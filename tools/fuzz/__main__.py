"""Fuzz what reads the files and settings of others: `python -m tools.fuzz READER --inputs N --seed S`.

An input is right, or it is refused by the one documented exception, in one line. Everything else is a fault: another
exception, a line break in the message, a warning, more than SECONDS, more than MEMORY beyond what was used before, and
a wrong acceptance as far as `readers.py` can tell. Input number i of a run is that of the seed
S + i, so a fault at seed 17 is seen again with `--inputs 1 --seed 17`.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from numpy.random import Generator

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.streams import Purpose, numpy_generator
from tools.fuzz.faces import Try
from tools.fuzz.readers import READERS

SECONDS, MEMORY = 10, 2 * 2**30
MEMORY_FOLDER = Path("/dev/shm")  # where files cost no disk


class TooSlowError(BaseException):
    """An input took longer than SECONDS. No Exception: a reader may turn these into lines of its own."""


@dataclass
class Tally:
    """What became of the inputs of one reader; of every kind of fault the seed that shows it first."""

    reader: str
    inputs: int = 0
    accepted: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    first: dict[str, int] = field(default_factory=dict)

    def line(self) -> str:
        return f"{self.reader:14} {self.inputs:>9,} {self.accepted:>9,} {self.refused:>9,} {self.faults.total():>7,}"


def fuzz(reader: str, inputs: int, seed: int = 0, *, shown: int = 0) -> Tally:
    """Tries `inputs` inputs; the tracebacks of the first `shown` kinds of fault go to stderr."""
    tally = Tally(reader)
    signal.signal(signal.SIGALRM, _too_slow)
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None) as folder:
        attempt = READERS[reader](Path(folder))
        for number in range(seed, seed + inputs):
            tally.inputs += 1
            try:
                accepted = _tried(attempt, numpy_generator(Purpose.FUZZED_INPUTS, number))
            except (Exception, TooSlowError) as fault:
                place = traceback.extract_tb(fault.__traceback__)[-1]
                kind = f"{type(fault).__name__} in {Path(place.filename).name}:{place.lineno}"
                tally.faults[kind] += 1
                if kind not in tally.first and len(tally.first) < shown:
                    traceback.print_exc()
                tally.first.setdefault(kind, number)
            else:
                tally.accepted += accepted
                tally.refused += not accepted
    return tally


def _tried(attempt: Try, rng: Generator) -> bool:
    """Whether an input was accepted; a fault leaves as an exception."""
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            refusal = attempt(rng)
    except InputError as error:
        refusal = error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    assert not said, f"warns: {said[0].message}"
    assert refusal is None or str(refusal).isprintable(), f"not one line: {refusal!r}"
    return refusal is None


def _too_slow(*_: object) -> None:
    raise TooSlowError(f"more than {SECONDS} s")


def _limit_memory() -> None:
    """MemoryError where an input asks for more than MEMORY; only Linux says how much there is already."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--inputs", type=int, default=1000, help="of each reader")
    parser.add_argument("--seed", type=int, default=0, help="of the first input; the next has the next")
    options = parser.parse_args()
    _limit_memory()
    print("reader            inputs  accepted   refused  faults  seconds")
    faulty = False
    for reader in READERS if options.reader == "all" else (options.reader,):
        started = time.perf_counter()
        tally = fuzz(reader, options.inputs, options.seed, shown=5)
        print(f"{tally.line()} {time.perf_counter() - started:8.0f}", flush=True)
        for kind, number in tally.faults.most_common():
            print(f"  {number:,} times {kind}, first at --seed {tally.first[kind]}")
        faulty = faulty or bool(tally.faults)
    return int(faulty)


if __name__ == "__main__":
    raise SystemExit(main())
