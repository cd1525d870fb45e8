"""Threads inside torch: one where it is asked for, and the caller's own number afterwards."""

import pytest
import torch

from rp_tutorial.core.threads import one_thread


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == before
