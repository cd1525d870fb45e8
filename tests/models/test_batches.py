"""Images go through a net in batches that change nothing but the memory they take."""

import pytest
import torch
from close import assert_close_to_scale
from torch import nn

from rp_tutorial.models.batches import device_of, over_batches


@pytest.mark.parametrize("batch_size", [1, 3, 500])
def test_batches_change_nothing_and_bytes_are_floats_on_the_grid(batch_size):
    images = torch.randint(256, (7, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    logits = over_batches(net, images, device=device_of(net), batch_size=batch_size)
    assert_close_to_scale(logits, net(images.float() / 255).detach())
    assert torch.equal(over_batches(net, images / 255, device="cpu", batch_size=batch_size), logits)
    assert not logits.requires_grad
    assert not logits.is_inference()
    assert device_of(nn.Identity()) == torch.device("cpu")
