"""The memory of a run: finished stages on disk, each under a hash of all that it depends on.

A stage is stored as soon as it is finished, so a killed run resumes where it stopped and a second run of the same
settings only reads. What a stage depends on is its experiment's business and comes in as a key (`lab.py`).
"""

import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import joblib
import platformdirs
from filelock import FileLock
from torch import nn

from rp_tutorial.core.arguments import InputError, refuse
from rp_tutorial.core.files import as_bytes, from_bytes, read_sealed, write_sealed

LOG = logging.getLogger(__name__)


class Stages:
    """Finished stages of one experiment. `progress` is called with the name of every stage as it begins."""

    def __init__(self, experiment: str, *, force: bool = False, progress: Callable[[str], None] | None = None) -> None:
        self.experiment, self.force = experiment, force
        self._progress = progress or (lambda stage: None)
        self._begun: set[Path] = set()

    def result(self, name: str, key: dict[str, Any], compute: Callable[[Path], Any]) -> Any:
        """`compute(state)`, a JSON value, or what it returned when last called for this key.

        `state` is a path at which a long stage may keep what it has while it runs, by `write_sealed`; it is gone when
        the stage is done.
        """
        path = self._begin("results", self.experiment, name, key, ".json")
        state = path.with_suffix(".state")
        if (found := self._remembered(path)) is not None:
            if state.exists():  # of a run that was killed with its last step to do, or of one beside
                state.unlink(missing_ok=True)
            return json.loads(found)
        if self._remembered(state) is None:
            state.unlink(missing_ok=True)
        value = json.dumps(compute(state))
        self._write(path, value.encode())
        state.unlink(missing_ok=True)
        return json.loads(value)  # the same types whether remembered or not

    def weights(
        self, name: str, key: dict[str, Any], net: nn.Module, train: Callable[[], Any], *, owner: str
    ) -> nn.Module:
        """`net` after `train()`, or with the weights that training left when last called for this key.

        Nets are kept apart from results, in `nets/`: they are an input of the published book, not one of its numbers.
        Experiments that name the same `owner` share them. Of several processes that need one, one trains and the others
        wait for it: two trainings with other threads differ in their last bits, and results of both would be mixed.
        """
        path = self._begin("nets", owner, name, key, ".pt")
        if (found := self._remembered(path)) is None:
            with _alone(path):
                if (found := self._remembered(path)) is None:
                    train()
                    found = as_bytes(net.state_dict())
                    self._write(path, found)
        net.load_state_dict(from_bytes(found))
        return net.eval()

    def _remembered(self, path: Path) -> bytes | None:
        """What is kept at `path`, unless it is to be forgotten. What is no longer what was written goes at once."""
        if self.force or not path.exists():
            return None
        found = read_sealed(path)
        if found is None:
            LOG.warning("%s is damaged and is computed again", path)
            with suppress(OSError):
                path.unlink()
        return found

    def _write(self, path: Path, content: bytes) -> None:
        try:
            write_sealed(path, content)
        except OSError as error:
            raise _unusable(error) from error

    def _begin(self, kind: str, owner: str, name: str, key: dict[str, Any], ending: str) -> Path:
        """Where the stage is kept. Tells whoever watches, once a stage: one that is read again was over already."""
        plain = json.loads(json.dumps(key, default=str, sort_keys=True))  # so that equal settings hash alike
        path = cache_dir() / kind / owner / f"{name.replace('/', '-')}-{joblib.hash((owner, name, plain))}{ending}"
        if path not in self._begun:
            self._begun.add(path)
            try:  # before the work, not after it
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unusable(error) from error
            self._progress(name)
        return path


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time, of all that share the cache."""
    folder = cache_dir() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(folder / f"{path.name}.lock").acquire()
    except OSError as error:
        raise _unusable(error) from error
    with held:
        yield


def damaged() -> list[Path]:
    """What lies in the cache and is not what was written there; what is being written, or never was finished, apart."""
    return [path for path in kept() if path.suffix != ".part" and read_sealed(path) is None]


def kept() -> list[Path]:
    """Every file of the cache that a run may read: results, nets and the states of runs that were cut off."""
    folders = (cache_dir() / kind for kind in ("results", "nets"))
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


def _unusable(error: OSError) -> InputError:
    allowed = "a folder that can be written, with room; the variable names another one"
    return refuse("RP_TUTORIAL_CACHE", f"{cache_dir()} ({error.strerror})", allowed)


def cache_dir() -> Path:
    """Where stages are remembered: $RP_TUTORIAL_CACHE, or the user's cache folder."""
    return Path(os.environ.get("RP_TUTORIAL_CACHE") or platformdirs.user_cache_dir("rp_tutorial"))
