"""What `python -m tools.fuzz` tries: each reader of the package, with right inputs that are made wrong at random.

Pictures are in `faces.py`, tables in `tables.py`. A reader takes an empty folder and gives a function that tries one
input: it returns None where the input was accepted and is right as far as can be told, or the documented refusal; an
InputError may be raised as well.
"""

from __future__ import annotations

import dataclasses
import io
import json
import math
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import safetensors.torch
import torch
from numpy.random import Generator
from torch import nn

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.files import as_bytes, read_sealed, write_sealed
from rp_tutorial.experiments.engine.documents import published, read_documents
from rp_tutorial.experiments.engine.experiment import EXPERIMENTS
from rp_tutorial.experiments.engine.overrides import overridden, parsed
from rp_tutorial.experiments.engine.stages import LOG, Stages
from rp_tutorial.ledger.verdicts import CLAIMS, FORMULA, render, table
from rp_tutorial.models.checkpoints import load_weights
from tools.fuzz.faces import Try, image, image_folder, split_lists
from tools.fuzz.mutations import VALUES, mutated, mutated_text, mutated_value, one_of
from tools.fuzz.tables import described, insurance_table, own_table


def settings(folder: Path) -> Try:
    """`--set key=value`, several of them."""
    profiles = [profile for name in EXPERIMENTS for profile in EXPERIMENTS[name].profiles.values()]

    def attempt(rng: Generator) -> None:
        profile = one_of(profiles, rng)
        texts = [_assignment(profile, rng) for _ in range(int(rng.integers(1, 4)))]
        texts[0] = mutated_text(texts[0], rng)
        found = overridden(profile, parsed(texts))
        assert type(found) is type(profile)
        assert all(map(math.isfinite, _floats(dataclasses.asdict(found)))), found

    return attempt


def checkpoint(folder: Path) -> Try:
    """Weights by torch.save, of the present and of the old kind, and safetensors: bytes, pickles and values changed."""
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    own = {name: tensor.clone() for name, tensor in net.state_dict().items()}

    def attempt(rng: Generator) -> None:
        net.load_state_dict(own)
        path = folder / f"weights{one_of(('.pt', '.safetensors'), rng)}"
        path.write_bytes(_checkpoint(own, path.suffix == ".safetensors", rng))
        try:
            load_weights(net, path)
        except InputError:
            assert all(torch.equal(tensor, own[name]) for name, tensor in net.state_dict().items()), "half loaded"
            raise
        assert all(bool(torch.isfinite(tensor).all()) for tensor in net.state_dict().values())

    return attempt


def ledger(folder: Path) -> Try:
    """Results documents that somebody may have changed since a run wrote them."""
    runs = {(d["experiment"], d["seed"]): d for d in published(data="synthetic")}
    path, other = folder / "a" / "results.json", folder / "b" / "results.json"
    path.parent.mkdir()
    other.parent.mkdir()

    def attempt(rng: Generator) -> None:
        name, seed = one_of(list(runs), rng)
        document = runs[name, seed]
        for _ in range(int(rng.integers(1, 4))):
            document = mutated_value(document, rng)
        text = json.dumps(document)
        path.write_bytes(mutated(text.encode(), rng) if rng.random() < 0.2 else text.encode())
        other.unlink(missing_ok=True)
        if (name, 1 - seed) in runs and rng.random() < 0.2:
            other.write_text(json.dumps(runs[name, 1 - seed]), encoding="utf-8")
        found, form = table(read_documents(folder)), one_of(("text", "markdown", "csv", "json"), rng)
        shown = render(found, form)
        assert len(found) >= len(CLAIMS)
        assert all(line.isprintable() for line in shown.split("\n"))
        assert form == "json" or len(shown.split("\n")) == len(found) + (2 if form == "markdown" else 1)
        assert form != "json" or len(json.loads(shown)) == len(found)
        assert form != "markdown" or "<script>" not in shown
        if form == "csv":
            cells = pd.read_csv(io.StringIO(shown), dtype=str, keep_default_na=False)
            assert not cells.map(lambda cell: cell.startswith(FORMULA)).to_numpy().any()

    return attempt


def sealed(folder: Path) -> Try:
    """An entry of the cache: what was written, or nothing."""
    path, contents = folder / "entry.json", [b"", b'{"a": [1, 2]}', bytes(range(256)) * 4]

    def attempt(rng: Generator) -> InputError | None:
        content = one_of(contents, rng)
        write_sealed(path, content)
        written = path.read_bytes()
        changed = mutated(written, rng)
        path.write_bytes(changed)
        found = read_sealed(path)
        assert found == (content if changed == written else None)
        return None if changed == written else InputError("damaged")

    return attempt


