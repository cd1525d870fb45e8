"""Faults put into a run of `walks`: in a forked child, at its n-th operation on files, whichever that is."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from tqdm import tqdm

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.files import write_sealed
from rp_tutorial.experiments.engine.runner import run

FAULTS = {  # how many of each kind are put in by tests/experiments/engine/test_faults.py
    "kill -9": 60, "SIGTERM": 25, "full disk": 40, "lost worker": 6, "lost node": 15, "damaged entry": 50,
    "two runs": 12, "clock": 20,
}  # fmt: skip
CUT_OFF = -signal.SIGKILL


class Disk:
    """Operations on files, counted; at number `at` the fault happens. A write has a beginning, a middle and an end.

    spared: a process that nothing happens to, though its workers may be struck.
    """

    def __init__(
        self, at: float = float("inf"), fault: Callable[[Disk], None] = lambda disk: None, *, spared: int | None = None
    ) -> None:
        self.at, self.fault, self.spared = at, fault, spared
        self.done, self.full, self.ahead = 0, False, 0.0

    def step(self, *, needs_room: bool = True) -> None:
        if os.getpid() == self.spared:
            return
        self.done += 1
        if self.done == self.at:
            self.fault(self)
        if self.full and needs_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def watched(self) -> Iterator[Disk]:
        """Every operation of this process in here is one of this disk's; nothing waits for a real disk."""
        real = {name: getattr(os, name) for name in ("replace", "unlink", "mkdir", "open")}
        clock = time.time

        def counted(name: str, **how: bool) -> Callable[..., Any]:
            def call(*given: Any, **options: Any) -> Any:
                self.step(**how)
                found = real[name](*given, **options)
                self.step(needs_room=False)
                return found

            return call

        def write_bytes(path: Path, content: bytes) -> None:
            self.step()
            with path.open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                self.step()
                file.write(content[len(content) // 2 :])
            self.step(needs_room=False)

        changed = {"replace": counted("replace"), "unlink": counted("unlink", needs_room=False)}
        changed |= {name: counted(name) for name in ("mkdir", "open")}
        with (
            mock.patch.multiple(os, fsync=lambda file: self.step(), **changed),
            mock.patch.object(Path, "write_bytes", write_bytes),
            mock.patch.object(time, "time", side_effect=lambda: clock() + self.ahead),
        ):
            yield self


def kill(disk: Disk) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def end(disk: Disk) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def fill(disk: Disk) -> None:
    disk.full = True


def run_in(folder: Path, seconds: float = 0.0) -> dict[str, Any]:
    """The run in this process, its cache and its results in `folder`; as a document without what it may differ in.

    seconds: that the training of its net takes.
    """
    marks = str(folder / "marks")
    with mock.patch.dict(os.environ, RP_TUTORIAL_CACHE=str(folder / "cache")):
        return untimed(run("walks", profile="smoke", out=folder / "out", marks=marks, seconds=seconds))


def untimed(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in ("seconds", "settings")}


def begin(disk: Disk, work: Callable[[], Any], said: Path) -> int:
    """A child that works on `disk`; what it says goes to `said`. Its process number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        sys.stdout = sys.stderr = said.open("w")
        tqdm.set_lock(mock.MagicMock())  # the one it has inherited is shared, and a killed child would keep it
        with disk.watched():
            work()
        code = 0
    except InputError as error:
        print(error, file=sys.stderr)
        code = 2
    except SystemExit as left:
        code = left.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int) -> int:
    """How: an exit code, or a signal below 0."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def entries(folder: Path) -> dict[str, bytes]:
    """What a cache remembers, by where it is."""
    files = [path for kind in ("results", "nets") for path in (folder / "cache" / kind).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files if path.suffix != ".part"}


def written(folder: Path) -> dict[str, tuple[int, int]]:
    """When the entries of a cache were written: an entry that is written again is another file."""
    stats = {path: (folder / path).stat() for path in entries(folder)}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in stats.items() if not path.endswith(".state")}


def left_over(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.part"))


def spoil(path: Path, others: Path, rng: np.random.Generator) -> str:
    """What happens to a file: power is lost, disks err, people copy and edit. `others`: of a run of another seed."""
    whole = path.read_bytes()
    content, at = whole.split(b"\n", 1)[1], int(rng.integers(len(whole)))
    digits = [place for place, byte in enumerate(whole) if place > 65 and chr(byte).isdigit()] or [at]
    digit = int(rng.choice(digits))
    foreign = next(found for found in others.rglob(f"{path.name.split('-')[0]}-*"))
    how = str(rng.choice(["empty", "cut", "bit", "digit", "longer", "zeros", "unsealed", "foreign", "of another name"]))
    elsewhere = path.with_name("elsewhere")
    write_sealed(elsewhere, content)
    path.write_bytes({
        "empty": b"", "cut": whole[:at], "longer": whole + b" ", "zeros": bytes(len(whole)), "unsealed": content,
        "bit": whole[:at] + bytes([whole[at] ^ 1 << int(rng.integers(8))]) + whole[at + 1 :],
        "digit": whole[:digit] + bytes([whole[digit] ^ 1]) + whole[digit + 1 :],
        "foreign": foreign.read_bytes(), "of another name": elsewhere.read_bytes(),
    }[how])  # fmt: skip
    elsewhere.unlink()
    return how


def whole_or_not_there(out: Path, tables: Callable[[dict], dict]) -> bool:
    """Where results.json stands, the tables beside it are its own."""
    results = out / "results.json"
    if not results.exists():
        return True
    of_it = tables(json.loads(results.read_text(encoding="utf-8"))["results"])
    return all((out / f"{name}.csv").read_text(encoding="utf-8") == t.to_csv(index=False) for name, t in of_it.items())
