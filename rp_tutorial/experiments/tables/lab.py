"""What the experiments on tables share: a task made from a table, and a net that decides it."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from rp_tutorial.core.streams import Purpose, child_seed
from rp_tutorial.data.faces.sources import is_face_source
from rp_tutorial.data.tables.people import PeopleTable
from rp_tutorial.data.tables.registry import table_sources
from rp_tutorial.data.tables.sources import load_at_most
from rp_tutorial.data.tables.tasks import AttributeTask
from rp_tutorial.experiments.engine.experiment import Kind
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.models.table_nets import two_layer_net
from rp_tutorial.oracles.plain import PlainOracle
from rp_tutorial.oracles.smoothing import Smoothing
from rp_tutorial.training.fit import fit

if TYPE_CHECKING:
    from rp_tutorial.data.tables.roles import Schema


def tables_but(*without: str) -> Kind:
    """Tables of people, but for those without the columns that the experiment needs."""
    return Kind(
        lambda: (*(name for name in table_sources() if name not in without), "a CSV path"),
        lambda data: data not in without and (data in table_sources() or not is_face_source(data)),
        lambda data: Path(data).name,
        _read_schema,
    )


def _read_schema(source: Any) -> Schema:
    from rp_tutorial.data.tables.roles import read_schema

    return read_schema(source)


TABLES = tables_but()


class TableLab(Lab):
    """A task on the rows of a table, and the paper's two-layer net, trained when first asked for.

    A table of fewer rows than `settings.rows` is used whole. `attribute` is the name of what is private; settings in
    its unit count in `near`, the difference in it that is small: 1 kg/m^2 of BMI. Raises InputError for data that
    cannot be used.
    """

    schema: Schema | None

    def prepare(self) -> None:
        table = load_at_most(self.data, self.settings.rows, schema=self.schema, seed=self.seed)
        self.attribute, self.near = table.attribute, table.near
        self.task = self.new_task(table)
        self.key["data"] = table.fingerprint
        if self.schema is not None:
            self.settings = dataclasses.replace(self.settings, **self.said_by_schema(table))
            self.key["schema"] = dataclasses.asdict(self.schema)

    @abstractmethod
    def said_by_schema(self, table: PeopleTable) -> dict[str, Any]:
        """The settings that a schema says instead of the profile."""

    @abstractmethod
    def new_task(self, table: PeopleTable) -> AttributeTask:
        """The rows with the label of this experiment."""

    @property
    @abstractmethod
    def training(self) -> dict[str, Any]:
        """What the label and the net depend on, beside the rows: the settings of `fit` among them as `fit`."""

    @cached_property
    def net(self) -> nn.Module:
        """The net that decides the task, ready for inference."""
        task = self.task
        net = two_layer_net(len(task.feature_names), hidden=self.settings.hidden, seed=self.seed)

        def train() -> None:
            fit(net, task.x_train, task.y_train, seed=self.seed, **self.training["fit"])

        return self.weights("net", net, train, {"hidden": self.settings.hidden, **self.training})

    @cached_property
    def plain(self) -> PlainOracle:
        """The undefended net."""
        return PlainOracle(self.net, num_classes=2)

    def smoothing(self, sigma: float, purpose: Purpose, *key: int, noise: str = "independent") -> Smoothing:
        """The smoothed net, with fresh noise for every purpose, all of it from the run's seed."""
        seed = child_seed(purpose, self.seed, round(sigma * 10**6), *key)
        options = {"seed": seed, "noise": noise, "device": self.settings.device}
        return Smoothing(self.net, num_classes=2, sigma=sigma, **options)
