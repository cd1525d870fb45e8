"""What every experiment works in: its settings, its data and seed, and stages that are remembered by what they need.

An experiment derives its own lab from this one and adds the nets, people and measurements that it has. Which code a
stage depends on is found out here: the import closure of the lab's own file, of the stage's, and of the parts it uses.
"""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

from torch import nn

from rp_tutorial.core.registry import Source, source_of
from rp_tutorial.experiments.engine.closure import code_hash
from rp_tutorial.experiments.engine.stages import Stages

TRAINING = ("core", "data", "models", "training")  # what a trained net depends on, beside the file of its recipe


class Lab:
    """One experiment at one seed, on one set of data: `settings`, `data`, `seed`, `stages`, `schema`.

    `schema` is a dataclass that says what the data mean, or None where they say so themselves. `key` says what the data
    are; every stage depends on it. A lab makes or reads what it needs when first asked for it.
    """

    nets = ""  # labs that name the same owner share trained nets; by itself an experiment keeps its own

    def __init__(self, settings: Any, *, data: str, seed: int, stages: Stages, schema: Any = None) -> None:
        self.settings, self.data, self.seed, self.stages, self.schema = settings, data, seed, stages, schema
        self.key: dict[str, Any] = {"data": data, "seed": seed}
        self.prepare()

    def prepare(self) -> None:
        """What a lab reads as soon as it is made: a lab with data of its own says so in `key`."""

    def changed(self, **settings: Any) -> Self:
        """The same lab with other settings, nets and stages from the same memory."""
        changed = dataclasses.replace(self.settings, **settings)
        return type(self)(changed, data=self.data, seed=self.seed, stages=self.stages, schema=self.schema)

    def stage(
        self, name: str, compute: Callable[..., Any], *, without: Iterable[str] = (), uses: Iterable[Any] = ()
    ) -> Any:
        """`compute()`, a JSON value, or what is remembered of it.

        It is computed anew when a setting changes that is not named in `without`, when the data, the seed or something
        in `uses` is another, or when code changes that it could have called. The device never counts. A `compute` that
        takes an argument gets a path where it may keep its state, so that it goes on after a kill.
        `uses`: plain values, paths of further code, and dataclasses, of which `sources` names the files of its code.
        """
        left_out = {*without, "device"}
        settings = {field: value for field, value in dataclasses.asdict(self.settings).items() if field not in left_out}
        files, about = {source_of(type(self)), source_of(compute)}, []
        for part in uses:
            if isinstance(part, Path):
                files.add(part)
            else:
                files |= getattr(part, "sources", set())
                about.append(dataclasses.asdict(part) if dataclasses.is_dataclass(part) else part)
        key = self.key | {"settings": settings, "uses": about, "code": code_hash(files)}
        takes_state = any(p.default is p.empty for p in inspect.signature(compute).parameters.values())
        return self.stages.result(name, key, compute if takes_state else lambda state: compute())

    def weights(
        self,
        name: str,
        net: nn.Module,
        train: Callable[[], Any],
        recipe: dict[str, Any],
        *,
        uses: Iterable[Source] = (),
    ) -> nn.Module:
        """`net`, trained by `train()` or read: kept until the recipe, the data or the code of training changes.

        `uses`: further code that says how it is trained.
        """
        key = self.key | recipe | {"code": code_hash([source_of(train), *uses], rooms=TRAINING)}
        return self.stages.weights(name, key, net, train, owner=self.nets or self.stages.experiment)
