"""A net behind a change of size: images of one side for a net that was trained on another."""

from torch import Tensor, nn

from rp_tutorial.core.arguments import count


class Resized(nn.Module):
    """`net` on images brought to size x size first (bilinear, antialiased): how a 64x64 image meets a net for 112x112.

    Images float [B, 3, S, S] in [0, 1], any S -> what `net` makes of [B, 3, size, size].
    """

    def __init__(self, net: nn.Module, *, size: int) -> None:
        super().__init__()
        self.net, self.size = net, count("size", size)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(self._resize(x))

    def features(self, x: Tensor) -> Tensor:
        return self.net.features(self._resize(x))

    def _resize(self, x: Tensor) -> Tensor:
        if x.shape[-2:] == (self.size, self.size):
            return x
        side = (self.size, self.size)
        return nn.functional.interpolate(x, side, mode="bilinear", align_corners=False, antialias=True)
