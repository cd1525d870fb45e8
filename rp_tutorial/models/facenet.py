"""The face classifiers of the inversion literature: IR-50 on 64x64 (the target) and on 112x112 (the evaluator).

Tensor names and shapes are those of the published checkpoints, so that `checkpoints.load_weights` can be strict.
The IR unit is here too; the small nets for a laptop are in `small_faces.py`, fast inference in `fold.py`.
"""

from torch import Tensor, nn

from rp_tutorial.core.arguments import count, refuse
from rp_tutorial.core.streams import Purpose, global_stream

STAGES_OF_IR_50 = ((64, 3), (128, 4), (256, 14), (512, 3))  # (width, units); the first unit of a stage strides by 2
FEATURES = 512


class FaceClassifier(nn.Module):
    """What every face net of the book is: images float [B, 3, size, size] in [0, 1] -> logits [B, num_classes].

    A subclass gives `features`, [B, F], and `fc_layer`, the linear layer from there to the logits.
    Raises InputError for images of another shape.
    """

    def __init__(self, num_classes: int, size: int) -> None:
        super().__init__()
        self.num_classes, self.size = count("num_classes", num_classes, minimum=2), size

    def forward(self, x: Tensor) -> Tensor:
        return self.fc_layer(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """Images [B, 3, size, size] -> what the last layer reads, [B, F]."""
        raise NotImplementedError

    def check_images(self, x: Tensor) -> Tensor:
        """`x` itself, if its shape is [B, 3, size, size]."""
        if x.ndim != 4 or x.shape[1:] != (3, self.size, self.size):
            raise refuse("x", tuple(x.shape), f"images of shape [B, 3, {self.size}, {self.size}]")
        return x


class IRUnit(nn.Module):
    """An "improved residual" unit: shortcut + (BN, 3x3 convolution, PReLU, 3x3 convolution with the stride, BN).

    The shortcut is a 1x1 max-pool with the stride where the widths agree, else a 1x1 convolution and BN.
    [B, inputs, H, W] -> [B, width, H / stride, W / stride]. No convolution has a bias.
    Source: Deng et al. 2019 (ArcFace), section 3.1.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        if inputs == width:
            self.shortcut_layer = nn.MaxPool2d(1, stride)
        else:
            self.shortcut_layer = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, width, 3, 1, 1, bias=False),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut_layer(x) + self.res_layer(x)


def ir_stem(width: int, *, stride: int = 1) -> nn.Sequential:
    """Images to `width` channels: 3x3 convolution, BN, PReLU."""
    return nn.Sequential(nn.Conv2d(3, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width))


def ir_head(width: int, side: int, features: int) -> nn.Sequential:
    """[B, width, side, side] to `features` numbers: BN, dropout, one linear layer, BN."""
    return nn.Sequential(
        nn.BatchNorm2d(width),
        nn.Dropout(),
        nn.Flatten(),
        nn.Linear(width * side * side, features),
        nn.BatchNorm1d(features),
    )


def ir_50_body() -> nn.Sequential:
    """The 24 units of IR-50; the side shrinks by 16."""
    widths = [width for width, depth in STAGES_OF_IR_50 for _ in range(depth)]
    strides = [1 if unit else 2 for _, depth in STAGES_OF_IR_50 for unit in range(depth)]
    return nn.Sequential(*map(IRUnit, [64, *widths[:-1]], widths, strides))


class IRClassifier(FaceClassifier):
    """A stem, IR units, a head and a linear layer. PARTS: the names under which a subclass keeps the first three."""

    PARTS: tuple[str, str, str]

    def ir_parts(self) -> list[nn.Module]:
        """[stem, body, head]."""
        return [self.get_submodule(name) for name in self.PARTS]

    def features(self, x: Tensor) -> Tensor:
        x = self.check_images(x)
        for part in self.ir_parts():
            x = part(x)
        return x

    def hidden(self, x: Tensor) -> list[Tensor]:
        """What each unit and the head make of images, in this order; the last are the features."""
        stem, body, head = self.ir_parts()
        x, found = stem(self.check_images(x)), []
        for part in (*body, head):
            x = part(x)
            found.append(x)
        return found


class FaceNet64(IRClassifier):
    """IR-50 on 64x64: the published target of the inversion literature. 35.4 M parameters, 4.1 GFLOP an image.

    Images float [B, 3, 64, 64] in [0, 1], not normalised -> logits [B, num_classes]; `features` is [B, 512].
    Initialised from `seed`; the published weights come through `checkpoints.load_weights`.
    """

    PARTS = ("feature.input_layer", "feature.body", "output_layer")

    def __init__(self, num_classes: int = 1000, *, seed: int = 0) -> None:
        super().__init__(num_classes, 64)
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.feature = nn.Module()
            self.feature.input_layer = ir_stem(64)
            self.feature.body = ir_50_body()
            self.output_layer = ir_head(512, 4, FEATURES)
            self.fc_layer = nn.Linear(FEATURES, num_classes)


class FaceNet(IRClassifier):
    """IR-50 on 112x112: the published evaluator, which judges reconstructions. 44.1 M parameters.

    Images float [B, 3, 112, 112] in [0, 1], not normalised -> logits [B, num_classes]; `features` is [B, 512].
    """

    PARTS = ("feature.input_layer", "feature.body", "feature.output_layer")

    def __init__(self, num_classes: int = 1000, *, seed: int = 0) -> None:
        super().__init__(num_classes, 112)
        with global_stream(Purpose.INITIAL_WEIGHTS, seed):
            self.feature = nn.Module()
            self.feature.input_layer = ir_stem(64)
            self.feature.output_layer = ir_head(512, 7, FEATURES)
            self.feature.body = ir_50_body()
            self.fc_layer = nn.Linear(FEATURES, num_classes)
