"""Runs an experiment once: finds its settings, remembers every finished stage, writes results.json atomically.

An experiment is a module with `PROFILES` (settings for smoke, cpu, gpu), `TIERS` (names of its data),
`stage_count(settings)`, `run(settings, *, data, seed, stages) -> dict` and `extra_files(document)` (what stands beside
results.json). It does its long work inside `stages.result(...)` or
`stages.weights(...)`. Each stage is stored under a hash of all it depends on as soon as it is finished, so a killed
run resumes where it stopped and a second run of the same settings only reads. What an experiment computes is not here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
import platformdirs
import torch
from torch import nn

import rp_tutorial
from rp_tutorial.core.arguments import InputError, count, one_of
from rp_tutorial.core.files import replacing, write_atomically
from rp_tutorial.data.faces.sources import is_face_source, source_name

EXPERIMENTS = {
    "insurance-threshold": "rp_tutorial.experiments.tables.threshold",
    "insurance-eligibility": "rp_tutorial.experiments.tables.eligibility",
    "guarantee-audit": "rp_tutorial.experiments.guarantee_audit",
    "face-smoothing": "rp_tutorial.experiments.faces.smoothing",
    "inversion": "rp_tutorial.experiments.faces.inversion",
    "inversion-mechanism": "rp_tutorial.experiments.mechanism.experiment",
    "frontier": "rp_tutorial.experiments.faces.frontier",
    "distillation": "rp_tutorial.experiments.faces.distillation",
    "adaptive": "rp_tutorial.experiments.faces.adaptive",
}
PROFILES = ("smoke", "cpu", "gpu")
PACKAGE = Path(rp_tutorial.__file__).parent
SHOWS = ("figures", "ledger", "cli.py", "doctor.py")  # rooms that only show results
VERSIONS_OF = ("torch", "numpy", "scipy", "pandas", "scikit-learn")


class Stages:
    """The memory of a run: finished stages on disk, under a hash of the experiment, its code and the stage's key."""

    def __init__(self, experiment: str, *, force: bool = False, progress: Callable[[str], None] | None = None) -> None:
        self.experiment, self.force = experiment, force
        self._progress = progress or (lambda stage: None)
        self._begun: set[Path] = set()

    def result(self, name: str, key: dict[str, Any], compute: Callable[[], Any]) -> Any:
        """`compute()`, a JSON value, or what it returned when last called for this key."""
        path = self._path(name, key, ".json")
        self._begin(name, path)
        if path.exists() and not self.force:
            return json.loads(path.read_text())
        value = compute()
        write_atomically(path, json.dumps(value))
        return json.loads(path.read_text())  # the same types whether remembered or not

    def weights(
        self, name: str, key: dict[str, Any], net: nn.Module, train: Callable[[], Any], *, owner: str | None = None
    ) -> nn.Module:
        """`net` after `train()`, or with the weights that training left when last called for this key.

        Nets are kept apart from results, in `nets/`: they are an input of the published book, not one of its numbers.
        They depend on the data, the models, their training and the file of `train`, and outlive an edit elsewhere.
        Experiments that name the same `owner` share them.
        """
        recipe = (owner or self.experiment, training_hash(train.__code__.co_filename), name, _plain(key))
        path = cache_dir() / "nets" / recipe[0] / f"{name}-{joblib.hash(recipe)}.pt"
        self._begin(name, path)
        if path.exists() and not self.force:
            net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
            return net.eval()
        train()
        with replacing(path) as part:
            torch.save(net.state_dict(), part)
        return net.eval()

    def unfinished(self, name: str, key: dict[str, Any]) -> Path:
        """Where a long stage may keep its state while it runs; the stage deletes it when it is done."""
        path = self._path(name, key, ".state")
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.force:
            path.unlink(missing_ok=True)
        return path

    def _begin(self, name: str, path: Path) -> None:
        """Tells whoever watches, once a stage: one that is read again was over already."""
        if path not in self._begun:
            self._begun.add(path)
            self._progress(name)

    def _path(self, name: str, key: dict[str, Any], ending: str) -> Path:
        digest = joblib.hash((self.experiment, code_hash(), name, _plain(key)))
        return cache_dir() / "results" / self.experiment / f"{name}-{digest}{ending}"


