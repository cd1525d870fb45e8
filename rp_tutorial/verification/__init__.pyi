from .bounds import crown_radius, interval_radius
from .complete import ExactRadius, exact_radius
from .nearest import find_change
from .reading import read_net
from .relu_net import ReluNet

__all__ = [
    "ExactRadius",
    "ReluNet",
    "crown_radius",
    "exact_radius",
    "find_change",
    "interval_radius",
    "read_net",
]
