"""A net behind a change of size sees the same picture at its own size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rp_tutorial.models.resized import Resized


class SideAndMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.full((len(x),), float(x.shape[-1])), x.mean(dim=(1, 2, 3))], dim=1)

    features = forward


def test_the_net_behind_it_gets_its_own_size_and_the_same_picture() -> None:
    x = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for seen in (Resized(SideAndMean(), size=112)(x), Resized(SideAndMean(), size=112).features(x)):
        assert (seen[:, 0] == 112).all()
        torch.testing.assert_close(seen[:, 1], x.mean(dim=(1, 2, 3)), atol=2e-3, rtol=0)


def test_images_of_the_right_size_pass_untouched() -> None:
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert Resized(nn.Identity(), size=32)(x) is x