def run_experiment(
    name: str,
    *,
    profile: str = "cpu",
    data: str = "synthetic",
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    device: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run an experiment, or remember it, and return what results.json holds (and is written to `out`, if given).

    Fields: experiment, profile, data, seed, settings, results, seconds, versions. `force` computes every stage anew.
    `progress` is called with the name of every stage as it begins, remembered or not.
    Raises InputError for an unknown experiment, profile, data or device, a bad seed, or an `out` that is not a folder.
    """
    module = experiment_module(name)
    one_of("profile", profile, PROFILES)
    count("seed", seed, minimum=0)
    folder = None if out is None else _writable_folder(out)
    settings = dataclasses.replace(module.PROFILES[profile], device=_device(device, profile))
    started = time.perf_counter()
    stages = Stages(name, force=force, progress=progress)
    results = module.run(settings, data=data, seed=seed, stages=stages)
    document = {
        "experiment": name,
        "profile": profile,
        "data": source_name(data) if is_face_source(data) else Path(data).name,  # nobody's business where it lies
        "seed": seed,
        "settings": dataclasses.asdict(settings),
        "results": results,
        "seconds": round(time.perf_counter() - started, 2),
        "versions": versions(),
    }
    if folder is not None:
        try:
            _write_out(module, document, folder)
        except OSError as error:
            raise InputError(f"out: got {str(out)!r}, which cannot be written ({error.strerror})") from None
    return json.loads(json.dumps(document))


def experiment_module(name: str) -> Any:
    """The module of an experiment, by its name on the command line."""
    return importlib.import_module(EXPERIMENTS[one_of("experiment", name, EXPERIMENTS)])


def data_taken(module: Any) -> tuple[str, ...]:
    """The --data an experiment takes, as a reader writes it."""
    tables = ("a CSV path",) if "kaggle" in module.TIERS else ()
    return (*module.TIERS, *tables, *(("folder:PATH", "celeba:PATH") if _reads_faces(module) else ()))


def takes(module: Any, data: str) -> bool:
    """Whether an experiment can run on `data`: one of its tiers, or a file or folder of the kind it reads."""
    if data in module.TIERS or len(data_taken(module)) == len(module.TIERS):
        return data in module.TIERS
    return is_face_source(data) == _reads_faces(module)


def _reads_faces(module: Any) -> bool:
    return "lfw" in module.TIERS


def cache_dir() -> Path:
    """Where stages are remembered: $RP_TUTORIAL_CACHE, or the user's cache folder."""
    return Path(os.environ.get("RP_TUTORIAL_CACHE") or platformdirs.user_cache_dir("rp_tutorial"))


def versions() -> dict[str, str]:
    """Versions a result depends on, by package."""
    found = {package: metadata.version(package) for package in VERSIONS_OF}
    return {"rp_tutorial": rp_tutorial.__version__, "python": platform.python_version(), **found}


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Hash of the package's own sources: an edited package forgets what an older one computed.

    What only shows results is left out: no stage of any experiment calls it.
    """
    return _sources_hash(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] not in SHOWS)


@lru_cache(maxsize=8)
def training_hash(recipe: str) -> str:
    """Hash of the sources a trained net depends on, and of the file `recipe` that says how it is trained."""
    folders = (PACKAGE / folder for folder in ("data", "models", "training"))
    return _sources_hash([*(path for folder in folders for path in folder.rglob("*.py")), Path(recipe)])


def _sources_hash(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _write_out(module: Any, document: dict[str, Any], folder: Path) -> None:
    """Tables and charts first, results.json last: where it stands, everything else does."""
    for file_name, text in module.extra_files(document).items():
        write_atomically(folder / file_name, text)
    write_atomically(folder / "results.json", json.dumps(document, indent=2) + "\n")


def _writable_folder(out: str | os.PathLike[str]) -> Path:
    """Refused before the work, not after it; and made after the work, not before it."""
    folder = Path(out).absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        reason = "is not a folder" if not existing.is_dir() else "cannot be written to"
        raise InputError(f"out: got {str(out)!r}, but {existing} {reason}; allowed is a folder to write in")
    return folder


def _device(device: str | None, profile: str) -> str:
    available = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = device or (available if profile == "gpu" else "cpu")
    one_of("device", chosen, ("cpu", "cuda"))
    if chosen == "cuda" and available != "cuda":
        raise InputError("device: got 'cuda', but torch finds no CUDA device here; allowed is cpu")
    return chosen


def _plain(value: Any) -> Any:
    """Settings as JSON-like values, so that equal settings hash alike."""
    return json.loads(json.dumps(value, default=str, sort_keys=True))
