"""Devices: one that is not here is refused with the names of those that are."""

import pytest
import torch

from rp_tutorial.core.arguments import InputError
from rp_tutorial.core.devices import check_device


def test_the_cpu_is_always_there():
    assert check_device("cpu") == check_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("bad", ["abacus", 1.5, None])
def test_an_unknown_device_is_refused(bad):
    with pytest.raises(InputError, match=r"^device: got "):
        check_device(bad)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_missing_cuda_is_named():
    with pytest.raises(InputError, match=r"^device: got 'cuda', allowed is cpu"):
        check_device("cuda")