def stages(folder: Path) -> Try:
    """Results and nets that a run remembers: computed again where they are damaged, in whatever way."""
    net, trained = nn.Linear(2, 2), torch.full((2, 2), 0.5)

    def train() -> None:
        with torch.no_grad():
            net.weight.copy_(trained)

    def attempt(rng: Generator) -> InputError | None:
        with mock.patch.dict(os.environ, RP_TUTORIAL_CACHE=str(folder)), mock.patch.object(LOG, "warning") as said:
            remembered = Stages("fuzz")
            kind = one_of(("results", "nets"), rng)
            entry = _entry(remembered, kind, net, train, folder)
            written = entry.read_bytes()
            _damage(entry, written, rng)
            is_damaged = entry.exists() and (entry.is_dir() or entry.read_bytes() != written)
            with torch.no_grad():
                net.weight.zero_()
            found = remembered.result("stage", {}, lambda state: {"a": [1, 2]}) if kind == "results" else None
            if kind == "nets":
                remembered.weights("stage", {}, net, train, owner="fuzz")
            assert found == ({"a": [1, 2]} if kind == "results" else None)
            assert kind == "results" or torch.equal(net.weight, trained)
            assert read_sealed(entry) is not None, "not healed"
            assert said.call_count == is_damaged, "said once where something is damaged"
        return None

    return attempt


READERS: dict[str, Callable[[Path], Try]] = {
    "insurance": insurance_table,
    "own-table": own_table,
    "describe": described,
    "settings": settings,
    "image": image,
    "image-folder": image_folder,
    "split-lists": split_lists,
    "checkpoint": checkpoint,
    "ledger": ledger,
    "sealed": sealed,
    "stages": stages,
}


def _assignment(profile: Any, rng: Generator) -> str:
    """A setting as it is, written as on the command line."""
    name = one_of([f.name for f in dataclasses.fields(profile)], rng)
    value = getattr(profile, name)
    if dataclasses.is_dataclass(value):
        return f"{name}.{_assignment(value, rng)}"
    return f"{name}={value if isinstance(value, str) or rng.random() < 0.5 else json.dumps(value, default=str)}"


def _floats(value: Any) -> list[float]:
    if isinstance(value, dict | list | tuple):
        return [number for part in (value.values() if isinstance(value, dict) else value) for number in _floats(part)]
    return [value] if isinstance(value, float) else []


def _checkpoint(own: dict[str, torch.Tensor], is_own_kind: bool, rng: Generator) -> bytes:
    weights: Any = own
    if is_own_kind:
        content = safetensors.torch.save(one_of(({}, own, {n: t.half() for n, t in own.items()}), rng))
        return mutated(content, rng) if rng.random() < 0.95 else content
    if rng.random() < 0.6:
        weights = _mutated_weights(own, rng)
    if rng.random() < 0.3:
        weights = {one_of(("state_dict", "model", "net"), rng): weights, "epoch": one_of(VALUES, rng)}
    if rng.random() < 0.2:
        memory = io.BytesIO()
        torch.save(weights, memory, _use_new_zipfile_serialization=False)
        return mutated(memory.getvalue(), rng)
    content, how = as_bytes(weights), rng.random()
    return mutated(content, rng) if how < 0.2 else _mutated_zip(content, rng) if how < 0.8 else content


ODD: tuple[Callable[[torch.Tensor], Any], ...] = (  # what a tensor may be instead
    lambda t: t.double(), lambda t: t.half(), lambda t: t * math.nan, lambda t: t > 0, lambda t: t.long(), lambda t: t,
    lambda t: t.to_sparse(), lambda t: t.to(torch.complex64), lambda t: t[None], lambda t: t.reshape(-1)[:1],
    lambda t: torch.zeros(1).expand(2**31), lambda t: t.to("meta"), lambda t: torch.zeros(()).expand(t.shape),
    lambda t: nn.Parameter(t.float()), lambda t: None, lambda t: 3, lambda t: "x", lambda t: [t], lambda t: {},
)  # fmt: skip


def _mutated_weights(weights: dict[str, Any], rng: Generator) -> dict[str, Any]:
    """One tensor changed, under another name, or left out."""
    name, how = one_of(list(weights), rng), rng.random()
    others = {other: tensor for other, tensor in weights.items() if other != name}
    if how < 0.7:
        return others | {name: one_of(ODD, rng)(weights[name])}
    return others | {mutated_text(name, rng, most=1): weights[name]} if how < 0.85 else others


def _mutated_zip(content: bytes, rng: Generator) -> bytes:
    """One member changed under a checksum that is right, so that what lies behind it is read."""
    memory = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(memory, "w") as new:
        members = old.namelist()
        wrong = members[0] if rng.random() < 0.6 else one_of(members, rng)
        for name in members:
            new.writestr(name, mutated(old.read(name), rng) if name == wrong else old.read(name))
    return memory.getvalue()


def _entry(remembered: Stages, kind: str, net: nn.Module, train: Callable[[], None], folder: Path) -> Path:
    """The file of one stage, as it should be."""
    if kind == "results":
        remembered.result("stage", {}, lambda state: {"a": [1, 2]})
    else:
        remembered.weights("stage", {}, net, train, owner="fuzz")
    return next(path for path in (folder / kind / "fuzz").iterdir() if path.suffix in (".json", ".pt"))


def _damage(entry: Path, written: bytes, rng: Generator) -> None:
    how = rng.random()
    if how < 0.9:
        entry.write_bytes(mutated(written, rng))
    elif how < 0.95:
        entry.unlink()
        entry.symlink_to(one_of(("nowhere", entry.name, "."), rng))
    else:
        entry.write_bytes(b"")
