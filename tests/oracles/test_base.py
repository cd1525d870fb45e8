"""The label-only door: only labels come out, only finite float batches go in, and everything is counted."""

import math

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import ABSTAIN
from rp_tutorial.oracles.base import LabelOracle


class Releasing(LabelOracle):
    """Releases what it is told to, at two forward passes an input."""

    def __init__(self, release, *, num_classes: int = 3) -> None:
        super().__init__(num_classes=num_classes)
        self.release = release

    def _release(self, x: torch.Tensor) -> torch.Tensor:
        self.forward_passes += 2 * len(x)
        return self.release(x)


def labels(*values: int):
    return lambda x: torch.tensor(values)


@pytest.mark.parametrize(
    "release",
    [
        lambda x: torch.full((len(x),), 0.5),
        lambda x: torch.full((len(x), 3), 0.5),
        lambda x: torch.zeros(len(x), 3, dtype=torch.int64),
        lambda x: torch.zeros(len(x), 1, dtype=torch.int64),
        lambda x: torch.zeros(len(x) + 1, dtype=torch.int64),
        lambda x: torch.zeros(len(x), dtype=torch.int32),
        lambda x: torch.zeros(len(x), dtype=torch.bool),
        lambda x: torch.zeros(len(x), dtype=torch.int64).numpy(),
        lambda x: [0] * len(x),
        lambda x: (torch.zeros(len(x), dtype=torch.int64), torch.full((len(x),), 0.5)),
        labels(0, 3),
        labels(0, -2),
        lambda x: torch.full((len(x),), 0.5).view(torch.int32).long(),  # a score in an integer's coat
    ],
)
def test_an_oracle_cannot_release_anything_but_labels(release):
    with pytest.raises(TypeError, match="Releasing released"):
        Releasing(release)(torch.ones(2, 4))


def test_labels_of_all_classes_and_abstain_are_released_as_they_are():
    oracle = Releasing(labels(0, 2, ABSTAIN, 1))
    assert oracle(torch.ones(4, 5)).tolist() == [0, 2, -1, 1]


def test_queries_and_forward_passes_are_counted():
    oracle = Releasing(lambda x: torch.zeros(len(x), dtype=torch.int64))
    assert (oracle.queries, oracle.forward_passes) == (0, 0)
    for batch in (3, 0, 4):
        oracle(torch.ones(batch, 2))
    assert (oracle.queries, oracle.forward_passes) == (7, 14)


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(3),
        torch.tensor(1.0),
        torch.ones(3, 2, dtype=torch.int64),
        torch.ones(3, 2, dtype=torch.bool),
        torch.ones(3, 2, dtype=torch.complex64),
        torch.tensor([[1.0, math.nan]]),
        torch.tensor([[1.0], [math.inf]]),
        torch.ones(3, 2).numpy(),
        [[1.0, 2.0]],
        None,
    ],
)
def test_what_is_not_a_finite_float_batch_is_refused_in_one_line_and_not_counted(x):
    oracle = Releasing(labels(0))
    with pytest.raises(InputError, match=r"^x: got ") as error:
        oracle(x)
    assert len(str(error.value).splitlines()) == 1
    assert (oracle.queries, oracle.forward_passes) == (0, 0)


@pytest.mark.parametrize("num_classes", [1, 0, -1, 2.0, "2", None, True])
def test_fewer_than_two_classes_are_refused(num_classes):
    with pytest.raises(InputError, match=r"^num_classes: got "):
        Releasing(labels(0), num_classes=num_classes)
