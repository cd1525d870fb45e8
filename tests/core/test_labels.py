"""A finite float batch goes in as it is, and a label is the lowest index among the largest logits."""

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.labels import argmax_labels, check_batch


def test_a_good_batch_passes_the_check_untouched():
    for x in (torch.zeros(0, 3), torch.ones(2, 3, 4, 4), torch.ones(1, 1, dtype=torch.float64)):
        assert check_batch(x) is x


def test_argmax_takes_the_lowest_index_among_equals():
    logits = torch.tensor([[0.0, 0.0], [1.0, 2.0], [2.0, 1.0]])
    assert argmax_labels(logits, 2).tolist() == [0, 1, 0]
    assert argmax_labels(torch.tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), 3).tolist() == [1, 0]
    few_values = torch.randint(3, (50, 40), generator=torch.Generator().manual_seed(0)).float()
    first = [row.index(max(row)) for row in few_values.tolist()]
    assert argmax_labels(few_values, 40).tolist() == argmax_labels(few_values.T.contiguous().T, 40).tolist() == first


@pytest.mark.parametrize("shape", [(4, 2), (4, 4), (4,), (4, 3, 1)])
def test_logits_of_another_number_of_classes_are_refused(shape):
    with pytest.raises(InputError, match=r"^net: got .outputs of shape"):
        argmax_labels(torch.zeros(shape), 3)
