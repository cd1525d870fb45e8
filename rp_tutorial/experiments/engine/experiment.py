"""What an experiment is: an object that registers itself beside its code.

Command line, doctor, ledger and publishing ask the object; nothing about an experiment is known by the name of its
file. A user's own is registered in the same way, from outside (`core/registry`).
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from rp_tutorial.core.arguments import count, one_of, refuse
from rp_tutorial.core.devices import check_device
from rp_tutorial.core.registry import Registry, outside_sources, source_of
from rp_tutorial.experiments.engine.closure import code_hash
from rp_tutorial.experiments.engine.lab import Lab
from rp_tutorial.experiments.engine.overrides import overridden
from rp_tutorial.experiments.engine.stages import Stages

Results = dict[str, Any]
PROFILES = ("smoke", "cpu", "gpu", "paper")  # the last for the command line: hours, or days


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of data: faces, tables, or nothing. It knows its sources and how they are written.

    sources: what `--data` may be, as a reader writes it. takes: whether it is, by its writing alone. shown: the same
    without where it lies, which is nobody's business. schema: what `--schema` gives -> a dataclass that says what the
    data mean; None where data need none.
    """

    sources: Callable[[], tuple[str, ...]]
    takes: Callable[[str], bool]
    shown: Callable[[str], str]
    schema: Callable[[Any], Any] | None = None


NO_DATA = Kind(lambda: ("synthetic",), lambda data: data == "synthetic", str)  # what an experiment makes itself


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One experiment: what it can be told, what it reads, and what is done with its results.

    name: on the command line. lab_class: of its labs. run: lab -> results, a JSON value. profiles: settings, a frozen
    dataclass with a field `device`, for each of PROFILES. reads: the kind of data. tables: results -> tidy tables, by
    name; they are written beside results.json as CSV. summary: results -> text for a terminal. needs: of each profile,
    in words. join: results of several seeds -> results of all together; None where runs stand for themselves. seeds:
    those that are published. bulky: results that a published run leaves out. completed: settings -> settings with what
    was registered from outside, a defence to compare for instance.
    """

    name: str
    lab_class: type[Lab]
    run: Callable[[Any], Results]
    profiles: Mapping[str, Any]
    reads: Kind
    tables: Callable[[Results], dict[str, pd.DataFrame]]
    summary: Callable[[Results], str]
    needs: Mapping[str, str]
    join: Callable[[Sequence[Results]], Results] | None = None
    seeds: tuple[int, ...] = (0,)
    bulky: tuple[str, ...] = ()
    completed: Callable[[Any], Any] = lambda settings: settings

    def settings(self, profile: str = "cpu", **changes: Any) -> Any:
        """The settings of a profile with some of them changed, by name; what is inside another as outer__inner.

        A value may be of the setting's type, or its text as on the command line. Raises InputError for a setting that
        there is not, or a value that it cannot have.
        """
        return overridden(self.completed(self.profiles[one_of("profile", profile, self.profiles)]), changes)

    def lab(
        self,
        profile: str = "cpu",
        seed: int = 0,
        *,
        data: str = "synthetic",
        schema: Any = None,
        device: str | None = None,
        stages: Stages | None = None,
        **changes: Any,
    ) -> Any:
        """The lab of a run at these settings, to measure in by hand; nets and stages are those that `run` remembers.

        schema: what a CSV of one's own means, a path or a dict (`load_table`).
        Raises InputError for an unknown profile, setting, data or device, a bad seed, or a schema that does not fit.
        """
        here = "cuda" if profile in ("gpu", "paper") and torch.cuda.is_available() else "cpu"
        settings = dataclasses.replace(self.settings(profile, **changes), device=str(check_device(device or here)))
        if not self.reads.takes(data):
            raise refuse("data", data, f"one of {', '.join(self.reads.sources())} (of {self.name})")
        if schema is not None:
            if self.reads.schema is None:
                raise refuse("schema", schema, f"none: {self.name} reads no table")
            schema = self.reads.schema(schema)
        seed = count("seed", seed, minimum=0)
        return self.lab_class(settings, data=data, seed=seed, stages=stages or Stages(self.name), schema=schema)

    @property
    def code(self) -> str:
        """Hash of all code that a run could call, whatever was registered from outside included."""
        return code_hash([source_of(self.run), source_of(self.lab_class), *outside_sources()])


EXPERIMENTS: Registry[Experiment] = Registry("experiment", "rp_tutorial.experiments")


def register(experiment: Experiment) -> Experiment:
    """Makes an experiment known to command line, doctor, ledger and publishing. Raises InputError for a taken name.

    >>> import dataclasses
    >>> def who_is_attacked(lab):
    ...     return {"targets": lab.targets.tolist()}
    >>> inversion = rp.experiment("inversion")
    >>> mine = rp.register(dataclasses.replace(inversion, name="who-is-attacked", run=who_is_attacked))
    >>> len(rp.run("who-is-attacked", profile="smoke")["results"]["targets"])
    6

    Chapter: insurance/bmi-threshold.
    """
    EXPERIMENTS.add(experiment.name, experiment, experiment.run)
    return experiment


def experiment(name: str) -> Experiment:
    """The experiment of that name. Raises InputError, with the names that there are, if there is none.

    >>> audit = rp.experiment("guarantee-audit")
    >>> audit.settings("smoke", p_a=0.8).p_a, audit.settings("smoke", p_a="0.8").p_a
    (0.8, 0.8)
    >>> rp.experiment("inversion").lab("smoke", seed=0).task.x_train.shape
    torch.Size([400, 3, 32, 32])

    Chapter: insurance/bmi-threshold.
    """
    return EXPERIMENTS[name]
