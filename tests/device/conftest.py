"""The device of these tests: the first CUDA device, or the CPU where there is none, as in the project's own CI."""

import pytest
import torch


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
