from .bounds import crown_radius as crown_radius
from .bounds import interval_radius as interval_radius
from .complete import ExactRadius as ExactRadius
from .complete import exact_radius as exact_radius
from .nearest import find_change as find_change
from .reading import read_net as read_net
from .relu_net import ReluNet as ReluNet
