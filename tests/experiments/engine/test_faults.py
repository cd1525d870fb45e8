"""Faults of long runs, each at a seeded place: the run is asked for again, and its results are those of no fault."""

from __future__ import annotations

import itertools
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import faults
import numpy as np
import pytest
from faults import FAULTS, Disk, begin, ended, entries, left_over, run_in, written

from rp_tutorial.cli import main
from rp_tutorial.core.files import ABANDONED, read_sealed
from rp_tutorial.core.registry import load_parts
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS, experiment
from rp_tutorial.experiments.engine.grid import read_grid
from rp_tutorial.experiments.engine.stages import damaged
from rp_tutorial.experiments.engine.sweep import sweep

WALKS = Path(__file__).resolve().parents[2] / "helpers" / "walks.py"
KINDS: dict[str, Callable[[Bench, Path, np.random.Generator], None]] = {}
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="faults are put into forked processes")


class Bench:
    """A run that nothing happens to, another of another seed, and how many operations on files it takes."""

    def __init__(self, folder: Path) -> None:
        self.whole, self.other = folder / "whole", folder / "other"
        self.folder = folder
        arguments = ["run", "walks", "--profile", "smoke", "--seed", "1", "--out", str(self.other / "out")]
        with mock.patch.dict(os.environ, RP_TUTORIAL_CACHE=str(self.other / "cache")), pytest.raises(SystemExit):
            main(arguments)  # and what the command line imports, no child has to
        self.fresh("whole")
        with Disk().watched() as self.disk:
            self.document = run_in(self.whole)
        self.entries = entries(self.whole)

    def fresh(self, name: str) -> Path:
        """A folder to run in. An older run has left its results there."""
        folder = self.folder / name
        shutil.copytree(self.other / "out", folder / "out")
        return folder

    def struck(
        self, folder: Path, at: int, fault: Callable[[Disk], None], work: Callable[[], None] | None = None
    ) -> int:
        return ended(begin(Disk(at, fault), work or partial(run_in, folder), folder / "said"))

    def place(self, rng: np.random.Generator) -> int:
        return int(rng.integers(1, self.disk.done + 1))

    def resumes(self, folder: Path) -> None:
        """Again, with nothing lost and nothing wrong: what was kept is read, and all is as if nothing had happened."""
        assert faults.whole_or_not_there(folder / "out", experiment("walks").tables), "tables of another run"
        kept = {path: when for path, when in written(folder).items() if entries(folder)[path] == self.entries[path]}
        document = run_in(folder)
        assert json.dumps(document) == json.dumps(self.document)
        self.is_whole(folder)
        assert {path: written(folder)[path] for path in kept} == kept, "what was finished was computed again"

    def is_whole(self, folder: Path) -> None:
        assert entries(folder) == self.entries
        for file in (self.whole / "out").iterdir():
            if file.suffix == ".csv":
                assert (folder / "out" / file.name).read_bytes() == file.read_bytes()
        stored = json.loads((folder / "out" / "results.json").read_text(encoding="utf-8"))
        assert faults.untimed(stored) == self.document


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    load_parts(str(WALKS))
    yield Bench(tmp_path_factory.mktemp("faults"))
    EXPERIMENTS.remove("walks")


def put_in(name: str) -> Callable:
    def named(fault: Callable) -> Callable:
        KINDS[name] = fault
        return fault

    return named


