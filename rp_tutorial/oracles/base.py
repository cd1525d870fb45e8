"""The one interface every attack sees: inputs in, labels out, nothing else.

A defence is a subclass with one method, `_release`, and two more if it is random: `_randomness` and its inverse. The
counting of queries (for the adversary) and forward passes (for the operator), the checks on what goes in and comes
out, and the state that lets an attack go on where it was cut off live here, once.
"""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.labels import ABSTAIN, check_batch


class LabelOracle(ABC):
    """A release mechanism: `oracle(x)` gives one int64 label an input, and cannot give a score.

    x: float tensor [B, ...], finite. Labels: int64 [B], in 0..num_classes-1, or ABSTAIN where the mechanism may
    abstain. `queries` counts released labels, `forward_passes` evaluations of the net behind them.
    Raises InputError for an x that is not a finite float batch.

    >>> class Always(rp.LabelOracle):
    ...     def _release(self, x):
    ...         return torch.ones(len(x), dtype=torch.int64)
    >>> Always(num_classes=2)(torch.zeros(3, 4))
    tensor([1, 1, 1])

    Chapter: foundations/side-channel.
    """

    def __init__(self, *, num_classes: int) -> None:
        self.num_classes = count("num_classes", num_classes, minimum=2)
        self.queries = 0
        self.forward_passes = 0

    def __call__(self, x: Tensor) -> Tensor:
        x = check_batch(self.as_batch(x))
        labels = self._release(x)
        self.queries += len(x)
        self._check_labels(labels, len(x))
        return labels

    def state(self) -> dict[str, Any]:
        """What this oracle would need to go on: its two counters and the state of its randomness, as a snapshot.

        Plain numbers, strings, dicts and tensors: `torch.save` writes it, `torch.load(..., weights_only=True)` reads
        it. The net and the settings are not in it. It is the operator's, not the adversary's: it foretells labels.
        """
        counters = {"queries": self.queries, "forward_passes": self.forward_passes}
        return {"oracle": type(self).__name__, **counters, "randomness": self._randomness()}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`: the same queries get exactly the labels that the oracle of the snapshot gave them.

        That holds for an oracle with the same net, settings and device. Raises InputError for what is not the state
        of this kind of oracle, and changes nothing then.
        """
        kind = type(self).__name__
        given = state.get("oracle") if isinstance(state, dict) else type(state).__name__
        if given != kind:
            raise refuse("state", given, f"the state of a {kind}")
        queries, passes, randomness = (state_entry(state, key) for key in ("queries", "forward_passes", "randomness"))
        count("queries", queries, minimum=0), count("forward_passes", passes, minimum=0)
        self._set_randomness(randomness)
        self.queries, self.forward_passes = queries, passes

    def as_batch(self, x: Tensor) -> Tensor:
        """For oracles that take other things than tensors."""
        return x

    @abstractmethod
    def _release(self, x: Tensor) -> Tensor:
        """Labels [B] for a checked batch. Adds what it spent to `self.forward_passes`."""

    def _randomness(self) -> dict[str, Any]:
        """The state of all randomness behind a release, for `state`. Nothing for a deterministic oracle."""
        return {}

    def _set_randomness(self, randomness: dict[str, Any]) -> None:
        """The inverse of `_randomness`. Checks before it changes anything."""
        if randomness:
            raise refuse("state", sorted(randomness), f"one without randomness, as {type(self).__name__} has none")

    def _check_labels(self, labels: Tensor, batch: int) -> None:
        """A score that slips out of a new oracle is a bug to stop at the door, not at the attack."""
        if not isinstance(labels, Tensor):
            raise TypeError(f"{type(self).__name__} released a {type(labels).__name__}, not labels")
        if labels.dtype != torch.int64 or labels.shape != (batch,):
            raise TypeError(f"{type(self).__name__} released {labels.dtype} of shape {tuple(labels.shape)}, not labels")
        if batch and not (int(labels.min()) >= ABSTAIN and int(labels.max()) < self.num_classes):
            raise TypeError(f"{type(self).__name__} released a symbol outside its {self.num_classes} classes")


def state_entry(state: dict[str, Any], key: str) -> Any:
    """`state[key]`, or one line that says what is missing."""
    if not isinstance(state, dict) or key not in state:
        raise refuse("state", sorted(state) if isinstance(state, dict) else type(state).__name__, f"one with {key!r}")
    return state[key]
