"""Face nets for a laptop: a target of IR units like FaceNet64's, and an evaluator of another family.

The target is what smoothing runs millions of times, so it is narrow and strides early: 2.3 million multiplications an
image of 32x32. The evaluator runs once a reconstruction and may cost more. It shares no design with the target (plain
3x3 convolutions, ReLU, max-pooling), so that a reconstruction that only fools IR nets does not count as a success.
"""

from torch import Tensor, nn

from rp_tutorial.core.arguments import refuse
from rp_tutorial.core.streams import Purpose, global_stream
from rp_tutorial.models.facenet import FaceClassifier, IRClassifier, IRUnit, ir_head, ir_stem

SIZES = (32, 64)


class SmallFaceNet(IRClassifier):
    """Three IR units of widths 16, 32 and 64 behind a stem of stride 2; `features` is [B, 128].

    Images float [B, 3, size, size] in [0, 1] -> logits [B, num_classes]. size is 32 or 64. Initialised from `seed`.
    2.3 (32x32) or 7.0 (64x64) million multiplications an image; `fold.folded` makes the copy to run them with.
    """

    PARTS = ("input_layer", "body", "output_layer")

    def __init__(self, num_classes: int, *, size: int = 32, seed: int = 0) -> None:
        super().__init__(num_classes, check_size(size))
        last_stride = 1 if size == 32 else 2  # either way the head sees 4x4
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.input_layer = ir_stem(16, stride=2)
            self.body = nn.Sequential(IRUnit(16, 16, 2), IRUnit(16, 32, 2), IRUnit(32, 64, last_stride))
            self.output_layer = ir_head(64, 4, 128)
            self.fc_layer = nn.Linear(128, num_classes)


class SmallEvaluator(FaceClassifier):
    """A plain VGG-like net, the judge of reconstructions from SmallFaceNet; `features` is [B, 128].

    Images float [B, 3, size, size] in [0, 1] -> logits [B, num_classes]. size is 32 or 64. Initialised from `seed`.
    Source of the design: Simonyan and Zisserman 2015, with batch normalisation.
    """

    def __init__(self, num_classes: int, *, size: int = 32, seed: int = 0) -> None:
        super().__init__(num_classes, check_size(size))
        blocks = ((24,), (48, 48), (96,)) if size == 32 else ((16,), (24,), (48, 48), (96,))
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.convolutions = nn.Sequential(*_vgg_layers(blocks))
            self.output_layer = nn.Sequential(
                nn.Flatten(), nn.Dropout(), nn.Linear(96 * 4 * 4, 128), nn.BatchNorm1d(128), nn.ReLU()
            )
            self.fc_layer = nn.Linear(128, num_classes)

    def features(self, x: Tensor) -> Tensor:
        return self.output_layer(self.convolutions(self.check_images(x)))


def check_size(size: int) -> int:
    """`size`, if there is a small net of that side."""
    if isinstance(size, bool) or size not in SIZES:
        raise refuse("size", size, "32 or 64")
    return size


def _vgg_layers(blocks: tuple[tuple[int, ...], ...]) -> list[nn.Module]:
    """Blocks of 3x3 convolutions with BN and ReLU, each block ending in a 2x2 max-pool."""
    layers, inputs = [], 3
    for block in blocks:
        for width in block:
            layers += [nn.Conv2d(inputs, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
            inputs = width
        layers.append(nn.MaxPool2d(2))
    return layers
