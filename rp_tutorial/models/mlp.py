"""The paper's two-layer net for tables (section 5): linear, ReLU, linear."""

from torch import nn

from rp_tutorial.core.arguments import count
from rp_tutorial.core.streams import Purpose, global_stream


def two_layer_net(num_inputs: int, *, num_classes: int = 2, hidden: int = 64, seed: int = 0) -> nn.Sequential:
    """Logits [B, num_classes] from [B, num_inputs]; 64 hidden units as in the paper. Initialised from `seed`.

    An nn.Sequential on purpose: the smoothing looks through its first layer, the exact methods through all of it.
    """
    count("num_inputs", num_inputs)
    count("num_classes", num_classes, minimum=2)
    count("hidden", hidden)
    with global_stream(Purpose.INITIAL_WEIGHTS, seed):
        return nn.Sequential(nn.Linear(num_inputs, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))
