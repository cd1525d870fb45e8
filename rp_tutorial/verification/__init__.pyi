from .bounds import crown_radius, interval_radius
from .complete import ExactRadius, exact_radius
from .nearest import find_change
from .relu_net import ReluNet, read_net

__all__ = [
    "ExactRadius",
    "ReluNet",
    "crown_radius",
    "exact_radius",
    "find_change",
    "interval_radius",
    "read_net",
]
