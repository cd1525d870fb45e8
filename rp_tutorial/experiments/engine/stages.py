"""The memory of a run: finished stages on disk, each under a hash of all that it depends on.

A stage is stored as soon as it is finished, so a killed run resumes where it stopped and a second run of the same
settings only reads. What a stage depends on is its experiment's business and comes in as a key (`lab.py`).
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import platformdirs
import torch
from torch import nn

from rp_tutorial.core.files import replacing, write_atomically


class Stages:
    """Finished stages of one experiment. `progress` is called with the name of every stage as it begins."""

    def __init__(self, experiment: str, *, force: bool = False, progress: Callable[[str], None] | None = None) -> None:
        self.experiment, self.force = experiment, force
        self._progress = progress or (lambda stage: None)
        self._begun: set[Path] = set()

    def result(self, name: str, key: dict[str, Any], compute: Callable[[Path], Any]) -> Any:
        """`compute(state)`, a JSON value, or what it returned when last called for this key.

        `state` is a path at which a long stage may keep what it has while it runs; it is gone when the stage is done.
        """
        path = self._begin("results", self.experiment, name, key, ".json")
        if path.exists() and not self.force:
            return json.loads(path.read_text())
        state = path.with_suffix(".state")
        state.parent.mkdir(parents=True, exist_ok=True)
        if self.force:
            state.unlink(missing_ok=True)
        value = compute(state)
        write_atomically(path, json.dumps(value))
        state.unlink(missing_ok=True)
        return json.loads(path.read_text())  # the same types whether remembered or not

    def weights(
        self, name: str, key: dict[str, Any], net: nn.Module, train: Callable[[], Any], *, owner: str
    ) -> nn.Module:
        """`net` after `train()`, or with the weights that training left when last called for this key.

        Nets are kept apart from results, in `nets/`: they are an input of the published book, not one of its numbers.
        Experiments that name the same `owner` share them.
        """
        path = self._begin("nets", owner, name, key, ".pt")
        if path.exists() and not self.force:
            net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
            return net.eval()
        train()
        with replacing(path) as part:
            torch.save(net.state_dict(), part)
        return net.eval()

    def _begin(self, kind: str, owner: str, name: str, key: dict[str, Any], ending: str) -> Path:
        """Where the stage is kept. Tells whoever watches, once a stage: one that is read again was over already."""
        plain = json.loads(json.dumps(key, default=str, sort_keys=True))  # so that equal settings hash alike
        path = cache_dir() / kind / owner / f"{name.replace('/', '-')}-{joblib.hash((owner, name, plain))}{ending}"
        if path not in self._begun:
            self._begun.add(path)
            self._progress(name)
        return path


def cache_dir() -> Path:
    """Where stages are remembered: $RP_TUTORIAL_CACHE, or the user's cache folder."""
    return Path(os.environ.get("RP_TUTORIAL_CACHE") or platformdirs.user_cache_dir("rp_tutorial"))
