"""What the experiments on the insurance table share: a task, made from a table, and a net that decides it."""

from abc import abstractmethod
from functools import cached_property
from typing import Any

from torch import nn

from rp_tutorial.data.tables.insurance import InsuranceTable, load_at_most
from rp_tutorial.data.tables.tasks import AttributeTask
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.engine.stages import Stages
from rp_tutorial.models.mlp import two_layer_net
from rp_tutorial.training.fit import fit


class TableLab(Lab):
    """A task on the rows of a table, and the paper's two-layer net, trained when first asked for.

    A table of fewer rows than `settings.rows` is used whole. Raises InputError for data that cannot be used.
    """

    def __init__(self, settings: Any, *, data: str, seed: int, stages: Stages) -> None:
        super().__init__(settings, data=data, seed=seed, stages=stages)
        table = load_at_most(data, settings.rows, seed=seed)
        self.task = self.new_task(table)
        self.key = {"data": table.fingerprint, "seed": seed}

    @abstractmethod
    def new_task(self, table: InsuranceTable) -> AttributeTask:
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