@put_in("kill -9")
def killed(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    assert bench.struck(folder, bench.place(rng), faults.kill) == faults.CUT_OFF
    assert all(read_sealed(folder / path) is not None for path in entries(folder)), "something half-written"


@put_in("SIGTERM")
def terminated(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    arguments = ["run", "walks", "--profile", "smoke", "--out", str(folder / "out")]

    def work() -> None:
        os.environ["RP_TUTORIAL_CACHE"] = str(folder / "cache")
        main(arguments)

    assert bench.struck(folder, bench.place(rng), faults.end, work) == 130
    assert "the same command resumes" in (folder / "said").read_text()
    assert not left_over(folder)


@put_in("full disk")
def filled(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    code, said = bench.struck(folder, bench.place(rng), faults.fill), (folder / "said").read_text()
    assert code in (0, 2), said  # 0: there was nothing left to write
    assert code == 0 or ("No space left" in said and said.count("\n") == 1), said
    assert not left_over(folder)


@put_in("lost node")
def lost(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    """Its process, and what its own disk kept: all of it, or what another machine does not have."""
    assert bench.struck(folder, bench.place(rng), faults.kill) == faults.CUT_OFF
    for path in entries(folder):
        if rng.random() < 0.7:
            (folder / path).unlink()


@put_in("damaged entry")
def spoilt(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    """One or more, of a run that was finished or of one that was cut off and has a state."""
    if rng.random() < 0.5:
        shutil.copytree(bench.whole / "cache", folder / "cache")
    else:
        assert bench.struck(folder, bench.place(rng), faults.kill) == faults.CUT_OFF
    chosen = rng.permutation(list(entries(folder)))[: int(rng.integers(1, 4))]
    for path in chosen:
        faults.spoil(folder / str(path), bench.other / "cache", rng)
    if any(str(path).endswith(".pt") for path in chosen):  # is read by a stage that is not remembered, and only then
        for result in (folder / "cache").rglob("walk-*"):
            result.unlink()


@put_in("two runs")
def beside_each_other(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    """Two runs on one cache with one place for results, at once; of every second pair one is killed."""
    dies = rng.random() < 0.5
    disks = Disk(bench.place(rng), faults.kill if dies else lambda disk: time.sleep(0.01)), Disk()
    children = [begin(disk, partial(run_in, folder, 0.1), folder / f"said {n}") for n, disk in enumerate(disks)]
    codes = [ended(child) for child in children]
    assert codes[1] == 0, (folder / "said 1").read_text()
    assert codes[0] in ((0, faults.CUT_OFF) if dies else (0,)), (folder / "said 0").read_text()
    assert len((folder / "marks").read_text().split()) <= 1 + dies, "two have trained one net"


@put_in("clock")
def jumped(bench: Bench, folder: Path, rng: np.random.Generator) -> None:
    """Forth or back by an hour to a century, and what was written then stays dated so; every second run is killed."""
    seconds = float(rng.choice([-1, 1]) * 10 ** rng.uniform(3.6, 9.5))

    def jump(disk: Disk) -> None:
        disk.ahead = seconds
        disk.at, disk.fault = disk.done + int(rng.integers(1, 20)), faults.kill if rng.random() < 0.5 else jump

    bench.struck(folder, bench.place(rng), jump)
    for path in [*entries(folder), *left_over(folder)]:
        os.utime(folder / path, (max(0, (folder / path).stat().st_mtime + seconds),) * 2)


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "lost worker"])
def test_after_a_fault_nothing_is_lost_and_nothing_wrong_accepted(name: str, bench: Bench) -> None:
    for number in range(FAULTS[name]):
        folder = bench.fresh(f"{name} {number}")
        KINDS[name](bench, folder, np.random.default_rng([list(FAULTS).index(name), number]))
        bench.resumes(folder)
        shutil.rmtree(folder)


GRID = 'profile = "smoke"\nseed = [0, 1]\n[fixed]\nmarks = "{marks}"\n'


@pytest.mark.usefixtures("forks")
def test_lost_workers_change_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(FAULTS["lost worker"]):
        folder, rng = bench.fresh(f"lost worker {number}"), np.random.default_rng([99, number])
        monkeypatch.setenv("RP_TUTORIAL_CACHE", str(folder / "cache"))
        (folder / "grid.toml").write_text(GRID.format(marks=folder / "marks"))

        def kill_once(disk: Disk, folder: Path = folder) -> None:
            if not (folder / "killed").exists():
                (folder / "killed").touch()
                faults.kill(disk)

        with Disk(bench.place(rng), kill_once, spared=os.getpid()).watched():
            rows = sweep(read_grid(folder / "grid.toml", "walks"), jobs=1)
        assert (folder / "killed").exists()
        assert [row["status"] for row in rows] == ["finished"] * 2
        assert faults.untimed(rows[0]["document"]) == bench.document
        assert bench.entries.items() <= entries(folder).items()


@pytest.mark.usefixtures("forks")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, faults.CUT_OFF)])
def test_workers_do_not_outlive_a_sweep_that_is_ended(bench: Bench, number: int, code: int) -> None:
    """Each is in the middle of a cell of ten minutes."""
    folder = bench.fresh(f"ended by {number}")
    (folder / "grid.toml").write_text(GRID.format(marks=folder / "marks") + "seconds = 600.0\n")
    arguments = ["sweep", "walks", "--grid", str(folder / "grid.toml"), "--out", str(folder / "sweep")]
    alive, held = os.pipe()  # its other end is closed when nobody lives who has inherited it

    def work() -> None:
        os.environ["RP_TUTORIAL_CACHE"] = str(folder / "cache")
        main(arguments)

    child = begin(Disk(), work, folder / "said")
    os.close(held)
    deadline = time.monotonic() + 120
    while not ((folder / "marks").exists() and len((folder / "marks").read_text().split()) == 2):
        assert time.monotonic() < deadline, (folder / "said").read_text()
        time.sleep(0.05)
    os.kill(child, number)
    assert ended(child) == code, (folder / "said").read_text()
    assert select.select([alive], [], [], 60)[0], "a worker has outlived its sweep"
    os.close(alive)


def test_what_kills_leave_is_not_taken_for_damage_and_does_not_grow(bench: Bench, monkeypatch) -> None:
    folder, rng = bench.fresh("many kills"), np.random.default_rng(0)
    for _ in range(12):
        assert bench.struck(folder, int(rng.integers(5, 25)), faults.kill) == faults.CUT_OFF
    bench.resumes(folder)
    assert 0 < len(left_over(folder)) <= 12
    monkeypatch.setenv("RP_TUTORIAL_CACHE", str(folder / "cache"))
    assert not damaged()
    for path, ahead in zip(left_over(folder), itertools.cycle((-2, 2)), strict=False):  # a clock was set back meanwhile
        os.utime(path, (Path(path).stat().st_mtime + ahead * ABANDONED,) * 2)
    for path in entries(folder):
        (folder / path).unlink()
    bench.resumes(folder)
    assert not left_over(folder)


def test_the_chapter_says_how_many_faults_are_put_in() -> None:
    chapter = (Path(__file__).resolve().parents[3] / "book" / "practice" / "scaling-out.md").read_text(encoding="utf-8")
    assert sum(FAULTS.values()) >= 200
    assert f"{sum(FAULTS.values())} faults of {len(FAULTS)} kinds" in chapter
